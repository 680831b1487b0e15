# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a power cut would undo: names in directories that have not reached the disk."""

from __future__ import annotations

import os
import typing as t

import pytest


class Names:
    """Directories whose names have changed, and are not on the disk yet."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.pending: set[str] = set()
        for name in ("rename", "replace"):
            patch.setattr(os, name, self._watched(getattr(os, name), 1))
        for name in ("unlink", "mkdir"):
            patch.setattr(os, name, self._watched(getattr(os, name), 0))
        fsync, sync = os.fsync, os.sync

        def synced(descriptor: int) -> None:
            fsync(descriptor)
            self.pending.discard(os.readlink(f"/proc/self/fd/{descriptor}"))

        def all_synced() -> None:
            sync()
            self.pending.clear()

        patch.setattr(os, "fsync", synced)
        patch.setattr(os, "sync", all_synced)

    def _watched(self, function: t.Callable[..., None], place: int) -> t.Callable[..., None]:
        def watched(*arguments: t.Any, **more: t.Any) -> None:
            function(*arguments, **more)
            directory = os.path.dirname(os.path.abspath(arguments[place]))
            self.pending.add(os.path.realpath(directory))

        return watched
