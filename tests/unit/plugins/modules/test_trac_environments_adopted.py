# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Environments that Trac 1.0, 1.2, 1.4 and 1.6 have made, compared row by row before and after."""

from __future__ import annotations

import importlib.util
import os
import pathlib
import re
import shutil
import sqlite3
import sys
import typing as t

import pytest

from ansible_collections.trac.mod_wsgi.plugins.module_utils._trac import ini_edit
from ansible_collections.trac.mod_wsgi.tests.fixtures.environments import compare
from ansible_collections.trac.mod_wsgi.tests.unit.plugins import hot_journal
from ansible_collections.trac.mod_wsgi.tests.unit.plugins.modules.reconciled import (
    SERIES,
    Document,
    Host,
    Module,
    old_name,
    unpack,
)

PYTHON = f"{sys.version_info[0]}.{sys.version_info[1]}"
# What Trac's own upgrades mean to change in trac.ini.
CHANGED: dict[str, dict[str, str | None]] = {
    "1.0": {
        "trac mainnav": None,
        "trac metanav": None,
        "trac repository_dir": None,
        "trac repository_sync_per_request": None,
        "trac repository_type": None,
        "trac authz_file": None,
        "trac authz_module_name": None,
        "trac permission_policies": "DefaultWikiPolicy,DefaultTicketPolicy,"
        "DefaultPermissionPolicy,LegacyAttachmentPolicy",
        "notification always_notify_owner": None,
        "notification always_notify_reporter": None,
        "notification always_notify_updater": None,
        "repositories .dir": "/srv/svn/alt",
        "repositories .sync_per_request": "true",
        "versioncontrol default_repository_type": "svn",
        "mainnav wiki.order": "1.0",
        "mainnav tickets.order": "2.0",
        "ticket-workflow create": "<none> -> new",
    },
    "1.2": {},
    "1.4": {},
    "1.6": {},
}
NEW_SECTIONS = {
    "gitweb-repositories", "mainnav", "metanav", "notification-subscriber", "repositories", "svn",
    "versioncontrol", "ticket-workflow",
}  # fmt: skip
# Without Subversion's bindings there is one more.
OF_ALL = [
    "the repository 'alt' of the type svn is at /srv/svn/alt, and there is nothing",
    "cannot be read: no component for them is enabled",
    *(
        ["Subversion's bindings for Python (svn) are not installed"]
        if importlib.util.find_spec("svn") is None
        else []
    ),
]
NOT_LOADED: dict[str, list[str]] = {
    "1.0": [
        "/plugins/reminder.py does not load: SyntaxError: Missing parentheses",
        f"OldTimers-0.3-py2.7.egg does not load: it is for Python 2.7, and this is {PYTHON}",
        "[components] tracspamfilter.* = enabled enables nothing",
        "/templates/site.html is not used: it is written for Genshi",
        "the repository (default) of the type svn is at /srv/svn/alt, and there is nothing",
        *OF_ALL,
    ],
    "1.2": [
        "[components] trac.versioncontrol.svn_fs.* = enabled enables nothing",
        "/templates/site.html is not used: it is written for Genshi",
        "trac.ini must be manually edited to add DefaultWikiPolicy",
        "trac.ini must be manually edited to add DefaultTicketPolicy",
        *OF_ALL,
    ],
    "1.4": [
        "/plugins/ribbon.py does not load: ImportError: cannot import name 'ITemplateStreamFilter'",
        "[components] tracaccountmanager.web_ui.loginmodule = enabled enables nothing",
        *OF_ALL,
    ],
    "1.6": OF_ALL,
}


class Old(t.NamedTuple):
    """An old environment in its place, and another one to compare it with."""

    host: Host
    series: str
    before: pathlib.Path

    @property
    def document(self) -> Document:
        return {"name": old_name(self.series)}

    @property
    def path(self) -> pathlib.Path:
        return self.host.directory / old_name(self.series)

    def differences(self) -> list[str]:
        figures, differences = compare.compare(str(self.before), str(self.path))
        assert figures["rows"] > 200
        assert figures["attached files"] == 6
        return differences


@pytest.fixture
def before(tmp_path: pathlib.Path) -> pathlib.Path:
    directory = tmp_path / "before"
    directory.mkdir()
    return directory


@pytest.fixture(params=SERIES)
def old(request: pytest.FixtureRequest, host: Host, before: pathlib.Path) -> Old:
    """Of each Trac."""
    unpack(request.param, host.directory)
    return Old(host, request.param, unpack(request.param, before))


