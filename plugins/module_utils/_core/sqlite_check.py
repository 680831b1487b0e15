# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Check the integrity of SQLite databases, as the account that owns them.

Opening a database rolls back its journal, may remove files that the journal names, and parses what
the account has written: nothing that root should do.
"""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
import typing as t

_UMASK = 0o007


def verdict(path: str) -> str:
    """Return `ok`, or what is wrong with a database."""
    try:
        with contextlib.closing(sqlite3.connect(path)) as connection:
            return str(connection.execute("PRAGMA integrity_check").fetchone()[0])
    except sqlite3.Error as e:
        return str(e)


def serve(payload: t.Mapping[str, t.Any], output: t.TextIO) -> None:
    """Check each database; write one JSON document per line."""
    os.umask(_UMASK)
    for path in payload["databases"]:
        event = {"event": "verdict", "path": path, "verdict": verdict(path)}
        output.write(json.dumps(event) + "\n")
    output.write(json.dumps({"event": "end"}) + "\n")
    output.flush()
