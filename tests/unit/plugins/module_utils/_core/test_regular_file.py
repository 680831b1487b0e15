# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What may stand in the place of a file, and is not read."""

from __future__ import annotations

import os
import pathlib
import socket
import typing as t

import pytest

from ansible_collections.trac.mod_wsgi.plugins.module_utils._apache import x509
from ansible_collections.trac.mod_wsgi.plugins.module_utils._core import regular_file
from ansible_collections.trac.mod_wsgi.plugins.module_utils._doctor import (
    certificate as doctor_certificate,
)
from ansible_collections.trac.mod_wsgi.plugins.module_utils._environments import tracignore
from ansible_collections.trac.mod_wsgi.tests.unit.plugins.pipes import pipe_at


def test_a_file_is_read_also_through_a_link(tmp_path: pathlib.Path) -> None:
    file, link = tmp_path / "file", tmp_path / "link"
    file.write_bytes(b"text")
    link.symlink_to(file)
    assert regular_file.read(str(file), follow=False) == b"text"
    assert regular_file.read(str(link), follow=True) == b"text"
    regular_file.look(str(link))
    with pytest.raises(OSError, match="this is a link, not a file"):
        regular_file.read(str(link), follow=False)


def test_nothing_else_is_opened(tmp_path: pathlib.Path) -> None:
    pipe, link = tmp_path / "pipe", tmp_path / "link"
    link.symlink_to(pipe)
    with pipe_at(pipe):
        for path in (pipe, link):
            with pytest.raises(OSError, match="this is a named pipe, not a file"):
                regular_file.read(str(path), follow=True)
    with pytest.raises(OSError, match="a device"):
        regular_file.read("/dev/zero", follow=True)
    with pytest.raises(OSError, match="a directory"):
        regular_file.look(str(tmp_path))
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "socket"))
        with pytest.raises(OSError, match="a socket"):
            regular_file.read(str(tmp_path / "socket"), follow=True)


@pytest.mark.parametrize("link", [True, False])
def test_what_takes_the_place_of_a_file_in_between_is_not_read(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, link: bool
) -> None:
    path, other = tmp_path / "file", tmp_path / "other"
    path.write_text("text")
    other.write_text("of root")
    stat = os.stat

    def late(*arguments: t.Any, **options: t.Any) -> os.stat_result:
        status = stat(*arguments, **options)
        path.unlink()
        if link:
            path.symlink_to(other)
        else:
            os.mkfifo(path)
        return status

    monkeypatch.setattr(os, "stat", late)
    with pytest.raises(OSError, match="symbolic links" if link else "a named pipe"):
        regular_file.read(str(path), follow=False)


def test_a_hole_of_a_terabyte_does_not_fill_the_memory(tmp_path: pathlib.Path) -> None:
    file = tmp_path / "file"
    file.touch()
    os.truncate(file, 1 << 40)
    with pytest.raises(OSError, match="larger than 100 bytes"):
        regular_file.read(str(file), 100, follow=True)


def test_readers_of_other_modules_wait_for_no_pipe(tmp_path: pathlib.Path) -> None:
    pipe = tmp_path / ".tracignore"
    with pipe_at(pipe):
        with pytest.raises(x509.Unreadable, match="a named pipe"):
            x509.read(str(pipe))
        with pytest.raises(OSError, match="a named pipe"):
            tracignore.update(str(tmp_path), [], [], check=True)
    job = tmp_path / "staging" / "example.com" / "job.json"
    job.parent.mkdir(parents=True)
    with pipe_at(job):
        assert doctor_certificate._why_missing("example.com", str(tmp_path)) == ""
    job.unlink()
    job.write_text('{"last": {"detail": "no answer"}}')
    assert doctor_certificate._why_missing("example.com", str(tmp_path)) == "no answer"


@pytest.mark.skipif(os.geteuid() != 0, reason="is about root")
def test_root_shows_nothing_that_an_account_has_linked_to(tmp_path: pathlib.Path) -> None:
    """In check mode before there is a Trac root reads the file, and shows it in a diff."""
    (tmp_path / ".tracignore").symlink_to("/etc/shadow")
    with pytest.raises(OSError, match="this is a link, not a file"):
        tracignore.update(str(tmp_path), [], [], check=True)
