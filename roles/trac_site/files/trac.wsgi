# Made by the Ansible role trac.mod_wsgi.trac_site; changes are overwritten.
"""Serve Trac through mod_wsgi.

Which environment is served travels with each request. Scripts that share a process, as in
mod_wsgi's embedded mode, would otherwise answer for each other.
"""

import importlib
import locale
import os
import site

SETTINGS = {}  # the role puts the values of the inventory here

if SETTINGS["umask"] is not None:
    os.umask(SETTINGS["umask"])

# Read when a zipped plugin is unpacked.
os.environ["PYTHON_EGG_CACHE"] = SETTINGS["egg_cache"]

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


def disable_pooling():
    """Have each connection to a database server closed after use."""
    resolution_error = importlib.import_module("pkg_resources").ResolutionError
    for module, name in (
        ("trac.db.postgres_backend", "PostgreSQLConnection"),
        ("trac.db.mysql_backend", "MySQLConnection"),
    ):
        try:
            connection = getattr(importlib.import_module(module), name)
        except (ImportError, AttributeError, resolution_error):
            continue  # the driver is not installed
        connection.poolable = False


LOCALE = usable_locale()
if SETTINGS["pooling"] == "disabled":
    disable_pooling()

# Imported here, not on the first request: Apache loads this script when a process starts.
dispatch_request = importlib.import_module("trac.web.main").dispatch_request


def application(environ, start_response):
    # Both are set, so that neither SetEnv nor the process's environment can say otherwise.
    environ["trac.env_path"] = SETTINGS["environment"] or ""
    environ["trac.env_parent_dir"] = SETTINGS["parent_directory"] or ""
    environ.pop("trac.env_paths", None)
    environ["trac.locale"] = LOCALE
    if "REMOTE_USER" in environ:
        environ["REMOTE_USER"] = decoded(environ["REMOTE_USER"])
    return dispatch_request(environ, start_response)


def decoded(name):
    """A user's name as text; WSGI hands over the bytes of UTF-8 as if they were Latin-1."""
    try:
        return name.encode("latin-1").decode("utf-8")
    except UnicodeError:
        return name
