# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Databases of environments, on servers or in SQLite files, and what outlives a directory."""

from __future__ import annotations

import contextlib
import os
import signal
import time
import typing as t

from ansible_collections.trac.mod_wsgi.plugins.module_utils._trac import (
    database_objects,
    runtime_bindings,
)
from ansible_collections.trac.mod_wsgi.plugins.module_utils._trac.environment_spec import (
    EnvironmentFailure,
)
from ansible_collections.trac.mod_wsgi.plugins.module_utils._trac.opening import reason

_DEFAULT_PORTS = {"postgres": 5432, "mysql": 3306}
# What somebody has put into an environment: with rows of these it is in use.
_CONTENTS = (
    ("ticket", ""),
    ("ticket_change", ""),
    ("attachment", ""),
    ("wiki", " WHERE author <> 'trac'"),
)
_NAMES_SHOWN = 5
# Seconds. PostgreSQL's own limit, which the worker is started with, is shorter.
_PATIENCE = 15
_LONG = 5


class Unreachable(EnvironmentFailure):
    """The database cannot be connected to."""


class NoDriver(EnvironmentFailure):
    """The kind of database is unknown, or its driver is not there."""


def check_driver(environment: t.Any) -> None:
    """Refuse a kind of database that Trac does not know, or has no driver for."""
    from trac.core import TracError
    from trac.db import mysql_backend
    from trac.db.api import DatabaseManager

    try:
        connector = DatabaseManager(environment).get_connector()[0]
    except TracError as e:
        why = reason(e, environment.path)
        kind = str(environment.config.get("trac", "database")).partition(":")[0]
        if runtime_bindings.is_known(kind):
            why = f"its driver is not installed ({why}). Remedy: {runtime_bindings.remedy(kind)}"
        raise NoDriver(f"[trac] database: {why}") from e
    if isinstance(connector, mysql_backend.MySQLConnector) and mysql_backend.pymysql is None:
        why = "its driver PyMySQL is not installed."
        raise NoDriver(f"[trac] database: {why} Remedy: {runtime_bindings.remedy('mysql')}")


def sqlite_file(environment: t.Any) -> str | None:
    """The file of an SQLite database; None for a database of another kind."""
    from trac.db.api import DatabaseManager, parse_connection_uri

    manager = DatabaseManager(environment)
    if parse_connection_uri(manager.connection_uri)[0] != "sqlite":
        return None
    return t.cast(str, os.path.normpath(manager.get_connector()[1]["path"]))


def schema_of(environment: t.Any) -> str | None:
    """PostgreSQL's schema, if the connection string names one."""
    from trac.db.api import DatabaseManager, parse_connection_uri

    uri = DatabaseManager(environment).connection_uri
    parameters = parse_connection_uri(uri)[1].get("params", {})
    return t.cast("str | None", parameters.get("schema"))


def is_elsewhere(environment: t.Any) -> bool:
    """Whether the database outlives the directory of the environment."""
    file = sqlite_file(environment)
    inside = os.path.join(os.path.realpath(environment.path), "")
    return file is None or not os.path.realpath(file).startswith(inside)


def is_linked(environment: t.Any) -> bool:
    """Whether a link in the environment's directory leads to an SQLite database elsewhere."""
    file = sqlite_file(environment)
    inside = os.path.join(os.path.normpath(environment.path), "")
    return file is not None and file.startswith(inside) and is_elsewhere(environment)


@contextlib.contextmanager
def patience(seconds: int) -> t.Iterator[None]:
    """Limit the time of what has no limit of its own, such as MySQL's driver."""

    def give_up(_signal: int, _frame: object) -> None:
        raise TimeoutError(f"no answer within {seconds} seconds")

    before = signal.signal(signal.SIGALRM, give_up)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


class Servers:
    """Remembers the servers that have not answered, so that only one environment waits for each."""

    def __init__(self) -> None:
        self._silent: dict[tuple[t.Any, ...], Unreachable] = {}

    def check(self, environment: t.Any) -> None:
        """Fail, before anything is done, where an environment's server cannot be connected to."""
        if sqlite_file(environment) is not None:
            return
        identity = _identity(environment.config.get("trac", "database"))
        server = (identity[0], *identity[2:4])
        if server in self._silent:
            raise self._silent[server]
        begin = time.monotonic()
        try:
            with connected(environment):
                pass
        except Unreachable as e:
            if time.monotonic() - begin >= _LONG:
                self._silent[server] = e
            raise


@contextlib.contextmanager
def connected(environment: t.Any) -> t.Iterator[t.Any]:
    """Connect without Trac's pool, which hides the reason of a failure."""
    from trac.db.api import DatabaseManager

    check_driver(environment)
    connector, arguments = DatabaseManager(environment).get_connector()
    try:
        with patience(_PATIENCE):
            connection = connector.get_connection(**arguments)
    # Each driver has exceptions of its own.
    except Exception as e:
        why = " ".join(reason(e, environment.path).split())
        raise Unreachable(f"[trac] database: {why}") from e
    with contextlib.closing(connection):
        yield connection


