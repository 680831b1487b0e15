# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Environments whose trac.ini and inventory name different databases."""

from __future__ import annotations

import contextlib
import shutil
import sqlite3

import pytest

from ansible_collections.trac.mod_wsgi.tests.unit.plugins.modules.reconciled import Document, Host

OWN = "sqlite:db/trac.db"
# Nobody listens there.
POSTGRES = "postgres://trac:s3cr3t-1@127.0.0.1:1/project"
MYSQL = "mysql://trac:s3cr3t-2@127.0.0.1:1/project"


def use(host: Host, uri: str, found: str = OWN) -> None:
    """Have somebody move the environment to another database, by hand."""
    text = host.ini_path().read_text("utf-8")
    assert f"database = {found}\n" in text
    host.ini_path().write_text(text.replace(found, uri), "utf-8")


def copy_database(host: Host, tickets: int) -> str:
    """A copy of the SQLite database, with so many tickets more."""
    directory = host.directory / "project" / "db"
    shutil.copy2(directory / "trac.db", directory / "new.db")
    with contextlib.closing(sqlite3.connect(directory / "new.db")) as db:
        db.executemany("INSERT INTO ticket (summary) VALUES (?)", [("Irreplaceable",)] * tickets)
        db.commit()
    return "sqlite:db/new.db"


def run(host: Host, database: str) -> Document:
    """Run with that database in the inventory, and see that check mode says the same."""
    document = {"name": "project", "database": database}
    before = host.ini_path().read_bytes()
    predicted = host.one(document, check=True)
    assert host.ini_path().read_bytes() == before
    report = host.one(document)
    assert predicted == report
    assert "s3cr3t" not in repr(report)
    return report


def refusal(host: Host, database: str) -> str:
    """Why the environment keeps its database."""
    before = host.ini_path().read_bytes()
    report = run(host, database)
    assert report["changes"] == []
    assert host.ini_path().read_bytes() == before
    return str(report["failure"])


@pytest.mark.parametrize(
    ("used", "named"),
    [(POSTGRES, "sqlite:db/gone.db"), (OWN, POSTGRES), (POSTGRES, MYSQL), (MYSQL, POSTGRES)],
)
def test_a_database_that_cannot_be_used_is_named_with_the_one_in_use(
    created: Host, used: str, named: str
) -> None:
    if used != OWN:
        use(created, used)
    failure = refusal(created, named)
    for uri in (used, named):
        assert uri.replace("s3cr3t-1", "********").replace("s3cr3t-2", "********") in failure
    assert "the environment uses" in failure
    assert "that cannot be used" in failure
    assert "restore.yml" in failure


def test_what_is_left_of_a_database_does_not_take_the_place_of_the_one_in_use(
    created: Host,
) -> None:
    use(created, copy_database(created, tickets=3))
    failure = refusal(created, OWN)
    assert "the environment uses sqlite:db/new.db, and keeps it" in failure
    assert "The inventory says sqlite:db/trac.db, and that has 0 rows in ticket, instead of 3" in (
        failure
    )


def test_a_database_of_another_kind_is_not_used_while_the_one_in_use_is_silent(
    created: Host,
) -> None:
    use(created, POSTGRES)
    failure = refusal(created, OWN)
    assert "the environment uses postgres://trac:********@127.0.0.1:1/project" in failure
    assert "cannot be compared" in failure


def test_a_file_without_tables_is_no_database_of_trac(created: Host) -> None:
    with contextlib.closing(sqlite3.connect(created.directory / "project" / "db" / "x.db")) as db:
        db.execute("CREATE TABLE x (y)")
        db.commit()
    assert "no tables of Trac" in refusal(created, "sqlite:db/x.db")


@pytest.mark.parametrize("tickets", [0, 2])
def test_a_database_that_holds_as_much_is_used_with_a_warning(created: Host, tickets: int) -> None:
    new = copy_database(created, tickets)
    report = run(created, new)
    assert report["failure"] is None
    assert report["changes"] == ["set [trac] database"]
    assert any(OWN in warning and new in warning for warning in report["warnings"])
    assert created.ini()["trac"]["database"] == new
    report = run(created, new)
    assert (report["changes"], report["warnings"]) == ([], [])


def test_a_file_that_was_moved_is_used(created: Host) -> None:
    new = copy_database(created, tickets=0)
    (created.directory / "project" / "db" / "trac.db").unlink()
    assert run(created, new)["changes"] == ["set [trac] database"]


def test_the_same_file_by_another_name_is_no_move(created: Host) -> None:
    report = run(created, f"sqlite:{created.directory}/project/db/trac.db")
    assert report["failure"] is None
    assert report["warnings"] == []
