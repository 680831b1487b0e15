# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What role trac_restore makes of its variables."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.trac.mod_wsgi.plugins.module_utils._restore import run as restore_run
from ansible_collections.trac.mod_wsgi.plugins.plugin_utils import _restore_input

OLD, NEW = "/b/project-20270130T120000Z.tar.gz", "/b/project-20270131T120000Z.tar.gz"
LONGER = "/b/project-x-20270201T120000Z.tar.gz"


@pytest.mark.parametrize(
    ("wanted", "archives", "problem"),
    [
        ("project", None, "has to be a list"),
        ([1], None, "trac_restore_environments[0] is 1; it has to be a name, or a dictionary"),
        ([{"file": OLD}], None, "is a dictionary; it has to be a name, or a dictionary with"),
        (["../x"], None, "cannot be the name"),
        ([{"name": "x", "databse": "y"}], None, "unknown: databse (a dictionary has name, file"),
        ([{"name": "x", "file": OLD}], [OLD], "cannot be given with trac_restore_from"),
        (["other", "x"], [OLD], "trac_restore_from holds no backup of other"),
        ([], [], "trac_restore_from is no archive"),
    ],
)
def test_what_is_refused(wanted: t.Any, archives: list[str] | None, problem: str) -> None:
    found = _restore_input.problems(wanted, archives is not None, archives or [])
    assert problem in found[0]


@pytest.mark.parametrize(
    ("wanted", "archives"),
    [
        ([], None),
        (["project", {"name": "y", "database": "sqlite:db/trac.db"}], None),
        ([{"name": "x", "file": OLD}], None),
        (["project"], [OLD, LONGER]),
        (["copy"], [OLD]),
        ([], [OLD]),
    ],
)
def test_what_is_not_refused(wanted: t.Any, archives: list[str] | None) -> None:
    assert _restore_input.problems(wanted, archives is not None, archives or []) == []


@pytest.mark.parametrize(
    ("wanted", "archives", "chosen"),
    [
        ([], [NEW, OLD, LONGER], {"project": NEW, "project-x": LONGER}),
        (["project"], [OLD, LONGER, NEW, "/b/notes.tar.gz"], {"project": NEW}),
        (["copy"], [OLD], {"copy": OLD}),
        (["copy"], ["/b/notes.tar.gz"], {}),
        ([{"name": "project"}], [], {}),
    ],
)
def test_the_newest_archives_are_chosen(
    wanted: t.Any, archives: list[str], chosen: dict[str, str]
) -> None:
    assert _restore_input.newest(wanted, archives) == chosen


def test_what_the_module_is_told() -> None:
    wanted: t.Any = ["a", {"name": "b", "database": "x"}]
    assert _restore_input.items(wanted) == [{"name": "a"}, {"name": "b", "database": "x"}]
    files = {"a": "/1", "b": "/2"}
    assert _restore_input.items(wanted, files) == [
        {"name": "a", "file": "/1"},
        {"name": "b", "database": "x", "file": "/2"},
    ]
    assert _restore_input.items([], files) == [
        {"name": "a", "file": "/1"},
        {"name": "b", "file": "/2"},
    ]


@pytest.mark.parametrize(
    ("database", "new_database", "kind", "move", "used"),
    [
        (None, None, "sqlite", True, None),
        ("postgres://x/y", "postgres://a/b", "sqlite", False, "postgres://x/y"),
        (None, "postgres://a/b", "postgres", False, "postgres://a/b"),
        (None, "postgres://a/b", "sqlite", False, None),
        (None, "postgres://a/b", "sqlite", True, "postgres://a/b"),
        (None, "postgres://a/b", "mysql", True, None),
    ],
)
def test_which_database_is_used(
    database: str | None, new_database: str | None, kind: str, move: bool, used: str | None
) -> None:
    wanted = restore_run.Wanted("project", None, database, new_database)
    assert wanted.uri(kind, move) == used
