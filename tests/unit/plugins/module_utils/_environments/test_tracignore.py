# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What Trac's project index shows, by Trac's own reading of .tracignore."""

from __future__ import annotations

import os
import pathlib
import stat

import pytest

from ansible_collections.trac.mod_wsgi.plugins.module_utils._environments import tracignore

pytest.importorskip("trac.env")

BLOCK = f"{tracignore.BEGIN}\n%s{tracignore.END}\n"

STRANGE = [
    "[a]",
    "[!a]",
    "*",
    "?",
    "a*b",
    "a[",
    "a]",
    "#x",
    "# x",
    " x",
    "x ",
    "\tx\t",
    "a\nb",
    "a\u2028b",
    "\n",
    "Größe 漢字",
    "back\\slash",
    "quote'\"",
    "lost+found",
    "svn",
    os.fsdecode(b"caf\xe9"),
]
ENVIRONMENTS = ["a", "ab", "b", "svns", "project", "a-b", "x", "aXb"]


class Parent:
    """The directory of environments."""

    def __init__(self, path: pathlib.Path) -> None:
        self.path = path
        self.file = path / ".tracignore"

    def environment(self, *names: str) -> None:
        for name in names:
            (self.path / name).mkdir(exist_ok=True)
            (self.path / name / "VERSION").write_text("Trac Environment Version 1\n")

    def directory(self, *names: str) -> None:
        for name in names:
            (self.path / name).mkdir()

    def update(self, *ignore: str, wanted: tuple[str, ...] = ()) -> str:
        """Update; check mode has to say the same before, and no second run changes anything."""
        predicted = tracignore.update(str(self.path), ignore, wanted, check=True)
        assert (self.file.read_bytes().decode() if self.file.exists() else None) == predicted.before
        done = tracignore.update(str(self.path), ignore, wanted, check=False)
        assert done == predicted
        text = self.file.read_bytes().decode() if self.file.exists() else None
        assert text == done.after
        again = tracignore.update(str(self.path), ignore, wanted, check=False)
        assert again.before == again.after == text
        return text or ""

    def index(self) -> list[str]:
        """What Trac shows."""
        from trac.web.main import get_environments

        return sorted(get_environments({"trac.env_parent_dir": str(self.path)}))


@pytest.fixture
def parent(tmp_path: pathlib.Path) -> Parent:
    return Parent(tmp_path)


def test_only_environments_are_shown(parent: Parent) -> None:
    parent.environment(*ENVIRONMENTS)
    parent.directory(*STRANGE, ".git", "svn.backup")
    assert len(parent.index()) == len(ENVIRONMENTS) + len(STRANGE) + 1
    parent.update()
    assert parent.index() == sorted(ENVIRONMENTS)


@pytest.mark.parametrize("name", STRANGE)
def test_a_name_hides_itself_only(parent: Parent, name: str) -> None:
    parent.directory(name)
    parent.update()
    assert parent.index() == []
    for other in ("", "a", "ab", "b", "x", "xx", "a-b", "svns"):
        parent.environment(f"{name}{other}x", *filter(None, [other]))
    parent.update()
    assert len(parent.index()) >= 7


def test_environments_with_strange_names_stay(parent: Parent) -> None:
    parent.environment("é", ".x")
    parent.directory("\n", ".y", "svn")
    parent.file.write_text("# ours\n")
    parent.update()
    assert {"é", ".x"} <= set(parent.index()) <= {"é", ".x", "\n"}
    parent.file.unlink()  # Trac itself hides .x then
    parent.update()
    assert {"é"} <= set(parent.index()) <= {"é", "\n"}


def test_a_new_file(parent: Parent) -> None:
    parent.environment("project")
    parent.directory("svn")
    assert parent.update("cvs*") == BLOCK % ".*\ncvs*\nsvn\n"
    parent.directory("cvs.old")
    parent.update("cvs*")
    assert parent.index() == ["project"]


