# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which filesystem is full, when something could not be written."""

from __future__ import annotations

import errno
import os
import typing as t

_REMEDY = "make room and run again"
_LITTLE = 1 << 20  # bytes; what could not be written completely is gone again


def _mount_point(path: str) -> str:
    """Where the filesystem with a path begins; the path itself need not exist."""
    path = os.path.realpath(path)
    while not os.path.ismount(path) and path != "/":
        path = os.path.dirname(path)
    return path


def _is_full(mount: str) -> bool:
    status = os.statvfs(mount)
    free = (status.f_bfree if os.geteuid() == 0 else status.f_bavail) * status.f_frsize
    return free < _LITTLE or (status.f_files > 0 and status.f_favail == 0)


def is_full(error: BaseException) -> bool:
    """Whether an error says that a disk (or a quota of it) is full, also as SQLite does."""
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return True
    if _REMEDY in str(error):  # it has been explained already, among other words
        return False
    return any(words in str(error) for words in ("disk is full", "No space left on device"))


def explain(error: BaseException, paths: t.Iterable[str]) -> str:
    """What to add to the words of an error: the full ones of the filesystems with these paths.

    Empty when the error is another one.
    """
    if not is_full(error):
        return ""
    mounts = list(dict.fromkeys(_mount_point(path) for path in paths))
    full = [mount for mount in mounts if _is_full(mount)] or mounts
    where = " and ".join(full)
    which = f"filesystems at {where} are" if len(full) > 1 else f"filesystem at {where} is"
    return f"No space left on device: the {which} full; {_REMEDY}"
