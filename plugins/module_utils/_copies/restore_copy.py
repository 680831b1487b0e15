# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Put an environment back as it is in its copy, and keep the state that is replaced.

For a site that is closed: nobody works in the environment meanwhile. A restoration that is killed
is repeated as a whole, and keeps what it finds once more.
"""

from __future__ import annotations

import contextlib
import filecmp
import os
import shutil
import sqlite3
import stat
import time
import typing as t

from ansible_collections.trac.mod_wsgi.plugins.module_utils._copies import database_dump, hot_copy
from ansible_collections.trac.mod_wsgi.plugins.module_utils._core.held_directory import (
    abandoned,
    held_directory,
    pattern_of,
)
from ansible_collections.trac.mod_wsgi.plugins.module_utils._core.move import (
    copy_content,
    move_directory,
)
from ansible_collections.trac.mod_wsgi.plugins.module_utils._trac import database as trac_database
from ansible_collections.trac.mod_wsgi.plugins.module_utils._trac import database_objects
from ansible_collections.trac.mod_wsgi.plugins.module_utils._trac.environment_spec import (
    EnvironmentFailure,
)
from ansible_collections.trac.mod_wsgi.plugins.module_utils._trac.ini import IniFile
from ansible_collections.trac.mod_wsgi.plugins.module_utils._trac.opening import (
    environment_class,
    opened,
)

KEPT = "-failed-upgrade"
_DIRECTORY_MODE = 0o2770


class Restored(t.NamedTuple):
    """An environment that is as it was."""

    kept: str | None  # where the replaced state is now, None if there was none
    said: list[str]  # what somebody should know of its database


def restore(path: str, copy: str, rows: t.Mapping[str, int], archive: str) -> Restored:
    """Put an environment back."""
    path = os.path.realpath(path)  # where a link leads to, if the environment is one
    parent, name = os.path.split(path)
    abandoned(parent, pattern_of(rf"\.{name}\.restoring-"))
    said: list[str] = []
    mode = stat.S_IMODE(os.stat(path).st_mode) if os.path.isdir(path) else _DIRECTORY_MODE
    with opened(_as_copied(path, copy)) as environment:
        file = trac_database.sqlite_file(environment)
        with held_directory(parent, f".{name}.restoring-") as fresh:
            copy_content(copy, fresh)
            if file is None:
                dump = hot_copy.database_in(environment, fresh)
                os.unlink(dump)
                with contextlib.suppress(OSError):  # there is more in it
                    os.rmdir(os.path.dirname(dump))
                kept, said = _replace_on_server(environment, fresh, copy, rows, archive)
            else:
                database = hot_copy.database_in(environment, fresh)
                _check_sqlite(database, rows)
                kept = _keep_directory(path, archive)
                if trac_database.is_elsewhere(environment):
                    kept = kept or _new_directory(archive, name)
                    _replace_file(file, database, kept)
                os.rename(fresh, path)
            os.chmod(path, mode)
    os.sync()
    return Restored(kept, database_objects.shown(said))


def _as_copied(path: str, copy: str) -> t.Any:
    """The environment with the options that it had when it was copied; nothing saves them."""
    parser = IniFile(os.path.join(copy, "conf", "trac.ini")).parser
    return environment_class()(path, parser, new=True)


def _check_sqlite(file: str, rows: t.Mapping[str, int]) -> None:
    """Refuse a database that is not what was copied."""
    with contextlib.closing(sqlite3.connect(file)) as connection:
        verdict = connection.execute("PRAGMA integrity_check").fetchone()[0]
        if verdict != "ok":
            raise EnvironmentFailure(f"{file} is broken: {verdict}")
        for table, count in rows.items():
            name = table.replace('"', '""')
            query = f'SELECT count(*) FROM "{name}"'  # noqa: S608
            found = connection.execute(query).fetchone()[0]
            if found != count:
                raise EnvironmentFailure(
                    f"{file} has {found} rows in {table}, and had {count} when it was copied"
                )


def _free_name(archive: str, name: str) -> str:
    while True:
        stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
        path = os.path.join(archive, f"{name}-{stamp}{KEPT}")
        if not os.path.lexists(path):
            return path
        time.sleep(0.1)


def _keep_directory(path: str, archive: str) -> str | None:
    """Move a directory, with the database in it, into the archive."""
    if not os.path.isdir(path):
        return None  # moved by a run that was killed then
    name = os.path.basename(path)
    kept = _free_name(archive, name)
    move_directory(path, kept)
    os.chmod(kept, 0o700)
    return kept


def _new_directory(archive: str, name: str) -> str:
    kept = _free_name(archive, name)
    os.mkdir(kept, 0o700)
    return kept


def _replace_on_server(
    environment: t.Any, fresh: str, copy: str, rows: t.Mapping[str, int], archive: str
) -> Restored:
    """The database first, which is replaced as a whole or not at all."""
    path = environment.path
    name = os.path.basename(path)
    kept = None
    if os.path.isdir(path) and trac_database.has_tables(environment):
        kept = hot_copy.hot_copy(environment, name, archive, KEPT).path
    said = database_dump.load(environment, hot_copy.database_in(environment, copy), rows)
    if kept is None:  # its files are nowhere else
        kept = _keep_directory(path, archive)
    elif os.path.isdir(path):
        with held_directory(os.path.dirname(path), f".{name}.restoring-") as aside:
            with contextlib.suppress(OSError):  # in a layer of a container's image
                os.rename(path, os.path.join(aside, name))
            if os.path.isdir(path):
                shutil.rmtree(path)  # it is in the archive
            os.rename(fresh, path)
            return Restored(kept, said)
    os.rename(fresh, path)
    return Restored(kept, said)


def _replace_file(file: str, database: str, kept: str) -> None:
    """Put back an SQLite database that is not in the environment's directory."""
    if os.path.exists(file):
        os.makedirs(os.path.join(kept, "db"), exist_ok=True)
        for end in ("", "-journal", "-wal"):
            if os.path.exists(file + end):
                name = f"{os.path.basename(file)}.failed{end}"
                _copy_file(file + end, os.path.join(kept, "db", name))
    temporary = f"{file}.restored"
    _copy_file(database, temporary)
    os.sync()
    for end in ("-journal", "-wal", "-shm"):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(file + end)
    os.replace(temporary, file)
    os.unlink(database)


def _copy_file(source: str, target: str) -> None:
    shutil.copy2(source, target)
    if not filecmp.cmp(source, target, shallow=False):
        raise EnvironmentFailure(f"{target} does not hold what is in {source}")