def options(path: pathlib.Path) -> dict[str, str]:
    text = (path / "conf" / "trac.ini").read_text(encoding="utf-8")
    return {
        f"{section} {option}": value
        for section, values in ini_edit.parse(text).items()
        for option, value in values.items()
    }


def test_everything_is_the_same_before_and_after(old: Old) -> None:
    predicted = old.host.one(old.document, check=True)
    assert old.differences() == []
    assert compare.tables(str(old.path)) == compare.tables(str(old.before))
    report = old.host.one(old.document)
    assert report["failure"] is None
    for told in ("changes", "before", "after", "warnings"):
        assert report[told] == predicted[told]
    assert ("upgrade the database" in report["changes"]) == (old.series in ("1.0", "1.2"))
    assert ("upgrade the wiki pages" in report["changes"]) == (old.series != "1.6")
    assert old.differences() == []
    again = old.host.one(old.document)
    assert (again["failure"], again["changes"]) == (None, [])


def test_the_copy_before_the_upgrade_holds_everything(old: Old) -> None:
    report = old.host.one(old.document)
    if old.series == "1.6":
        assert report["archive"] is None
        return
    assert compare.tables(report["archive"]) == compare.tables(str(old.before))
    assert compare.checksums(report["archive"]) == compare.checksums(str(old.before))
    copied = pathlib.Path(report["archive"], "conf", "trac.ini").read_bytes()
    assert copied == (old.before / "conf" / "trac.ini").read_bytes()


def test_tracs_own_pages_are_renewed_and_others_are_not(old: Old) -> None:
    old.host.one(old.document)
    rows = compare.tables(str(old.path))["wiki"]
    latest = {row["name"]: row for row in sorted(rows, key=lambda row: row["version"])}
    # The wiki's own changes are on top of somebody's, which stay below.
    assert "Apache" in latest["TracChangeLog"]["text"] or "1.6" in latest["TracChangeLog"]["text"]
    assert latest["WikiStart"]["text"] == "= Hallo ="
    assert latest["Handbuch/Öl wechseln"]["version"] == 3
    guide = [row["text"] for row in rows if row["name"] == "TracGuide"]
    assert "Unser eigener Leitfaden" in guide


def test_trac_ini_keeps_all_that_nobody_means_to_change(old: Old) -> None:
    document = old.document | {"title": "Neuer Titel"}
    assert old.host.one(document)["failure"] is None
    was, now = options(old.before), options(old.path)
    assert now.pop("project name") == "Neuer Titel"
    del was["project name"]
    for name, value in CHANGED[old.series].items():
        assert now.get(name) == value, name
    for name in {*was, *now} - set(CHANGED[old.series]):
        if name not in was:
            assert name.split()[0] in NEW_SECTIONS, name
            assert old.series == "1.0"
        else:
            assert now.get(name) == was[name], name
    text = (old.path / "conf" / "trac.ini").read_text(encoding="utf-8")
    assert text.startswith("# Bitte nur Änderungen, die Zoë kennt.\n")
    assert "currency = €" in text


def test_what_does_not_load_is_named(old: Old) -> None:
    wanted = NOT_LOADED[old.series]
    warnings = old.host.one(old.document)["warnings"]
    for words in wanted:
        assert sum(words in warning for warning in warnings) == 1, words
    assert len(warnings) == len(wanted) + (old.series == "1.2")  # where to read more
    again = old.host.one(old.document)["warnings"]
    assert again == [each for each in warnings if not re.search("manually|more details", each)]


def test_without_upgrade_old_pages_are_left_alone(host: Host, before: pathlib.Path) -> None:
    unpack("1.4", host.directory)
    report = host.one({"name": "trac-1-4", "upgrade": False})
    assert (report["failure"], report["archive"]) == (None, None)
    assert "upgrade the wiki pages" not in report["changes"]
    path = unpack("1.4", before)
    tables = compare.tables(str(host.directory / "trac-1-4"))
    assert tables == compare.tables(str(path))


