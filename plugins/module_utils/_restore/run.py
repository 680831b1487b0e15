# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Restore environments of a host: what root does.

Root reads the archives, which are closed to the service account, and finds out whether they are
what their checksums say. The account gets each as an open file, to be read and nothing else, and
does the rest.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import typing as t

from ansible_collections.trac.mod_wsgi.plugins.module_utils._backup import backup_files
from ansible_collections.trac.mod_wsgi.plugins.module_utils._backup import run as backup_run
from ansible_collections.trac.mod_wsgi.plugins.module_utils._core import worker_process
from ansible_collections.trac.mod_wsgi.plugins.module_utils._restore import worker as restore_worker
from ansible_collections.trac.mod_wsgi.plugins.module_utils._trac import environment_spec

_AT_ONCE = 100  # open files


@dataclasses.dataclass
class Wanted:
    """An environment to restore."""

    name: str
    file: str | None = None  # the archive; the newest in the backup directory otherwise
    database: str | None = None
    new_database: str | None = None  # if the backup's kind of database fits

    def uri(self, kind: str, move: bool) -> str | None:
        """The connection string to use for a backup of this kind; None: that in the backup."""
        if self.database or not self.new_database:
            return self.database
        scheme = self.new_database.partition(":")[0]
        fits = kind == scheme or (kind == "sqlite" and move)
        return self.new_database if fits else None


@dataclasses.dataclass
class Settings:
    """How environments are restored."""

    directory: str
    python: str
    account: worker_process.Account | None  # which may be missing in check mode
    backup_directory: str
    archive_directory: str | None
    overwrite: bool
    move: bool
    mend: bool
    check: bool

    @property
    def is_ready(self) -> bool:
        """Whether there is a Trac; check mode may run before it is installed."""
        return self.account is not None and os.path.exists(self.python)


@dataclasses.dataclass
class Outcome:
    """What was done, or would be."""

    reports: list[environment_spec.Report] = dataclasses.field(default_factory=list)
    files: dict[str, str] = dataclasses.field(default_factory=dict)
    manifests: dict[str, backup_files.Manifest] = dataclasses.field(default_factory=dict)
    error: str | None = None

    def message(self) -> str | None:
        """Everything that went wrong, in words."""
        lines = [f"{each.name}: {each.failure}" for each in self.reports if each.failure]
        if self.error:
            lines.append(self.error)
        return "\n".join(lines) or None


def newest_of_all(backup_directory: str) -> list[Wanted]:
    """Every environment that there is a backup of."""
    names = sorted({backup.name for backup in backup_files.complete(backup_directory)})
    return [Wanted(name) for name in names]


def restore(settings: Settings, wanted: t.Sequence[Wanted]) -> Outcome:
    """Restore environments, or predict it."""
    outcome = Outcome()
    for begin in range(0, len(wanted), _AT_ONCE):
        with contextlib.ExitStack() as stack:
            items = []
            for each in wanted[begin : begin + _AT_ONCE]:
                try:
                    items.append(_opened(settings, each, stack, outcome))
                except (OSError, backup_files.BackupFailure) as e:
                    report = environment_spec.Report(each.name)
                    report.failure = backup_run.words(e)
                    outcome.reports.append(report)
            if items and settings.is_ready:
                _work(settings, items, outcome)
            elif items:
                outcome.reports += [_predicted(item[0]) for item in items]
        if outcome.error:
            break
    order = {each.name: number for number, each in enumerate(wanted)}
    outcome.reports.sort(key=lambda report: order.get(report.name, len(order)))
    return outcome


def _opened(
    settings: Settings, each: Wanted, stack: contextlib.ExitStack, outcome: Outcome
) -> list[t.Any]:
    """What the worker needs to know of an environment, with its archive open."""
    if not backup_files.is_name(each.name):
        raise backup_files.BackupFailure("this is no name of an environment")
    path = each.file or backup_files.newest(settings.backup_directory, each.name).path
    if not path.endswith(backup_files.ARCHIVE):
        raise backup_files.BackupFailure(
            f"{path} is no backup, whose name ends with {backup_files.ARCHIVE}"
        )
    file, manifest = backup_files.opened(path)
    stack.enter_context(file)
    os.lseek(file.fileno(), 0, os.SEEK_SET)  # past what Python has read ahead
    outcome.files[each.name], outcome.manifests[each.name] = path, manifest
    uri = each.uri(manifest["database"]["kind"], settings.move)
    return [each.name, file.fileno(), manifest, uri]


def _predicted(name: str) -> environment_spec.Report:
    """What can be known without Trac."""
    report = environment_spec.Report(name)
    report.change("restore the environment", [], ["environment from the backup"])
    return report


def _work(settings: Settings, items: list[list[t.Any]], outcome: Outcome) -> None:
    payload = {
        "directory": settings.directory,
        "archive": settings.archive_directory,
        "overwrite": settings.overwrite,
        "mend": settings.mend,
        "check": settings.check,
        "items": items,
    }
    files = [item[1] for item in items]
    done = set()
    account = t.cast(worker_process.Account, settings.account)
    for event in worker_process.run(
        settings.python, account, restore_worker, payload, pass_fds=files
    ):
        if event["event"] == "no_trac":
            outcome.error = f"{settings.python} cannot import Trac: {event['reason']}"
        elif event["event"] == "failed":
            outcome.error = event["reason"]
        elif event["event"] == "broken":
            outcome.error = f"The work was broken off: {event['reason']}"
        elif event["event"] == "report":
            report = environment_spec.Report.from_json(event["report"])
            done.add(report.name)
            outcome.reports.append(report)
    if outcome.error is None:
        for item in items:
            if item[0] not in done:
                outcome.error = f"Nothing is known of {item[0]}"
