# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""When cron runs something: words for people, or the five fields of a crontab.

Cron ignores a file with a mistake in it, and says so only in the system's log.
"""

from __future__ import annotations

import re

WORDS = ("hourly", "daily", "weekly", "monthly")
# What stands in a crontab: minute, hour, day of the month, month, day of the week.
_FIELDS = (
    ("minute", 0, 59),
    ("hour", 0, 23),
    ("day of the month", 1, 31),
    ("month", 1, 12),
    ("day of the week", 0, 7),
)
_PART = re.compile(
    r"(?:\*|(?P<first>[0-9]{1,2})(?:-(?P<last>[0-9]{1,2}))?)(?:/(?P<step>[1-9][0-9]?))?"
)


def _is_part(part: str, least: int, most: int) -> bool:
    """Whether something between commas is all, a number or a range, the first and last in steps."""
    match = _PART.fullmatch(part)
    if match is None:
        return False
    if match["first"] is None:
        return True
    if match["last"] is None and match["step"]:
        return False
    first = int(match["first"])
    return least <= first <= int(match["last"] or first) <= most


def problem(schedule: str) -> str:
    """Why cron cannot run something so; empty when it can, or when there is no schedule."""
    fields = schedule.split()
    if not schedule or schedule in WORDS:
        return ""
    if len(fields) != len(_FIELDS):
        return f"{schedule!r} is none of {', '.join(WORDS)} and has not five fields"
    for field, (name, least, most) in zip(fields, _FIELDS):
        if not all(_is_part(part, least, most) for part in field.split(",")):
            return (
                f"{field!r} is no {name}: numbers from {least} to {most}, ranges such as "
                f"{least}-{most}, *, or */2 for each second one, with commas between them"
            )
    return ""
