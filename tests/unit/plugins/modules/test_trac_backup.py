# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Backups of environments."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import pathlib
import resource
import shutil
import subprocess
import sys
import tarfile
import time
import typing as t

import pytest

from ansible_collections.trac.mod_wsgi.plugins.module_utils._backup import backup_files
from ansible_collections.trac.mod_wsgi.plugins.module_utils._backup import run as backup_run
from ansible_collections.trac.mod_wsgi.plugins.module_utils._backup import worker as backup_worker
from ansible_collections.trac.mod_wsgi.plugins.module_utils._core import worker_process
from ansible_collections.trac.mod_wsgi.tests.unit.plugins.modules.backed_up import (
    PHOTO,
    BackupHost,
    dump,
    station,
)
from ansible_collections.trac.mod_wsgi.tests.unit.plugins.modules.reconciled import USER, Host

__all__ = ["station"]


def old(station: BackupHost, *ages: int, name: str = "project") -> list[str]:
    """Backups of so many days ago."""
    made = []
    for age in ages:
        stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(time.time() - age * 86400 - 60))
        for ending in (".json", ".sha256", ".tar.gz"):
            (station.backups / f"{name}-{stamp}{ending}").write_bytes(b"old")
            made.append(f"{name}-{stamp}{ending}")
    return made


def test_a_backup_holds_everything(station: BackupHost) -> None:
    predicted = station.back_up(check=True)
    assert predicted["backups"] == [{"name": "project"}]
    assert station.files() == []
    assert not station.status_file.exists()
    result = station.back_up()
    (backup,) = result["backups"]
    path = pathlib.Path(backup["file"])
    assert path.parent == station.backups
    assert backup["size"] == path.stat().st_size
    assert {each.suffix for each in station.backups.iterdir()} == {".gz", ".json", ".sha256"}
    for each in station.backups.iterdir():
        assert each.stat().st_mode & 0o777 == 0o600
    assert os.listdir(station.staging) == []
    with tarfile.open(path) as tar:
        names = tar.getnames()
        tar.extract("project/db/trac.db", station.directory.parent / "out")
    environment = station.directory / "project"
    expected = {
        str(each.relative_to(station.directory))
        for each in environment.rglob("*")
        if not each.is_fifo()
    }
    assert set(names) == expected | {"project"}
    copy = station.directory.parent / "out" / "project" / "db" / "trac.db"
    assert dump(copy) == dump(environment / "db" / "trac.db")
    manifest = json.loads(path.with_name(path.name.replace(".tar.gz", ".json")).read_text())
    assert manifest["rows"]["ticket"] == 1
    assert manifest["rows"]["attachment"] == 1
    assert manifest["attachments"] == {"files": 1, "bytes": len(PHOTO)}
    assert manifest["database"].pop("left_out") == []
    assert manifest["database"] == {"kind": "sqlite", "file": "db/trac.db", "schema": None}
    assert manifest["trac"].startswith("1.")


def test_the_status_file_tells_a_monitoring(station: BackupHost) -> None:
    before = int(time.time())
    result = station.back_up()
    status = station.status()
    entry = status["environments"]["project"]
    assert before <= entry["last_success"] <= time.time()
    assert entry["file"] == result["backups"][0]["file"]
    assert entry["last_error"] is status["last_error"] is None
    (station.directory / "project" / "conf" / "trac.ini").write_text("[trac\n")
    assert station.back_up()["failed"]
    later = station.status()["environments"]["project"]
    assert "trac.ini" in later["last_error"]
    assert later["last_success"] == entry["last_success"]
    shutil.rmtree(station.directory / "project")
    station.back_up()
    assert station.status()["environments"] == {}


def test_all_environments_are_backed_up_and_one_that_fails_stops_no_other(
    station: BackupHost,
) -> None:
    shutil.copytree(
        station.directory / "project",
        station.directory / "Old.Project",
        symlinks=True,
        ignore=lambda *_: ["pipe"],
    )
    shutil.copytree(station.directory / "Old.Project", station.directory / "broken", symlinks=True)
    (station.directory / "broken" / "db" / "trac.db").write_bytes(b"no database at all" * 1000)
    (station.directory / "no-environment").mkdir()
    (station.directory / ".hidden").mkdir()
    (station.directory / ".hidden" / "VERSION").write_text("Trac")
    result = station.back_up()
    assert [backup["name"] for backup in result["backups"]] == ["Old.Project", "project"]
    assert list(result["failures"]) == ["broken"]
    assert result["msg"].startswith("broken: ")
    assert "not a database" in result["msg"]
    assert len(station.files()) == 6
    assert os.listdir(station.staging) == []


