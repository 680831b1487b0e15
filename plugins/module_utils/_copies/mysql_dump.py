# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Dumps of MySQL's and MariaDB's databases, and how they are read again.

The tool dumps the tables, which are named to it, and nothing else. What belongs to somebody
(views, triggers, routines, events) follows, written by us without its definer, whom only an
administrator could give it again.
"""

from __future__ import annotations

import contextlib
import os
import re
import typing as t

from ansible_collections.trac.mod_wsgi.plugins.module_utils._trac import (
    database_objects,
    database_tools,
)
from ansible_collections.trac.mod_wsgi.plugins.module_utils._trac.environment_spec import (
    EnvironmentFailure,
)

_END = "-- Dump completed"
_OPTIONS = (
    "--single-transaction",
    "--skip-lock-tables",
    "--no-tablespaces",
    "--skip-triggers",
    "--hex-blob",
    "--max-allowed-packet=1G",
    "--default-character-set=utf8mb4",
)


def write(environment: t.Any, connection: t.Any, path: str) -> None:
    """Dump the database of an environment into a file."""
    from trac.db.api import DatabaseManager

    connection.cnx.query("SET NAMES utf8mb4")  # what others have written may hold anything
    server = database_tools.server(environment)
    tool = DatabaseManager(environment).get_connector()[0].mysqldump_path
    login, variables = _login(server)
    command = [tool, *login, *_OPTIONS, f"--result-file={path}", "--", server.database]
    tables = database_objects.tables(connection)
    if tables:  # without names, it would dump everything
        database_tools.run([*command, *tables], variables)
    else:
        with open(path, "w", encoding="ascii") as file:
            file.write(f"{_END}\n")
    _check_end(path)
    with open(path, "a", encoding="utf-8", newline="") as file:
        for each in database_objects.mysql_objects(connection):
            if each.statement is not None:
                file.write(_written(each))
        file.write(f"\n{_END}\n")


def _login(server: database_tools.Server) -> tuple[list[str], dict[str, str]]:
    """The options that lead a client tool to a server, and its variables."""
    defaults = server.parameters.get("read_default_file")
    options = [f"--defaults-file={defaults}" if defaults else "--no-defaults"]
    socket = server.parameters.get("unix_socket")
    if socket:
        options += ["--protocol=socket", f"--socket={socket}"]
    elif server.host:
        options += [f"--host={server.host}", f"--port={server.port or 3306}"]
    if server.user:
        options.append(f"--user={server.user}")
    variables = dict(os.environ)
    if server.password:
        # What Trac's driver sends of a password is Latin-1 where that is possible.
        with contextlib.suppress(UnicodeEncodeError):
            variables["MYSQL_PWD"] = os.fsdecode(server.password.encode("latin-1"))
        variables.setdefault("MYSQL_PWD", server.password)
    return options, variables


def _check_end(path: str) -> None:
    with open(path, "rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - 4096))
        if _END.encode() not in file.read():
            raise EnvironmentFailure(f"the dump of the database is cut off after {size} bytes")


def _written(each: database_objects.Object) -> str:
    statement = t.cast(str, each.statement)
    delimiter = ";;"
    while delimiter in statement:
        delimiter += "$"
    owner = " ".join((each.definer or "").split())
    mode = f"SET sql_mode = '{each.sql_mode}' {delimiter}\n" if each.sql_mode is not None else ""
    return (
        f"\n-- {each.kind.capitalize()} without its definer, who was\n-- Definer: {owner}\n"
        f"DELIMITER {delimiter}\n{mode}{statement} {delimiter}\nDELIMITER ;\n"
    )


# Reading


class Statement(t.NamedTuple):
    """What a statement of a dump does."""

    kind: str  # set, table, rows, object, or none for what a load needs not
    name: str
    text: bytes
    object: database_objects.Object | None = None


_NAME = rb"`((?:[^`]|``)+)`"
_TABLE = re.compile(rb"CREATE TABLE (?:IF NOT EXISTS )?" + _NAME + rb" \(")
_ROWS = re.compile(rb"(?:INSERT|REPLACE) (?:IGNORE )?INTO " + _NAME)
_SET = re.compile(rb"(?:/\*M?!\d{5,6} )?SET ", re.IGNORECASE)
# Needs an administrator's privileges, or is about the server's other databases.
_NOT_SET = re.compile(rb"GTID_PURGED|SQL_LOG_BIN", re.IGNORECASE)
_SQL_MODE = re.compile(rb"SET sql_mode\s*=\s*'([^']*)'", re.IGNORECASE)
_NEEDLESS = re.compile(
    rb"(?:/\*M?!\d{5,6}\\?-? ?)?(?:DROP (?:TABLE|VIEW|TRIGGER|FUNCTION|PROCEDURE|EVENT)|LOCK TABLES"
    rb"|UNLOCK TABLES|ALTER TABLE .* (?:DISABLE|ENABLE) KEYS|ALTER DATABASE|CREATE DATABASE|USE "
    rb"|SELECT |PREPARE |EXECUTE |DEALLOCATE |enable the sandbox mode)|COMMIT|START TRANSACTION",
    re.IGNORECASE,
)
# What stands for a view until the tables are there that it needs.
_STAND_IN = re.compile(rb"/\*!\d{5,6} CREATE (?:TABLE|VIEW) ")
_CONDITIONAL = re.compile(
    rb"/\*!\d{5,6} (CREATE[^*]*)\*/\s*(?:/\*!\d{5,6} (DEFINER[^*]*)\*/\s*)?/\*!\d{5,6} (.*)\*/\Z",
    re.DOTALL,
)
_OBJECT = re.compile(
    r"CREATE (?:OR REPLACE )?(?:ALGORITHM\s*=\s*\w+\s+)?(?:SQL SECURITY \w+\s+)?(?:AGGREGATE\s+)?"
    r"(?P<kind>VIEW|TRIGGER|FUNCTION|PROCEDURE|EVENT)\s+(?:IF NOT EXISTS\s+)?"
    r"(?:(?:`(?:[^`]|``)+`|\w+)\.)?(?:`(?P<quoted>(?:[^`]|``)+)`|(?P<plain>\w+))",
    re.IGNORECASE,
)


def statements(lines: t.Iterable[bytes]) -> t.Iterator[Statement]:
    """The statements of a dump, whichever tool has written it; fails if it is cut off."""
    delimiter = b";"
    waiting: list[bytes] = []
    mode: str | None = None
    definer: str | None = None
    complete = False
    for line in lines:
        if not waiting:
            if line.startswith(b"-- Definer: "):
                definer = line[12:].decode("utf-8", "replace").strip() or None
            if not line.strip() or line.startswith((b"--", b"#")):
                complete = complete or line.startswith(_END.encode())
                continue
            if line.startswith(b"DELIMITER "):
                delimiter = line[10:].strip()
                continue
        complete = False
        waiting.append(line)
        if not line.rstrip().endswith(delimiter):
            # The only comment that is no statement and has no end of one.
            if len(waiting) == 1 and line.startswith(b"/*M!999999"):
                waiting = []
            continue
        text = b"".join(waiting).rstrip()[: -len(delimiter)].rstrip()
        waiting = []
        statement = _understood(text, definer, mode)
        if statement.kind == "object":
            definer = None
        if statement.kind == "set":
            found = _SQL_MODE.search(text)
            if found or b"sql_mode" in text.lower():
                mode = found[1].decode() if found else None
        yield statement
    if waiting or not complete:
        raise EnvironmentFailure("the dump of the database is cut off")


def _understood(text: bytes, definer: str | None, mode: str | None) -> Statement:
    for kind, pattern in (("rows", _ROWS), ("table", _TABLE)):
        match = pattern.match(text)
        if match:
            return Statement(kind, match[1].replace(b"``", b"`").decode(), text)
    if _SET.match(text):
        return Statement("none" if _NOT_SET.search(text) else "set", "", text)
    if _STAND_IN.match(text) and b"TRIGGER" not in text and b"DEFINER" not in text:
        return Statement("none", "", text)
    if _NEEDLESS.match(text):
        return Statement("none", "", text)
    found = _conditional_object(text)
    words, owner = database_objects.without_definer(found.decode("utf-8", "surrogateescape"))
    match_object = _OBJECT.match(words)
    if match_object is None:
        beginning = text[:60].decode("utf-8", "replace")
        raise EnvironmentFailure(f"the dump of the database holds what is not known: {beginning}")
    name = match_object["plain"] or match_object["quoted"].replace("``", "`")
    kind = match_object["kind"].upper()
    made = database_objects.Object(kind, name, definer or owner, words, mode)
    return Statement("object", name, text, made)


def _conditional_object(text: bytes) -> bytes:
    """The statement in the comments that older servers would skip, as mysqldump writes it."""
    match = _CONDITIONAL.match(text)
    return b" ".join(part.strip() for part in match.groups() if part) if match else text
