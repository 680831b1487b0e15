# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Environments on PostgreSQL and MySQL servers.

They run where TRAC_TEST_POSTGRES or TRAC_TEST_MYSQL is the connection string of an empty database,
whose login owns it, and where the driver is there.
"""

from __future__ import annotations

import contextlib
import gzip
import os
import pathlib
import shutil
import sqlite3
import typing as t
from urllib.parse import quote

import pytest

from ansible_collections.trac.mod_wsgi.plugins.module_utils._copies import database_dump
from ansible_collections.trac.mod_wsgi.plugins.module_utils._core import processes
from ansible_collections.trac.mod_wsgi.plugins.module_utils._environments import (
    reconcile as environment_reconcile,
)
from ansible_collections.trac.mod_wsgi.plugins.module_utils._environments import (
    remove as environment_remove,
)
from ansible_collections.trac.mod_wsgi.plugins.module_utils._trac import database as trac_database
from ansible_collections.trac.mod_wsgi.plugins.module_utils._upgrade import worker as upgrade_worker
from ansible_collections.trac.mod_wsgi.tests.fixtures.environments import compare
from ansible_collections.trac.mod_wsgi.tests.unit.plugins.modules.reconciled import (
    PROJECT,
    SERIES,
    Document,
    Host,
    Module,
    unpack,
)

ABSENT: Document = {"name": "project", "state": "absent"}
SERVERS = {
    "postgres": os.environ.get("TRAC_TEST_POSTGRES"),
    "schema": f"{os.environ.get('TRAC_TEST_POSTGRES')}?schema=my%20project",
    "mysql": os.environ.get("TRAC_TEST_MYSQL"),
}


class Database:
    """The database of the tests, emptied before and after."""

    def __init__(self, uri: str, place: pathlib.Path) -> None:
        self.uri = uri
        self.place = place

    @contextlib.contextmanager
    def environment(self) -> t.Iterator[t.Any]:
        from ansible_collections.trac.mod_wsgi.plugins.module_utils._trac import ini as trac_ini
        from ansible_collections.trac.mod_wsgi.plugins.module_utils._trac import opening

        parser = trac_ini.proposal(str(self.place), {("trac", "database"): self.uri})
        proposed = opening.environment_class()(str(self.place), parser, new=True)
        with opening.opened(proposed) as environment:
            yield environment

    def empty(self) -> None:
        with self.environment() as environment:
            trac_database.destroy(environment)

    def tables(self) -> list[str]:
        with self.environment() as environment, trac_database.connected(environment) as connection:
            return sorted(connection.get_table_names())

    def execute(self, statement: str) -> list[t.Any]:
        with self.environment() as environment, trac_database.connected(environment) as connection:
            cursor = connection.cursor()
            cursor.execute(statement)
            rows = cursor.fetchall() if statement.startswith("SELECT") else []
            connection.commit()
            return t.cast("list[t.Any]", rows)


@pytest.fixture(params=list(SERVERS))
def database(request: pytest.FixtureRequest, tmp_path: pathlib.Path) -> t.Iterator[Database]:
    kind = request.param
    variable = "TRAC_TEST_MYSQL" if kind == "mysql" else "TRAC_TEST_POSTGRES"
    if variable not in os.environ:
        pytest.skip(f"{variable} is not set")
    pytest.importorskip("pymysql" if kind == "mysql" else "psycopg2")
    database = Database(t.cast("str", SERVERS[kind]), tmp_path / "nowhere")
    database.empty()
    yield database
    database.empty()


def document(database: Database, **more: t.Any) -> Document:
    return {**PROJECT, "new_database": database.uri, **more}


def tickets(database: Database) -> list[t.Any]:
    return database.execute("SELECT summary FROM ticket")


def test_an_environment_is_created_adjusted_copied_and_removed(
    host: Host, database: Database
) -> None:
    predicted = host.one(document(database), check=True)
    assert database.tables() == []
    report = host.one(document(database))
    assert report == predicted
    assert report["failure"] is None
    assert "ticket" in database.tables()
    assert not (host.directory / "project" / "db").exists()
    assert host.one(document(database))["changes"] == []
    assert host.one(PROJECT)["changes"] == []  # its database stays what it is
    change = document(database, permissions={"é": ["WIKI_VIEW"]}, milestones=["mü"])
    assert host.one(change)["changes"] == ["grant WIKI_VIEW to é", "add milestone mü"]
    database.execute("INSERT INTO ticket (summary) VALUES ('Irreplaceable – ü')")
    assert host.one(ABSENT, check=True)["failure"] is None
    report = host.one(ABSENT)
    assert report["failure"] is None
    assert database.tables() == []
    assert os.listdir(host.directory) == []
    (dump,) = pathlib.Path(report["archive"]).glob("db/*-db-backup.sql*")
    with gzip.open(dump) if dump.suffix == ".gz" else dump.open("rb") as file:
        assert "Irreplaceable – ü".encode() in file.read()
    assert host.one(document(database))["created"]  # there is room again


def test_a_database_that_is_used_is_not_taken(host: Host, database: Database) -> None:
    assert host.one(document(database))["created"]
    database.execute("INSERT INTO ticket (summary) VALUES ('Irreplaceable')")
    for check in (True, False):
        report = host.one(document(database, name="second"), check=check)
        assert "it holds tables already" in report["failure"]
    assert tickets(database) == [("Irreplaceable",)]
    assert os.listdir(host.directory) == ["project"]


@pytest.mark.parametrize("step", ["init_db", "insert_default_data", "load_pages", "rename"])
def test_a_killed_creation_is_undone_by_the_next_run(
    host: Host, database: Database, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    from trac.db.api import DatabaseManager
    from trac.wiki.admin import WikiAdmin

    owners: dict[str, t.Any] = {
        "init_db": DatabaseManager,
        "insert_default_data": DatabaseManager,
        "load_pages": WikiAdmin,
        "rename": os,
    }
    real = getattr(owners[step], step)

    def killed(*arguments: t.Any, **more: t.Any) -> None:
        real(*arguments, **more)
        os.kill(os.getpid(), 9)

    if step == "rename":  # before, and after
        monkeypatch.setattr(os, "rename", lambda *_a: os.kill(os.getpid(), 9))
    else:
        monkeypatch.setattr(owners[step], step, killed)
    assert "SIGKILL" in host.one(document(database))["failure"]
    monkeypatch.undo()
    assert database.tables() != []
    assert len(host.hidden()) == 1
    predicted = host.one(document(database), check=True)
    report = host.one(document(database))
    assert report == predicted
    assert report["failure"] is None
    assert report["created"]
    assert host.hidden() == []
    assert database.execute("SELECT count(*) FROM wiki")[0][0] > 50


def test_a_creation_killed_after_its_last_step_is_complete(
    host: Host, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    rename = os.rename

    def killed(*arguments: t.Any) -> None:
        rename(*arguments)
        os.kill(os.getpid(), 9)

    monkeypatch.setattr(os, "rename", killed)
    assert "SIGKILL" in host.one(document(database))["failure"]
    monkeypatch.undo()
    database.execute("INSERT INTO ticket (summary) VALUES ('Irreplaceable')")
    assert host.one(document(database))["changes"] == []
    assert tickets(database) == [("Irreplaceable",)]


def test_a_half_made_database_that_is_in_use_is_left_alone(
    module: Module, database: Database
) -> None:
    """As when somebody has made a leftover directory his own."""
    host = module.host
    assert host.one(document(database))["created"]
    database.execute("INSERT INTO ticket (summary) VALUES ('Irreplaceable')")
    (host.directory / "project").rename(host.directory / ".project.creating-0123abcd")
    result = module({"name": "other"})
    assert "it has rows in ticket" in result["msg"]
    assert result["removed_leftovers"] == []
    assert result["environments"][0]["created"]
    assert tickets(database) == [("Irreplaceable",)]
    assert host.hidden() == [".project.creating-0123abcd"]


def test_a_creation_that_fails_leaves_nothing(
    host: Host, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*dummy: object) -> None:
        raise RuntimeError("broken")

    monkeypatch.setattr(environment_reconcile, "_set_modes", fail)
    assert host.one(document(database))["failure"] == "RuntimeError: broken"
    assert database.tables() == []
    assert os.listdir(host.directory) == []


@pytest.mark.parametrize("step", ["renamed", "destroyed"])
def test_a_killed_removal_is_finished_by_the_next_run(
    host: Host, database: Database, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    assert host.one(document(database))["created"]
    place: tuple[t.Any, str] = (environment_remove, "_destroy")
    if step == "destroyed":
        place = (shutil, "rmtree")
    real = getattr(*place)

    def die(path: str, *arguments: t.Any, **more: t.Any) -> None:
        if ".removing-" in path:
            os.kill(os.getpid(), 9)
        real(path, *arguments, **more)

    monkeypatch.setattr(*place, die)
    assert "SIGKILL" in host.one(ABSENT)["failure"]
    monkeypatch.undo()
    assert host.one(ABSENT, check=True)["changes"] == []
    assert host.one(ABSENT)["failure"] is None
    assert database.tables() == []
    assert os.listdir(host.directory) == []
    assert len(list(host.archive.iterdir())) == (2 if step == "renamed" else 1)


def test_nothing_is_removed_without_the_tool_for_the_copy(
    host: Host, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert host.one(document(database))["created"]
    monkeypatch.setenv("PATH", "/nonexistent")
    for check in (True, False):
        assert "install the database's client tools" in host.one(ABSENT, check=check)["failure"]
    assert "ticket" in database.tables()
    assert os.listdir(host.directory) == ["project"]


def test_nothing_is_removed_when_the_dump_is_cut_off(
    host: Host, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert host.one(document(database))["created"]
    check = database_dump._check

    def cut(name: str, tables: t.Collection[str]) -> None:
        path = pathlib.Path(name)
        text = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        text = text[: len(text) // 2]
        path.write_bytes(gzip.compress(text) if path.suffix == ".gz" else text)
        check(name, tables)

    monkeypatch.setattr(database_dump, "_check", cut)
    assert "the dump of the database is cut off" in host.one(ABSENT)["failure"]
    assert "ticket" in database.tables()
    assert list(host.archive.iterdir()) == []


def test_a_new_password_reaches_trac_ini(module: Module, database: Database) -> None:
    """The servers of the tests may not look at passwords, so the query changes along with it."""
    host = module.host
    assert host.one(document(database))["created"]
    head, _at, tail = database.uri.rpartition("@")
    login, _colon, password = head.rpartition(":")
    same = f"{login}:{quote(password, safe='').replace(password[0], f'%{ord(password[0]):02X}', 1)}"
    same += f"@{tail}"
    predicted = module(document(database, new_database=same), check=True)
    result = module(document(database, new_database=same))
    assert result["environments"] == predicted["environments"]
    assert result["environments"][0]["changes"] == ["set [trac] database"]
    assert ":********@" in result["diff"][0]["after"]
    assert host.ini()["trac"]["database"] == same
    assert not module(document(database, new_database=same))["changed"]
    other = same.replace("@", "@other.", 1) if "@/" not in same else same.replace("@/", "@x/")
    assert not module(document(database, new_database=other))["changed"]


def test_a_server_that_is_not_there_is_a_warning_in_check_mode_only(
    host: Host, database: Database
) -> None:
    scheme = database.uri.partition(":")[0]
    uri = f"{scheme}://trac:s3cret%40@127.0.0.1:1/trac"
    predicted = host.one(document(database, new_database=uri), check=True)
    assert predicted["failure"] is None
    assert "[trac] database: " in predicted["warnings"][0]
    failure = host.one(document(database, new_database=uri))["failure"]
    assert failure.startswith("[trac] database: ")
    assert "s3cret" not in failure + predicted["warnings"][0]
    assert os.listdir(host.directory) == []


def test_environments_are_made_side_by_side(
    host: Host, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One of two that want the same database gets it, and is not harmed by the other."""
    monkeypatch.setattr(processes, "children_for", lambda _jobs: 2)
    reports = host.run(*(document(database, name=name) for name in ("one", "two")))
    failures = [report["failure"] for report in reports.values()]
    assert failures.count(None) <= 1
    assert host.hidden() == []


