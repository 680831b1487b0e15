# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A Trac environment to reconcile, looked at with means other than the reconciler's."""

from __future__ import annotations

import contextlib
import os
import pathlib
import shutil
import sqlite3
import typing as t

import pytest

from ansible_collections.trac.mod_wsgi.plugins.module_utils._environments import environment_input
from ansible_collections.trac.mod_wsgi.plugins.module_utils._environments import (
    worker as environment_worker,
)


class Project:
    """The environment `project` below a directory of its own."""

    def __init__(self, directory: pathlib.Path) -> None:
        self.directory = directory
        self.path = directory / "project"

    def reconcile(
        self, check: bool = False, defaults: dict[str, t.Any] | None = None, **keys: t.Any
    ) -> dict[str, t.Any]:
        """Run the worker in this process; returns the report."""
        specs, problems = environment_input.read_specs([{"name": "project", **keys}], defaults)
        assert problems == []
        payload = {
            "directory": str(self.directory),
            "check": check,
            "environments": [spec.to_json() for spec in specs],
        }
        umask = os.umask(environment_worker.UMASK)
        try:
            events = list(environment_worker.run(payload))
        finally:
            os.umask(umask)
        assert events[-1] == {"event": "end"}
        (report,) = [event["report"] for event in events if event["event"] == "report"]
        return t.cast("dict[str, t.Any]", report)

    def changes(self, **keys: t.Any) -> list[str]:
        """Reconcile; check mode has to have said the same before, and no second run changes any."""
        predicted = self.reconcile(check=True, **keys)
        report = self.reconcile(**keys)
        assert report == predicted
        assert report["failure"] is None
        again = self.reconcile(**keys)
        assert (again["changes"], again["failure"]) == ([], None)
        return t.cast("list[str]", report["changes"])

    def rows(self, query: str, *arguments: object) -> list[t.Any]:
        with contextlib.closing(sqlite3.connect(self.path / "db" / "trac.db")) as db:
            return db.execute(query, arguments).fetchall()

    def execute(self, statement: str, *arguments: object) -> None:
        with contextlib.closing(sqlite3.connect(self.path / "db" / "trac.db")) as db:
            db.execute(statement, arguments)
            db.commit()

    def ticket(self, **values: str) -> int:
        """A ticket, as a visitor writes one."""
        from trac.env import Environment
        from trac.ticket.model import Ticket

        environment = Environment(str(self.path))
        ticket = Ticket(environment)
        ticket.populate({"summary": "It is broken", "reporter": "anna", "status": "new", **values})
        number = t.cast("int", ticket.insert())
        environment.shutdown()
        return number

    def dump(self) -> list[t.Any]:
        """Everything in the database that somebody could miss."""
        tables = "permission", "milestone", "component", "version", "enum", "ticket", "attachment"
        return [self.rows(f"SELECT * FROM {table} ORDER BY 1, 2") for table in tables]


@pytest.fixture
def empty(tmp_path: pathlib.Path) -> Project:
    """Room for an environment."""
    pytest.importorskip("trac.env")
    directory = tmp_path / "environments"
    directory.mkdir()
    return Project(directory)


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """An environment as Trac makes it, to be copied."""
    pytest.importorskip("trac.env")
    made = Project(tmp_path_factory.mktemp("made"))
    assert made.reconcile()["failure"] is None
    return made


@pytest.fixture
def project(empty: Project, made: Project) -> Project:
    """An environment as Trac makes it."""
    shutil.copytree(made.directory, empty.directory, dirs_exist_ok=True)
    return empty
