# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Broken and read-only files, full disks and silent servers: named, and nothing else touched."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import typing as t

import pytest

from ansible_collections.trac.mod_wsgi.plugins.module_utils._trac import database as trac_database
from ansible_collections.trac.mod_wsgi.tests.unit.plugins.modules.reconciled import (
    PROJECT,
    Host,
    title,
)

SECRET = "half-of-a-password"
OTHER = {"name": "other", "title": "Other"}


def _after(text: bytes, added: bytes) -> t.Callable[[bytes], bytes]:
    return lambda content: content.replace(text, text + added, 1)


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda _content: b"", "is empty: perhaps a full disk or a power cut has truncated it"),
        (lambda _content: b"\n\n", "is empty"),
        (lambda _content: b"\x7fELF\x02\xff\xfe" * 40, "line 1 is not UTF-8"),
        (lambda content: content.replace(b"My", "Mü".encode("latin-1")), "is not UTF-8"),
        (_after(b"name = My", b"\0\0\0"), "holds a NUL character"),
        (lambda content: content + b"\0" * 512, "holds a NUL character"),
        (lambda content: content + SECRET.encode(), r"conf/trac\.ini: line \d+: "),
        (lambda content: b"name = x\n" + content, r"line 1 stands before the first \[section\]"),
        (lambda content: content + b"[trac]\n", r"the section \[trac\] stands there a second time"),
        (_after(b"[trac]\n", b"base_url = a\nbase_url = b\n"), r"\[trac\] base_url stands there"),
        (lambda content: content[: content.index(b"database =") + 5], r"line \d+: neither a"),
    ],
)
def test_a_spoilt_trac_ini_is_named_and_left_alone(
    created: Host, spoil: t.Callable[[bytes], bytes], words: str
) -> None:
    path = created.ini_path()
    spoilt = spoil(path.read_bytes())
    assert spoilt != path.read_bytes()
    path.write_bytes(spoilt)
    reports = created.run({**PROJECT, "title": "New"}, OTHER)
    assert str(path) in reports["project"]["failure"]
    with pytest.raises(AssertionError, match=words):
        raise AssertionError(reports["project"]["failure"])
    assert SECRET not in reports["project"]["failure"]
    assert path.read_bytes() == spoilt
    assert title(created, "other") == "Other"


def test_a_trac_ini_that_is_write_protected_stays_as_it_is(
    created: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = created.ini_path()
    path.chmod(0o440)
    before = (path.read_bytes(), sorted(path.parent.iterdir()))
    # The tests may be root, whom no mode stops.
    monkeypatch.setattr(os, "access", lambda _path, mode: mode != os.W_OK)
    failure = created.one({**PROJECT, "title": "New"})["failure"]
    assert f"{path} is read-only (by its mode, 0440" in failure
    assert (path.read_bytes(), sorted(path.parent.iterdir())) == before
    assert created.one(PROJECT)["failure"] is None  # nothing to write


def test_a_full_disk_is_named_and_nothing_half_written(
    created: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = created.ini_path()
    before = (path.read_bytes(), sorted(path.parent.iterdir()))

    def full(_descriptor: int) -> t.NoReturn:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        failure = created.one({**PROJECT, "title": "New"})["failure"]
    assert "No space left on device: the filesystem" in failure
    assert (path.read_bytes(), sorted(path.parent.iterdir())) == before
    assert created.one({**PROJECT, "title": "New"})["failure"] is None
    assert title(created) == "New"


class Elsewhere:
    """As much of an environment as is asked about its server."""

    path = "/nonexistent"

    def __init__(self, uri: str) -> None:
        self.uri = uri
        self.config = self

    def get(self, _section: str, _option: str) -> str:
        return self.uri


def test_a_server_that_was_silent_is_not_waited_for_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked = []

    @contextlib.contextmanager
    def connected(environment: Elsewhere) -> t.Iterator[None]:
        asked.append(environment.uri)
        if "@silent" in environment.uri:
            raise trac_database.Unreachable("no answer")
        yield

    monkeypatch.setattr(trac_database, "sqlite_file", lambda _environment: None)
    monkeypatch.setattr(trac_database, "connected", connected)
    monkeypatch.setattr(trac_database, "_LONG", 0)
    servers = trac_database.Servers()
    for _dummy in range(3):
        for name in ("a", "b"):
            with pytest.raises(trac_database.Unreachable, match="no answer"):
                servers.check(Elsewhere(f"postgres://x:y@silent/{name}"))
            servers.check(Elsewhere(f"postgres://x:y@well/{name}"))
    assert asked.count("postgres://x:y@silent/a") == 1
    assert asked.count("postgres://x:y@silent/b") == 0
    assert asked.count("postgres://x:y@well/b") == 3


def test_a_refusal_is_not_taken_for_silence(monkeypatch: pytest.MonkeyPatch) -> None:
    @contextlib.contextmanager
    def connected(environment: Elsewhere) -> t.Iterator[None]:
        if environment.uri.endswith("/gone"):
            raise trac_database.Unreachable("no such database")
        yield

    monkeypatch.setattr(trac_database, "sqlite_file", lambda _environment: None)
    monkeypatch.setattr(trac_database, "connected", connected)
    servers = trac_database.Servers()
    with pytest.raises(trac_database.Unreachable):
        servers.check(Elsewhere("postgres://x:y@here/gone"))
    servers.check(Elsewhere("postgres://x:y@here/well"))


def test_a_driver_without_a_limit_is_not_waited_for() -> None:
    patience = trac_database.patience(1)
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        client = socket.create_connection(silent.getsockname())
        with client, pytest.raises(TimeoutError, match="within 1 seconds"), patience:
            client.recv(1)
