# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Make an environment as Trac 0.11, 0.12, 1.0, 1.2 or 1.4 has left it, without that Trac.

The directories and files are those of `create` in trac/env.py and of `_get_path` in
trac/attachment.py of the tags that schema.py names.
"""

from __future__ import annotations

import contextlib
import hashlib
import pathlib
import re
import sqlite3
import typing as t
from urllib.parse import quote, unquote, urlsplit

from ansible_collections.trac.mod_wsgi.tests.unit.plugins.ages import contents, schema

PLUGIN = '''\
# -*- coding: utf-8 -*-
"""A plugin with a table of its own, which has worked since Trac 1.0."""
from trac.core import Component, implements
from trac.db import Column, DatabaseManager, Index, Table
from trac.env import IEnvironmentSetupParticipant

STARS = Table("stars", key="id")[
    Column("id", auto_increment=True), Column("page"), Column("voter"),
    Column("weight", type="int64"), Index(["page"])]


class Stars(Component):
    implements(IEnvironmentSetupParticipant)

    def environment_created(self):
        self.upgrade_environment()

    def environment_needs_upgrade(self, db=None):
        return not DatabaseManager(self.env).get_database_version("stars_version")

    def upgrade_environment(self, db=None):
        DatabaseManager(self.env).create_tables([STARS])
        DatabaseManager(self.env).set_database_version(1, "stars_version")
'''
POLICY = '''\
# -*- coding: utf-8 -*-
"""Nobody but those who are named reads pages that begin with Geheim."""
from trac.core import Component, implements
from trac.perm import IPermissionPolicy


class HausPolicy(Component):
    implements(IPermissionPolicy)

    def check_permission(self, action, username, resource, perm):
        if resource is not None and resource.realm == "wiki" and resource.id:
            if resource.id.startswith("Geheim") and username == "anonymous":
                return False
        return None
'''
INI = """\
# -*- coding: utf-8 -*-
# Bitte nur Änderungen, die Zoë kennt.

[account-manager]
password_file = conf/trac.htpasswd
password_store = HtPasswdStore

[attachment]
max_size = 262144

[components]
acct_mgr.admin.* = enabled
acct_mgr.api.* = enabled
acct_mgr.htfile.HtPasswdStore = enabled
acct_mgr.web_ui.LoginModule = enabled
haus.* = enabled
stars.* = enabled
webadmin.* = enabled

[header_logo]
src = site/Größe 100%.png

[logging]
log_file = trac.log
log_type = file

[notification]
always_notify_owner = true
smtp_password = p%(ss) wörd
ticket_subject_template = $prefix #$ticket.id: $summary

[project]
descr = Fünfzehn Jahre, 100%
name = Maß & "Gewicht"

[ticket-custom]
aufwand = select
aufwand.options = |klein|mittel|groß
kunde = text
kunde.label = Kunde
kunde.order = 1

