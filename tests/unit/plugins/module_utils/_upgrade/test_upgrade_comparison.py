# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What speaks against a new virtual environment, and what is only worth knowing."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.trac.mod_wsgi.plugins.module_utils._upgrade.comparison import (
    Seen,
    View,
    problems,
    subject,
    warnings,
)

IMPORT = 'Skipping "ours = ours": ImportError: no NoSuchThing'
OLD = View("1.6", environments={"one": Seen(["ours.Ours", "trac.wiki.web_ui.WikiModule"])})


def view(*components: str, complaints: tuple[str, ...] = (), **seen: t.Any) -> View:
    one = Seen(list(components), **seen)
    return View("1.7", environments={"one": one}, complaints=list(complaints))


SAME = ("ours.Ours", "trac.wiki.web_ui.WikiModule")

CASES = {
    "nothing is lost": (OLD, view(*SAME), [], []),
    "more is there": (OLD, view(*SAME, "ours.More"), [], []),
    "a plugin is not loaded": (
        OLD,
        view(SAME[1], complaints=(IMPORT,)),
        [IMPORT, "one: not loaded any more: ours.Ours"],
        [],
    ),
    "a plugin does not start": (
        OLD,
        view(*SAME, broken={"ours.Ours": "KeyError: 'x'"}),
        ["one: ours.Ours: KeyError: 'x'"],
        [],
    ),
    "an environment cannot be opened": (
        OLD,
        view(failure="no database"),
        ["one: no database"],
        [],
    ),
    "an environment could not be opened before": (
        View("1.6", environments={"one": Seen([], failure="no server")}),
        view(failure="no server"),
        [],
        ["one: it does not work now either: no server"],
    ),
    "Trac has less": (
        OLD,
        view("ours.Ours"),
        [],
        ["one: this release of Trac has no trac.wiki.web_ui.WikiModule"],
    ),
    "a plugin was broken before": (
        View("1.6", environments={"one": Seen(["ours.Ours"], {"ours.Ours": "old reason"})}),
        view("ours.Ours", broken={"ours.Ours": "new reason"}),
        [],
        ["one: ours.Ours did not work before either: new reason"],
    ),
    "a plugin was not loaded before, in another version": (
        View("1.6", environments={"one": Seen([])}, complaints=['Skipping "Ours 1.0 (/a)": x']),
        view(complaints=('Skipping "Ours 2.0 (/b)": y',)),
        [],
        ['not loaded before either: Skipping "Ours 2.0 (/b)": y'],
    ),
    "a new environment": (View("1.6"), view(*SAME), [], []),
    "drivers of Trac that nobody uses": (
        View("1.6", environments={"one": Seen([])}, complaints=['Skipping "trac.db.mysql = x": y']),
        view(complaints=('Skipping "trac.db.mysql = x": y',)),
        [],
        [],
    ),
    "nothing can be seen": (OLD, View(failure="no Trac"), ["no Trac"], []),
}


@pytest.mark.parametrize(("old", "new", "wrong", "told"), CASES.values(), ids=CASES)
def test_comparison(old: View, new: View, wrong: list[str], told: list[str]) -> None:
    assert problems(old, new) == wrong
    assert warnings(old, new) == told


@pytest.mark.parametrize(
    ("complaint", "name"),
    [
        ('Skipping "ours = ours.web": ImportError: x', "ours"),
        ('Skipping "Ours 2.0 (/opt/trac/lib)": VersionConflict: x', "ours"),
        ("Failed to load plugin from /srv/trac/plugins/hello.py: SyntaxError", "hello.py"),
        ("something else", "something else"),
    ],
)
def test_subject(complaint: str, name: str) -> None:
    assert subject(complaint) == name
