# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read files in directories where another account may have replaced them.

Opening a named pipe blocks, a device or a sparse file of a terabyte fills the memory, and a
symbolic link can lead root to a file that only root may read.
"""

from __future__ import annotations

import errno
import os
import stat
import typing as t

LARGEST = 1 << 26  # bytes

_KINDS = (
    (stat.S_ISFIFO, "a named pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISDIR, "a directory"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
    (stat.S_ISLNK, "a link"),
)


def kind(mode: int) -> str | None:
    """Name the type of a file that is not a regular one; None if it is."""
    return next((name for has_type, name in _KINDS if has_type(mode)), None)


def _refuse(status: os.stat_result, path: str) -> None:
    found = kind(status.st_mode)
    if found is not None:
        raise OSError(errno.EINVAL, f"this is {found}, not a file", path)


def look(path: str) -> None:
    """Raise OSError unless a path is a regular file, or a link to one.

    For files that Trac or SQLite will open; to read one here, call read().
    """
    _refuse(os.stat(path), path)


def opened(path: str, *, follow: bool, directory: int | None = None) -> t.IO[bytes]:
    """Open a regular file for reading without blocking; OSError for anything else.

    :param follow: whether `path` may be a link; root follows none that belongs to an account
    :param directory: the descriptor of a directory that `path` is in
    """
    flags = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | (0 if follow else os.O_NOFOLLOW)
    # Checked before it is opened: opening a device can have effects.
    _refuse(os.stat(path, dir_fd=directory, follow_symlinks=follow), path)
    descriptor = os.open(path, flags, dir_fd=directory)
    try:
        _refuse(os.fstat(descriptor), path)
        return os.fdopen(descriptor, "rb")
    except BaseException:
        os.close(descriptor)
        raise


def read(path: str, largest: int = LARGEST, *, follow: bool, directory: int | None = None) -> bytes:
    """Read a regular file; OSError for anything else, and for more than `largest` bytes.

    The other parameters are those of opened().
    """
    with opened(path, follow=follow, directory=directory) as file:
        content = file.read(largest + 1)
    if len(content) > largest:
        raise OSError(errno.EFBIG, f"it is larger than {largest} bytes", path)
    return content
