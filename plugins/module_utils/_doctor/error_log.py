# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Look for messages about crashed and hanging daemon processes in Apache's error logs."""

from __future__ import annotations

import dataclasses
import datetime
import os
import re
import stat
import typing as t

from ansible_collections.trac.mod_wsgi.plugins.module_utils._doctor import system as doctor_system
from ansible_collections.trac.mod_wsgi.plugins.module_utils._doctor.host import Host
from ansible_collections.trac.mod_wsgi.plugins.module_utils._doctor.registry import APACHE, check
from ansible_collections.trac.mod_wsgi.plugins.module_utils._doctor.result import (
    FAILED,
    OK,
    SKIPPED,
    WARNING,
    Result,
)

# Only the end of a log is read.
_MOST_BYTES = 4 * 1024 * 1024
# What is older than this may have been repaired since: a warning, not a failure.
_RECENT = datetime.timedelta(hours=1)
_SHOWN = 160

_TIME = re.compile(r"\[\w{3} (\w{3}) (\d\d) (\d\d):(\d\d):(\d\d)(?:\.\d+)? (\d{4})\]")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")

# Other messages within this time tell why a process ended in the middle of a request. Apache logs
# each process that crashed, and none that was killed with SIGKILL.
_NEAR = datetime.timedelta(seconds=30)
_CRASHED = re.compile(r"exit signal (Segmentation fault|Aborted|Bus error|Illegal instruction)")
_RELOADED = re.compile(
    r"AH00493|AH00492|AH00494|AH00491|Doing graceful restart|caught SIG(TERM|WINCH), shutting down"
)
_TOO_LONG = re.compile(r"(request time limit exceeded|deadlock timer expired)")
_OOM = re.compile(
    r"(out of memory.*|oom-kill.*|killed process \d+ .*)\b(apache2|httpd|wsgi:|python)"
    r"|apache2\.service.*killed by the OOM killer",
    re.IGNORECASE,
)


@dataclasses.dataclass(frozen=True)
class Message:
    """A message of the log, and what it means."""

    pattern: str
    means: str
    advice: str


_CRASH = Message(
    _CRASHED.pattern,
    "A process has crashed in a C extension; the requests that it was serving failed.",
    "",  # see _crash_advice
)
_BROKEN_OFF = Message(
    r"Truncated or oversized response headers received from daemon process",
    "A daemon process has ended before it had answered.",
    "",  # see _broken_off
)
MESSAGES = (
    _CRASH,
    _BROKEN_OFF,
    Message(
        r"Timeout when reading response headers from daemon process",
        "A daemon process hangs, or a page takes longer than the time limits of the site.",
        "See what hangs: the slow page's address is in the access log. If it is every page, see "
        "the checks database and application_group; if it is one, raise request_timeout of the "
        "site.",
    ),
    Message(
        r"Failed to import encodings module|No module named 'encodings'|init_fs_encoding"
        r"|Initializing Python failed|Fatal Python error: .*init|Python path configuration:",
        "A daemon process cannot start its Python, and is started again in a loop.",
        "python-home is wrong, missing or closed to the process's account, or its Python is "
        "another than mod_wsgi's: see the check python_home. If that is well, it has been set "
        "right since.",
    ),
    Message(
        r"unsupported locale setting",
        "Trac asks for a locale that this host has not.",
        "See the check locale.",
    ),
)


class Found(t.NamedTuple):
    """How often a message was found, and when last."""

    message: Message
    times: int
    last: datetime.datetime
    line: str


class Evidence(t.NamedTuple):
    """What other sources tell of why a process ended."""

    # What is known to cause crashes and is there; None if that was not checked.
    suspects: t.Sequence[str] | None = None
    kernel: str = ""  # the kernel's or systemd's log


