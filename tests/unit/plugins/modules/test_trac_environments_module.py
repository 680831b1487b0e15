# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module that runs the reconciler: its input, its results, what it hides."""

from __future__ import annotations

import os
import pathlib
import sys

import pytest
from ansible.module_utils import basic

from ansible_collections.trac.mod_wsgi.tests.unit.plugins.modules.reconciled import (
    PROJECT,
    Document,
    Module,
    title,
)


def test_module_reports_per_environment(module: Module) -> None:
    predicted = module(PROJECT, {"name": "other"}, check=True)
    result = module(PROJECT, {"name": "other"})
    for key in ("changed", "environments", "diff", "removed_leftovers"):
        assert result[key] == predicted[key]
    assert result["changed"]
    assert [e["created"] for e in result["environments"]] == [True, True]
    assert "permission TRAC_ADMIN of admin\n" in result["diff"][0]["after"]
    again = module(PROJECT, {"name": "other"})
    assert not again["changed"]
    assert again["diff"] == []
    assert again["environments"][0] == {
        "name": "project",
        "created": False,
        "changed": False,
        "changes": [],
    }


def test_module_fails_at_its_end_with_every_failure(module: Module) -> None:
    result = module(
        {"name": "a", "permissions": {"x": ["NONSENSE"]}},
        PROJECT,
        {"name": "c", "database": "oracle:x"},
    )
    assert result["failed"]
    assert result["changed"]
    assert result["msg"].startswith("2 of 3 environments failed:\n- a: ")
    assert "\n- c: " in result["msg"]
    assert result["environments"][1]["created"]
    assert "NONSENSE" in result["environments"][0]["failure"]


@pytest.mark.parametrize("check", [True, False])
@pytest.mark.parametrize(
    ("documents", "problem"),
    [
        ([{"name": "../x"}], "'../x': the name has to match"),
        ([{"name": ""}], "the name has to match"),
        ([{"name": "a b"}], "the name has to match"),
        ([{"name": "a\n"}], "the name has to match"),
        ([{"name": '"; import os'}], "the name has to match"),
        ([{"name": "a"}, {"name": "a"}], "'a': listed twice"),
        ([{"name": "a", "title": "x\ny"}], "title: it has to be one line"),
        ([{"name": "a", "title": " x"}], "[project] name: the value begins or ends"),
        ([{"name": "a", "config": {"b": {"c": "x\0y"}}}], "'a': [b] c: the value holds a NUL"),
        (
            [{"name": "a", "config": {"b": {"c": {}}}}],
            "'a': [b] c: it is a dictionary; it has to be text",
        ),
        ([{"name": "a", "config": {"b": {"c": ["x,y"]}}}], "'a': [b] c: the items"),
        ([{"name": "a", "config": {"b": 1}}], "[b] has to be a dictionary"),
        ([{"name": "a", "config": {"b": {"c": 1, "C": 2}}}], "two different values"),
        ([{"name": "a", "title": "x", "config": {"project": {"name": "y"}}}], "two different"),
        ([{"name": "a", "config": {"trac": {"database": None}}}], "cannot be without"),
        ([{"name": "a", "permissions": {"b": "TRAC_ADMIN"}}], "have to be a list"),
        ([{"name": "a", "permissions": {"": ["TRAC_ADMIN"]}}], "'' is empty"),
        ([{"name": "a", "permissions": {"ANNA": ["TRAC_ADMIN"]}}], "upper case"),
        ([{"name": "a", "repositories": [{"name": "r"}]}], "repositories"),
    ],
)
def test_module_refuses_bad_input_before_it_touches_anything(
    module: Module, documents: list[Document], problem: str, check: bool
) -> None:
    result = module(PROJECT, *documents, check=check)
    assert problem in result["msg"]
    assert os.listdir(module.host.directory) == []


@pytest.mark.parametrize(
    "missing",
    [{"python": "/nonexistent/bin/python"}, {"user": "no-such-account", "group": None}],
)
def test_module_on_a_fresh_host(module: Module, missing: Document) -> None:
    missing = missing | {"directory": "/nonexistent/environments"}
    result = module(PROJECT, {"name": "other"}, check=True, **missing)
    assert result["changed"]
    assert [e["created"] for e in result["environments"]] == [True, True]
    assert "no" in module(PROJECT, **missing)["msg"]


def test_module_with_a_python_that_has_no_trac(module: Module, tmp_path: pathlib.Path) -> None:
    python = tmp_path / "python"
    python.write_text(f'#!/bin/sh\nshift\nexec {sys.executable} -S -I "$@"\n')
    python.chmod(0o755)
    result = module(PROJECT, python=str(python))
    assert f"{python} cannot import Trac: " in result["msg"]
    assert "No module named" in result["msg"]
    assert module(PROJECT, check=True, python=str(python))["environments"][0]["created"]


