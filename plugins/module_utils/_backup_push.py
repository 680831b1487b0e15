# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Copy the backups of a host to another place.

With rsync nothing is ever removed there. Restic keeps as long as the host does, by the same rule.
"""

from __future__ import annotations

import dataclasses
import os
import subprocess
import typing as t

_LINES_SHOWN = 5
# Of ssh, for rsync: to give up where nobody answers.
_SSH = "ssh -o BatchMode=yes -o ConnectTimeout=30 -o ServerAliveInterval=30"
_TAG = "trac-mod-wsgi"


class PushFailure(Exception):
    """Why the backups are not in the other place."""


@dataclasses.dataclass
class Target:
    """Other places, any of which may be left out."""

    rsync_target: str | None = None
    restic_repository: str | None = None
    restic_password_file: str | None = None


def push(directory: str, target: Target, keep_days: int, keep_last: int) -> None:
    """Copy all backups to each of the other places; fails at the end if one of them failed."""
    failures = []
    if target.rsync_target:
        try:
            _rsync(directory, target.rsync_target)
        except PushFailure as e:
            failures.append(str(e))
    if target.restic_repository:
        try:
            _restic(directory, target, keep_days, keep_last)
        except PushFailure as e:
            failures.append(str(e))
    if failures:
        raise PushFailure("; ".join(failures))


def _rsync(directory: str, target: str) -> None:
    source = os.path.join(directory, "")
    _run(
        ["rsync", "--archive", "--exclude=.*.partial", "--", source, target],
        {"RSYNC_RSH": os.environ.get("RSYNC_RSH", _SSH)},
    )


def _restic(directory: str, target: Target, keep_days: int, keep_last: int) -> None:
    variables = {
        "RESTIC_REPOSITORY": str(target.restic_repository),
        "RESTIC_PASSWORD_FILE": str(target.restic_password_file),
        "HOME": "/root",
        "XDG_CACHE_HOME": "/var/cache",
    }
    if _status(["restic", "cat", "config"], variables) != 0:
        _run(["restic", "init"], variables)
    # The files are compressed already, and never change.
    _run(
        ["restic", "backup", "--quiet", f"--tag={_TAG}", "--exclude=.*.partial", directory],
        variables,
    )
    forget = ["restic", "forget", "--quiet", "--prune", f"--tag={_TAG}", "--group-by=host,tags"]
    keep = [f"--keep-last={max(1, keep_last)}"]
    if keep_days > 0:
        keep.append(f"--keep-within={keep_days}d")
    _run([*forget, *keep], variables)


def _status(command: t.Sequence[str], variables: t.Mapping[str, str]) -> int:
    try:
        return subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            env={**os.environ, **variables},
            start_new_session=True,
            check=False,
        ).returncode
    except FileNotFoundError:
        return 1


def _run(command: t.Sequence[str], variables: t.Mapping[str, str] | None = None) -> None:
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            env={**os.environ, **(variables or {})},
            # Without a terminal that ssh could ask somebody on who is not there.
            start_new_session=True,
            check=False,
        )
    except FileNotFoundError:
        raise PushFailure(f"there is no {command[0]} on this host") from None
    if done.returncode != 0:
        lines = done.stderr.decode("utf-8", "replace").strip().splitlines()
        said = "; ".join(lines[-_LINES_SHOWN:])
        raise PushFailure(f"{command[0]} failed with status {done.returncode}: {said}")
