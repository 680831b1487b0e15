# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Move directories so that an interruption loses nothing and leaves no incomplete target.

Where a rename is impossible (another file system, or a layer of a container's image), a copy is
made under a hidden name beside the target. It is synced, compared with the original and renamed;
only then the original is removed.
"""

from __future__ import annotations

import errno
import filecmp
import os
import shutil

from ansible_collections.trac.mod_wsgi.plugins.module_utils._core.held_directory import (
    abandoned,
    held_directory,
    pattern_of,
)
from ansible_collections.trac.mod_wsgi.plugins.module_utils._core.sync import sync_directory

_PARTIAL = pattern_of(r"\..+\.moving-")


def move_directory(source: str, target: str) -> None:
    """Move a directory to a path that does not exist.

    Raises OSError on failure and leaves the source in place.
    """
    parent, name = os.path.split(target)
    abandoned(parent, _PARTIAL)
    try:
        os.rename(source, target)
    except OSError as e:
        if e.errno != errno.EXDEV:
            raise
        with held_directory(parent, f".{name}.moving-") as partial:
            copy_content(source, partial)
            os.sync()
            different = difference(source, partial)
            if different is not None:
                raise OSError(
                    errno.EIO, "it changed, or was not copied as it is", different
                ) from None
            shutil.copystat(source, partial)
            os.rename(partial, target)
            sync_directory(parent)
        shutil.rmtree(source)
    sync_directory(parent)
    sync_directory(os.path.dirname(source))


def copy_content(source: str, target: str) -> None:
    """Copy the content of a directory into another: links as links, without pipes and devices."""
    for entry in os.scandir(source):
        to = os.path.join(target, entry.name)
        if entry.is_symlink():
            os.symlink(os.readlink(entry.path), to)
        elif entry.is_dir():
            os.mkdir(to, 0o700)
            copy_content(entry.path, to)
            shutil.copystat(entry.path, to)
        elif entry.is_file():
            shutil.copy2(entry.path, to)


def difference(source: str, target: str) -> str | None:
    """Return the first path at which a copy differs from the original; None if they are equal."""
    names = set(os.listdir(target))
    for entry in os.scandir(source):
        copied = os.path.join(target, entry.name)
        if entry.is_symlink():
            same = os.path.islink(copied) and os.readlink(copied) == os.readlink(entry.path)
        elif entry.is_dir():
            inside = difference(entry.path, copied) if os.path.isdir(copied) else copied
            if inside is not None:
                return inside
            same = True
        elif entry.is_file():
            same = os.path.isfile(copied) and filecmp.cmp(entry.path, copied, shallow=False)
        else:
            continue
        if not same:
            return entry.path
        names.discard(entry.name)
    return os.path.join(target, min(names)) if names else None
