# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where environments are copied to for a preview, and what of them."""

from __future__ import annotations

import os
import typing as t

from ansible_collections.trac.mod_wsgi.plugins.module_utils._core.held_directory import pattern_of

PREFIX = "trac-preview-"
LEFT_BEHIND = pattern_of(PREFIX)
# On a disk, unlike /tmp.
DIRECTORY = "/var/tmp"  # noqa: S108  (held_directory makes one of its own there)
# Attachments are there by name and size, which is all that an upgrade asks for; logs are not.
_HOLLOW = (("files",), ("attachments",))
_LOGS = "log"
# An upgrade writes tables anew, and SQLite keeps a journal meanwhile.
_GROWTH = 3


class NotTried(Exception):
    """Why there is no preview."""


def is_hollow(path: str) -> bool:
    """Whether a file within an environment is copied without what is in it."""
    return tuple(path.split(os.sep)[:1]) in _HOLLOW


def is_left_out(path: str) -> bool:
    """Whether a file within an environment is not copied at all."""
    return path.split(os.sep)[0] == _LOGS


def check(sizes: t.Mapping[str, int], directory: str) -> None:
    """Refuse a copy for which there is no room.

    :param sizes: of files, by paths within the environment
    """
    needed = _GROWTH * sum(
        size for path, size in sizes.items() if not is_hollow(path) and not is_left_out(path)
    )
    space = os.statvfs(directory)
    free = space.f_bavail * space.f_frsize
    if needed > free:
        raise NotTried(
            f"there is no room in {directory} for a copy to try it on: it takes up to {needed} "
            f"bytes, and {free} are free"
        )
