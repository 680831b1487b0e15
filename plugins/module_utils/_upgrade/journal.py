# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an upgrade has done so far, so that a later run knows the way back when it is killed.

The file exists from before the sites are closed until they are open again. Each step is written
down before it is made. Up to the phase `verified` the way leads back, from there on ahead.
"""

from __future__ import annotations

import dataclasses
import json
import os
import tempfile
import time

from ansible_collections.trac.mod_wsgi.plugins.module_utils._core.sync import (
    make_directory,
    sync_directory,
)

_VERSION = 1

# In their order: nothing is changed yet; environments may be half upgraded; the sites have answered
# with what is new; everything is as it was before.
PHASES = ("closed", "upgrading", "verified", "rolled_back")

# Of an environment: its copy is complete; its upgrade has begun; it is as in its copy again.
STATES = ("copied", "upgrading", "restored")


class JournalError(Exception):
    """A journal that cannot be used, in words for the user."""


@dataclasses.dataclass
class Entry:
    """One environment that has to be upgraded."""

    copy: str  # its verified copy in the archive
    rows: dict[str, int] = dataclasses.field(default_factory=dict)  # of each table of it
    state: str = "copied"
    kept: str | None = None  # where its state after the failed upgrade is


@dataclasses.dataclass
class Journal:
    """An upgrade that is not over."""

    run: str  # which run of the playbook
    old: str  # the generation that was in use
    new: str  # the one that is to be
    phase: str = "closed"
    ticks: int = 0  # when it began, in the kernel's own measure
    touched: float = 0.0  # the last sign of life, in seconds since 1970
    environments: dict[str, Entry] = dataclasses.field(default_factory=dict)
    reason: str = ""  # why it goes back

    def age(self, now: float | None = None) -> float:
        """Seconds since the last sign of life."""
        return max(0.0, (time.time() if now is None else now) - self.touched)

    def to_restore(self) -> list[str]:
        """The environments whose upgrade has begun."""
        return [name for name, entry in self.environments.items() if entry.state == "upgrading"]


def read(path: str) -> Journal | None:
    """The journal, or None when no upgrade is under way."""
    try:
        with open(path, encoding="utf-8") as file:
            document = json.load(file)
        if document.pop("version") != _VERSION:
            raise JournalError(f"{path} was written by another version of this collection.")
        document["environments"] = {
            name: Entry(**entry) for name, entry in document["environments"].items()
        }
        journal = Journal(**document)
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError, AttributeError) as e:
        raise JournalError(f"{path} is damaged: {e}") from e
    if journal.phase not in PHASES or any(
        entry.state not in STATES for entry in journal.environments.values()
    ):
        raise JournalError(f"{path} is damaged: it names a phase that does not exist.")
    return journal


def write(path: str, journal: Journal) -> None:
    """Replace the journal at once, and have it on the disk before returning."""
    journal.touched = time.time()
    directory = os.path.dirname(path)
    make_directory(directory, 0o700)
    handle, temporary = tempfile.mkstemp(prefix=".upgrade-", suffix=".new", dir=directory)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            json.dump({"version": _VERSION, **dataclasses.asdict(journal)}, file, indent=1)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError:
        os.unlink(temporary)
        raise
    sync_directory(directory)


def remove(path: str) -> None:
    """Declare the upgrade over."""
    os.unlink(path)
    sync_directory(os.path.dirname(path))
