# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which processes still run Trac after the sites were closed."""

from __future__ import annotations

import os
import pathlib
import shutil

import pytest

from ansible_collections.trac.mod_wsgi.plugins.module_utils._apache.old_processes import (
    older,
    started,
    wait_until_gone,
)

US = os.geteuid()


def process(
    proc: pathlib.Path, pid: int, ticks: int, name: str = "apache2", numbers: str = ""
) -> pathlib.Path:
    directory = proc / str(pid)
    directory.mkdir()
    (directory / "comm").write_text(f"{name}\n")
    (directory / "stat").write_text(f"{pid} (a) b) S {'0 ' * 18}{ticks} 0 0\n")
    (directory / "status").write_text(f"Name:\tx\nNSpid:\t{pid}{numbers}\nNSpgid:\t1\n")
    return directory


@pytest.fixture
def proc(tmp_path: pathlib.Path) -> pathlib.Path:
    """An old process of Apache and others that do not count."""
    process(tmp_path, 10, 100)
    process(tmp_path, 11, 300)  # started later
    process(tmp_path, 12, 100, name="python3")
    process(tmp_path, 13, 100, numbers="\t57")  # in a container
    (tmp_path / "14").mkdir()  # it has ended
    (tmp_path / "uptime").touch()
    return tmp_path


def test_only_old_ones_of_apache_count(proc: pathlib.Path) -> None:
    assert older(200, {US}, str(proc)) == [10]
    assert older(400, {US}, str(proc)) == [10, 11]
    assert older(400, {US + 1}, str(proc)) == []


def test_waits_for_their_end(proc: pathlib.Path) -> None:
    def end(_seconds: float) -> None:
        shutil.rmtree(proc / "10")

    assert wait_until_gone(200, {US}, 60, str(proc), end) == []


def test_gives_up(proc: pathlib.Path) -> None:
    assert wait_until_gone(200, {US}, 0, str(proc)) == [10]


def test_a_real_process() -> None:
    assert 0 < started(1) <= started()
