# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the doctor says of disks and memory."""

from __future__ import annotations

import os
import pathlib
import types
import typing as t

import pytest

from ansible_collections.trac.mod_wsgi.plugins.module_utils._doctor import (
    resources as doctor_resources,
)
from ansible_collections.trac.mod_wsgi.plugins.module_utils._doctor.resources import Process

# -- disks


def disk(free: int, total: int, inodes: int = 100, all_inodes: int = 100, flags: int = 0) -> t.Any:
    """What statvfs says of a disk, in megabytes."""
    return types.SimpleNamespace(
        f_bavail=free,
        f_blocks=total,
        f_frsize=1 << 20,
        f_favail=inodes,
        f_files=all_inodes,
        f_flag=flags,
    )


@pytest.mark.parametrize(
    ("found", "status", "words"),
    [
        (disk(5000, 10000), "ok", "5000 MB free, 50 %"),
        (disk(900, 10000), "warning", "9 %"),
        (disk(100, 200), "failed", "100 MB free"),
        (disk(0, 0), "failed", "0 MB free"),
        (disk(5000, 10000, 5), "warning", "5 % of the inodes"),
        (disk(5000, 10000, 0), "failed", "0 % of the inodes"),
        (disk(5000, 10000, 0, 0), "ok", "50 %"),  # a file system without a number of inodes
        (disk(5000, 10000, flags=os.ST_RDONLY), "failed", "mounted read-only"),
    ],
)
def test_disks(found: t.Any, status: str, words: str) -> None:
    (result,) = doctor_resources.check_disks({"/srv": "environments"}, 200, 10, lambda _path: found)
    assert result.status == status
    assert words in result.seen


def test_a_directory_that_does_not_exist() -> None:
    (result,) = doctor_resources.check_disks({"/gone": "backups"}, 200, 10)
    assert result.status == "skipped"


# -- memory

MEMINFO = "MemTotal:        1024000 kB\nMemFree: 1 kB\nMemAvailable:    {} kB\n"


@pytest.mark.parametrize(
    ("kb", "available", "status"),
    [(100_000, 500_000, "ok"), (800_000, 200_000, "warning"), (100_000, 20_000, "warning")],
)
def test_memory(kb: int, available: int, status: str) -> None:
    processes = [Process("trac-trac", kb // 2), Process("trac-trac", kb // 2)]
    result = doctor_resources.check_memory(processes, MEMINFO.format(available), 75)
    assert result.status == status
    assert f"trac-trac: 2 processes, {kb // 1024} MB" in result.seen


def test_no_processes() -> None:
    assert doctor_resources.check_memory([], MEMINFO.format(1), 75).status == "skipped"


def test_processes_of_apache(tmp_path: pathlib.Path) -> None:
    for pid, parent, command, name in (
        (10, 1, "/usr/sbin/apache2\0-k\0start\0", "smaps_rollup"),
        (11, 10, "(wsgi:trac-trac)  \0-k", "smaps_rollup"),
        (12, 10, "(wsgi:trac-hello- -k", "status"),
        (13, 1, "other", "status"),
    ):
        directory = tmp_path / str(pid)
        directory.mkdir()
        (directory / "stat").write_text(f"{pid} (apache2) S {parent} 1 1", encoding="ascii")
        (directory / "cmdline").write_text(command, encoding="ascii")
        (directory / name).write_text("x\nPss:   2048 kB\nVmRSS:\t 4096 kB\n", encoding="ascii")
    found = doctor_resources.processes([10], str(tmp_path))
    assert sorted(found) == [("Apache", 2048), ("trac-hello", 4096), ("trac-trac", 2048)]
