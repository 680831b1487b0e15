# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which filesystem is named when something cannot be written."""

from __future__ import annotations

import errno
import os
import sqlite3
import types

import pytest

from ansible_collections.trac.mod_wsgi.plugins.module_utils._core import full_disk

FULL = OSError(errno.ENOSPC, "No space left on device")


def statvfs(**free: int) -> object:
    """Filesystems with so many free bytes, by their mount points."""

    def fake(mount: str) -> object:
        return types.SimpleNamespace(
            f_bfree=free.get(mount, 1 << 30),
            f_bavail=free.get(mount, 1 << 30),
            f_frsize=1,
            f_files=0,
            f_favail=0,
        )

    return fake


@pytest.mark.parametrize(
    ("error", "full"),
    [
        (FULL, True),
        (OSError(errno.EDQUOT, "Disk quota exceeded"), True),
        (sqlite3.OperationalError("database or disk is full"), True),
        (OSError(errno.EACCES, "Permission denied"), False),
        (ValueError("x"), False),
    ],
)
def test_full_disks_are_told_from_other_errors(error: Exception, full: bool) -> None:
    assert full_disk.is_full(error) is full
    assert bool(full_disk.explain(error, ["/"])) is full


def test_the_full_one_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os.path, "ismount", lambda path: path in ("/", "/srv", "/tmp"))
    monkeypatch.setattr(os, "statvfs", statvfs(**{"/srv": 4096}))
    words = full_disk.explain(FULL, ["/srv/trac/none", "/tmp", "/opt"])
    assert words.startswith("No space left on device: the filesystem at /srv is full")


def test_all_are_named_where_space_is_back_already(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os.path, "ismount", lambda path: path in ("/", "/srv"))
    monkeypatch.setattr(os, "statvfs", statvfs())
    assert "filesystems at /srv and / are full" in full_disk.explain(FULL, ["/srv/x", "/opt"])
