# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The results of a host's checks as text for a terminal."""

from __future__ import annotations

import typing as t

from ansible_collections.trac.mod_wsgi.plugins.module_utils._doctor.result import (
    FAILED,
    OK,
    SKIPPED,
    WARNING,
)

_WIDTH = 9
_PROBLEMS = (FAILED, WARNING)
_OK_SHOWN = 3

Document = t.Mapping[str, t.Any]


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _problem(result: Document) -> list[str]:
    """A failure or warning in full."""
    margin = " " * _WIDTH
    about = f" ({result['subject']})" if result["subject"] else ""
    return [
        f"{result['status'].upper():{_WIDTH}}{result['check']}{about}",
        f"{margin}seen:  {_one_line(result['seen'])}",
        f"{margin}means: {_one_line(result['means'])}",
        f"{margin}to do: {_one_line(result['advice'])}",
    ]


def _quiet(status: str, name: str, results: t.Sequence[Document]) -> list[str]:
    """Results that need no action, on one line."""
    seen = list(dict.fromkeys(_one_line(result["seen"]) for result in results))
    if not seen:
        return []
    words = "; ".join(seen) if len(seen) <= _OK_SHOWN else f"{seen[0]}; and {len(seen) - 1} more"
    return [f"{status:{_WIDTH}}{name}: {words}"]


def lines(summary: Document) -> list[str]:
    """All checks: a line for each that needs no action, problems in full, and the counts."""
    found: list[str] = []
    for check in summary["checks"]:
        for status in (OK, SKIPPED):
            quiet = [result for result in check["results"] if result["status"] == status]
            found += _quiet(status, check["name"], quiet)
        for status in _PROBLEMS:
            for result in check["results"]:
                if result["status"] == status:
                    found += _problem(result)
    return [*found, counts(summary)]


def counts(summary: Document) -> str:
    """How many checks have which status."""
    return ", ".join(f"{summary['counts'][each]} {each}" for each in (OK, WARNING, FAILED, SKIPPED))


def failures(summary: Document) -> str:
    """All failures in one text; empty if there are none."""
    failed = [
        result
        for check in summary["checks"]
        for result in check["results"]
        if result["status"] == FAILED
    ]
    if not failed:
        return ""
    entries = []
    for result in failed:
        about = f" ({result['subject']})" if result["subject"] else ""
        entries.append(
            f"- {result['check']}{about}: {_one_line(result['seen'])} "
            f"To do: {_one_line(result['advice'])}"
        )
    return "\n".join([f"{summary['counts'][FAILED]} checks failed:", *entries])
