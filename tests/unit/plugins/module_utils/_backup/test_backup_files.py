# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Names, checksums and rotation of backups."""

from __future__ import annotations

import hashlib
import json
import os
import pathlib
import subprocess
import typing as t

import pytest

from ansible_collections.trac.mod_wsgi.plugins.module_utils._backup import backup_files
from ansible_collections.trac.mod_wsgi.plugins.module_utils._backup.backup_files import (
    BackupFailure,
)

DAY = 86400
CONTENT = b"an archive"
MANIFEST: dict[str, t.Any] = {
    "format": 1,
    "name": "project",
    "database": {"kind": "sqlite", "file": "db/trac.db", "schema": None},
    "rows": {"ticket": 1},
    "attachments": {"files": 0, "bytes": 0},
    "files": 1,
    "bytes": 1,
    "archive": {"size": len(CONTENT), "sha256": hashlib.sha256(CONTENT).hexdigest()},
}


def written(directory: pathlib.Path, name: str = "project") -> backup_files.Backup:
    writer = backup_files.Writer(str(directory), name, len(CONTENT))
    writer.write(CONTENT)
    digest = hashlib.sha256(CONTENT).hexdigest()
    backup = writer.finish({**MANIFEST, "name": name}, digest)
    writer.discard()  # does nothing to what is complete
    return backup


def aged(directory: pathlib.Path, *stamps: str, name: str = "project") -> None:
    for stamp in stamps:
        for ending in (".tar.gz", ".json", ".sha256"):
            (directory / f"{name}-{stamp}{ending}").write_bytes(b"")


@pytest.mark.parametrize(
    ("name", "good"),
    [
        ("project", True),
        ("My_Project.2", True),
        ("größer", True),
        ("", False),
        (".hidden", False),
        ("-option", False),
        ("..", False),
        ("a/b", False),
        ("a\nb", False),
        ("x" * 151, False),
    ],
)
def test_names_that_files_can_have(name: str, good: bool) -> None:
    assert backup_files.is_name(name) == good


@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("project-20270131T120000Z.tar.gz", "project"),
        ("a-20270131T120000Z-20270131T120000Z.tar.gz", "a-20270131T120000Z"),
        ("project-20271331T120000Z.tar.gz", None),
        ("project-20270131T120000Z.tar", None),
        (".x-20270131T120000Z.tar.gz", None),
        ("project.tar.gz", None),
    ],
)
def test_what_the_name_of_an_archive_says(file: str, name: str | None) -> None:
    backup = backup_files.parse(f"/backups/{file}")
    assert (backup.name if backup else None) == name
    if backup:
        assert backup.made == 1801396800


def test_a_backup_is_checked_by_common_tools(tmp_path: pathlib.Path) -> None:
    backup = written(tmp_path)
    assert sorted(os.listdir(tmp_path)) == sorted(map(os.path.basename, backup.files))
    for each in backup.files:
        assert os.stat(each).st_mode & 0o777 == 0o600
    checked = subprocess.run(
        ["sha256sum", "--check", "--strict", backup_files.beside(backup.path, ".sha256")],
        cwd=tmp_path,
        check=True,
        capture_output=True,
        text=True,
    )
    assert checked.stdout.count(": OK\n") == 2
    file, manifest = backup_files.opened(backup.path)
    with file:
        assert (file.read(), manifest["rows"]) == (CONTENT, {"ticket": 1})


def test_what_arrives_damaged_gets_no_name(tmp_path: pathlib.Path) -> None:
    writer = backup_files.Writer(str(tmp_path), "project", len(CONTENT))
    writer.write(CONTENT)
    with pytest.raises(BackupFailure, match="not what was sent"):
        writer.finish({"format": 1}, "0" * 64)
    assert backup_files.complete(str(tmp_path)) == []
    writer.discard()
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(
    ("ending", "content", "why"),
    [
        (".tar.gz", b"another archive", "damaged or has been changed"),
        (".tar.gz", CONTENT[:-1], "damaged or has been changed"),
        (".json", b"{}", "checksum of .*json is wrong"),
        (".sha256", b"", "checksum of .*json is wrong"),
        (".sha256", None, "cannot be read: No such file"),
        (".tar.gz", None, "cannot be read: No such file"),
    ],
)
def test_a_damaged_backup_is_not_opened(
    tmp_path: pathlib.Path, ending: str, content: bytes | None, why: str
) -> None:
    backup = written(tmp_path)
    path = pathlib.Path(backup_files.beside(backup.path, ending))
    path.unlink()
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(BackupFailure, match=why):
        backup_files.opened(backup.path)


