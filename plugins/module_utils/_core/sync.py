# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What survives a power cut."""

from __future__ import annotations

import os


def sync_directory(directory: str) -> None:
    """Have the names in a directory survive a power cut."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def make_directory(directory: str, mode: int) -> None:
    """Make a directory, with its parents, if it is missing; their names survive a power cut."""
    if os.path.isdir(directory):
        return
    parent = os.path.dirname(directory)
    make_directory(parent, 0o755)
    os.mkdir(directory, mode)
    sync_directory(parent)
