# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The reconciler, on real Trac environments in temporary directories."""

from __future__ import annotations

import configparser
import contextlib
import difflib
import fcntl
import grp
import json
import os
import pathlib
import pwd
import signal
import sqlite3
import stat
import subprocess
import sys
import time
import typing as t

import pytest
from ansible.module_utils import basic
from ansible.module_utils.testing import patch_module_args

from ansible_collections.trac.mod_wsgi.plugins.module_utils import (
    _environment_input,
    _trac_reconcile,
    _trac_worker,
    _worker_process,
)
from ansible_collections.trac.mod_wsgi.plugins.modules import trac_environments

pytest.importorskip("trac.env")

Document = dict[str, t.Any]
USER = pwd.getpwuid(os.geteuid()).pw_name
PROJECT: Document = {
    "name": "project",
    "title": "My Project",
    "config": {"ticket": {"default_type": "task"}, "notification": {"smtp_enabled": True}},
    "permissions": {"admin": ["TRAC_ADMIN"], "anna": ["developers"], "developers": ["WIKI_ADMIN"]},
}


def specs(documents: list[Document], defaults: Document | None = None) -> list[Document]:
    read, problems = _environment_input.read_specs(documents, defaults)
    assert problems == []
    return [spec.to_json() for spec in read]


class Host:
    """A directory of environments, looked at with means other than the reconciler's."""

    def __init__(self, directory: pathlib.Path) -> None:
        self.directory = directory
        self.archive = directory.parent / "archive"
        self.archive.mkdir(exist_ok=True)

    def payload(self, documents: list[Document], check: bool = False) -> Document:
        return {
            "directory": str(self.directory),
            "check": check,
            "archive": str(self.archive),
            "environments": specs(documents),
        }

    def run(
        self, *documents: Document, check: bool = False, defaults: Document | None = None
    ) -> dict[str, Document]:
        """Reconcile in this process; returns the reports by name."""
        payload = self.payload([], check)
        payload["environments"] = specs(list(documents), defaults)
        umask = os.umask(_trac_worker.UMASK)
        try:
            events = list(_trac_worker.run(payload))
        finally:
            os.umask(umask)
        assert events[-1] == {"event": "end"}
        return {e["report"]["name"]: e["report"] for e in events if e["event"] == "report"}

    def one(self, document: Document, **arguments: t.Any) -> Document:
        return self.run(document, **arguments)[document["name"]]

    def ini_path(self, name: str = "project") -> pathlib.Path:
        return self.directory / name / "conf" / "trac.ini"

    def ini(self, name: str = "project") -> configparser.ConfigParser:
        parser = configparser.ConfigParser(interpolation=None)
        parser.read(self.ini_path(name), encoding="utf-8")
        return parser

    def rows(self, query: str, name: str = "project") -> list[t.Any]:
        with contextlib.closing(sqlite3.connect(self.directory / name / "db" / "trac.db")) as db:
            return db.execute(query).fetchall()

    def execute(self, statement: str, name: str = "project") -> None:
        with contextlib.closing(sqlite3.connect(self.directory / name / "db" / "trac.db")) as db:
            db.execute(statement)
            db.commit()

    def permissions(self, name: str = "project") -> set[tuple[str, str]]:
        return set(self.rows("SELECT username, action FROM permission", name))

    def snapshot(self) -> dict[str, t.Any]:
        """Everything on disk: types, modes, times of change, contents."""
        return {
            str(path): (
                path.lstat().st_mode,
                path.lstat().st_mtime_ns,
                path.read_bytes() if path.is_file() else b"",
            )
            for path in sorted(self.directory.rglob("*"))
        }

    def hidden(self) -> list[str]:
        return [entry for entry in os.listdir(self.directory) if entry.startswith(".")]


@pytest.fixture
def host(tmp_path: pathlib.Path) -> Host:
    directory = tmp_path / "environments"
    directory.mkdir()
    return Host(directory)


@pytest.fixture
def created(host: Host) -> Host:
    assert host.one(PROJECT)["failure"] is None
    return host


def title(host: Host, name: str = "project") -> str:
    from trac.env import Environment

    return t.cast("str", Environment(str(host.directory / name)).project_name)


# Creation


