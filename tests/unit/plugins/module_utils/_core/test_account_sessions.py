# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What root starts as another account has nothing of root's terminal.

A process whose session has a terminal may put characters into its input (the ioctl TIOCSTI), which
root's shell reads as if root had typed them.
"""

from __future__ import annotations

import importlib
import json
import os
import pathlib
import pty
import re
import signal
import subprocess
import sys
import time
import typing as t

import pytest
import yaml

from ansible_collections.trac.mod_wsgi.plugins.module_utils._core import (
    answer_shapes,
    worker_process,
)
from ansible_collections.trac.mod_wsgi.plugins.module_utils._doctor import system as doctor_system
from ansible_collections.trac.mod_wsgi.plugins.module_utils._environments import repository_hooks
from ansible_collections.trac.mod_wsgi.tests.unit.plugins.nobody import needs_nobody

COLLECTION = pathlib.Path(__file__).parents[5]
NOBODY = worker_process.Account("nobody", 65534, 65534)

# What the roles put before a command of the service account.
RUNUSER = 'timeout --kill-after=9 120 runuser --user="$0" -- "$@" </dev/null'
PREFIXES = {
    role: yaml.safe_load((COLLECTION / "roles" / role / "vars" / "main.yml").read_text())[
        f"__{role}_as_account"
    ]
    for role in ("trac_runtime", "trac_site")
}

SPY = """\
import contextlib, fcntl, os, termios

def look():
    seen = {"uid": os.getuid(), "terminals": [], "typed": False, "files": []}
    try:
        os.open("/dev/tty", os.O_RDWR)
        seen["terminals"].append("/dev/tty")
    except OSError:
        pass
    for descriptor in range(256):
        with contextlib.suppress(OSError):
            if os.isatty(descriptor):
                seen["terminals"].append(descriptor)
            fcntl.ioctl(descriptor, termios.TIOCSTI, b"x")
            seen["typed"] = True
    for descriptor in range(256):
        with contextlib.suppress(OSError):
            seen["files"].append(os.readlink(f"/proc/self/fd/{descriptor}"))
    return seen
"""
SERVE = """
import json

def serve(payload, output):
    output.write(json.dumps({"event": "seen", **look()}) + "\\n")
    output.write(json.dumps({"event": "end"}) + "\\n")
    output.flush()
"""
# Its child does not end, and keeps open what the parent reads; it leaves its number.
STAY = """
import os, time

def serve(payload, output):
    child = os.fork()
    if child == 0:
        if payload["leaves"]:
            os.setsid()
        time.sleep(600)
    output.write('{"event": "child", "pid": %d}\\n' % child)
    output.flush()
    time.sleep(600)
"""

Document = t.Dict[str, t.Any]


@pytest.fixture
def worker(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> t.Callable[[str], t.Any]:
    """Makes a worker of a source."""

    def make(source: str) -> t.Any:
        package = f"spies_{abs(hash((source, str(tmp_path))))}"
        (tmp_path / package).mkdir()
        (tmp_path / package / "__init__.py").touch()
        (tmp_path / package / "worker.py").write_text(source)
        monkeypatch.syspath_prepend(str(tmp_path))
        for event in ("seen", "child"):
            monkeypatch.setitem(answer_shapes.SHAPES, event, {})
        return importlib.import_module(f"{package}.worker")

    return make


def at_a_terminal(function: t.Callable[[], Document]) -> Document:
    """What a function finds in a session of root's at a terminal, where a shell is waiting."""
    reader, writer = os.pipe()
    secret = os.open("/etc/shadow", os.O_RDONLY)  # what root has open
    os.set_inheritable(secret, True)
    child, terminal = pty.fork()
    if child == 0:
        status = 1
        try:
            os.write(writer, json.dumps(function()).encode())
            status = 0
        finally:
            os._exit(status)
    os.close(writer)
    os.close(secret)
    with open(reader, "rb") as pipe:
        answer = pipe.read()
    _dummy, status = os.waitpid(child, 0)
    if status != 0:
        raise AssertionError(os.read(terminal, 65536).decode())
    os.close(terminal)
    return t.cast(Document, json.loads(answer))


