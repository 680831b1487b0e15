# Made by the Ansible role trac.mod_wsgi.trac_site; changes are overwritten.
"""Get over a restart of the database server.

Trac tries each connection before a thread gets it from the pool, and makes another one if it is
dead. What is left are the second or so in which the server takes none, and statements that are on
their way when it stops. So a new connection is tried again for a while, and a statement that reads,
and is the first of its transaction, is said once more on another connection. What writes is never
said twice, nor anything after another statement, which may have locked or changed something.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import threading
import time
import typing as t

# Seconds. From when a server is first missed, requests wait for it so long in all, those that come
# later only for the rest; then they get Trac's error at once until it is back.
PATIENCE = 10.0
PAUSE = 0.1

# Trac's classes of connections, and what their modules call the driver.
BACKENDS = (
    ("trac.db.postgres_backend", "PostgreSQLConnection", "psycopg"),
    ("trac.db.mysql_backend", "MySQLConnection", "pymysql"),
)


@functools.lru_cache(maxsize=None)
def keep_connections() -> None:
    """Switch it on for this process, for the servers whose drivers are installed."""
    missing = importlib.import_module("pkg_resources").ResolutionError
    for module, name, driver in BACKENDS:
        with contextlib.suppress(ImportError, missing):
            backend = importlib.import_module(module)
            if getattr(backend, driver, None):
                make_lasting(getattr(backend, name), getattr(backend, driver))


class Servers:
    """Since when servers are missed that have been reached before."""

    def __init__(self) -> None:
        self._since: dict[str, float | None] = {}  # None: not at all
        self._lock = threading.Lock()

    def reached(self, where: str) -> None:
        """Note that it is there."""
        with self._lock:
            self._since[where] = None

    def is_worth_waiting(self, where: str, begin: float) -> bool:
        """Note that it is not, and tell whether one who began to try at that time should go on.

        A server that was never reached may have another name, or another password.
        """
        now = time.monotonic()
        with self._lock:
            if where not in self._since:
                return False
            since = self._since[where]
            if since is None:
                since = self._since[where] = now
        return now - min(since, begin) < PATIENCE


def make_lasting(connection: t.Any, driver: t.Any) -> None:
    """Change one of Trac's classes of connections to servers."""
    servers = Servers()
    lost = (driver.OperationalError, driver.InterfaceError)
    init, of_trac = connection.__init__, connection.cursor
    roll_back = getattr(connection, "rollback", None)  # else it is only the driver's

    def connect(self: t.Any, path: str, log: t.Any = None, *where: t.Any) -> None:
        key, begin = repr((path, where)), time.monotonic()
        while True:
            try:
                init(self, path, log, *where)
            except driver.OperationalError:
                if not servers.is_worth_waiting(key, begin):
                    raise
                time.sleep(PAUSE)
            else:
                break
        servers.reached(key)
        self.arguments = (path, log, *where)
        self.is_fresh = True  # nothing has been said in this transaction

    def cursor(self: t.Any) -> t.Any:
        found = of_trac(self)
        found.cursor = Cursor(self, found.cursor, lost)
        return found

    def commit(self: t.Any) -> None:
        self.cnx.commit()
        self.is_fresh = True

    def rollback(self: t.Any) -> None:
        if roll_back:
            roll_back(self)
        else:
            self.cnx.rollback()
        self.is_fresh = True

    def is_lost(self: t.Any) -> bool:
        closed = getattr(self.cnx, "closed", None)  # of psycopg2; PyMySQL says what is open
        return bool(not self.cnx.open if closed is None else closed)

    def renew(self: t.Any) -> t.Any:
        """Take the place of a lost connection; returns a cursor of the driver's."""
        old, self.cnx = self.cnx, connection(*self.arguments).cnx
        with contextlib.suppress(driver.Error):
            old.close()
        return of_trac(self).cursor

    connection.__init__ = connect
    for function in (cursor, commit, rollback, is_lost, renew):
        setattr(connection, function.__name__, function)


class Cursor:
    """A driver's cursor, which says the first statement of a transaction again if it was lost."""

    def __init__(self, connection: t.Any, cursor: t.Any, lost: tuple[t.Any, ...]) -> None:
        self._connection = connection
        self._cursor = cursor
        self._lost = lost

    def __getattr__(self, name: str) -> t.Any:
        if name in {"executemany", "callproc"} or name.startswith("copy_"):
            self._connection.is_fresh = False
        return getattr(self._cursor, name)

    def execute(self, sql: str, *arguments: t.Any) -> t.Any:
        """What the driver returns."""
        is_first, self._connection.is_fresh = self._connection.is_fresh, False
        try:
            return self._cursor.execute(sql, *arguments)
        except self._lost:
            may_repeat = is_first and sql.lstrip()[:6].upper() == "SELECT"
            if not (may_repeat and self._connection.is_lost()):
                raise
            self._cursor = self._connection.renew()
        return self._cursor.execute(sql, *arguments)
