# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Supported releases and default paths stand in one table each; what else names them agrees."""

from __future__ import annotations

import pathlib
import re

import pytest
import yaml

from ansible_collections.trac.mod_wsgi.plugins.module_utils._core import paths
from ansible_collections.trac.mod_wsgi.plugins.plugin_utils import _platforms

TOP = pathlib.Path(__file__).resolve().parents[2]
TESTED = list(_platforms.RELEASES["Debian"].values())


def facts(distribution: str, version: str, major: str) -> dict[str, str]:
    return {
        "distribution": distribution,
        "distribution_version": version,
        "distribution_major_version": major,
    }


def test_hosts_are_known_by_their_release(monkeypatch: pytest.MonkeyPatch) -> None:
    assert _platforms.problem(facts("Debian", "12.7", "12")) == ""
    assert _platforms.problem(facts("Ubuntu", "24.04", "24")) == ""
    table = {"Debian": {"1": "one", "2": "two", "3": "three"}, "Ubuntu": {"9.04": "a", "9.10": "b"}}
    monkeypatch.setattr(_platforms, "RELEASES", table)
    assert _platforms.problem(facts("Ubuntu", "9.08", "9")) == (
        "Ubuntu 9.08 is not supported. Supported are Debian 1, 2 and 3, and Ubuntu 9.04 and 9.10 "
        "LTS. Nothing has been changed."
    )
    assert _platforms.problem(facts("Fedora", "42", "42")).startswith("Fedora 42 is not supported.")


def test_the_readme_names_the_releases() -> None:
    text = (TOP / "README.md").read_text(encoding="utf-8")
    row = re.search(r"^\| hosts \| (.*?) \|$", text, re.MULTILINE)
    assert row is not None
    for distribution, releases in _platforms.RELEASES.items():
        assert f"{distribution} {', '.join(releases)}" in row[1]


def test_there_are_images_of_the_releases() -> None:
    text = (TOP / "tools" / "test-images").read_text(encoding="utf-8")
    suites = re.search(r"suites=\((\w+(?: \w+)*)\)", text)
    assert suites is not None
    assert suites[1].split() == TESTED


@pytest.mark.parametrize("suite", TESTED)
def test_the_first_run_is_tried_on_the_release(suite: str) -> None:
    text = (TOP / "molecule" / "default" / "inventory" / "hosts.yml").read_text(encoding="utf-8")
    assert f"trac-default-{suite}" in yaml.safe_load(text)["trac_web"]["hosts"]


def test_roles_and_modules_have_the_same_paths() -> None:
    text = (TOP / "roles" / "trac_common" / "vars" / "main.yml").read_text(encoding="utf-8")
    of_roles = {
        name.removeprefix("__trac_common_").upper(): path
        for name, path in yaml.safe_load(text).items()
    }
    of_modules = {name: path for name, path in vars(paths).items() if name.isupper()}
    assert of_roles == of_modules


@pytest.mark.parametrize("path", [path for name, path in vars(paths).items() if name.isupper()])
def test_no_other_role_has_the_path(path: str) -> None:
    """In defaults and variables, where another could be set; documents say what they are."""
    found = [
        f"{file.relative_to(TOP)}: {line.strip()}"
        for file in sorted(TOP.glob("roles/*/[dv]*/main.yml"))
        if file.parents[1].name != "trac_common"
        for line in file.read_text(encoding="utf-8").splitlines()
        if re.search(rf"(?<![\w/]){path}(?![\w-])", line) and not line.lstrip().startswith("#")
    ]
    assert not found
