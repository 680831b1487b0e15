# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Verified hot copies of environments, which stay usable while they are copied.

A copy is an environment again: files as they are, what links lead to in their places, an SQLite
database as a file of its own, the dump of another database in ``db/``, where `trac-admin hotcopy`
puts it. It is built under a hidden name and appears under its own when everything in it has been
compared.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import sqlite3
import time
import typing as t

from ansible_collections.trac.mod_wsgi.plugins.module_utils._copies import database_dump
from ansible_collections.trac.mod_wsgi.plugins.module_utils._core.held_directory import (
    abandoned,
    held_directory,
    pattern_of,
)
from ansible_collections.trac.mod_wsgi.plugins.module_utils._core.sync import sync_directory
from ansible_collections.trac.mod_wsgi.plugins.module_utils._trac import (
    attachments as trac_attachments,
)
from ansible_collections.trac.mod_wsgi.plugins.module_utils._trac import database as trac_database
from ansible_collections.trac.mod_wsgi.plugins.module_utils._trac import (
    database_objects,
    environment_links,
)
from ansible_collections.trac.mod_wsgi.plugins.module_utils._trac.environment_spec import (
    EnvironmentFailure,
)

_PARTIAL = pattern_of(r"\.[a-z0-9][a-z0-9_-]*\.copying-")
_JOURNALS = ("-journal", "-stmtjrnl", "-shm", "-wal")
_TRIES = 3
_BLOCK = 1 << 20
# Written by visits, not by work.
_VOLATILE = {"auth_cookie", "cache", "session", "session_attribute"}


class Filled(t.NamedTuple):
    """What is in a copy."""

    rows: dict[str, int]  # of each table
    attachments: list[trac_attachments.Row]
    lost: list[trac_attachments.Row]  # those of them that have no file
    followed: dict[str, str]  # links whose targets are in the copy, by their paths within
    left_out: list[str]  # of the database, because its login may not read it
    missing: list[str]  # what is behind links


class Copy(t.NamedTuple):
    """A finished copy, how many rows each table had, and the links that were followed."""

    path: str
    rows: dict[str, int]
    followed: dict[str, str]
    left_out: list[str]  # what it does not hold, because the account may not have it

    def is_current(self, environment: t.Any) -> bool:
        """Whether nothing has been added to or taken from the environment's tables since."""
        with trac_database.connected(environment) as connection:
            now = trac_database.row_counts(connection)
        return {k: v for k, v in now.items() if k not in _VOLATILE} == {
            k: v for k, v in self.rows.items() if k not in _VOLATILE
        }


def left_alone(path: str, copy: Copy) -> list[str]:
    """That what links of an environment lead to stays when the environment goes, in words."""
    return [
        f"{os.path.join(path, inside)} was a link to {target}, which was left as it is, and whose "
        f"content is also in {copy.path}; remove it by hand if nobody needs it"
        for inside, target in copy.followed.items()
    ]


def broken_off(archive: str | None, remove: bool) -> list[str]:
    """The copies that a killed run left unfinished."""
    return abandoned(archive, _PARTIAL, remove) if archive else []


def check_tools(environment: t.Any) -> None:
    """Refuse an environment whose database cannot be copied for want of a tool."""
    from trac.db.api import DatabaseManager

    if trac_database.sqlite_file(environment) is not None:
        return
    connector = DatabaseManager(environment).get_connector()[0]
    for tool in database_dump.TOOLS:
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
        filled = fill(environment, partial)
        os.sync()
        while True:
            stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
            path = os.path.join(archive, f"{name}-{stamp}{suffix}")
            if not os.path.lexists(path):
                break
            time.sleep(0.1)
        os.rename(partial, path)
        sync_directory(archive)  # before anybody removes the original
    return Copy(path, filled.rows, filled.followed, filled.left_out + filled.missing)


def lacks(left_out: t.Sequence[str]) -> list[str]:
    """What is missing in a copy, in words."""
    return [f"its copy does not hold {text}" for text in database_objects.shown(left_out)]


def fill(environment: t.Any, copy: str) -> Filled:
    """Copy an environment into an empty directory and compare."""
    environment_links.check(environment.path)  # before the work is done in vain
    file = trac_database.sqlite_file(environment)
    if file is not None:
        return _copy_with_sqlite(environment, file, copy)
    return _copy_with_server(environment, copy)


