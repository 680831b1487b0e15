# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What directories lead to on a host, below a directory that stands for its root directory."""

from __future__ import annotations

import os
import pathlib
import typing as t

import pytest

from ansible_collections.trac.mod_wsgi.plugins.module_utils._core import directories
from ansible_collections.trac.mod_wsgi.plugins.module_utils._core.directories import (
    ARCHIVE,
    CACHE,
    CODE,
    ENVIRONMENTS,
    REPOSITORIES,
    ROOT,
    SERVED,
    Directory,
)
from ansible_collections.trac.mod_wsgi.plugins.module_utils._site.host_directories import (
    Account,
    Host,
    account_of,
    account_problems,
    problems,
    way,
)

TRAC = 54321  # a number that no account has

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="directories are given to others")


class Tree:
    """A host's directories, all of which belong to who runs the tests."""

    def __init__(self, root: pathlib.Path) -> None:
        self.root = root
        root.chmod(0o755)
        self.host = Host(Account(TRAC, frozenset({TRAC})), str(root), os.geteuid())

    def directory(self, path: str, owner: int | None = None, mode: int = 0o755) -> pathlib.Path:
        place = self.root / path[1:]
        for each in (*reversed(place.relative_to(self.root).parents), place.relative_to(self.root)):
            if not (self.root / each).exists():
                (self.root / each).mkdir()
                (self.root / each).chmod(0o755)
        place.chmod(mode)
        if owner is not None:
            os.chown(place, owner, owner)
            place.chmod(mode)
        return place

    def problem(self, name: str, path: str, use: str, account: str = "") -> str | None:
        found, _places = problems(self.host, [Directory(name, path, use, "/else", account)])
        return found[0] if found else None


@pytest.fixture
def tree(tmp_path: pathlib.Path) -> Tree:
    return Tree(tmp_path)


def test_links_are_followed_as_the_kernel_does(tree: Tree) -> None:
    tree.directory("/data/real")
    (tree.root / "data/link").symlink_to("real")
    (tree.root / "srv").symlink_to("/data/../data/link")
    steps = way("/srv//./x", str(tree.root))
    assert [step.path for step in steps] == ["/", "/data", "/data", "/data/real", "/data/real/x"]
    assert steps[-1].status is None


def test_a_loop_of_links_leads_nowhere(tree: Tree) -> None:
    (tree.root / "a").symlink_to("b")
    (tree.root / "b").symlink_to("a")
    assert way("/a/x", str(tree.root))[-1].status is None


@needs_root
def test_a_venv_through_a_link_into_the_account_s_directory(tree: Tree) -> None:
    tree.directory("/srv/environments", TRAC)
    tree.directory("/srv/environments/venv")
    tree.directory("/opt")
    (tree.root / "opt/trac").symlink_to("/srv/environments/venv")
    found = tree.problem("trac_runtime_venv", "/opt/trac", ROOT)
    assert found is not None
    assert found.startswith(
        "trac_runtime_venv is '/opt/trac', which leads to /srv/environments/venv, and root runs"
    )
    assert f"/srv/environments belongs to the account {TRAC}" in found
    assert "such as /else" in found


@needs_root
@pytest.mark.parametrize("theirs", ["", "/bin", "/lib/python3.11/site-packages"])
def test_a_venv_that_belongs_to_the_account(tree: Tree, theirs: str) -> None:
    for place in ("/opt/trac/bin", "/opt/trac/lib/python3.11/site-packages"):
        tree.directory(place)
    (tree.root / "opt/trac/bin/python").touch(0o755)
    (tree.root / "opt/trac/bin/python").chmod(0o755)
    assert tree.problem("trac_runtime_venv", "/opt/trac", ROOT) is None
    os.chown(tree.root / f"opt/trac{theirs}", TRAC, TRAC)
    found = tree.problem("trac_runtime_venv", "/opt/trac", ROOT)
    assert found is not None
    assert f"/opt/trac{theirs} belongs to" in found


