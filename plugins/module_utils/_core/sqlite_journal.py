# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rollback journals of SQLite that name other files.

A journal may end with the name of a super-journal, that of a transaction in several databases.
SQLite removes the file of that name, wherever it is, when the database is opened. Trac makes no
such journals, so one in an environment is a mistake or an attack.
"""

from __future__ import annotations

import os
import stat
import struct

ENDING = "-journal"
# What SQLite opens together with a database.
BESIDE = (ENDING, "-wal", "-shm")

# The journal ends with: name, its length, its checksum (of no interest here), this.
_MAGIC = bytes.fromhex("d9d505f920a163d7")
_TAIL = struct.Struct(">II8s")
_LONGEST = 4096  # bytes shown


def super_journal(file: int) -> str | None:
    """Return the super-journal that an open journal names; None if it names none."""
    status = os.fstat(file)
    end = status.st_size - _TAIL.size
    if not stat.S_ISREG(status.st_mode) or end < 0:
        return None
    tail = os.pread(file, _TAIL.size, end)
    if len(tail) < _TAIL.size:
        return None
    length, _checksum, magic = _TAIL.unpack(tail)
    if magic != _MAGIC or not 0 < length <= end:
        return None
    return os.pread(file, min(length, _LONGEST), end - length).decode("utf-8", "replace")


def problem(path: str, name: str) -> str:
    """Return a message about such a journal, with what to do."""
    return (
        f"{path} names another file, {name!r}, which SQLite would remove as soon as the database "
        "is opened; Trac makes no such journals. Find out where it comes from, and move it away"
    )
