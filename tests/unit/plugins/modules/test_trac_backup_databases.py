# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Backups and restores of environments on PostgreSQL and MySQL servers.

They run where TRAC_TEST_POSTGRES or TRAC_TEST_MYSQL is the connection string of an empty database,
whose login owns it, and where the driver and the client tools are there.
"""

from __future__ import annotations

import pathlib
import shutil
import typing as t

import pytest

from ansible_collections.trac.mod_wsgi.plugins.module_utils._copies import database_dump
from ansible_collections.trac.mod_wsgi.plugins.module_utils._restore import worker as restore_worker
from ansible_collections.trac.mod_wsgi.plugins.module_utils._trac import database as trac_database
from ansible_collections.trac.mod_wsgi.tests.unit.plugins.modules.backed_up import (
    BackupHost,
    assert_named,
    assert_not_named,
    restore_killed,
    station,
    tree,
    use,
)
from ansible_collections.trac.mod_wsgi.tests.unit.plugins.modules.reconciled import (
    PROJECT,
    Document,
    title,
)
from ansible_collections.trac.mod_wsgi.tests.unit.plugins.modules.test_trac_environments_databases import (  # noqa: E501
    Database,
    database,
)

__all__ = ["database", "station"]

PLUGIN = """
from trac.core import Component, implements
from trac.db import Column, DatabaseManager, Table
from trac.env import IEnvironmentSetupParticipant

SCHEMA = [Table("votes", key="number")[
    Column("number", auto_increment=True), Column("voter"), Column("weight", type="int64")]]


class Votes(Component):
    implements(IEnvironmentSetupParticipant)

    def environment_created(self):
        self.upgrade_environment()

    def environment_needs_upgrade(self):
        return not DatabaseManager(self.env).has_table("votes")

    def upgrade_environment(self):
        DatabaseManager(self.env).create_tables(SCHEMA)
"""

PLUGIN_OF_SQLITE = """
from trac.core import Component, implements
from trac.env import IEnvironmentSetupParticipant


class OfSQLite(Component):
    implements(IEnvironmentSetupParticipant)

    def environment_created(self):
        self.upgrade_environment()

    def environment_needs_upgrade(self):
        with self.env.db_query as db:
            return not db.has_table("of_sqlite")

    def upgrade_environment(self):
        with self.env.db_transaction as db:
            db.execute("CREATE TABLE of_sqlite (id INTEGER PRIMARY KEY AUTOINCREMENT)")
