# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Environments of Trac 0.11 and 0.12 are upgraded at once, without a Trac in between."""

from __future__ import annotations

import contextlib
import pathlib
import sqlite3
import typing as t

import pytest

from ansible_collections.trac.mod_wsgi.tests.unit.plugins.modules.reconciled import Host

# As trac.db_default of 0.11 has it.
TABLES = """
CREATE TABLE system (name text PRIMARY KEY, value text);
CREATE TABLE permission (username text, action text, UNIQUE (username, action));
CREATE TABLE auth_cookie (cookie text, name text, ipnr text, time integer,
    UNIQUE (cookie, ipnr, name));
CREATE TABLE session (sid text, authenticated integer, last_visit integer,
    UNIQUE (sid, authenticated));
CREATE TABLE session_attribute (sid text, authenticated integer, name text, value text,
    UNIQUE (sid, authenticated, name));
CREATE TABLE attachment (type text, id text, filename text, size integer, time integer,
    description text, author text, ipnr text, UNIQUE (type, id, filename));
CREATE TABLE wiki (name text, version integer, time integer, author text, ipnr text, text text,
    comment text, readonly integer, UNIQUE (name, version));
CREATE TABLE revision (rev text PRIMARY KEY, time integer, author text, message text);
CREATE TABLE node_change (rev text, path text, node_type text, change_type text, base_path text,
    base_rev text, UNIQUE (rev, path, change_type));
CREATE TABLE ticket (id integer PRIMARY KEY, type text, time integer, changetime integer,
    component text, severity text, priority text, owner text, reporter text, cc text, version text,
    milestone text, status text, resolution text, summary text, description text, keywords text);
CREATE TABLE ticket_change (ticket integer, time integer, author text, field text, oldvalue text,
    newvalue text, UNIQUE (ticket, time, field));
CREATE TABLE ticket_custom (ticket integer, name text, value text, UNIQUE (ticket, name));
CREATE TABLE enum (type text, name text, value text, UNIQUE (type, name));
CREATE TABLE component (name text PRIMARY KEY, owner text, description text);
CREATE TABLE milestone (name text PRIMARY KEY, due integer, completed integer, description text);
CREATE TABLE version (name text PRIMARY KEY, time integer, description text);
CREATE TABLE report (id integer PRIMARY KEY, author text, title text, query text,
    description text);
CREATE INDEX wiki_time_idx ON wiki (time);
CREATE INDEX revision_time_idx ON revision (time);
CREATE INDEX node_change_rev_idx ON node_change (rev);
CREATE INDEX ticket_time_idx ON ticket (time);
CREATE INDEX ticket_status_idx ON ticket (status);
"""
CACHE = "CREATE TABLE cache (id text PRIMARY KEY, generation integer);"
ROWS = """
INSERT INTO system VALUES ('initial_database_version', '21');
INSERT INTO system VALUES ('repository_dir', 'svn:0123:/srv/svn');
INSERT INTO system VALUES ('youngest_rev', '2');
INSERT INTO permission VALUES ('anna', 'TRAC_ADMIN');
INSERT INTO wiki VALUES ('WikiStart', 1, 1200000000, 'zoë', '192.0.2.7', '= Öl =', '', 0);
INSERT INTO revision VALUES ('2', 1200000000, 'zoë', 'Änderung');
INSERT INTO node_change VALUES ('2', 'trunk/öl.c', 'F', 'A', NULL, '-1');
INSERT INTO enum VALUES ('ticket_type', 'defect', '1');
INSERT INTO enum VALUES ('priority', 'major', '1');
INSERT INTO milestone VALUES ('Übergabe', 1230000000, 0, '');
INSERT INTO ticket (id, type, time, changetime, priority, reporter, status, summary)
    VALUES (7, 'defect', 1200000000, 1200000009, 'major', 'zoë', 'new', 'Öl tropft');
INSERT INTO ticket_change VALUES (7, 1200000009, 'bob', 'comment', '1', 'Привет 漢字');
INSERT INTO attachment VALUES ('ticket', '7', 'Öl stand.bin', 5, 1200000000, '', 'zoë', NULL);
INSERT INTO report VALUES (1, 'anna', 'Offene', 'SELECT id FROM ticket', '');
"""