def of_worker(module: t.Any) -> Document:
    first, last = worker_process.run(sys.executable, NOBODY, module, {})
    assert last["event"] == "end"
    return first


def of_role(prefix: list[str]) -> Document:
    command = [*prefix[:-1], "nobody", sys.executable, "-I", "-c"]
    command.append(f"{SPY}\nimport json\nprint(json.dumps(look()))")
    done = subprocess.run(command, capture_output=True, check=True)
    return t.cast(Document, json.loads(done.stdout))


def of_command() -> Document:
    script = f"{SPY}\nimport json\nprint(json.dumps(look()))"
    command = [sys.executable, "-I", "-c", script]
    status, output = doctor_system.command(command, 20, "nobody")
    assert status == 0, output
    return t.cast(Document, json.loads(output))


def of_hooks(directory: pathlib.Path) -> Document:
    def spy(*_arguments: t.Any) -> repository_hooks.Outcome:
        space: Document = {}
        exec(SPY, space)
        return repository_hooks.Outcome(before=space["look"]())

    setattr(repository_hooks, "install", spy)  # noqa: B010  (in a process of its own)
    return t.cast(
        Document, repository_hooks.install_as_owner("git", str(directory), "tell", True).before
    )


def check(seen: Document) -> None:
    assert seen["uid"] == 65534
    assert seen["terminals"] == []
    assert not seen["typed"]


@needs_nobody
def test_a_worker_cannot_type_into_roots_terminal(worker: t.Callable[[str], t.Any]) -> None:
    module = worker(SPY + SERVE)
    seen = at_a_terminal(lambda: of_worker(module))
    check(seen)
    assert "/etc/shadow" not in seen["files"]


@needs_nobody
@pytest.mark.parametrize("role", PREFIXES)
def test_a_command_of_a_role_cannot_type_into_roots_terminal(role: str) -> None:
    check(at_a_terminal(lambda: of_role(PREFIXES[role])))


@needs_nobody
def test_a_command_of_the_doctor_cannot_type_into_roots_terminal() -> None:
    check(at_a_terminal(of_command))


@pytest.mark.skipif(os.geteuid() != 0, reason="takes another account")
def test_the_process_for_hooks_cannot_type_into_roots_terminal(tmp_path: pathlib.Path) -> None:
    os.chown(tmp_path, 65534, 65534)
    check(at_a_terminal(lambda: of_hooks(tmp_path)))


def test_roles_run_commands_as_an_account_in_this_way_only() -> None:
    """Also where the next one is added."""
    paths = [*COLLECTION.glob("roles/*/*/*.yml"), *COLLECTION.glob("playbooks/**/*.yml")]
    lines = [line for path in paths for line in path.read_text(encoding="utf-8").splitlines()]
    # All others are what somebody is told to do.
    running = [
        line.strip()
        for line in lines
        if re.search(r"\b(runuser|setpriv|sudo -u)\b|[\"'\[ -]su[\"',\] ]", line)
    ]
    assert running == [RUNUSER] * len(PREFIXES)


def _is_there(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii") as stat:
            return stat.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_the_time_limit_holds_for_all_that_a_worker_has_started(
    worker: t.Callable[[str], t.Any],
) -> None:
    me = worker_process.Account("root", os.geteuid(), os.getegid())
    first, last = worker_process.run(sys.executable, me, worker(STAY), {"leaves": False}, timeout=3)
    assert "signal 9" in last["reason"]
    for _attempt in range(100):
        if not _is_there(first["pid"]):
            return
        time.sleep(0.1)
    os.kill(first["pid"], signal.SIGKILL)
    pytest.fail("the child of the worker goes on")


def test_a_process_that_has_left_the_worker_does_not_hold_the_run(
    worker: t.Callable[[str], t.Any],
) -> None:
    me = worker_process.Account("root", os.geteuid(), os.getegid())
    events = worker_process.run(sys.executable, me, worker(STAY), {"leaves": True}, timeout=3)
    first = next(events)
    try:
        assert [event["event"] for event in events] == ["broken"]
        assert _is_there(first["pid"])
    finally:
        os.kill(first["pid"], signal.SIGKILL)