def check_room(environment: t.Any) -> None:
    """Refuse a database for a new environment that holds anything already."""
    from trac.db.api import DatabaseManager

    manager = DatabaseManager(environment)
    file = sqlite_file(environment)
    if file is not None:
        if os.path.exists(file):
            raise EnvironmentFailure(f"[trac] database: {file} exists already")
        return
    connector = manager.get_connector()[0]
    with connected(environment) as connection:
        tables = sorted(database_objects.everything(connection))
        if tables:
            shown = ", ".join(tables[:_NAMES_SHOWN])
            if len(tables) > _NAMES_SHOWN:
                shown += f" and {len(tables) - _NAMES_SHOWN} more"
            raise EnvironmentFailure(
                f"[trac] database: it holds tables already ({shown}); a new environment needs a "
                "database or a schema of its own"
            )
        if hasattr(connector, "environment_needs_upgrade"):  # MySQL: character set and engine
            connector.environment_needs_upgrade()
    schema = schema_of(environment)
    if schema not in (None, "public") and manager.db_exists():
        raise EnvironmentFailure(
            f"[trac] database: the schema {schema} exists already, and Trac wants to create it "
            "itself; drop it if nobody needs it"
        )


def has_tables(environment: t.Any) -> bool:
    """Whether there is anything to remove."""
    file = sqlite_file(environment)
    if file is not None:
        return os.path.exists(file)
    with connected(environment) as connection:
        return bool(database_objects.everything(connection))


def destroy(environment: t.Any) -> None:
    """Remove all tables, or the schema, or the file."""
    from trac.db.api import DatabaseManager

    file = sqlite_file(environment)
    if file is not None or schema_of(environment) not in (None, "public"):
        if has_tables(environment):
            DatabaseManager(environment).destroy_db()
        return
    # Trac would stop at a view.
    with connected(environment) as connection:
        cursor = connection.cursor()
        for statement in database_objects.removal(connection):
            cursor.execute(statement)
        connection.commit()


def destroy_half_made(environment: t.Any) -> None:
    """Empty a database again after the creation of an environment has failed."""
    if sqlite_file(environment) is None:
        with connected(environment) as connection:
            used = _contents(connection)
        if used:
            raise EnvironmentFailure(
                f"{environment.path} is left of a creation that was broken off, but its database "
                f"is in use (it has rows in {used}); nothing was touched. If no environment needs "
                "that database, empty it; remove the directory in any case"
            )
    destroy(environment)


def _contents(connection: t.Any) -> str | None:
    """Return a table that users have filled, if there is one."""
    cursor = connection.cursor()
    for table, condition in _CONTENTS:
        if connection.has_table(table):
            name = connection.quote(table)
            cursor.execute(f"SELECT 1 FROM {name}{condition} LIMIT 1")  # noqa: S608
            if cursor.fetchone():
                return table
    return None


def row_counts(connection: t.Any) -> dict[str, int]:
    """Count the rows of each table."""
    cursor = connection.cursor()
    counts = {}
    for table in database_objects.tables(connection):
        cursor.execute(f"SELECT count(*) FROM {connection.quote(table)}")  # noqa: S608
        counts[table] = int(cursor.fetchone()[0])
    return counts


def used_rows(environment: t.Any) -> dict[str, int]:
    """Count the rows of the tables that users fill; fails where they are not Trac's."""
    check_driver(environment)
    with connected(environment) as connection:
        if not connection.has_table("system"):
            raise EnvironmentFailure("it holds no tables of Trac")
        cursor = connection.cursor()
        counts = {}
        for table, condition in _CONTENTS:
            cursor.execute(f"SELECT count(*) FROM {connection.quote(table)}{condition}")  # noqa: S608
            counts[table] = int(cursor.fetchone()[0])
        return counts


def _identity(uri: str) -> tuple[t.Any, ...]:
    """Return what identifies the tables that a connection string leads to."""
    from trac.db.api import parse_connection_uri

    scheme, parts = parse_connection_uri(uri)
    parameters = parts.get("params", {})
    socket = parameters.get("host") or parameters.get("unix_socket")
    return (
        scheme,
        parts.get("user"),
        socket or parts.get("host") or "",
        "" if socket else parts.get("port", _DEFAULT_PORTS.get(scheme)),
        parts["path"],
        parameters.get("schema", "public"),
    )


def is_same_login(one: str, other: str) -> bool:
    """Whether two connection strings differ by nothing but password and options."""
    from trac.config import ConfigurationError

    try:
        return _identity(one) == _identity(other)
    except ConfigurationError:
        return False


def is_same_database(one: str, other: str, path: str) -> bool:
    """Whether two connection strings lead an environment at that path to the same tables."""
    from trac.config import ConfigurationError

    try:
        (kind, _login, *first), (other_kind, _login, *second) = _identity(one), _identity(other)
    except ConfigurationError:
        return False
    if kind == other_kind == "sqlite":
        files = {os.path.normpath(os.path.join(path, place[2])) for place in (first, second)}
        return len(files) == 1
    return kind == other_kind and first == second