def make(path: pathlib.Path, version: int) -> None:
    for name in ("conf", "db", "log", "plugins", "htdocs", "templates", "wiki-macros"):
        (path / name).mkdir(parents=True)
    (path / "VERSION").write_text("Trac Environment Version 1\n")
    (path / "README").touch()
    (path / "conf" / "trac.ini").write_text(
        "[trac]\ndatabase = sqlite:db/trac.db\nrepository_dir = /srv/svn\n"
        "permission_policies = DefaultPermissionPolicy, LegacyAttachmentPolicy\n"
        "[project]\nname = Alt\n",
        encoding="utf-8",
    )
    attached = path / "attachments" / "ticket" / "7"
    attached.mkdir(parents=True)
    (attached / "%C3%96l%20stand.bin").write_bytes(b"\0\1\2\3\4")
    with contextlib.closing(sqlite3.connect(path / "db" / "trac.db")) as database:
        database.executescript(TABLES + ROWS)
        if version > 21:
            upgrade(database, version)
        database.execute("INSERT INTO system VALUES ('database_version', ?)", (str(version),))
        database.commit()


def upgrade(database: sqlite3.Connection, version: int) -> None:
    """As 0.12 had it, and its second development version (24)."""
    database.executescript(
        CACHE
        + """
        CREATE TABLE repository (id integer, name text, value text, UNIQUE (id, name));
        INSERT INTO repository VALUES (1, 'name', '');
        INSERT INTO repository SELECT 1, name, value FROM system
            WHERE name IN ('repository_dir', 'youngest_rev');
        DELETE FROM system WHERE name IN ('repository_dir', 'youngest_rev');
        ALTER TABLE revision RENAME TO revision_old;
        CREATE TABLE revision (repos integer, rev text, time integer, author text, message text,
            UNIQUE (repos, rev));
        INSERT INTO revision SELECT 1, rev, time, author, message FROM revision_old;
        DROP TABLE revision_old;
        ALTER TABLE node_change RENAME TO node_change_old;
        CREATE TABLE node_change (repos integer, rev text, path text, node_type text,
            change_type text, base_path text, base_rev text,
            UNIQUE (repos, rev, path, change_type));
        INSERT INTO node_change SELECT 1, rev, path, node_type, change_type, base_path, base_rev
            FROM node_change_old;
        DROP TABLE node_change_old;
        """
    )
    if version >= 25:
        for table, columns in {
            "attachment": ["time"],
            "wiki": ["time"],
            "revision": ["time"],
            "ticket": ["time", "changetime"],
            "ticket_change": ["time"],
            "milestone": ["due", "completed"],
            "version": ["time"],
        }.items():
            for column in columns:
                database.execute(f"UPDATE {table} SET {column} = {column} * 1000000")
    if version >= 26:
        for table in ("revision", "node_change"):
            database.execute(f"UPDATE {table} SET rev = '0000000002'")


@pytest.mark.parametrize("version", [21, 24, 26])
def test_the_oldest_are_upgraded_at_once(host: Host, version: int) -> None:
    path = host.directory / "project"
    make(path, version)
    before = (path / "db" / "trac.db").read_bytes()
    predicted = host.one({"name": "project"}, check=True)
    assert (path / "db" / "trac.db").read_bytes() == before
    assert (path / "attachments" / "ticket" / "7" / "%C3%96l%20stand.bin").exists()
    assert (predicted["failure"], f"database version {version}") == (None, predicted["before"][0])
    report = host.one({"name": "project"})
    assert report["failure"] is None
    for told in ("changes", "before", "after", "warnings"):
        assert report[told] == predicted[told]

    def rows(query: str) -> list[t.Any]:
        return host.rows(query)

    assert rows("SELECT value FROM system WHERE name='database_version'") == [("45",)]
    assert rows("SELECT id, summary, time FROM ticket") == [(7, "Öl tropft", 1200000000000000)]
    assert rows("SELECT newvalue, time FROM ticket_change") == [("Привет 漢字", 1200000009000000)]
    assert rows("SELECT text, time FROM wiki WHERE name='WikiStart'") == [
        ("= Öl =", 1200000000000000)
    ]
    assert rows("SELECT repos, rev, message FROM revision") == [(1, "0000000002", "Änderung")]
    assert rows("SELECT rev, path FROM node_change") == [("0000000002", "trunk/öl.c")]
    assert rows("SELECT name, due FROM milestone") == [("Übergabe", 1230000000000000)]
    assert rows("SELECT username FROM permission WHERE action='TRAC_ADMIN'") == [("anna",)]
    (attached,) = (path / "files" / "attachments" / "ticket").rglob("*.bin")
    assert attached.read_bytes() == b"\0\1\2\3\4"
    assert not (path / "attachments").exists()
    assert host.one({"name": "project"})["changes"] == []
