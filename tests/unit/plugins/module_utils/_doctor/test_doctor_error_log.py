# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the doctor reads out of Apache's error logs."""

from __future__ import annotations

import datetime
import os
import pathlib
import typing as t

import pytest

from ansible_collections.trac.mod_wsgi.plugins.module_utils._doctor import error_log as doctor_log

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