[trac]
authz_file =
database = {database}
default_charset = iso-8859-15
mainnav = wiki,timeline,tickets
metanav = login,logout
permission_policies = {policies}
repository_dir =
repository_type = svn
"""
POLICIES = {
    "0.11": "HausPolicy, DefaultPermissionPolicy, LegacyAttachmentPolicy",
    "0.12": "HausPolicy, DefaultPermissionPolicy, LegacyAttachmentPolicy",
    "1.0": "HausPolicy, DefaultPermissionPolicy, LegacyAttachmentPolicy",
    "1.2": "HausPolicy, ReadonlyWikiPolicy, DefaultPermissionPolicy, LegacyAttachmentPolicy",
    "1.4": "HausPolicy, DefaultWikiPolicy, DefaultTicketPolicy, DefaultPermissionPolicy,"
    " LegacyAttachmentPolicy",
}
HTPASSWD = "jörg:{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g=\n"

# A table whose plugin nobody knows any more, with columns that Trac has none of.
_POLL = {
    "sqlite": "CREATE TABLE old_poll (note text, share real, picture blob)",
    "postgres": "CREATE TABLE old_poll (note text, share double precision, picture bytea)",
    "mysql": "CREATE TABLE old_poll (note text, share double, picture longblob)",
}
_POLL_ROWS = [("Größe", 0.1, bytes(range(256))), ("", None, b""), (None, -1.5e300, None)]
VIEW = "open_tickets"
TRIGGER = "ticket_noted"
# Something is noted of each new ticket, and there is a view, an index by hand, a routine.
_OBJECTS = {
    "sqlite": (
        f"CREATE VIEW {VIEW} AS SELECT id, summary FROM ticket WHERE status <> 'closed'",
        "CREATE INDEX by_hand ON ticket (reporter, owner)",
        (
            f"CREATE TRIGGER {TRIGGER} AFTER INSERT ON ticket BEGIN"
            " INSERT INTO old_poll (note) VALUES ('ü;' || NEW.id); END"
        ),
    ),
    "postgres": (
        f"CREATE VIEW {VIEW} AS SELECT id, summary FROM ticket WHERE status <> 'closed'",
        "CREATE INDEX by_hand ON ticket (reporter, owner)",
        (
            "CREATE FUNCTION noted() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
            " INSERT INTO old_poll (note) VALUES ('ü;' || NEW.id); RETURN NEW; END $$"
        ),
        f"CREATE TRIGGER {TRIGGER} AFTER INSERT ON ticket FOR EACH ROW EXECUTE PROCEDURE noted()",
    ),
    "mysql": (
        f"CREATE VIEW {VIEW} AS SELECT id, summary FROM ticket WHERE status <> 'closed'",
        "CREATE INDEX by_hand ON ticket (reporter(20), owner(20))",
        (
            "CREATE PROCEDURE noted(number INT) INSERT INTO old_poll (note)"
            " VALUES (CONCAT('ü;', number))"
        ),
        (
            f"CREATE TRIGGER {TRIGGER} AFTER INSERT ON ticket FOR EACH ROW"
            " INSERT INTO old_poll (note) VALUES (CONCAT('ü;', NEW.id))"
        ),
        "CREATE EVENT nightly ON SCHEDULE EVERY 1 DAY DO DELETE FROM auth_cookie WHERE time < 0",
    ),
}
# What each release has told MySQL to use; utf8 has no characters of four bytes.
CHARACTER_SETS = {
    "0.11": "utf8mb3",
    "0.12": "utf8mb3",
    "1.0": "utf8mb4",
    "1.2": "utf8mb4",
    "1.4": "utf8mb3",
}


def kind_of(uri: str) -> str:
    """Which kind of database a connection string leads to."""
    return uri.partition(":")[0]


@contextlib.contextmanager
def connected(uri: str, path: pathlib.Path) -> t.Iterator[t.Any]:
    """A connection to a database, without Trac's means; it is committed in the end."""
    kind, parts = kind_of(uri), urlsplit(uri)
    if kind == "sqlite":
        file = path / uri.partition(":")[2].partition("?")[0]
        file.parent.mkdir(exist_ok=True)
        connection: t.Any = sqlite3.connect(file)
    else:
        login = {
            "user": unquote(parts.username or ""),
            "password": unquote(parts.password or ""),
            "host": parts.hostname,
            "port": parts.port,
        }
        name = parts.path.strip("/")
        if kind == "postgres":
            import psycopg2

            connection = psycopg2.connect(dbname=name, **login)
            found = re.search(r"schema=([^&]+)", parts.query)
            if found:
                schema_name = unquote(found.group(1))
                connection.cursor().execute(f'CREATE SCHEMA IF NOT EXISTS "{schema_name}"')
                connection.cursor().execute(f'SET search_path TO "{schema_name}"')
        else:
            import pymysql

            connection = pymysql.connect(database=name, charset="utf8mb4", **login)
    with contextlib.closing(connection):
        yield connection
        connection.commit()


def empty(uri: str) -> None:
    """Remove everything from a database on a server, as somebody who has lost it."""
    with connected(uri, pathlib.Path()) as connection:
        cursor = connection.cursor()
        if kind_of(uri) == "postgres":
            cursor.execute("SELECT current_schema()")
            name = cursor.fetchone()[0]
            cursor.execute(f'DROP SCHEMA "{name}" CASCADE')
            if name == "public":
                cursor.execute("CREATE SCHEMA public")
            return
        for kind, query in _MYSQL_OBJECTS.items():
            cursor.execute(query)
            for (name,) in cursor.fetchall():
                cursor.execute(f"DROP {kind} `{name}`")
        cursor.execute("ALTER DATABASE CHARACTER SET utf8mb4 COLLATE utf8mb4_bin")


_MYSQL_OBJECTS = {
    "EVENT": "SELECT event_name FROM information_schema.events WHERE event_schema=database()",
    "VIEW": "SELECT table_name FROM information_schema.views WHERE table_schema=database()",
    "TABLE": "SELECT table_name FROM information_schema.tables"
    " WHERE table_schema=database() AND table_type='BASE TABLE'",
    "PROCEDURE": "SELECT routine_name FROM information_schema.routines"
    " WHERE routine_schema=database() AND routine_type='PROCEDURE'",
}


