# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the doctor makes of logs, certificates, disks, memory, backups and journals."""

from __future__ import annotations

import datetime
import json
import os
import pathlib
import types
import typing as t

import pytest

from ansible_collections.trac.mod_wsgi.plugins.module_utils._doctor import backups, unfinished
from ansible_collections.trac.mod_wsgi.plugins.module_utils._doctor import (
    certificate as doctor_certificate,
)
from ansible_collections.trac.mod_wsgi.plugins.module_utils._doctor import error_log as doctor_log
from ansible_collections.trac.mod_wsgi.plugins.module_utils._doctor import (
    resources as doctor_resources,
)
from ansible_collections.trac.mod_wsgi.plugins.module_utils._doctor.resources import Process

# -- the error log

NOW = datetime.datetime(2026, 11, 24, 12, 0)
LINES = {
    "segmentation": "[core:notice] [pid 1] child pid 7 exit signal Segmentation fault (11)",
    "abort": "[core:notice] [pid 1] child pid 7 exit signal Aborted (6), possible coredump",
    "truncated": "[wsgi:error] [client ::1:9] Truncated or oversized response headers received from"
    " daemon process 'x': /x/trac.wsgi",
    "timeout": "[wsgi:error] [client ::1:9] Timeout when reading response headers from daemon"
    " process 'x': /x/trac.wsgi",
    "encodings": "[wsgi:error] Failed to import encodings module",
    "locale": "[wsgi:error] locale.Error: unsupported locale setting",
}
HARMLESS = (
    "[mpm_event:notice] [pid 1] AH00489: Apache/2.4.71 configured -- resuming normal operations",
    "[wsgi:error] [client ::1:9] ValueError: x",
)


def log(path: pathlib.Path, *entries: tuple[str, str]) -> list[str]:
    file = path / "error.log"
    text = "".join(f"[{stamp}] {line}\n" for stamp, line in entries)
    file.write_text(text, encoding="utf-8")
    return [str(file)]


@pytest.mark.parametrize("line", LINES.values(), ids=LINES)
def test_marks_of_crashes(line: str, tmp_path: pathlib.Path) -> None:
    paths = log(tmp_path, ("Tue Nov 24 11:58:03.123456 2026", line))
    (result,) = doctor_log.judge(paths, 24, NOW)
    assert result.status == "failed"
    assert "once in the last 24 hours, at last 2026-11-24 11:58:03" in result.seen
    assert result.means
    assert result.advice


@pytest.mark.parametrize(
    ("stamps", "status", "words"),
    [
        (["Tue Nov 24 08:00:00 2026"], "warning", "once"),
        (["Tue Nov 24 08:00:00 2026", "Tue Nov 24 11:30:00 2026"], "failed", "2 times"),
        (["Mon Nov 23 11:00:00 2026"], "ok", "nothing"),
        ([], "ok", "nothing"),
    ],
)
def test_when_it_was(stamps: list[str], status: str, words: str, tmp_path: pathlib.Path) -> None:
    entries = [(stamp, LINES["truncated"]) for stamp in stamps]
    harmless = [("Tue Nov 24 11:59:00.5 2026", line) for line in HARMLESS]
    (result,) = doctor_log.judge(log(tmp_path, *entries, *harmless), 24, NOW)
    assert result.status == status
    assert words in result.seen


def test_lines_without_a_time_belong_to_the_one_before(tmp_path: pathlib.Path) -> None:
    raw = "ModuleNotFoundError: No module named 'encodings'"
    (path,) = log(tmp_path, ("Tue Nov 24 11:59:00 2026", f"x\n{raw}"))
    (result,) = doctor_log.judge([path], 24, NOW)
    assert result.status == "failed"
    assert "python_home" in result.advice


TRUNCATED = ("Tue Nov 24 11:58:03 2026", LINES["truncated"])
SEGFAULT = "[core:notice] [pid 1] AH00052: child pid 7 exit signal Segmentation fault (11)"
OOM_LINE = "host kernel: Out of memory: Killed process 815 (apache2) total-vm:9kB, anon-rss:9kB"
BLAMED = ("psycopg2", "Subversion")


