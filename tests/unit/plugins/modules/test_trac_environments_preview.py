# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What check mode tells of environments that are yet to be adopted or upgraded."""

from __future__ import annotations

import contextlib
import os
import pathlib
import pwd
import sqlite3
import sys
import typing as t

import pytest

from ansible_collections.trac.mod_wsgi.plugins.module_utils._environments import preview_room
from ansible_collections.trac.mod_wsgi.tests.fixtures.environments import compare
from ansible_collections.trac.mod_wsgi.tests.unit.plugins.modules.reconciled import (
    Document,
    Host,
    Module,
    unpack,
)
from ansible_collections.trac.mod_wsgi.tests.unit.plugins.nobody import needs_nobody

FORMER = 61003  # an account of a server that is no more
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")

# A plugin with a table of its own, whose upgrade fails half-way.
FAILS = """\
from trac.core import Component, implements
from trac.env import IEnvironmentSetupParticipant


class Stubborn(Component):
    implements(IEnvironmentSetupParticipant)

    def environment_created(self):
        pass

    def environment_needs_upgrade(self):
        return True

    def upgrade_environment(self):
        self.env.db_transaction("CREATE TABLE stubborn (id integer)")
        raise ValueError("no %s" % self.env.path)
"""


@pytest.fixture(autouse=True)
def room(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> pathlib.Path:
    """Where copies are made; the account nobody can pass through to it."""
    directory = tmp_path / "room"
    directory.mkdir()
    for each in (directory, *list(directory.parents)[:3]):
        each.chmod(0o1777 if each == directory else 0o711)
    monkeypatch.setattr(preview_room, "DIRECTORY", str(directory))
    return directory


def left_by_a_former_account(host: Host, series: str) -> pathlib.Path:
    path = unpack(series, host.directory)
    (path / "conf" / "trac.ini").chmod(0o600)
    (path / "db" / "trac.db").chmod(0o600)
    for each in [path, *path.rglob("*")]:
        os.chown(each, FORMER, FORMER, follow_symlinks=False)
    return path


def state(path: pathlib.Path) -> dict[str, t.Any]:
    """Everything but when it was read."""
    return {
        str(each): (
            *(
                getattr(each.lstat(), f"st_{key}")
                for key in ("mode", "uid", "mtime_ns", "ctime_ns")
            ),
            each.read_bytes() if each.is_file() else b"",
        )
        for each in [path, *path.rglob("*")]
    }


def told(result: Document) -> Document:
    return {key: result.get(key) for key in ("changed", "diff", "environments", "warnings")}


@needs_root
@pytest.mark.parametrize("series", ["1.0", "1.2", "1.4"])
def test_what_is_predicted_is_what_is_done(
    module: Module, host: Host, room: pathlib.Path, series: str
) -> None:
    path = left_by_a_former_account(host, series)
    before = state(path)
    document: Document = {"name": path.name, "title": "Neu", "permissions": {"eve": ["WIKI_VIEW"]}}
    predicted = module(document, check=True)
    assert (state(path), os.listdir(room), os.listdir(host.archive)) == (before, [], [])
    result = module(document)
    result["environments"][0].pop("archive")
    assert told(predicted) == told(result)
    assert str(room) not in module.output


@needs_root
def test_rows_and_options_that_the_upgrade_changes_are_told(module: Module, host: Host) -> None:
    path = left_by_a_former_account(host, "1.0")
    result = module({"name": path.name}, check=True)
    (diff,) = result["diff"]
    before, after = diff["before"].splitlines(), diff["after"].splitlines()
    assert "database version 29" in before
    assert "database version 45" in after
    assert not [line for line in before if line.startswith("table notify_subscription")]
    assert "table notify_subscription: 0 rows" in after
    wiki = [[line for line in lines if line.startswith("table wiki:")] for lines in (before, after)]
    assert all(wiki)
    assert wiki[0] != wiki[1]
    assert not [line for line in before if line.startswith("table ticket:")]  # as many as before
    assert "[trac] mainnav = wiki,tickets" in before
    assert "[mainnav] tickets.order = 2.0" in after
    assert "kept-as-it-is" not in module.output
    assert any("reminder.py does not load" in str(warning) for warning in result["warnings"])


@needs_root
def test_what_a_power_cut_has_left_is_predicted_and_not_touched(module: Module, host: Host) -> None:
    path = left_by_a_former_account(host, "1.2")
    program = (
        "import os, sqlite3, sys\n"
        "db = sqlite3.connect(sys.argv[1], isolation_level=None)\n"
        "db.execute('PRAGMA cache_size=1')\n"
        "db.execute('BEGIN')\n"
        "db.execute('DELETE FROM ticket_change')\n"
        "db.execute('UPDATE wiki SET text=hex(randomblob(4000))')\n"
        "os._exit(0)\n"
    )
    database = str(path / "db" / "trac.db")
    assert os.spawnl(os.P_WAIT, sys.executable, sys.executable, "-c", program, database) == 0
    assert (path / "db" / "trac.db-journal").stat().st_size > 0
    os.chown(path / "db" / "trac.db-journal", FORMER, FORMER)
    before = state(path)
    predicted = module({"name": path.name}, check=True)
    assert state(path) == before
    assert "msg" not in predicted
    assert "table ticket_change" not in predicted["diff"][0]["before"]
    result = module({"name": path.name})
    assert predicted["environments"][0]["changes"] == result["environments"][0]["changes"]


@needs_root
def test_an_upgrade_that_would_fail_fails_in_check_mode(
    module: Module, host: Host, room: pathlib.Path
) -> None:
    path = left_by_a_former_account(host, "1.6")
    (path / "plugins" / "stubborn.py").write_text(FAILS)
    before = state(path)
    words = module({"name": path.name}, check=True)["msg"]
    assert f"its upgrade was tried on a copy, and failed: ValueError: no {path}" in words
    assert (state(path), os.listdir(room)) == (before, [])


@needs_root
def test_what_would_be_refused_is_refused_in_check_mode(module: Module, host: Host) -> None:
    path = left_by_a_former_account(host, "1.2")
    config = {"trac": {"default_handler": "Nirgendwo"}}
    document = {"name": path.name, "config": config}
    predicted = module(document, check=True)["msg"]
    assert "[trac] default_handler" in predicted
    assert predicted == module(document)["msg"]


@needs_nobody
def test_the_copy_is_the_service_accounts_and_closed_to_others(
    module: Module, host: Host, room: pathlib.Path
) -> None:
    path = left_by_a_former_account(host, "1.4")
    seen = room.parent / "seen"
    seen.mkdir()
    seen.chmod(0o777)
    (path / "plugins" / "look.py").write_text(
        "import os\n"
        "def status(path):\n"
        "    found = os.lstat(path)\n"
        "    return '%d %04o' % (found.st_uid, found.st_mode & 0o7777)\n"
        "here = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))\n"
        f"with open('{seen}/seen', 'w') as file:\n"
        "    places = (here, os.path.dirname(here), os.path.join(here, 'db', 'trac.db'))\n"
        "    file.write('\\n'.join([here] + list(map(status, places))))\n"
    )
    os.chown(path / "plugins" / "look.py", FORMER, FORMER)
    before = state(path)
    result = module({"name": path.name}, check=True, user="nobody", group="nogroup")
    assert "msg" not in result
    number = pwd.getpwnam("nobody").pw_uid
    here, top, held, database = (seen / "seen").read_text().splitlines()
    assert here.startswith(f"{room}/trac-preview-")
    assert (top, held, database) == (f"{number} 0700", "0 0710", f"{number} 0660")
    assert (state(path), os.listdir(room)) == (before, [])


@needs_root
def test_without_room_it_is_said_what_cannot_be_predicted(
    module: Module, host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = left_by_a_former_account(host, "1.2")
    monkeypatch.setattr(preview_room, "_GROWTH", 1 << 40)
    result = module({"name": path.name}, check=True)
    assert "msg" not in result
    assert any("there is no room in" in str(warning) for warning in result["warnings"])


@needs_root
def test_a_database_outside_of_the_environment_is_not_opened(module: Module, host: Host) -> None:
    path = left_by_a_former_account(host, "1.2")
    outside = host.directory.parent / "trac.db"
    (path / "db" / "trac.db").rename(outside)
    ini = path / "conf" / "trac.ini"
    ini.write_text(ini.read_text().replace("sqlite:db/trac.db", f"sqlite:{outside}"))
    before = state(outside)
    result = module({"name": path.name}, check=True)
    assert any(f"its database {outside} is outside of it" in str(w) for w in result["warnings"])
    assert state(outside) == before


# One that is the service account's, and old


def test_an_old_environment_is_upgraded_on_a_copy(host: Host, room: pathlib.Path) -> None:
    path = unpack("1.0", host.directory)
    elsewhere = host.directory.parent / "attachments"
    (path / "files" if (path / "files").exists() else path / "attachments").rename(elsewhere)
    (path / "files").symlink_to(elsewhere)
    (path / "files" / "attachments").mkdir(exist_ok=True)
    before = {**state(path), **state(elsewhere)}
    report = host.one({"name": path.name}, check=True)
    assert report["failure"] is None
    assert "database version 45" in report["after"]
    assert "table notify_subscription: 0 rows" in report["after"]
    assert {**state(path), **state(elsewhere)} == before
    assert os.listdir(room) == []


def test_paths_in_trac_ini_lead_to_the_copy_and_not_to_the_original(host: Host) -> None:
    path = unpack("1.2", host.directory)
    shared = host.directory.parent / "shared.ini"
    shared.write_text("[extra]\ncolour = red\n")
    ini = path / "conf" / "trac.ini"
    text = ini.read_text(encoding="utf-8").replace("sqlite:db", f"sqlite:{path}/db")
    text = text.replace("[inherit]\n", "[inherit]\nfile = ../../../shared.ini\n")
    assert f"{path}/db/trac.db" in text
    ini.write_text(text, encoding="utf-8")
    rows = compare.tables(str(path))
    # What is inherited is not repeated, so nothing has to be set.
    config = {"extra": {"colour": "red"}, "inherit": {"file": "../../../shared.ini"}}
    document = {"name": path.name, "config": config}
    predicted = host.one(document, check=True)
    assert (compare.tables(str(path)), ini.read_text(encoding="utf-8")) == (rows, text)
    report = host.one(document)
    assert report["failure"] is None
    assert predicted["changes"] == report["changes"]
    assert not any("colour" in change for change in report["changes"])
    assert f"{path}/db/trac.db" in ini.read_text(encoding="utf-8")


def test_a_copy_that_a_killed_run_has_left_is_removed(host: Host, room: pathlib.Path) -> None:
    left = room / "trac-preview-abcdefgh"
    left.mkdir(mode=0o700)
    (left / "secret").touch()
    unpack("1.2", host.directory)
    host.one({"name": "trac-1-2"}, check=True)
    assert os.listdir(room) == []


def test_visitors_may_write_while_it_is_tried(host: Host) -> None:
    path = unpack("1.2", host.directory)
    with contextlib.closing(sqlite3.connect(path / "db" / "trac.db")) as visitor:
        visitor.execute("BEGIN IMMEDIATE")
        visitor.execute("INSERT INTO ticket (summary) VALUES ('Now')")
        report = host.one({"name": path.name}, check=True)
        visitor.commit()
    assert report["failure"] is None
