# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Repositories of environments: real ones of git and Subversion, in real environments."""

from __future__ import annotations

import contextlib
import os
import pathlib
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import typing as t
from datetime import datetime, timedelta, timezone

import pytest

from ansible_collections.trac.mod_wsgi.plugins.module_utils._core import worker_process
from ansible_collections.trac.mod_wsgi.plugins.module_utils._environments import environment_input
from ansible_collections.trac.mod_wsgi.plugins.module_utils._environments import (
    worker as environment_worker,
)
from ansible_collections.trac.mod_wsgi.tests.unit.plugins.nobody import needs_nobody

pytest.importorskip("trac.env")

Document = dict[str, t.Any]
PACKAGES = pathlib.Path("/usr/lib/python3/dist-packages")
MENDED = pathlib.Path(__file__).parents[4] / "roles" / "trac_runtime" / "files" / "svn"
AUTHOR = ["-c", "user.name=Anna", "-c", "user.email=anna@example.org"]

needs_git = pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")


def run(*command: object, **arguments: t.Any) -> str:
    done = subprocess.run(
        [str(word) for word in command], check=True, capture_output=True, text=True, **arguments
    )
    return str(done.stdout).strip()


@pytest.fixture(scope="session")
def bindings(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """The packages that role trac_runtime makes visible, and nothing else of the system's."""
    directory = tmp_path_factory.mktemp("system-packages")
    (directory / "libsvn").symlink_to(PACKAGES / "libsvn")
    shutil.copytree(MENDED, directory / "svn")
    probe = [sys.executable, "-c", "import svn.fs"]
    environ = {**os.environ, "PYTHONPATH": str(directory)}
    if subprocess.run(probe, env=environ, capture_output=True, check=False).returncode != 0:
        pytest.skip("this Python has no bindings of Subversion")
    if shutil.which("svnadmin") is None:
        pytest.skip("Subversion is not installed")
    return directory


@pytest.fixture
def svn(bindings: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(bindings))


class Host:
    """Environments in a directory, looked at with means other than the reconciler's."""

    def __init__(self, directory: pathlib.Path) -> None:
        self.environments = directory / "environments"
        self.environments.mkdir()
        self.repositories = directory / "repositories"

    def payload(self, *repositories: Document, check: bool = False, **keys: t.Any) -> Document:
        document = {"name": "project", "repositories": list(repositories), **keys}
        specs, problems = environment_input.read_specs([document])
        assert problems == []
        return {
            "directory": str(self.environments),
            "check": check,
            "environments": [spec.to_json() for spec in specs],
        }

    def run(self, *repositories: Document, **keys: t.Any) -> Document:
        umask = os.umask(environment_worker.UMASK)
        try:
            events = list(environment_worker.run(self.payload(*repositories, **keys)))
        finally:
            os.umask(umask)
        (report,) = (event["report"] for event in events if event["event"] == "report")
        return t.cast("Document", report)

    def changes(self, *repositories: Document, **keys: t.Any) -> list[str]:
        report = self.run(*repositories, **keys)
        assert report["failure"] is None
        return t.cast("list[str]", report["changes"])

    def failure(self, *repositories: Document, **keys: t.Any) -> str:
        report = self.run(*repositories, **keys)
        assert report["failure"] is not None
        assert report["changes"] == []
        return t.cast("str", report["failure"])

    def rows(self, query: str) -> list[t.Any]:
        path = self.environments / "project" / "db" / "trac.db"
        with contextlib.closing(sqlite3.connect(path)) as db:
            return db.execute(query).fetchall()

    def registered(self) -> dict[str, dict[str, str]]:
        found: dict[int, dict[str, str]] = {}
        for number, name, value in self.rows("SELECT id, name, value FROM repository"):
            found.setdefault(number, {})[name] = value
        return {attributes.pop("name"): attributes for attributes in found.values()}

    def messages(self) -> list[str]:
        return [message for (message,) in self.rows("SELECT message FROM revision ORDER BY rev")]

    def trac_messages(self, name: str) -> list[str]:
        """What Trac shows of a repository to a visitor, the newest first."""
        from trac.env import Environment
        from trac.versioncontrol.api import RepositoryManager

        environment = Environment(str(self.environments / "project"))
        try:
            repository = RepositoryManager(environment).get_repository(name)
            start = datetime(2000, 1, 1, tzinfo=timezone.utc)
            end = datetime.now(timezone.utc) + timedelta(days=1)
            return [found.message.strip() for found in repository.get_changesets(start, end)]
        finally:
            environment.shutdown()

    def git(self, name: str = "", **keys: t.Any) -> Document:
        directory = self.repositories / f"{name or 'default'}.git"
        return {"name": name, "type": "git", "dir": str(directory), **keys}

    def svn(self, name: str = "svn", **keys: t.Any) -> Document:
        return {"name": name, "type": "svn", "dir": str(self.repositories / name), **keys}


@pytest.fixture
def host(tmp_path: pathlib.Path) -> Host:
    return Host(tmp_path)


@pytest.fixture
def open_directory() -> t.Iterator[pathlib.Path]:
    """One that other accounts may look into, unlike those of pytest."""
    with tempfile.TemporaryDirectory() as directory:
        os.chmod(directory, 0o755)
        yield pathlib.Path(directory)


def git_commit(repository: Document, message: str, *, create: bool = False) -> None:
    """A commit in a clone, pushed."""
    directory = repository["dir"]
    if create:
        run("git", "init", "-q", "--bare", "-b", "main", directory)
    clone = pathlib.Path(directory).parent / f"clone-{message}"
    run("git", "clone", "-q", directory, clone)
    (clone / message).write_text(message)
    run("git", "-C", clone, "add", ".")
    run("git", *AUTHOR, "-C", clone, "commit", "-qm", message)
    run("git", "-C", clone, "push", "-q", "origin", "HEAD:main")


def svn_commit(repository: Document, message: str, *, create: bool = False) -> None:
    if create:
        run("svnadmin", "create", repository["dir"])
    url = f"file://{repository['dir']}"
    run("svn", "mkdir", "-q", "-m", message, f"{url}/{message}")


# Creation


@needs_git
def test_a_missing_git_repository_is_made_and_can_be_pushed_to(host: Host) -> None:
    repository = host.git()
    assert host.changes(repository)[-2:] == [
        f"create the git repository {repository['dir']}",
        "register the repository (default)",
    ]
    assert run("git", "-C", repository["dir"], "symbolic-ref", "HEAD") == "refs/heads/main"
    git_commit(repository, "first")
    assert host.trac_messages("") == ["first"]


@pytest.mark.usefixtures("svn")
def test_a_missing_svn_repository_is_made_and_can_be_committed_to(host: Host) -> None:
    repository = host.svn()
    assert host.changes(repository)[-2:] == [
        f"create the Subversion repository {repository['dir']}",
        "register the repository 'svn'",
    ]
    svn_commit(repository, "first")
    assert host.changes(repository) == ["read the new revisions of the repository 'svn'"]
    assert host.trac_messages("svn") == ["first"]


@needs_git
def test_what_is_made_can_be_written_to_by_its_group_and_read_by_nobody_else(host: Host) -> None:
    host.run(host.git())
    objects = pathlib.Path(host.git()["dir"]) / "objects"
    assert objects.stat().st_mode & 0o777 == 0o770
    assert run("git", "-C", host.git()["dir"], "config", "core.sharedRepository") == "1"


@needs_git
def test_an_empty_directory_is_room_enough_and_leftovers_go(host: Host) -> None:
    directory = pathlib.Path(host.git()["dir"])
    directory.mkdir(parents=True)
    (directory.parent / ".default.git.creating-0a0a0a0a").mkdir()
    host.changes(host.git())
    assert [path.name for path in directory.parent.iterdir()] == ["default.git"]


# Adoption


@needs_git
@pytest.mark.usefixtures("svn")
def test_repositories_that_exist_are_read_and_not_touched(host: Host) -> None:
    host.repositories.mkdir()
    git_commit(host.git("code"), "pushed", create=True)
    svn_commit(host.svn(), "committed", create=True)
    before = {str(path): path.stat().st_mtime_ns for path in host.repositories.rglob("*")}
    wanted = [host.git("code", description="Our ''code''"), host.svn(url="https://svn.example.org")]
    assert host.changes(*wanted)[-2:] == [
        "register the repository 'code'",
        "register the repository 'svn'",
    ]
    assert host.trac_messages("code") == ["pushed"]
    assert host.messages() == ["committed"]
    assert host.registered()["code"]["description"] == "Our ''code''"
    assert host.registered()["svn"]["url"] == "https://svn.example.org"
    assert before == {str(path): path.stat().st_mtime_ns for path in host.repositories.rglob("*")}


@pytest.mark.usefixtures("svn")
def test_a_part_of_a_svn_repository(host: Host) -> None:
    host.repositories.mkdir()
    svn_commit(host.svn(), "trunk", create=True)
    svn_commit(host.svn(), "elsewhere")
    part = {"name": "trunk", "type": "svn", "dir": str(host.repositories / "svn" / "trunk")}
    host.changes(part)
    assert host.messages() == ["trunk"]
    assert host.changes(part) == []


@needs_git
def test_a_working_tree(host: Host) -> None:
    tree = host.repositories / "tree"
    run("git", "init", "-q", "-b", "main", tree)
    run("git", *AUTHOR, "-C", tree, "commit", "-q", "--allow-empty", "-m", "here")
    repository = {"name": "tree", "type": "git", "dir": str(tree)}
    host.changes(repository)
    assert host.trac_messages("tree") == ["here"]


# Runs that follow


@needs_git
@pytest.mark.usefixtures("svn")
def test_check_mode_says_what_a_run_does(host: Host) -> None:
    """For a new environment, for one that exists, and for new revisions; and changes nothing."""
    for step in range(4):
        wanted = [host.git("code"), host.svn()] if step else []
        if step == 2:
            svn_commit(host.svn(), "new")
        predicted = host.run(*wanted, check=True)
        listing = sorted(str(path) for path in host.environments.parent.rglob("*"))
        assert predicted == host.run(*wanted, check=True)
        assert listing == sorted(str(path) for path in host.environments.parent.rglob("*"))
        assert predicted == host.run(*wanted)
        assert bool(predicted["changes"]) == (step < 3), step


@needs_git
def test_a_second_run_of_git_changes_nothing_and_starts_nothing(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    host.changes(host.git())
    before = host.rows("SELECT * FROM repository")

    def refuse(*_arguments: object, **_keywords: object) -> t.NoReturn:
        raise AssertionError("a process was started")

    monkeypatch.setattr(subprocess, "Popen", refuse)
    assert host.changes(host.git()) == []
    assert host.rows("SELECT * FROM repository") == before


@needs_git
def test_cached_git_repositories_are_read(host: Host) -> None:
    config = {"git": {"cached_repository": True}}
    host.changes(host.git(), config=config)
    git_commit(host.git(), "first")
    git_commit(host.git(), "second")
    reading = ["read the new revisions of the repository (default)"]
    assert host.changes(host.git(), config=config, check=True) == reading
    assert host.messages() == []
    assert host.changes(host.git(), config=config) == reading
    assert sorted(message.strip() for message in host.messages()) == ["first", "second"]
    assert host.changes(host.git(), config=config) == []


@needs_git
def test_attributes_change_and_what_is_left_out_stays(host: Host) -> None:
    host.changes(host.git("code", description="old", url="https://example.org", hidden=True))
    report = host.run(host.git("code", description="new", hidden=False))
    assert report["changes"] == ["set description, hidden of the repository 'code'"]
    assert report["before"] == [
        "repository 'code' description = old",
        "repository 'code' hidden = 1",
    ]
    assert report["after"] == ["repository 'code' description = new"]
    code = host.registered()["code"]
    assert (code["description"], code["url"]) == ("new", "https://example.org")
    assert code["hidden"] is None
    assert host.changes(host.git("code", description="new", hidden=False)) == []


@pytest.mark.usefixtures("svn")
def test_another_directory_is_read_anew(host: Host) -> None:
    host.repositories.mkdir()
    svn_commit(host.svn("one"), "in-one", create=True)
    svn_commit(host.svn("two"), "in-two", create=True)
    host.changes({**host.svn("one"), "name": "code"})
    assert host.messages() == ["in-one"]
    moved = {**host.svn("two"), "name": "code"}
    assert host.changes(moved) == ["set dir of the repository 'code'"]
    assert host.messages() == ["in-two"]
    assert host.changes(moved) == []


@pytest.mark.usefixtures("svn")
def test_a_repository_that_was_replaced_on_the_disk_is_read_anew(host: Host) -> None:
    host.repositories.mkdir()
    svn_commit(host.svn(), "before", create=True)
    host.changes(host.svn())
    shutil.rmtree(host.svn()["dir"])
    svn_commit(host.svn(), "after", create=True)
    assert host.changes(host.svn()) == [
        "read all revisions of 'svn' anew: it is another one than before"
    ]
    assert host.messages() == ["after"]


@needs_git
def test_only_a_complete_list_unregisters_and_the_disk_stays(host: Host) -> None:
    host.changes(host.git("one"), host.git("two"))
    assert host.changes(host.git("one")) == []
    report = host.run(host.git("one"), exclusive=["repositories"])
    assert report["changes"] == ["unregister the repository 'two'"]
    assert report["before"] == [
        "repository 'two' type = git",
        f"repository 'two' dir = {host.git('two')['dir']}",
    ]
    assert list(host.registered()) == ["one"]
    assert pathlib.Path(host.git("two")["dir"], "HEAD").exists()
    assert host.changes(exclusive=["repositories"]) == ["unregister the repository 'one'"]


@needs_git
def test_an_alias_is_replaced_and_goes_with_its_repository(host: Host) -> None:
    host.changes(host.git("one"))
    path = str(host.environments / "project")
    run(
        pathlib.Path(sys.executable).with_name("trac-admin"),
        path,
        "repository",
        "alias",
        "x",
        "one",
    )
    assert host.changes(host.git("one"), check=True) == []
    assert host.changes(exclusive=["repositories"], check=True) == [
        "unregister the alias 'x'",
        "unregister the repository 'one'",
    ]
    assert host.changes(host.git("one"), host.git("x"))[0] == "unregister the alias 'x'"
    assert host.registered()["x"]["dir"] == host.git("x")["dir"]


# Refusals: nothing is written


@needs_git
@pytest.mark.usefixtures("svn")
def test_what_is_no_repository_is_refused(host: Host) -> None:
    host.changes()
    host.repositories.mkdir()
    svn_commit(host.svn(), "first", create=True)
    other = {**host.svn(), "type": "git"}
    assert "svn is no git repository: it is a Subversion repository" in host.failure(other)
    directory = pathlib.Path(host.git("full")["dir"])
    directory.mkdir()
    (directory / "file").touch()
    assert "it is not empty; nothing was touched" in host.failure(host.git("full"))
    (host.repositories / "link.git").symlink_to("nowhere")
    assert "symbolic link to nowhere" in host.failure(host.git("link"), host.git("good"))
    assert host.registered() == {}
    assert not pathlib.Path(host.git("good")["dir"]).exists()


@needs_git
def test_a_new_environment_is_not_made_when_its_repository_is_refused(host: Host) -> None:
    directory = pathlib.Path(host.git()["dir"])
    directory.mkdir(parents=True)
    (directory / "file").touch()
    assert "no git repository" in host.failure(host.git())
    assert list(host.environments.iterdir()) == []


@needs_git
@pytest.mark.parametrize("empty", [True, False])
def test_a_repository_that_has_vanished_is_not_made_anew(host: Host, empty: bool) -> None:
    """A disk that is not mounted leaves an empty directory, or none."""
    host.changes(host.git("code"))
    directory = pathlib.Path(host.git("code")["dir"])
    shutil.rmtree(directory)
    if empty:
        directory.mkdir()
    assert "there is none at" in host.failure(host.git("code"))
    assert not (directory / "HEAD").exists()


@needs_git
def test_a_name_that_trac_ini_has_taken_is_refused(host: Host) -> None:
    config = {"repositories": {"code.dir": "/srv/git/code.git"}}
    host.changes(config=config)
    assert "code.dir: null" in host.failure(host.git("code"), config=config)


@needs_git
def test_a_component_that_is_switched_off_is_named(host: Host) -> None:
    host.repositories.mkdir()
    git_commit(host.git(), "first", create=True)
    config = {"components": {"tracopt.versioncontrol.git.*": "disabled"}}
    assert "no support for git, its component is not enabled" in host.failure(
        host.git(), config=config
    )


@needs_git
@needs_nobody
def test_what_the_account_may_not_read_or_write_is_named_with_the_remedy(
    open_directory: pathlib.Path,
) -> None:
    host = Host(open_directory)
    host.repositories.mkdir()
    git_commit(host.git("private"), "first", create=True)
    account = worker_process.Account("nobody", 65534, 65534)
    os.chown(host.environments, account.uid, account.gid)

    def failure(repository: Document) -> str:
        payload = host.payload(repository)
        events = list(worker_process.run(sys.executable, account, environment_worker, payload))
        assert events[-1] == {"event": "end"}
        (report,) = (event["report"] for event in events if event["event"] == "report")
        return t.cast("str", report["failure"])

    objects = pathlib.Path(host.git("private")["dir"]) / "objects"
    objects.chmod(0o700)
    said = failure(host.git("private"))
    assert (
        f"the account nobody is not allowed to read {objects} (it belongs to root, mode 700)"
        in said
    )
    assert f"setfacl -R -m u:nobody:rX,d:u:nobody:rX {objects}" in said
    host.repositories.chmod(0o700)
    said = failure(host.git("private"))
    assert f"not allowed to read {host.repositories} " in said
    assert f"setfacl -m u:nobody:x {host.repositories}" in said
    host.repositories.chmod(0o755)
    said = failure(host.git("new"))
    assert "the account nobody cannot create" in said
    assert f"it may not write into {host.repositories}, which belongs to root" in said
