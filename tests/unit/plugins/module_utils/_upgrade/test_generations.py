# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Virtual environments beside each other, whatever a run was killed at."""

from __future__ import annotations

import errno
import os
import pathlib
import typing as t

import pytest

from ansible_collections.trac.mod_wsgi.plugins.module_utils._upgrade.generations import (
    GenerationError,
    Generations,
)


class Host:
    """A path with a virtual environment, and a directory of single-file plugins."""

    def __init__(self, directory: pathlib.Path) -> None:
        self.venv = directory / "trac"
        self.plugins = directory / "plugins"
        self.generations = Generations(str(self.venv), str(self.plugins))

    def make(self, path: str | os.PathLike[str], text: str) -> None:
        """Something that can be told from others."""
        directory = pathlib.Path(path)
        (directory / "bin").mkdir(parents=True, exist_ok=True)
        (directory / "bin" / "python").write_text(text)

    def used(self) -> str:
        return (self.venv / "bin" / "python").read_text()

    def numbers(self) -> list[str]:
        return sorted(os.listdir(f"{self.venv}-generations"))

    def plugin_texts(self) -> dict[str, str]:
        return {path.name: path.read_text() for path in self.plugins.iterdir()}

    def upgrade(self, text: str) -> str:
        """All steps; returns the new generation."""
        self.generations.prepare()
        old, new = self.generations.home_of_current(), self.generations.next()
        self.make(new, text)
        self.generations.take_over()
        self.generations.save_plugins(old)
        self.generations.switch(new)
        self.generations.prune([old, new])
        return new


@pytest.fixture
def host(tmp_path: pathlib.Path) -> Host:
    """A host whose virtual environment is a directory, as role trac_runtime makes it."""
    host = Host(tmp_path)
    host.make(host.venv, "first")
    return host


def test_a_missing_one_is_named(tmp_path: pathlib.Path) -> None:
    with pytest.raises(GenerationError, match="no virtual environment at .*trac"):
        Host(tmp_path).generations.current()


def test_a_foreign_link_is_refused(tmp_path: pathlib.Path) -> None:
    host = Host(tmp_path)
    host.make(tmp_path / "elsewhere", "foreign")
    host.venv.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(GenerationError, match="not a number"):
        host.generations.current()


def test_the_first_upgrade_takes_the_directory_over(host: Host) -> None:
    assert host.upgrade("second").endswith("/trac-generations/2")
    assert (host.used(), host.numbers()) == ("second", ["1", "2"])
    assert os.path.islink(host.venv)


def test_only_the_one_before_is_kept(host: Host) -> None:
    for text in ("second", "third", "fourth"):
        host.upgrade(text)
    assert (host.used(), host.numbers()) == ("fourth", ["3", "4"])


def test_the_way_back_is_a_switch(host: Host) -> None:
    new = host.upgrade("second")
    host.generations.switch(f"{host.venv}-generations/1")
    assert host.used() == "first"
    assert host.generations.remove(new) == [new]
    assert host.numbers() == ["1"]


def test_the_one_in_use_is_never_removed(host: Host) -> None:
    new = host.upgrade("second")
    assert host.generations.remove(new) == []
    assert new not in host.generations.prune([])
    assert host.used() == "second"


def test_what_a_failed_run_left_is_removed(host: Host) -> None:
    host.upgrade("second")
    host.make(f"{host.venv}-generations/3", "half")
    host.make(f"{host.venv}-generations/4", "older half")
    removed = host.generations.prepare()
    assert [path.rpartition("/")[2] for path in removed] == ["3", "4"]
    assert host.generations.next().endswith("/3")
    assert host.used() == "second"


@pytest.mark.parametrize("rest", [True, False])
def test_a_take_over_that_was_killed_is_repaired(host: Host, rest: bool) -> None:
    """The directory was copied, and not or not wholly removed; or moved, without a link."""
    host.make(f"{host.venv}-generations/1", "first")
    (host.venv / "bin" / "python").unlink()
    if not rest:
        os.rmdir(host.venv / "bin")
        os.rmdir(host.venv)
    assert host.generations.repair() is True
    assert host.used() == "first"
    assert host.generations.repair() is False


def test_without_a_first_generation_nothing_is_repaired(host: Host) -> None:
    assert host.generations.repair() is False
    assert host.used() == "first"


def test_a_directory_that_cannot_be_renamed_is_copied(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    (host.venv / "lib64").symlink_to("lib")
    rename = os.rename

    def no_rename(source: str, target: str) -> None:
        if source == str(host.venv):
            raise OSError(errno.EXDEV, "Invalid cross-device link")
        rename(source, target)

    monkeypatch.setattr("os.rename", no_rename)
    host.upgrade("second")
    first = pathlib.Path(f"{host.venv}-generations/1")
    assert (first / "bin" / "python").read_text() == "first"
    assert os.readlink(first / "lib64") == "lib"
    assert host.used() == "second"


class TestPlugins:
    """Single files, which are not in the virtual environment."""

    @pytest.fixture
    def upgraded(self, host: Host) -> tuple[Host, str, str]:
        host.plugins.mkdir()
        (host.plugins / "ours.py").write_text("old")
        (host.plugins / "other.py").write_text("other")
        host.generations.prepare()
        old, new = host.generations.home_of_current(), host.generations.next()
        host.make(new, "second")
        pathlib.Path(host.generations.plugins_of(new), "ours.py").write_text("new")
        pathlib.Path(host.generations.plugins_of(new), "more.py").write_text("more")
        return host, old, new

    def test_nothing_live_changes_before_the_switch(self, upgraded: tuple[Host, str, str]) -> None:
        assert upgraded[0].plugin_texts() == {"ours.py": "old", "other.py": "other"}

    def test_they_come_with_the_switch_and_go_back_with_it(
        self, upgraded: tuple[Host, str, str]
    ) -> None:
        host, old, new = upgraded
        host.generations.take_over()
        host.generations.save_plugins(old)
        host.generations.switch(new)
        expected = {"ours.py": "new", "other.py": "other", "more.py": "more"}
        assert host.plugin_texts() == expected
        for _again in range(2):
            host.generations.switch(old, back_from=new)
            assert host.plugin_texts() == {"ours.py": "old", "other.py": "other"}
            assert host.used() == "first"

    def test_a_switch_back_that_was_killed_can_be_repeated(
        self, upgraded: tuple[Host, str, str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """As long as the link leads to the new one, the files of the old one are put back again."""
        host, old, new = upgraded
        host.generations.take_over()
        host.generations.save_plugins(old)
        host.generations.switch(new)

        def killed(_self: t.Any, _path: str) -> None:
            raise KeyboardInterrupt

        with monkeypatch.context() as patch:
            patch.setattr(Generations, "_point_to", killed)
            with pytest.raises(KeyboardInterrupt):
                host.generations.switch(old, back_from=new)
        assert host.generations.current() == new
        host.generations.switch(old, back_from=new)
        assert (host.used(), host.plugin_texts()["ours.py"]) == ("first", "old")
