# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Look for the marks of crashed and hanging daemon processes in Apache's error logs."""

from __future__ import annotations

import dataclasses
import datetime
import os
import re
import typing as t

from ansible_collections.trac.mod_wsgi.plugins.module_utils._doctor_result import (
    FAILED,
    OK,
    SKIPPED,
    WARNING,
    Result,
)

# What is read of a log, from its end.
_MOST_BYTES = 4 * 1024 * 1024
# What has happened so lately is taken to go on; before that it may have been set right.
_RECENT = datetime.timedelta(hours=1)
_SHOWN = 160

_TIME = re.compile(r"\[\w{3} (\w{3}) (\d\d) (\d\d):(\d\d):(\d\d)(?:\.\d+)? (\d{4})\]")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")

_CRASH = (
    "A C extension has crashed the process: often psycopg2-binary, whose libssl is not Apache's, "
    "or Subversion's bindings outside of the first interpreter. See the checks psycopg2 and "
    "application_group; then: systemctl restart apache2"
)


@dataclasses.dataclass(frozen=True)
class Mark:
    """What a line of the log tells about."""

    pattern: str
    means: str
    advice: str


MARKS = (
    Mark(
        r"exit signal (Segmentation fault|Aborted|Bus error|Illegal instruction)",
        "A process has crashed; the requests that it was serving failed.",
        _CRASH,
    ),
    Mark(
        r"Truncated or oversized response headers received from daemon process",
        "A daemon process has ended in the middle of a request (a crash, or its request-timeout).",
        _CRASH,
    ),
    Mark(
        r"Timeout when reading response headers from daemon process",
        "A daemon process hangs, or a page takes longer than the time limits of the site.",
        "See what hangs: the slow page's address is in the access log. If it is every page, the "
        "database (check database) or Subversion's bindings outside of the first interpreter "
        "(check application_group); if it is one, raise request_timeout of the site.",
    ),
    Mark(
        r"Failed to import encodings module|No module named 'encodings'|init_fs_encoding",
        "A daemon process cannot start its Python, and is started again in a loop.",
        "python-home is wrong or closed to the process's account: see the check python_home.",
    ),
    Mark(
        r"unsupported locale setting",
        "Trac asks for a locale that this host has not.",
        "See the check locale.",
    ),
)


class Found(t.NamedTuple):
    """How often a mark was found, and when at last."""

    mark: Mark
    times: int
    last: datetime.datetime
    line: str


def tail(path: str) -> list[str]:
    """The last lines of a file."""
    with open(path, "rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - _MOST_BYTES))
        text = file.read().decode("utf-8", "replace")
    lines = text.splitlines()
    return lines[1:] if size > _MOST_BYTES else lines


def written(line: str) -> datetime.datetime | None:
    """When Apache has written a line, in local time."""
    match = _TIME.search(line[:80])
    if match is None or match.group(1) not in _MONTHS:
        return None
    day, hour, minute, second, year = (int(match.group(at)) for at in range(2, 7))
    return datetime.datetime(year, _MONTHS.index(match.group(1)) + 1, day, hour, minute, second)


def search(lines: t.Iterable[str], since: datetime.datetime) -> list[Found]:
    """The marks in the lines since a time; lines without a time belong to the one before."""
    found: dict[str, Found] = {}
    at: datetime.datetime | None = None
    for line in lines:
        at = written(line) or at
        if at is None or at < since:
            continue
        for mark in MARKS:
            if re.search(mark.pattern, line):
                before = found.get(mark.pattern)
                count = before.times + 1 if before else 1
                found[mark.pattern] = Found(mark, count, at, line)
                break
    return list(found.values())


def logs(paths: t.Iterable[str], server_root: str) -> list[str]:
    """The files of ErrorLog directives, each before its successor, as far as they are files."""
    found = []
    for path in paths:
        if path.startswith(("|", "syslog")):
            continue
        full = os.path.join(server_root, path)
        found += [each for each in (f"{full}.1", full) if os.path.isfile(each)]
    return list(dict.fromkeys(found))


def check(
    paths: t.Sequence[str], hours: int, now: datetime.datetime | None = None
) -> t.Iterator[Result]:
    name = "error_log"
    now = now or datetime.datetime.now()
    if not paths:
        yield Result(name, SKIPPED, "There is no error log of Apache to read.")
        return
    clean = True
    for path in paths:
        for found in search(tail(path), now - datetime.timedelta(hours=hours)):
            clean = False
            times = "once" if found.times == 1 else f"{found.times} times"
            line = re.sub(r"^(\[[^]]*\] )+", "", found.line)[:_SHOWN]
            yield Result(
                name,
                FAILED if now - found.last <= _RECENT else WARNING,
                f"{path}: {times} in the last {hours} hours, at last {found.last}: {line}",
                found.mark.means,
                found.mark.advice,
            )
    if clean:
        yield Result(name, OK, f"nothing of the kind in the last {hours} hours")
