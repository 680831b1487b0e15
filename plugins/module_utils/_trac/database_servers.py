# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ask the database servers of Trac environments how many connections they take.

This runs under the Python that has Trac, as the account that owns the environments, and writes
nothing. It reads trac.ini as Trac does, and connects once to each server, as Trac does.
"""

from __future__ import annotations

import configparser
import json
import os
import typing as t

# An environment's database may be gone while the server is well: so many are tried.
_TRIES = 3
_TIMEOUT = "5"  # seconds

_PORTS = {"postgres": 5432, "mysql": 3306}
_QUESTIONS = {
    # reserved_connections came with PostgreSQL 16.
    "postgres": """
        SELECT max(CASE WHEN name = 'max_connections' THEN setting::int END),
               sum(CASE WHEN name = 'max_connections' THEN 0 ELSE setting::int END)
        FROM pg_settings
        WHERE name IN ('max_connections', 'superuser_reserved_connections',
                       'reserved_connections')""",
    # The one connection for an administrator comes on top.
    "mysql": "SELECT @@max_connections, 0",
}

Database = t.Tuple[str, t.Dict[str, t.Any]]


def server_name(scheme: str, where: t.Mapping[str, t.Any]) -> str:
    """Identify a server: its connection string without login and database."""
    params = where.get("params") or {}
    socket = params.get("unix_socket") or params.get("host")
    host = socket or where.get("host") or "localhost"
    # Without a host, PostgreSQL's driver takes the socket of this host.
    return f"{scheme}://{host}:{where.get('port') or _PORTS[scheme]}"


def _database(directory: str, environment: str) -> Database | None:
    """Return the server of an environment's database, if it is on one."""
    from trac.config import Configuration
    from trac.core import TracError
    from trac.db.api import parse_connection_uri

    path = os.path.join(directory, environment, "conf", "trac.ini")
    if not os.path.isfile(path):
        return None  # whoever opened a FIFO would wait for ever
    try:
        scheme, where = parse_connection_uri(Configuration(path).get("trac", "database"))
    # ValueError: it is not UTF-8.
    except (OSError, TracError, configparser.Error, ValueError):
        return None  # it is not served either; role trac_environments says why
    return (scheme, where) if scheme in _QUESTIONS else None


def _ask(scheme: str, where: t.Mapping[str, t.Any]) -> tuple[int, int]:
    """Return the connection limit of a server, and how many of these are reserved."""
    if scheme == "postgres":
        from trac.db.postgres_backend import PostgreSQLConnection as Connection
    else:
        from trac.db.mysql_backend import MySQLConnection as Connection

    connection = Connection(log=None, **where)
    try:
        cursor = connection.cursor()
        cursor.execute(_QUESTIONS[scheme])
        most, reserved = cursor.fetchone()
        return int(most), int(reserved)
    finally:
        connection.close()


def _reason(error: Exception, password: str | None) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    return text.replace(password, "********") if password else text


def servers(directory: str, environments: t.Sequence[str]) -> t.Iterator[dict[str, t.Any]]:
    """Yield each server with its environments, and its answer or the reason for none."""
    found: dict[str, dict[str, Database]] = {}
    for environment in environments:
        database = _database(directory, environment)
        if database:
            found.setdefault(server_name(*database), {})[environment] = database
    for name, databases in found.items():
        answer: dict[str, t.Any] = {"server": name, "environments": list(databases)}
        for scheme, where in list(databases.values())[:_TRIES]:
            try:
                answer["max_connections"], answer["reserved"] = _ask(scheme, where)
            # Whatever a driver raises, also one that is not installed.
            except Exception as error:  # noqa: BLE001
                answer["reason"] = _reason(error, where.get("password"))
            else:
                answer.pop("reason", None)
                break
        yield answer


def serve(payload: t.Mapping[str, t.Any], output: t.TextIO) -> None:
    """Answer for all servers; write one JSON document per line."""
    os.environ["PGCONNECT_TIMEOUT"] = _TIMEOUT
    try:
        import trac  # noqa: F401
    except ImportError as error:
        answers: list[dict[str, t.Any]] = [{"event": "no_trac", "reason": str(error)}]
    else:
        answers = [
            {"event": "server", **answer}
            for answer in servers(payload["directory"], payload["environments"])
        ]
        answers.append({"event": "end"})
    for answer in answers:
        output.write(json.dumps(answer) + "\n")
    output.flush()