# Old environments


def old_schema(file: pathlib.Path) -> list[t.Any]:
    """The tables of an old SQLite database, as Trac would have made them on a server."""
    from trac.db.schema import Column, Index, Table

    tables = []
    with contextlib.closing(sqlite3.connect(file)) as db:
        names = "SELECT name FROM sqlite_master WHERE type='table' AND name NOT LIKE 'sqlite%'"
        for (name,) in db.execute(names).fetchall():
            keys: list[str] = []
            indexes = []
            for _number, index, unique, origin, *_more in db.execute(f"PRAGMA index_list({name})"):
                columns = [row[2] for row in db.execute(f"PRAGMA index_info({index})")]
                if origin in ("pk", "u"):
                    keys = columns
                else:
                    indexes.append(Index(columns, unique=bool(unique)))
            columns = []
            for _number, column, kind, _null, _default, primary in db.execute(
                f"PRAGMA table_info({name})"
            ):
                kind = kind.lower()
                counted = bool(primary and kind == "integer" and name != "cache")
                keys = keys or ([column] if primary else [])
                kind = "int" if counted else {"integer": "int64"}.get(kind, kind)
                columns.append(Column(column, type=kind, auto_increment=counted))
            tables.append(Table(name, key=keys)[[*columns, *indexes]])
    return tables