@pytest.mark.parametrize("old", ["1.0"], indirect=True)
def test_the_comparison_sees_what_is_lost(old: Old, tmp_path: pathlib.Path) -> None:
    old.host.one(old.document)
    name = old_name(old.series)
    shutil.copytree(old.path, tmp_path / "upgraded")
    for statement, words in (
        (
            "UPDATE ticket_change SET newvalue='x' WHERE field='comment' AND ticket=5",
            "ticket_change",
        ),
        ("DELETE FROM ticket_custom WHERE ticket=3 AND name='effort'", "missing in ticket_custom"),
        ("UPDATE wiki SET text='x' WHERE name='WikiStart' AND version=1", "missing in wiki"),
        ("INSERT INTO permission VALUES ('eve', 'TRAC_ADMIN')", "new in permission"),
        (
            "UPDATE session_attribute SET value='x' WHERE sid='anna' AND name='email'",
            "session_attr",
        ),
        ("UPDATE milestone SET due=0 WHERE name='Übergabe'", "missing in milestone"),
    ):
        shutil.rmtree(old.path)
        shutil.copytree(tmp_path / "upgraded", old.path)
        assert old.differences() == []
        old.host.execute(statement, name)
        assert any(words in difference for difference in old.differences()), statement
    file = old.path / compare.attachment_path("ticket", "1", "Ölstand.bin")
    file.write_bytes(file.read_bytes()[:-1])
    assert any(str(file)[-20:] in difference for difference in old.differences())
    file.unlink()
    assert "the attachment Ölstand.bin of ticket:1 is gone" in old.differences()


def test_a_journal_that_was_left_behind_is_rolled_back(host: Host, tmp_path: pathlib.Path) -> None:
    """A power cut in the middle of a transaction, on the old host."""
    path = unpack("1.0", host.directory)
    untouched = compare.tables(str(path))
    program = (
        "import os, sqlite3, sys\n"
        "db = sqlite3.connect(sys.argv[1], isolation_level=None)\n"
        "db.execute('PRAGMA cache_size=1')\n"
        "db.execute('BEGIN')\n"
        "db.execute('UPDATE ticket_change SET newvalue=hex(randomblob(4000))')\n"
        "db.execute('UPDATE wiki SET text=hex(randomblob(4000))')\n"
        "os._exit(0)\n"
    )
    code = os.spawnl(
        os.P_WAIT, sys.executable, sys.executable, "-c", program, str(path / "db" / "trac.db")
    )
    assert code == 0
    assert (path / "db" / "trac.db-journal").stat().st_size > 0
    assert host.one({"name": "trac-1-0"})["failure"] is None
    assert not (path / "db" / "trac.db-journal").exists()
    before = tmp_path / "before"
    before.mkdir()
    unpack("1.0", before)
    assert compare.compare(str(before / "trac-1-0"), str(path))[1] == []
    assert untouched == compare.tables(str(before / "trac-1-0"))


# What stands in trac.ini of old sites


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[trac]\ndatabase = sqlite:db/trac.db\n[trac]\nauto_reload = x\n", "second time"),
        ("[trac]\ndatabase = sqlite:db/trac.db\ndatabase = sqlite:db/trac.db\n", "second time"),
        ("[trac]\ndatabase = sqlite:db/gone.db\n", "gone.db"),
        ("[trac]\ndatabase = pysqlite:db/trac.db\n", "pysqlite"),
    ],
)
def test_what_trac_cannot_open_is_told_and_left_as_it_is(host: Host, text: str, words: str) -> None:
    path = unpack("1.0", host.directory)
    (path / "conf" / "trac.ini").write_text(text)
    before = compare.tables(str(path))
    report = host.one({"name": "trac-1-0"})
    assert words in report["failure"]
    assert (path / "conf" / "trac.ini").read_text() == text
    assert compare.tables(str(path)) == before


def test_a_chosen_component_that_is_not_there_is_named(host: Host) -> None:
    path = unpack("1.6", host.directory)
    ini = path / "conf" / "trac.ini"
    text = ini.read_text(encoding="utf-8")
    assert "email_sender = Smtp" in text
    ini.write_text(text.replace("email_sender = Smtp", "email_sender = Gone"), encoding="utf-8")
    report = host.one({"name": "trac-1-6"})
    assert report["failure"] is None
    (only,) = [warning for warning in report["warnings"] if "Gone" in warning]
    assert only.startswith("[notification] email_sender names GoneEmailSender, which is not inst")
    ini.write_text(text.replace("default_handler = WikiModule", "default_handler = Gone"), "utf-8")
    report = host.one({"name": "trac-1-6"})
    assert "[trac] default_handler names Gone, which is not installed" in report["failure"]
    assert "default_handler" not in str(report["warnings"])  # which is told once


