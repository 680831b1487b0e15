# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an account can do with a path. Nothing is opened: opening a FIFO would wait for ever."""

from __future__ import annotations

import os
import stat

from ansible_collections.trac.mod_wsgi.plugins.module_utils._doctor.result import FAILED, Result
from ansible_collections.trac.mod_wsgi.plugins.module_utils._trac import opening


def account() -> str:
    """The name of the account that makes the checks, which serves the environments."""
    return opening.account_name(os.geteuid())


def described(path: str) -> str:
    """A path with its owner and mode."""
    try:
        found = os.lstat(path)
    except OSError:
        return path
    owner = opening.account_name(found.st_uid)
    return f"{path} ({owner}, mode {stat.S_IMODE(found.st_mode):04o})"


def no_file(path: str) -> str:
    """Why a path leads to no file that this account can open at once; empty if it does."""
    link = f"is a link to {os.readlink(path)}, which " if os.path.islink(path) else ""
    try:
        mode = os.stat(path).st_mode
    except FileNotFoundError:
        return f"{link}does not exist"
    except PermissionError:
        return f"{link}is closed to {account()}"
    except OSError as e:  # links in a circle, a part of the path that is a file, a broken disk
        return f"cannot be reached ({e.strerror})"
    if stat.S_ISDIR(mode):
        return f"{link}is a directory, not a file"
    if stat.S_ISFIFO(mode):
        return f"{link}is a FIFO, not a file: who opens it waits for ever"
    if not stat.S_ISREG(mode):
        return f"{link}is a device or a socket, not a file"
    return "" if os.access(path, os.R_OK) else f"{link}is closed to {account()}"


def is_read_only(path: str) -> bool:
    """Whether the file system that a path is on is mounted for reading only."""
    try:
        return bool(os.statvfs(path).f_flag & os.ST_RDONLY)
    except OSError:
        return False


def read_only(name: str, path: str, subject: str) -> Result:
    """The result of a check for what is on such a file system."""
    return Result(
        name,
        FAILED,
        f"{path} is on a file system that is mounted read-only.",
        "Nothing can be saved, whoever owns the files: no ticket, no log. Pages are answered with "
        "500 ('Read-only file system', 'attempt to write a readonly database').",
        f"See which it is, and why: findmnt -T {path}; dmesg | grep -iE 'remount|i/o error' (the "
        "kernel does that itself when a disk fails). When the disk is well: mount -o remount,rw "
        "and what findmnt names. Owners and modes are not the cause.",
        subject,
    )
