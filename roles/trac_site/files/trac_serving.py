# Made by the Ansible role trac.mod_wsgi.trac_site; changes are overwritten.
"""Serve Trac's pages with less waiting: what a process needs is made once, and kept.

The script of a site switches on what its settings name.

Preloading: environments are opened when the process starts, before Apache gives it a request.
Freezing: Trac has Python's garbage collector walk all objects of the process at the end of each
request, which takes longer than making most pages. What stays is taken out of its sight.
Both are the work of one thread, so that no request waits for them.
What is kept for pages is in trac_pages.py, what is known of plugins in trac_packages.py, and what
happens when a database server is restarted in trac_connections.py.
"""

from __future__ import annotations

import contextlib
import functools
import gc
import importlib
import logging
import os
import queue
import sys
import threading
import time
import typing as t
import weakref

# How often the thread looks around; with very many environments it rests up to a second, so that
# it does not use more than a twentieth of the time.
ROUND_SECONDS = 0.1
REST = 20
REST_SECONDS = 1.0
# How long the start of a process waits for its first environment.
START_SECONDS = 10.0
# Objects that have outlived a collection since the last freeze and that are worth another one;
# walking them takes about a millisecond. Not more often than this, because it walks all objects,
# and pages wait for that; unless so many environments were replaced, which may be garbage.
GROWTH_OBJECTS = 2000
GROWTH_SECONDS = 10.0
REPLACED = 20
# Python looks for garbage by itself when so many objects more have been made than let go; its own
# 700 has a long page walked again and again while it is made. Trac looks after each request.
YOUNG_OBJECTS = 50_000
# Templates of the pages that a visitor is likely to want first.
TEMPLATES = ("wiki_view.html", "ticket.html", "report_view.html", "timeline.html", "error.html")


class Environments:
    """Trac's cache of open environments, in which none is changed while a request uses it.

    Trac itself reads a changed trac.ini into the environment that other requests are using, closes
    every connection to a database in the process, of whichever environment, and lets all wait.
    These requests fail; with SQLite the process crashes. Here the environment is opened anew, takes
    the place of the old one, and the old one ends with its last request. Only requests for this
    environment wait. None is served with settings older than its beginning.
    """

    def __init__(self) -> None:
        self._env = importlib.import_module("trac.env")
        self._cache_manager = importlib.import_module("trac.cache").CacheManager
        self._opening: dict[str, threading.Lock] = {}

    def paths(self) -> list[str]:
        """Of those that are open."""
        with self._env.env_cache_lock:
            return list(self._env.env_cache)

    def references(self) -> dict[str, t.Any]:
        """Weak ones, by path."""
        with self._env.env_cache_lock:
            return {path: weakref.ref(env) for path, env in self._env.env_cache.items()}

    def open(
        self,
        env_path: str | None = None,
        use_cache: bool = False,
        prepare: t.Callable[[t.Any], None] | None = None,
    ) -> t.Any:
        """In the place of Trac's open_environment.

        :param prepare: what to do with an environment that had to be opened
        """
        if not (env_path and use_cache):
            return self._env.open_environment(env_path)
        env = self._current(env_path)
        if env is None:
            with self._lock(env_path):
                # Another thread may have opened it meanwhile.
                env = self._current(env_path) or self._replace(env_path, prepare)
        self._cache_manager(env).reset_metadata()
        return env

    def _lock(self, path: str) -> threading.Lock:
        with self._env.env_cache_lock:
            return self._opening.setdefault(path, threading.Lock())

    def _current(self, path: str) -> t.Any:
        with self._env.env_cache_lock:
            env = self._env.env_cache.get(path)
        return None if env is None or has_changed(env.config) else env

    def _replace(self, path: str, prepare: t.Callable[[t.Any], None] | None) -> t.Any:
        new = self._env.open_environment(path)
        if prepare:
            prepare(new)
        with self._env.env_cache_lock:
            old = self._env.env_cache.get(path)
            self._env.env_cache[path] = new
        if old is not None:
            new.log.info("Reloading environment due to configuration change")
            old.shutdown()
        return new


def has_changed(config: t.Any) -> bool:
    """Whether a configuration's files are not those that were read, inherited ones included."""
    try:
        if os.path.getmtime(config.filename) != config._lastmtime:
            return True
    except (OSError, TypeError):  # no file: nothing to be read anew
        pass
    return any(has_changed(parent) for parent in config.parents)