@pytest.mark.parametrize(("series", "number"), [("1.0", 2), ("1.2", 2), ("1.6", 0)])
def test_comments_behind_values_are_named(host: Host, series: str, number: int) -> None:
    path = unpack(series, host.directory)
    with (path / "conf" / "trac.ini").open("a") as file:
        file.write("\n[limits]\na = 1 ; one\nb = x;y ; z\nc = x\n d ; e\nd = \t; none\n")
    predicted = host.one({"name": path.name}, check=True)
    warnings = host.one({"name": path.name})["warnings"]
    for found in (predicted["warnings"], warnings):
        named = [warning for warning in found if "semicolon" in warning]
        assert [warning.split(":")[0] for warning in named] == ["[limits] a", "[limits] d"][:number]


# A copy from elsewhere


@pytest.fixture(params=SERIES)
def elsewhere(request: pytest.FixtureRequest, host: Host, before: pathlib.Path) -> Old:
    """An environment of each Trac that is not among those of the host."""
    host.directory.chmod(0o2750)  # as the role makes it; directories in it inherit a bit
    return Old(host, request.param, unpack(request.param, before))


def test_an_environment_is_copied_from_elsewhere(elsewhere: Old, module: Module) -> None:
    document = elsewhere.document | {"adopt_from": f"{elsewhere.before}/"}
    before = everything(elsewhere.before)
    predicted = module(document, check=True)
    assert os.listdir(elsewhere.host.directory) == []
    change = f"adopt a copy of {elsewhere.before}"
    result = module(document)
    for told in ("changed", "diff", "warnings"):
        assert predicted.get(told) == result.get(told)
    assert predicted["environments"][0]["changes"] == result["environments"][0]["changes"]
    assert result["environments"][0]["changes"][0] == change
    assert result["environments"][0]["created"] is False
    assert elsewhere.differences() == []
    assert everything(elsewhere.before) == before
    assert elsewhere.host.hidden() == []
    again = module(document)
    assert (again["changed"], again["environments"][0]["changes"]) == (False, [])


def test_a_name_with_capitals_is_adopted_under_another_one(
    module: Module, before: pathlib.Path, host: Host
) -> None:
    unpack("1.2", before).rename(before / "MyProject")
    words = module({"name": "MyProject"})["msg"]
    assert "name: myproject with adopt_from: /where/it/is/MyProject" in words
    assert "environment: myproject and mount: /trac/MyProject" in words
    result = module({"name": "myproject", "adopt_from": str(before / "MyProject")})
    assert "msg" not in result
    assert compare.compare(str(before / "MyProject"), str(host.directory / "myproject"))[1] == []


def everything(path: pathlib.Path) -> dict[str, t.Any]:
    return {
        str(each.relative_to(path)): (
            each.lstat().st_mode,
            each.lstat().st_mtime_ns,
            each.lstat().st_ctime_ns,
            each.read_bytes() if each.is_file() else b"",
        )
        for each in sorted(path.rglob("*"))
    }


def test_a_copy_never_replaces_an_environment(
    module: Module, before: pathlib.Path, host: Host
) -> None:
    source = unpack("1.4", before)
    host.one({"name": "trac-1-4", "title": "Mine"})
    document = {"name": "trac-1-4", "adopt_from": str(source)}
    for check in (True, False):
        result = module(document, {"name": "other"}, check=check)
        assert "exists already, and is never replaced" in result["msg"]
        assert result["environments"][1]["created"]
    assert options(host.directory / "trac-1-4")["project name"] == "Mine"
    shutil.rmtree(host.directory / "trac-1-4")
    assert "msg" not in module(document)
    moved = module(document | {"adopt_from": "/nowhere/else"})
    assert f"exists already, copied from {source}" in moved["msg"]


