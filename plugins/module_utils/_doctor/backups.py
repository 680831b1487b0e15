# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The check of backups, by the status file that role trac_backup writes."""

from __future__ import annotations

import json
import os
import time
import typing as t

from ansible_collections.trac.mod_wsgi.plugins.module_utils._doctor import system as doctor_system
from ansible_collections.trac.mod_wsgi.plugins.module_utils._doctor.host import Host
from ansible_collections.trac.mod_wsgi.plugins.module_utils._doctor.registry import (
    HOST,
    WORKER,
    check,
)
from ansible_collections.trac.mod_wsgi.plugins.module_utils._doctor.result import (
    FAILED,
    OK,
    SKIPPED,
    WARNING,
    Result,
)

_HOUR = 3600


@check("backup", "There are recent backups", HOST, (WORKER,))
def backup(host: Host) -> t.Iterator[Result]:
    path = host.params["backup_status"]
    text = doctor_system.text_of(path) if os.path.exists(path) else None
    hours = host.params["backup_hours"]
    return check_backups(text, path, host.existing_environments(), hours)


def check_backups(
    text: str | None,
    path: str,
    environments: t.Sequence[str],
    hours: int,
    now: float | None = None,
    exists: t.Callable[[str], bool] = os.path.lexists,
) -> t.Iterator[Result]:
    """Compare the status file with the environments that should have backups."""
    name = "backup"
    now = time.time() if now is None else now
    if not environments:
        yield Result(name, SKIPPED, "There is no environment to back up.")
        return
    if text is None:
        yield Result(
            name,
            WARNING,
            f"No backups: there is no {path}.",
            "What is lost on this host is lost for good, unless something else copies it.",
            "Set up trac_backup, or see that whatever else backs up this host takes hot copies.",
        )
        return
    try:
        document = json.loads(text)
        done = {str(key): dict(value) for key, value in document["environments"].items()}
    except (ValueError, KeyError, TypeError, AttributeError) as e:
        yield Result(
            name,
            FAILED,
            f"{path} cannot be read: {type(e).__name__}: {e}",
            "Whether there are backups is not known.",
            "Run a backup, which writes it anew, and look again.",
        )
        return
    if document.get("last_error"):
        yield Result(
            name,
            FAILED,
            f"The last run of the backups says: {document['last_error']}",
            "There may be no copy outside of this host, or none at all.",
            "Set right what is named, then run one: ansible-playbook playbooks/backup.yml",
        )
    for environment in environments:
        yield _judge_backup(environment, done.get(environment), hours, now, exists)


def _judge_backup(
    environment: str,
    done: t.Mapping[str, t.Any] | None,
    hours: int,
    now: float,
    exists: t.Callable[[str], bool],
) -> Result:
    name, subject = "backup", f"environment {environment}"
    means = "What has been written since the last good backup is lost with this host."
    advice = (
        "Run one and see why it fails: ansible-playbook playbooks/backup.yml, or on the host the "
        "unit of the timer (systemctl list-timers, journalctl -u)."
    )
    if done is None:
        return Result(
            name, WARNING, f"{environment} has not been backed up yet.", means, advice, subject
        )
    last, error, file = done.get("last_success"), done.get("last_error"), done.get("file")
    age = (now - float(last)) / _HOUR if last is not None else None
    if age is None:
        seen = f"{environment} has never been backed up with success"
        seen += f"; the last attempt: {error}" if error else ""
    elif age > hours:
        seen = f"The last good backup of {environment} is {age:.0f} hours old (wanted: {hours})"
        seen += f"; the last attempt: {error}" if error else ""
    elif error:
        seen = f"The last backup of {environment} failed: {error}"
    elif file and not exists(str(file)):
        seen = f"The last backup of {environment}, {file}, is not there any more"
    else:
        return Result(
            name, OK, f"{environment}: {age:.0f} hours ago", subject=f"environment {environment}"
        )
    return Result(name, FAILED, seen + ".", means, advice, subject)
