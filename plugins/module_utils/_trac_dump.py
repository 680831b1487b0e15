# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Dumps of databases on servers, and the way back, with the servers' own client tools.

Passwords travel in the tools' environment, never on their command lines.
"""

from __future__ import annotations

import contextlib
import gzip
import os
import shutil
import signal
import subprocess
import tempfile
import threading
import typing as t

from ansible_collections.trac.mod_wsgi.plugins.module_utils import _trac_database
from ansible_collections.trac.mod_wsgi.plugins.module_utils._environment_spec import (
    EnvironmentFailure,
)

# Each tool ends a complete dump with this.
MARKS = {
    "pg_dump": b"-- PostgreSQL database dump complete",
    "mysqldump": b"-- Dump completed",
}
_END = 4096  # bytes at the end of a dump, in which the mark has to stand
_BLOCK = 1 << 20
_CREATIONS = (b"CREATE TABLE ", b"CREATE VIEW ")
# Seconds that somebody may hold what a dump has to lock.
_PATIENCE = 60
_LINES_SHOWN = 5
# Seconds for one dump, or for loading one. A server that has fallen silent would be waited for, and
# locks be held, for ever.
LONGEST = 43200


class _Server(t.NamedTuple):
    """Where the database of an environment is."""

    scheme: str
    database: str
    user: str | None
    password: str | None
    host: str | None
    port: int | None
    parameters: dict[str, str]

    @property
    def schema(self) -> str:
        """PostgreSQL's schema."""
        return self.parameters.get("schema", "public")


def _server(environment: t.Any) -> _Server:
    from trac.db.api import DatabaseManager, parse_connection_uri

    scheme, parts = parse_connection_uri(DatabaseManager(environment).connection_uri)
    password = parts.get("password")
    return _Server(
        scheme,
        os.path.basename(parts["path"]),
        parts.get("user"),
        None if password is None else str(password),
        parts.get("host"),
        parts.get("port"),
        parts.get("params", {}),
    )


def kind(environment: t.Any) -> str:
    """The scheme of the connection string: sqlite, postgres or mysql."""
    from trac.db.api import DatabaseManager, parse_connection_uri

    return str(parse_connection_uri(DatabaseManager(environment).connection_uri)[0])


def schema(environment: t.Any) -> str | None:
    """PostgreSQL's schema; None for a database of another kind."""
    return _server(environment).schema if kind(environment) == "postgres" else None


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


def dump(environment: t.Any, copy: str, tables: int, moment: str | None = None) -> None:
    """Dump the database into a copy of the environment; it has to hold so many tables."""
    server = _server(environment)
    path = file_in(copy, server.scheme)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    if server.scheme == "postgres":
        _dump_postgres(environment, server, path, moment)
    else:
        with _trac_database.patience(LONGEST):  # Trac runs the tool
            environment.backup(path)
    _check(path, tables)


def _check(path: str, tables: int) -> None:
    created = 0
    end = b""
    with _read(path) as file:
        for line in file:
            created += line.startswith(_CREATIONS)
            end = (end + line)[-_END:]
    if not any(mark in end for mark in MARKS.values()):
        raise EnvironmentFailure(f"the dump of the database is cut off after {len(end)} bytes")
    if created < tables:
        raise EnvironmentFailure(
            f"the dump of the database holds {created} of {tables} tables only"
        )


def _read(path: str) -> t.IO[bytes]:
    opener: t.Any = gzip.open if path.endswith(".gz") else open
    return t.cast(t.IO[bytes], opener(path, "rb"))


def _tool(environment: t.Any, dump_tool: str, *names: str) -> str:
    """A client tool, which lies beside the tool that Trac dumps with."""
    from trac.db.api import DatabaseManager

    connector = DatabaseManager(environment).get_connector()[0]
    place = os.path.dirname(getattr(connector, f"{dump_tool}_path", ""))
    for name in names:
        for candidate in (os.path.join(place, name), name):
            found = shutil.which(candidate)
            if found:
                return found
    raise EnvironmentFailure(
        f"its database cannot be restored, because there is no {names[0]}; "
        "install the database's client tools"
    )


