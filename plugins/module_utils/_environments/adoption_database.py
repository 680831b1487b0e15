# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which database the copy of an environment works on.

A file is copied with the environment. What is on a server is not, and whether a connection string
leads to the original's database cannot be known from its text: a server has many names. So the
inventory has to say it.
"""

from __future__ import annotations

import os
import re
import typing as t

from ansible_collections.trac.mod_wsgi.plugins.module_utils._core import secrets
from ansible_collections.trac.mod_wsgi.plugins.module_utils._environments.adoption import (
    AdoptionFailure,
)
from ansible_collections.trac.mod_wsgi.plugins.module_utils._trac.environment_spec import (
    OWN,
    SHARED,
)

_SQLITE = re.compile(r"sqlite:(?P<path>[^?]*)(?P<parameters>\?.*)?\Z", re.DOTALL)
# What says who connects, and not to what.
_CREDENTIALS = re.compile(r"(?<=://)[^/]*@")


def shares(source: str) -> str:
    """What a copy has to be warned of that works on the original's database."""
    return (
        f"it works on the same database as {source}, which must not be served or worked on any more"
    )


def for_copy(
    source: str, current: str, files: t.Container[str], wanted: str | None, choice: str | None
) -> str | None:
    """The connection string that has to be written into the copy; None: it has the right one.

    `current` is what trac.ini of the original says, `wanted` and `choice` what the inventory says.
    """
    match = _SQLITE.match(current)
    if match:
        if choice == SHARED:
            raise AdoptionFailure(
                f"adopt_database is {SHARED}, but {source} is on SQLite, whose file is copied; "
                "leave adopt_database out"
            )
        if wanted is None:
            return _sqlite(source, match, files)
        other = _SQLITE.match(wanted)
        if other and os.path.isabs(other["path"]) and _file(source, other) == _file(source, match):
            raise AdoptionFailure(
                f"database is the file of {source}, which is copied; leave database out"
            )
        return None
    if choice is None:
        raise AdoptionFailure(
            f"adopt_from: {source} is on a database server "
            f"({secrets.shown('database', current)}), and its database is not copied. Say "
            f"which database the copy works on. With adopt_database: {SHARED} it is the "
            f"original's, which must not be served any more. With adopt_database: {OWN} it is the "
            "one that database names, into which you have loaded a dump of it. Nothing was copied"
        )
    if wanted is None:
        if choice == OWN:
            raise AdoptionFailure(f"adopt_database is {OWN}, which needs a database")
    elif choice == OWN and _place(wanted) == _place(current):
        raise AdoptionFailure(
            f"adopt_database is {OWN}, but database leads to that of {source} "
            f"({secrets.shown('database', current)}); name another one"
        )
    return None


def outside(source: str, current: str) -> str | None:
    """The file of an SQLite database that is not in an environment, or None."""
    match = _SQLITE.match(current)
    if match is None:
        return None
    path = _file(source, match)
    return path if os.path.relpath(path, source).split(os.sep)[0] == os.pardir else None


def _place(uri: str) -> str:
    return _CREDENTIALS.sub("", uri)


def _file(source: str, match: t.Match[str]) -> str:
    return os.path.normpath(os.path.join(source, match["path"]))


def _sqlite(source: str, match: t.Match[str], files: t.Container[str]) -> str | None:
    path = _file(source, match)
    inside = os.path.relpath(path, source)
    if outside(source, match.string) is not None:
        raise AdoptionFailure(
            f"adopt_from: its database {path} is outside of it; copy {source} with "
            "trac-admin hotcopy, or move the database into its directory db"
        )
    if inside not in files:
        raise AdoptionFailure(f"adopt_from: its database {path} is not there, or no file")
    if os.path.isabs(match["path"]):
        return f"sqlite:{inside}{match['parameters'] or ''}"
    return None
