# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read files where somebody else may have put anything in their place.

A pipe would be waited for until somebody writes into it, a device or a file with a hole of a
terabyte would fill the memory, and a link could lead root to what only root may read.
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
    """What is there instead of a regular file; None when it is one."""
    return next((words for is_it, words in _KINDS if is_it(mode)), None)


def _refuse(status: os.stat_result, path: str) -> None:
    words = kind(status.st_mode)
    if words is not None:
        raise OSError(errno.EINVAL, f"this is {words}, not a file", path)


def look(path: str) -> None:
    """Raise OSError when there is something else than a file, or a link to one, or nothing.

    For what is opened by others (Trac, SQLite); whoever reads it here calls read().
    """
    _refuse(os.stat(path), path)


def opened(path: str, *, follow: bool, directory: int | None = None) -> t.IO[bytes]:
    """A file for reading; OSError where there is something else. Nothing is waited for.

    :param follow: whether `path` may be a link; root follows none that belongs to an account
    :param directory: the descriptor of a directory that `path` is in
    """
    flags = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | (0 if follow else os.O_NOFOLLOW)
    # What is no file is not even opened: that alone can start something, in a device.
    _refuse(os.stat(path, dir_fd=directory, follow_symlinks=follow), path)
    descriptor = os.open(path, flags, dir_fd=directory)
    try:
        _refuse(os.fstat(descriptor), path)
        return os.fdopen(descriptor, "rb")
    except BaseException:
        os.close(descriptor)
        raise


def read(path: str, largest: int = LARGEST, *, follow: bool, directory: int | None = None) -> bytes:
    """The content of a file; OSError where there is something else, or more than `largest` bytes.

    The other parameters are those of opened().
    """
    with opened(path, follow=follow, directory=directory) as file:
        content = file.read(largest + 1)
    if len(content) > largest:
        raise OSError(errno.EFBIG, f"it is larger than {largest} bytes", path)
    return content
