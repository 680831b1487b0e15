# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks of what a host has: room on its disks, memory, backups, and what a run left undone."""

from __future__ import annotations

import glob
import json
import os
import re
import time
import typing as t

from ansible_collections.trac.mod_wsgi.plugins.module_utils._doctor.result import (
    FAILED,
    OK,
    SKIPPED,
    WARNING,
    Result,
)
from ansible_collections.trac.mod_wsgi.plugins.module_utils._site import out_of_service

_MB = 1024 * 1024
_HOUR = 3600

# -- disks -----------------------------------------------------------------------------------


def check_disks(
    directories: t.Mapping[str, str],
    free_mb: int,
    free_percent: int,
    statvfs: t.Callable[[str], os.statvfs_result] = os.statvfs,
) -> t.Iterator[Result]:
    """Room for the service account below directories, given with what they hold."""
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


class Process(t.NamedTuple):
    """A process of Apache: the name of its group, and its own share of the memory in kB."""

    group: str
    kb: int


def _number(text: str, name: str) -> int:
    match = re.search(rf"^{name}:\s+(\d+) kB$", text, re.MULTILINE)
    return int(match.group(1)) if match else 0


def text_of(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return ""


def _family(pids: t.Collection[int], proc: str) -> list[int]:
    """Processes and their children, which may be closed to those who look from a container."""
    found = list(pids)
    for path in glob.glob(os.path.join(proc, "[0-9]*", "stat")):
        fields = text_of(path).rpartition(")")[2].split()
        pid = int(os.path.basename(os.path.dirname(path)))
        if len(fields) > 1 and int(fields[1]) in pids and pid not in pids:
            found.append(pid)
    return found


def processes(pids: t.Collection[int], proc: str = "/proc") -> list[Process]:
    """Apache's processes and their memory; what several share is divided among them if known."""
    found = []
    for pid in _family(pids, proc):
        directory = os.path.join(proc, str(pid))
        command = text_of(os.path.join(directory, "cmdline")).split("\0")[0].strip()
        match = re.match(r"\(wsgi:([^)\s]*)", command)
        kb = _number(text_of(os.path.join(directory, "smaps_rollup")), "Pss")
        kb = kb or _number(text_of(os.path.join(directory, "status")), "VmRSS")
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


# -- backups ---------------------------------------------------------------------------------


def check_backups(
    text: str | None,
    path: str,
    environments: t.Sequence[str],
    hours: int,
    now: float | None = None,
    exists: t.Callable[[str], bool] = os.path.lexists,
) -> t.Iterator[Result]:
    """What the file says that backups write, beside what they should have done."""
    name = "backup"
    now = time.time() if now is None else now
    if not environments:
        yield Result(name, SKIPPED, "There is no environment to back up.")
        return
    if text is None:
        yield Result(
            name,
            WARNING,
            f"No backups: there is no {path}.",
            "What is lost on this host is lost for good, unless something else copies it.",
            "Set up trac_backup, or see that whatever else backs up this host takes hot copies.",
        )
        return
    try:
        document = json.loads(text)
        done = {str(key): dict(value) for key, value in document["environments"].items()}
    except (ValueError, KeyError, TypeError, AttributeError) as e:
        yield Result(
            name,
            FAILED,
            f"{path} cannot be read: {type(e).__name__}: {e}",
            "Whether there are backups is not known.",
            "Run a backup, which writes it anew, and look again.",
        )
        return
    if document.get("last_error"):
        yield Result(
            name,
            FAILED,
            f"The last run of the backups says: {document['last_error']}",
            "There may be no copy outside of this host, or none at all.",
            "Set right what is named, then run one: ansible-playbook playbooks/backup.yml",
        )
    for environment in environments:
        yield _judge_backup(environment, done.get(environment), hours, now, exists)


def _judge_backup(
    environment: str,
    done: t.Mapping[str, t.Any] | None,
    hours: int,
    now: float,
    exists: t.Callable[[str], bool],
) -> Result:
    name, subject = "backup", f"environment {environment}"
    means = "What has been written since the last good backup is lost with this host."
    advice = (
        "Run one and see why it fails: ansible-playbook playbooks/backup.yml, or on the host the "
        "unit of the timer (systemctl list-timers, journalctl -u)."
    )
    if done is None:
        return Result(
            name, WARNING, f"{environment} has not been backed up yet.", means, advice, subject
        )
    last, error, file = done.get("last_success"), done.get("last_error"), done.get("file")
    age = (now - float(last)) / _HOUR if last is not None else None
    if age is None:
        seen = f"{environment} has never been backed up with success"
        seen += f"; the last attempt: {error}" if error else ""
    elif age > hours:
        seen = f"The last good backup of {environment} is {age:.0f} hours old (wanted: {hours})"
        seen += f"; the last attempt: {error}" if error else ""
    elif error:
        seen = f"The last backup of {environment} failed: {error}"
    elif file and not exists(str(file)):
        seen = f"The last backup of {environment}, {file}, is not there any more"
    else:
        return Result(
            name, OK, f"{environment}: {age:.0f} hours ago", subject=f"environment {environment}"
        )
    return Result(name, FAILED, seen + ".", means, advice, subject)


# -- runs that were broken off ---------------------------------------------------------------


def check_transactions(directory: str) -> t.Iterator[Result]:
    """Journals of the module apache_transaction, known by what is in them."""
    name = "transaction"
    found = []
    for path in sorted(glob.glob(os.path.join(directory, "*.json"))):
        try:
            with open(path, encoding="utf-8") as file:
                document = json.load(file)
        except (OSError, ValueError):
            document = None
        if isinstance(document, dict) and "before" in document:
            found.append((path, sorted(document["before"] or {})))
    for path, paths in found:
        yield Result(
            name,
            FAILED,
            f"{path} holds what stood before a change of {', '.join(paths)}.",
            "A run has changed Apache's configuration and was broken off before it had seen the "
            "sites answer (or it is still at work).",
            "Run playbooks/site.yml again: it takes the change up, looks at the sites, and goes "
            "back if they do not answer.",
        )
    if not found:
        yield Result(name, OK, "no journal of one")


def check_out_of_service(path: str) -> t.Iterator[Result]:
    """What role trac_site keeps visitors from, for which it has written down the reasons."""
    name = "out_of_service"
    reasons = out_of_service.read(text_of(path))
    for environment, why in sorted(reasons.items()):
        yield Result(
            name,
            FAILED,
            why,
            "Visitors get a page which says that the project is being looked after.",
            "Set right what is named here, and run playbooks/site.yml: it serves the project again "
            "when all is well with it.",
            f"environment {environment}",
        )
    if not reasons:
        yield Result(name, OK, "all of them are served")