@pytest.mark.parametrize(
    ("manifest", "why"),
    [
        ({"format": 2, "name": "project", "rows": {}}, "has the format 2, and only 1"),
        ({"format": 1, "name": "../project", "rows": {}}, "no manifest"),
        ({"format": 1, "rows": {}}, "no manifest"),
        ([], "no manifest of a backup: it is no dictionary"),
        ({**MANIFEST, "bytes": None}, "no manifest of a backup: its 'bytes' is not what"),
        ({k: v for k, v in MANIFEST.items() if k != "attachments"}, "it has no 'attachments'"),
        ({**MANIFEST, "rows": {"ticket": "1"}}, "its 'rows' is not what it should be"),
        ({**MANIFEST, "database": {"kind": "sqlite"}}, "its 'database' is not what it should be"),
    ],
)
def test_a_manifest_of_another_kind_is_refused(
    tmp_path: pathlib.Path, manifest: object, why: str
) -> None:
    backup = written(tmp_path)
    text = json.dumps(manifest)
    name = backup_files.beside(backup.path, ".json")
    pathlib.Path(name).write_text(text)
    sums = f"{hashlib.sha256(text.encode()).hexdigest()}  {os.path.basename(name)}\n"
    pathlib.Path(backup_files.beside(backup.path, ".sha256")).write_text(sums)
    with pytest.raises(BackupFailure, match=why):
        backup_files.opened(backup.path)


def test_two_backups_in_one_second_are_two(tmp_path: pathlib.Path) -> None:
    assert written(tmp_path).path != written(tmp_path).path
    assert len(backup_files.complete(str(tmp_path))) == 2


def test_only_complete_backups_count(tmp_path: pathlib.Path) -> None:
    aged(tmp_path, "20270131T120000Z", "20270130T120000Z")
    aged(tmp_path, "20270129T120000Z", name="other")
    (tmp_path / "project-20270131T120000Z.sha256").unlink()
    newest = backup_files.newest(str(tmp_path), "project")
    assert newest.path.endswith("project-20270130T120000Z.tar.gz")
    with pytest.raises(BackupFailure, match="no backup of it"):
        backup_files.newest(str(tmp_path), "proj")
    with pytest.raises(BackupFailure, match="no backup of it"):
        backup_files.newest(str(tmp_path / "missing"), "project")


def test_what_a_killed_run_left_is_removed_and_nothing_else(tmp_path: pathlib.Path) -> None:
    aged(tmp_path, "20270131T120000Z", "20270130T120000Z")
    (tmp_path / "project-20270131T120000Z.sha256").unlink()
    (tmp_path / ".project-20270201T120000Z.tar.gz.01234567.partial").write_bytes(b"x")
    for name in ("notes.json", "other.tar.gz", ".profile"):
        (tmp_path / name).write_bytes(b"mine")
    left = [
        ".project-20270201T120000Z.tar.gz.01234567.partial",
        "project-20270131T120000Z.json",
        "project-20270131T120000Z.tar.gz",
    ]
    assert backup_files.remove_partial(str(tmp_path)) == left
    kept = sorted(os.listdir(tmp_path))
    assert kept == [
        ".profile",
        "notes.json",
        "other.tar.gz",
        "project-20270130T120000Z.json",
        "project-20270130T120000Z.sha256",
        "project-20270130T120000Z.tar.gz",
    ]


@pytest.mark.parametrize(
    ("ages", "keep_days", "keep_last", "removed"),
    [
        ([0, 1, 2, 3], 2, 1, [2, 3]),  # by age
        ([0, 1, 2, 3], 0, 2, [2, 3]),  # by count
        ([0, 40, 50, 60], 30, 3, [60]),  # few, and old: the newest stay
        ([40, 50], 30, 1, [50]),
        ([40], 0, 1, []),  # never the last one
        ([40], 0, 0, []),
        ([0, 1, 2], 30, 1, []),  # many, but young
        ([], 0, 1, []),
    ],
)
def test_rotation(ages: list[int], keep_days: int, keep_last: int, removed: list[int]) -> None:
    now = 1000.0 * DAY
    backups = [
        backup_files.Backup("project", now - age * DAY - (age > 0), f"/{age}") for age in ages
    ]
    others = [backup_files.Backup("other", 0, "/other")]
    gone = backup_files.superfluous(others + backups, "project", keep_days, keep_last, now)
    assert [int(backup.path[1:]) for backup in gone] == removed


def test_a_directory_that_others_can_reach_is_refused(tmp_path: pathlib.Path) -> None:
    directory = tmp_path / "backups"
    with pytest.raises(BackupFailure, match="there is no directory"):
        backup_files.check_directory(str(directory))
    directory.mkdir(0o700)
    backup_files.check_directory(str(directory))
    directory.chmod(0o750)
    with pytest.raises(BackupFailure, match="closed to others"):
        backup_files.check_directory(str(directory))
    link = tmp_path / "link"
    link.symlink_to(directory)
    with pytest.raises(BackupFailure, match="is no directory"):
        backup_files.check_directory(str(link))
