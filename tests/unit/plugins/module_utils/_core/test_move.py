# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Directories that go to another file system."""

from __future__ import annotations

import errno
import os
import pathlib
import shutil
import typing as t

import pytest

from ansible_collections.trac.mod_wsgi.plugins.module_utils._core.move import move_directory


@pytest.fixture
def source(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> pathlib.Path:
    """A directory that cannot be renamed."""
    source = tmp_path / "here" / "project"
    (source / "empty").mkdir(parents=True)
    (source / "conf").mkdir()
    (source / "conf" / "trac.ini").write_text("[trac]\n")
    (source / "conf" / "trac.ini").chmod(0o640)
    (source / "link").symlink_to("/nowhere")
    os.mkfifo(source / "pipe")
    source.chmod(0o2750)
    (tmp_path / "there").mkdir()
    rename = os.rename

    def far_away(one: t.Any, other: t.Any, **more: t.Any) -> None:
        if str(one) == str(source):
            raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))
        rename(one, other, **more)

    monkeypatch.setattr(os, "rename", far_away)
    return source


def test_it_arrives_as_it_was(source: pathlib.Path, tmp_path: pathlib.Path) -> None:
    target = tmp_path / "there" / "kept"
    move_directory(str(source), str(target))
    assert not source.exists()
    assert os.listdir(target.parent) == ["kept"]
    assert sorted(os.listdir(target)) == ["conf", "empty", "link"]
    assert target.stat().st_mode & 0o7777 == 0o2750
    assert (target / "conf" / "trac.ini").stat().st_mode & 0o7777 == 0o640
    assert (target / "conf" / "trac.ini").read_text() == "[trac]\n"
    assert os.readlink(target / "link") == "/nowhere"


@pytest.mark.parametrize("change", ["write", "add", "remove"])
def test_what_changes_meanwhile_stays_where_it_is(
    source: pathlib.Path, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    copystat = shutil.copystat

    def changing(one: t.Any, other: t.Any, **more: t.Any) -> None:
        copystat(one, other, **more)
        if pathlib.Path(one).name == "conf":
            if change == "write":
                (source / "conf" / "trac.ini").write_text("[tracX\n")
            elif change == "add":
                (source / "conf" / "more").touch()
            else:
                (source / "conf" / "trac.ini").unlink()

    monkeypatch.setattr(shutil, "copystat", changing)
    with pytest.raises(OSError, match="it changed"):
        move_directory(str(source), str(tmp_path / "there" / "kept"))
    assert source.exists()
    assert os.listdir(tmp_path / "there") == []


def test_what_a_killed_move_left_is_removed_by_the_next(
    source: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    (tmp_path / "there" / ".kept.moving-abcd_123").mkdir(0o700)
    move_directory(str(source), str(tmp_path / "there" / "kept"))
    assert os.listdir(tmp_path / "there") == ["kept"]
