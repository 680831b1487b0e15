# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a virtual environment lacks; the one that these tests run in is looked at."""

from __future__ import annotations

import json
import pathlib
import sys
import typing as t
import venv
from importlib.metadata import version

import pytest
from ansible.module_utils.testing import patch_module_args

from ansible_collections.trac.mod_wsgi.plugins.modules import virtualenv_info


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """A virtual environment with pip, which knows what these tests know."""
    path = tmp_path_factory.mktemp("made") / "venv"
    venv.create(path, with_pip=True)
    (lib,) = path.glob("lib/python*/site-packages")
    ours = "\n".join(entry for entry in sys.path if "site-packages" in entry)
    (lib / "ours.pth").write_text(ours)
    return path


def run(
    path: pathlib.Path, requirements: list[str], capsys: pytest.CaptureFixture[str]
) -> dict[str, t.Any]:
    parameters = {"path": str(path), "requirements": requirements}
    with patch_module_args(parameters), pytest.raises(SystemExit):
        virtualenv_info.main()
    result: dict[str, t.Any] = json.loads(capsys.readouterr().out)
    return result


def test_what_is_met_and_what_is_not(
    made: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    there = version("packaging")
    result = run(
        made,
        [
            f"Packaging=={there}",
            "packaging>=1",
            "packaging[extra]<1",
            "nothing-of-that-name>=1",
            "other @ https://example.org/other.whl",
            'nothing-of-that-name; python_version < "3"',
            "not a requirement",
        ],
        capsys,
    )
    assert result["exists"] is True
    assert result["changed"] is False
    assert result["unmet"] == [
        {"requirement": "packaging[extra]<1", "name": "packaging", "installed": there},
        {
            "requirement": "nothing-of-that-name>=1",
            "name": "nothing-of-that-name",
            "installed": None,
        },
    ]


def test_without_one_nothing_is_met(
    tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    result = run(tmp_path / "venv", ["Trac==1.6"], capsys)
    assert result["exists"] is False
    assert [entry["installed"] for entry in result["unmet"]] == [None]


def test_one_that_is_broken_is_named(
    tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "pip").touch()
    python = tmp_path / "bin" / "python"
    python.write_text("#!/bin/sh\necho broken >&2\nexit 1\n")
    python.chmod(0o755)
    # More than a pipe holds: it ends before all of that was written.
    result = run(tmp_path, ["Trac==1.6"] * 20_000, capsys)
    assert "could not be asked: broken" in result["msg"]


def test_one_without_its_python_is_named(
    tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "pip").touch()
    (tmp_path / "bin" / "python").symlink_to("/nonexistent/python3")
    result = run(tmp_path, ["Trac==1.6"], capsys)
    assert "python could not be asked: No such file" in result["msg"]
