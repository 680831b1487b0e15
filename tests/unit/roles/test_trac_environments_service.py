# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What hooks say, and what the service behind the socket does: with real pushes and commits."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import pathlib
import shutil
import socket
import sqlite3
import subprocess
import sys
import threading
import typing as t

import pytest

from ansible_collections.trac.mod_wsgi.tests.unit.plugins.nobody import needs_nobody

pytest.importorskip("trac.env")

FILES = pathlib.Path(__file__).parents[3] / "roles" / "trac_environments" / "files"
AUTHOR = ["-c", "user.name=Anna", "-c", "user.email=anna@example.org"]

pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")


def load_service() -> t.Any:
    path = FILES / "trac_repositories.py"
    specification = importlib.util.spec_from_file_location("trac_repositories", path)
    assert specification is not None and specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


service = load_service()
tell_environment = service.tell_environment  # some tests put another one in its place


def run(*command: object, **arguments: t.Any) -> str:
    done = subprocess.run(
        [str(word) for word in command],
        check=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        **arguments,
    )
    return str(done.stdout).strip()


class Site:
    """A repository with the hook, a clone, and a service that only notes what it is told."""

    def __init__(self, directory: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.repository = directory / "code.git"
        self.clone = directory / "clone"
        self.socket = directory / "socket"
        self.told: list[tuple[str, str, list[str]]] = []
        self.problems: dict[str, list[str]] = {}
        monkeypatch.setattr(service, "tell_environment", self._tell)
        monkeypatch.setenv("TRAC_REPOSITORIES_SOCKET", str(self.socket))
        run("git", "init", "-q", "--bare", "-b", "main", self.repository)
        hook = self.repository / "hooks" / "post-receive"
        hook.write_text(f"#!/bin/sh\nexec {sys.executable} {FILES / 'tell_trac.py'} git\n")
        hook.chmod(0o755)
        run("git", "clone", "-q", self.repository, self.clone)
        self.configuration: dict[str, t.Any] = {
            "group": "nogroup",
            "repositories": [
                {"dir": str(self.repository), "type": "git", "environments": ["/e/one", "/e/two"]}
            ],
        }
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(str(self.socket))
        self.listener.listen()
        monkeypatch.setattr(service, "IDLE", 20.0)
        thread = threading.Thread(target=self._serve, daemon=True)
        thread.start()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):  # the test has ended
            service.serve(self.listener, self.configuration)

    def _tell(
        self, path: str, _repository: dict[str, t.Any], event: str, revisions: list[str]
    ) -> list[str]:
        self.told.append((path, event, revisions))
        return self.problems.get(path, [])

    def git(self, *arguments: str) -> str:
        return run("git", *AUTHOR, "-C", self.clone, *arguments)

    def commit(self, message: str) -> str:
        self.git("commit", "-q", "--allow-empty", "-m", message)
        return self.git("rev-parse", "HEAD")

    def revisions(self) -> list[str]:
        """What environment one was told last, which two was told as well."""
        assert [path for path, _event, _revisions in self.told] == ["/e/one", "/e/two"]
        assert self.told[0][1:] == self.told[1][1:]
        revisions = self.told[0][2]
        self.told.clear()
        return revisions


