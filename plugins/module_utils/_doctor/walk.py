# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Walk through an environment and collect what its account cannot use."""

from __future__ import annotations

import os
import time
import typing as t

from ansible_collections.trac.mod_wsgi.plugins.module_utils._trac import environment_links

# Where Trac writes; the rest of an environment may be read-only for it.
WRITTEN = ("db", "log", "files", "attachments")
_SECONDS = 10.0


class Contents(t.NamedTuple):
    """What there is in an environment."""

    closed: list[str]  # paths that this account cannot read, or write where Trac has to
    links: dict[str, environment_links.Led]
    entries: int
    complete: bool  # whether there was time for everything


def walk(path: str, seconds: float = _SECONDS) -> Contents:
    """Walk through an environment, and through links that copies follow, too."""
    end = time.monotonic() + seconds
    closed: list[str] = []
    links: dict[str, environment_links.Led] = {}
    entry_count = 0
    pending = [(path, False, environment_links.roots_of(path))]
    while pending:
        directory, written, roots = pending.pop()
        if not os.access(directory, os.R_OK | os.X_OK | (os.W_OK if written else 0)):
            closed.append(directory)
        try:
            entries = list(os.scandir(directory))
        except OSError:
            continue
        entry_count += len(entries)
        for entry in entries:
            inside = written or (directory == path and entry.name in WRITTEN)
            if entry.is_symlink():
                place = os.path.relpath(entry.path, path)
                try:
                    led = links[entry.path] = environment_links.led(entry.path, place, roots)
                except OSError:  # removed meanwhile
                    continue
                if led.kind == environment_links.DIRECTORY:
                    pending.append((entry.path, inside, (*roots, (led.text, place))))
                    continue
                if led.kind != environment_links.FILE:
                    continue
            if entry.is_dir(follow_symlinks=False):
                pending.append((entry.path, inside, roots))
            elif entry.is_file() and not os.access(
                entry.path, os.R_OK | (os.W_OK if inside else 0)
            ):
                closed.append(entry.path)
        if time.monotonic() > end:
            return Contents(closed, links, entry_count, False)
    return Contents(closed, links, entry_count, True)