def test_a_new_environment_is_complete(created: Host) -> None:
    assert title(created) == "My Project"
    assert created.ini()["ticket"]["default_type"] == "task"
    assert created.ini()["trac"]["database"] == "sqlite:db/trac.db"
    assert created.ini()["ticket-workflow"]["accept"]  # Trac's default data
    assert {
        ("admin", "TRAC_ADMIN"),
        ("anna", "developers"),
        ("developers", "WIKI_ADMIN"),
        ("anonymous", "WIKI_VIEW"),
    } <= created.permissions()
    pages = {name for (name,) in created.rows("SELECT name FROM wiki")}
    assert {"WikiStart", "TracGuide", "TracLinks"} <= pages


def test_what_is_created_belongs_to_the_group_and_to_nobody_else(created: Host) -> None:
    environment = created.directory / "project"
    for path in [environment, *environment.rglob("*")]:
        expected = 0o2770 if path.is_dir() else 0o660
        assert stat.S_IMODE(path.stat().st_mode) == expected, path
    assert (environment / "db" / "trac.db").is_file()


def test_nothing_in_an_environment_remembers_where_it_was_built(created: Host) -> None:
    for path in (created.directory / "project").rglob("*"):
        if path.is_file():
            assert b".creating-" not in path.read_bytes(), path
    assert created.hidden() == []


def test_the_name_is_the_title_when_there_is_no_other(host: Host) -> None:
    host.one({"name": "plain"})
    assert title(host, "plain") == "plain"


def test_an_empty_directory_is_room_enough(host: Host) -> None:
    (host.directory / "project").mkdir()
    assert host.one(PROJECT)["created"]
    assert title(host) == "My Project"


@pytest.mark.parametrize(
    "text",
    [
        "100% %(name)s %%",
        "{{ lookup('pipe', 'id') }} {% raw %}",
        """He said "it's" \\ fine""",
        "Größe – 漢字 \U0001f600",
        "# no comment ; either",
        "[section] a = b : c",
        "<b>&amp;</b>",
    ],
)
def test_titles_come_through_whole(host: Host, text: str) -> None:
    """At creation and as a change, and they are no change the second time."""
    documents: list[Document] = [PROJECT | {"title": text}, {"name": "other", "title": text}]
    for document in documents:
        host.one({"name": "other", "title": "first"})
        assert host.one(document)["failure"] is None
        assert title(host, document["name"]) == text
        assert host.one(document)["changes"] == []


# Changes


def test_a_second_run_changes_nothing(created: Host) -> None:
    before = created.snapshot()
    report = created.one(PROJECT)
    assert (report["changes"], report["failure"]) == ([], None)
    assert created.snapshot() == before


def test_options_change_in_place(created: Host) -> None:
    path = created.ini_path()
    written = "# mine\n" + path.read_text().replace("[project]", "; ours\n[project]")
    path.write_text(written)
    path.chmod(0o640)
    report = created.one(PROJECT | {"title": "Renamed"})
    assert report["changes"] == ["set [project] name"]
    assert report["before"] == ["[project] name = My Project"]
    assert report["after"] == ["[project] name = Renamed"]
    changed = [
        line
        for line in difflib.ndiff(written.splitlines(), path.read_text().splitlines())
        if line[0] in "+-"
    ]
    assert changed == ["- name = My Project", "+ name = Renamed"]
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert [entry.name for entry in path.parent.iterdir() if entry.name.startswith(".")] == []
    assert title(created) == "Renamed"


def test_trac_notices_the_change_of_a_file_it_has_read(created: Host) -> None:
    from trac.env import Environment

    running = Environment(str(created.directory / "project"))
    created.one(PROJECT | {"title": "Renamed"})
    assert running.config.parse_if_needed()
    assert running.project_name == "Renamed"


@pytest.mark.parametrize("value", [True, "true", "yes", "on", "enabled", 1])
def test_what_trac_spells_its_own_way_is_no_change(host: Host, value: object) -> None:
    from trac.env import Environment

    document = {"name": "project", "config": {"notification": {"smtp_enabled": value}}}
    host.one(document)
    environment = Environment(str(host.directory / "project"))
    environment.config.save()  # as the web administration does
    assert host.ini()["notification"]["smtp_enabled"] == "enabled"
    assert host.one(document)["changes"] == []
    disabled = host.one({"name": "project", "config": {"notification": {"smtp_enabled": False}}})
    assert disabled["after"] == ["[notification] smtp_enabled = disabled"]