def check_tools(environment: t.Any) -> None:
    """Refuse a database that no dump can be loaded into for want of a tool."""
    if kind(environment) == "postgres":
        _tool(environment, "pg_dump", "psql")
    else:
        _tool(environment, "mysqldump", "mariadb", "mysql")


# PostgreSQL


def _quoted(identifier: str) -> str:
    return '"{}"'.format(identifier.replace('"', '""'))


def _postgres_variables(server: _Server) -> dict[str, str]:
    variables = {
        "PGDATABASE": server.database,
        "PGUSER": server.user,
        "PGPASSWORD": server.password,
        "PGHOST": server.parameters.get("host") or server.host,
        "PGPORT": str(server.port) if server.port else None,
    }
    return {**os.environ, **{name: value for name, value in variables.items() if value}}


def _dump_postgres(environment: t.Any, server: _Server, path: str, moment: str | None) -> None:
    """Like Trac does it, but without the names of database and owner, and of one known moment."""
    from trac.db.api import DatabaseManager

    command = [DatabaseManager(environment).get_connector()[0].pg_dump_path]
    command += ["--no-password", "--no-owner", "--no-privileges", "--compress=6"]
    command += [f"--schema={_quoted(server.schema)}", f"--file={path}"]
    if moment:
        command.append(f"--snapshot={moment}")
    _run(command, _postgres_variables(server))


def _load_postgres(
    environment: t.Any, server: _Server, path: str, rows: t.Mapping[str, int]
) -> None:
    """Load a dump in place of what is there, in one transaction, with a check of the rows."""
    command = [_tool(environment, "pg_dump", "psql"), "--no-psqlrc", "--quiet", "--no-password"]
    command += ["--set=ON_ERROR_STOP=1", "--single-transaction", "--output=/dev/null", "--file=-"]
    with _trac_database.connected(environment) as connection:
        before = _removal(connection, server.schema)
    with tempfile.TemporaryFile() as errors, _started(
        command, _postgres_variables(server), errors
    ) as process:
        stream = t.cast(t.IO[bytes], process.stdin)
        # A tool that has given up says why; there is nobody to write to.
        with contextlib.suppress(BrokenPipeError), stream:
            stream.write(before.encode())
            with _read(path) as file:
                _copy_dump(file, stream)
            stream.write(_check_of_rows(server.schema, rows).encode())
        _finish(process, command[0], errors)


def _copy_dump(file: t.IO[bytes], stream: t.IO[bytes]) -> None:
    """Copy a dump, but for the statements that make the schema `public`, which is always there."""
    for line in file:
        if not line.startswith((b"CREATE SCHEMA public;", b"COMMENT ON SCHEMA public IS ")):
            stream.write(line)
        if line.startswith(_CREATIONS):  # from here on, lines can be of what people wrote
            break
    shutil.copyfileobj(file, stream, _BLOCK)


def _removal(connection: t.Any, schema: str) -> str:
    """Statements that make room for a dump."""
    cursor = connection.cursor()
    cursor.execute("SELECT 1 FROM pg_namespace WHERE nspname = %s", (schema,))
    if not cursor.fetchone():
        return ""
    if schema != "public":  # the dump makes it
        return f"DROP SCHEMA {_quoted(schema)} CASCADE;\n"
    cursor.execute(
        "SELECT table_type, table_name FROM information_schema.tables WHERE table_schema = %s",
        (schema,),
    )
    statements = [
        f"DROP {'VIEW' if type_ == 'VIEW' else 'TABLE'} IF EXISTS public.{_quoted(name)} CASCADE;\n"
        for type_, name in cursor.fetchall()
    ]
    return "SET client_min_messages = warning;\n" + "".join(statements)


def _check_of_rows(schema: str, rows: t.Mapping[str, int]) -> str:
    """A statement that fails unless the tables have so many rows."""
    checks = []
    for table, count in sorted(rows.items()):
        name = f"{_quoted(schema)}.{_quoted(table)}"
        text = table.replace("'", "''")
        checks.append(
            f"IF (SELECT count(*) FROM {name}) <> {int(count)} THEN "  # noqa: S608
            f"RAISE EXCEPTION 'the table % does not hold % rows', '{text}', {int(count)}; END IF;\n"
        )
    body = "".join(checks)
    return f"\nDO $trac_check$ BEGIN\n{body}END $trac_check$;\n"