@pytest.mark.parametrize(
    ("beside", "evidence", "status", "says"),
    [
        # Killed: nothing stands in the log.
        (None, {}, "failed", ["it was killed", "journalctl -k", "memory"]),
        # The kernel says so itself.
        (None, {"kernel": OOM_LINE}, "failed", ["killed processes of Apache", "fewer processes"]),
        # Something else of the kernel's.
        (None, {"kernel": "host kernel: eth0: link up"}, "failed", ["it was killed"]),
        # Reloads and restarts.
        ("[mpm_event:notice] [pid 1] AH00493: SIGUSR1 received.  Doing graceful restart", {},
         "warning", ["was reloaded or stopped", "Nothing has crashed"]),
        ("[mpm_event:notice] [pid 1] AH00491: caught SIGTERM, shutting down", {},
         "warning", ["was reloaded or stopped"]),
        # mod_wsgi's own limits.
        ("[wsgi:info] [pid 1] mod_wsgi (pid=7): Daemon process request time limit exceeded", {},
         "failed", ["took too long", "raise request_timeout"]),
    ],
)  # fmt: skip
def test_nobody_is_blamed_for_what_was_killed(
    beside: str | None,
    evidence: dict[str, t.Any],
    status: str,
    says: list[str],
    tmp_path: pathlib.Path,
) -> None:
    entries = [("Tue Nov 24 11:57:50 2026", beside)] if beside else []
    paths = log(tmp_path, *entries, TRUNCATED)
    found = doctor_log.judge(paths, 24, NOW, doctor_log.Evidence(["psycopg2-binary"], **evidence))
    (result,) = found
    assert result.status == status
    words = f"{result.means} {result.advice}"
    assert [each for each in says if each not in words] == []
    assert [each for each in BLAMED if each in words] == []


@pytest.mark.parametrize(
    ("suspects", "says", "silent"),
    [
        (["psycopg2-binary 2.9.9 is installed (check psycopg2)"],
         "The most likely cause: psycopg2-binary 2.9.9 is installed", "Subversion"),
        ([], "Neither of the usual causes is there", "most likely"),
        (None, "See the checks psycopg2 and application_group", "most likely"),
    ],
)  # fmt: skip
def test_crashes_are_blamed_on_what_is_there(
    suspects: list[str] | None, says: str, silent: str, tmp_path: pathlib.Path
) -> None:
    paths = log(tmp_path, ("Tue Nov 24 11:58:03 2026", SEGFAULT), TRUNCATED)
    found = list(doctor_log.judge(paths, 24, NOW, doctor_log.Evidence(suspects)))
    assert [result.status for result in found] == ["failed", "failed"]
    for result in found:
        assert says in result.advice
        assert silent not in result.advice
    assert "crashed in the middle of a request" in found[1].means


def test_a_reload_long_before_explains_nothing(tmp_path: pathlib.Path) -> None:
    reload = "[mpm_event:notice] [pid 1] AH00493: SIGUSR1 received.  Doing graceful restart"
    paths = log(tmp_path, ("Tue Nov 24 11:50:00 2026", reload), TRUNCATED)
    (result,) = doctor_log.judge(paths, 24, NOW)
    assert result.status == "failed"
    assert "it was killed" in result.means


@pytest.mark.parametrize(
    "line",
    [
        "[wsgi:error] [pid 7] mod_wsgi (pid=7): Initializing Python failed: init_fs_encoding",
        "[wsgi:error] Failed to import encodings module",
        "Fatal Python error: init_import_site: Failed to import the site module",
        "Python path configuration:",
    ],
)
def test_python_that_does_not_start(line: str, tmp_path: pathlib.Path) -> None:
    (result,) = doctor_log.judge(log(tmp_path, ("Tue Nov 24 11:58:03 2026", line)), 24, NOW)
    assert result.status == "failed"
    assert "cannot start its Python" in result.means
    assert "see the check python_home" in result.advice


def test_a_log_that_is_a_fifo_by_now(tmp_path: pathlib.Path) -> None:
    os.mkfifo(tmp_path / "error.log")
    assert doctor_log.tail(str(tmp_path / "error.log")) == []


def test_logs_that_are_files(tmp_path: pathlib.Path) -> None:
    for name in ("error.log", "error.log.1"):
        (tmp_path / name).touch()
    names = ["error.log", f"{tmp_path}/error.log", "|/usr/bin/rotatelogs x", "syslog", "gone.log"]
    assert doctor_log.logs(names, str(tmp_path)) == [
        f"{tmp_path}/error.log.1",
        f"{tmp_path}/error.log",
    ]
    (result,) = doctor_log.judge([], 24, NOW)
    assert result.status == "skipped"


# -- certificates

EXPIRED = pathlib.Path(__file__).parents[5] / "molecule" / "doctor" / "files" / "expired.pem"
UTC = datetime.timezone.utc