def test_what_an_inherited_file_says_is_not_repeated(created: Host, tmp_path: pathlib.Path) -> None:
    shared = tmp_path / "shared.ini"
    shared.write_text("[ticket]\ndefault_priority = blocker\n")
    document: Document = {"name": "project", "config": {"inherit": {"file": str(shared)}}}
    created.one({"name": "project", "config": {"ticket": {"default_priority": None}}})
    created.one(document)
    document["config"]["ticket"] = {"default_priority": "blocker"}
    assert created.one(document)["changes"] == []
    document["config"]["ticket"] = {"default_priority": "minor"}
    assert created.one(document)["changes"] == ["set [ticket] default_priority"]


def test_null_removes_an_option(created: Host) -> None:
    document = {"name": "project", "config": {"ticket": {"default_type": None, "nonsense": None}}}
    assert created.one(document)["changes"] == ["remove [ticket] default_type"]
    assert "default_type" not in created.ini()["ticket"]
    assert created.one(document)["changes"] == []


def test_defaults_hold_where_an_environment_says_nothing_else(host: Host) -> None:
    own: Document = {"name": "own", "config": {"Ticket": {}, "ticket": {"Default_Type": "defect"}}}
    defaults = {"config": {"ticket": {"default_type": "task", "default_priority": "minor"}}}
    host.run({"name": "other"}, own, defaults=defaults)
    assert host.ini("other")["ticket"]["default_type"] == "task"
    assert host.ini("own")["ticket"]["default_type"] == "defect"
    assert host.ini("own")["ticket"]["default_priority"] == "minor"


def test_permissions_are_added_and_none_is_taken_away(created: Host) -> None:
    before = created.permissions()
    report = created.one(
        {"name": "project", "permissions": {"admin": ["TRAC_ADMIN"], "é": ["staff"]}}
    )
    assert report["changes"] == ["grant staff to é"]
    assert created.permissions() == before | {("é", "staff")}


def test_a_link_to_a_trac_ini_elsewhere_stays(created: Host, tmp_path: pathlib.Path) -> None:
    elsewhere = tmp_path / "elsewhere.ini"
    created.ini_path().rename(elsewhere)
    created.ini_path().symlink_to(elsewhere)
    created.one(PROJECT | {"title": "Renamed"})
    assert created.ini_path().is_symlink()
    assert "name = Renamed" in elsewhere.read_text()


def test_logs_are_left_to_the_web_process(host: Host) -> None:
    document = PROJECT | {"config": {"logging": {"log_type": "file", "log_level": "DEBUG"}}}
    host.one(document)
    host.one(document | {"title": "Renamed"})
    assert list((host.directory / "project" / "log").iterdir()) == []


# Check mode


def test_check_mode_predicts_the_run_and_touches_nothing(created: Host) -> None:
    (created.directory / ".old.creating-00000000").mkdir()
    (created.directory / "foreign").mkdir()
    (created.directory / "foreign" / "file").touch()
    documents: list[Document] = [
        PROJECT | {"title": "Renamed", "permissions": {"bob": ["WIKI_VIEW"]}},
        {
            "name": "new",
            "config": {"ticket": {"x": 1}},
            "permissions": {"anonymous": ["WIKI_VIEW"]},
        },
        {"name": "unknown", "permissions": {"bob": ["NONSENSE"]}},
        {"name": "foreign"},
        {"name": "driver", "database": "oracle:x"},
        {"name": "bad", "config": {"logging": {"log_level": "LOUD"}}},
    ]
    before = created.snapshot()
    predicted = created.run(*documents, check=True)
    assert created.snapshot() == before
    assert created.run(*documents) == predicted
    assert [report["failure"] is None for report in predicted.values()] == [
        True,
        True,
        False,
        False,
        False,
        False,
    ]
    assert [len(report["changes"]) for report in predicted.values()] == [2, 6, 0, 0, 0, 0]
    again = created.run(*documents[:2], check=True)
    assert [report["changes"] for report in again.values()] == [[], []]


