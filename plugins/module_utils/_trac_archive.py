# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Verified hot copies of environments, which stay usable while they are copied.

A copy is an environment again: files as they are, an SQLite database as a file of its own, the
dump of another database in ``db/``, where `trac-admin hotcopy` puts it. It is built under a
hidden name and appears under its own when everything in it has been compared.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import sqlite3
import time
import typing as t

from ansible_collections.trac.mod_wsgi.plugins.module_utils import (
    _database_objects,
    _trac_database,
    _trac_dump,
)
from ansible_collections.trac.mod_wsgi.plugins.module_utils._environment_spec import (
    EnvironmentFailure,
)
from ansible_collections.trac.mod_wsgi.plugins.module_utils._held_directory import (
    abandoned,
    held_directory,
    pattern_of,
)
from ansible_collections.trac.mod_wsgi.plugins.module_utils._sync import sync_directory

_PARTIAL = pattern_of(r"\.[a-z0-9][a-z0-9_-]*\.copying-")
_JOURNALS = ("-journal", "-stmtjrnl", "-shm", "-wal")
_TRIES = 3
_BLOCK = 1 << 20
# Written by visits, not by work.
_VOLATILE = {"auth_cookie", "cache", "session", "session_attribute"}


class Copy(t.NamedTuple):
    """A finished copy, and how many rows each table had."""

    path: str
    rows: dict[str, int]
    left_out: list[str]  # what it does not hold, because nobody may read it

    def is_current(self, environment: t.Any) -> bool:
        """Whether nothing has been added to or taken from the environment's tables since."""
        with _trac_database.connected(environment) as connection:
            now = _trac_database.row_counts(connection)
        return {k: v for k, v in now.items() if k not in _VOLATILE} == {
            k: v for k, v in self.rows.items() if k not in _VOLATILE
        }


def broken_off(archive: str | None, remove: bool) -> list[str]:
    """The copies that a killed run left unfinished."""
    return abandoned(archive, _PARTIAL, remove) if archive else []


def check_tools(environment: t.Any) -> None:
    """Refuse an environment whose database cannot be copied for want of a tool."""
    from trac.db.api import DatabaseManager

    if _trac_database.sqlite_file(environment) is not None:
        return
    connector = DatabaseManager(environment).get_connector()[0]
    for tool in _trac_dump.TOOLS:
        path = getattr(connector, f"{tool}_path", None)
        if path is None:
            continue
        if shutil.which(path):
            return
        if path == "mysqldump" and shutil.which("mariadb-dump"):  # its name from MariaDB 11 on
            environment.config.set("trac", "mysqldump_path", "mariadb-dump")
            return
        raise EnvironmentFailure(
            f"its database cannot be copied, because there is no {path}; "
            "install the database's client tools"
        )
    raise EnvironmentFailure("its database is of a kind that cannot be copied")


def hot_copy(environment: t.Any, name: str, archive: str, suffix: str = "") -> Copy:
    """Copy an environment to the archive and compare the copy with it.

    `environment` must not write its trac.ini.
    """
    check_tools(environment)
    with held_directory(archive, f".{name}.copying-") as partial:
        content = fill(environment, partial)
        os.sync()
        while True:
            stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
            path = os.path.join(archive, f"{name}-{stamp}{suffix}")
            if not os.path.lexists(path):
                break
            time.sleep(0.1)
        os.rename(partial, path)
        sync_directory(archive)  # before anybody removes the original
    return Copy(path, *content)


class Content(t.NamedTuple):
    """What is in the copy of an environment's database."""

    rows: dict[str, int]  # of each table
    left_out: list[str]


def lacks(left_out: t.Sequence[str]) -> list[str]:
    """What is missing in a copy, in words."""
    return [f"its copy does not hold {text}" for text in _database_objects.shown(left_out)]


def fill(environment: t.Any, copy: str) -> Content:
    """Copy an environment into an empty directory and compare."""
    file = _trac_database.sqlite_file(environment)
    if file is not None:
        return Content(_copy_with_sqlite(environment, file, copy), [])
    return _copy_with_server(environment, copy)


def database_in(environment: t.Any, copy: str) -> str:
    """The database in a copy: SQLite's file, or a dump."""
    file = _trac_database.sqlite_file(environment)
    if file is not None:
        return _sqlite_target(environment, file, copy)
    return _trac_dump.file_in(copy, _trac_dump.kind(environment))


