# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The program that makes backups on a schedule, and what copies them to other places."""

from __future__ import annotations

import json
import os
import pathlib
import subprocess
import sys
import typing as t

import pytest
from ansible.module_utils.testing import patch_module_args

from ansible_collections.trac.mod_wsgi.plugins.modules import trac_backup_program
from ansible_collections.trac.mod_wsgi.tests.unit.plugins.modules.backed_up import (
    BackupHost,
    station,
)
from ansible_collections.trac.mod_wsgi.tests.unit.plugins.modules.reconciled import USER, Document

__all__ = ["station"]


def install(
    path: pathlib.Path, capsys: pytest.CaptureFixture[str], check: bool = False
) -> Document:
    arguments = {"path": str(path), "_ansible_check_mode": check, "_ansible_diff": True}
    with patch_module_args(arguments), pytest.raises(SystemExit):
        trac_backup_program.main()
    return t.cast("Document", json.loads(capsys.readouterr().out))


def run(
    program: str, config: pathlib.Path, *names: str, path: str = "/usr/bin:/bin"
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [program, f"--config={config}", *names],
        env={"PATH": path, "LC_ALL": "C.UTF-8", "PYTHONPATH": "/nonexistent"},
        capture_output=True,
        text=True,
        check=False,
    )


def configured(station: BackupHost, **more: t.Any) -> pathlib.Path:
    config = station.directory.parent / "backup.json"
    settings = {
        "directory": str(station.directory),
        "python": sys.executable,
        "user": USER,
        "backup_directory": str(station.backups),
        "keep_days": 30,
        "keep_last": 7,
        **station.backup_arguments(),
        **more,
    }
    config.write_text(json.dumps(settings))
    return config


def tool(directory: pathlib.Path, name: str, text: str) -> str:
    """A stand-in for a tool; returns the path to search."""
    directory.mkdir(exist_ok=True)
    (directory / name).write_text(f"#!/bin/sh\n{text}\n")
    (directory / name).chmod(0o755)
    return f"{directory}:/usr/bin:/bin"


def test_the_program_works_without_ansible(
    station: BackupHost, tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place = tmp_path / "program"
    predicted = install(place, capsys, check=True)
    assert not place.exists()
    result = install(place, capsys)
    assert (result["changed"], result["files"]) == (True, predicted["files"])
    again = install(place, capsys)
    assert (again["changed"], again["files"]) == (False, [])
    done = run(result["program"], configured(station))
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"project: {station.backups}/project-")
    assert len(station.files()) == 3
    assert not list(place.rglob("__pycache__"))
    done = run(result["program"], configured(station), "missing")
    assert done.returncode == 1
    assert done.stderr.startswith("missing: ")
    assert run(result["program"], tmp_path / "missing.json").returncode == 2
    # Changes are found and undone, and nothing else is left.
    (place / "trac-backup").chmod(0o777)
    (place / "ansible_collections" / "old.py").write_text("")
    names = ["ansible_collections/old.py", "trac-backup"]
    assert install(place, capsys)["files"] == [str(place / name) for name in names]
    assert (place / "trac-backup").stat().st_mode & 0o777 == 0o755
    assert not (place / "ansible_collections" / "old.py").exists()


def test_backups_go_to_another_place(
    station: BackupHost, tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    program = install(tmp_path / "program", capsys)["program"]
    log = tmp_path / "log"
    tools = tmp_path / "tools"
    tool(tools, "rsync", f'echo "rsync $@" >>{log}')
    text = f'echo "restic $@ $RESTIC_REPOSITORY $RESTIC_PASSWORD_FILE" >>{log}; test "$1" != cat'
    path = tool(tools, "restic", text)
    target = {
        "rsync_target": "there:backups/",
        "restic_repository": "/repository",
        "restic_password_file": "/password",
    }
    done = run(program, configured(station, **target), path=path)
    assert (done.returncode, done.stderr) == (0, "")
    lines = log.read_text().splitlines()
    assert lines[0] == f"rsync --archive --exclude=.*.partial -- {station.backups}/ there:backups/"
    commands = [line.split()[1] for line in lines[1:]]
    assert commands == ["cat", "init", "backup", "unlock", "forget"]
    assert all(line.endswith(" /repository /password") for line in lines[1:])
    assert "--keep-last=7 --keep-within=30d" in lines[-1]


def test_ssh_asks_nobody(
    station: BackupHost, tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A session of its own has no terminal, whatever the program was started from."""
    program = install(tmp_path / "program", capsys)["program"]
    session = 'test "$(cut -d " " -f 6 /proc/$$/stat)" = $$ || exit 3'
    ssh = 'case "$RSYNC_RSH" in ssh*BatchMode=yes*ConnectTimeout*) ;; *) exit 4 ;; esac'
    path = tool(tmp_path / "tools", "rsync", f"{session}; {ssh}")
    path = tool(tmp_path / "tools", "restic", session)
    target = {
        "rsync_target": "there:",
        "restic_repository": "/repository",
        "restic_password_file": "/password",
    }
    done = run(program, configured(station, **target), path=path)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    ("text", "why"),
    [("echo the host is away >&2; exit 12", "status 12: the host is away"), (None, "is no rsync")],
)
def test_another_place_that_fails_is_told(
    station: BackupHost,
    tmp_path: pathlib.Path,
    capsys: pytest.CaptureFixture[str],
    text: str | None,
    why: str,
) -> None:
    program = install(tmp_path / "program", capsys)["program"]
    path = tool(tmp_path / "tools", "rsync" if text else "other", text or "")
    if text is None:
        path = path.partition(":")[0]  # nothing else is there
    done = run(program, configured(station, rsync_target="there:"), path=path)
    assert done.returncode == 1
    assert why in done.stderr
    status = station.status()
    assert why in status["last_error"]
    assert status["environments"]["project"]["last_error"] is None
    assert os.path.exists(status["environments"]["project"]["file"])


def test_making_the_archives_ends_in_time(
    station: BackupHost, tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    program = install(tmp_path / "program", capsys)["program"]
    python = tool(tmp_path / "tools", "python", "exec sleep 600").partition(":")[0] + "/python"
    done = run(program, configured(station, timeout=1, python=python))
    assert done.returncode == 1
    assert "Making the archives took longer than 1 seconds" in done.stderr


def test_a_password_in_the_address_of_a_repository_is_not_shown(
    station: BackupHost, tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    program = install(tmp_path / "program", capsys)["program"]
    text = 'echo "no answer from $RESTIC_REPOSITORY, pass-word refused" >&2; exit 1'
    path = tool(tmp_path / "tools", "restic", text)
    target = {
        "restic_repository": "rest:https://anna:pass-word@example.com/",
        "restic_password_file": "/password",
    }
    done = run(program, configured(station, **target), path=path)
    assert "no answer from rest:https://anna:********@example.com/" in done.stderr
    assert "pass-word" not in done.stderr
    assert "pass-word" not in station.status_file.read_text()
