# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Dumps of PostgreSQL's databases, and the way back, which is one transaction.

The transaction ends with the last statement that we write. `psql --single-transaction` would end it
when we are killed in the middle, and keep what has come until then.
"""

from __future__ import annotations

import contextlib
import os
import re
import tempfile
import typing as t

from ansible_collections.trac.mod_wsgi.plugins.module_utils._trac import database as trac_database
from ansible_collections.trac.mod_wsgi.plugins.module_utils._trac import (
    database_objects,
    database_tools,
)
from ansible_collections.trac.mod_wsgi.plugins.module_utils._trac.environment_spec import (
    EnvironmentFailure,
)

_MARK = b"-- PostgreSQL database dump complete"
_ENTRY = re.compile(
    rb"-- (?:Data for )?Name: (?P<name>.*); Type: (?P<type>[A-Z ]+); Schema: .*; Owner: .*\n\Z"
)
_COPY = re.compile(rb"COPY .* FROM stdin;\n\Z")
_WARNING = re.compile(r"WARNING:  trac: (.*)")
# What stops nothing when it cannot be made. Where tables need one of these, they stop it.
_SINGLE = {
    "AGGREGATE",
    "COMMENT",
    "FUNCTION",
    "MATERIALIZED VIEW",
    "MATERIALIZED VIEW DATA",
    "POLICY",
    "PROCEDURE",
    "RULE",
    "TRIGGER",
    "VIEW",
}
_TAG = b"$trac_entry$"


def quoted(name: str) -> str:
    """A name as PostgreSQL wants it."""
    return '"{}"'.format(name.replace('"', '""'))


def _variables(server: database_tools.Server) -> dict[str, str]:
    variables = {
        "PGDATABASE": server.database,
        "PGUSER": server.user,
        "PGPASSWORD": server.password,
        "PGHOST": server.parameters.get("host") or server.host,
        "PGPORT": str(server.port) if server.port else None,
    }
    return {**os.environ, **{name: value for name, value in variables.items() if value}}


def write(environment: t.Any, connection: t.Any, path: str, moment: str | None) -> None:
    """Like Trac does it, but without the names of database and owner, and of one known moment."""
    from trac.db.api import DatabaseManager

    server = database_tools.server(environment)
    command = [DatabaseManager(environment).get_connector()[0].pg_dump_path]
    command += ["--no-password", "--no-owner", "--no-privileges", "--compress=6"]
    command += [f"--schema={quoted(server.schema)}", f"--file={path}"]
    for name in database_objects.postgres_unreadable(connection):
        command.append(f"--exclude-table={quoted(server.schema)}.{quoted(name)}")
    if moment:
        command.append(f"--snapshot={moment}")
    database_tools.run(command, _variables(server))


# Reading


class Entry(t.NamedTuple):
    """A part of a dump, or a piece of one: rows come one by one."""

    type: str  # as the dump says; empty for what stands before all
    name: str
    text: bytes


def entries(lines: t.Iterable[bytes]) -> t.Iterator[Entry]:
    """The parts of a dump; fails if it is cut off."""
    kind, name = "", ""
    waiting: list[bytes] = []
    copying = complete = False
    for line in lines:
        if copying:
            yield Entry(kind, name, line)
            copying = line != b"\\.\n"
            continue
        match = _ENTRY.match(line)
        if match:
            yield Entry(kind, name, b"".join(waiting))
            waiting = []
            kind, name = match["type"].decode(), match["name"].decode("utf-8", "replace")
        waiting.append(line)
        complete = complete or line.startswith(_MARK)
        if _COPY.match(line) and kind == "TABLE DATA":
            yield Entry(kind, name, b"".join(waiting))
            waiting, copying = [], True
    yield Entry(kind, name, b"".join(waiting))
    if not complete:
        raise EnvironmentFailure("the dump of the database is cut off")


# Loading


def load(environment: t.Any, lines: t.Iterable[bytes], rows: t.Mapping[str, int]) -> list[str]:
    """Load a dump in place of what is there; returns what somebody should know."""
    server = database_tools.server(environment)
    command = [database_tools.tool(environment, "pg_dump", "psql"), "--no-psqlrc", "--quiet"]
    command += ["--no-password", "--set=ON_ERROR_STOP=1", "--output=/dev/null", "--file=-"]
    with trac_database.connected(environment) as connection:
        before = database_objects.postgres_removal(connection)
        kept = database_objects.postgres_kept(connection)
        there = database_objects.rows_of(
            connection, "SELECT 1 FROM pg_namespace WHERE nspname = %s", (server.schema,)
        )
    views = set()
    with tempfile.TemporaryFile() as errors, database_tools.started(
        command, _variables(server), errors
    ) as process:
        stream = t.cast(t.IO[bytes], process.stdin)
        # A tool that has given up says why; there is nobody to write to.
        with contextlib.suppress(BrokenPipeError), stream:
            stream.write(b"BEGIN;\nSET LOCAL client_min_messages = warning;\n")
            stream.write("".join(f"{each};\n" for each in before).encode())
            for each in entries(lines):
                if each.type == "TABLE" and each.name in kept:
                    raise EnvironmentFailure(
                        f"the table {each.name} belongs to {kept[each.name]}, and the database's "
                        "login may not replace it; nothing was changed. Have its owner drop it, or "
                        "restore into another database"
                    )
                if "VIEW" in each.type:
                    views.add(each.name)
                stream.write(_loaded(each, bool(there)))
            # Manifests of former versions count views, too.
            counted = {table: count for table, count in rows.items() if table not in views}
            stream.write(_check_of_rows(server.schema, counted).encode())
            stream.write(b"COMMIT;\n")
        database_tools.finish(process, command[0], errors)
        errors.seek(0)
        return _WARNING.findall(errors.read().decode("utf-8", "replace"))


def _loaded(each: Entry, schema_there: bool) -> bytes:
    """What is run for a part of a dump."""
    if each.type == "SCHEMA" and schema_there:
        return b""
    if each.type == "COMMENT" and each.name.startswith("SCHEMA "):
        return b""
    text = b"".join(
        line
        for line in each.text.splitlines(keepends=True)
        # Its end would not be found in what is run here.
        if not line.startswith((b"\\restrict ", b"\\unrestrict "))
    )
    if each.type not in _SINGLE or _TAG in text:
        return text
    what = f"the {each.type.lower()} {each.name}".replace("'", "''")
    return (
        b"DO $trac_single$ BEGIN EXECUTE "
        + _TAG
        + text
        + _TAG
        + b"; EXCEPTION WHEN OTHERS THEN RAISE WARNING 'trac: % could not be made: %', '"
        + what.encode()
        + b"', SQLERRM; END $trac_single$;\n"
    )


def _check_of_rows(schema: str, rows: t.Mapping[str, int]) -> str:
    """A statement that fails unless the tables have so many rows."""
    checks = []
    for table, count in sorted(rows.items()):
        name = f"{quoted(schema)}.{quoted(table)}"
        text = table.replace("'", "''")
        checks.append(
            f"IF (SELECT count(*) FROM {name}) <> {int(count)} THEN "  # noqa: S608
            f"RAISE EXCEPTION 'the table % does not hold % rows', '{text}', {int(count)}; END IF;\n"
        )
    body = "".join(checks)
    return f"\nDO $trac_check$ BEGIN\n{body}END $trac_check$;\n"
