# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A database server that is restarted: Trac's own connections and pool, a driver that pretends."""

from __future__ import annotations

import json
import os
import pathlib
import subprocess
import sys
import typing as t

import pytest

pytest.importorskip("trac")

FILES = pathlib.Path(__file__).parents[3] / "roles" / "trac_site" / "files"

# What stands before the code of each test: both drivers, which share a server that remembers what
# it has been told, and which find connections broken as psycopg2 and PyMySQL do.
PRELUDE = """
import json, sys, threading, time, types
sys.path.insert(0, sys.argv[1])

class Error(Exception): pass
class OperationalError(Error): pass
class InterfaceError(Error): pass
class ProgrammingError(Error): pass
class DataError(Error): pass

class Server:
    number = 0  # of its restarts
    is_up = True
    connects = refused = 0
    said = []
    stops_before = None  # a statement on its way when the server stops
    stops = lambda self: self.restart()
    def restart(self):
        self.number += 1

server = Server()

class Raw:
    server_version = 150000
    def __init__(self, *args, **named):
        if not server.is_up:
            server.refused += 1
            raise OperationalError("connection refused")
        server.connects += 1
        self.number, self.broken = server.number, False
    closed = property(lambda self: 2 if self.broken else 0)
    def use(self):
        if self.broken:
            raise InterfaceError("connection already closed")
        if self.number != server.number or not server.is_up:
            self.broken = True
            raise OperationalError("server closed the connection unexpectedly")
    def cursor(self): return RawCursor(self)
    def commit(self): self.use(); server.said.append("COMMIT")
    def rollback(self):
        if self.broken: raise InterfaceError("connection already closed")
    def close(self): self.broken = True
    def set_client_encoding(self, name): pass

class RawOfMySQL(Raw):
    closed = property()  # there is none
    open = property(lambda self: not self.broken)
    def ping(self, reconnect=True):
        if self.broken or self.number != server.number:
            self.__init__()
    def get_server_info(self): return "10.11"

class RawCursor:
    def __init__(self, cnx): self.cnx, self.sql = cnx, ""
    def execute(self, sql, args=None):
        if server.stops_before and server.stops_before in sql:
            server.stops_before = None
            server.stops()
        self.cnx.use()
        if "nonsense" in sql: raise ProgrammingError("syntax")
        if "slow" in sql: raise OperationalError("canceling statement due to statement timeout")
        server.said.append(sql)
    def executemany(self, sql, args): self.execute(sql)
    def fetchone(self): return "utf8", "utf8"
    def fetchall(self): return [(server.number,)]
    def close(self): pass

def driver(name, raw, **more):
    module = types.ModuleType(name)
    module.__version__, module.connect = "2.9", raw
    errors = (Error, OperationalError, InterfaceError, ProgrammingError, DataError)
    vars(module).update({each.__name__: each for each in errors}, **more)
    sys.modules[name] = module
    return module

ext = driver("psycopg2.extensions", Raw, UNICODE=None, AsIs=None, QuotedString=None,
             register_type=lambda *a: None, register_adapter=lambda *a: None)
driver("psycopg2", Raw, extensions=ext, libpq_version=lambda: 150000, _psycopg=ext)
cursors = driver("pymysql.cursors", Raw, Cursor=RawCursor)
driver("pymysql", RawOfMySQL, cursors=cursors, get_client_info=lambda: "x", thread_safe=lambda: 1)
import trac.util, pkg_resources
trac.util.get_pkginfo = lambda module: {"version": "2.9"}

from trac.db import mysql_backend, pool, postgres_backend
import trac_connections
trac_connections.keep_connections()
trac_connections.PAUSE = 0.01
kind = sys.argv[2]

class Connector:
    def get_connection(self, path, log=None, user=None, password=None, host=None, port=None,
                       params={}):
        known = {"postgres": postgres_backend.PostgreSQLConnection,
                 "mysql": mysql_backend.MySQLConnection}
        return known[kind](path, log, user, password, host, port, params)

databases = {name: pool.ConnectionPool(5, Connector(), path=name) for name in ("one", "other")}

def transaction(*statements, name="one", end="commit"):
    cnx = databases[name].get_cnx()
    try:
        rows = [cnx.execute(sql) for sql in statements]
        getattr(cnx, end)()
        return rows[-1]
    except Exception:
        try:
            cnx.rollback()
        except Exception:
            pass
        raise
    finally:
        cnx.close()

def outcome(*statements, **more):
    server.said.clear()
    try:
        return [transaction(*statements, **more), list(server.said)]
    except Exception as error:
        return [type(error).__name__, list(server.said)]

transaction("SELECT 0")
"""


