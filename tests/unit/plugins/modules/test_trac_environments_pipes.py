# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pipes among the files of an environment: the run names them and ends."""

from __future__ import annotations

import pytest

from ansible_collections.trac.mod_wsgi.plugins.module_utils._environments import (
    worker as environment_worker,
)
from ansible_collections.trac.mod_wsgi.plugins.module_utils._trac import database_servers
from ansible_collections.trac.mod_wsgi.plugins.module_utils._upgrade import (
    preflight as upgrade_preflight,
)
from ansible_collections.trac.mod_wsgi.tests.unit.plugins.modules.reconciled import PROJECT, Host
from ansible_collections.trac.mod_wsgi.tests.unit.plugins.pipes import pipe_at

OTHER = {"name": "other", "title": "Other"}
INI = "conf/trac.ini"


@pytest.mark.parametrize("place", [INI, "VERSION", "plugins/of_mine.py", "log/trac.log"])
def test_a_run_waits_for_no_pipe(created: Host, place: str) -> None:
    path = created.directory / "project" / place
    with pipe_at(path):
        reports = created.run({**PROJECT, "title": "New"}, {**OTHER, "title": "New"})
    assert "this is a named pipe, not a file" in reports["project"]["failure"]
    assert str(path) in reports["project"]["failure"]
    assert reports["other"]["failure"] is None


def test_nor_in_the_place_of_tracignore(created: Host) -> None:
    path = created.directory / ".tracignore"
    with pipe_at(path):
        (event,) = [
            event
            for event in environment_worker.run(created.payload([PROJECT]))
            if event["event"] == "tracignore"
        ]
    assert event["failure"] == f"this is a named pipe, not a file: {path}"


def test_nobody_else_who_looks_at_an_environment_waits(created: Host) -> None:
    path = created.ini_path()
    payload = {"directory": str(created.directory), "live_plugins": None, "plugins": None}
    with pipe_at(path):
        seen = [event for event in upgrade_preflight.look(payload) if event["event"] == "seen"]
        assert list(database_servers.servers(str(created.directory), ["project"])) == []
    assert f"this is a named pipe, not a file: {path}" in [event["failure"] for event in seen]