@pytest.fixture
def syslog(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the module writes into the system's log."""
    messages: list[str] = []
    monkeypatch.setattr(basic, "has_journal", False)
    monkeypatch.setattr(basic.syslog, "syslog", lambda _priority, message: messages.append(message))
    return messages


def test_module_keeps_secrets_to_itself(module: Module, syslog: list[str]) -> None:
    document = {
        "name": "project",
        "database": "postgres://trac:p%40ss%2Fword@127.0.0.1:1/trac",
        "config": {"notification": {"smtp_password": "hunter2", "smtp_user": "me"}},
    }
    assert module(document)["failed"]  # there is no such server
    for secret in ("p%40ss", "p@ss", "hunter2"):
        assert secret not in module.output
    document["database"] = "sqlite:db/trac.db"
    for password, check in [("hunter2", True), ("hunter2", False), ("correcthorse", False)]:
        document["config"] = {"notification": {"smtp_password": password, "smtp_user": "me"}}
        result = module(document, check=check)
        assert "[notification] smtp_password = ********" in result["diff"][0]["after"]
        assert "hunter2" not in module.output
        assert "correcthorse" not in module.output
    assert "Invoked with" in syslog[0]
    for secret in ("p%40ss", "p@ss", "hunter2", "correcthorse"):
        assert secret not in "".join(syslog)
    assert result["environments"][0]["changes"] == ["set [notification] smtp_password"]
    assert module.host.ini()["notification"]["smtp_password"] == "correcthorse"


def test_what_only_looks_like_a_secret_stays_readable(module: Module) -> None:
    """By its name it has a password; it would be masked wherever it stands."""
    files = {"htpasswd_file": "conf/trac.htpasswd", "password_store": "HtPasswdStore"}
    switches = {"acct_mgr.htfile.HtPasswdStore": "checked", "acct_mgr.db.SessionStore": True}
    document = {
        "name": "project",
        "title": "It is enabled and checked: conf/trac.htpasswd, HtPasswdStore, trac",
        "config": {
            "components": switches,
            "account-manager": files,
            "notification": {"smtp_password": "trac"},
        },
    }
    for check in (True, False):
        after = module(document, check=check)["diff"][0]["after"]
        assert "[components] acct_mgr.htfile.HtPasswdStore = checked\n" in after
        assert "[components] acct_mgr.db.SessionStore = enabled\n" in after
        assert "[account-manager] htpasswd_file = conf/trac.htpasswd\n" in after
        assert f"[project] name = {document['title']}\n" in after
        assert "[notification] smtp_password = ********\n" in after
        assert module.output.count("********") == after.count("********") + 1  # and as argument
    module.host.ini_path().write_text(
        module.host.ini_path().read_text().replace("smtp_password = trac", "smtp_password =")
    )
    # What stands in the file is no secret either, in messages and for its mode.
    module.host.ini_path().chmod(0o664)
    document["config"] = {"trac": {"default_charset": "checked-in"}}
    assert "[trac] default_charset = checked-in\n" in module(document)["diff"][0]["after"]
    assert module.host.ini_path().stat().st_mode & 0o777 == 0o664
    failed = module(document | {"config": {"logging": {"log_file": "/checked/enabled/trac.log"}}})
    assert "there is no directory /checked/enabled" in failed["msg"]


@pytest.mark.parametrize(
    ("code", "succeeds"),
    [
        ("import os; print('noise'); os.write(1, b'noise')", True),
        ("raise RuntimeError('broken plugin')", True),
        ("import sys; sys.exit(3)", True),
        ("import os; os._exit(3)", False),
        ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", False),
    ],
)
def test_module_survives_what_plugins_do(module: Module, code: str, succeeds: bool) -> None:
    module(PROJECT)
    plugin = module.host.directory / "project" / "plugins" / f"plugin_{abs(hash(code))}.py"
    plugin.write_text(code + "\n")
    result = module({"name": "first"}, PROJECT | {"title": "Renamed"}, {"name": "last"})
    assert result["environments"][0]["created"]
    if succeeds:
        assert "msg" not in result
        assert len(result["environments"]) == 3
        assert title(module.host) == "Renamed"
    else:
        assert "- project: the process that worked on it ended with " in result["msg"]
        assert result["msg"].endswith(("exit status 3", "signal SIGSEGV"))
        assert [e["created"] for e in result["environments"]] == [True, False, True]
        assert "name = My Project" in module.host.ini_path().read_text()


def test_worker_takes_no_setting_from_its_surroundings(
    module: Module, monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path
) -> None:
    (tmp_path / "trac").mkdir()
    (tmp_path / "trac" / "__init__.py").write_text("raise SystemExit('wrong Trac')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setenv("LC_ALL", "xx_XX.nonsense")
    monkeypatch.chdir(tmp_path)
    os.umask(0o077)
    try:
        assert module(PROJECT | {"title": "Größe"})["changed"]
    finally:
        os.umask(0o022)
    assert title(module.host) == "Größe"