def test_a_failed_copy_leaves_nothing_and_makes_no_new_environment(
    module: Module, before: pathlib.Path, host: Host, tmp_path: pathlib.Path
) -> None:
    source = unpack("1.4", before)
    database = source / "db" / "trac.db"
    whole = database.read_bytes()
    document = {"name": "mine", "adopt_from": str(source)}
    link = source / "files" / "attachments" / "ticket" / "link"

    def fails(words: str) -> None:
        assert words in module(document, check=False)["msg"]
        assert host.hidden() == []
        assert not (host.directory / "mine").exists()

    link.symlink_to("/etc/passwd")
    fails("files/attachments/ticket/link is a symbolic link to /etc/passwd")
    link.unlink()
    link.symlink_to("../../../../outside")
    fails("is a symbolic link to ../../../../outside")
    link.unlink()
    database.write_bytes(whole[:50_000] + b"\xff" * 30_000 + whole[80_000:])
    fails("is broken")
    database.write_bytes(b"")
    database.unlink()
    fails("trac.db is not there, or no file")
    database.write_bytes(whole)
    (source / "VERSION").rename(source / "VERSION.old")
    fails("is no Trac environment (it has no file VERSION)")
    (source / "VERSION.old").rename(source / "VERSION")
    document["adopt_from"] = str(tmp_path / "link")
    (tmp_path / "link").symlink_to(source)
    fails("a symbolic link is not followed")
    document["adopt_from"] = str(tmp_path / "gone")
    fails("No such file or directory")
    document["adopt_from"] = str(source)
    link.symlink_to("3/../../gone")
    fails("is a symbolic link to 3/../../gone, which does not exist")
    link.unlink()
    (link.parent / "3").mkdir()
    (link.parents[1] / "wiki").mkdir(exist_ok=True)
    link.symlink_to("3/../../wiki")  # within
    assert "msg" not in module(document)
    copied = host.directory / "mine" / "files" / "attachments" / "ticket" / "link"
    assert os.readlink(copied) == "3/../../wiki"


def test_a_journal_that_names_another_file_is_refused(
    module: Module, before: pathlib.Path, host: Host, tmp_path: pathlib.Path
) -> None:
    """SQLite would remove that file, as whoever opens the database."""
    source = unpack("1.4", before)
    victim = tmp_path / "victim"
    victim.write_text("precious")
    journal = hot_journal.write(source / "db" / "trac.db", victim)
    document = {"name": "mine", "adopt_from": str(source)}
    for check in (True, False):
        words = module(document, check=check)["msg"]
        assert f"db/trac.db-journal names another file, '{victim}'" in words
        assert victim.exists()
        assert (os.listdir(host.directory), journal.exists()) == ([], True)
    journal.unlink()
    journal.symlink_to("../VERSION")
    assert "db/trac.db-journal is a symbolic link" in module(document)["msg"]
    journal.unlink()
    assert "msg" not in module(document)