# MySQL


def _load_mysql(environment: t.Any, server: _Server, path: str) -> None:
    """Load a dump into an empty database."""
    command = [_tool(environment, "mysqldump", "mariadb", "mysql")]
    defaults = server.parameters.get("read_default_file")
    command.append(f"--defaults-file={defaults}" if defaults else "--no-defaults")
    command += ["--batch", "--default-character-set=utf8mb4"]
    socket = server.parameters.get("unix_socket")
    if socket:
        command += ["--protocol=socket", f"--socket={socket}"]
    elif server.host:
        command += [f"--host={server.host}", f"--port={server.port or 3306}"]
    if server.user:
        command.append(f"--user={server.user}")
    command.append(server.database)
    variables = dict(os.environ)
    if server.password:
        # What Trac's driver sends of a password is Latin-1 where that is possible.
        with contextlib.suppress(UnicodeEncodeError):
            variables["MYSQL_PWD"] = os.fsdecode(server.password.encode("latin-1"))
        variables.setdefault("MYSQL_PWD", server.password)
    with tempfile.TemporaryFile() as errors, _started(command, variables, errors) as process:
        stream = t.cast(t.IO[bytes], process.stdin)
        with contextlib.suppress(BrokenPipeError), stream, _read(path) as file:
            shutil.copyfileobj(file, stream, _BLOCK)
        _finish(process, command[0], errors)


def load(environment: t.Any, path: str, rows: t.Mapping[str, int]) -> None:
    """Load a dump into the database of an environment, in place of what that holds.

    On PostgreSQL this happens as a whole or not at all. On MySQL what a broken-off load leaves has
    to be replaced by whoever calls this.
    """
    server = _server(environment)
    if server.scheme == "postgres":
        _load_postgres(environment, server, path, rows)
        return
    _trac_database.destroy(environment)
    _load_mysql(environment, server, path)
    with _trac_database.connected(environment) as connection:
        compare(rows, _trac_database.row_counts(connection))


def compare(wanted: t.Mapping[str, int], found: t.Mapping[str, int]) -> None:
    """Refuse a database that does not hold the rows that it should."""
    for table, count in sorted(wanted.items()):
        if found.get(table) != count:
            raise EnvironmentFailure(
                f"the table {table} should hold {count} rows, and holds {found.get(table, 'none')}"
            )


# Processes


@contextlib.contextmanager
def _started(
    command: t.Sequence[str], variables: t.Mapping[str, str], errors: t.IO[bytes]
) -> t.Iterator[subprocess.Popen[bytes]]:
    """A tool that is killed when it is at work for too long."""
    with subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=errors,
        env=dict(variables),
    ) as process:
        timer = threading.Timer(LONGEST, process.kill)
        timer.start()
        try:
            yield process
        finally:
            timer.cancel()


def _finish(process: subprocess.Popen[bytes], tool: str, errors: t.IO[bytes]) -> None:
    if process.wait() != 0:
        errors.seek(0)
        if process.returncode == -signal.SIGKILL:
            raise EnvironmentFailure(_too_long(tool))
        raise EnvironmentFailure(_said(tool, errors.read()))


def _too_long(tool: str) -> str:
    return f"{os.path.basename(tool)} was killed; it may take {LONGEST} seconds at most"


def _run(command: t.Sequence[str], variables: t.Mapping[str, str]) -> None:
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            env=dict(variables),
            check=False,
            timeout=LONGEST,
        )
    except subprocess.TimeoutExpired:
        raise EnvironmentFailure(_too_long(command[0])) from None
    if done.returncode != 0:
        raise EnvironmentFailure(_said(command[0], done.stderr))


def _said(tool: str, errors: bytes) -> str:
    lines = errors.decode("utf-8", "replace").strip().splitlines()
    return f"{os.path.basename(tool)} failed: {'; '.join(lines[-_LINES_SHOWN:])}"
