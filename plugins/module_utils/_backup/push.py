# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Copy the backups of a host to another place.

With rsync nothing is ever removed there. Restic keeps as long as the host does, by the same rule.

Whoever does not answer is given up: the lock of the backups is held meanwhile.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import signal
import subprocess
import tempfile
import time
import typing as t

from ansible_collections.trac.mod_wsgi.plugins.module_utils._core import secrets

_LINES_SHOWN = 5
# Of ssh, for rsync: to give up where nobody answers.
_SSH = "ssh -o BatchMode=yes -o ConnectTimeout=30 -o ServerAliveInterval=30"
_TAG = "trac-mod-wsgi"
_GRACE = 10.0  # seconds to end in an orderly way


class PushFailure(Exception):
    """Why the backups are not in the other place."""


@dataclasses.dataclass
class Target:
    """Other places, any of which may be left out."""

    rsync_target: str | None = None
    restic_repository: str | None = None
    restic_password_file: str | None = None


class _Tool:
    """Runs one of the tools, all of whose commands have to end within a time."""

    def __init__(self, name: str, variables: t.Mapping[str, str], seconds: float) -> None:
        self.name = name
        self.variables = variables
        self.seconds = seconds
        self._end = time.monotonic() + seconds
        self._redactor = secrets.Redactor()
        for value in variables.values():
            self._redactor.learn("repository", value)

    def run(self, *arguments: str) -> None:
        """Run a command, which has to succeed."""
        status, said = self.try_(*arguments)
        if status != 0:
            words = "; ".join(said.splitlines()[-_LINES_SHOWN:])
            raise PushFailure(f"{self.name} failed with status {status}: {words}")

    def try_(self, *arguments: str) -> tuple[int, str]:
        """Run a command; its exit status and what it says of errors."""
        # Not a pipe, which somebody who is left behind in the background would keep open.
        with tempfile.TemporaryFile() as errors:
            try:
                process = subprocess.Popen(
                    [self.name, *arguments],
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=errors,
                    env={**os.environ, **self.variables},
                    # Without a terminal that ssh could ask somebody on who is not there, and so
                    # that all of it can be ended.
                    start_new_session=True,
                )
            except FileNotFoundError:
                raise PushFailure(f"there is no {self.name} on this host") from None
            try:
                process.wait(max(0.0, self._end - time.monotonic()))
            except BaseException as e:
                _end(process)
                if not isinstance(e, subprocess.TimeoutExpired):
                    raise
                raise PushFailure(
                    f"{self.name} was still at work after {self.seconds:g} seconds (timeout, "
                    "trac_backup_timeout), and was ended"
                ) from None
            errors.seek(0)
            said = errors.read().decode("utf-8", "replace").strip()
        return process.returncode, self._redactor.redact(said)


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a process with all that it has started; restic removes its lock if it has the time."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
        end = time.monotonic() + _GRACE
        # Not waited for yet, so that its number stays that of the group.
        ended = os.WEXITED | os.WNOWAIT | os.WNOHANG
        while os.waitid(os.P_PID, process.pid, ended) is None and time.monotonic() < end:
            time.sleep(0.1)
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def push(directory: str, target: Target, keep_days: int, keep_last: int, seconds: float) -> None:
    """Copy all backups to each of the other places; fails at the end if one of them failed.

    :param seconds: how long each of them may take
    """
    failures = []
    if target.rsync_target:
        try:
            _rsync(directory, target.rsync_target, seconds)
        except PushFailure as e:
            failures.append(str(e))
    if target.restic_repository:
        try:
            _restic(directory, target, keep_days, keep_last, seconds)
        except PushFailure as e:
            failures.append(str(e))
    if failures:
        raise PushFailure("; ".join(failures))


def _rsync(directory: str, target: str, seconds: float) -> None:
    source = os.path.join(directory, "")
    rsync = _Tool("rsync", {"RSYNC_RSH": os.environ.get("RSYNC_RSH", _SSH)}, seconds)
    rsync.run("--archive", "--exclude=.*.partial", "--", source, target)


def _restic(directory: str, target: Target, keep_days: int, keep_last: int, seconds: float) -> None:
    variables = {
        "RESTIC_REPOSITORY": str(target.restic_repository),
        "RESTIC_PASSWORD_FILE": str(target.restic_password_file),
        "HOME": "/root",
        "XDG_CACHE_HOME": "/var/cache",
    }
    restic = _Tool("restic", variables, seconds)
    if restic.try_("cat", "config")[0] != 0:
        restic.run("init")
    # The files are compressed already, and never change.
    restic.run("backup", "--quiet", f"--tag={_TAG}", "--exclude=.*.partial", directory)
    restic.run("unlock", "--quiet")  # which removes the locks of dead processes only
    forget = ["forget", "--quiet", "--prune", f"--tag={_TAG}", "--group-by=host,tags"]
    keep = [f"--keep-last={max(1, keep_last)}"]
    if keep_days > 0:
        keep.append(f"--keep-within={keep_days}d")
    restic.run(*forget, *keep)
