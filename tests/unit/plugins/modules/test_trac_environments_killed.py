# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs of the reconciler that are killed, and runs at the same time."""

from __future__ import annotations

import fcntl
import json
import os
import pathlib
import random
import signal
import subprocess
import sys
import time
import typing as t

import pytest

from ansible_collections.trac.mod_wsgi.plugins.module_utils._core import held_directory
from ansible_collections.trac.mod_wsgi.plugins.module_utils._environments import (
    reconcile as environment_reconcile,
)
from ansible_collections.trac.mod_wsgi.plugins.module_utils._environments import (
    worker as environment_worker,
)
from ansible_collections.trac.mod_wsgi.tests.unit.plugins.modules.reconciled import (
    PROJECT,
    Child,
    Document,
    Host,
    Module,
    title,
)


@pytest.mark.parametrize("moment", [0.0, 0.005, 0.02, 0.05])
def test_a_killed_run_is_made_good_by_the_next(host: Host, moment: float) -> None:
    documents = [{"name": f"p{n}", "title": f"Project {n}"} for n in range(5)]
    child = Child(host.payload(documents))
    child.wait_for("begin", "p2")
    deadline = time.monotonic() + 30
    while not host.hidden() and time.monotonic() < deadline:
        time.sleep(0.001)
    time.sleep(moment)
    child.process.send_signal(signal.SIGKILL)
    child.process.wait()
    # Whatever is visible is complete. How far it came depends on the machine.
    from trac.web.main import get_environments

    visible = sorted(get_environments({"trac.env_parent_dir": str(host.directory)}))
    assert visible == [f"p{n}" for n in range(max(2, len(visible)))]
    pages = {host.rows("SELECT count(*) FROM wiki", name)[0][0] for name in visible}
    assert len(pages) == 1
    assert pages != {0}
    assert host.run(*documents, check=True)["p0"]["changes"] == []
    reports = host.run(*documents)
    assert [report["failure"] for report in reports.values()] == [None] * 5
    assert [title(host, f"p{n}") for n in range(5)] == [f"Project {n}" for n in range(5)]
    assert host.rows("SELECT count(*) FROM wiki", "p2") == host.rows(
        "SELECT count(*) FROM wiki", "p0"
    )
    assert host.hidden() == []


# Runs the module in a process of its own, as Ansible does on a host.
_MODULE = """
import json, sys
from ansible.module_utils.testing import patch_module_args
from ansible_collections.trac.mod_wsgi.plugins.modules import trac_environments
with patch_module_args(json.load(sys.stdin)):
    trac_environments.main()
"""


def _descendants(pid: int) -> list[int]:
    path = pathlib.Path(f"/proc/{pid}/task/{pid}/children")
    try:
        children = [int(child) for child in path.read_text().split()]
    except FileNotFoundError:
        return []
    return children + [each for child in children for each in _descendants(child)]


def _is_running(pid: int) -> bool:
    try:
        status = pathlib.Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return status.rpartition(")")[2].split()[0] != "Z"