def test_the_dates_of_a_certificate() -> None:
    assert doctor_certificate.read(str(EXPIRED)) == (
        datetime.datetime(2024, 1, 1, tzinfo=UTC),
        datetime.datetime(2024, 6, 1, tzinfo=UTC),
    )


@pytest.mark.parametrize(
    ("now", "status", "words"),
    [
        (datetime.datetime(2023, 12, 31, tzinfo=UTC), "failed", "valid from 2024-01-01 only"),
        (datetime.datetime(2024, 2, 1, tzinfo=UTC), "ok", "121 days left"),
        (datetime.datetime(2024, 5, 20, tzinfo=UTC), "warning", "in 12 days"),
        (datetime.datetime(2024, 6, 11, tzinfo=UTC), "failed", "on 2024-06-01, 10 days ago"),
    ],
)
def test_certificates(now: datetime.datetime, status: str, words: str) -> None:
    (result,) = doctor_certificate.judge([str(EXPIRED), str(EXPIRED)], 21, now)
    assert result.status == status
    assert words in result.seen


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "cannot be read: No such file"),
        ("", "no certificate in PEM format"),
        ("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "it is no certificate"),
        ("-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n", "it is no certificate"),
        ("cut", "it is cut off"),
    ],
)
def test_what_is_no_certificate(content: str | None, words: str, tmp_path: pathlib.Path) -> None:
    path = tmp_path / "x.pem"
    if content == "cut":
        lines = EXPIRED.read_text(encoding="ascii").splitlines()
        content = "\n".join([*lines[:3], lines[-1]])
    if content is not None:
        path.write_text(content, encoding="ascii")
    (result,) = doctor_certificate.judge([str(path)], 21)
    assert result.status == "failed"
    assert words in result.seen


def test_no_certificates() -> None:
    (result,) = doctor_certificate.judge([], 21)
    assert result.status == "skipped"
    assert "Not applicable" in result.seen


# -- disks


def disk(free: int, total: int, inodes: int = 100, all_inodes: int = 100, flags: int = 0) -> t.Any:
    """What statvfs says of a disk, in megabytes."""
    return types.SimpleNamespace(
        f_bavail=free,
        f_blocks=total,
        f_frsize=1 << 20,
        f_favail=inodes,
        f_files=all_inodes,
        f_flag=flags,
    )


@pytest.mark.parametrize(
    ("found", "status", "words"),
    [
        (disk(5000, 10000), "ok", "5000 MB free, 50 %"),
        (disk(900, 10000), "warning", "9 %"),
        (disk(100, 200), "failed", "100 MB free"),
        (disk(0, 0), "failed", "0 MB free"),
        (disk(5000, 10000, 5), "warning", "5 % of the inodes"),
        (disk(5000, 10000, 0), "failed", "0 % of the inodes"),
        (disk(5000, 10000, 0, 0), "ok", "50 %"),  # a file system without a number of inodes
        (disk(5000, 10000, flags=os.ST_RDONLY), "failed", "mounted read-only"),
    ],
)
def test_disks(found: t.Any, status: str, words: str) -> None:
    (result,) = doctor_resources.check_disks({"/srv": "environments"}, 200, 10, lambda _path: found)
    assert result.status == status
    assert words in result.seen


def test_a_directory_that_does_not_exist() -> None:
    (result,) = doctor_resources.check_disks({"/gone": "backups"}, 200, 10)
    assert result.status == "skipped"


# -- memory

MEMINFO = "MemTotal:        1024000 kB\nMemFree: 1 kB\nMemAvailable:    {} kB\n"


