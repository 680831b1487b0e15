# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the module returns and warns of; the worker under Trac's Python is a real process."""

from __future__ import annotations

import json
import os
import pathlib
import pwd
import sys
import typing as t

import pytest
from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.testing import patch_module_args

from ansible_collections.trac.mod_wsgi.plugins.module_utils._core import worker_process
from ansible_collections.trac.mod_wsgi.plugins.modules import connection_budget_info

ME = pwd.getpwuid(os.geteuid()).pw_name


def run(
    capsys: pytest.CaptureFixture[str], directory: pathlib.Path, **more: t.Any
) -> dict[str, t.Any]:
    parameters = {
        "environments": ["one", "file"],
        "directory": str(directory),
        "python": sys.executable,
        "user": ME,
        "sites": [{"name": "all", "processes": 3}],
        **more,
    }
    warnings: list[str] = []
    with pytest.MonkeyPatch.context() as patch, patch_module_args(parameters):
        # Ansible's own memory of warnings lasts as long as the process.
        patch.setattr(AnsibleModule, "warn", lambda _self, text: warnings.append(text))
        with pytest.raises(SystemExit) as ended:
            connection_budget_info.main()
    assert ended.value.code == 0
    result: dict[str, t.Any] = json.loads(capsys.readouterr().out)
    assert result["changed"] is False
    return {**result, "warnings": warnings}


@pytest.fixture
def directory(tmp_path: pathlib.Path) -> pathlib.Path:
    for name, database in (
        # Nobody listens on port 1.
        ("one", "postgres://trac:geheim@127.0.0.1:1/one"),
        ("file", "sqlite:db/trac.db"),
    ):
        path = tmp_path / name / "conf" / "trac.ini"
        path.parent.mkdir(parents=True)
        path.write_text(f"[trac]\ndatabase = {database}\n", encoding="utf-8")
    return tmp_path


def test_a_server_that_is_down_is_no_failure(
    capsys: pytest.CaptureFixture[str], directory: pathlib.Path
) -> None:
    result = run(capsys, directory)
    (server,) = result["servers"]
    # Without a driver it is that which is missing.
    assert server.pop("reason")
    assert server == {
        "server": "postgres://127.0.0.1:1",
        "environments": ["one"],
        "needed": 15,
        "available": None,
        "enough": None,
    }
    (warning,) = result["warnings"]
    assert "could not be asked" in warning
    assert "geheim" not in json.dumps(result)


def test_what_the_server_says_is_compared(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], directory: pathlib.Path
) -> None:
    answer = {"server": "postgres://db:5432", "environments": ["one"], "reserved": 3}
    events: list[dict[str, t.Any]] = [
        {"event": "server", "max_connections": 17, **answer},
        {"event": "end"},
    ]
    monkeypatch.setattr(worker_process, "run", lambda *_arguments: iter(events))
    result = run(capsys, directory)
    assert (result["servers"][0]["available"], result["servers"][0]["enough"]) == (14, False)
    assert "can run out of connections" in result["warnings"][0]
    events[0]["max_connections"] = 18
    result = run(capsys, directory)
    assert result["servers"][0]["enough"] is True
    assert result["warnings"] == []


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"user": "nobody-has-this-name"}, "does not exist"),
        ({"python": "/nowhere/bin/python"}, "cannot be run"),
        ({"python": "/usr/bin/false"}, "ended with"),
    ],
)
def test_who_cannot_ask_says_so(
    capsys: pytest.CaptureFixture[str],
    directory: pathlib.Path,
    wrong: dict[str, str],
    words: str,
) -> None:
    result = run(capsys, directory, **wrong)
    assert result["servers"] == []
    (warning,) = result["warnings"]
    assert words in warning
