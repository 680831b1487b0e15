# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Processes of Apache that still run Trac after a reload that has taken the sites away."""

from __future__ import annotations

import os
import time
import typing as t

_PAUSE_SECONDS = 0.1
_START = 19  # the field of /proc/<pid>/stat, counted behind the name


def started(pid: int | str = "self", proc: str = "/proc") -> int:
    """When a process was started, in the kernel's own measure."""
    with open(os.path.join(proc, str(pid), "stat"), encoding="utf-8", errors="replace") as file:
        return int(file.read().rpartition(")")[2].split()[_START])


def older(ticks: int, accounts: t.Collection[int], proc: str = "/proc") -> list[int]:
    """The processes of Apache that run as one of these accounts and were started before."""
    found = []
    for name in os.listdir(proc):
        if not name.isdigit():
            continue
        directory = os.path.join(proc, name)
        try:
            with open(os.path.join(directory, "comm"), encoding="utf-8") as file:
                is_apache = file.read().strip() in ("apache2", "httpd")
            if is_apache and os.stat(directory).st_uid in accounts and started(name, proc) < ticks:
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
