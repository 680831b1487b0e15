# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks of the host's resources: disk space and memory."""

from __future__ import annotations

import glob
import os
import re
import typing as t

from ansible_collections.trac.mod_wsgi.plugins.module_utils._doctor import system as doctor_system
from ansible_collections.trac.mod_wsgi.plugins.module_utils._doctor.host import Host
from ansible_collections.trac.mod_wsgi.plugins.module_utils._doctor.registry import HOST, check
from ansible_collections.trac.mod_wsgi.plugins.module_utils._doctor.result import (
    FAILED,
    OK,
    SKIPPED,
    WARNING,
    Result,
)

_MB = 1024 * 1024


@check("disk_space", "There is room on the disks", HOST)
def disk_space(host: Host) -> t.Iterator[Result]:
    directories = {host.params["environments_dir"]: "environments"}
    if host.params["backup_dir"]:
        directories[host.params["backup_dir"]] = "backups"
    directories[host.envvars.get("APACHE_LOG_DIR", "/var/log")] = "logs"
    return check_disks(directories, host.params["free_mb"], host.params["free_percent"])


def check_disks(
    directories: t.Mapping[str, str],
    free_mb: int,
    free_percent: int,
    statvfs: t.Callable[[str], os.statvfs_result] = os.statvfs,
) -> t.Iterator[Result]:
    """Free space in directories, which are given with what they hold."""
    for directory, holds in directories.items():
        try:
            found = statvfs(directory)
        except FileNotFoundError:
            yield Result("disk_space", SKIPPED, f"{directory} does not exist.", subject=directory)
            continue
        yield _judge_disk(directory, holds, found, free_mb, free_percent)


def _judge_disk(
    directory: str, holds: str, found: os.statvfs_result, free_mb: int, free_percent: int
) -> Result:
    free = found.f_bavail * found.f_frsize // _MB
    percent = 100 * found.f_bavail // max(1, found.f_blocks)
    # Some file systems have no fixed number of inodes.
    inodes = 100 * found.f_favail // found.f_files if found.f_files else 100
    seen = f"{directory} ({holds}): {free} MB free, {percent} %"
    means = (
        "When it is full, tickets and attachments cannot be saved, backups fail, and SQLite "
        "reports 'database or disk is full'."
    )
    advice = f"See what takes it: du -xh --max-depth=2 {directory} | sort -h; or enlarge it."
    if found.f_flag & os.ST_RDONLY:
        return Result(
            "disk_space",
            FAILED,
            f"{directory} ({holds}) is on a file system that is mounted read-only.",
            "Nothing can be saved there, however much is free.",
            f"See which it is, and why: findmnt -T {directory}; dmesg | grep -iE 'remount|i/o "
            "error' (the kernel does that itself when a disk fails).",
            directory,
        )
    if free < free_mb or inodes < 1:
        status = FAILED
    elif percent < free_percent or inodes < free_percent:
        status = WARNING
    else:
        return Result("disk_space", OK, seen, subject=directory)
    if inodes < free_percent:
        seen += f"; {inodes} % of the inodes free"
        advice = f"See where the many files are: du -x --inodes {directory} | sort -n | tail"
    wanted = f" (wanted: {free_mb} MB and {free_percent} %)"
    return Result("disk_space", status, seen + wanted + ".", means, advice, directory)


# -- memory ----------------------------------------------------------------------------------


@check("memory", "The processes fit into the memory", HOST)
def memory(host: Host) -> list[Result]:
    meminfo = doctor_system.text_of("/proc/meminfo")
    return [check_memory(processes(host.pids), meminfo, host.params["memory_percent"])]


class Process(t.NamedTuple):
    """A process of Apache: its process group, and its share of the memory in kB."""

    group: str
    kb: int


def _number(text: str, name: str) -> int:
    match = re.search(rf"^{name}:\s+(\d+) kB$", text, re.MULTILINE)
    return int(match.group(1)) if match else 0


def _family(pids: t.Collection[int], proc: str) -> list[int]:
    """Processes and their children. Inside a container they may be unreadable."""
    found = list(pids)
    for path in glob.glob(os.path.join(proc, "[0-9]*", "stat")):
        fields = doctor_system.text_of(path).rpartition(")")[2].split()
        pid = int(os.path.basename(os.path.dirname(path)))
        if len(fields) > 1 and int(fields[1]) in pids and pid not in pids:
            found.append(pid)
    return found


def processes(pids: t.Collection[int], proc: str = "/proc") -> list[Process]:
    """Apache's processes and their memory: PSS, which divides shared memory, else RSS."""
    found = []
    for pid in _family(pids, proc):
        directory = os.path.join(proc, str(pid))
        command = doctor_system.text_of(os.path.join(directory, "cmdline")).split("\0")[0].strip()
        match = re.match(r"\(wsgi:([^)\s]*)", command)
        kb = _number(doctor_system.text_of(os.path.join(directory, "smaps_rollup")), "Pss")
        kb = kb or _number(doctor_system.text_of(os.path.join(directory, "status")), "VmRSS")
        found.append(Process(match.group(1).rstrip("-") if match else "Apache", kb))
    return found


def check_memory(found: t.Sequence[Process], meminfo: str, percent: int) -> Result:
    name = "memory"
    total, available = _number(meminfo, "MemTotal"), _number(meminfo, "MemAvailable")
    used = sum(process.kb for process in found)
    if not total or not found:
        return Result(name, SKIPPED, "No process of Apache runs.")
    groups: dict[str, list[int]] = {}
    for process in found:
        groups.setdefault(process.group, []).append(process.kb)
    shares = "; ".join(
        f"{group}: {len(each)} processes, {sum(each) // 1024} MB" for group, each in groups.items()
    )
    seen = (
        f"Apache and its daemon processes have {used // 1024} of {total // 1024} MB ({shares}); "
        f"{available // 1024} MB are available"
    )
    if 100 * used // total >= percent:
        means = f"They have {percent} % of the memory or more."
    elif 100 * available // total < 100 - max(percent, 90):
        means = "The host is short of memory, by others than Apache."
    else:
        return Result(name, OK, seen)
    return Result(
        name,
        WARNING,
        seen + ".",
        means + " The host swaps, or the kernel kills processes, which fails requests.",
        "Give the sites fewer processes (trac_sites[].processes), or the host more memory.",
    )