@pytest.fixture
def site(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> t.Iterator[Site]:
    made = Site(tmp_path, monkeypatch)
    yield made
    made.listener.close()


def test_new_revisions_of_all_refs_are_told_once_the_oldest_first(site: Site) -> None:
    first, second = site.commit("first"), site.commit("second")
    assert "could not" not in site.git("push", "origin", "HEAD:main")
    assert site.revisions() == [first, second]
    third = site.commit("third")
    site.git("tag", "-a", "-m", "a tag", "v1")
    site.git("push", "origin", "HEAD:main", "HEAD:refs/heads/other", "v1")
    assert site.revisions() == [third]


def test_refs_to_what_is_known_and_deletions_bring_nothing_new(site: Site) -> None:
    site.commit("first")
    site.git("push", "origin", "HEAD:main")
    site.told.clear()
    site.git("push", "origin", "HEAD:refs/heads/second")
    assert site.revisions() == []
    site.git("push", "origin", ":refs/heads/second")
    assert site.revisions() == []


def test_a_forced_push_tells_what_is_new(site: Site) -> None:
    site.commit("first")
    site.commit("second")
    site.git("push", "origin", "HEAD:main")
    site.told.clear()
    site.git("reset", "-q", "--hard", "HEAD~")
    other = site.commit("other second")
    site.git("push", "--force", "origin", "HEAD:main")
    assert site.revisions() == [other]


def test_what_goes_wrong_is_shown_and_the_push_stays(site: Site) -> None:
    site.problems["/e/one"] = ["it needs an upgrade"]
    first = site.commit("first")
    said = site.git("push", "origin", "HEAD:main")
    assert "remote: Trac could not be told" in said
    assert "environment one: it needs an upgrade" in said
    assert run("git", "-C", site.repository, "rev-parse", "main") == first
    assert site.revisions() == [first]  # the other one was told all the same


def test_a_service_that_is_away_is_named_and_the_push_stays(site: Site) -> None:
    site.socket.unlink()
    first = site.commit("first")
    assert f"no service answers at {site.socket}" in site.git("push", "origin", "HEAD:main")
    assert run("git", "-C", site.repository, "rev-parse", "main") == first


def test_an_environment_reads_the_revisions_and_keeps_no_connection(tmp_path: pathlib.Path) -> None:
    from trac.db.api import DatabaseManager
    from trac.env import Environment, open_environment
    from trac.versioncontrol.api import DbRepositoryProvider

    repository, tree, path = tmp_path / "code.git", tmp_path / "tree", str(tmp_path / "project")
    run("git", "init", "-q", "--bare", "-b", "main", repository)
    run("git", "clone", "-q", repository, tree)
    options = [
        ("components", "tracopt.versioncontrol.git.*", "enabled"),
        ("git", "cached_repository", "enabled"),
    ]
    environment = Environment(path, create=True, options=options)
    DbRepositoryProvider(environment).add_repository("code", str(repository), "git")
    environment.shutdown()
    run("git", *AUTHOR, "-C", tree, "commit", "-q", "--allow-empty", "-m", "first")
    run("git", "-C", tree, "push", "-q", "origin", "HEAD:main")
    revision = run("git", "-C", tree, "rev-parse", "HEAD")
    document = {"dir": str(repository), "type": "git", "part": False}
    assert tell_environment(path, document, "changeset_added", [revision]) == []
    assert tell_environment(path, document, "changeset_added", []) == []
    (said,) = tell_environment(path, document, "changeset_added", ["0" * 39 + "1"])
    assert "No changeset" in said
    pool = DatabaseManager(open_environment(path, use_cache=True))._cnx_pool
    assert pool is None or pool._pool == []
    with contextlib.closing(sqlite3.connect(tmp_path / "project" / "db" / "trac.db")) as db:
        assert db.execute("SELECT rev FROM revision").fetchall() == [(revision,)]


def ask(site: Site, text: bytes) -> list[str]:
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(site.socket))
        connection.sendall(text)
        connection.shutdown(socket.SHUT_WR)
        with connection.makefile("rb") as answer:
            return t.cast("list[str]", json.loads(answer.read())["problems"])


@pytest.mark.parametrize(
    ("message", "said"),
    [
        (b"", "cannot be understood"),
        (b"[]", "cannot be understood"),
        (b"[" * 100_000, "cannot be understood"),
        (b'{"repository": "/x\\u0000", "event": "added", "revisions": []}', "cannot be understood"),
        (b'{"repository": "/x", "event": "run", "revisions": []}', "cannot be understood"),
        (b'{"repository": "/x", "event": "added", "revisions": []}', "not among the repositories"),
    ],
)
def test_messages_that_make_no_sense_are_refused(site: Site, message: bytes, said: str) -> None:
    assert said in ask(site, message)[0]
    assert site.told == []


@pytest.mark.parametrize("revision", ["--help", "../x", "12", "", 5, None])
def test_what_is_no_revision_is_refused(site: Site, revision: object) -> None:
    document = {"repository": str(site.repository), "event": "added", "revisions": [revision]}
    assert ask(site, json.dumps(document).encode()) == ["these are no revisions"]
    assert site.told == []


