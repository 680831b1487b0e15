# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Environments that are removed or upgraded, after a verified copy."""

from __future__ import annotations

import contextlib
import os
import pathlib
import shutil
import sqlite3
import stat
import textwrap
import threading
import typing as t

import pytest

from ansible_collections.trac.mod_wsgi.plugins.module_utils._copies import (
    hot_copy as copies_hot_copy,
)
from ansible_collections.trac.mod_wsgi.plugins.module_utils._copies import upgrade as copies_upgrade
from ansible_collections.trac.mod_wsgi.plugins.module_utils._environments import preview_room
from ansible_collections.trac.mod_wsgi.plugins.module_utils._environments import (
    reconcile as environment_reconcile,
)
from ansible_collections.trac.mod_wsgi.plugins.module_utils._environments import (
    remove as environment_remove,
)
from ansible_collections.trac.mod_wsgi.tests.unit.plugins.modules.reconciled import (
    PROJECT,
    Document,
    Host,
    Module,
    title,
)

ABSENT: Document = {"name": "project", "state": "absent"}
OLD = "UPDATE system SET value='44' WHERE name='database_version'"


def add_ticket(host: Host) -> None:
    from trac.env import Environment
    from trac.ticket.model import Ticket

    environment = Environment(str(host.directory / "project"))
    ticket = Ticket(environment)
    ticket.populate({"summary": "Irreplaceable", "reporter": "anna", "status": "new"})
    ticket.insert()
    environment.shutdown()


@pytest.fixture
def used(created: Host) -> Host:
    """An environment with a ticket, an attachment, a link and a socket."""
    add_ticket(created)
    files = created.directory / "project" / "files" / "attachments" / "ticket"
    files.mkdir(parents=True)
    (files / "photo.bin").write_bytes(bytes(range(256)) * 10_000)
    (files / "link").symlink_to("photo.bin")
    os.mkfifo(files / "pipe")
    return created


def tickets(path: pathlib.Path) -> list[t.Any]:
    with contextlib.closing(sqlite3.connect(path / "db" / "trac.db")) as db:
        return db.execute("SELECT summary FROM ticket").fetchall()


def copies(host: Host) -> list[pathlib.Path]:
    return sorted(host.archive.iterdir())


# Removal


def test_a_removed_environment_is_whole_in_the_archive(used: Host) -> None:
    from trac.env import Environment

    ini = used.ini_path().read_bytes()
    predicted = used.one(ABSENT, check=True)
    assert copies(used) == []
    report = used.one(ABSENT)
    assert report["changes"] == predicted["changes"]
    assert report["changes"] == ["copy the environment to the archive", "remove the environment"]
    assert os.listdir(used.directory) == []
    (copy,) = copies(used)
    assert report["archive"] == str(copy)
    assert copy.name.startswith("project-20")
    assert stat.S_IMODE(copy.stat().st_mode) == 0o700
    files = copy / "files" / "attachments" / "ticket"
    assert (files / "photo.bin").read_bytes() == bytes(range(256)) * 10_000
    assert os.readlink(files / "link") == "photo.bin"
    assert tickets(copy) == [("Irreplaceable",)]
    assert (copy / "conf" / "trac.ini").read_bytes() == ini
    environment = Environment(str(copy))
    assert not environment.needs_upgrade()
    environment.shutdown()
    assert used.one(ABSENT)["changes"] == []
    assert used.one(ABSENT, check=True)["changes"] == []


def test_what_is_only_in_the_write_ahead_log_is_copied(used: Host) -> None:
    database = used.directory / "project" / "db" / "trac.db"
    with contextlib.closing(sqlite3.connect(database)) as db:
        db.execute("PRAGMA journal_mode=WAL")
        db.execute("UPDATE ticket SET summary='New'")
        db.commit()
        assert used.one(ABSENT)["failure"] is None
    assert tickets(copies(used)[0]) == [("New",)]
    assert list((copies(used)[0] / "db").iterdir()) == [copies(used)[0] / "db" / "trac.db"]


def test_a_database_elsewhere_is_copied_and_removed(host: Host, tmp_path: pathlib.Path) -> None:
    elsewhere = tmp_path / "elsewhere.db"
    document = PROJECT | {"database": f"sqlite:{elsewhere}"}
    assert host.one(document)["created"]
    assert host.one(document | {"name": "second"}, check=True)["failure"].endswith("exists already")
    assert host.one(document | {"name": "second"})["failure"].endswith("exists already")
    assert elsewhere.exists()
    assert host.one(ABSENT)["failure"] is None
    assert not elsewhere.exists()
    with contextlib.closing(sqlite3.connect(copies(host)[0] / "db" / "elsewhere.db")) as db:
        assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


