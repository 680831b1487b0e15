# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks that crash or hang, what all of them say together, and how that looks in a terminal."""

from __future__ import annotations

import time
import typing as t

import pytest

from ansible_collections.trac.mod_wsgi.plugins.module_utils._doctor import connections, text
from ansible_collections.trac.mod_wsgi.plugins.module_utils._doctor.checks import (
    TITLES,
    chosen,
    summary,
)
from ansible_collections.trac.mod_wsgi.plugins.module_utils._doctor.result import (
    Result,
    guarded,
    worst,
)
from ansible_collections.trac.mod_wsgi.plugins.module_utils._site.connection_budget import Pool


def test_a_check_that_is_well() -> None:
    results = [Result("memory", "ok", "x")]
    assert guarded("memory", lambda: iter(results), 5) == results


def test_a_check_that_crashes_after_its_first_result() -> None:
    def check() -> t.Iterator[Result]:
        yield Result("memory", "ok", "x")
        raise KeyError("y")

    (result,) = guarded("memory", check, 5)
    assert (result.check, result.status) == ("memory", "failed")
    assert result.seen == "The check ended with KeyError: 'y'"
    assert result.advice


def test_a_check_that_hangs_and_catches_everything() -> None:
    def check() -> t.Iterator[Result]:
        try:
            time.sleep(60)
        except Exception:  # noqa: BLE001
            pytest.fail("no check may take the end of its time for an error of its own")
        yield Result("memory", "ok", "x")

    (result,) = guarded("memory", check, 1)
    assert result.status == "failed"
    assert result.seen == "The check did not end within 1 seconds."


@pytest.mark.parametrize(
    ("statuses", "status"),
    [
        (["ok", "warning", "skipped"], "warning"),
        (["ok", "failed", "warning"], "failed"),
        (["skipped", "ok"], "ok"),
        (["skipped"], "skipped"),
        ([], "skipped"),
    ],
)
def test_the_worst(statuses: list[str], status: str) -> None:
    assert worst(Result("memory", each, "x") for each in statuses) == status


def test_chosen() -> None:
    assert chosen([]) == list(TITLES)
    assert chosen(["memory", "locale"]) == ["locale", "memory"]


FOUND = summary(
    [
        Result("locale", "ok", "C.UTF-8"),
        Result("backup", "warning", "No backups:\nnone.", "It is lost.", "Make some."),
        *(Result("environments", "ok", f"/e/{number}", subject="x") for number in range(9)),
        Result("environments", "failed", "/e/gone", "No page.", "Restore it.", "environment gone"),
        Result("certificate", "skipped", "None."),
    ]
)


def test_summary() -> None:
    assert [(check["name"], check["status"]) for check in FOUND["checks"]] == [
        ("locale", "ok"),
        ("environments", "failed"),
        ("certificate", "skipped"),
        ("backup", "warning"),
    ]
    assert FOUND["counts"] == {"failed": 1, "warning": 1, "ok": 1, "skipped": 1}


def test_lines() -> None:
    assert text.lines(FOUND) == [
        "ok       locale: C.UTF-8",
        "ok       environments: /e/0; and 8 more",
        "FAILED   environments (environment gone)",
        "         seen:  /e/gone",
        "         means: No page.",
        "         to do: Restore it.",
        "skipped  certificate: None.",
        "WARNING  backup",
        "         seen:  No backups: none.",
        "         means: It is lost.",
        "         to do: Make some.",
        "1 ok, 1 warning, 1 failed, 1 skipped",
    ]


def test_failures() -> None:
    assert text.failures(FOUND) == (
        "1 checks failed:\n- environments (environment gone): /e/gone To do: Restore it."
    )
    assert text.failures(summary([Result("locale", "ok", "x")])) == ""


POOLS = [Pool("site all", 4, 5, 10, "enabled", frozenset(["one", "two"]))]
SERVER = {"server": "postgres://db:5432", "environments": ["one", "two"]}


@pytest.mark.parametrize(
    ("servers", "status", "words"),
    [
        ([], "skipped", "No environment has its database on a server"),
        ([{**SERVER, "max_connections": 100, "reserved": 3}], "ok", "takes 97"),
        ([{**SERVER, "max_connections": 40, "reserved": 3}], "failed", "can open 40"),
        ([{**SERVER, "reason": "refused"}], "skipped", "refused"),
    ],
)
def test_connections(servers: list[dict[str, t.Any]], status: str, words: str) -> None:
    (result,) = connections.budget_results(servers, POOLS)
    assert result.status == status
    assert words in result.seen