"""


def all_rows(connection: t.Any, tables: t.Iterable[str]) -> dict[str, list[t.Any]]:
    """What the tables hold, as text, whose order does not depend on the kind of database."""
    cursor = connection.cursor()
    found = {}
    for table in sorted(tables):
        columns = ", ".join(connection.quote(name) for name in _columns(connection, table))
        cursor.execute(f"SELECT {columns} FROM {connection.quote(table)}")
        found[table] = sorted([str(value) for value in row] for row in cursor.fetchall())
    return found


def _columns(connection: t.Any, table: str) -> list[str]:
    return sorted(connection.get_column_names(table))


def contents(path: pathlib.Path) -> dict[str, list[t.Any]]:
    """All rows of an environment but those that visits write."""
    from trac.env import Environment

    environment = Environment(str(path))
    with trac_database.connected(environment) as connection:
        tables = [name for name in connection.get_table_names() if not name.startswith("sqlite_")]
        found = all_rows(connection, tables)
    environment.shutdown()
    return found


@pytest.fixture
def served(station: BackupHost, database: Database) -> BackupHost:
    """The environment `server`, in use, whose database is on a server."""
    document = {**PROJECT, "name": "server", "database": database.uri}
    assert station.host.one(document)["failure"] is None
    use(station.directory / "server")
    (station.directory / "server" / "files" / "pipe").unlink()
    return station


def change(database: Database) -> None:
    database.execute("UPDATE ticket SET summary='Written later'")
    database.execute("DELETE FROM wiki")


def test_a_lost_environment_comes_back_with_its_database(
    served: BackupHost, database: Database
) -> None:
    path = served.directory / "server"
    rows, files = contents(path), tree(path)
    assert served.back_up("server", check=True)["backups"] == [{"name": "server"}]
    assert "failed" not in served.back_up("server")
    assert contents(path) == rows
    shutil.rmtree(path)
    database.empty()
    assert "failed" not in served.restore("server", check=True)
    assert database.tables() == []
    result = served.restore("server")
    assert "failed" not in result
    assert contents(path) == rows
    assert tree(path) == files
    assert title(served.host, "server") == "My Project"
    # Numbers go on where they were.
    assert _new_ticket(path) == 2
    assert served.host.one({**PROJECT, "name": "server"})["changes"] == []


def _new_ticket(path: pathlib.Path) -> int:
    from trac.env import Environment
    from trac.ticket.model import Ticket

    environment = Environment(str(path))
    ticket = Ticket(environment)
    ticket.populate({"summary": "Another", "reporter": "anna", "status": "new"})
    number = t.cast("int", ticket.insert())
    environment.shutdown()
    return number


def test_tables_without_a_directory_are_not_touched_and_kept_when_told(
    served: BackupHost, database: Database
) -> None:
    served.back_up("server")
    rows = contents(served.directory / "server")
    change(database)
    shutil.rmtree(served.directory / "server")
    for check in (True, False):
        item: Document = {"name": "server", "database": database.uri}
        assert "holds tables already" in served.restore(item, check=check)["msg"]
    assert database.execute("SELECT summary FROM ticket") == [("Written later",)]
    result = served.restore("server", overwrite=True)
    assert "failed" not in result
    assert contents(served.directory / "server") == rows
    (kept,) = served.kept()
    assert result["environments"][0]["kept"] == str(kept)
    (dump,) = kept.glob("db/*-db-backup.sql*")
    with database_dump._read(str(dump)) as file:
        assert b"Written later" in file.read()


def test_what_is_overwritten_is_kept(served: BackupHost, database: Database) -> None:
    served.back_up("server")
    rows = contents(served.directory / "server")
    change(database)
    database.execute("CREATE TABLE of_later (a INTEGER)")
    result = served.restore("server", overwrite=True)
    assert "failed" not in result
    assert contents(served.directory / "server") == rows
    (kept,) = served.kept()
    (dump,) = kept.glob("db/*-db-backup.sql*")
    with database_dump._read(str(dump)) as file:
        assert b"Written later" in file.read()


def test_a_dump_that_cannot_be_loaded_leaves_the_database_as_it_was(
    served: BackupHost, database: Database
) -> None:
    file = served.back_up("server")["backups"][0]["file"]
    change(database)
    before = contents(served.directory / "server")
    served.rewrite(file, rows={"ticket": 2, "it's": 1})
    result = served.restore("server", overwrite=True)
    assert "ticket" in result["msg"] or "it's" in result["msg"]
    assert contents(served.directory / "server") == before
    assert served.host.hidden() == []


def test_a_run_that_is_killed_between_database_and_files_is_named(
    served: BackupHost, database: Database
) -> None:
    path = served.directory / "server"
    file = served.back_up("server")["backups"][0]["file"]
    rows, files = contents(path), tree(path)
    change(database)
    (path / "htdocs" / "later").write_text("later")
    restore_killed(served, "server", file, (restore_worker._Place, "publish"))
    assert contents(path) == rows
    assert (path / "htdocs" / "later").exists()
    assert_named(served, "server")
    assert "was killed while it replaced" in served.back_up("server")["msg"]
    assert "failed" not in served.restore("server", overwrite=True)
    assert contents(path) == rows
    assert tree(path) == files
    assert_not_named(served, "server")
    assert "failed" not in served.back_up("server")


def test_another_name_needs_another_database(served: BackupHost) -> None:
    file = served.back_up("server")["backups"][0]["file"]
    result = served.restore({"name": "copy", "file": file}, overwrite=True)
    assert "give a database for the environment with the new name" in result["msg"]
    result = served.restore({"name": "copy", "file": file, "database": "sqlite:db/trac.db"})
    assert "can be restored into" in result["msg"]


@pytest.fixture
def plugged(station: BackupHost, database: Database) -> BackupHost:
    """The environment `project` on SQLite with the table of a plugin, and an empty database."""
    assert database.tables() == []
    path = station.directory / "project"
    (path / "files" / "pipe").unlink()
    (path / "plugins" / "votes.py").write_text(PLUGIN)
    assert station.host.one(PROJECT)["failure"] is None
    station.host.execute("INSERT INTO votes (number, voter, weight) VALUES (7, 'ü', 99999999999)")
    station.host.execute(
        "INSERT INTO report (author, title, query) VALUES ('a', 'b', 'SELECT CAST(1 AS integer)')"
    )
    return station


def on_server(database: Database) -> Document:
    return {"name": "project", "database": database.uri}


def test_sqlite_moves_to_a_server(plugged: BackupHost, database: Database) -> None:
    path = plugged.directory / "project"
    rows, files = contents(path), tree(path)
    plugged.back_up()
    shutil.rmtree(path)
    predicted = plugged.restore(on_server(database), check=True)
    assert database.tables() == []
    result = plugged.restore(on_server(database))
    assert "failed" not in result
    changes = result["environments"][0]["changes"]
    assert changes == predicted["environments"][0]["changes"]
    kind = database.uri.partition(":")[0]
    assert changes == ["restore the environment", f"move its database from sqlite to {kind}"]
    moved = contents(path)
    assert set(moved) == set(rows)
    for table, content in rows.items():
        if table != "report":  # the SQL of reports is adapted
            assert moved[table] == content
    assert len(moved["report"]) == len(rows["report"])
    assert not (path / "db" / "trac.db").exists()
    (config, was) = (path / "conf" / "trac.ini").read_text(), files.pop("conf/trac.ini")[1]
    assert config.replace(database.uri, "sqlite:db/trac.db").encode() == was
    now = tree(path)
    del now["conf/trac.ini"]
    assert now == files
    assert _new_ticket(path) == 2
    database.execute("INSERT INTO votes (voter) VALUES ('next')")
    assert database.execute("SELECT number FROM votes WHERE voter='next'") == [(8,)]
    assert plugged.host.one({**PROJECT, "database": database.uri})["changes"] == []


def test_sqlite_replaces_what_a_server_holds(plugged: BackupHost, database: Database) -> None:
    plugged.back_up()
    plugged.restore(on_server(database), overwrite=True)
    change(database)
    assert "exists already" in plugged.restore(on_server(database))["msg"]
    result = plugged.restore(on_server(database), overwrite=True)
    assert "failed" not in result
    assert database.execute("SELECT summary FROM ticket") != [("Written later",)]
    dumps = [path for copy in plugged.kept() for path in copy.glob("db/*-db-backup.sql*")]
    texts = []
    for path in dumps:
        with database_dump._read(str(path)) as file:
            texts.append(file.read())
    assert any(b"Written later" in text for text in texts)


def test_tables_of_an_unknown_plugin_stop_the_move(plugged: BackupHost, database: Database) -> None:
    plugged.host.execute("CREATE TABLE unknown (a)")
    plugged.host.execute("CREATE TABLE empty (a)")
    plugged.host.execute("INSERT INTO unknown VALUES (1)")
    plugged.back_up()
    before = plugged.host.snapshot()
    result = plugged.restore(on_server(database), overwrite=True)
    assert "makes the tables unknown, which hold rows" in result["msg"]
    assert database.tables() == []
    assert plugged.host.snapshot() == before


def test_an_unknown_column_stops_the_move(plugged: BackupHost, database: Database) -> None:
    plugged.host.execute("ALTER TABLE ticket ADD COLUMN mood")
    plugged.back_up()
    result = plugged.restore(on_server(database), overwrite=True)
    assert "the table ticket has columns" in result["msg"]
    assert "mood" in result["msg"]
    assert database.tables() == []


def test_a_move_that_fails_puts_back_what_was_there(
    plugged: BackupHost, database: Database
) -> None:
    plugged.back_up()
    assert "failed" not in plugged.restore(on_server(database), overwrite=True)
    change(database)
    before = contents(plugged.directory / "project")
    (archive,) = plugged.backups.glob("*.tar.gz")
    _spoil(plugged, archive)
    result = plugged.restore(on_server(database), overwrite=True)
    assert "syntax" in result["msg"]
    assert contents(plugged.directory / "project") == before


def _spoil(station: BackupHost, archive: pathlib.Path) -> None:
    """Put a plugin into the backup that makes its table in the SQL of SQLite."""
    from ansible_collections.trac.mod_wsgi.plugins.module_utils._copies import tar_environment

    place = station.directory.parent / "spoiled"
    with archive.open("rb") as file:
        tar_environment.unpack(file, "project", str(place), 1 << 30)
    (place / "plugins" / "of_sqlite.py").write_text(PLUGIN_OF_SQLITE)
    archive.unlink()
    packed = tar_environment.pack(str(place), "project", str(archive))
    station.rewrite(str(archive), bytes=packed.bytes)


def test_an_older_database_is_upgraded_before_it_moves(
    plugged: BackupHost, database: Database
) -> None:
    plugged.host.execute("UPDATE system SET value='44' WHERE name='database_version'")
    plugged.back_up()
    assert "failed" not in plugged.restore(on_server(database), overwrite=True)
    rows = database.execute("SELECT value FROM system WHERE name='database_version'")
    assert rows == [("45",)]
    assert len(database.execute("SELECT summary FROM ticket")) == 1


def test_attachments_wait_while_a_dump_is_made(served: BackupHost, database: Database) -> None:
    """Rows and files of attachments are of one moment; tickets go on meanwhile."""
    if database.uri.startswith("mysql"):
        pytest.skip("how long MySQL waits is set for the server")
    assert served.directory.exists()
    insert = "INSERT INTO attachment (type, id, filename) VALUES ('ticket', '1', 'late')"
    with database.environment() as environment, trac_database.connected(
        environment
    ) as connection, database_dump.attachments_held(connection, "postgres") as moment:
        assert moment
        database.execute("UPDATE ticket SET summary='meanwhile'")
        rows = trac_database.row_counts(connection)
        with pytest.raises(Exception, match="lock timeout"):
            _impatient(database, insert)
    assert rows["attachment"] == 1
    database.execute(insert)
    assert len(database.execute("SELECT 1 FROM attachment")) == 2


def _impatient(database: Database, statement: str) -> None:
    with database.environment() as environment, trac_database.connected(environment) as connection:
        cursor = connection.cursor()
        cursor.execute("SET lock_timeout = '200ms'")
        cursor.execute(statement)
