# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Back up the environments of a host: what root does.

The service account makes the archives and sends them through a pipe. Root writes them where that
account cannot reach, removes what has become old, and opens nothing in an environment.
"""

from __future__ import annotations

import dataclasses
import os
import pwd
import shutil
import time
import typing as t

from ansible_collections.trac.mod_wsgi.plugins.module_utils._backup import backup_files
from ansible_collections.trac.mod_wsgi.plugins.module_utils._backup import push as backup_push
from ansible_collections.trac.mod_wsgi.plugins.module_utils._backup import status as backup_status
from ansible_collections.trac.mod_wsgi.plugins.module_utils._backup import worker as backup_worker
from ansible_collections.trac.mod_wsgi.plugins.module_utils._core import (
    held_directory,
    worker_process,
)

LOCK_TIMEOUT = 60.0  # seconds
TIMEOUT = 43200  # seconds
_RESERVE = 16 * 1024 * 1024  # bytes that have to stay free


@dataclasses.dataclass
class Settings:
    """What a host's backups are made with."""

    directory: str  # of the environments
    python: str
    user: str
    backup_directory: str
    staging_directory: str  # the service account's, with room for a copy of an environment
    keep_days: int
    keep_last: int
    status_file: str = backup_status.PATH
    # Seconds for making all archives, and for each of the tools that copy them to other places.
    timeout: int = TIMEOUT
    target: backup_push.Target = dataclasses.field(default_factory=backup_push.Target)


@dataclasses.dataclass
class Outcome:
    """What was done, or would be."""

    made: dict[str, backup_files.Backup] = dataclasses.field(default_factory=dict)
    sizes: dict[str, int] = dataclasses.field(default_factory=dict)  # bytes
    possible: list[str] = dataclasses.field(default_factory=list)  # in check mode
    removed: list[str] = dataclasses.field(default_factory=list)  # paths of archives
    failures: dict[str, str] = dataclasses.field(default_factory=dict)  # by environment
    warnings: list[str] = dataclasses.field(default_factory=list)
    error: str | None = None  # why nothing, or not everything, was done
    existing: list[str] | None = None  # the environments there are, if all were wanted

    def message(self) -> str | None:
        """Everything that went wrong, in words."""
        lines = [f"{name}: {failure}" for name, failure in sorted(self.failures.items())]
        if self.error:
            lines.append(self.error)
        return "\n".join(lines) or None


# One that is being received: of which environment; nothing to write it with if it has failed.
_Archive = t.Tuple[str, backup_files.Manifest, t.Optional[backup_files.Writer]]


class _Run:
    """One run of the worker."""

    def __init__(self, settings: Settings, check: bool) -> None:
        self.settings = settings
        self.check = check
        self.outcome = Outcome()
        self._working_on: set[str] = set()
        self._begun = 0.0
        self._wanted: t.Collection[str] | None = None  # None: all that there are
        self._receiving: _Archive | None = None

    def all(self, names: t.Sequence[str] | None) -> Outcome:
        self._wanted = names
        self._begun = time.monotonic()
        payload = {
            "directory": self.settings.directory,
            "staging": self.settings.staging_directory,
            "environments": None if names is None else sorted(set(names)),
            "check": self.check,
        }
        python, account = self.settings.python, account_of(self.settings.user)
        try:
            for event in worker_process.run(
                python, account, backup_worker, payload, timeout=self.settings.timeout
            ):
                self._take(event, names is None)
        finally:
            if self._receiving and self._receiving[2]:
                self._receiving[2].discard()
        for name in self._working_on:
            self.outcome.failures.setdefault(
                worker_process.printable(name), "the work on it was broken off"
            )
        return self.outcome

    def _take(self, event: worker_process.Event, wants_all: bool) -> None:
        kind = event["event"]
        if kind == "no_trac":
            self.outcome.error = f"{self.settings.python} cannot import Trac: {event['reason']}"
        elif kind == "failed":
            self.outcome.error = worker_process.printable(event["reason"])
        elif kind == "broken":
            self.outcome.error = worker_process.printable(
                f"The work was broken off: {event['reason']}"
            )
            if time.monotonic() - self._begun >= self.settings.timeout:
                self.outcome.error = (
                    f"Making the archives took longer than {self.settings.timeout} seconds "
                    "(timeout, trac_backup_timeout), and was ended"
                )
        elif kind == "names" and wants_all:
            self.outcome.existing = self._wanted = event["names"]
        elif kind == "begin":
            self._working_on.add(event["name"])
        elif kind == "failure":
            self._failed(event["name"], event["reason"])
        elif kind == "archive":
            name = event["name"]
            self.outcome.warnings += [
                worker_process.printable(f"{name}: {warning}")
                for warning in event.get("warnings", ())
            ]
            self._begin(name, event["manifest"])
        elif kind == "data":
            self._write(event["data"])
        elif kind == "sent":
            self._end()

    def _failed(self, name: str, reason: str) -> None:
        self._working_on.discard(name)
        self.outcome.failures[worker_process.printable(name)] = worker_process.printable(reason)

    def _begin(self, name: str, manifest: backup_files.Manifest | None) -> None:
        if self._receiving is not None:
            self._give_up("its archive was broken off")
        if manifest is None:
            self._working_on.discard(name)
            self.outcome.possible.append(name)
            return
        writer = None
        try:
            self._check(name, manifest)
            size = manifest["archive"]["size"]
            self._check_room(size)
            writer = backup_files.Writer(self.settings.backup_directory, name, size)
        except (OSError, backup_files.BackupFailure) as e:
            self._failed(name, words(e))
        self._receiving = (name, manifest, writer)

    def _check(self, name: str, manifest: backup_files.Manifest) -> None:
        """Refuse what does not fit: names and manifests come from the service account."""
        if not backup_files.is_name(name):
            raise backup_files.BackupFailure("its name cannot be a part of a file's name")
        why = backup_files.problem(manifest)
        if why is not None:
            raise backup_files.BackupFailure(f"its manifest is broken: {why}")
        if manifest["name"] != name:
            raise backup_files.BackupFailure(f"its manifest is of {manifest['name']!r}")
        # Old backups go when there are new ones.
        if name in self.outcome.made or (self._wanted is not None and name not in self._wanted):
            raise backup_files.BackupFailure("nobody has asked for this backup")

    def _check_room(self, size: int) -> None:
        directory = self.settings.backup_directory
        free = shutil.disk_usage(directory).free
        if free < size + _RESERVE:
            raise backup_files.BackupFailure(
                f"the backup has {size} bytes, and only {free} are free in {directory} "
                f"({_RESERVE} of them have to stay free)"
            )

    def _give_up(self, reason: str) -> None:
        """Throw away what has been written of an archive; what still comes of it is not."""
        name, manifest, writer = t.cast(_Archive, self._receiving)
        if writer is not None:
            writer.discard()
            self._failed(name, reason)
        self._receiving = (name, manifest, None)

    def _write(self, data: bytes) -> None:
        if self._receiving is None:
            return
        writer = self._receiving[2]
        if writer is None:
            return  # it has failed already
        try:
            writer.write(data)
        except (OSError, backup_files.BackupFailure) as e:
            self._give_up(f"the backup cannot be written: {words(e)}")

    def _end(self) -> None:
        if self._receiving is None:
            return
        name, manifest, writer = self._receiving
        self._receiving = None
        if writer is None:
            return
        try:
            backup = writer.finish(manifest, manifest["archive"]["sha256"])
        except (OSError, backup_files.BackupFailure) as e:
            self._failed(name, f"the backup cannot be written: {words(e)}")
            return
        finally:
            writer.discard()
        self._working_on.discard(name)
        self.outcome.made[name] = backup
        self.outcome.sizes[name] = manifest["archive"]["size"]