def test_what_is_no_environment_is_named(station: BackupHost) -> None:
    names = ["../project", ".hidden", "a/b", "missing"]
    result = station.back_up(*names)
    assert sorted(result["failures"]) == names
    assert station.files() == []
    assert station.back_up(*names, check=True)["msg"] == result["msg"]


def test_old_backups_go_after_a_new_one(station: BackupHost) -> None:
    kept = old(station, 1, 5)
    gone = old(station, 40, 50)
    others = old(station, 90, name="another")
    result = station.back_up(keep_days=30, keep_last=2)
    assert len(result["removed"]) == 2
    names = station.files()
    assert set(kept + others) <= set(names)
    assert not set(gone) & set(names)
    assert len(names) == 3 + len(kept) + len(others)


def test_old_backups_stay_when_there_is_no_new_one(station: BackupHost) -> None:
    kept = old(station, 40, 50)
    (station.directory / "project" / "db" / "trac.db").write_bytes(b"no database at all" * 1000)
    assert station.back_up(keep_days=1, keep_last=1)["failed"]
    assert station.files() == sorted(kept)


@pytest.mark.parametrize("arguments", [{"keep_last": 0}, {"keep_days": -1}])
def test_bad_numbers_are_refused(station: BackupHost, arguments: dict[str, t.Any]) -> None:
    assert "keep_days" in station.back_up(**arguments)["msg"]
    assert station.files() == []


def test_what_is_missing_on_the_host_is_named(station: BackupHost) -> None:
    for argument in ("directory", "python", "staging_directory", "backup_directory"):
        missing: dict[str, t.Any] = {argument: "/nonexistent"}
        result = station.back_up(**missing)
        assert "/nonexistent" in result["msg"]
        assert station.status()["last_error"]
    station.backups.chmod(0o755)
    assert "closed to others" in station.back_up()["msg"]
    # In check mode on a fresh host there is nothing that could be wrong yet.
    assert "failed" not in station.back_up(python="/nonexistent", check=True)


def test_a_broken_trac_is_named(station: BackupHost, tmp_path: pathlib.Path) -> None:
    python = tmp_path / "python"
    python.write_text(f'#!/bin/sh\nshift\nexec {sys.executable} -S -I "$@"\n')
    python.chmod(0o755)
    result = station.back_up("project", python=str(python))
    assert "cannot import Trac" in result["msg"]
    assert "cannot import Trac" in station.status()["environments"]["project"]["last_error"]


def test_passwords_are_not_shown(station: BackupHost) -> None:
    ini = station.directory / "project" / "conf" / "trac.ini"
    url = "postgres://trac:correct%40horse@127.0.0.1:1/trac"
    ini.write_text(ini.read_text().replace("sqlite:db/trac.db", url))
    result = station.back_up()
    assert result["failed"]
    for secret in ("correct%40horse", "correct@horse"):
        assert secret not in station.output
        assert secret not in station.status_file.read_text()


def test_a_password_in_a_repository_is_not_shown_or_logged(
    bare: BackupHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ansible.module_utils import basic

    messages: list[str] = []
    monkeypatch.setattr(basic, "has_journal", False)
    monkeypatch.setattr(basic.syslog, "syslog", lambda _priority, message: messages.append(message))
    say_instead(monkeypatch, sent("project", DATA, manifest_of("project", DATA)) + END)
    monkeypatch.setenv("PATH", "/nonexistent")  # there is no restic
    for check in (True, False):
        bare.back_up(
            check=check,
            restic_repository="rest:https://anna:p4s:w@rd@example.com/",
            restic_password_file="/password",
        )
        assert "rest:https://anna:********@example.com/" in bare.output
        for secret in ("p4s:w", "w@rd"):
            assert secret not in bare.output
            assert secret not in "".join(messages)
            assert not bare.status_file.exists() or secret not in bare.status_file.read_text()
    assert messages


def test_a_full_disk_leaves_nothing_behind(station: BackupHost) -> None:
    kept = old(station, 3)
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    station.status_file.parent.mkdir()
    (station.directory / "project" / "files" / "large").write_bytes(os.urandom(3_000_000))
    # The kernel refuses to let this process, and its children, write files that are longer.
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_500_000, limit[1]))
    try:
        result = station.back_up()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
    assert "File too large" in result["failures"]["project"]
    assert station.files() == sorted(kept)
    assert os.listdir(station.staging) == []


