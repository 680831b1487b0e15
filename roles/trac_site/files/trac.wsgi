# Made by the Ansible role trac.mod_wsgi.trac_site; changes are overwritten.
"""Serve Trac through mod_wsgi.

Which environment is served travels with each request. Scripts that share a process, as in
mod_wsgi's embedded mode, would otherwise answer for each other.
"""

import contextlib
import functools
import importlib
import locale
import os
import site
import sys
import threading

SETTINGS = {}  # the role puts the values of the inventory here

if SETTINGS["umask"] is not None:
    os.umask(SETTINGS["umask"])

# Read when a zipped plugin is unpacked.
os.environ["PYTHON_EGG_CACHE"] = SETTINGS["egg_cache"]
# Read when Trac's pool is imported.
os.environ["TRAC_DB_POOL_SIZE"] = str(SETTINGS["pool_size"])

# Seconds. A server that is stopped, or behind a firewall, would have requests wait for ever.
os.environ.setdefault("PGCONNECT_TIMEOUT", "10")

# Before anything of Trac or setuptools is imported: they look for plugins when they are.
for directory in SETTINGS["site_directories"]:
    site.addsitedir(directory)


def usable_locale():
    """A locale with UTF-8 that this host has. Trac sets the locale on every request."""
    for name in ("C.UTF-8", "C.utf8", "en_US.UTF-8"):
        try:
            locale.setlocale(locale.LC_ALL, name)
        except locale.Error:
            continue
        return name
    return "C"


def server_connections():
    """Trac's classes of connections to database servers, as far as their drivers are installed."""
    resolution_error = importlib.import_module("pkg_resources").ResolutionError
    for module, name in (
        ("trac.db.postgres_backend", "PostgreSQLConnection"),
        ("trac.db.mysql_backend", "MySQLConnection"),
    ):
        try:
            yield getattr(importlib.import_module(module), name)
        except (ImportError, AttributeError, resolution_error):
            continue


def disable_pooling():
    """Have each connection to a database server closed after use, about ten times per page."""
    for connection in server_connections():
        connection.poolable = False


def request_pool():
    """Have connections to database servers closed at the end of the request that used them.

    Trac's threads go on sharing one pool, with its size, its order and its way of taking and
    returning connections. What is added: each connection in the pool knows the thread that used
    it last. When that thread's request ends, it is closed, unless another thread has taken it
    meanwhile, whose request it then ends with. A thread that serves no request, such as one of a
    plugin, pools nothing.
    """
    pool = importlib.import_module("trac.db.pool")
    if hasattr(pool._backend, "end_request"):
        return pool._backend  # another site in this interpreter
    servers = tuple(server_connections())

    class RequestPool(pool.ConnectionPoolBackend):
        def __init__(self, size):
            super().__init__(size)
            self._requests = set()  # the threads that serve one

        def begin_request(self):
            thread = threading.get_ident()
            with self._available:
                self._requests.add(thread)
            return thread

        def end_request(self, thread):
            with self._available:
                self._requests.discard(thread)
            self._close_idle(thread)

        def _return_cnx(self, cnx, key, thread):
            if isinstance(cnx, servers):
                cnx.last_thread = thread  # first, because others may take it at once
            super()._return_cnx(cnx, key, thread)
            if thread not in self._requests:
                self._close_idle(thread)

        def _close_idle(self, thread):
            with self._available:
                mine = [
                    index
                    for index, cnx in enumerate(self._pool)
                    if isinstance(cnx, servers) and cnx.last_thread == thread
                ]
                idle = [self._pool[index] for index in mine]
                for index in reversed(mine):
                    del self._pool[index], self._pool_key[index], self._pool_time[index]
            for cnx in idle:  # not under the lock: the server may take its time
                with contextlib.suppress(Exception):  # of any driver; it is gone either way
                    cnx.close()

    pool._backend = RequestPool(pool._pool_size)
    return pool._backend


