# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Name the full filesystem after a failed write."""

from __future__ import annotations

import errno
import os
import typing as t

_REMEDY = "make room and run again"
_LITTLE = 1 << 20  # bytes; a file that could not be written completely has been removed by now


def _mount_point(path: str) -> str:
    """Return the mount point of a path, which need not exist."""
    path = os.path.realpath(path)
    while not os.path.ismount(path) and path != "/":
        path = os.path.dirname(path)
    return path


def _is_full(mount: str) -> bool:
    status = os.statvfs(mount)
    free = (status.f_bfree if os.geteuid() == 0 else status.f_bavail) * status.f_frsize
    return free < _LITTLE or (status.f_files > 0 and status.f_favail == 0)


def is_full(error: BaseException) -> bool:
    """Tell whether an error means a full disk or an exhausted quota, also when it is SQLite's."""
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return True
    if _REMEDY in str(error):  # explain() has been here already
        return False
    return any(phrase in str(error) for phrase in ("disk is full", "No space left on device"))


def explain(error: BaseException, paths: t.Iterable[str]) -> str:
    """Return a sentence that names the full ones among the filesystems of these paths.

    Empty when the error has another cause.
    """
    if not is_full(error):
        return ""
    mounts = list(dict.fromkeys(_mount_point(path) for path in paths))
    full = [mount for mount in mounts if _is_full(mount)] or mounts
    where = " and ".join(full)
    which = f"filesystems at {where} are" if len(full) > 1 else f"filesystem at {where} is"
    return f"No space left on device: the {which} full; {_REMEDY}"
