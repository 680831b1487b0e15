# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Database connections of a site's script: Trac's own pool, real threads, a database of toys."""

from __future__ import annotations

import contextlib
import importlib
import os
import pathlib
import random
import sys
import threading
import time
import types
import typing as t
import weakref

import pytest

from ansible_collections.trac.mod_wsgi.plugins.module_utils._site import plan as site_plan
from ansible_collections.trac.mod_wsgi.tests.unit.plugins import site_settings

FILES = pathlib.Path(__file__).parents[3] / "roles" / "trac_site" / "files"
SOURCE = (FILES / "trac.wsgi").read_text(encoding="utf-8")
SETTINGS = {**site_settings.SETTINGS, "hello_world_path": ""}
WAIT = 10  # seconds, for what should happen at once


class Connection:
    """A connection to the server, which notices who uses it."""

    poolable = True

    def __init__(self, server: Server, database: str) -> None:
        self.server = server
        self.database = database
        self.user: int | None = None
        self.closed = False
        self.rollbacks = 0
        with server.lock:
            server.connects += 1
            server.opened.add(self)
            server.most = max(server.most, len(server.opened))

    def query(self) -> str:
        """Ask for something that takes its time, as nobody else may use it meanwhile."""
        assert not self.closed, "used after it was closed"
        assert self.user is None, "used by two threads at once"
        self.user = threading.get_ident()
        time.sleep(random.random() / 2000)
        self.user = None
        assert not self.closed, "closed while it was used"
        return self.database

    def rollback(self) -> None:
        assert not self.closed
        self.rollbacks += 1

    def close(self) -> None:
        assert self.user is None, "closed while a thread uses it"
        with self.server.lock:
            assert not self.closed, "closed twice"
            self.closed = True
            self.server.opened.discard(self)
        if self.server.closing_fails:
            msg = "server closed the connection unexpectedly"
            raise OSError(msg)


class FileConnection:
    """A connection to a SQLite file, which no pooling concerns."""

    poolable = True

    def __init__(self, server: Server, _database: str) -> None:
        server.opened.add(self)

    def rollback(self) -> None:
        pass


class Server:
    """Counts connections, as pg_stat_database does."""

    def __init__(self, kind: t.Callable[[Server, str], t.Any] = Connection) -> None:
        self.kind = kind
        self.lock = threading.RLock()
        # Drivers close what nobody refers to any more, and Trac's pool relies on it.
        self.opened: weakref.WeakSet[t.Any] = weakref.WeakSet()
        self.connects = 0
        self.most = 0
        self.closing_fails = False

    @property
    def open(self) -> list[t.Any]:
        return list(self.opened)

    def get_connection(self, database: str) -> t.Any:
        return self.kind(self, database)