def tail(path: str) -> list[str]:
    """The last lines of a regular file. Opening a FIFO does not wait: O_NONBLOCK."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with open(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            return []
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - _MOST_BYTES))
        text = file.read().decode("utf-8", "replace")
    lines = text.splitlines()
    return lines[1:] if size > _MOST_BYTES else lines


def time_stamp(line: str) -> datetime.datetime | None:
    """The time stamp of a line, in local time."""
    match = _TIME.search(line[:80])
    if match is None or match.group(1) not in _MONTHS:
        return None
    day, hour, minute, second, year = (int(match.group(at)) for at in range(2, 7))
    return datetime.datetime(year, _MONTHS.index(match.group(1)) + 1, day, hour, minute, second)


def _timed(lines: t.Iterable[str]) -> list[tuple[datetime.datetime, str]]:
    """Lines with their time stamps; a line without one has that of the line before."""
    found = []
    at: datetime.datetime | None = None
    for line in lines:
        at = time_stamp(line) or at
        if at is not None:
            found.append((at, line))
    return found


def search(lines: t.Iterable[str], since: datetime.datetime) -> list[Found]:
    """The messages since a time; requests that were broken off are told apart by the reason."""
    timed = _timed(lines)
    near = {
        pattern: [at for at, line in timed if pattern.search(line)]
        for pattern in (_CRASHED, _RELOADED, _TOO_LONG)
    }
    found: dict[Message, Found] = {}
    for at, line in timed:
        if at < since:
            continue
        for message in MESSAGES:
            if re.search(message.pattern, line):
                if message is _BROKEN_OFF:
                    message = _reason(at, near)
                before = found.get(message)
                found[message] = Found(message, before.times + 1 if before else 1, at, line)
                break
    return list(found.values())


_OF_A_CRASH = dataclasses.replace(
    _BROKEN_OFF,
    means="A daemon process has crashed in the middle of a request: the log says so beside it.",
)
_OF_A_RELOAD = dataclasses.replace(
    _BROKEN_OFF,
    means="Apache was reloaded or stopped then, and the process ended before it had answered: a "
    "visitor of that moment has seen an error. Nothing has crashed.",
    advice="Nothing, if it happens at reloads only. If it happens at each of them, pages take "
    "longer than the seconds that a process gets to end.",
)
_OF_TIME = dataclasses.replace(
    _BROKEN_OFF,
    means="mod_wsgi has ended a daemon process because its requests took too long (the log says so "
    "beside it). Nothing has crashed.",
    advice="See which page is slow: the access log. If it has to be, raise request_timeout of the "
    "site; if it is every page, see the check database.",
)
_REASONS = ((_CRASHED, _OF_A_CRASH), (_RELOADED, _OF_A_RELOAD), (_TOO_LONG, _OF_TIME))


def _reason(
    at: datetime.datetime, near: t.Mapping[t.Pattern[str], t.Sequence[datetime.datetime]]
) -> Message:
    """Why a request was broken off, by what the log has shortly before and after."""
    for pattern, message in _REASONS:
        if any(abs(at - each) <= _NEAR for each in near[pattern]):
            return message
    return _BROKEN_OFF


def _meaning_and_advice(message: Message, evidence: Evidence) -> tuple[str, str]:
    """What a message means and what to do about it."""
    if message in (_CRASH, _OF_A_CRASH):
        return message.means, _crash_advice(evidence.suspects)
    if message is not _BROKEN_OFF:
        return message.means, message.advice
    killed = [line for line in evidence.kernel.splitlines() if _OOM.search(line)]
    if killed:
        return (
            (
                f"{message.means} The kernel has killed processes of Apache because memory ran "
                f"out: {killed[-1].strip()[:_SHOWN]}"
            ),
            (
                "See the check memory: give the sites fewer processes (trac_sites[].processes), or "
                "the host more memory."
            ),
        )
    return (
        (
            f"{message.means} No crash stands in the log beside it, so it was killed: by the "
            "kernel when memory ran out, by somebody's kill, or by mod_wsgi when a request took "
            "longer than request_timeout."
        ),
        (
            "See whether it was the kernel (journalctl -k | grep -i 'killed process', the check "
            "memory), else which page takes long (the access log), else who sends signals on this "
            "host."
        ),
    )


def _crash_advice(suspects: t.Sequence[str] | None) -> str:
    restart = "then: systemctl restart apache2"
    if suspects:
        return f"The most likely cause: {'; '.join(suspects)}. Set it right; {restart}"
    if suspects is None:
        return (
            f"See the checks psycopg2 and application_group, which know the usual ones; {restart}"
        )
    return (
        "Neither of the usual causes is there (psycopg2-binary, Subversion outside of the first "
        "interpreter): see which extension it was (coredumpctl info apache2), or switch off "
        f"plugins one by one; {restart}"
    )


def logs(paths: t.Iterable[str], server_root: str) -> list[str]:
    """The regular files of ErrorLog directives, each behind its rotated predecessor."""
    found = []
    for path in paths:
        if path.startswith(("|", "syslog")):
            continue
        full = os.path.join(server_root, path)
        found += [each for each in (f"{full}.1", full) if os.path.isfile(each)]
    return list(dict.fromkeys(found))


@check("error_log", "No daemon process has crashed or hung lately", APACHE)
def error_log(host: Host) -> t.Iterator[Result]:
    paths = [each.arguments[0] for each in host.configuration.all("ErrorLog") if each.arguments]
    hours = host.params["log_hours"]
    evidence = Evidence(suspects(host.results), doctor_system.kernel_log(hours))
    return judge(logs(dict.fromkeys(paths), host.server_root), hours, evidence=evidence)


def suspects(results: t.Sequence[Result]) -> list[str] | None:
    """What is known to crash daemon processes and is there; None if no check has looked for it."""
    if not {"psycopg2", "application_group"} <= {result.check for result in results}:
        return None
    return [
        f"{result.seen.rstrip('.')} (check {result.check})"
        for result in results
        if (result.check, result.status) in (("psycopg2", WARNING), ("application_group", FAILED))
    ]


def judge(
    paths: t.Sequence[str],
    hours: int,
    now: datetime.datetime | None = None,
    evidence: Evidence | None = None,
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
            means, advice = _meaning_and_advice(found.message, evidence or Evidence())
            lately = now - found.last <= _RECENT and found.message is not _OF_A_RELOAD
            yield Result(
                name,
                FAILED if lately else WARNING,
                f"{path}: {times} in the last {hours} hours, at last {found.last}: {line}",
                means,
                advice,
            )
    if clean:
        yield Result(name, OK, f"nothing of the kind in the last {hours} hours")