@pytest.mark.parametrize("check", [True, False])
def test_what_is_no_environment_is_not_removed(host: Host, check: bool) -> None:
    (host.directory / "thesis").mkdir()
    (host.directory / "thesis" / "thesis.txt").write_text("three years of work")
    (host.directory / "empty").mkdir()
    (host.directory / "link").symlink_to(host.directory / "thesis")
    (host.directory / "file").touch()
    before = host.snapshot()
    names = ("thesis", "empty", "link", "file", "gone")
    reports = host.run(*({"name": name, "state": "absent"} for name in names), check=check)
    for name in names[:2] + names[3:4]:
        assert "is no Trac environment" in reports[name]["failure"]
    assert "symbolic link" in reports["link"]["failure"]
    assert (reports["gone"]["failure"], reports["gone"]["changes"]) == (None, [])
    now = host.snapshot()
    now.pop(str(host.directory / ".tracignore"), None)
    assert now == before


def test_nothing_is_removed_when_the_copy_is_not_right(
    used: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    def spoil(source: str, target: str) -> None:
        shutil.copyfile(source, target)
        if source.endswith("photo.bin"):
            with open(target, "r+b") as file:
                file.write(b"?")

    monkeypatch.setattr(shutil, "copy2", spoil)
    before = used.snapshot()
    assert "photo.bin does not stop changing" in used.one(ABSENT)["failure"]
    assert used.snapshot() == before
    assert copies(used) == []


def test_nothing_is_removed_when_rows_are_missing(
    used: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Forgetful(sqlite3.Connection):
        def backup(self, target: sqlite3.Connection, **dummy: t.Any) -> None:
            super().backup(target)
            target.execute("DELETE FROM ticket")
            target.commit()

    connect = sqlite3.connect
    monkeypatch.setattr(
        sqlite3,
        "connect",
        lambda path, **more: connect(path, factory=Forgetful, **more),
    )
    assert "does not hold the same rows" in used.one(ABSENT)["failure"]
    monkeypatch.undo()
    assert used.rows("SELECT summary FROM ticket") == [("Irreplaceable",)]
    assert copies(used) == []


def test_a_ticket_that_is_written_meanwhile_stops_the_removal(
    used: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    hot_copy = copies_hot_copy.hot_copy

    def busy(*arguments: t.Any) -> t.Any:
        copy = hot_copy(*arguments)
        used.execute("INSERT INTO ticket (summary) VALUES ('Late')")
        return copy

    monkeypatch.setattr(copies_hot_copy, "hot_copy", busy)
    report = used.one(ABSENT)
    assert "somebody worked in it" in report["failure"]
    assert report["archive"] in report["failure"]
    assert ("Late",) in used.rows("SELECT summary FROM ticket")


def test_a_ticket_that_is_written_at_the_last_moment_stops_the_removal(
    used: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    rename = os.rename

    def busy(source: t.Any, target: t.Any, **more: t.Any) -> None:
        if ".removing-" in str(target):
            used.execute("INSERT INTO ticket (summary) VALUES ('Late')")
        rename(source, target, **more)

    monkeypatch.setattr(os, "rename", busy)
    report = used.one(ABSENT)
    assert "somebody worked in it" in report["failure"]
    assert report["archive"] in report["failure"]
    assert ("Late",) in used.rows("SELECT summary FROM ticket")
    assert used.hidden() == []


def test_a_log_that_grows_does_not_stop_the_removal(
    used: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = used.directory / "project" / "log" / "trac.log"
    log.write_text("old\n")
    copy2 = shutil.copy2

    def growing(source: str, target: str) -> None:
        copy2(source, target)
        with log.open("a") as file:
            file.write("new\n")

    monkeypatch.setattr(shutil, "copy2", growing)
    assert used.one(ABSENT)["failure"] is None
    assert (copies(used)[0] / "log" / "trac.log").read_text().startswith("old\n")


def test_nobody_can_write_while_it_is_copied(used: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    failures: list[str] = []
    copy_sqlite = copies_hot_copy._copy_sqlite

    def attempt() -> None:
        with contextlib.closing(
            sqlite3.connect(used.directory / "project" / "db" / "trac.db", timeout=0.1)
        ) as db:
            try:
                db.execute("INSERT INTO ticket (summary) VALUES ('Late')")
                db.commit()
            except sqlite3.OperationalError as e:
                failures.append(str(e))

    def copying(*arguments: t.Any) -> t.Any:
        visitor = threading.Thread(target=attempt)
        visitor.start()
        visitor.join()
        if failures != ["database is locked"]:
            raise AssertionError(failures)
        return copy_sqlite(*arguments)

    monkeypatch.setattr(copies_hot_copy, "_copy_sqlite", copying)
    assert used.one(ABSENT)["failure"] is None


@pytest.mark.parametrize("step", ["copied", "renamed", "removed"])
def test_a_removal_that_is_killed_is_finished_by_the_next_run(
    used: Host, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    """The process that removes it dies, here or there."""
    rmtree = shutil.rmtree

    def die(path: str = ".removing-", **arguments: t.Any) -> None:
        if ".removing-" in path:
            os.kill(os.getpid(), 9)
        rmtree(path, **arguments)

    places: dict[str, tuple[t.Any, str]] = {
        "copied": (os, "sync"),
        "renamed": (environment_remove, "_destroy"),
        "removed": (shutil, "rmtree"),
    }
    monkeypatch.setattr(*places[step], die if step != "renamed" else lambda *_a: die())
    assert "SIGKILL" in used.one(ABSENT)["failure"]
    monkeypatch.undo()
    predicted = used.run(ABSENT, check=True)
    reports = used.run(ABSENT)
    assert reports["project"]["changes"] == predicted["project"]["changes"]
    assert bool(reports["project"]["changes"]) == (step == "copied")
    assert reports["project"]["failure"] is None
    assert os.listdir(used.directory) == []
    (copy,) = copies(used)
    assert tickets(copy) == [("Irreplaceable",)]


def test_module_makes_the_archive_for_nobody_else(module: Module) -> None:
    module.host.archive.rmdir()
    assert module(PROJECT, check=True)["diff"][0]["after"] == "directory\n"
    assert not module.host.archive.exists()
    module(PROJECT)
    assert stat.S_IMODE(module.host.archive.stat().st_mode) == 0o700
    assert not module(PROJECT)["changed"]
    result = module(ABSENT)
    assert result["environments"][0]["archive"].startswith(str(module.host.archive / "project-"))
    below = module(ABSENT, archive_directory=str(module.host.directory / "archive"))
    assert "archive_directory: it must not be below" in below["msg"]


def test_module_removes_and_upgrades_nothing_without_an_archive(module: Module) -> None:
    module(PROJECT, {"name": "old"})
    module.host.execute(OLD, "old")
    result = module(ABSENT, {"name": "old"}, archive_directory=None)
    assert result["msg"].count("there is no archive_directory") == 2
    assert not result["changed"]
    predicted = module(ABSENT, check=True, python="/nonexistent/python")
    assert predicted["environments"][0]["changes"][-1] == "remove the environment"


# Upgrade


def wiki(host: Host, page: str) -> str:
    query = f"SELECT text FROM wiki WHERE name='{page}' ORDER BY version DESC LIMIT 1"
    return t.cast("str", host.rows(query)[0][0])


@pytest.fixture
def outdated(used: Host) -> Host:
    """An environment of an older Trac."""
    used.execute(OLD)
    used.execute("UPDATE wiki SET text='Old' WHERE name IN ('TracGuide', 'WikiStart')")
    return used


def test_an_outdated_environment_is_copied_and_upgraded(outdated: Host) -> None:
    document: Document = PROJECT | {"title": "Renamed", "permissions": {"bob": ["WIKI_VIEW"]}}
    predicted = outdated.one(document, check=True)
    assert copies(outdated) == []
    report = outdated.one(document)
    assert report["failure"] is None
    assert report["changes"] == [
        "set [project] name",
        "upgrade the database",
        "upgrade the wiki pages",
        "grant WIKI_VIEW to bob",
    ]
    assert {**report, "archive": None} == predicted
    first, second, third = report["before"]
    assert (first, second) == ("[project] name = My Project", "database version 44")
    assert third.startswith("table wiki: ")
    (copy,) = copies(outdated)
    assert copy.name.endswith("-before-upgrade")
    with contextlib.closing(sqlite3.connect(copy / "db" / "trac.db")) as db:
        query = "SELECT value FROM system WHERE name='database_version'"
        assert db.execute(query).fetchall() == [("44",)]
    assert title(outdated) == "Renamed"
    assert outdated.rows(query) > [("44",)]
    assert wiki(outdated, "TracGuide") != "Old"
    assert wiki(outdated, "WikiStart") == "Old"
    assert outdated.one(document)["changes"] == []
    assert [path.name for path in (outdated.directory / "project").glob(".*")] == []


def test_an_upgrade_that_is_killed_is_finished_by_the_next_run(
    outdated: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    from trac.wiki.admin import WikiAdmin

    monkeypatch.setattr(WikiAdmin, "load_pages", lambda *_a, **_k: os.kill(os.getpid(), 9))
    assert "SIGKILL" in outdated.one(PROJECT)["failure"]
    monkeypatch.undo()
    predicted = outdated.one(PROJECT, check=True)
    report = outdated.one(PROJECT)
    assert report["changes"] == predicted["changes"]
    assert "upgrade the wiki pages" in report["changes"]
    assert wiki(outdated, "TracGuide") != "Old"
    assert outdated.one(PROJECT)["changes"] == []


def test_an_upgrade_that_fails_is_told_and_the_copy_stays(
    outdated: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    from trac.db.api import DatabaseManager

    def fail(_self: object) -> None:
        raise RuntimeError("no upgrade today")

    monkeypatch.setattr(DatabaseManager, "upgrade_environment", fail)
    report = outdated.one(PROJECT)
    assert "no upgrade today" in report["failure"]
    assert report["archive"] == str(copies(outdated)[0])
    monkeypatch.undo()
    assert outdated.one(PROJECT)["failure"] is None


PLUGIN = textwrap.dedent(
    """\
    from trac.api import IEnvironmentSetupParticipant
    from trac.core import Component, implements
    from trac.db import Column, DatabaseManager, Table

    class Tags(Component):
        implements(IEnvironmentSetupParticipant)

        def environment_created(self):
            self.upgrade_environment()

        def environment_needs_upgrade(self):
            return DatabaseManager(self.env).get_database_version("tags") is False

        def upgrade_environment(self):
            manager = DatabaseManager(self.env)
            manager.create_tables([Table("tags", key="id")[Column("id"),]])
            manager.set_database_version(1, "tags")
            self.config.set("tags", "upgraded", "yes")
            self.config.save()
    """
)


def test_a_plugin_that_wants_tables_gets_them(outdated: Host) -> None:
    outdated.one(PROJECT)
    outdated.execute("UPDATE wiki SET text='Mine' WHERE name='TracGuide'")
    plugin = outdated.directory / "project" / "plugins" / "tags.py"
    plugin.write_text(PLUGIN)
    predicted = outdated.one(PROJECT, check=True)
    report = outdated.one(PROJECT)
    assert report["failure"] is None
    changes = ["upgrade the database", "set [tags] upgraded"]
    assert report["changes"] == predicted["changes"] == changes
    assert report["after"][1:] == ["table tags: 0 rows", "[tags] upgraded = yes"]
    assert outdated.rows("SELECT count(*) FROM tags") == [(0,)]
    assert outdated.ini()["tags"]["upgraded"] == "yes"
    assert wiki(outdated, "TracGuide") == "Mine"  # pages are Trac's business, not the plugin's
    assert outdated.one(PROJECT)["changes"] == []


def test_what_cannot_be_predicted_before_the_upgrade_is_said(
    outdated: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    def plan(*dummy: object) -> list[t.Any]:
        raise sqlite3.OperationalError("no such table: permission")

    aspect = environment_reconcile.Aspect(plan)
    monkeypatch.setattr(environment_reconcile, "ASPECTS", (aspect,))
    monkeypatch.setattr(preview_room, "_GROWTH", 1 << 40)
    report = outdated.one(PROJECT, check=True)
    assert report["failure"] is None
    assert "cannot be predicted: there is no room in " in report["warnings"][0]
    assert "can be predicted" in report["warnings"][1]
    assert report["changes"] == ["upgrade the database", "upgrade the wiki pages"]


def test_an_upgrade_that_never_ends_is_given_up(
    outdated: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    nothing = copies_upgrade.Outcome([], [], {}, {})
    monkeypatch.setattr(copies_upgrade, "upgrade", lambda _path: nothing)
    for check in (True, False):
        assert "even after the upgrade" in outdated.one(PROJECT, check=check)["failure"]


# trac.ini with secrets


def test_a_trac_ini_with_a_secret_is_closed_to_others(created: Host) -> None:
    created.ini_path().chmod(0o664)
    assert created.one(PROJECT)["changes"] == []
    document = PROJECT | {"config": {"notification": {"smtp_password": "hunter2"}}}
    predicted = created.one(document, check=True)
    assert stat.S_IMODE(created.ini_path().stat().st_mode) == 0o664
    report = created.one(document)
    assert report == predicted
    assert report["changes"] == [
        "keep others from reading trac.ini",
        "set [notification] smtp_password",
    ]
    assert report["before"][0] == "mode of trac.ini: 0664"
    assert stat.S_IMODE(created.ini_path().stat().st_mode) == 0o660
    created.ini_path().chmod(0o644)
    assert created.one(document)["changes"] == ["keep others from reading trac.ini"]
    assert created.one(document)["changes"] == []