@pytest.mark.parametrize(
    ("kb", "available", "status"),
    [(100_000, 500_000, "ok"), (800_000, 200_000, "warning"), (100_000, 20_000, "warning")],
)
def test_memory(kb: int, available: int, status: str) -> None:
    processes = [Process("trac-trac", kb // 2), Process("trac-trac", kb // 2)]
    result = doctor_resources.check_memory(processes, MEMINFO.format(available), 75)
    assert result.status == status
    assert f"trac-trac: 2 processes, {kb // 1024} MB" in result.seen


def test_no_processes() -> None:
    assert doctor_resources.check_memory([], MEMINFO.format(1), 75).status == "skipped"


def test_processes_of_apache(tmp_path: pathlib.Path) -> None:
    for pid, parent, command, name in (
        (10, 1, "/usr/sbin/apache2\0-k\0start\0", "smaps_rollup"),
        (11, 10, "(wsgi:trac-trac)  \0-k", "smaps_rollup"),
        (12, 10, "(wsgi:trac-hello- -k", "status"),
        (13, 1, "other", "status"),
    ):
        directory = tmp_path / str(pid)
        directory.mkdir()
        (directory / "stat").write_text(f"{pid} (apache2) S {parent} 1 1", encoding="ascii")
        (directory / "cmdline").write_text(command, encoding="ascii")
        (directory / name).write_text("x\nPss:   2048 kB\nVmRSS:\t 4096 kB\n", encoding="ascii")
    found = doctor_resources.processes([10], str(tmp_path))
    assert sorted(found) == [("Apache", 2048), ("trac-hello", 4096), ("trac-trac", 2048)]


# -- backups

HOUR = 3600
BACKUPS = [
    ({"last_success": -3 * HOUR, "last_error": None, "file": "/b"}, "ok", "3 hours ago"),
    ({"last_success": -3 * HOUR, "last_error": None}, "ok", "3 hours ago"),
    ({"last_success": -50 * HOUR, "last_error": None, "file": "/b"}, "failed", "50 hours old"),
    ({"last_success": -50 * HOUR, "last_error": "no space"}, "failed", "no space"),
    ({"last_success": -3 * HOUR, "last_error": "no space"}, "failed", "failed: no space"),
    ({"last_success": None, "last_error": "no space"}, "failed", "never been backed up with"),
    ({"last_success": -3 * HOUR, "last_error": None, "file": "/gone"}, "failed", "not there"),
    (None, "warning", "has not been backed up yet"),
]


@pytest.mark.parametrize(("entry", "status", "words"), BACKUPS)
def test_backups(entry: dict[str, t.Any] | None, status: str, words: str) -> None:
    now = 2_000_000_000
    entries = {}
    if entry is not None:
        last = entry["last_success"]
        entries["one"] = {**entry, "last_success": None if last is None else now + last}
    text = json.dumps({"environments": entries})
    (result,) = backups.check_backups(text, "/status", ["one"], 26, now, lambda path: path == "/b")
    assert result.status == status
    assert words in result.seen


@pytest.mark.parametrize(
    ("text", "status"),
    [
        (None, "warning"),
        ("{", "failed"),
        ("[]", "failed"),
        ('{"environments": {"one": 1}}', "failed"),
    ],
)
def test_no_status_of_backups(text: str | None, status: str) -> None:
    (result,) = backups.check_backups(text, "/status", ["one"], 26)
    assert result.status == status
    assert "/status" in result.seen


def test_what_concerns_no_single_environment() -> None:
    text = json.dumps({"environments": {"one": {"last_success": 7200}}, "last_error": "no route"})
    general, one = backups.check_backups(text, "/status", ["one"], 26, 7200)
    assert (general.status, one.status) == ("failed", "ok")
    assert "no route" in general.seen


# -- journals


@pytest.mark.parametrize(
    ("content", "status"),
    [
        ('{"version": 1, "before": {"/etc/x": {}}}', "failed"),
        ('{"environments": {}}', "ok"),
        ("[]", "ok"),
        ("{", "ok"),
        (None, "ok"),
    ],
)
def test_journals(content: str | None, status: str, tmp_path: pathlib.Path) -> None:
    if content is not None:
        (tmp_path / "x.json").write_text(content, encoding="ascii")
    (result,) = unfinished.check_transactions(str(tmp_path))
    assert result.status == status
    if status == "failed":
        assert "/etc/x" in result.seen
        assert os.path.join(str(tmp_path), "x.json") in result.seen


@pytest.mark.parametrize("content", [None, "{}", "half wri"])
def test_nothing_is_out_of_service(content: str | None, tmp_path: pathlib.Path) -> None:
    path = tmp_path / ".out-of-service"
    if content is not None:
        path.write_text(content, encoding="ascii")
    (result,) = unfinished.check_out_of_service(str(path))
    assert result.status == "ok"


def test_what_is_out_of_service_is_named_with_its_reason(tmp_path: pathlib.Path) -> None:
    path = tmp_path / ".out-of-service"
    path.write_text('{"two": "half upgraded", "one": "crashed"}', encoding="ascii")
    found = list(unfinished.check_out_of_service(str(path)))
    assert [(each.status, each.subject, each.seen) for each in found] == [
        ("failed", "environment one", "crashed"),
        ("failed", "environment two", "half upgraded"),
    ]