def fill(database: Database, file: pathlib.Path, rows: compare.Tables) -> None:
    """Have a server hold what an old SQLite database holds."""
    from trac.db.api import DatabaseManager

    tables = old_schema(file)
    with database.environment() as environment:
        connector, arguments = DatabaseManager(environment).get_connector()
        connector.init_db(**{**arguments, "schema": tables})
        with trac_database.connected(environment) as connection:
            cursor = connection.cursor()
            for table in tables:
                for row in rows[table.name]:
                    names = ", ".join(connection.quote(column) for column in row)
                    marks = ", ".join(["%s"] * len(row))
                    cursor.execute(
                        f"INSERT INTO {connection.quote(table.name)} ({names}) VALUES ({marks})",
                        list(row.values()),
                    )
                for column in table.columns:
                    if column.auto_increment and rows[table.name]:
                        connection.update_sequence(cursor, table.name, column.name)
            connection.commit()


def all_rows(database: Database) -> compare.Tables:
    found: compare.Tables = {}
    with database.environment() as environment, trac_database.connected(environment) as connection:
        cursor = connection.cursor()
        for table in connection.get_table_names():
            cursor.execute(f"SELECT * FROM {connection.quote(table)}")
            names = [column[0] for column in cursor.description]
            found[table] = [dict(zip(names, row)) for row in cursor.fetchall()]
    return found