class Site:
    """A script whose Trac is a function of the test, with Trac's real pool."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, pooling: str, size: int = 10) -> None:
        self.pool = importlib.import_module("trac.db.pool")
        self.pooling = pooling
        self.size = size
        self.server = Server()
        monkeypatch.setattr(self.pool, "_pool_size", size)
        monkeypatch.setattr(self.pool, "_backend", self.pool.ConnectionPoolBackend(size))
        monkeypatch.setattr(Connection, "poolable", True)
        for module, name in (
            ("trac.db.postgres_backend", "PostgreSQLConnection"),
            ("trac.db.mysql_backend", "MySQLConnection"),
        ):
            backend = types.ModuleType(module)
            # SQLite's class is no subclass of these, so neither may the toy's be.
            setattr(backend, name, Connection if name.startswith("P") else type(name, (), {}))
            monkeypatch.setitem(sys.modules, module, backend)
        main = types.ModuleType("trac.web.main")
        main.dispatch_request = lambda environ, _start: environ["page"]()  # type: ignore[attr-defined]
        main.open_environment = None  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, "trac.web.main", main)
        monkeypatch.syspath_prepend(str(FILES))
        # Environments and what is kept of them have their own tests.
        serving = types.ModuleType("trac_serving")
        serving.environments = lambda: None  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, "trac_serving", serving)
        for name in ("PYTHON_EGG_CACHE", "TRAC_DB_POOL_SIZE"):
            monkeypatch.setenv(name, "")
        self.application = self.load()

    def load(self) -> t.Any:
        """Run the script, as mod_wsgi does once for each site in an interpreter."""
        site = {"name": "a", "environment": "one", "pooling": self.pooling, "pool_size": self.size}
        site.update(preload=0, freeze=False, reuse=False)
        (completed,) = site_settings.planned([site], [{"name": "one"}], SETTINGS)["sites"]
        names: dict[str, t.Any] = {}
        exec(compile(site_plan.wsgi_script(SOURCE, completed), "trac.wsgi", "exec"), names)
        return names["application"]

    def database(self, name: str, server: Server | None = None) -> t.Any:
        """What an environment has for its database."""
        return self.pool.ConnectionPool(5, server or self.server, database=name)

    @contextlib.contextmanager
    def connection(self, name: str) -> t.Iterator[t.Any]:
        """What Trac does around each use."""
        with contextlib.closing(self.database(name).get_cnx()) as cnx:
            yield cnx

    def use(self, name: str) -> None:
        with self.connection(name) as cnx:
            assert cnx.query() == name

    def request(self, page: t.Callable[[], t.Any], **environ: object) -> list[bytes]:
        """One request, as mod_wsgi makes it."""
        response = self.application({"page": page, **environ}, None)
        try:
            return list(response)
        finally:
            if hasattr(response, "close"):
                response.close()

    def page(self, *names: str, uses: int = 10) -> list[bytes]:
        def page() -> list[bytes]:
            for _use in range(uses):
                for name in names:
                    self.use(name)
            return [b"page"]

        return self.request(page)


def in_threads(count: int, work: t.Callable[[int], None]) -> None:
    """Run work in threads; the first error is that of the test."""
    errors: list[BaseException] = []

    def run(number: int) -> None:
        try:
            work(number)
        except BaseException as error:  # noqa: BLE001
            errors.append(error)

    threads = [threading.Thread(target=run, args=(number,), daemon=True) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive(), "waits for ever"
    if errors:
        raise errors[0]


@pytest.mark.parametrize(
    ("pooling", "connects", "idle"), [("enabled", 1, 1), ("disabled", 20, 0), ("per_request", 2, 0)]
)
def test_what_two_pages_cost(
    monkeypatch: pytest.MonkeyPatch, pooling: str, connects: int, idle: int
) -> None:
    site = Site(monkeypatch, pooling)
    site.page("one")
    site.page("one")
    assert (site.server.connects, len(site.server.open)) == (connects, idle)


@pytest.mark.parametrize("pooling", ["enabled", "disabled", "per_request"])
def test_pages_in_parallel(monkeypatch: pytest.MonkeyPatch, pooling: str) -> None:
    site = Site(monkeypatch, pooling, size=8)
    pages = 30

    def visitor(number: int) -> None:
        for page in range(pages):
            site.page(f"database {(number + page) % 5}")

    in_threads(8, visitor)
    assert site.server.most <= 8
    if pooling == "enabled":
        assert site.server.open
        return
    assert site.server.open == []
    if pooling == "disabled":
        assert site.server.connects == 8 * pages * 10
    else:
        # One thread may take what another has left for its own next use, and the other connects
        # anew, but then it is the first that needs no connect.
        assert site.server.connects <= 8 * pages


def test_the_end_of_a_request_leaves_those_of_others_open(monkeypatch: pytest.MonkeyPatch) -> None:
    site = Site(monkeypatch, "per_request")
    used, ended = threading.Event(), threading.Event()

    def long_page() -> list[bytes]:
        site.use("one")
        used.set()
        assert ended.wait(WAIT)
        site.use("one")
        return []

    def visitor(number: int) -> None:
        if number == 0:
            site.request(long_page)
        else:
            assert used.wait(WAIT)
            site.page("two")
            ended.set()

    in_threads(2, visitor)
    assert site.server.connects == 2
    assert site.server.open == []


def test_a_connection_in_use_is_not_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    site = Site(monkeypatch, "per_request")
    used, ended = threading.Event(), threading.Event()

    def taker() -> list[bytes]:
        assert used.wait(WAIT)
        with site.connection("one") as cnx:  # the one that the other request has left
            ended.set()
            time.sleep(0.05)
            cnx.query()
        return []

    def leaver() -> list[bytes]:
        site.use("one")
        used.set()
        assert ended.wait(WAIT)
        return []

    in_threads(2, lambda number: t.cast("None", site.request((taker, leaver)[number])))
    assert site.server.connects == 1
    assert site.server.open == []


def test_a_transaction_ends_with_its_use_and_not_with_the_request(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    site = Site(monkeypatch, "per_request")

    def page() -> list[bytes]:
        site.use("one")
        assert site.server.open[0].rollbacks == 1
        site.use("one")
        assert site.server.open[0].rollbacks == 2
        return []

    site.request(page)


def test_uses_within_each_other_share_a_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    site = Site(monkeypatch, "per_request")

    def page() -> list[bytes]:
        with site.connection("one") as outer:
            site.use("one")
            outer.query()
        return []

    site.request(page)
    assert (site.server.connects, site.server.open) == (1, [])


def test_an_index_of_more_databases_than_the_pool_has_places(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    site = Site(monkeypatch, "per_request", size=3)
    names = [f"database {number}" for number in range(20)]
    in_threads(3, lambda _number: t.cast("None", site.page(*names, uses=1)))
    assert site.server.most <= 3
    assert site.server.open == []


def test_an_error_ends_the_request(monkeypatch: pytest.MonkeyPatch) -> None:
    site = Site(monkeypatch, "per_request")

    def page() -> list[bytes]:
        site.use("one")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        site.request(page)
    assert site.server.open == []


def test_a_stream_ends_the_request_when_it_is_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    site = Site(monkeypatch, "per_request")

    def stream() -> t.Iterator[bytes]:
        for number in range(3):
            site.use("one")
            yield str(number).encode()

    assert site.request(stream) == [b"0", b"1", b"2"]
    assert (site.server.connects, site.server.open) == (1, [])


def test_a_stream_that_the_visitor_breaks_off(monkeypatch: pytest.MonkeyPatch) -> None:
    site = Site(monkeypatch, "per_request")
    ended = []

    def stream() -> t.Iterator[bytes]:
        try:
            while True:
                site.use("one")
                yield b"more"
        finally:
            ended.append(True)

    response = site.application({"page": stream}, None)
    assert next(iter(response)) == b"more"
    assert len(site.server.open) == 1
    response.close()
    assert ended
    assert site.server.open == []


def test_a_stream_that_fails_while_it_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    site = Site(monkeypatch, "per_request")

    def stream() -> t.Iterator[bytes]:
        site.use("one")
        try:
            yield b"more"
        finally:
            raise OSError(7, "no more")

    response = site.application({"page": stream}, None)
    next(iter(response))
    with pytest.raises(OSError, match="no more"):
        response.close()
    assert site.server.open == []


def test_the_server_gets_its_own_file_wrapper_back(monkeypatch: pytest.MonkeyPatch) -> None:
    class FileWrapper:
        """What mod_wsgi recognises by its type, and sends without Python."""

    site = Site(monkeypatch, "per_request")

    def download() -> FileWrapper:
        site.use("one")
        return FileWrapper()

    response = site.application({"page": download, "wsgi.file_wrapper": FileWrapper}, None)
    assert isinstance(response, FileWrapper)
    assert site.server.open == []


def test_without_a_request_nothing_is_pooled(monkeypatch: pytest.MonkeyPatch) -> None:
    site = Site(monkeypatch, "per_request")
    site.use("one")  # a plugin's own thread
    assert site.server.open == []


def test_a_connection_that_is_returned_after_its_request(monkeypatch: pytest.MonkeyPatch) -> None:
    site = Site(monkeypatch, "per_request")
    kept = []

    def page() -> list[bytes]:
        kept.append(site.database("one").get_cnx())  # until the garbage collector comes
        return []

    site.request(page)
    assert len(site.server.open) == 1
    in_threads(1, lambda _number: t.cast("None", kept.pop().close()))
    assert site.server.open == []


def test_a_server_that_has_gone_away_does_not_break_the_page(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    site = Site(monkeypatch, "per_request")
    site.server.closing_fails = True
    assert site.page("one", "two") == [b"page"]
    assert site.server.open == []


def test_sqlite_stays_open(monkeypatch: pytest.MonkeyPatch) -> None:
    site = Site(monkeypatch, "per_request")
    sqlite = Server(FileConnection)

    def page() -> list[bytes]:
        site.database("file", sqlite).get_cnx().close()
        site.use("one")
        return []

    site.request(page)
    (kept,) = sqlite.open
    site.request(page)
    assert sqlite.open == [kept]
    assert site.server.open == []


def test_two_sites_in_one_interpreter_share_the_pool(monkeypatch: pytest.MonkeyPatch) -> None:
    site = Site(monkeypatch, "per_request")
    first = site.pool._backend
    second = site.load()
    assert site.pool._backend is first
    site.page("one")
    site.application = second
    site.page("one")
    assert (site.server.connects, site.server.open) == (2, [])


def test_the_pool_has_the_size_of_the_inventory(monkeypatch: pytest.MonkeyPatch) -> None:
    Site(monkeypatch, "enabled", size=7)
    assert os.environ["TRAC_DB_POOL_SIZE"] == "7"