def test_lines_of_the_user_stay(parent: Parent) -> None:
    parent.directory("svn", "old-1", "old-2", "hooks")
    own = "# ours\r\n  old-*  \r\n\r\n#.*\r\nsvn\r\n# the end, without a line break"
    parent.file.write_bytes(own.encode())
    text = parent.update()
    assert text == f"{own}\n" + BLOCK % ".*\nhooks\n"
    # Also what is written below the block, later.
    parent.file.write_bytes((text + "mine\n").encode())
    (parent.path / "hooks").rmdir()
    assert parent.update() == f"{own}\nmine\n" + BLOCK % ".*\n"


def test_nothing_is_added_to_a_file_that_is_complete(parent: Parent) -> None:
    parent.directory("svn")
    parent.file.write_text(".*\ns?n\n")
    assert parent.update("s?n") == ".*\ns?n\n"
    parent.file.write_text(".*\nsvn\n" + BLOCK % "svn\n")
    assert parent.update() == ".*\nsvn\n"


def test_a_directory_that_becomes_an_environment_is_shown(parent: Parent) -> None:
    parent.directory("later", "svn")
    parent.update()
    assert parent.index() == []
    # Before it is created, so that it is to be seen at once ...
    parent.update(wanted=("later",))
    assert parent.index() == ["later"]
    # ... and when somebody else created it.
    parent.update()
    parent.environment("svn")
    parent.update()
    assert parent.index() == ["svn"]


def test_what_cannot_be_looked_into_may_be_an_environment(
    parent: Parent, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.stat

    def closed(path: str, **arguments: object) -> os.stat_result:
        if str(path).endswith("/VERSION"):
            raise PermissionError(13, "Permission denied", path)
        return real(path, **arguments)  # type: ignore[arg-type]

    parent.directory("project", "lost+found")
    monkeypatch.setattr(os, "stat", closed)
    assert parent.update() == BLOCK % ".*\nlost+found\n"


def test_links(parent: Parent, tmp_path_factory: pytest.TempPathFactory) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    (elsewhere / "VERSION").write_text("Trac Environment Version 1\n")
    (parent.path / "project").symlink_to(elsewhere)
    (parent.path / "svn").symlink_to("/")
    (parent.path / "nowhere").symlink_to("/nonexistent")
    assert parent.update() == BLOCK % ".*\nsvn\n"
    assert parent.index() == ["project"]


@pytest.mark.parametrize("pattern", ["", " ", " a", "a ", "#a", "a\nb", "a\u2028", "caf\udce9"])
def test_what_is_no_pattern(parent: Parent, pattern: str) -> None:
    with pytest.raises(tracignore.IgnoreFailure, match=r"is no pattern for \.tracignore"):
        parent.update(pattern)
    assert not parent.file.exists()


@pytest.mark.parametrize("pattern", ["*", "pro*", "project", "[p]roject", "[!.]*"])
def test_a_pattern_that_hides_an_environment_is_refused(parent: Parent, pattern: str) -> None:
    parent.environment("project")
    parent.directory("svn")
    with pytest.raises(tracignore.IgnoreFailure, match="would hide the environment project"):
        parent.update("svn", pattern)
    assert not parent.file.exists()


def test_a_file_that_trac_cannot_read_is_named(parent: Parent) -> None:
    parent.file.write_bytes(b"caf\xe9\n")
    with pytest.raises(tracignore.IgnoreFailure, match="is not UTF-8"):
        parent.update()
    assert parent.file.read_bytes() == b"caf\xe9\n"


def test_the_file_keeps_its_mode(parent: Parent) -> None:
    parent.file.write_text("x\n")
    parent.file.chmod(0o640)
    parent.update()
    assert stat.S_IMODE(parent.file.stat().st_mode) == 0o640
    assert [path.name for path in parent.path.iterdir()] == [".tracignore"]


def test_a_directory_that_is_not_there_yet(tmp_path: pathlib.Path) -> None:
    update = tracignore.update(str(tmp_path / "missing"), ["x"], ["project"], check=True)
    assert update == (None, BLOCK % ".*\nx\n", [".*", "x"])


def test_no_file_without_need(parent: Parent) -> None:
    parent.environment("project")
    parent.directory(".git")
    parent.update()
    assert not parent.file.exists()
    assert parent.index() == ["project"]
