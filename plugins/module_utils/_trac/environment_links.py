# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Symbolic links in environments, as the account that owns these looks at them.

People move `files` to a larger disk and leave a link. A copy that held the link would hold none of
the attachments. So a link that leads out of the environment is followed, and what it leads to
stands in the copy itself, if it is the account's own. A link that stays within is kept as one.
Where a link leads to nothing, or to what belongs to somebody else, there is nothing to copy. In the
place of what the environment cannot be without (attachments, database, configuration) that stops
the copy by name; elsewhere the copy has the link as it is, and that is said.

Root follows none of these links; this is for processes of the account's.
"""

from __future__ import annotations

import contextlib
import os
import stat
import typing as t

from ansible_collections.trac.mod_wsgi.plugins.module_utils._trac.environment_spec import (
    EnvironmentFailure,
)
from ansible_collections.trac.mod_wsgi.plugins.module_utils._trac.opening import account_name

DIRECTORY, FILE, KEPT, BAD = "directory", "file", "kept", "bad"
_SHOWN = 10
_REMEDY = (
    "Copies and backups follow links to what the account {account} owns, and refuse others in the "
    "place of attachments, database and configuration, which would be missing. Put what is needed "
    "in the place of the link (rm LINK; cp -a TARGET LINK), or only remove the link (rm); then run "
    "again"
)

# What an environment cannot be without: these, and whatever is in the last of them.
_PARTS = ("VERSION", "conf", "conf/trac.ini", "files")
_WHOLE = ("attachments", "db", "files/attachments")

# Real directories whose content belongs to the environment, and their paths within it.
_Roots = t.Tuple[t.Tuple[str, str], ...]


class Led(t.NamedTuple):
    """What becomes of a link in a copy."""

    kind: str
    text: str  # of one that is kept; where one leads that is followed; what is wrong


class Entry(t.NamedTuple):
    """Something in an environment that belongs in a copy of it."""

    path: str
    inside: str  # its path within the environment
    kind: str
    text: str = ""  # of a link


def printable(path: str) -> str:
    """A path as it can be shown and encoded, whatever bytes its names hold."""
    return "".join(
        each if each.isprintable() else each.encode("unicode_escape").decode() for each in path
    )


def roots_of(top: str) -> _Roots:
    """What belongs to an environment before any link is followed."""
    return ((os.path.realpath(top), ""),)


def _is_in(path: str, directory: str) -> bool:
    return path == directory or path.startswith(os.path.join(directory, ""))


def _first_stop(path: str) -> str:
    """What a link names, which may be a link again, by a path without links before it."""
    directory, name = os.path.split(os.path.join(os.path.dirname(path), os.readlink(path)))
    if name in ("", os.curdir, os.pardir):
        return os.path.realpath(path)
    return os.path.join(os.path.realpath(directory), name)


def is_needed(inside: str) -> bool:
    """Whether an environment cannot be without what has this path within it."""
    return inside in _PARTS or any(_is_in(inside, part) for part in _WHOLE)


def led(path: str, inside: str, roots: _Roots) -> Led:
    """Where a link leads; FileNotFoundError if there is none any more."""
    stop, real = _first_stop(path), os.path.realpath(path)
    try:
        status = os.stat(path)
    except OSError as e:
        return Led(BAD, f"leads to {real} ({e.strerror})")
    for directory, place in reversed(roots):
        if _is_in(stop, directory):
            target = os.path.normpath(os.path.join(place, os.path.relpath(stop, directory)))
            if target == os.curdir or _is_in(inside, target):
                return Led(BAD, f"leads to {real}, which it is in itself")
            return Led(KEPT, os.path.relpath(target, os.path.dirname(inside) or os.curdir))
        if _is_in(directory, real):
            return Led(BAD, f"leads to {real}, which it is in itself")
    if status.st_uid != os.geteuid():
        return Led(BAD, f"leads to {real}, which belongs to {account_name(status.st_uid)}")
    if stat.S_ISDIR(status.st_mode):
        return Led(DIRECTORY, real)
    if stat.S_ISREG(status.st_mode):
        return Led(FILE, real)
    return Led(BAD, f"leads to {real}, which is neither file nor directory")


class Walk:
    """Goes through what belongs to an environment, each directory before what is in it."""

    def __init__(self, top: str) -> None:
        self.top = top
        self.problems: list[str] = []
        self.followed: dict[str, str] = {}  # links, by their paths within, and where they lead
        self.missing: list[str] = []  # what is behind links that are kept as they are, in words

    def __iter__(self) -> t.Iterator[Entry]:
        waiting = [(self.top, "", roots_of(self.top))]
        while waiting:
            directory, place, roots = waiting.pop()
            for found in os.scandir(directory):
                inside = os.path.join(place, found.name)
                if found.is_symlink():
                    with contextlib.suppress(FileNotFoundError):  # removed meanwhile
                        entry = self._linked(found.path, inside, roots)
                        if entry is None:
                            continue
                        yield entry
                        if entry.kind == DIRECTORY:
                            more = (*roots, (entry.text, inside))
                            waiting.append((found.path, inside, more))
                elif found.is_dir():
                    yield Entry(found.path, inside, DIRECTORY)
                    waiting.append((found.path, inside, roots))
                elif found.is_file():  # sockets and the like hold no data
                    yield Entry(found.path, inside, FILE)

    def _linked(self, path: str, inside: str, roots: _Roots) -> Entry | None:
        kind, text = led(path, inside, roots)
        if kind == BAD and is_needed(inside):
            self.problems.append(printable(f"{path} {text}"))
            return None
        if kind == BAD:
            self.missing.append(printable(f"what is behind the link {path}, which {text}"))
            return Entry(path, inside, KEPT, os.readlink(path))
        if kind != KEPT:
            self.followed[printable(inside)] = printable(text)
        return Entry(path, inside, kind, text)

    def refuse(self) -> None:
        """Fail, by name, where a link leads to what no copy would hold."""
        if not self.problems:
            return
        shown = sorted(self.problems)[:_SHOWN]
        if len(self.problems) > _SHOWN:
            shown.append(f"and {len(self.problems) - _SHOWN} more")
        remedy = _REMEDY.format(account=account_name(os.geteuid()))
        raise EnvironmentFailure(f"symbolic links: {'; '.join(shown)}. {remedy}")


def check(top: str) -> list[str]:
    """What a copy of an environment would lack, in words; fails where it would be none."""
    walk = Walk(top)
    for _entry in walk:
        pass
    walk.refuse()
    return walk.missing