@pytest.mark.parametrize("series", SERIES)
def test_an_old_environment_is_adopted(
    host: Host, database: Database, series: str, tmp_path: pathlib.Path
) -> None:
    (tmp_path / "before").mkdir()
    before = unpack(series, tmp_path / "before")
    rows = compare.tables(str(before))
    fill(database, before / "db" / "trac.db", rows)
    assert compare.row_differences(rows, all_rows(database)) == []
    path = unpack(series, host.directory)
    shutil.rmtree(path / "db")
    ini = path / "conf" / "trac.ini"
    text = ini.read_text(encoding="utf-8").replace("sqlite:db/trac.db", database.uri)
    ini.write_text(text, encoding="utf-8")
    predicted = host.one({"name": path.name}, check=True)
    assert compare.row_differences(rows, all_rows(database)) == []
    assert any("database is on a server" in w for w in predicted["warnings"]) == (series != "1.6")
    report = host.one({"name": path.name})
    assert report["failure"] is None
    # What Trac's upgrade changes in trac.ini cannot be predicted here, and is only told afterwards.
    options = {change for change in report["changes"] if change.split()[0] in ("set", "remove")}
    assert set(predicted["changes"]) == {*report["changes"]} - options
    assert bool(options) == (series == "1.0")
    assert ("upgrade the database" in report["changes"]) == (series in ("1.0", "1.2"))
    after = all_rows(database)
    assert compare.database_version(after) == 45
    assert compare.row_differences(rows, after) == []
    assert compare.checksums(str(path)) == compare.checksums(str(before))
    assert host.one({"name": path.name})["changes"] == []


def work(host: Host, what: str, copies: Document, name: str = "project") -> Document:
    """One of the steps of an upgrade; returns what it says about the environment."""
    payload = {
        "work": what,
        "names": [name],
        "directory": str(host.directory),
        "archive": str(host.archive),
        "live_plugins": None,
        "plugins": None,
        "copies": copies,
    }
    events = list(upgrade_worker.run(payload, str(host.archive / "failed")))
    (done,) = [event for event in events if event["event"] == "done"]
    return done


def test_a_failed_upgrade_goes_back(host: Host, database: Database) -> None:
    assert host.one(document(database))["created"]
    database.execute("INSERT INTO ticket (summary) VALUES ('Irreplaceable – ü')")
    tables = database.tables()
    ini = host.ini_path().read_bytes()
    copied = work(host, "copy", {})
    assert copied["failure"] is None
    database.execute("CREATE TABLE half_made (number integer)")
    database.execute("DELETE FROM ticket")
    host.ini_path().write_bytes(ini + b"[half]\nmade = 1\n")
    for _again in range(2):  # as after a run that was killed at the end
        back = work(host, "restore", {"project": copied})
        assert back["failure"] is None
        assert database.tables() == tables
        assert tickets(database) == [("Irreplaceable – ü",)]
        assert host.ini_path().read_bytes() == ini
        assert not (host.directory / "project" / "db").exists()
        assert host.hidden() == []
    kept = sorted(host.archive.glob("project-*-failed-upgrade"))[0]
    assert b"made = 1" in (kept / "conf" / "trac.ini").read_bytes()
    (dump,) = kept.glob("db/*-db-backup.sql*")
    with gzip.open(dump) if dump.suffix == ".gz" else dump.open("rb") as file:
        assert b"half_made" in file.read()
