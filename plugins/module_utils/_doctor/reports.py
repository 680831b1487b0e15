# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Check whether the database takes the SQL of an environment's reports."""

from __future__ import annotations

import typing as t

from ansible_collections.trac.mod_wsgi.plugins.module_utils._copies import reports as copies_reports
from ansible_collections.trac.mod_wsgi.plugins.module_utils._doctor.opened import OpenedEnvironment
from ansible_collections.trac.mod_wsgi.plugins.module_utils._doctor.registry import (
    DATABASE,
    SOUND_DATABASE,
    TRAC,
    check,
)
from ansible_collections.trac.mod_wsgi.plugins.module_utils._doctor.result import (
    OK,
    SKIPPED,
    WARNING,
    Result,
)
from ansible_collections.trac.mod_wsgi.plugins.module_utils._trac import opening

_NAME = "reports"
# Limits: nothing else that the doctor does is as much work for a database.
_MOST = 200
_SECONDS = 5.0
_SECONDS_EACH = 2


@check(_NAME, "The databases take the SQL of all reports", TRAC, (DATABASE, SOUND_DATABASE))
def reports(opened: OpenedEnvironment) -> list[Result]:
    """Run the reports, within limits."""
    return [_try_reports(opened.environment, opened.subject)]


def _try_reports(environment: t.Any, subject: str) -> Result:
    from trac.ticket.report import ReportModule

    path = environment.path
    if environment[ReportModule] is None:
        return Result(_NAME, SKIPPED, f"{path}: reports are switched off.", subject=subject)
    try:
        faults = copies_reports.failing(environment, _MOST, _SECONDS, _SECONDS_EACH)
    # Each driver has its own exceptions, and plugins may raise any.
    except Exception as e:  # noqa: BLE001
        why = opening.reason(e, path)
        seen = f"{path}: its reports cannot be tried: {why}."
        return Result(_NAME, SKIPPED, seen, subject=subject)
    if not faults:
        return Result(_NAME, OK, "the database takes them all", subject=subject)
    return Result(
        _NAME,
        WARNING,
        f"{path}: its database refuses {copies_reports.words(faults)}.",
        "Whoever opens such a report sees an error. Its SQL is wrong, or that of another kind of "
        "database (of SQLite, where the environment once was).",
        "Correct the SQL in Trac (Edit report), or delete the report.",
        subject,
    )