def _copy_with_server(environment: t.Any, copy: str) -> Content:
    """Copy files and dump the database while attachments neither come nor go.

    Trac's lock for hot copies would have mysqldump wait forever for its own turn.
    """
    scheme = _trac_dump.kind(environment)
    with _trac_database.connected(environment) as connection:
        with _trac_dump.attachments_held(connection, scheme) as moment:
            rows = _trac_database.row_counts(connection)
            _copy_files(environment, copy, set())
            _trac_dump.dump(environment, copy, rows, moment)
        if moment is None:  # the dump has been made later; its rows are known where none came
            now = _trac_database.row_counts(connection)
            rows = {table: count for table, count in rows.items() if now.get(table) == count}
        return Content(rows, _database_objects.left_out(connection))


def _copy_with_sqlite(environment: t.Any, file: str, copy: str) -> dict[str, int]:
    """Copy files and database while nobody can write into the database."""
    skipped = {os.path.realpath(path) for path in [file, *(file + end for end in _JOURNALS)]}
    with environment.db_transaction as db:
        # Changes nothing, but keeps others from writing, as trac-admin does it.
        db(f"UPDATE {db.quote('system')} SET name=NULL WHERE name IS NULL")  # noqa: S608
        _copy_files(environment, copy, skipped)
        return _copy_sqlite(file, _sqlite_target(environment, file, copy))


def _sqlite_target(environment: t.Any, file: str, copy: str) -> str:
    """Where the database's file belongs in a copy."""
    inside = os.path.relpath(file, environment.path)
    if inside.split(os.sep)[0] == os.pardir:
        inside = os.path.join("db", os.path.basename(file))
    return os.path.join(copy, inside)


def _copy_sqlite(file: str, target: str) -> dict[str, int]:
    os.makedirs(os.path.dirname(target), exist_ok=True)
    with contextlib.ExitStack() as stack:
        source = stack.enter_context(contextlib.closing(sqlite3.connect(file)))
        copied = stack.enter_context(contextlib.closing(sqlite3.connect(target)))
        source.backup(copied)
        verdict = copied.execute("PRAGMA integrity_check").fetchone()[0]
        if verdict != "ok":
            raise EnvironmentFailure(f"the copy of {file} is broken: {verdict}")
        rows = sqlite_rows(source)
        if sqlite_rows(copied) != rows:
            raise EnvironmentFailure(f"the copy of {file} does not hold the same rows")
    shutil.copymode(file, target)
    return rows


def sqlite_rows(connection: sqlite3.Connection) -> dict[str, int]:
    rows = {}
    for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type='table'"):
        table = name.replace('"', '""')
        count = connection.execute(f'SELECT count(*) FROM "{table}"')  # noqa: S608
        rows[name] = count.fetchone()[0]
    return rows


def _copy_files(environment: t.Any, copy: str, skipped: set[str]) -> None:
    """Copy everything but the database; links stay links."""
    root = environment.path
    waiting = [(root, copy)]
    made: list[tuple[str, str]] = []
    while waiting:
        directory, target = waiting.pop()
        for entry in os.scandir(directory):
            to = os.path.join(target, entry.name)
            if entry.is_symlink():
                os.symlink(os.readlink(entry.path), to)
            elif entry.is_dir():
                os.mkdir(to)
                waiting.append((entry.path, to))
                made.append((entry.path, to))
            # Sockets and the like hold no data.
            elif entry.is_file() and os.path.realpath(entry.path) not in skipped:
                _copy_file(entry.path, to, grows=directory == environment.log_dir)
    # When nothing is written into them any more, which would change their times.
    for directory, target in made:
        shutil.copystat(directory, target)


def _copy_file(source: str, target: str, grows: bool) -> None:
    """Copy a file, again if it changes meanwhile; what was appended to a log may be missing."""
    for dummy in range(_TRIES):
        try:
            shutil.copy2(source, target)
            size = os.stat(target).st_size
            same = grows or os.stat(source).st_size == size
            if same and _digest(source, size) == _digest(target, size):
                return
        except FileNotFoundError:
            if os.path.lexists(source):
                raise
            with contextlib.suppress(FileNotFoundError):
                os.unlink(target)
            return  # removed meanwhile
    raise EnvironmentFailure(f"{source} does not stop changing, so that it cannot be copied")


def _digest(path: str, size: int) -> bytes:
    """The checksum of the beginning of a file."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while size > 0:
            block = file.read(min(_BLOCK, size))
            if not block:
                break
            digest.update(block)
            size -= len(block)
    return digest.digest()
