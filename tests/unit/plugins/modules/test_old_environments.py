# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Environments of Trac 0.11 to 1.4 with everything people did to them, through each step.

They are on SQLite, and where TRAC_TEST_POSTGRES or TRAC_TEST_MYSQL is the connection string of an
empty database, on that server; the database of the other host is that of TRAC_TEST_POSTGRES_2 or
TRAC_TEST_MYSQL_2, if there is one, else the same, emptied. TRAC_TEST_MYSQL_ADMIN is a connection
string of somebody else, who then is the definer of triggers and the like.

In every step all rows, all attached files, and views, triggers and the like are compared. As many
environments as a database has room for go through a step together, which costs less.
"""

from __future__ import annotations

import os
import pathlib
import shutil
import typing as t
from urllib.parse import urlsplit

import pytest

from ansible_collections.trac.mod_wsgi.plugins.module_utils._copies import old_attachments
from ansible_collections.trac.mod_wsgi.tests.unit.plugins.ages import environment, schema
from ansible_collections.trac.mod_wsgi.tests.unit.plugins.ages.look import (
    OBJECTS,
    Look,
    attached,
    database_of,
    differences,
    look,
)
from ansible_collections.trac.mod_wsgi.tests.unit.plugins.modules.backed_up import BackupHost
from ansible_collections.trac.mod_wsgi.tests.unit.plugins.modules.reconciled import (
    Document,
    Host,
    old_name,
)
from ansible_collections.trac.mod_wsgi.tests.unit.plugins.modules.test_trac_upgrade import (
    Upgrade,
    plugin,
)

SQLITE = "sqlite:db/trac.db"
GROUPS = [
    ("sqlite", schema.SERIES),
    ("postgres", schema.SERIES),
    *(("mysql", (series,)) for series in schema.SERIES),
]


class Old(t.NamedTuple):
    """An environment that an old Trac has left, and what was in it then."""

    series: str
    path: pathlib.Path
    uri: str
    uri_of_other_host: str
    volume: pathlib.Path  # where its attachments are, behind a link
    before: Look

    @property
    def name(self) -> str:
        return self.path.name

    def destroy(self) -> None:
        """Lose everything."""
        shutil.rmtree(self.path)
        shutil.rmtree(self.volume, ignore_errors=True)
        if self.uri != SQLITE:
            environment.empty(self.uri)


def uris(kind: str, series: str) -> tuple[str, str]:
    """The connection strings of an environment on the two hosts, whose databases are emptied."""
    if kind == "sqlite":
        return SQLITE, SQLITE
    variable = f"TRAC_TEST_{kind.upper()}"
    first = os.environ[variable]
    second = os.environ.get(f"{variable}_2", first)
    if kind == "postgres" and series != "0.11":  # which is in the schema `public`
        first, second = (f"{uri}?schema=trac%20{series}" for uri in (first, second))
    return first, second


def make(host: Host, series: str, kind: str) -> Old:
    """Make an environment, whose attachments are on a volume of their own."""
    first, second = uris(kind, series)
    admin = os.environ.get("TRAC_TEST_MYSQL_ADMIN") if kind == "mysql" else None
    if admin:
        admin = urlsplit(admin)._replace(path=urlsplit(first).path).geturl()
    path = host.directory / old_name(series)
    volume = host.directory.parent / f"volume of {series}"
    environment.make(path, series, first, None if os.environ.get("NOLINK") else volume, admin)
    before = look(path)
    assert before.objects == OBJECTS[kind]
    assert sum(map(len, before.tables.values())) > 75
    assert len(before.attached) >= 10
    assert None not in before.attached.values()
    return Old(series, path, first, second, volume, before)


@pytest.fixture(params=GROUPS, ids=lambda group: f"{group[0]} {group[1][0]}"[:13])
def olds(request: pytest.FixtureRequest, host: Host) -> t.Iterator[list[Old]]:
    kind, every = request.param
    if kind != "sqlite":
        if f"TRAC_TEST_{kind.upper()}" not in os.environ:
            pytest.skip(f"TRAC_TEST_{kind.upper()} is not set")
        pytest.importorskip("pymysql" if kind == "mysql" else "psycopg2")
        for series in every:
            for uri in uris(kind, series):
                environment.empty(uri)
    yield [make(host, series, kind) for series in every]
    if kind != "sqlite":
        for series in every:
            for uri in uris(kind, series):
                environment.empty(uri)


@pytest.fixture
def other(tmp_path: pathlib.Path) -> BackupHost:
    """A host without any environments."""
    directory = tmp_path / "other host" / "environments"
    directory.mkdir(parents=True)
    return BackupHost(Host(directory))


@pytest.fixture
def station(host: Host) -> BackupHost:
    """The host that they are on."""
    return BackupHost(host)


def same(now: Look, before: Look, said: str = "") -> None:
    """All rows, files and objects are the same; an object that is not there has been named."""
    assert now.figures() == before.figures()
    assert now.attached == before.attached
    assert set(now.objects) <= set(before.objects)
    assert unnamed(set(before.objects) - set(now.objects), said) == []


def unnamed(objects: t.Iterable[str], said: str) -> list[str]:
    """What is gone without a word."""
    return [name for name in objects if name.split()[1] not in said]


def refusal(old: Old) -> str:
    """Why it is not taken in as it is, in words."""
    if not environment.takes_wide(old.series, environment.kind_of(old.uri)):
        return "and this Trac takes utf8mb4_bin only; nothing was changed"
    # Since Trac 1.4 that policy has another name. The upgrade knows that for its own list only.
    return "permission_policies names ReadonlyWikiPolicy" if old.series == "1.2" else ""


def take_in(station: BackupHost, old: Old) -> Document:
    """Adopt it."""
    said = convert(station, old)
    ini = old.path / "conf" / "trac.ini"
    text = ini.read_text(encoding="utf-8")
    ini.write_text(text.replace("ReadonlyWikiPolicy", "DefaultWikiPolicy"), encoding="utf-8")
    report = station.host.one({"name": old.name})
    assert (old.name, report["failure"]) == (old.name, None)
    now = look(old.path)
    assert unnamed(differences(old.before, now), said) == []
    return report


def convert(station: BackupHost, old: Old) -> str:
    """Where the database has a character set that Trac refuses, do what the refusal advises."""
    if environment.takes_wide(old.series, environment.kind_of(old.uri)):
        return ""
    made, restored = station.back_up(old.name), station.restore(old.name, overwrite=True)
    assert (made.get("msg"), restored.get("msg")) == (None, None)
    said = str(made["warnings"] + restored["warnings"])
    same(look(old.path), old.before, said)
    return said


def test_they_go_in_and_nothing_is_lost(station: BackupHost, olds: list[Old]) -> None:
    host = station.host
    documents = [{"name": old.name} for old in olds]
    predicted = host.run(*documents, check=True)
    for old in olds:
        same(look(old.path), old.before)
    for old in olds:
        if refusal(old):
            assert refusal(old) in str(predicted[old.name]["failure"])
        report = take_in(station, old)
        told = predicted[old.name]
        if not told["failure"] and told["changes"] != report["changes"]:
            assert old.uri != SQLITE  # on a server there is no copy to try the upgrade on
            assert set(told["changes"]) <= set(report["changes"])
            assert "cannot be predicted" in str(told["warnings"])
        if old.series == "0.11":  # Trac says it on standard error
            assert "the wiki-macros directory in the environment" in str(report["warnings"])
        if report["archive"]:
            kept(pathlib.Path(report["archive"]), old)
    again = host.run(*documents)
    assert [(each["failure"], each["changes"]) for each in again.values()] == [(None, [])] * len(
        olds
    )


def test_attachments_that_trac_could_not_move_are_refused(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = make(host, "0.12", "sqlite")
    monkeypatch.setattr(old_attachments, "_device", str)
    for check in (True, False):
        failure = host.one({"name": old.name}, check=check)["failure"]
        assert f"{old.path}/attachments is on another file system" in failure
    same(look(old.path), old.before)


def kept(copy: pathlib.Path, old: Old) -> None:
    """The copy that was made before the upgrade holds what was there."""
    if old.uri == SQLITE:
        same(look(copy), old.before)
        return
    assert attached(copy, old.before.tables) == old.before.attached
    (dump,) = copy.glob("db/*-db-backup.sql*")
    assert dump.stat().st_size > 5000


@pytest.mark.parametrize("adopted", [False, True], ids=["as they were", "adopted"])
def test_they_come_back_on_another_host(
    station: BackupHost, olds: list[Old], other: BackupHost, adopted: bool
) -> None:
    if adopted and olds[0].uri.startswith("mysql") and olds[0].series != "0.11":
        pytest.skip("one of each kind of database is enough")
    if adopted:
        for old in olds:
            take_in(station, old)
    before = {old.name: look(old.path) for old in olds}
    result = station.back_up()
    assert result.get("msg") is None
    assert "no file" not in str(result["warnings"])
    for old in olds:
        same(look(old.path), before[old.name])
        old.destroy()
    items: list[Document | str] = []
    for old, made in zip(olds, result["backups"]):
        assert made["name"] == old.name
        item = {"name": old.name, "file": made["file"]}
        items.append(item if old.uri == SQLITE else {**item, "database": old.uri_of_other_host})
    restored = other.restore(*items)
    assert restored.get("msg") is None
    said = str(result["warnings"] + restored["warnings"])
    for old in olds:
        same(look(other.directory / old.name), before[old.name], said)
        works(other.directory / old.name)


def works(path: pathlib.Path) -> None:
    """Tickets are numbered on, the trigger fires, and the view shows the new one."""
    uri = database_of(path)
    with environment.connected(uri, path) as connection:
        cursor = connection.cursor()
        cursor.execute("INSERT INTO ticket (summary, status) VALUES ('x', 'new')")
        for query, wanted in (
            ("SELECT max(id) FROM ticket", 1001),
            ("SELECT note FROM old_poll WHERE note LIKE '%1001'", "ü;1001"),
            (f"SELECT id FROM {environment.VIEW} WHERE id > 1000", 1001),
        ):
            cursor.execute(query)
            assert cursor.fetchall() in ([(wanted,)], ((wanted,),))


def test_they_move_from_sqlite_to_postgresql(
    station: BackupHost, olds: list[Old], other: BackupHost
) -> None:
    """What cannot go along is named, and nothing is made until somebody has decided about it."""
    if olds[0].uri != SQLITE:
        pytest.skip("they are on a server already")
    if "TRAC_TEST_POSTGRES" not in os.environ:
        pytest.skip("TRAC_TEST_POSTGRES is not set")
    target = uris("postgres", "0.11")[1]
    for old in olds:
        environment.empty(target)
        (made,) = station.back_up(old.name)["backups"]
        item = {"name": old.name, "file": made["file"], "database": target}
        refused = other.restore(item)
        assert "makes the tables old_poll, which hold rows" in refused["msg"]
        assert os.listdir(other.directory) == []
        with environment.connected(old.uri, old.path) as connection:
            connection.execute(f"DROP TRIGGER {environment.TRIGGER}")
            connection.execute("DROP TABLE old_poll")
        before = look(old.path)
        (made,) = station.back_up(old.name)["backups"]
        moved = other.restore({**item, "file": made["file"]})
        assert moved.get("msg") is None
        said = str(moved["warnings"])
        after = look(other.directory / old.name)
        assert unnamed(without_queries(differences(before, after)), said) == []
        # Trac makes the SQL of its own reports that of PostgreSQL; what is SQLite's is named.
        reports = [
            {row["id"]: row["title"] for row in each.tables["report"]} for each in (before, after)
        ]
        assert reports[0] == reports[1]
        assert "report 12" in said
        shutil.rmtree(other.directory / old.name)
    environment.empty(target)


def without_queries(found: list[str]) -> list[str]:
    return [text for text in found if " in report: " not in text]


RUIN = """if self.env.path.endswith("{last}"):
            with self.env.db_transaction as db:
                db("DELETE FROM ticket_change")
            raise RuntimeError("no more room")"""


class Upgraded(Upgrade):
    """A host with these environments, whose virtual environment is to be upgraded."""

    def __init__(self, host: Host, capsys: pytest.CaptureFixture[str]) -> None:
        self.host = host
        self.capsys = capsys
        root = host.directory.parent
        self.venv, self.plugins, self.state = root / "trac", root / "plugins", root / "state"
        self.make_python(self.venv)
        self.plugins.mkdir()


def test_a_failed_upgrade_puts_all_of_them_back(
    station: BackupHost, olds: list[Old], capsys: pytest.CaptureFixture[str]
) -> None:
    upgrade = Upgraded(station.host, capsys)
    for old in olds:
        convert(station, old)
    before = {old.name: look(old.path) for old in olds}
    for old in olds:  # the plugin is for all, and not known to those that were there before
        ini = old.path / "conf" / "trac.ini"
        text = ini.read_text(encoding="utf-8").replace(
            "[components]\n", "[components]\nours.* = enabled\n"
        )
        ini.write_text(f"{text}\n[inherit]\nplugins_dir = {upgrade.plugins}\n", encoding="utf-8")
    names = [old.name for old in olds]
    upgrade.prepared(plugin(2, upgrade=RUIN.format(last=names[-1])))
    upgrade.step("begun")
    upgrade.step("copied", environments=names)
    failed = upgrade.step("upgraded", fails=True)
    assert f"{names[-1]}: RuntimeError: no more room" in failed["msg"]
    for old in olds[:-1]:
        assert others(differences(before[old.name], look(old.path))) == []
    upgrade.step("rolled_back", reason="it failed")
    for old in olds:
        same(look(old.path), before[old.name])
        assert not (old.path / ".upgrading").exists()
    upgrade.step("committed")
    # Without the fault, all of them get to the end.
    upgrade.prepared(plugin(2))
    upgrade.step("begun")
    upgrade.step("copied", environments=names)
    for state in ("upgraded", "switched", "verified", "committed"):
        upgrade.step(state)
    for old in olds:
        assert others(differences(before[old.name], look(old.path))) == []
        works(old.path)


def others(found: list[str]) -> list[str]:
    """All differences but what the plugin notes."""
    return [text for text in found if "'ours'" not in text]
