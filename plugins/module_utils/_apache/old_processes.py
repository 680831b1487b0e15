# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Processes of Apache that still run Trac after a reload that has taken the sites away."""

from __future__ import annotations

import os
import re
import time
import typing as t

_PAUSE_SECONDS = 0.1
_START = 19  # the field of /proc/<pid>/stat, counted behind the name
# A process in a container has a number there, too.
_NUMBERS = re.compile(r"^NSpid:\s*\d+\s+\d+", re.MULTILINE)
_APACHE = ("apache2", "httpd")


def _read(proc: str, pid: int | str, name: str) -> str:
    with open(os.path.join(proc, str(pid), name), encoding="utf-8", errors="replace") as file:
        return file.read()


def started(pid: int | str = "self", proc: str = "/proc") -> int:
    """When a process was started, in the kernel's own measure."""
    return int(_read(proc, pid, "stat").rpartition(")")[2].split()[_START])


def older(ticks: int, accounts: t.Collection[int], proc: str = "/proc") -> list[int]:
    """The processes of Apache that run as one of these accounts and were started before.

    Those of containers on this host are not this host's.
    """
    found = []
    for name in os.listdir(proc):
        if not name.isdigit():
            continue
        try:
            if (
                _read(proc, name, "comm").strip() in _APACHE
                and os.stat(os.path.join(proc, name)).st_uid in accounts
                and not _NUMBERS.search(_read(proc, name, "status"))
                and started(name, proc) < ticks
            ):
                found.append(int(name))
        except (OSError, IndexError, ValueError):
            continue  # ended meanwhile
    return sorted(found)


def wait_until_gone(
    ticks: int,
    accounts: t.Collection[int],
    timeout: float,
    proc: str = "/proc",
    sleep: t.Callable[[float], None] = time.sleep,
) -> list[int]:
    """Wait for the end of these processes; returns those that are left when the time is over."""
    end = time.monotonic() + timeout
    while True:
        left = older(ticks, accounts, proc)
        if not left or time.monotonic() >= end:
            return left
        sleep(_PAUSE_SECONDS)
