# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the doctor says of an environment's files: each fault by its own cause, and no other."""

from __future__ import annotations

import os
import pathlib
import pwd
import shutil
import typing as t

import pytest

from ansible_collections.trac.mod_wsgi.plugins.module_utils._doctor import files as doctor_files
from ansible_collections.trac.mod_wsgi.plugins.module_utils._doctor import paths

NOBODY = pwd.getpwnam("nobody").pw_uid
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")


@pytest.fixture
def environment(tmp_path: pathlib.Path) -> pathlib.Path:
    path = tmp_path / "environments" / "project"
    for name in ("conf", "db", "log", "files", "htdocs", "plugins"):
        (path / name).mkdir(parents=True)
    (path / "VERSION").write_text("Trac Environment Version 1\n", encoding="utf-8")
    (path / "conf" / "trac.ini").write_text("[trac]\n", encoding="utf-8")
    return path


def check(path: pathlib.Path) -> list[tuple[str, str, str]]:
    """Check, status and all words of what is not well."""
    found = [
        doctor_files.check_existence(str(path)),
        *doctor_files.check_files(str(path)),
        doctor_files.check_ini(str(path)),
    ]
    return [
        (result.check, result.status, f"{result.seen} {result.means} {result.advice}")
        for result in found
        if result.status in ("failed", "warning")
    ]


def ini(path: pathlib.Path) -> pathlib.Path:
    return path / "conf" / "trac.ini"


def replaced(path: pathlib.Path, how: t.Callable[[pathlib.Path], object]) -> None:
    path.unlink()
    how(path)


def outside(path: pathlib.Path, uid: int = NOBODY) -> pathlib.Path:
    """A directory beside the environments that belongs to somebody else."""
    directory = path.parents[1] / "outside"
    directory.mkdir()
    (directory / "file").touch()
    for each in (directory, directory / "file"):
        os.chown(each, uid, -1)
    return directory


def linked(path: pathlib.Path, name: str, uid: int = NOBODY) -> None:
    target = outside(path, uid)
    place = path / name
    if place.is_dir():
        place.rmdir()
    place.symlink_to(target)


def test_a_sound_one(environment: pathlib.Path) -> None:
    assert check(environment) == []


CASES: list[tuple[str, t.Callable[[pathlib.Path], object], str, str]] = [
    (
        "no trac.ini",
        lambda path: ini(path).unlink(),
        "environment_files",
        "trac.ini does not exist",
    ),
    (
        "no conf",
        lambda path: shutil.rmtree(path / "conf"),
        "environment_files",
        "trac.ini does not exist",
    ),
    (
        "trac.ini is a directory",
        lambda path: replaced(ini(path), pathlib.Path.mkdir),
        "environment_files",
        "is a directory, not a file",
    ),
    (
        "trac.ini is a FIFO",
        lambda path: replaced(ini(path), os.mkfifo),
        "environment_files",
        "is a FIFO, not a file: who opens it waits for ever",
    ),
    (
        "trac.ini leads nowhere",
        lambda path: replaced(ini(path), lambda place: place.symlink_to("/nonexistent/x")),
        "environment_files",
        "leads to /nonexistent/x (No such file or directory)",
    ),
    (
        "trac.ini leads to itself",
        lambda path: replaced(ini(path), lambda place: place.symlink_to("trac.ini")),
        "environment_files",
        "Too many levels of symbolic links",
    ),
    (
        "VERSION is a FIFO",
        lambda path: replaced(path / "VERSION", os.mkfifo),
        "environments",
        "VERSION is a FIFO",
    ),
    (
        "VERSION is a directory",
        lambda path: replaced(path / "VERSION", pathlib.Path.mkdir),
        "environments",
        "VERSION is a directory",
    ),
    (
        "VERSION is empty",
        lambda path: (path / "VERSION").write_text("", encoding="utf-8"),
        "environments",
        "begins with ''",
    ),
    ("no VERSION", lambda path: (path / "VERSION").unlink(), "environments", "incomplete"),
]


@pytest.mark.parametrize(
    ("damage", "name", "words"), [case[1:] for case in CASES], ids=[case[0] for case in CASES]
)
def test_each_fault_by_its_cause(
    damage: t.Callable[[pathlib.Path], object], name: str, words: str, environment: pathlib.Path
) -> None:
    damage(environment)
    ((found, status, said),) = check(environment)
    assert (found, status) == (name, "failed")
    assert words in said
    assert "chown -R" not in said


@as_root
@pytest.mark.parametrize(
    ("name", "status"),
    [("htdocs", "warning"), ("plugins/x", "warning"), ("files/attachments", "warning")],
)
def test_links_to_what_somebody_else_owns(
    name: str, status: str, environment: pathlib.Path
) -> None:
    linked(environment, name)
    ((check_name, seen_status, said),) = check(environment)
    assert (check_name, seen_status) == ("environment_files", status)
    assert (
        f"{environment / name} leads to {environment.parents[1]}/outside, which belongs to" in said
    )
    assert "rm, not chown" in said
    assert "Backups, and the copy before an upgrade, refuse the environment" in said


@as_root
def test_links_to_what_the_account_owns(environment: pathlib.Path) -> None:
    linked(environment, "files/attachments", 0)
    (environment / "files" / "also").symlink_to(environment / "htdocs")
    assert check(environment) == []
    (result,) = doctor_files.check_files(str(environment))
    target = environment.parents[1] / "outside"
    assert result.status == "ok"
    assert result.seen.endswith(
        f"links that copies and backups follow: {environment}/files/attachments leads to {target}"
    )
    # What is wrong there is seen, too.
    (target / "more").symlink_to("gone")
    ((_name, status, said),) = check(environment)
    assert status == "failed"
    assert f"files/attachments/more leads to {target}/gone (No such file" in said


def frozen_below(monkeypatch: pytest.MonkeyPatch, directory: pathlib.Path) -> None:
    def is_read_only(path: str) -> bool:
        return path.startswith(str(directory))

    def access(path: str, mode: int) -> bool:
        return not (mode & os.W_OK and is_read_only(path))

    monkeypatch.setattr(paths, "is_read_only", is_read_only)
    monkeypatch.setattr(os, "access", access)


@pytest.mark.parametrize("name", ["", "db", "log"])
def test_a_read_only_file_system(
    name: str, environment: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    frozen_below(monkeypatch, environment / name)
    ((check_name, status, said),) = check(environment)
    assert (check_name, status) == ("environment_files", "failed")
    assert "is on a file system that is mounted read-only" in said
    assert "Owners and modes are not the cause" in said
    assert "chown -R" not in said


def test_proc_is_no_read_only_file_system_and_nothing_is_none() -> None:
    assert not paths.is_read_only("/proc")
    assert not paths.is_read_only("/nonexistent")
