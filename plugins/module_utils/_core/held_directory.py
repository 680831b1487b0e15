# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Working directories that a process holds by a lock, and those whose process was killed."""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import shutil
import tempfile
import time
import typing as t


class Busy(Exception):
    """Another process works in a directory."""


@contextlib.contextmanager
def locked(directory: str, patience: float) -> t.Iterator[None]:
    """Hold a lock on a directory; wait for it for at most `patience` seconds, then raise Busy.

    Forked processes inherit the lock and hold it until they end, even when this one is killed.
    """
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        deadline = time.monotonic() + patience
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise Busy(f"another run works below {directory}") from None
                time.sleep(0.2)
        yield
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def held_directory(parent: str, prefix: str) -> t.Iterator[str]:
    """Create a locked directory with mode 0700; remove it at the end, unless it was renamed.

    While this process or a child of it lives, abandoned() leaves it alone.
    """
    while True:
        path = tempfile.mkdtemp(prefix=prefix, dir=parent)
        descriptor = os.open(path, os.O_RDONLY)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        with contextlib.suppress(FileNotFoundError):
            if os.path.samestat(os.stat(path), os.fstat(descriptor)):
                break
        os.close(descriptor)  # another process removed it as abandoned before it was locked
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)
        os.close(descriptor)


def abandoned(parent: str, pattern: t.Pattern[str], remove: bool = True) -> list[str]:
    """Remove (or only return) the directories whose process has ended."""
    found = []
    try:
        entries = sorted(os.scandir(parent), key=lambda entry: entry.name)
    except FileNotFoundError:
        return []
    for entry in entries:
        if not pattern.fullmatch(entry.name) or not entry.is_dir(follow_symlinks=False):
            continue
        with contextlib.suppress(FileNotFoundError, BlockingIOError):
            status = entry.stat(follow_symlinks=False)
            # The set-group-ID bit may be inherited from the parent, and the group may have search
            # permission; all else is as held_directory() makes it.
            if status.st_uid != os.geteuid() or status.st_mode & 0o767 != 0o700:
                continue
            descriptor = os.open(entry.path, os.O_RDONLY | os.O_NOFOLLOW)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if remove:
                    shutil.rmtree(entry.path)
                found.append(entry.path)
            finally:
                os.close(descriptor)
    return found


def pattern_of(prefix: str) -> t.Pattern[str]:
    """Match the names that held_directory() makes with a prefix (a regular expression)."""
    return re.compile(prefix + r"[a-z0-9_]{8}")