def test_an_original_that_is_in_use_is_not_copied(
    module: Module, before: pathlib.Path, host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ansible_collections.trac.mod_wsgi.plugins.module_utils._environments import adoption_copy

    source = unpack("1.4", before)
    fill = adoption_copy.fill

    def busy(*arguments: t.Any) -> None:
        fill(*arguments)
        with sqlite3.connect(source / "db" / "trac.db") as db:
            db.execute("INSERT INTO ticket (summary) VALUES ('Late')")

    monkeypatch.setattr(adoption_copy, "fill", busy)
    result = module({"name": "mine", "adopt_from": str(source)})
    assert "was written to while it was copied" in result["msg"]
    assert "db/trac.db" in result["msg"]
    assert not (host.directory / "mine").exists()
    assert host.hidden() == []


def test_a_copy_works_on_a_database_of_its_own(
    module: Module, before: pathlib.Path, host: Host
) -> None:
    source = unpack("1.2", before)
    ini = source / "conf" / "trac.ini"
    text = ini.read_text(encoding="utf-8")
    absolute = f"sqlite:{source}/db/trac.db?timeout=5000"
    ini.write_text(text.replace("sqlite:db/trac.db", absolute), encoding="utf-8")
    rows = compare.tables(str(source))
    assert "msg" not in module({"name": "mine", "adopt_from": str(source)})
    assert options(host.directory / "mine")["trac database"] == "sqlite:db/trac.db?timeout=5000"
    assert compare.tables(str(source)) == rows
    assert compare.compare(str(source), str(host.directory / "mine"))[1] == []
    ini.write_text(text.replace("sqlite:db/trac.db", "sqlite:/var/lib/x.db"), encoding="utf-8")
    result = module({"name": "second", "adopt_from": str(source)})
    assert "its database /var/lib/x.db is outside of it" in result["msg"]


SERVER = "postgres://trac:s3cr3t@127.0.0.1:1/old"


@pytest.fixture
def served(before: pathlib.Path) -> pathlib.Path:
    """An environment that works on a database on a server, which nobody can reach."""
    source = unpack("1.6", before)
    ini = source / "conf" / "trac.ini"
    text = ini.read_text(encoding="utf-8")
    ini.write_text(text.replace("sqlite:db/trac.db", SERVER), encoding="utf-8")
    return source


def refusal(module: Module, host: Host, **document: str) -> str:
    """Why a copy is refused, which is nothing but read then, in check mode as well."""
    predicted = module({"name": "mine", **document}, check=True)["msg"]
    message = str(module({"name": "mine", **document})["msg"])
    assert predicted == message
    assert "s3cr3t" not in message
    assert os.listdir(host.directory) == []
    return message


def test_a_copy_takes_no_database_on_a_server_without_being_told_to(
    module: Module, served: pathlib.Path, host: Host
) -> None:
    before = everything(served)
    message = refusal(module, host, adopt_from=str(served))
    assert f"{served} is on a database server (postgres://trac:********@127.0.0.1:1/old)" in message
    assert "adopt_database: shared" in message
    assert "adopt_database: own" in message
    # Another database in the inventory may be the same by another name.
    other = "postgres://trac:s3cr3t@10.0.0.1/old"
    assert "adopt_database: own" in refusal(module, host, adopt_from=str(served), database=other)
    message = refusal(module, host, adopt_from=str(served), adopt_database="own")
    assert "which needs database" in message
    same = SERVER.replace("trac:s3cr3t@", "other:s3cr3t@")
    for uri in (SERVER, same):
        message = refusal(module, host, adopt_from=str(served), adopt_database="own", database=uri)
        assert "leads to that of" in message
    assert everything(served) == before


def test_a_copy_that_shares_a_database_says_so(
    module: Module, served: pathlib.Path, host: Host
) -> None:
    document = {"name": "mine", "adopt_from": str(served), "adopt_database": "shared"}
    for check in (True, False):
        result = module(document, check=check)
        assert "adopt a copy of" in result["environments"][0]["changes"][0]
        assert sum(f"same database as {served}" in text for text in result["warnings"]) == 1
    assert options(host.directory / "mine")["trac database"] == SERVER


def test_a_copy_with_a_database_of_its_own_is_made(module: Module, served: pathlib.Path) -> None:
    own = "postgres://trac:s3cr3t@127.0.0.1:1/new"
    document = {"adopt_from": str(served), "adopt_database": "own", "database": own}
    result = module({"name": "mine", **document})
    assert "adopt a copy of" in result["environments"][0]["changes"][0]


def test_what_is_said_of_a_database_has_to_fit_the_original(
    module: Module, before: pathlib.Path, host: Host
) -> None:
    source = unpack("1.6", before)
    message = refusal(module, host, adopt_from=str(source), adopt_database="shared")
    assert "is on SQLite, whose file is copied" in message
    uri = f"sqlite:{source}/db/trac.db"
    message = refusal(module, host, adopt_from=str(source), database=uri)
    assert "leave database out" in message
    message = refusal(module, host, adopt_database="shared")
    assert "is of no use without adopt_from" in message


@pytest.mark.parametrize("path", ["relative", "/", "/a/../b", "/a\nb", ""])
def test_a_path_that_cannot_be_is_refused(module: Module, path: str) -> None:
    assert "adopt_from is" in module({"name": "mine", "adopt_from": path})["msg"]


def test_environments_are_not_copied_into_themselves(module: Module, host: Host) -> None:
    for path in (host.directory / "other", host.directory.parent):
        result = module({"name": "mine", "adopt_from": str(path)})
        assert "must be neither in" in result["msg"]


def test_what_a_killed_copy_left_is_removed(
    module: Module, before: pathlib.Path, host: Host
) -> None:
    host.directory.chmod(0o2750)
    left = host.directory / ".mine.adopting-abcd_123"
    left.mkdir(0o700)
    (left / "conf").mkdir()
    document = {"name": "mine", "adopt_from": str(unpack("1.6", before))}
    assert module(document, check=True)["removed_leftovers"] == [left.name]
    assert left.exists()
    assert module(document)["removed_leftovers"] == [left.name]
    assert host.hidden() == []
    assert module(document)["changed"] is False
    left.mkdir(0o700)
    # Nothing else is to be done, and that it is removed is a change all the same.
    result = module(document)
    assert (result["changed"], result["environments"][0]["changed"]) == (True, False)
