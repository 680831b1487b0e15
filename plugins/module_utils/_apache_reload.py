# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""When a graceful restart of Apache has taken effect, read from the kernel.

The command that asks for a graceful restart returns at once. For some moments, longer on a busy
host, the old processes go on accepting connections with the old configuration; whoever looks
at the site then sees what is no longer meant to be there. A process that still accepts holds a
listening socket open, which C(/proc) shows.
"""

from __future__ import annotations

import os
import re
import time
import typing as t

# A process by its id and the time of its start, because ids come back.
Process = tuple[int, str]

_SOCKET = re.compile(r"socket:\[(\d+)\]\Z")
_LISTENING = "0A"
_PAUSE_SECONDS = 0.05


def is_apache(pid: int, proc: str = "/proc") -> bool:
    """Whether a process with this id runs and is Apache."""
    try:
        with open(os.path.join(proc, str(pid), "comm"), encoding="utf-8") as stream:
            return stream.read().strip() in ("apache2", "httpd")
    except OSError:
        return False


def listening_sockets(proc: str = "/proc") -> set[str]:
    """The inodes of all TCP sockets of this network namespace that accept connections."""
    inodes = set()
    for name in ("tcp", "tcp6"):
        try:
            with open(os.path.join(proc, "self", "net", name), encoding="ascii") as stream:
                rows = [line.split() for line in stream][1:]
        except FileNotFoundError:
            continue
        inodes |= {row[9] for row in rows if row[3] == _LISTENING}
    return inodes


def accepting_children(parent: int, proc: str = "/proc") -> set[Process]:
    """The children of a process that have kept the listening TCP sockets it gave them.

    Where the descriptors of a child lead to is hidden in containers, but not their numbers,
    which are those of the parent.
    """
    inherited = _listening_descriptors(parent, proc)
    found = set()
    for name in os.listdir(proc):
        if not name.isdigit():
            continue
        try:
            with open(
                os.path.join(proc, name, "stat"), encoding="utf-8", errors="replace"
            ) as stream:
                fields = stream.read().rpartition(")")[2].split()
            if int(fields[1]) == parent and inherited & set(
                os.listdir(os.path.join(proc, name, "fd"))
            ):
                found.add((int(name), fields[19]))
        except (OSError, IndexError):
            continue  # ended meanwhile
    return found


def _listening_descriptors(pid: int, proc: str) -> set[str]:
    listening = listening_sockets(proc)
    directory = os.path.join(proc, str(pid), "fd")
    numbers = set()
    for number in os.listdir(directory):
        try:
            match = _SOCKET.match(os.readlink(os.path.join(directory, number)))
        except FileNotFoundError:
            continue  # closed meanwhile
        if match and match.group(1) in listening:
            numbers.add(number)
    return numbers


def wait_for_successors(
    parent: int,
    old: set[Process],
    timeout: float,
    proc: str = "/proc",
    sleep: t.Callable[[float], None] = time.sleep,
) -> bool:
    """Wait until only children accept that did not before; False when the time is over."""
    end = time.monotonic() + timeout
    while True:
        now = accepting_children(parent, proc)
        if now and not now & old:
            return True
        if time.monotonic() >= end:
            return False
        sleep(_PAUSE_SECONDS)
