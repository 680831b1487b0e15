# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The journal of an upgrade."""

from __future__ import annotations

import pathlib
import stat

import pytest

from ansible_collections.trac.mod_wsgi.plugins.module_utils._upgrade import (
    journal as upgrade_journal,
)
from ansible_collections.trac.mod_wsgi.plugins.module_utils._upgrade.journal import (
    Entry,
    Journal,
    JournalError,
)
from ansible_collections.trac.mod_wsgi.tests.unit.plugins.power_cut import Names

HEAD = '{"version": 1, "run": "r", "old": "o", "new": "n", '


@pytest.fixture
def path(tmp_path: pathlib.Path) -> str:
    """A journal in a directory that is not there yet."""
    return str(tmp_path / "state" / "upgrade.json")


def journal() -> Journal:
    entries = {
        "one": Entry("/archive/one", {"ticket": 3}),
        "two": Entry("/archive/two", {"ticket": 0}, "upgrading"),
        "three": Entry("/archive/three", {}, "restored", "/archive/three-failed"),
    }
    return Journal("run", "/opt/g/1", "/opt/g/2", "upgrading", 17, environments=entries)


def test_what_is_written_is_read(path: str) -> None:
    assert upgrade_journal.read(path) is None
    written = journal()
    upgrade_journal.write(path, written)
    assert upgrade_journal.read(path) == written
    assert stat.S_IMODE(pathlib.Path(path).parent.stat().st_mode) == 0o700
    assert stat.S_IMODE(pathlib.Path(path).stat().st_mode) == 0o600
    assert [entry.name for entry in pathlib.Path(path).parent.iterdir()] == ["upgrade.json"]
    upgrade_journal.remove(path)
    assert upgrade_journal.read(path) is None


def test_a_power_cut_undoes_nothing(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    names = Names(monkeypatch)
    upgrade_journal.write(path, journal())
    assert names.pending == set()
    upgrade_journal.remove(path)
    assert names.pending == set()


def test_only_those_that_were_begun_are_restored() -> None:
    assert journal().to_restore() == ["two"]


def test_writing_is_a_sign_of_life(path: str) -> None:
    written = journal()
    assert written.age() > 1_000_000
    upgrade_journal.write(path, written)
    assert written.age() < 60
    assert written.age(written.touched - 5) == 0  # the clock was set back


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        '{"version": 1}',
        HEAD + '"environments": {}, "phase": "dancing"}',
        HEAD + '"environments": {"a": 1}}',
        HEAD + '"environments": {"a": {"copy": "c", "state": "lost"}}}',
    ],
)
def test_a_damaged_one_is_no_way_to_go(path: str, text: str) -> None:
    pathlib.Path(path).parent.mkdir()
    pathlib.Path(path).write_text(text)
    with pytest.raises(JournalError, match="damaged"):
        upgrade_journal.read(path)


def test_one_of_another_version_is_refused(path: str) -> None:
    pathlib.Path(path).parent.mkdir()
    pathlib.Path(path).write_text('{"version": 2}')
    with pytest.raises(JournalError, match="another version"):
        upgrade_journal.read(path)