# Failures


def test_a_failure_does_not_stop_the_others(host: Host) -> None:
    foreign = host.directory / "foreign"
    foreign.mkdir()
    (foreign / "thesis.txt").write_text("three years of work")
    reports = host.run(
        {"name": "foreign"}, {"name": "unknown", "permissions": {"a": ["WIKI_VEIW"]}}, PROJECT
    )
    assert "foreign is not empty and no Trac environment" in reports["foreign"]["failure"]
    assert (foreign / "thesis.txt").read_text() == "three years of work"
    assert "no action WIKI_VEIW; did you mean WIKI_VIEW" in reports["unknown"]["failure"]
    assert not (host.directory / "unknown").exists()
    assert title(host) == "My Project"
    assert host.hidden() == []


@pytest.mark.parametrize(
    ("document", "reason"),
    [
        ({"config": {"logging": {"log_level": "LOUD"}}}, "[logging] log_level"),
        ({"config": {"ticket": {"max_comment_size": "many"}}}, "[ticket] max_comment_size"),
        (
            {"config": {"trac": {"permission_policies": "NoSuchPolicy"}}},
            "[trac] permission_policies",
        ),
        ({"config": {"trac": {"permission_store": "NoStore"}}}, "[trac] permission_store"),
        ({"database": "sqlite:db/other.db"}, "db/other.db"),
        ({"database": "oracle:x"}, "oracle"),
        ({"permissions": {"anna": ["NO_SUCH_ACTION"]}}, "NO_SUCH_ACTION"),
        ({"permissions": {"anna": ["trac_admin"]}}, "TRAC_ADMIN"),
    ],
)
def test_what_trac_cannot_use_is_refused_and_nothing_written(
    created: Host, document: Document, reason: str
) -> None:
    before = created.ini_path().read_bytes(), created.permissions()
    report = created.one({"name": "project", "title": "Renamed", **document})
    assert reason in report["failure"]
    assert report["changes"] == []
    assert (created.ini_path().read_bytes(), created.permissions()) == before
    # The same for an environment that is not there yet, except that it has no database to miss.
    if document.get("database") != "sqlite:db/other.db":
        assert reason in created.one({"name": "new", **document})["failure"]
        assert not (created.directory / "new").exists()


def test_a_broken_trac_ini_is_named(created: Host) -> None:
    created.ini_path().write_text("no section\n")
    assert "conf/trac.ini" in created.one(PROJECT)["failure"]
    assert created.ini_path().read_text() == "no section\n"


def test_an_environment_that_needs_an_upgrade_is_named_with_the_remedy(created: Host) -> None:
    created.execute("UPDATE system SET value='44' WHERE name='database_version'")
    document = PROJECT | {"permissions": {"bob": ["WIKI_VIEW"]}, "upgrade": False}
    report = created.one(document)
    assert f"trac-admin {created.directory / 'project'} upgrade" in report["failure"]
    assert ("bob", "WIKI_VIEW") not in created.permissions()