def test_the_room_is_looked_at_before(station: BackupHost, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = shutil.disk_usage(station.backups)
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: usage._replace(free=999))
    result = station.back_up()
    assert "only 999 are free" in result["failures"]["project"]
    assert station.files() == []
    payload = {"directory": str(station.directory), "check": False}
    run = backup_worker._Backup(payload, str(station.staging))
    assert "are free there" in run.back_up("project")["failure"]


def test_what_changes_the_archive_on_its_way_is_noticed(
    station: BackupHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = backup_files.Writer.write
    monkeypatch.setattr(
        backup_files.Writer, "write", lambda self, data: write(self, data[:-1] + b"x")
    )
    assert "not what was sent" in station.back_up()["failures"]["project"]
    assert station.files() == []


def manifest_of(
    name: str, data: bytes, changes: dict[str, t.Any] | None = None
) -> dict[str, t.Any]:
    manifest: dict[str, t.Any] = {
        "format": 1,
        "name": name,
        "trac": "1.6",
        "database_version": "45",
        "database": {"kind": "sqlite", "file": "db/trac.db", "schema": None},
        "rows": {"ticket": 1},
        "attachments": {"files": 0, "bytes": 0},
        "files": 1,
        "bytes": 1,
        "archive": {"size": len(data), "sha256": hashlib.sha256(data).hexdigest()},
    }
    manifest.update(changes or {})
    return {key: value for key, value in manifest.items() if value != "missing"}


def sent(name: str, data: bytes, manifest: object) -> bytes:
    """What a worker sends with a backup."""
    events: list[dict[str, t.Any]] = [{"event": "begin", "name": name}]
    events += [{"event": "archive", "name": name, "manifest": manifest}]
    events += [{"event": "data", "size": len(data)}]
    lines = "".join(json.dumps(event) + "\n" for event in events).encode()
    return lines + data + b'{"event": "sent"}\n'


def say_instead(patch: pytest.MonkeyPatch, said: bytes) -> None:
    """Have the worker say this, whatever it is asked for: a plugin could."""
    source = f"def serve(payload, output):\n    output.buffer.write({said!r})\n"
    document = {"modules": [["evil.evil", source]], "payload": {}}
    patch.setattr(worker_process, "request", lambda *_: json.dumps(document).encode())


DATA = b"an archive" * 100
END = b'{"event": "end"}\n'


@pytest.fixture
def bare(tmp_path: pathlib.Path) -> BackupHost:
    """Without environments, whose backups are made up."""
    (tmp_path / "environments").mkdir()
    return BackupHost(Host(tmp_path / "environments"))


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"archive": "missing"}, "its manifest is broken: it has no 'archive'"),
        ({"archive": {"size": 1000}}, "its manifest is broken: its 'archive' is not what"),
        ({"archive": {"size": "1000", "sha256": "0" * 64}}, "its 'archive' is not what"),
        ({"rows": ["ticket"]}, "its 'rows' is not what it should be"),
        ({"name": "missing"}, "it has no 'name'"),
        ({"name": "good"}, "its manifest is of 'good'"),
        ({"trac": "\ud800"}, "its manifest is broken"),
        ({"archive": {"size": 10, "sha256": "0" * 64}}, "longer than the 10 bytes it should have"),
    ],
)
def test_a_broken_manifest_fails_its_environment_only(
    bare: BackupHost, monkeypatch: pytest.MonkeyPatch, changes: dict[str, t.Any], why: str
) -> None:
    bad = sent("bad", DATA, manifest_of("bad", DATA, changes))
    say_instead(monkeypatch, bad + sent("good", DATA, manifest_of("good", DATA)) + END)
    result = bare.back_up("bad", "good")
    assert why in result["failures"]["bad"]
    assert list(result["failures"]) == ["bad"]
    assert result["msg"].startswith("bad: ")
    (made,) = result["backups"]
    assert (made["name"], made["size"]) == ("good", len(DATA))
    assert pathlib.Path(made["file"]).read_bytes() == DATA
    assert len(bare.files()) == 3
    assert bare.status()["environments"]["good"]["last_error"] is None


