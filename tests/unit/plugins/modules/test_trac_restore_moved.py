# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Environments with everything that SQLite let in, on their way to a server.

They run where TRAC_TEST_POSTGRES or TRAC_TEST_MYSQL says so, see test_trac_environments_databases.
"""

from __future__ import annotations

import contextlib
import pathlib
import sqlite3
import typing as t

import pytest

from ansible_collections.trac.mod_wsgi.tests.unit.plugins.modules.backed_up import (
    BackupHost,
    dump,
    station,
)
from ansible_collections.trac.mod_wsgi.tests.unit.plugins.modules.reconciled import (
    Document,
    unpack,
)
from ansible_collections.trac.mod_wsgi.tests.unit.plugins.modules.test_trac_environments_databases import (  # noqa: E501
    Database,
    database,
)

__all__ = ["database", "station"]

MENDABLE = [
    "UPDATE milestone SET due='' WHERE name IN ('milestone1', 'milestone2')",
    "INSERT INTO session VALUES ('old', '', '')",
    "UPDATE ticket SET keywords=CAST('bytes ü' AS BLOB)",
]
WITH_NUL = "UPDATE wiki SET text='a' || char(0) || 'b' WHERE name='Größe'"


def execute(station: BackupHost, *statements: str) -> None:
    for statement in statements:
        station.host.execute(statement)


def execute_in(station: BackupHost, name: str, *statements: str) -> None:
    for statement in statements:
        station.host.execute(statement, name)


def moved(station: BackupHost, database: Database, **arguments: t.Any) -> Document:
    """Move the environment to the server."""
    item = {"name": "project", "database": database.uri}
    return station.restore(item, overwrite=True, **arguments)


def on_postgres(database: Database) -> bool:
    return database.uri.startswith("postgres")


def test_all_values_that_the_server_refuses_are_named_at_once(
    station: BackupHost, database: Database
) -> None:
    execute(
        station,
        *MENDABLE,
        "UPDATE milestone SET completed='next year' WHERE name='milestone3'",
        "UPDATE ticket SET description=CAST(x'67726fdf' AS TEXT)",
        "UPDATE ticket SET changetime=1e300",
        "INSERT INTO repository VALUES (3000000000, 'name', 'x')",
        "INSERT INTO permission VALUES (NULL, 'WIKI_VIEW')",
    )
    station.back_up()
    before = station.host.snapshot()
    for check in (True, False):
        message = moved(station, database, check=check)["msg"]
        assert "milestone.due of rowid 1 is ''" in message
        assert "session.authenticated of rowid 1 is ''" in message
        assert "milestone.completed of rowid 3 is 'next year'" in message
        assert "ticket.description of rowid 1 holds text that is not UTF-8" in message
        assert "ticket.changetime of rowid 1 is 1e+300" in message
        assert "repository.id of rowid 1 is 3000000000; the column takes" in message
        assert "permission.username" in message
        assert ("ticket.keywords" in message) == on_postgres(database)
        assert "mend (trac_restore_mend)" in message
        assert "have to be corrected" in message
        assert database.tables() == []
        assert station.host.snapshot() == before


def test_values_are_mended_on_request(station: BackupHost, database: Database) -> None:
    execute(station, *MENDABLE, WITH_NUL)
    station.back_up()
    (archive,) = station.backups.glob("*.tar.gz")
    packed = archive.read_bytes()
    assert "milestone.due" in moved(station, database)["msg"]
    predicted = moved(station, database, check=True, mend=True)
    assert database.tables() == []
    result = moved(station, database, mend=True)
    assert "failed" not in result
    changes = result["environments"][0]["changes"]
    assert changes == predicted["environments"][0]["changes"]
    assert "mend milestone.due: '' becomes 0 (rowid 1, 2)" in changes
    due = "SELECT name FROM milestone WHERE due=0 ORDER BY name"
    assert database.execute(due)[:2] == [("milestone1",), ("milestone2",)]
    key = "SELECT authenticated, last_visit FROM session WHERE sid='old'"
    assert database.execute(key) == [(0, 0)]
    assert database.execute("SELECT keywords FROM ticket") == [("bytes ü",)]
    text = "ab" if on_postgres(database) else "a\0b"
    assert database.execute("SELECT text FROM wiki WHERE name='Größe'") == [(text,)]
    assert any("NUL" in each for each in changes) == on_postgres(database)
    assert archive.read_bytes() == packed


def test_rows_that_are_the_same_for_the_server_are_named(
    station: BackupHost, database: Database
) -> None:
    long = "x" * 200
    execute(
        station,
        "INSERT INTO component (name) VALUES ('a'), ('a '), ('A')",
        f"INSERT INTO version (name) VALUES ('{long}1'), ('{long}2')",
    )
    station.back_up()
    result = moved(station, database, mend=True)
    if on_postgres(database):
        assert "failed" not in result
        assert database.execute("SELECT count(*) FROM component WHERE name LIKE 'a%'") == [(2,)]
        return
    assert "component.name" in result["msg"]
    assert "version.name" in result["msg"]
    assert "2 found" in result["msg"]
    assert database.tables() == []


def test_large_rows_do_not_go_into_one_packet(station: BackupHost, database: Database) -> None:
    if on_postgres(database):
        pytest.skip("a limit of MySQL's")
    (most,) = database.execute("SELECT @@max_allowed_packet")
    with contextlib.closing(sqlite3.connect(station.directory / "project/db/trac.db")) as db:
        page = "x" * (most[0] // 10)
        for version in range(12):
            db.execute("INSERT INTO wiki (name, version, text) VALUES ('L', ?, ?)", (version, page))
        db.commit()
    station.back_up()
    result = moved(station, database)
    assert "msg" not in result
    query = "SELECT count(*), sum(length(text)) FROM wiki WHERE name='L'"
    assert database.execute(query) == [(12, 12 * len(page))]


def test_what_does_not_move_is_named(station: BackupHost, database: Database) -> None:
    execute(
        station,
        "CREATE VIEW open_tickets AS SELECT * FROM ticket WHERE status<>'closed'",
        "CREATE INDEX by_hand ON ticket (reporter)",
        "CREATE TRIGGER watching AFTER UPDATE ON milestone BEGIN"
        " INSERT INTO system VALUES ('changed', '1'); END",
        "UPDATE milestone SET due='' WHERE name='milestone1'",
        "DELETE FROM system WHERE name='changed'",
    )
    station.back_up()
    result = moved(station, database, mend=True)
    assert "failed" not in result
    (warning,) = [each for each in result["warnings"] if "made by hand" in each]
    assert warning.endswith("trigger watching, view open_tickets, index by_hand")
    assert database.execute("SELECT count(*) FROM system WHERE name='changed'") == [(0,)]


def test_reports_in_the_sql_of_sqlite_are_named(station: BackupHost, database: Database) -> None:
    queries = {
        91: "SELECT strftime('%Y', time / 1000000, 'unixepoch') AS year FROM ticket",
        92: 'SELECT id AS ticket FROM ticket WHERE status = "new"',
        93: "SELECT id AS ticket FROM ticket WHERE id = $NUMBER OR owner = $USER",
        94: "query:status=new&order=nothing",
        95: "SELECT 'a' || summary AS one FROM ticket WHERE summary LIKE '%|| %'",
        96: "SELECT 1) AS tab; COMMIT; DELETE FROM ticket; COMMIT; SELECT * FROM (SELECT 1",
    }
    with contextlib.closing(sqlite3.connect(station.directory / "project/db/trac.db")) as db:
        db.executemany(
            "INSERT INTO report (id, title, query) VALUES (?, 'of old', ?)", queries.items()
        )
        db.commit()
    station.back_up()
    result = moved(station, database)
    assert "failed" not in result
    (warning,) = [each for each in result["warnings"] if "the new database refuses" in each]
    assert "report 91 (of old): " in warning
    assert "strftime" in warning
    assert ("report 92" in warning) == on_postgres(database)  # text for MySQL
    assert "report 96" in warning
    assert not any(f"report {number}" in warning for number in (*range(1, 9), 93, 94, 95))
    others = [each for each in result["warnings"] if "may answer otherwise" in each]
    assert ["95; LIKE" in each for each in others].count(True) == 1
    assert any("||" in each and "95" in each for each in others) != on_postgres(database)
    assert len(database.execute("SELECT id FROM ticket")) == 1


def test_an_old_environment_is_upgraded_on_the_way(station: BackupHost, database: Database) -> None:
    """Its trac.ini is changed by the upgrade, too."""
    unpack("1.0", station.directory).rename(station.directory / "old")
    execute_in(station, "old", "UPDATE milestone SET due='' WHERE name='milestone1'")
    station.back_up("old")
    item = {"name": "old", "database": database.uri}
    assert "milestone.due of rowid 1" in station.restore(item, overwrite=True)["msg"]
    assert database.tables() == []
    result = station.restore(item, overwrite=True, mend=True)
    assert "msg" not in result
    assert database.execute("SELECT value FROM system WHERE name='database_version'") == [("45",)]
    assert database.execute("SELECT due FROM milestone WHERE name='milestone1'") == [(0,)]


def test_a_database_outside_of_the_environment_moves_from_the_backup(
    station: BackupHost, database: Database, tmp_path: pathlib.Path
) -> None:
    """Not from the place that trac.ini names, where it is live."""
    live = tmp_path / "live.db"
    (station.directory / "project" / "db" / "trac.db").rename(live)
    ini = station.host.ini_path()
    ini.write_text(ini.read_text().replace("sqlite:db/trac.db", f"sqlite:{live}"))
    station.back_up()
    with contextlib.closing(sqlite3.connect(live)) as db:
        db.execute("UPDATE ticket SET summary='Written later'")
        db.commit()
    later = dump(live)
    result = moved(station, database)
    assert "msg" not in result
    assert database.execute("SELECT summary FROM ticket") == [("Irreplaceable – ü\n'x'",)]
    assert dump(live) == later
