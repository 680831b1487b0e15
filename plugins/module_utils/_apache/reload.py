# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a graceful restart of Apache has taken effect, or is needed, read from the kernel.

The command that asks for a graceful restart returns at once. For some moments, longer on a busy
host, the old processes go on accepting connections with the old configuration; whoever looks
at the site then sees what is no longer meant to be there. A process that still accepts holds a
listening socket open, which C(/proc) shows.
"""

from __future__ import annotations

import glob
import os
import pwd
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


def _started(process: Process) -> float:
    """When a process was started, as seconds since the epoch. The kernel counts from the boot."""
    running = time.clock_gettime(time.CLOCK_BOOTTIME) - int(process[1]) / os.sysconf("SC_CLK_TCK")
    return time.time() - running


def _changed(path: str) -> float:
    """When a file, or the entries of a directory, was changed, or a link, or what it leads to."""
    return max(os.lstat(path).st_mtime, os.stat(path).st_mtime if os.path.exists(path) else 0)


def _groups(pid: int, proc: str) -> tuple[str, set[int]] | None:
    """The account that a process runs as, and its groups; None for root and who is unknown."""
    try:
        with open(os.path.join(proc, str(pid), "status"), encoding="utf-8") as stream:
            fields = dict(line.split(":", 1) for line in stream if ":" in line)
        uid, gid = (int(fields[name].split()[1]) for name in ("Uid", "Gid"))
        account = pwd.getpwuid(uid).pw_name
    except (OSError, KeyError, ValueError):
        return None  # ended meanwhile
    return (account, {gid, *map(int, fields["Groups"].split())}) if uid else None


def _lacking_groups(parent: int, proc: str) -> list[str]:
    """The accounts with groups that none of their processes has; old ones may yet be ending."""
    good: dict[str, bool] = {}
    for name in filter(str.isdigit, os.listdir(proc)):
        try:
            with open(
                os.path.join(proc, name, "stat"), encoding="utf-8", errors="replace"
            ) as stream:
                child = int(stream.read().rpartition(")")[2].split()[1]) == parent
        except (OSError, IndexError):
            continue
        found = _groups(int(name), proc) if child else None
        if found:
            account, groups = found
            wanted = set(os.getgrouplist(account, pwd.getpwnam(account).pw_gid))
            good[account] = good.get(account, False) or groups >= wanted
    return [f"the groups of {account}" for account, is_good in sorted(good.items()) if not is_good]


def outdated(
    parent: int, accepting: set[Process], patterns: t.Iterable[str], proc: str = "/proc"
) -> list[str]:
    """What has been changed since the processes that accept connections were started."""
    paths = sorted({path for pattern in patterns for path in glob.glob(pattern)})
    oldest = min((_started(process) for process in accepting), default=0.0)
    now = time.time()  # a file may come from a clock that went wrong
    newer = [path for path in paths if oldest < _changed(path) <= now]
    return newer + _lacking_groups(parent, proc)
