# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which servers the environments of a host use, read by Trac itself, and what is asked of them."""

from __future__ import annotations

import io
import json
import pathlib
import sys
import types
import typing as t

import pytest

from ansible_collections.trac.mod_wsgi.plugins.module_utils._trac import database_servers


class Cursor:
    def execute(self, question: str) -> None:
        self.question = question

    def fetchone(self) -> tuple[t.Any, ...]:
        return (100, 3) if "superuser_reserved" in self.question else ("151", "0")


class Connection:
    """Stands in for Trac's connections."""

    opened: t.ClassVar[list[str]] = []
    closed: t.ClassVar[list[str]] = []
    broken: t.ClassVar[set[str]] = set()

    def __init__(self, path: str, log: object, password: str = "", **_where: object) -> None:
        assert log is None
        if path in self.broken:
            msg = f'password authentication failed\n for database "{path}" with {password}'
            raise RuntimeError(msg)
        self.path = path
        self.opened.append(path)

    def cursor(self) -> Cursor:
        return Cursor()

    def close(self) -> None:
        self.closed.append(self.path)


@pytest.fixture(autouse=True)
def backends(monkeypatch: pytest.MonkeyPatch) -> None:
    for module, name in (
        ("trac.db.postgres_backend", "PostgreSQLConnection"),
        ("trac.db.mysql_backend", "MySQLConnection"),
    ):
        backend = types.ModuleType(module)
        setattr(backend, name, Connection)
        monkeypatch.setitem(sys.modules, module, backend)
    for name in ("opened", "closed"):
        monkeypatch.setattr(Connection, name, [])
    monkeypatch.setattr(Connection, "broken", set())
    monkeypatch.setenv("PGCONNECT_TIMEOUT", "")


def environments(directory: pathlib.Path, **databases: str) -> list[str]:
    for name, database in databases.items():
        path = directory / name / "conf" / "trac.ini"
        path.parent.mkdir(parents=True)
        path.write_text(f"[trac]\n{database}\n", encoding="utf-8")
    return list(databases)


def ask(directory: pathlib.Path, names: list[str]) -> list[dict[str, t.Any]]:
    output = io.StringIO()
    database_servers.serve({"directory": str(directory), "environments": names}, output)
    events = [json.loads(line) for line in output.getvalue().splitlines()]
    assert events.pop() == {"event": "end"}
    return events


def test_each_server_is_asked_once(tmp_path: pathlib.Path) -> None:
    names = environments(
        tmp_path,
        a="database = postgres://trac:p%40ss@db/a",
        b="database = postgres://other@db:5432/b?schema=x",
        c="database = postgres://trac@db:5433/c",
        d="database = mysql://trac:x@db/d",
        e="database = sqlite:db/trac.db",
        f="database = oracle://x",
        g="database = nonsense",
        h="database = postgres:///h?host=/var/run/postgresql",
        i="database = mysql://trac@localhost/i?unix_socket=/run/mysqld/mysqld.sock",
    )
    found = ask(tmp_path, [*names, "missing"])
    assert [(item["server"], item["environments"]) for item in found] == [
        ("postgres://db:5432", ["a", "b"]),
        ("postgres://db:5433", ["c"]),
        ("mysql://db:3306", ["d"]),
        ("postgres:///var/run/postgresql:5432", ["h"]),
        ("mysql:///run/mysqld/mysqld.sock:3306", ["i"]),
    ]
    assert (found[0]["max_connections"], found[0]["reserved"]) == (100, 3)
    assert (found[2]["max_connections"], found[2]["reserved"]) == (151, 0)
    assert Connection.opened == ["/a", "/c", "/d", "/h", "/i"]
    assert Connection.closed == Connection.opened


def test_the_next_environment_answers_for_a_server(tmp_path: pathlib.Path) -> None:
    names = environments(
        tmp_path, a="database = postgres://trac@db/a", b="database = postgres://trac@db/b"
    )
    Connection.broken.add("/a")
    (found,) = ask(tmp_path, names)
    assert found["max_connections"] == 100
    assert "reason" not in found


def test_a_server_that_says_nothing(tmp_path: pathlib.Path) -> None:
    databases = {
        f"e{number}": f"database = postgres://trac:geheim@db/{number}" for number in "1234"
    }
    Connection.broken.update({"/1", "/2", "/3"})
    (found,) = ask(tmp_path, environments(tmp_path, **databases))
    assert "max_connections" not in found
    # On one line, without the password.
    assert found["reason"] == ('password authentication failed for database "/3" with ********')
    assert Connection.opened == []


def test_what_trac_ini_inherits(tmp_path: pathlib.Path) -> None:
    (tmp_path / "site.ini").write_text("[trac]\ndatabase = mysql://trac@db/x\n", encoding="utf-8")
    names = environments(tmp_path, a="[inherit]\nfile = ../../site.ini")
    (found,) = ask(tmp_path, names)
    assert found["server"] == "mysql://db:3306"
