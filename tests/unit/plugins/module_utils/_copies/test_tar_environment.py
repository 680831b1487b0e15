# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Packing environments, and unpacking what may have been made to do harm."""

from __future__ import annotations

import gzip
import io
import os
import pathlib
import tarfile
import typing as t

import pytest

from ansible_collections.trac.mod_wsgi.plugins.module_utils._copies import tar_environment
from ansible_collections.trac.mod_wsgi.plugins.module_utils._copies.tar_environment import (
    ArchiveFailure,
)

LARGE = 1 << 30


@pytest.fixture
def environment(tmp_path: pathlib.Path) -> pathlib.Path:
    """A directory with everything that can be in an environment."""
    root = tmp_path / "environment"
    (root / "files" / "größer – x").mkdir(parents=True)
    (root / "empty").mkdir(0o700)
    (root / "VERSION").write_text("Trac")
    (root / "files" / "größer – x" / "photo").write_bytes(os.urandom(3_000_000))
    os.link(root / "VERSION", root / "files" / "same")
    (root / "nothing").write_bytes(b"")
    (root / "outside").symlink_to("/etc/passwd")
    (root / "hook").write_text("#!/bin/sh\n")
    (root / "hook").chmod(0o750)
    (root / "empty").chmod(0o2770)
    os.utime(root / "VERSION", (1_000_000_000, 1_000_000_000))
    return root


def contents(root: pathlib.Path) -> dict[str, t.Any]:
    found: dict[str, t.Any] = {}
    for path in sorted(root.rglob("*")):
        status = path.lstat()
        if path.is_symlink():
            found[str(path.relative_to(root))] = os.readlink(path)
        else:
            content = path.read_bytes() if path.is_file() else None
            found[str(path.relative_to(root))] = (status.st_mode, int(status.st_mtime), content)
    return found


def test_what_was_packed_comes_out(environment: pathlib.Path, tmp_path: pathlib.Path) -> None:
    archive, target = tmp_path / "archive", tmp_path / "target"
    packed = tar_environment.pack(str(environment), "my project", str(archive))
    assert packed.size == archive.stat().st_size
    assert len(packed.names) == 5
    for path in (environment / "VERSION", environment / "hook", environment / "nothing"):
        path.chmod(path.stat().st_mode & ~0o007)  # others lose access
    for path in (environment / "files", environment / "files" / "größer – x"):
        path.chmod(0o750)
    (environment / "files" / "größer – x" / "photo").chmod(0o640)
    with archive.open("rb") as file:
        tar_environment.unpack(file, "my project", str(target), packed.bytes)
    assert contents(target) == contents(environment)


