# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module and .tracignore: what the project index shows after a run."""

from __future__ import annotations

import json
import os
import pathlib
import pwd
import sys
import typing as t

import pytest
from ansible.module_utils.testing import patch_module_args

from ansible_collections.trac.mod_wsgi.plugins.modules import trac_environments

pytest.importorskip("trac.env")

Call = t.Callable[..., t.Dict[str, t.Any]]


@pytest.fixture
def call(tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> Call:
    """Run the module on environments by their names."""

    def run(*names: str, check: bool = False, **arguments: t.Any) -> dict[str, t.Any]:
        parameters = {
            "environments": [{"name": name} for name in names],
            "directory": str(tmp_path),
            "python": sys.executable,
            "user": pwd.getpwuid(os.geteuid()).pw_name,
            "_ansible_check_mode": check,
            "_ansible_diff": True,
            "_ansible_module_name": "trac_environments",
            **arguments,
        }
        with patch_module_args(parameters), pytest.raises(SystemExit):
            trac_environments.main()
        return t.cast("dict[str, t.Any]", json.loads(capsys.readouterr().out))

    return run


def index(directory: pathlib.Path) -> list[str]:
    from trac.web.main import get_environments

    return sorted(get_environments({"trac.env_parent_dir": str(directory)}))


def test_only_environments_are_shown(call: Call, tmp_path: pathlib.Path) -> None:
    (tmp_path / "lost+found").mkdir()
    (tmp_path / "project").mkdir()
    predicted = call("project", check=True, ignore=["svn*"])
    assert not (tmp_path / ".tracignore").exists()
    result = call("project", ignore=["svn*"])
    for key in ("changed", "diff", "ignored"):
        assert result[key] == predicted[key]
    assert result["ignored"] == [".*", "svn*", "lost+found"]
    assert result["diff"][-1]["after_header"] == str(tmp_path / ".tracignore")
    assert "lost+found\n" in result["diff"][-1]["after"]
    (tmp_path / "svn-1").mkdir()
    assert index(tmp_path) == ["project"]
    again = call("project", ignore=["svn*"])
    assert (again["changed"], again["diff"]) == (False, [])
    # A name that becomes an environment's is no longer ignored.
    (tmp_path / "later").mkdir()
    assert "later" in call("project")["ignored"]
    assert "later" not in call("project", "later")["ignored"]
    assert index(tmp_path) == ["later", "project"]


def test_an_environment_is_never_hidden(call: Call, tmp_path: pathlib.Path) -> None:
    call("other")
    for check in (True, False):
        result = call("project", check=check, ignore=["pro*"])
        assert result["msg"].startswith("ignore: 'pro*' would hide the environment project on")
        assert not (tmp_path / "project").exists()
        # One that the task does not name is found on the host only.
        result = call("project", check=check, ignore=["o*"])
        assert "'o*' would hide the environment other" in result["msg"]
        assert result["environments"][0]["changed"]  # which is no reason to stop
        assert (tmp_path / "project").exists() is not check
    assert index(tmp_path) == ["other", "project"]


def test_a_fresh_host_is_predicted(call: Call, tmp_path: pathlib.Path) -> None:
    result = call("project", check=True, ignore=["x"], python="/nonexistent/python")
    assert result["ignored"] == [".*", "x"]
    assert os.listdir(tmp_path) == []
