# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A rollback journal that has SQLite remove another file."""

from __future__ import annotations

import contextlib
import os
import pathlib
import sqlite3
import struct

_MAGIC = bytes.fromhex("d9d505f920a163d7")
_SECTOR = 512


def write(database: pathlib.Path, victim: pathlib.Path) -> pathlib.Path:
    """Put a hot journal beside a database that names a file as its super-journal."""
    with contextlib.closing(sqlite3.connect(database)) as connection:
        page_size = connection.execute("PRAGMA page_size").fetchone()[0]
    pages = database.stat().st_size // page_size
    header = _MAGIC + struct.pack(">5I", 0, 1, pages, _SECTOR, page_size)
    name = os.fsencode(victim)
    tail = struct.pack(">I", (1 << 30) // page_size + 1) + name
    tail += struct.pack(">II", len(name), sum(name)) + _MAGIC
    journal = database.with_name(f"{database.name}-journal")
    journal.write_bytes(header.ljust(_SECTOR, b"\0") + tail)
    return journal