def test_a_venv_whose_python_lies_where_all_can_write(tree: Tree) -> None:
    tree.directory("/opt/trac/bin")
    tree.directory("/tmp", mode=0o1777)
    (tree.root / "tmp/python").touch(0o755)
    (tree.root / "opt/trac/bin/python").symlink_to("/tmp/python")
    found = tree.problem("trac_runtime_venv", "/opt/trac", ROOT)
    assert found is not None
    assert "every account can write to /tmp" in found


@pytest.mark.parametrize("use", [ROOT, ARCHIVE, ENVIRONMENTS, REPOSITORIES, CACHE, SERVED, CODE])
def test_world_writable_is_refused_for_all(tree: Tree, use: str) -> None:
    tree.directory("/open", mode=0o1777)
    found = tree.problem("trac_x", "/open/a", use)
    assert found is not None
    assert "every account can write to /open" in found


@needs_root
def test_a_directory_that_a_group_can_write_to(tree: Tree) -> None:
    tree.directory("/data", mode=0o775)
    assert tree.problem("trac_site_dir", "/data/sites", ROOT) is None  # root's own group
    os.chown(tree.root / "data", 0, TRAC)
    found = tree.problem("trac_site_dir", "/data/sites", ROOT)
    assert found is not None
    assert f"the group {TRAC} can write to /data" in found
    assert tree.problem("trac_site_document_root", "/data/x", SERVED) is not None


@needs_root
def test_the_document_root_may_belong_to_others_but_not_to_the_account(tree: Tree) -> None:
    tree.directory("/var/www/html", 33)
    assert tree.problem("trac_site_document_root", "/var/www/html", SERVED) is None
    os.chown(tree.root / "var/www", TRAC, TRAC)
    assert tree.problem("trac_site_document_root", "/var/www/html", SERVED) is not None


@needs_root
def test_the_home_may_have_been_the_account_s_but_not_what_it_lies_in(tree: Tree) -> None:
    home = tree.directory("/home/trac", TRAC)
    assert tree.problem("trac_runtime_home", "/home/trac", ROOT) is None
    (home / "plugins").symlink_to("/etc")
    assert tree.problem("trac_runtime_home", "/home/trac", ROOT) is not None
    (home / "plugins").unlink()
    os.chown(tree.root / "home", TRAC, TRAC)
    assert tree.problem("trac_runtime_home", "/home/trac", ROOT) is not None


class TestEnvironments:
    """The directory that is given to the account."""

    PATH = "/srv/trac/environments"

    def problem(self, tree: Tree, use: str = ENVIRONMENTS) -> str | None:
        return tree.problem("trac_environments_dir", self.PATH, use)

    def test_it_may_be_missing(self, tree: Tree) -> None:
        assert self.problem(tree) is None
        _found, places = problems(tree.host, [Directory("a", self.PATH + "/", ENVIRONMENTS)])
        assert places == {"a": {"exists": False, "parent_exists": False, "held": True}}
        tree.directory("/srv/trac")
        _found, places = problems(tree.host, [Directory("a", self.PATH + "/.", ENVIRONMENTS)])
        assert places == {"a": {"exists": False, "parent_exists": True, "held": True}}

    def test_it_may_be_a_new_file_system(self, tree: Tree) -> None:
        tree.directory(f"{self.PATH}/lost+found", mode=0o700)
        assert self.problem(tree) is None

    def test_not_somebody_s_data(self, tree: Tree) -> None:
        tree.directory(f"{self.PATH}/photos")
        found = self.problem(tree)
        assert found is not None
        assert "which holds no environments" in found
        assert "or to belong to the account that Trac runs as" in found

    def test_nor_files(self, tree: Tree) -> None:
        (tree.directory(self.PATH) / "passwd").touch()
        assert self.problem(tree) is not None

    def test_environments_of_before_are_adopted(self, tree: Tree) -> None:
        tree.directory(f"{self.PATH}/photos")
        tree.directory(f"{self.PATH}/project/conf")
        (tree.root / f"{self.PATH[1:]}/project/VERSION").touch()
        assert self.problem(tree) is None

    @needs_root
    def test_the_account_s_own_stays_its_own(self, tree: Tree) -> None:
        tree.directory(f"{self.PATH}/anything", TRAC)
        os.chown(tree.root / self.PATH[1:], TRAC, TRAC)
        assert self.problem(tree) is None

    @needs_root
    def test_one_in_the_account_s_home_is_there_already_and_left_alone(self, tree: Tree) -> None:
        tree.directory("/srv/trac", TRAC)
        found = self.problem(tree)
        assert found is not None  # root would make it where the account can put a link
        assert "and root makes it or gives it away, but /srv/trac belongs to" in found
        tree.directory(self.PATH, TRAC)
        assert self.problem(tree) is None
        _found, places = problems(tree.host, [Directory("a", self.PATH, ENVIRONMENTS)])
        assert places["a"]["held"] is False
        assert self.problem(tree, ARCHIVE) is not None

    @needs_root
    def test_repositories_of_somebody_else(self, tree: Tree) -> None:
        tree.directory(f"{self.PATH}/project/code.git/objects", 1000)
        assert self.problem(tree, REPOSITORIES) is not None
        tree.directory(f"{self.PATH}/project/code.git/refs")
        (tree.root / f"{self.PATH[1:]}/project/code.git/HEAD").touch()
        assert self.problem(tree, REPOSITORIES) is None

    def test_a_file_in_its_place(self, tree: Tree) -> None:
        (tree.directory("/srv/trac") / "environments").touch()
        found = self.problem(tree)
        assert found is not None
        assert "which is no directory" in found


