# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Check whether each attachment has its file, and each file its row."""

from __future__ import annotations

import os
import time
import typing as t

from ansible_collections.trac.mod_wsgi.plugins.module_utils._copies import hot_copy
from ansible_collections.trac.mod_wsgi.plugins.module_utils._doctor.opened import OpenedEnvironment
from ansible_collections.trac.mod_wsgi.plugins.module_utils._doctor.registry import (
    DATABASE,
    TRAC,
    check,
)
from ansible_collections.trac.mod_wsgi.plugins.module_utils._doctor.result import (
    OK,
    SKIPPED,
    WARNING,
    Result,
)
from ansible_collections.trac.mod_wsgi.plugins.module_utils._trac import (
    attachments as trac_attachments,
)
from ansible_collections.trac.mod_wsgi.plugins.module_utils._trac import database as trac_database
from ansible_collections.trac.mod_wsgi.plugins.module_utils._trac import opening
from ansible_collections.trac.mod_wsgi.plugins.module_utils._trac.environment_links import printable

_NAME = "attachments"
_SECONDS = 10.0
_SHOWN = 3


class _NoTime(Exception):
    """There are too many attachments for the time limit."""


@check(_NAME, "Each attachment has its file", TRAC, (DATABASE,))
def attachments(opened: OpenedEnvironment) -> list[Result]:
    """Compare the database with the files."""
    return [_compare(opened.environment, opened.subject)]


def _compare(environment: t.Any, subject: str) -> Result:
    end = time.monotonic() + _SECONDS

    def is_file(inside: str) -> bool:
        if time.monotonic() > end:
            raise _NoTime
        return os.path.isfile(os.path.join(environment.path, inside))

    # Each driver has its own exceptions, and old tables may have any columns.
    try:
        with trac_database.connected(environment) as connection:
            rows = hot_copy.attachments_of(environment, connection)
        lost = trac_attachments.without_file(rows, is_file)
        spare = _without_row(environment.path, rows, end)
    except _NoTime:
        words = f"there are so many that {_SECONDS:g} s do not do"
        return Result(_NAME, SKIPPED, f"{environment.path}: {words}.", subject=subject)
    except Exception as e:  # noqa: BLE001
        why = opening.reason(e, environment.path)
        return Result(_NAME, SKIPPED, f"{environment.path}: {why}.", subject=subject)
    note = f"{len(rows)} attachments"
    if spare:
        more = "" if len(spare) <= _SHOWN else f" and {len(spare) - _SHOWN} more"
        note += f"; files without a row in the database: {', '.join(spare[:_SHOWN])}{more}"
    if not lost:
        return Result(_NAME, OK, note, subject=subject)
    return Result(
        _NAME,
        WARNING,
        f"{environment.path}: {trac_attachments.warning(len(lost), trac_attachments.shown(lost))}.",
        "Who opens one of them gets an error. Backups hold what is there, and name the rest.",
        "Look for the files in old backups, or where the environment came from, and put them back "
        f"below {os.path.join(environment.path, trac_attachments.DIRECTORY)}; or remove the "
        "attachments (trac-admin ENVIRONMENT attachment remove), so that nobody looks for them.",
        subject,
    )


def _without_row(path: str, rows: t.Iterable[trac_attachments.Row], end: float) -> list[str]:
    """Files that belong to no attachment. They do no harm."""
    known = {place for row in rows for place in trac_attachments.places(row)}
    found = []
    for directory, _directories, files in os.walk(os.path.join(path, trac_attachments.DIRECTORY)):
        if time.monotonic() > end:
            raise _NoTime
        names = (os.path.relpath(os.path.join(directory, name), path) for name in files)
        found += [printable(name) for name in names if name not in known]
    return sorted(found)