@pytest.mark.parametrize(
    ("mode", "owner", "group", "allowed"),
    [
        (0o755, 65534, 0, True),
        (0o775, 0, 65534, True),
        (0o777, 0, 0, True),
        (0o755, 0, 65534, False),
        (0o770, 0, 0, False),
    ],
)
@pytest.mark.skipif(os.geteuid() != 0, reason="takes another account")
def test_only_who_may_write_into_a_repository_may_speak_of_it(
    tmp_path: pathlib.Path, mode: int, owner: int, group: int, allowed: bool
) -> None:
    (tmp_path / "objects").mkdir()
    (tmp_path / "objects").chmod(mode)
    os.chown(tmp_path / "objects", owner, group)
    nobody = 65534
    with service.held(str(tmp_path)) as (directory, _path):
        assert service.may_commit(directory, "git", "root", nobody, nobody) is allowed
        assert service.may_commit(directory, "git", "nogroup", nobody, nobody)
        assert service.may_commit(directory, "git", "root", 0, 0)


TELL_AS_NOBODY = """
import json, socket, sys
with socket.socket(socket.AF_UNIX) as connection:
    connection.connect(sys.argv[1])
    document = {"repository": sys.argv[2], "event": "added", "revisions": ["1" * 40]}
    connection.sendall(json.dumps(document).encode())
    connection.shutdown(socket.SHUT_WR)
    print(connection.makefile().read())
"""


@needs_nobody
def test_a_link_that_is_changed_meanwhile_tells_nothing(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It leads to the repository first, and then to a directory of whoever speaks."""
    own = site.clone.parent / "own"
    (own / "objects").mkdir(parents=True)
    os.chown(own / "objects", 65534, 65534)
    link = site.clone.parent / "link"
    link.symlink_to(site.repository)
    site.configuration["group"] = "root"
    for directory in (site.clone.parent, *site.clone.parent.parents[:2]):
        directory.chmod(0o755)
    site.socket.chmod(0o666)
    find = service.matching

    def find_and_change(*arguments: t.Any) -> list[dict[str, t.Any]]:
        found = find(*arguments)
        link.unlink()
        link.symlink_to(own)
        return t.cast("list[dict[str, t.Any]]", found)

    monkeypatch.setattr(service, "matching", find_and_change)
    answer = subprocess.check_output(
        [sys.executable, "-I", "-c", TELL_AS_NOBODY, str(site.socket), str(link)],
        user=65534,
        group=65534,
        extra_groups=[],
        cwd="/",
    )
    assert json.loads(answer)["problems"] == [f"account number 65534 may not write into {link}"]
    assert site.told == []


def test_a_message_that_trickles_does_not_hold_the_service(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "PATIENCE", 1.0)
    began, ended = threading.Event(), threading.Event()

    def trickle() -> None:
        with socket.socket(socket.AF_UNIX) as connection, contextlib.suppress(OSError):
            connection.connect(str(site.socket))
            while not ended.is_set():
                connection.sendall(b" ")
                began.set()

    thread = threading.Thread(target=trickle)
    thread.start()
    try:
        assert began.wait(20)
        document = {"repository": str(site.repository), "event": "added", "revisions": []}
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(20)
            connection.connect(str(site.socket))
            connection.sendall(json.dumps(document).encode())
            connection.shutdown(socket.SHUT_WR)
            with connection.makefile("rb") as answer:
                assert json.loads(answer.read()) == {"problems": []}
    finally:
        ended.set()
        thread.join()
    assert site.revisions() == []


def test_which_repositories_a_directory_is() -> None:
    documents = [
        {"dir": path, "type": kind, "environments": []}
        for path, kind in (
            ("/srv/svn/code", "svn"),
            ("/srv/svn/code/trunk", "svn"),
            ("/srv/svn/code2", "svn"),
            ("/home/anna/tree", "git"),
        )
    ]

    def found(path: str) -> list[tuple[str, bool]]:
        return [(entry["dir"], entry["part"]) for entry in service.matching(documents, path)]

    assert found("/srv/svn/code") == [("/srv/svn/code", False), ("/srv/svn/code/trunk", True)]
    assert found("/home/anna/tree/.git") == [("/home/anna/tree", False)]
    assert found("/srv/svn") == [
        ("/srv/svn/code", True),
        ("/srv/svn/code/trunk", True),
        ("/srv/svn/code2", True),
    ]
    assert found("/home/anna") == []