@needs_root
class TestEggCache:
    """Only what role trac_site has made is handed from one account to another."""

    def problem(self, tree: Tree, path: str = "/data/eggs") -> str | None:
        return tree.problem("trac_sites[0].egg_cache", path, CACHE, "nobody")

    def record(self, tree: Tree, text: str, owner: int = 0) -> None:
        record = tree.directory("/var/cache/trac") / "trac.egg-cache"
        record.write_text(text)
        os.chown(record, owner, owner)

    def test_another_account_s_directory(self, tree: Tree) -> None:
        tree.directory("/data/eggs", TRAC)
        found = self.problem(tree)
        assert found is not None
        assert found.startswith(
            "trac_sites[0].egg_cache is '/data/eggs', a directory of the account"
        )
        assert "which no run of this role has made" in found
        assert "belong to nobody" in found

    def test_one_that_the_role_has_made(self, tree: Tree) -> None:
        tree.directory("/data/eggs", TRAC)
        self.record(tree, "/data//eggs/\n")
        assert self.problem(tree) is None

    def test_a_record_that_another_account_has_written(self, tree: Tree) -> None:
        tree.directory("/data/eggs", TRAC)
        self.record(tree, "/data/eggs\n", owner=TRAC)
        assert self.problem(tree) is not None

    def test_one_in_the_role_s_own_directory(self, tree: Tree) -> None:
        tree.directory("/var/cache/trac/trac", TRAC)
        assert self.problem(tree, "/var/cache/trac/trac") is None

    def test_one_that_the_account_could_replace(self, tree: Tree) -> None:
        tree.directory("/home/trac", TRAC)
        assert self.problem(tree, "/home/trac/eggs") is not None


def test_accounts_by_their_numbers() -> None:
    found = account_problems({"a_user": "daemon", "b_group": "daemon", "c_user": "no-such-account"})
    assert found[0].startswith(
        "a_user is 'daemon', an account of the system on this host (its number"
    )
    assert found[1].startswith(
        "b_group is 'daemon', a group of the system on this host (its number"
    )
    assert "with a number of 100 or more" in found[0]
    assert len(found) == 2


def test_an_account_that_is_yet_to_come() -> None:
    assert account_of("no-such-account", "no-such-group") == Account(-1, frozenset())
    assert 0 in account_of("root", "root").gids


def test_all_uses_are_known_to_the_module() -> None:
    from ansible_collections.trac.mod_wsgi.plugins.modules import directories_info

    known: list[t.Any] = [use for use, _example in directories.VARIABLES.values()]
    assert set(known) | {CACHE} == set(directories_info._USES)