def test_old_backups_do_not_go_for_new_ones_that_nobody_has_asked_for(
    bare: BackupHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = old(bare, 50, 60)
    backup = sent("project", DATA, manifest_of("project", DATA))
    other = sent("other", DATA, manifest_of("other", DATA))
    say_instead(monkeypatch, backup * 3 + other + END)
    result = bare.back_up("project", keep_days=0, keep_last=3)
    assert "nobody has asked for this backup" in result["failures"]["project"]
    assert "nobody has asked for this backup" in result["failures"]["other"]
    assert set(before) < set(bare.files())
    assert len(bare.files()) == len(before) + 3


@pytest.mark.parametrize(
    "nonsense",
    [
        b"[]\n",
        b'{"event": 5}\n',
        b'{"event": "archive", "name": "bad", "manifest": []}\n',
        b'{"event": "failure", "name": "bad"}\n',
        b'{"event": "data", "size": -5}\n',
        b"[" * 100_000 + b"\n",
        b'{"event": "failed", "reason": "\\ud800 broken off"}\n',
    ],
)
def test_an_answer_that_cannot_be_understood_ends_the_run_with_words(
    bare: BackupHost, monkeypatch: pytest.MonkeyPatch, nonsense: bytes
) -> None:
    good = sent("good", DATA, manifest_of("good", DATA))
    say_instead(monkeypatch, good + nonsense + END)
    result = bare.back_up("good")
    assert "broken off" in result["msg"]
    assert [backup["name"] for backup in result["backups"]] == ["good"]
    assert len(bare.files()) == 3


def test_a_file_that_does_not_stop_changing_fails_the_environment(
    station: BackupHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ansible_collections.trac.mod_wsgi.plugins.module_utils._copies import hot_copy

    digest = hot_copy._digest
    busy = station.directory / "project" / "files" / "busy"
    busy.write_text("0")

    def change(path: str, size: int) -> bytes:
        if path == str(busy):
            busy.write_text(str(int(busy.read_text()) + 1))
        return digest(path, size)

    monkeypatch.setattr(hot_copy, "_digest", change)
    run = backup_worker._Backup(
        {"directory": str(station.directory), "check": False}, str(station.staging)
    )
    assert "does not stop changing" in run.back_up("project")["failure"]
    assert os.listdir(station.staging) == []


def test_two_runs_at_once_wait_for_each_other(
    station: BackupHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backup_run, "LOCK_TIMEOUT", 0.1)
    descriptor = os.open(station.backups, os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    try:
        assert "another run works below" in station.back_up()["msg"]
    finally:
        os.close(descriptor)
    assert "failed" not in station.back_up()


# Runs the module in a process of its own, as Ansible does on a host.
_MODULE = """
import json, sys
from ansible.module_utils.testing import patch_module_args
from ansible_collections.trac.mod_wsgi.plugins.modules import trac_backup
with patch_module_args(json.load(sys.stdin)):
    trac_backup.main()
"""


def _hidden(directory: pathlib.Path) -> list[str]:
    return [name for name in os.listdir(directory) if name.startswith(".")]


@pytest.mark.parametrize("where", ["staging", "backups"])
def test_a_killed_run_is_made_good_by_the_next(station: BackupHost, where: str) -> None:
    kept = old(station, 3)
    (station.directory / "project" / "files" / "large").write_bytes(os.urandom(40_000_000))
    process = subprocess.Popen(
        [sys.executable, "-c", _MODULE],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        start_new_session=True,
    )
    arguments = {
        "directory": str(station.directory),
        "python": sys.executable,
        "user": USER,
        "backup_directory": str(station.backups),
        **station.backup_arguments(),
    }
    assert process.stdin
    process.stdin.write(json.dumps(arguments).encode())
    process.stdin.close()
    place: pathlib.Path = getattr(station, where)
    deadline = time.monotonic() + 60
    while not _hidden(place) and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.002)
    os.killpg(process.pid, 9)
    process.wait()
    assert _hidden(place)
    assert {name for name in station.files() if not name.startswith(".")} == set(kept)
    result = station.back_up()
    assert "failed" not in result
    assert _hidden(station.backups) == _hidden(station.staging) == []
    assert len(station.files()) == len(kept) + 3


def test_the_account_is_not_told_where_the_backups_are(
    station: BackupHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = worker_process.request

    def checked(modules: t.Any, payload: t.Any) -> bytes:
        assert str(station.backups) not in json.dumps(payload)
        return request(modules, payload)

    monkeypatch.setattr(worker_process, "request", checked)
    assert "failed" not in station.back_up()


def test_many_environments_share_the_cores(station: BackupHost) -> None:
    source = station.directory / "project"
    (source / "files" / "pipe").unlink()
    for number in range(20):
        shutil.copytree(source, station.directory / f"p{number:02}", symlinks=True)
    result = station.back_up()
    assert len(result["backups"]) == 21
    assert len(station.files()) == 63