def change_time(path: str) -> int | None:
    """When an environment's own trac.ini changed, in nanoseconds; None if there is none."""
    try:
        return os.stat(os.path.join(path, "conf", "trac.ini")).st_mtime_ns
    except OSError:
        return None


class Caretaker(threading.Thread):
    """Opens environments ahead of the requests for them, and freezes what stays.

    When a trac.ini has changed, the next round opens the environment anew, if no request has done
    so before. What cannot be opened is left to Trac, which tells the visitor why.
    """

    def __init__(self, environments: Environments) -> None:
        super().__init__(name="trac-caretaker", daemon=True)
        self.freeze = False
        self._environments = environments
        self._orders: queue.SimpleQueue[tuple[list[str], threading.Event]] = queue.SimpleQueue()
        # By path: the time of the trac.ini with which an environment could not be opened.
        self._failed: dict[str, t.Any] = {}
        # By path: the environment as it was when all was frozen.
        self._frozen: dict[str, t.Any] = {}
        # How many were frozen since garbage was looked for, and when that was.
        self._unsearched = 0
        self._searched_at = time.monotonic()

    def preload(self, paths: list[str]) -> None:
        """Wait for the first of these environments. The others are opened while it serves."""
        done = threading.Event()
        self._orders.put((paths, done))
        done.wait(START_SECONDS)

    def run(self) -> None:
        rest = 0.0
        while True:
            begin = time.thread_time()
            try:
                paths, done = self._orders.get(timeout=max(ROUND_SECONDS, rest))
            except queue.Empty:
                self.look_around([])
            else:
                self.look_around(paths[:1])
                done.set()
                self.look_around(paths[1:])
            rest = min(REST * (time.thread_time() - begin), REST_SECONDS)

    def look_around(self, paths: list[str]) -> None:
        """One round: open these environments, and those that have changed; freeze what is new."""
        for path in [*paths, *self._environments.paths()]:
            self._open(path)
        if self.freeze:
            self._freeze_what_is_new()

    def _open(self, path: str) -> None:
        time_of_change = change_time(path)
        if self._failed.get(path, -1) == time_of_change:
            return
        try:
            self._environments.open(path, use_cache=True, prepare=warm)
        except Exception as error:  # noqa: BLE001, whatever a plugin or a driver raises
            self._failed[path] = time_of_change
            say(f"{path} cannot be opened ahead: {type(error).__name__}: {error}")
        else:
            self._failed.pop(path, None)

    def _freeze_what_is_new(self) -> None:
        """Freeze new environments at once, which takes no time, and look for garbage later."""
        now = self._environments.references()
        new = sum(env != self._frozen.get(path) for path, env in now.items())
        if new:
            gc.freeze()
            self._frozen = now
            self._unsearched += new
        due = time.monotonic() - self._searched_at > GROWTH_SECONDS
        grown = due and len(gc.get_objects(generation=2)) > GROWTH_OBJECTS
        if grown or (due and self._unsearched) or self._unsearched > REPLACED:
            refreeze()
            self._unsearched = 0
            self._searched_at = time.monotonic()


def refreeze() -> None:
    """Thaw, collect, freeze: in this order nothing that is garbage can pile up as frozen.

    What running requests hold at that moment is frozen with the rest. It is freed when they let go
    of it, or, if it refers to itself, the next time.
    """
    gc.unfreeze()
    gc.collect()
    gc.freeze()


def warm(env: t.Any) -> None:
    """Have an environment make what its first pages would have to wait for.

    What is disabled in it has no pages that would wait. An option that names something disabled is
    for Trac to tell those who want such a page.
    """
    unusable = importlib.import_module("trac.config").ConfigurationError
    # The names of Trac are looked up here, so that one that a later version lacks costs only this.
    for module, component, use in (
        ("trac.web.main", "RequestDispatcher", lambda found: list(found.handlers)),
        ("trac.wiki.parser", "WikiParser", lambda found: found.rules),
        ("trac.wiki.api", "WikiSystem", lambda found: found.pages),
        ("trac.ticket.api", "TicketSystem", lambda found: found.fields),
        ("trac.web.chrome", "Chrome", load_templates),
    ):
        component_class = getattr(importlib.import_module(module), component)
        if env.is_enabled(component_class):
            with contextlib.suppress(unusable):
                use(component_class(env))
    env.shutdown(threading.get_ident())  # as at the end of a request


