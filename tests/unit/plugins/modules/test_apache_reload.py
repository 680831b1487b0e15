# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which processes accept connections, read from this machine's own kernel."""

from __future__ import annotations

import os
import pathlib
import pwd
import socket
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from ansible_collections.trac.mod_wsgi.plugins.module_utils._apache.reload import (
    accepting_children,
    is_apache,
    outdated,
    wait_for_successors,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

# A child that holds the socket it inherits until a line arrives, then closes it but stays.
CHILD = """
import os, sys
print("ready", flush=True)
sys.stdin.readline()
os.close(int(sys.argv[1]))
print("closed", flush=True)
sys.stdin.readline()
"""


class Child:
    def __init__(self, listener: socket.socket) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", CHILD, str(listener.fileno())],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            pass_fds=[listener.fileno()],
            text=True,
        )
        self.read()

    def read(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def close_socket(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        assert self.read() == "closed"

    def end(self) -> None:
        self.process.kill()
        self.process.communicate()


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        found.listen()
        yield found


@pytest.fixture
def children(listener: socket.socket) -> Iterator[tuple[Child, Child]]:
    pair = Child(listener), Child(listener)
    yield pair
    for child in pair:
        child.end()


def pids() -> set[int]:
    return {pid for pid, _start in accepting_children(os.getpid())}


def test_only_children_with_a_listening_socket_accept(
    children: tuple[Child, Child],
) -> None:
    first, second = children
    assert pids() == {first.process.pid, second.process.pid}
    first.close_socket()
    assert pids() == {second.process.pid}


def test_a_child_that_closed_its_socket_but_lives_is_replaced(
    children: tuple[Child, Child],
) -> None:
    first, _second = children
    old = {item for item in accepting_children(os.getpid()) if item[0] == first.process.pid}

    def close(_seconds: float) -> None:
        first.close_socket()

    assert wait_for_successors(os.getpid(), old, 5, sleep=close)
    assert first.process.poll() is None


@pytest.mark.usefixtures("children")
def test_waiting_ends() -> None:
    assert not wait_for_successors(os.getpid(), accepting_children(os.getpid()), 0.2)


def test_nobody_who_accepts_is_not_enough() -> None:
    assert not wait_for_successors(os.getpid(), set(), 0.1)


def test_python_is_not_apache() -> None:
    assert not is_apache(os.getpid())
    assert not is_apache(2**22 + 1)


def found(path: pathlib.Path) -> list[str]:
    return outdated(os.getpid(), accepting_children(os.getpid()), [f"{path.parent}/*.load"])


@pytest.mark.usefixtures("children")
def test_what_was_changed_since_the_start_is_found(tmp_path: pathlib.Path) -> None:
    link = tmp_path / "a.load"
    target = tmp_path / "b"
    target.mkdir()
    link.symlink_to(target)
    start = time.time()
    for path in (link, target):
        os.utime(path, (start - 100, start - 100), follow_symlinks=False)
    assert found(link) == []
    # An entry of the directory that the link leads to.
    (target / "new").touch()
    assert found(link) == [str(link)]
    os.utime(target, (start - 100, start - 100))
    assert found(link) == []
    # The link itself, which leads to something old.
    os.utime(link, follow_symlinks=False)
    assert found(link) == [str(link)]
    # A clock that went wrong must not have Apache reloaded with each run.
    os.utime(link, (start + 1000, start + 1000), follow_symlinks=False)
    assert found(link) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can start processes of other accounts")
def test_an_account_that_has_joined_a_group_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    account = pwd.getpwnam("nobody")
    groups = [account.pw_gid, 54321]
    monkeypatch.setattr(os, "getgrouplist", lambda _name, _gid: groups)

    def serving(extra: list[int]) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            ["/bin/sleep", "60"], user=account.pw_uid, group=account.pw_gid, extra_groups=extra
        )

    old = serving([account.pw_gid])
    try:
        assert outdated(os.getpid(), set(), []) == ["the groups of nobody"]
        new = serving(groups)
        try:
            assert outdated(os.getpid(), set(), []) == []
        finally:
            new.kill()
            new.wait()
    finally:
        old.kill()
        old.wait()
