# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Views, triggers and indexes that somebody has made by hand in an SQLite database.

Their SQL is SQLite's, so that they do not move to a server; they are named.
"""

from __future__ import annotations

import contextlib
import sqlite3
import typing as t


class Thing(t.NamedTuple):
    """What is not carried."""

    kind: str
    name: str


def _quoted(name: str) -> str:
    return '"{}"'.format(name.replace('"', '""'))


def _names(connection: sqlite3.Connection, kind: str) -> set[str]:
    rows = connection.execute("SELECT name FROM sqlite_master WHERE type=?", (kind,))
    return {str(row[0]) for row in rows}


def without_triggers(file: str) -> list[Thing]:
    """Drop all triggers, in a file that nobody else uses; returns them."""
    with contextlib.closing(sqlite3.connect(file)) as connection:
        triggers = sorted(_names(connection, "trigger"))
        for name in triggers:
            connection.execute(f"DROP TRIGGER {_quoted(name)}")
        connection.commit()
    return [Thing("trigger", name) for name in triggers]


def _indexes(connection: sqlite3.Connection) -> dict[str, tuple[t.Any, ...]]:
    """What each index is on; not those that keys bring along."""
    found = {}
    query = "SELECT name, tbl_name FROM sqlite_master WHERE type='index' AND sql IS NOT NULL"
    for name, table in connection.execute(query).fetchall():
        columns = connection.execute(f"PRAGMA index_info({_quoted(name)})").fetchall()
        found[str(name)] = (table, *(column[2] for column in columns))
    return found


def not_in(file: str, other: str) -> list[Thing]:
    """Views and indexes that a database has, and that another one has not."""
    with contextlib.ExitStack() as stack:
        one, two = (
            stack.enter_context(contextlib.closing(sqlite3.connect(each))) for each in (file, other)
        )
        views = _names(one, "view") - _names(two, "view")
        known = set(_indexes(two).values())
        indexes = [name for name, what in _indexes(one).items() if what not in known]
    return [Thing("view", name) for name in sorted(views)] + [
        Thing("index", name) for name in sorted(indexes)
    ]


def words(things: t.Sequence[Thing]) -> list[str]:
    """A warning, if there is anything."""
    if not things:
        return []
    names = ", ".join(f"{thing.kind} {thing.name}" for thing in things)
    return [f"what was made by hand in SQLite is not in the new database: {names}"]