class Stream:
    """A response that may still use the database while the server sends it."""

    def __init__(self, response, end):
        self.response = response
        self.end = end

    def __iter__(self):
        return iter(self.response)

    def close(self):
        try:
            if hasattr(self.response, "close"):
                self.response.close()
        finally:
            self.end()


def is_complete(response, file_wrapper):
    """Whether a response is made: a page, or a file, which mod_wsgi has to get as it is."""
    if isinstance(response, (list, tuple)):
        return True
    return isinstance(file_wrapper, type) and isinstance(response, file_wrapper)


def per_request(dispatch, pool):
    """The dispatcher, telling the pool when a request begins and when it ends."""

    def dispatch_one(environ, start_response):
        end = functools.partial(pool.end_request, pool.begin_request())
        try:
            response = dispatch(environ, start_response)
        except BaseException:
            end()
            raise
        if is_complete(response, environ.get("wsgi.file_wrapper")):
            end()
            return response
        return Stream(response, end)

    return dispatch_one


def know_groups():
    """Have Trac's permissions count for the groups that the inventory has users in."""
    provider = importlib.import_module("trac.perm").DefaultPermissionGroupProvider
    of_trac = provider.get_permission_groups

    def get_permission_groups(self, username):
        return [*of_trac(self, username), *SETTINGS["groups"].get(username, [])]

    provider.get_permission_groups = get_permission_groups


def serve_well():
    """Switch on what the files beside this script have for a process that serves many requests."""
    serving = importlib.import_module("trac_serving")
    serving.environments()
    out_of_service.tell_index()
    if SETTINGS["reuse"]:
        importlib.import_module("trac_packages").keep_packages()
        pages = importlib.import_module("trac_pages")
        pages.keep(os.path.join(SETTINGS["egg_cache"], "templates"))
    if SETTINGS["preload"] or SETTINGS["freeze"]:
        serving.take_care(
            SETTINGS["environment"],
            SETTINGS["parent_directory"],
            SETTINGS["preload"],
            SETTINGS["freeze"],
            out_of_service.is_out,
        )


LOCALE = usable_locale()

# Imported here, not on the first request: Apache loads this script when a process starts.
dispatch_request = importlib.import_module("trac.web.main").dispatch_request

if SETTINGS["pooling"] == "disabled":
    disable_pooling()
elif SETTINGS["pooling"] == "per_request":
    dispatch_request = per_request(dispatch_request, request_pool())

sys.path.append(SETTINGS["directory"])
out_of_service = importlib.import_module("trac_out_of_service").OutOfService(
    os.path.dirname(SETTINGS["directory"])
)
dispatch_request = out_of_service.guarded(dispatch_request, SETTINGS["environment"])

if SETTINGS["groups"]:
    know_groups()

# Last, because environments are opened with what has been set up before.
serve_well()


def application(environ, start_response):
    # Both are set, so that neither SetEnv nor the process's environment can say otherwise.
    environ["trac.env_path"] = SETTINGS["environment"] or ""
    environ["trac.env_parent_dir"] = SETTINGS["parent_directory"] or ""
    environ.pop("trac.env_paths", None)
    if SETTINGS["private_environments"] and not environ.get("PATH_INFO", "").strip("/"):
        environ["trac.env_parent_dir"] = ""
        environ["trac.env_paths"] = public_environments()
    environ["trac.locale"] = LOCALE
    if "REMOTE_USER" in environ:
        environ["REMOTE_USER"] = decoded(environ["REMOTE_USER"])
    return dispatch_request(environ, start_response)


def public_environments():
    """The paths of the environments that the index may show to everybody."""
    main = importlib.import_module("trac.web.main")
    parent, private = SETTINGS["parent_directory"], SETTINGS["private_environments"]
    found = main.get_environments({"trac.env_parent_dir": parent})
    public = [path for name, path in found.items() if name not in private]
    # Trac takes an empty list for a mistake, and leaves out what is not there.
    return public or [os.path.join(parent, ".none")]


def decoded(name):
    """A user's name as text; WSGI hands over the bytes of UTF-8 as if they were Latin-1."""
    try:
        return name.encode("latin-1").decode("utf-8")
    except UnicodeError:
        return name
