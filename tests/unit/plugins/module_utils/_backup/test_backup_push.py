# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Copies of backups in other places, which may not answer."""

from __future__ import annotations

import os
import pathlib

import pytest

from ansible_collections.trac.mod_wsgi.plugins.module_utils._backup import push as backup_push
from ansible_collections.trac.mod_wsgi.plugins.module_utils._backup import run as backup_run


def test_a_tool_that_does_not_end_is_ended_with_all_that_it_started(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also when it does not listen; the next one has its turn."""
    for name, text in {
        "rsync": "trap '' TERM; sleep 600 & echo $! >started; echo $$ >>started; wait; wait",
        "restic": "echo $1 >>commands",
    }.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{text}\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setattr(backup_push, "_GRACE", 0.5)
    target = backup_push.Target("there:", "/repository", "/password")
    settings = backup_run.Settings(
        "/environments", "/python", "trac", str(tmp_path), "/staging", 30, 7, "/status", 3, target
    )
    outcome = backup_run.Outcome()
    backup_run._push(settings, outcome)
    assert outcome.error == (
        "rsync was still at work after 3 seconds (timeout, trac_backup_timeout), and was ended"
    )
    numbers = (tmp_path / "started").read_text().split()
    assert len(numbers) == 2
    assert [number for number in numbers if not ended(number)] == []
    commands = (tmp_path / "commands").read_text().split()
    assert commands == ["cat", "backup", "unlock", "forget"]


def ended(number: str) -> bool:
    """Whether a process is no more, or nothing but an entry that nobody has asked for."""
    try:
        status = pathlib.Path(f"/proc/{number}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return True
    return status.rpartition(")")[2].split()[0] in "ZX"


def test_what_stays_in_the_background_is_not_waited_for(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the master connection of ssh does, in a session of its own, with an open pipe."""
    rsync = tmp_path / "rsync"
    rsync.write_text("#!/bin/sh\nsetsid sleep 600 & echo $! >background; exit 0\n")
    rsync.chmod(0o755)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    try:
        backup_push.push(str(tmp_path), backup_push.Target("there:"), 30, 7, 60)
    finally:
        os.kill(int((tmp_path / "background").read_text()), 9)