def takes_wide(series: str, kind: str) -> bool:
    """Whether the database takes characters of four bytes."""
    return kind != "mysql" or CHARACTER_SETS[series] == "utf8mb4"


def fill(series: str, uri: str, path: pathlib.Path, objects_by: str | None = None) -> None:
    """Make and fill the tables; `objects_by` is a connection string of another who adds the view,
    the trigger and the routine.
    """
    kind = kind_of(uri)
    wide = takes_wide(series, kind)
    tables = [*schema.tables(series).values(), schema.Table.of(schema.PLUGIN)]
    filled = contents.rows(series, kind, wide)
    mark = "?" if kind == "sqlite" else "%s"
    with connected(uri, path) as connection:
        cursor = connection.cursor()
        if kind == "mysql":
            charset = CHARACTER_SETS[series]
            cursor.execute(f"ALTER DATABASE CHARACTER SET {charset} COLLATE {charset}_bin")
        for table in tables:
            for statement in schema.create(table, series, kind, 4 if wide else 3):
                cursor.execute(statement)
            for row in filled[table.name]:
                names = ", ".join(schema.quoted(name, kind) for name in row)
                marks = ", ".join([mark] * len(row))
                cursor.execute(
                    f"INSERT INTO {schema.quoted(table.name, kind)} ({names}) VALUES ({marks})",
                    tuple(row.values()),
                )
            if kind == "postgres" and any(each.type == "serial" for each in table.columns):
                cursor.execute(
                    f"SELECT setval(pg_get_serial_sequence('{table.name}', 'id'), max(id))"
                    f" FROM {table.name}"
                )
        cursor.execute(_POLL[kind])
        cursor.executemany(f"INSERT INTO old_poll VALUES ({mark}, {mark}, {mark})", _POLL_ROWS)
    with connected(objects_by or uri, path) as connection:
        for statement in _OBJECTS[kind]:
            connection.cursor().execute(statement)


def attachment_file(series: str, realm: str, parent: str, name: str) -> pathlib.PurePath:
    """Where that release keeps an attached file, within the environment."""
    if schema.VERSIONS[series] < schema.VERSIONS["1.0"]:
        # In Python 2 a tilde was quoted.
        return pathlib.PurePath(
            "attachments", realm, *(quote(text).replace("~", "%7E") for text in (parent, name))
        )
    above = hashlib.sha1(parent.encode()).hexdigest()
    ending = re.search(r"\.[A-Za-z0-9]+\Z", name)
    file = hashlib.sha1(name.encode()).hexdigest() + (ending.group() if ending else "")
    return pathlib.PurePath("files", "attachments", realm, above[:3], above, file)


def make(
    path: pathlib.Path,
    series: str,
    uri: str = "sqlite:db/trac.db",
    volume: pathlib.Path | None = None,
    objects_by: str | None = None,
) -> pathlib.Path:
    """Make an environment; where there is a `volume`, its attachments are there, behind a link.

    :param uri: a connection string, of an empty database if it is one of PostgreSQL or MySQL
    """
    is_old = schema.VERSIONS[series] < schema.VERSIONS["1.0"]
    path.mkdir()
    for directory in ("conf", "htdocs", "log", "plugins", "templates"):
        (path / directory).mkdir()
    files = path / ("attachments" if is_old else "files")
    if volume:
        volume.mkdir()
        files.symlink_to(volume)
    else:
        files.mkdir()
    _write(path / "VERSION", "Trac Environment Version 1\n")
    _write(path / "README", "This directory contains a Trac environment.\n")
    _write(path / "conf" / "trac.ini", INI.format(database=uri, policies=POLICIES[series]))
    _write(path / "conf" / "trac.htpasswd", HTPASSWD)
    _write(path / "plugins" / "stars.py", PLUGIN)
    _write(path / "plugins" / "haus.py", POLICY)
    _write(path / "htdocs" / "Größe 100%.png", "no picture")
    _write(path / "log" / "trac.log", "2010-01-01 Trac[env] INFO: -----\n")
    if series == "0.11":  # as 0.10 has made it, which nobody has removed
        (path / "wiki-macros").mkdir()
        _write(path / "wiki-macros" / "Hallo.py", "def execute(*args):\n    print 'Hallo'\n")
    fill(series, uri, path, objects_by)
    for realm, parent, name, content in contents.attachments(takes_wide(series, kind_of(uri))):
        file = path / attachment_file(series, realm, parent, name)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
    return path


def _write(path: pathlib.Path, text: str) -> None:
    path.write_bytes(text.encode("utf-8"))
