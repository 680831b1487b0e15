# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A copy of an environment on which check mode tries an upgrade.

This runs as the account that owns the environments. The copy is either one that root has made of an
environment that is not this account's yet, or made here. The original is only read.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
import stat
import typing as t
from urllib.parse import quote

from ansible_collections.trac.mod_wsgi.plugins.module_utils._core import sqlite_journal
from ansible_collections.trac.mod_wsgi.plugins.module_utils._core.held_directory import (
    abandoned,
    held_directory,
)
from ansible_collections.trac.mod_wsgi.plugins.module_utils._environments import preview_room
from ansible_collections.trac.mod_wsgi.plugins.module_utils._environments.preview_room import (
    NotTried,
)
from ansible_collections.trac.mod_wsgi.plugins.module_utils._trac import database as trac_database
from ansible_collections.trac.mod_wsgi.plugins.module_utils._trac.preview_place import Place

_INI = os.path.join("conf", "trac.ini")
# Of what these hold nothing is written, so that links may lead where they do.
_CODE = ("plugins", "templates", "htdocs", "cgi-bin")


@contextlib.contextmanager
def place(environment: t.Any, made: Place | None) -> t.Iterator[Place]:
    """A copy of an environment without its trac.ini, which the caller writes.

    :param made: a copy that is there already; `environment` is that
    """
    file = trac_database.sqlite_file(environment)
    if file is None:
        raise NotTried(
            "its database is on a server, and check mode makes no second one there to try the "
            "upgrade on; the upgrade itself copies it to archive_directory first"
        )
    if trac_database.is_elsewhere(environment):
        raise NotTried(f"its database {file} is outside of it, and is not copied in check mode")
    if made is not None:
        yield made
        return
    directory = preview_room.DIRECTORY
    abandoned(directory, preview_room.LEFT_BEHIND)
    with held_directory(directory, preview_room.PREFIX) as held:
        copy = os.path.join(held, os.path.basename(environment.path))
        _copy(environment, file, copy, directory)
        yield Place(copy, environment.path)


def _copy(environment: t.Any, file: str, copy: str, directory: str) -> None:
    root = environment.path
    inside = os.path.relpath(os.path.realpath(file), os.path.realpath(root))
    skipped = {_INI, *(inside + end for end in ("", *sqlite_journal.BESIDE))}
    found = {path: source for path, source in _walk(root) if path not in skipped}
    sizes = {path: os.lstat(source).st_size for path, source in found.items()}
    preview_room.check({**sizes, inside: os.stat(file).st_size}, directory)
    os.mkdir(copy, 0o700)
    for path, source in found.items():
        target = os.path.join(copy, path)
        mode = os.lstat(source).st_mode
        if stat.S_ISDIR(mode):
            os.mkdir(target, 0o700)
        elif stat.S_ISLNK(mode):
            os.symlink(os.path.realpath(source), target)
        elif preview_room.is_hollow(path):
            with open(target, "xb") as hollow:
                hollow.truncate(sizes[path])
        else:
            shutil.copyfile(source, target)
    os.makedirs(os.path.dirname(os.path.join(copy, inside)), exist_ok=True)
    # Others may write meanwhile; nothing is written here, not even what a journal is left for.
    uri = f"file:{quote(os.path.realpath(file))}?mode=ro"
    with contextlib.closing(sqlite3.connect(uri, uri=True)) as live, contextlib.closing(
        sqlite3.connect(os.path.join(copy, inside))
    ) as database:
        live.backup(database)


def _walk(root: str) -> t.Iterator[tuple[str, str]]:
    """What is to be copied, by paths within; each directory before what is in it.

    Links are followed, or an upgrade would follow them to the original, but for those of code.
    """
    waiting = [("", root)]
    seen = set()
    while waiting:
        inside, directory = waiting.pop()
        identity = os.stat(directory)
        if (identity.st_dev, identity.st_ino) in seen:
            continue  # a link to a directory above
        seen.add((identity.st_dev, identity.st_ino))
        if inside:
            yield inside, directory
        for entry in sorted(os.scandir(directory), key=lambda entry: entry.name):
            path = os.path.join(inside, entry.name)
            if entry.is_symlink() and path.split(os.sep)[0] in _CODE:
                yield path, entry.path
            elif entry.is_dir():
                waiting.append((path, os.path.realpath(entry.path)))
            elif entry.is_file() and not preview_room.is_left_out(path):
                yield path, os.path.realpath(entry.path)