@pytest.mark.parametrize("tree", [True, False], ids=["process tree", "module only"])
@pytest.mark.parametrize("visible", [0, 3, 8])
def test_a_killed_module_is_made_good_by_the_next_run(
    host: Host, module: Module, visible: int, tree: bool
) -> None:
    documents: list[Document] = [
        {**PROJECT, "name": f"p{n:02}", "title": f"Project {n}", "milestones": [f"m{n}"]}
        for n in range(20)
    ]
    process = subprocess.Popen(
        [sys.executable, "-c", _MODULE],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        start_new_session=True,
    )
    assert process.stdin
    process.stdin.write(json.dumps(module.parameters(*documents)).encode())
    process.stdin.close()
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        names = os.listdir(host.directory)
        if sum(name.startswith("p") for name in names) >= visible and host.hidden():
            break
        time.sleep(0.005)
    # At any point of making an environment; well before all are made.
    time.sleep(random.uniform(0, 0.05))
    started = _descendants(process.pid)
    assert len(started) >= 2  # the worker, and at least one that it shares the work with
    if tree:
        os.killpg(process.pid, signal.SIGKILL)
    else:
        process.kill()
    process.wait()
    # Nobody goes on behind the user's back, other than to finish what has been begun.
    while any(map(_is_running, started)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(map(_is_running, started))
    complete = [name for name in os.listdir(host.directory) if not name.startswith(".")]
    assert len(complete) < 20

    result = module(*documents)
    assert "msg" not in result
    assert [entry["created"] for entry in result["environments"]] == [
        document["name"] not in complete for document in documents
    ]
    assert host.hidden() == []
    assert sorted(os.listdir(host.directory)) == [document["name"] for document in documents]
    pages = {tuple(host.rows("SELECT count(*), sum(readonly) FROM wiki", n)) for n in complete}
    for number, document in enumerate(documents):
        name = document["name"]
        assert title(host, name) == f"Project {number}"
        assert host.rows("PRAGMA integrity_check", name) == [("ok",)]
        assert (f"m{number}",) in host.rows("SELECT name FROM milestone", name)
        assert ("admin", "TRAC_ADMIN") in host.permissions(name)
        pages.add(tuple(host.rows("SELECT count(*), sum(readonly) FROM wiki", name)))
    assert len(pages) == 1
    assert not module(*documents)["changed"]


def test_a_child_that_dies_costs_its_environment_only(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when the kernel is short of memory."""
    build = environment_reconcile.Reconciler._build

    def killed(self: object, path: str, *arguments: t.Any) -> None:
        build(self, path, *arguments)  # type: ignore[arg-type]
        if "victim" in path:
            os.kill(os.getpid(), signal.SIGKILL)

    monkeypatch.setattr(environment_reconcile.Reconciler, "_build", killed)
    documents = [{"name": name} for name in ("first", "victim", "last")]
    reports = host.run(*documents)
    assert "signal SIGKILL" in reports["victim"]["failure"]
    assert reports["last"]["created"]
    assert [name.split(".")[1] for name in host.hidden()] == ["victim"]
    monkeypatch.undo()
    reports = host.run(*documents)
    assert [report["created"] for report in reports.values()] == [False, True, False]
    assert host.hidden() == []


def test_scratch_directories_of_killed_runs_are_removed(
    host: Host, monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path
) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setenv("TMPDIR", str(scratch))

    def wait_for_directories(number: int) -> None:
        deadline = time.monotonic() + 60
        while len(list(scratch.iterdir())) != number and time.monotonic() < deadline:
            time.sleep(0.01)
        assert len(list(scratch.iterdir())) == number

    descriptor = os.open(host.directory, os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_EX)  # so that the runs wait
    first = Child(host.payload([PROJECT]))
    wait_for_directories(1)
    second = Child(host.payload([PROJECT]))
    wait_for_directories(2)
    first.process.kill()
    first.process.wait()
    third = Child(host.payload([PROJECT]))
    time.sleep(1)
    wait_for_directories(2)  # without that of the first one
    for each in (second, third):
        each.process.kill()
        each.process.wait()
    os.close(descriptor)
    Child(host.payload([PROJECT])).process.wait()
    assert list(scratch.iterdir()) == []


def test_leftovers_are_told_from_what_belongs_to_the_user(host: Host) -> None:
    for name in (
        ".p.creating-0123abcd",
        ".p.removing-0123abcd",
        ".p.creating-backup",
        ".git",
        "p.creating-0123abcd",
    ):
        (host.directory / name).mkdir()
    (host.directory / ".q.creating-0123abcd").symlink_to("/")
    host.run(PROJECT)
    assert sorted(host.hidden()) == [".git", ".p.creating-backup", ".q.creating-0123abcd"]
    assert (host.directory / "p.creating-0123abcd").is_dir()


def test_two_runs_at_once(host: Host) -> None:
    documents = [{"name": f"p{n}", "title": f"Project {n}"} for n in range(4)]
    children = [Child(host.payload(documents)) for dummy in range(2)]
    reports = [
        [event["report"] for event in child.events() if event["event"] == "report"]
        for child in children
    ]
    assert [child.process.wait() for child in children] == [0, 0]
    assert sorted(sum(report["created"] for report in one) for one in reports) == [0, 4]
    assert not any(report["failure"] for one in reports for report in one)


def test_a_run_that_does_not_end_is_not_waited_for(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(environment_worker, "LOCK_TIMEOUT", 0.1)
    descriptor = os.open(host.directory, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        with pytest.raises(held_directory.Busy, match="another run"):
            host.run(PROJECT)
        assert host.one(PROJECT, check=True)["created"]  # prediction needs no lock
    finally:
        os.close(descriptor)
