# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Write the names in directories to the disk, so that they survive a power cut."""

from __future__ import annotations

import os


def sync_directory(directory: str) -> None:
    """Write the entries of a directory to the disk."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def make_directory(directory: str, mode: int) -> None:
    """Create a directory and its parents where they are missing, and sync their names."""
    if os.path.isdir(directory):
        return
    parent = os.path.dirname(directory)
    make_directory(parent, 0o755)
    os.mkdir(directory, mode)
    sync_directory(parent)
