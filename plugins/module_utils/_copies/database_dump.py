# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Dumps of databases on servers, and the way back.

Each dump is read again by what would load it, before anybody relies on it.
"""

from __future__ import annotations

import contextlib
import gzip
import os
import typing as t

from ansible_collections.trac.mod_wsgi.plugins.module_utils._copies import (
    mysql_dump,
    mysql_load,
    postgres_dump,
)
from ansible_collections.trac.mod_wsgi.plugins.module_utils._trac import database as trac_database
from ansible_collections.trac.mod_wsgi.plugins.module_utils._trac import (
    database_objects,
    database_tools,
)
from ansible_collections.trac.mod_wsgi.plugins.module_utils._trac.environment_spec import (
    EnvironmentFailure,
)

# The tools that dump.
TOOLS = ("pg_dump", "mysqldump")
# Seconds that somebody may hold what a dump has to lock.
_PATIENCE = 60


def kind(environment: t.Any) -> str:
    """The scheme of the connection string: sqlite, postgres or mysql."""
    from trac.db.api import DatabaseManager, parse_connection_uri

    return str(parse_connection_uri(DatabaseManager(environment).connection_uri)[0])


def schema(environment: t.Any) -> str | None:
    """PostgreSQL's schema; None for a database of another kind."""
    return database_tools.server(environment).schema if kind(environment) == "postgres" else None


def file_in(directory: str, scheme: str) -> str:
    """Where the dump is in a copy of an environment."""
    ending = ".gz" if scheme == "postgres" else ""
    return os.path.join(directory, "db", f"{scheme}-db-backup.sql{ending}")


@contextlib.contextmanager
def attachments_held(connection: t.Any, scheme: str) -> t.Iterator[str | None]:
    """Keep attachments from being added or removed, so that files and rows fit together.

    Everything else goes on. Yields the name of what PostgreSQL's database holds at this moment,
    which the same connection sees meanwhile. MySQL has no such names.
    """
    there = connection.has_table("attachment")
    connection.rollback()
    cursor = connection.cursor()
    moment = None
    if scheme == "postgres":
        cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        cursor.execute(f"SET LOCAL lock_timeout = '{_PATIENCE}s'")
        if there:
            cursor.execute("LOCK TABLE attachment IN SHARE MODE")
        cursor.execute("SELECT pg_export_snapshot()")
        moment = str(cursor.fetchone()[0])
    elif there:
        cursor.execute(f"SET SESSION innodb_lock_wait_timeout = {_PATIENCE}")
        cursor.execute("SELECT count(*) FROM attachment LOCK IN SHARE MODE")
        cursor.fetchall()
    try:
        yield moment
    finally:
        connection.rollback()


def dump(
    environment: t.Any, copy: str, tables: t.Collection[str], moment: str | None = None
) -> None:
    """Dump the database into a copy of the environment; it has to hold these tables."""
    scheme = kind(environment)
    path = file_in(copy, scheme)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with trac_database.connected(environment) as connection:
        if scheme == "postgres":
            postgres_dump.write(environment, connection, path, moment)
        else:
            mysql_dump.write(environment, connection, path)
    _check(path, tables)


def _check(path: str, tables: t.Collection[str]) -> None:
    """Refuse a dump that could not be loaded, or leaves a table out."""
    with _read(path) as lines:
        if path.endswith(".gz"):
            found = {each.name for each in postgres_dump.entries(lines) if each.type == "TABLE"}
        else:
            read = mysql_dump.statements(lines)
            found = {each.name for each in read if each.kind == "table"}
    missing = sorted(set(tables) - found)
    if missing:
        raise EnvironmentFailure(
            f"the dump of the database lacks {len(missing)} of {len(tables)} tables: "
            f"{', '.join(database_objects.shown(missing))}"
        )


def _read(path: str) -> t.IO[bytes]:
    opener: t.Any = gzip.open if path.endswith(".gz") else open
    return t.cast(t.IO[bytes], opener(path, "rb"))


def check_tools(environment: t.Any) -> None:
    """Refuse a database that no dump can be loaded into for want of a tool."""
    if kind(environment) == "postgres":
        database_tools.tool(environment, "pg_dump", "psql")


def load(environment: t.Any, path: str, rows: t.Mapping[str, int]) -> list[str]:
    """Load a dump into the database of an environment, in place of what that holds.

    This happens as a whole or not at all. Returns what somebody should know: views, triggers and
    the like that could not be made, or are somebody else's now.
    """
    if kind(environment) == "postgres":
        with _read(path) as lines:
            return postgres_dump.load(environment, lines, rows)
    return mysql_load.load(environment, lambda: _read(path), rows)


def compare(wanted: t.Mapping[str, int], found: t.Mapping[str, int]) -> None:
    """Refuse a database that does not hold the rows that it should."""
    for table, count in sorted(wanted.items()):
        if found.get(table) != count:
            raise EnvironmentFailure(
                f"the table {table} should hold {count} rows, and holds {found.get(table, 'none')}"
            )