def database_in(environment: t.Any, copy: str) -> str:
    """The database in a copy: SQLite's file, or a dump."""
    file = trac_database.sqlite_file(environment)
    if file is not None:
        return _sqlite_target(environment, file, copy)
    return database_dump.file_in(copy, database_dump.kind(environment))


def _copy_with_server(environment: t.Any, copy: str) -> Filled:
    """Copy files and dump the database while attachments neither come nor go.

    Trac's lock for hot copies would have mysqldump wait forever for its own turn.
    """
    scheme = database_dump.kind(environment)
    with trac_database.connected(environment) as connection:
        with database_dump.attachments_held(connection, scheme) as moment:
            rows = trac_database.row_counts(connection)
            attachments = attachments_of(environment, connection)
            walk = _copy_files(environment, copy, set())
            lost = _lost(environment, copy, attachments)
            database_dump.dump(environment, copy, rows, moment)
        if moment is None:  # the dump has been made later; its rows are known where none came
            now = trac_database.row_counts(connection)
            rows = {table: count for table, count in rows.items() if now.get(table) == count}
        left_out = database_objects.left_out(connection)
    return Filled(rows, attachments, lost, walk.followed, left_out, walk.missing)


def _copy_with_sqlite(environment: t.Any, file: str, copy: str) -> Filled:
    """Copy files and database while nobody can write into the database."""
    skipped = {os.path.realpath(path) for path in [file, *(file + end for end in _JOURNALS)]}
    target = _sqlite_target(environment, file, copy)
    with environment.db_transaction as db:
        # Changes nothing, but keeps others from writing, as trac-admin does it.
        db(f"UPDATE {db.quote('system')} SET name=NULL WHERE name IS NULL")  # noqa: S608
        walk = _copy_files(environment, copy, skipped)
        rows = _copy_sqlite(file, target)
        attachments = _sqlite_attachments(target) if "attachment" in rows else []
        lost = _lost(environment, copy, attachments)
    return Filled(rows, attachments, lost, walk.followed, [], walk.missing)


def _lost(
    environment: t.Any, copy: str, attachments: t.Sequence[trac_attachments.Row]
) -> list[trac_attachments.Row]:
    """The attachments without a file; fails where the copy alone has none."""
    lost = trac_attachments.without_file(attachments, trac_attachments.in_directory(copy))
    gone = trac_attachments.without_file(lost, trac_attachments.in_directory(environment.path))
    missing = [row for row in lost if row not in gone]
    if missing:
        names = "; ".join(trac_attachments.shown(missing))
        raise EnvironmentFailure(f"the copy lacks {len(missing)} attachments: {names}")
    return lost


def attachments_of(environment: t.Any, connection: t.Any) -> list[trac_attachments.Row]:
    """The attachments in an environment's database."""
    if not connection.has_table("attachment"):
        return []
    file = trac_database.sqlite_file(environment)
    return _sqlite_attachments(file) if file else trac_attachments.rows(connection.cursor())


def _sqlite_attachments(file: str) -> list[trac_attachments.Row]:
    """The attachments in an SQLite database, whatever bytes their names hold."""
    with contextlib.closing(sqlite3.connect(file)) as connection:
        connection.text_factory = lambda value: value.decode("utf-8", "surrogateescape")
        return trac_attachments.rows(connection.cursor())


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


def _copy_files(environment: t.Any, copy: str, skipped: set[str]) -> environment_links.Walk:
    """Copy everything but the database; returns which links were met."""
    made: list[tuple[str, str]] = []
    walk = environment_links.Walk(environment.path)
    for entry in walk:
        to = os.path.join(copy, entry.inside)
        if entry.kind == environment_links.KEPT:
            os.symlink(entry.text, to)
        elif entry.kind == environment_links.DIRECTORY:
            os.mkdir(to)
            made.append((entry.path, to))
        elif os.path.realpath(entry.path) not in skipped:
            grows = os.path.dirname(entry.path) == environment.log_dir
            _copy_file(entry.path, to, grows=grows)
    walk.refuse()
    # When nothing is written into them any more, which would change their times.
    for directory, target in made:
        shutil.copystat(directory, target)
    return walk


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