def test_a_bad_copy_of_a_file_is_noticed(
    environment: pathlib.Path, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = tar_environment._copy
    monkeypatch.setattr(tar_environment, "_copy", lambda *args: copy(*args)[::-1])
    with pytest.raises(ArchiveFailure, match="does not hold what was put into it"):
        tar_environment.pack(str(environment), "project", str(tmp_path / "archive"))


@pytest.mark.parametrize("share", [0.0, 0.2, 0.999])
def test_a_truncated_archive_is_refused(
    environment: pathlib.Path, tmp_path: pathlib.Path, share: float
) -> None:
    archive = tmp_path / "archive"
    size = tar_environment.pack(str(environment), "project", str(archive)).size
    os.truncate(archive, int(size * share))
    with archive.open("rb") as file, pytest.raises(ArchiveFailure):
        tar_environment.unpack(file, "project", str(tmp_path / "target"), LARGE)


@pytest.mark.parametrize("place", [0, 5000, -3])
def test_a_damaged_archive_is_refused(
    environment: pathlib.Path, tmp_path: pathlib.Path, place: int
) -> None:
    archive = tmp_path / "archive"
    tar_environment.pack(str(environment), "project", str(archive))
    content = bytearray(archive.read_bytes())
    content[place] ^= 0x10
    archive.write_bytes(content)
    with archive.open("rb") as file, pytest.raises(ArchiveFailure, match="damaged"):
        tar_environment.unpack(file, "project", str(tmp_path / "target"), LARGE)


def member(name: str, kind: bytes = tarfile.REGTYPE, link: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.mode = kind, link, 0o755
    return info


def archive_of(members: list[tarfile.TarInfo]) -> io.BytesIO:
    """An archive as somebody could make it by hand."""
    output = io.BytesIO()
    with gzip.GzipFile(fileobj=output, mode="wb") as compressed, tarfile.open(
        fileobj=compressed, mode="w|"
    ) as tar:
        for each in members:
            tar.addfile(each, io.BytesIO(b""))
    return io.BytesIO(output.getvalue())


ROOT = member("project", tarfile.DIRTYPE)


@pytest.mark.parametrize(
    ("members", "why"),
    [
        ([ROOT, member("project/../../evil")], "is not in the directory"),
        ([ROOT, member("/evil")], "is not in the directory"),
        ([ROOT, member("evil")], "is not in the directory"),
        ([ROOT, member("project//evil")], "is not in the directory"),
        ([ROOT, member("project/./evil")], "is not in the directory"),
        ([ROOT, member("projects/evil")], "is not in the directory"),
        ([ROOT, member("project/missing/evil")], "is not in the directory"),
        # Through a link that comes before.
        (
            [
                ROOT,
                member("project/link", tarfile.SYMTYPE, "../.."),
                member("project/link/evil"),
            ],
            "is not in the directory",
        ),
        (
            [ROOT, member("project/link", tarfile.SYMTYPE, "../../evil"), member("project/link")],
            "twice",
        ),
        ([member("project", tarfile.SYMTYPE, ".."), member("project/evil")], "is not in the"),
        ([ROOT, member("project/hard", tarfile.LNKTYPE, "/etc/passwd")], "no file, directory"),
        ([ROOT, member("project/pipe", tarfile.FIFOTYPE)], "no file, directory"),
        ([ROOT, member("project/device", tarfile.CHRTYPE)], "no file, directory"),
        ([ROOT, ROOT], "twice"),
        ([member("project")], "no directory"),
        ([], "no directory"),
    ],
)
def test_a_hostile_archive_writes_nothing_elsewhere(
    tmp_path: pathlib.Path, members: list[tarfile.TarInfo], why: str
) -> None:
    room = tmp_path / "room"
    room.mkdir()
    with pytest.raises(ArchiveFailure, match=why):
        tar_environment.unpack(archive_of(members), "project", str(room / "target"), LARGE)
    assert set(os.listdir(tmp_path)) == {"room"}
    assert set(os.listdir(room)) <= {"target"}
    assert not list(tmp_path.rglob("*evil*"))


def test_no_more_is_unpacked_than_was_announced(
    environment: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    """A few kilobytes may become any number of gigabytes."""
    with (environment / "zeros").open("wb") as zeros:
        zeros.truncate(50_000_000)
    packed = tar_environment.pack(str(environment), "project", str(tmp_path / "archive"))
    target = tmp_path / "target"
    with (tmp_path / "archive").open("rb") as file, pytest.raises(
        ArchiveFailure, match="more than"
    ):
        tar_environment.unpack(file, "project", str(target), packed.bytes - 1)
    assert not (target / "zeros").exists()


def test_no_bit_for_other_accounts_is_unpacked(tmp_path: pathlib.Path) -> None:
    root = member("project", tarfile.DIRTYPE)
    root.mode = 0o6777
    file = member("project/file")
    file.mode = 0o6777
    tar_environment.unpack(archive_of([root, file]), "project", str(tmp_path / "target"), LARGE)
    assert (tmp_path / "target").stat().st_mode & 0o7777 == 0o2770
    assert (tmp_path / "target" / "file").stat().st_mode & 0o7777 == 0o770