def test_a_file_that_somebody_else_changes_meanwhile_is_left_alone(
    created: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = created.ini_path()
    real = _trac_reconcile.check_options

    def slow(*arguments: t.Any) -> None:
        path.write_text(path.read_text() + "# saved meanwhile\n")
        real(*arguments)

    monkeypatch.setattr(_trac_reconcile, "check_options", slow)
    report = created.one(PROJECT | {"title": "Renamed"})
    assert "changed by somebody else" in report["failure"]
    assert path.read_text().endswith("# saved meanwhile\n")
    assert created.ini()["project"]["name"] == "My Project"


# Runs that are killed, and runs at the same time


class Child:
    """A worker of its own process, as the module starts it."""

    def __init__(self, payload: Document) -> None:
        self.process = subprocess.Popen(
            _worker_process.command(sys.executable),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        assert self.process.stdin
        self.process.stdin.write(_worker_process.request(trac_environments.WORKER_MODULES, payload))
        self.process.stdin.close()

    def events(self) -> t.Iterator[Document]:
        assert self.process.stdout
        return (json.loads(line) for line in self.process.stdout)

    def wait_for(self, event: str, name: str) -> None:
        for document in self.events():
            if (document["event"], document.get("name")) == (event, name):
                return
        raise AssertionError("the worker ended early")


@pytest.mark.parametrize("moment", [0.0, 0.005, 0.02, 0.05])
def test_a_killed_run_is_made_good_by_the_next(host: Host, moment: float) -> None:
    documents = [{"name": f"p{n}", "title": f"Project {n}"} for n in range(5)]
    child = Child(host.payload(documents))
    child.wait_for("begin", "p2")
    deadline = time.monotonic() + 30
    while not host.hidden() and time.monotonic() < deadline:
        time.sleep(0.001)
    time.sleep(moment)
    child.process.send_signal(signal.SIGKILL)
    child.process.wait()
    # Whatever is visible is complete.
    from trac.web.main import get_environments

    visible = set(get_environments({"trac.env_parent_dir": str(host.directory)}))
    assert visible in ({"p0", "p1"}, {"p0", "p1", "p2"})
    assert host.run(*documents, check=True)["p0"]["changes"] == []
    reports = host.run(*documents)
    assert [report["failure"] for report in reports.values()] == [None] * 5
    assert [title(host, f"p{n}") for n in range(5)] == [f"Project {n}" for n in range(5)]
    assert host.rows("SELECT count(*) FROM wiki", "p2") == host.rows(
        "SELECT count(*) FROM wiki", "p0"
    )
    assert host.hidden() == []


def test_leftovers_are_told_from_what_belongs_to_the_user(host: Host) -> None:
    for name in (".p.creating-0123abcd", ".p.creating-backup", ".git", "p.creating-0123abcd"):
        (host.directory / name).mkdir()
    (host.directory / ".q.creating-0123abcd").symlink_to("/")
    host.run(PROJECT)
    assert sorted(host.hidden()) == [
        ".git",
        ".p.creating-backup",
        ".q.creating-0123abcd",
        ".tracignore",
    ]
    assert (host.directory / "p.creating-0123abcd").is_dir()


def test_two_runs_at_once(host: Host) -> None:
    documents = [{"name": f"p{n}", "title": f"Project {n}"} for n in range(4)]
    children = [Child(host.payload(documents)) for dummy in range(2)]
    reports = [
        [event["report"] for event in child.events() if event["event"] == "report"]
        for child in children
    ]
    assert [child.process.wait() for child in children] == [0, 0]
    assert sorted(sum(report["created"] for report in one) for one in reports) == [0, 4]
    assert not any(report["failure"] for one in reports for report in one)


def test_a_run_that_does_not_end_is_not_waited_for(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_trac_worker, "LOCK_TIMEOUT", 0.1)
    descriptor = os.open(host.directory, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        with pytest.raises(_trac_worker.WorkerFailure, match="another run"):
            host.run(PROJECT)
        assert host.one(PROJECT, check=True)["created"]  # prediction needs no lock
    finally:
        os.close(descriptor)


# The module


class Module:
    """Runs the module as Ansible does, apart from carrying it to a host."""

    def __init__(self, host: Host, capsys: pytest.CaptureFixture[str]) -> None:
        self.host = host
        self.capsys = capsys
        self.output = ""

    def __call__(
        self, *documents: Document, check: bool = False, **arguments: t.Any
    ) -> dict[str, t.Any]:
        parameters: Document = {
            "environments": list(documents),
            "directory": str(self.host.directory),
            "python": sys.executable,
            "user": USER,
            "group": grp.getgrgid(os.getegid()).gr_name,
            "_ansible_check_mode": check,
            "_ansible_diff": True,
            "_ansible_no_log": False,
            "_ansible_module_name": "trac_environments",
            **arguments,
        }
        with patch_module_args(parameters), pytest.raises(SystemExit):
            trac_environments.main()
        self.output = self.capsys.readouterr().out
        result: dict[str, t.Any] = json.loads(self.output)
        assert result.get("failed", False) == ("msg" in result)
        return result


@pytest.fixture
def module(host: Host, capsys: pytest.CaptureFixture[str]) -> Module:
    return Module(host, capsys)


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
        ([{"name": "a", "config": {"b": {"c": {}}}}], "'a': [b] c: a dict cannot be"),
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
