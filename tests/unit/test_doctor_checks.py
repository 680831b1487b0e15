# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Texts that have to name all of the doctor's checks, in their order, do so."""

from __future__ import annotations

import os
import pathlib
import re
import subprocess
import sys
import typing as t

import pytest
import yaml

from ansible_collections.trac.mod_wsgi.plugins.module_utils._doctor import checks
from ansible_collections.trac.mod_wsgi.plugins.modules import trac_doctor_info

ROOT = pathlib.Path(__file__).resolve().parents[2]
ROLE = ROOT / "roles" / "trac_verify"


def in_documentation() -> t.Any:
    """DOCUMENTATION of plugins/modules/trac_doctor_info.py."""
    return yaml.safe_load(trac_doctor_info.DOCUMENTATION)["options"]["checks"]["choices"]


def in_argument_specification() -> t.Any:
    """The file roles/trac_verify/meta/argument_specs.yml."""
    text = (ROLE / "meta" / "argument_specs.yml").read_text(encoding="utf-8")
    return yaml.safe_load(text)["argument_specs"]["main"]["options"]["trac_verify_checks"][
        "choices"
    ]


def in_readme() -> list[str]:
    """The table in roles/trac_verify/README.md."""
    text = (ROLE / "README.md").read_text(encoding="utf-8")
    section = re.split(r"(?m)^## ", text.partition("## The checks\n")[2])[0]
    return re.findall(r"(?m)^\| `(\w+)` \|", section)


@pytest.mark.parametrize("read", [in_documentation, in_argument_specification, in_readme])
def test_every_check_is_named(read: t.Callable[[], list[str]]) -> None:
    named, known = read(), list(checks.TITLES)
    assert read.__doc__
    assert [name for name in known if name not in named] == [], f"Add this to {read.__doc__}"
    assert [name for name in named if name not in known] == [], f"Remove this from {read.__doc__}"
    assert named == known, f"Another order than the checks have: {read.__doc__}"


def test_root_knows_the_checks_without_trac() -> None:
    """The names and titles of the worker's checks, too: Ansible's Python on hosts has no Trac."""
    source = (
        f"import sys; sys.modules['trac'] = None; import {checks.__name__} as c; print(*c.TITLES)"
    )
    output = subprocess.check_output(
        [sys.executable, "-c", source], text=True, env={"PYTHONPATH": os.pathsep.join(sys.path)}
    )
    assert output.split() == list(checks.TITLES)


def test_every_check_stands_in_one_place() -> None:
    """A name has one title; its further parts say whose they are."""
    titled = [each.name for each in checks.FUNCTIONS if each.title]
    assert len(titled) == len(set(titled))
    assert {each.name for each in checks.FUNCTIONS} == set(titled)


def test_every_module_with_a_check_is_known() -> None:
    """Decorated functions of a module that nobody lists would never run."""
    package = ROOT / "plugins" / "module_utils" / "_doctor"
    pattern = re.compile(r"(?m)^@(check|part)\(")
    with_checks = {
        path.stem for path in package.glob("*.py") if pattern.search(path.read_text("utf-8"))
    }
    known = {each.function.__module__.rpartition(".")[2] for each in checks.FUNCTIONS}
    assert with_checks == known, (
        "Modules with checks are listed in checks.py, worker.py or environment.py"
    )