def words(error: Exception) -> str:
    """An error in words for the user."""
    if isinstance(error, OSError) and error.strerror:
        return f"{error.strerror}: {error.filename or ''}".rstrip(": ")
    return str(error)


def account_of(user: str, group: int | None = None) -> worker_process.Account:
    """The account that owns the environments."""
    try:
        entry = pwd.getpwnam(user)
    except KeyError:
        raise backup_files.BackupFailure(f"the account {user} does not exist") from None
    return worker_process.Account(user, entry.pw_uid, entry.pw_gid if group is None else group)


def _check_host(settings: Settings) -> None:
    for what, path in [
        ("Python with Trac", settings.python),
        ("directory of environments", settings.directory),
        ("directory for the copies", settings.staging_directory),
    ]:
        if not os.path.exists(path):
            raise backup_files.BackupFailure(f"there is no {what} at {path}")


def back_up(settings: Settings, names: t.Sequence[str] | None = None) -> Outcome:
    """Back up these environments, or all; never raises for what can go wrong with a backup."""
    now = time.time()
    outcome = Outcome()
    try:
        _check_host(settings)
        backup_files.check_directory(settings.backup_directory)
        with held_directory.locked(settings.backup_directory, LOCK_TIMEOUT):
            backup_files.remove_partial(settings.backup_directory)
            outcome = _Run(settings, check=False).all(names)
            outcome.removed = _rotate(settings, outcome.made)
            if outcome.made:
                _push(settings, outcome)
    except (
        OSError,
        backup_files.BackupFailure,
        worker_process.WorkerError,
        held_directory.Busy,
    ) as e:
        outcome.error = words(e)
    if outcome.error and names:
        for name in names:
            if name not in outcome.made:
                outcome.failures.setdefault(name, outcome.error)
    _note(settings, outcome, now)
    return outcome


def _push(settings: Settings, outcome: Outcome) -> None:
    """Copy the backups to other places; the new ones are good also if that fails."""
    try:
        backup_push.push(
            settings.backup_directory,
            settings.target,
            settings.keep_days,
            settings.keep_last,
            settings.timeout,
        )
    except backup_push.PushFailure as e:
        outcome.error = f"{outcome.error}; {e}" if outcome.error else str(e)


def _note(settings: Settings, outcome: Outcome, now: float) -> None:
    """Write down how it went."""
    made, failures = outcome.made, outcome.failures
    try:
        backup_status.update(
            settings.status_file, now, made, failures, outcome.existing, outcome.error
        )
    except OSError as e:
        what = f"{settings.status_file} cannot be written: {words(e)}"
        outcome.error = f"{outcome.error}; {what}" if outcome.error else what


def predict(settings: Settings, names: t.Sequence[str] | None = None) -> Outcome:
    """Find out which environments could be backed up; changes nothing."""
    _check_host(settings)
    if os.path.lexists(settings.backup_directory):  # it may be made in the same run
        backup_files.check_directory(settings.backup_directory)
    return _Run(settings, check=True).all(names)


def _rotate(settings: Settings, made: t.Mapping[str, backup_files.Backup]) -> list[str]:
    """Remove what has become old, of environments that have a new backup only."""
    removed = []
    backups = backup_files.complete(settings.backup_directory)
    for name in made:
        for backup in backup_files.superfluous(
            backups, name, settings.keep_days, settings.keep_last, time.time()
        ):
            backup_files.remove(backup)
            removed.append(backup.path)
    return removed