def ask(code: str, kind: str) -> t.Any:
    """What the code prints last, as JSON, in a process with Trac's pool and such a server."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", PRELUDE + code, str(FILES), kind],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env={**os.environ, "LC_ALL": "C.UTF-8"},
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


KINDS = pytest.mark.parametrize("kind", ["postgres", "mysql"])


@KINDS
def test_first_statement_is_read_again_when_the_server_was_restarted(kind: str) -> None:
    code = """
found = []
for before in [(), ("UPDATE b",), ("SELECT c",)]:
    if before:
        transaction(*before)  # ended
    server.stops_before = "SELECT a"
    connects = server.connects
    found.append([*outcome("SELECT a", "UPDATE x"), server.connects - connects])
connects = server.connects
again = [outcome("SELECT a"), server.connects - connects]
print(json.dumps([found, again]))
"""
    found, again = ask(code, kind)
    assert [each[0] for each in found] == [None] * 3  # what the last statement, an UPDATE, returns
    for _rows, said, connects in found:
        assert [sql for sql in said if not sql.startswith("SHOW")][-3:] == [
            "SELECT a",
            "UPDATE x",
            "COMMIT",
        ]
        assert connects == 1
    # The new connection is in the pool, for the next transaction.
    assert again[0][0] == [[3]]
    assert again[1] == 0


@KINDS
def test_what_writes_or_is_not_the_first_is_never_said_again(kind: str) -> None:
    code = """
found = []
for statements, end in (
    (["UPDATE a"], "commit"),
    (["INSERT INTO a"], "commit"),
    (["SELECT b", "SELECT a"], "commit"),
    (["SELECT b FOR UPDATE", "UPDATE a"], "commit"),
    (["UPDATE b", "SELECT a"], "commit"),
):
    transaction("SELECT 0")
    server.stops_before = " a" if "INTO" not in statements[0] else "INTO a"
    found.append(outcome(*statements, end=end))
cnx = databases["one"].get_cnx()
cnx.cursor().executemany("INSERT INTO b", [[1], [2]])
server.restart()
try:
    cnx.execute("SELECT a")
except OperationalError:
    found.append(["OperationalError", []])
cnx.close()
transaction("SELECT 0")
connects = server.connects
found.append(outcome("nonsense"))
found.append(outcome("SELECT slow"))  # which has not lost its connection
connects -= server.connects
server.restart()
print(json.dumps([found, connects, outcome("SELECT a")[0]]))
"""
    found, connects, after = ask(code, kind)
    assert [each[0] for each in found] == [
        *["OperationalError"] * 6,
        "ProgrammingError",
        "OperationalError",
    ]
    assert not [said for _error, said in found if "COMMIT" in said or "UPDATE a" in said]
    assert connects == 0
    assert after == [[7]]


@KINDS
def test_commit_that_fails_is_an_error(kind: str) -> None:
    code = """
cnx = databases["one"].get_cnx()
cnx.execute("UPDATE a")
server.restart()
try:
    cnx.commit()
    result = "committed"
except OperationalError:
    result = "error"
cnx.close()
print(json.dumps([result, outcome("SELECT a")[0]]))
"""
    assert ask(code, kind) == ["error", [[1]]]


@KINDS
def test_requests_wait_for_a_server_that_is_being_restarted(kind: str) -> None:
    code = """
server.is_up = False
server.number += 1
def come_back():
    while server.refused < 5:
        time.sleep(0.01)
    server.is_up = True
threading.Thread(target=come_back, daemon=True).start()
print(json.dumps([outcome("UPDATE a")[0], server.said[-2:], server.refused >= 5]))
"""
    assert ask(code, kind) == [None, ["UPDATE a", "COMMIT"], True]


@KINDS
def test_nobody_waits_long_for_a_server_that_stays_away(kind: str) -> None:
    code = """
clock = [0.0]
trac_connections.time = types.SimpleNamespace(
    monotonic=lambda: clock[0], sleep=lambda seconds: clock.append(clock.pop() + 1))
server.is_up = False
server.number += 1
waited = []
for name in ("one", "one", "other"):  # the other has never been reached
    begin = clock[0]
    error = outcome("SELECT a", name=name)[0]
    waited.append([error, clock[0] - begin])
server.is_up = True
back = outcome("SELECT a")[0]
server.is_up = False
server.number += 1
begin = clock[0]
outcome("SELECT a")
print(json.dumps([waited, back, clock[0] - begin]))
"""
    waited, back, later = ask(code, kind)
    assert waited == [["TimeoutError", 10.0], ["TimeoutError", 0.0], ["TimeoutError", 0.0]]
    assert back == [[1]]
    assert later == 10.0
