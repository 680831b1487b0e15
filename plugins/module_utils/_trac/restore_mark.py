# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The mark of a restoration that has begun to replace an environment.

A database on a server and the files of an environment cannot be replaced in one moment. Killed in
between, a restoration leaves one of the backup and the other from before. The mark lies in the
hidden directory of the restoration, which nobody holds then, until another one has succeeded. What
was replaced may lie there, too, as `former`; it is never removed, but moved away.
"""

from __future__ import annotations

import os
import re
import typing as t

from ansible_collections.trac.mod_wsgi.plugins.module_utils._core.held_directory import (
    abandoned,
    pattern_of,
)
from ansible_collections.trac.mod_wsgi.plugins.module_utils._core.sync import sync_directory

FORMER = "former"  # the environment that was replaced
_MARK = "replacing"
_HIDDEN = pattern_of(r"\..+\.restoring-")
_NAME = re.compile(r"\.(?P<name>.+)\.restoring-[a-z0-9_]{8}\Z")


def set_mark(holder: str) -> None:
    """Write the mark before anything is replaced."""
    descriptor = os.open(os.path.join(holder, _MARK), os.O_WRONLY | os.O_CREAT, 0o600)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    for directory in (holder, os.path.dirname(holder)):
        sync_directory(directory)


def unfinished(directory: str) -> dict[str, str]:
    """Return the names of half replaced environments, each with its marked directory."""
    found = {}
    for path in abandoned(directory, _HIDDEN, remove=False):
        match = _NAME.match(os.path.basename(path))
        if match and os.path.exists(os.path.join(path, _MARK)):
            found[match["name"]] = path
    return found


def problem(path: str, holder: str) -> str:
    """Return a message about a half replaced environment, with the remedy."""
    return (
        f"a run of restore.yml was killed while it replaced {path}, so that files and database may "
        "not fit together; restore it once more, with trac_restore_overwrite. If you have set it "
        f"right yourself, remove {holder}"
    )


def clean_up(directory: str) -> None:
    """Remove the directories of killed runs that had replaced nothing yet."""
    marked = unfinished(directory).values()
    for path in abandoned(directory, _HIDDEN, remove=False):
        if path not in marked and not os.path.lexists(os.path.join(path, FORMER)):
            _remove(path)


def clear_mark(directory: str, name: str, keep: t.Callable[[str], None]) -> None:
    """Remove the marks of killed runs of an environment that has been restored since.

    `keep` moves away what one of them had replaced.
    """
    for path in abandoned(directory, pattern_of(re.escape(f".{name}.restoring-")), remove=False):
        former = os.path.join(path, FORMER)
        if os.path.lexists(former):
            keep(former)
        _remove(path)


def _remove(path: str) -> None:
    """Remove a directory, unless another process holds its lock."""
    directory, name = os.path.split(path)
    abandoned(directory, re.compile(re.escape(name)))