def load_templates(chrome: t.Any) -> None:
    """Those templates that there are: the disabled parts of Trac bring none."""
    missing = importlib.import_module("jinja2").TemplateNotFound
    for name in TEMPLATES:
        with contextlib.suppress(missing):
            chrome.load_template(name)


@functools.lru_cache(maxsize=100)
def say(text: str) -> None:
    """A line in Apache's error log, each only once."""
    print(f"Trac in process {os.getpid()}: {text}", file=sys.stderr, flush=True)


def recently_used(parent_directory: str) -> list[str]:
    """The paths of environments, the ones whose files changed last in front."""
    main = importlib.import_module("trac.web.main")
    found = main.get_environments({"trac.env_parent_dir": parent_directory})
    return sorted(found.values(), key=last_change, reverse=True)


def last_change(path: str) -> float:
    """When an environment's log, SQLite database or configuration changed last."""
    latest = 0.0
    for name in ("log", "db", "conf"):
        with contextlib.suppress(OSError), os.scandir(os.path.join(path, name)) as entries:
            latest = max([latest, *(entry.stat().st_mtime for entry in entries)])
    return latest


@functools.lru_cache(maxsize=None)
def environments() -> Environments:
    """Those of this process. From now on Trac looks for them there."""
    backend = importlib.import_module("trac.db.pool").ConnectionPoolBackend
    backend.shutdown = only_idle(backend.shutdown)
    share_logs()
    importlib.import_module("trac_connections").keep_connections()
    found = Environments()
    importlib.import_module("trac.web.main").open_environment = found.open
    return found


def share_logs() -> None:
    """Let what was opened last of an environment write the log for all that is open of it.

    Trac names an environment's logger by its path. Objects of one environment share it, and with it
    the handlers: each adds one, and whichever ends closes all. So a new one takes the place of the
    former, whose requests go on writing, into the log as it is configured now; and none is closed
    before another takes its place. The same for what could not be opened after all.
    """
    environment = importlib.import_module("trac.env").Environment
    create = environment.create_logger

    def create_logger(self: t.Any, *settings: t.Any) -> tuple[logging.Logger, logging.Handler]:
        logger, handler = create(self, *settings)
        # Other threads go through the former list until they are done with a line.
        former, logger.handlers = logger.handlers, [handler]
        for each in former:
            each.close()
        return logger, handler

    environment.create_logger = create_logger
    importlib.import_module("trac.log").shutdown = flush


def flush(logger: logging.Logger) -> None:
    """Have what was logged written."""
    for handler in logger.handlers:
        handler.flush()


def only_idle(shutdown: t.Callable[..., None]) -> t.Callable[..., None]:
    """The pool's shutdown, which leaves connections to the threads that use them at that moment."""

    @functools.wraps(shutdown)
    def shutdown_idle(self: t.Any, tid: int | None = None) -> None:
        if tid is None:
            with self._available:
                # Idle for ever, so that Trac finds them too old to be kept.
                self._pool_time[:] = [0] * len(self._pool_time)
        shutdown(self, threading.get_ident() if tid is None else tid)

    return shutdown_idle


@functools.lru_cache(maxsize=None)
def caretaker() -> Caretaker:
    """The one thread of this process."""
    thread = Caretaker(environments())
    thread.start()
    return thread


def take_care(
    environment: str | None,
    parent_directory: str | None,
    preload: int,
    freeze: bool,
    is_out: t.Callable[[str], bool],
) -> None:
    """Preload and freeze for a site.

    :param environment: path of the one environment, or None
    :param parent_directory: path of the directory of all of them, or None
    :param preload: how many environments are opened when the process starts, 0 for none
    :param freeze: whether what stays is kept from the garbage collector
    :param is_out: whether an environment is out of service, which may crash who opens it
    """
    paths = [environment] if environment else recently_used(parent_directory or "")
    paths = [path for path in paths if not is_out(path)]
    caretaker().freeze |= freeze
    if freeze:
        gc.set_threshold(YOUNG_OBJECTS, *gc.get_threshold()[1:])
    caretaker().preload(paths[:preload])
