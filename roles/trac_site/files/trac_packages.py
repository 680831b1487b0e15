# Made by the Ansible role trac.mod_wsgi.trac_site; changes are overwritten.
"""Know what packages and plugins are installed, while Trac opens environments."""

from __future__ import annotations

import functools
import importlib
import os
import stat
import time
import typing as t

# A directory of packages that changed longer ago than this is not being changed now.
SETTLED_SECONDS = 60.0


@functools.lru_cache(maxsize=None)
def keep_packages() -> None:
    """Look for installed packages and plugins again only where there may be others.

    To open an environment Trac reads all directories of packages four times, and asks for each of
    its own 40 parts whether what it requires is installed.
    """
    packages = importlib.import_module("pkg_resources")
    packages.find_distributions = kept_distributions(packages.find_distributions)
    packages.EntryPoint.require = required_once(packages.EntryPoint.require)
    environment = importlib.import_module("trac.env")  # which tells its log the version of Trac
    environment.get_pkginfo = functools.lru_cache(maxsize=None)(environment.get_pkginfo)


def kept_distributions(find: t.Callable[..., t.Any]) -> t.Callable[..., t.Any]:
    """What lists the packages in a directory, which reads one that has not changed once."""
    kept: dict[tuple[str, bool], tuple[tuple[int, int], list[t.Any]]] = {}

    @functools.wraps(find)
    def find_kept(path_item: str, only: bool = False) -> t.Iterator[t.Any]:
        state = settled_state(path_item)
        if state and kept.get((path_item, only), (None,))[0] == state:
            return iter(kept[path_item, only][1])
        found = list(find(path_item, only))
        if state and not has_links(path_item):
            kept[path_item, only] = (state, found)
        return iter(found)

    return find_kept


def settled_state(path: str) -> tuple[int, int] | None:
    """What tells a directory from a changed one; None while it may be just being changed."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    if not stat.S_ISDIR(found.st_mode) or time.time() - found.st_ctime < SETTLED_SECONDS:
        return None
    return found.st_ino, found.st_ctime_ns


def has_links(path: str) -> bool:
    """Whether packages elsewhere belong to a directory, which do not change it."""
    try:
        return any(name.lower().endswith(".egg-link") for name in os.listdir(path))
    except OSError:
        return True


def required_once(require: t.Callable[..., None]) -> t.Callable[..., None]:
    """What raises if a plugin's requirements are not met. Those that are, stay so in a process."""
    met = set()

    @functools.wraps(require)
    def require_once(self: t.Any, env: t.Any = None, installer: t.Any = None) -> None:
        key = (self.dist, self.extras)
        if env or installer or key not in met:
            require(self, env, installer)
            met.add(key)

    return require_once
