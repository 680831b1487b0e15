# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How many connections sites can open, and when that is too many."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.trac.mod_wsgi.plugins.module_utils._site import connection_budget
from ansible_collections.trac.mod_wsgi.plugins.module_utils._site.connection_budget import Server
from ansible_collections.trac.mod_wsgi.tests.unit.plugins.site_settings import (
    SETTINGS,
    planned,
)

NAMES = ["one", "two", "three"]
SERVER = Server("postgres://db:5432", NAMES, 100, 3)


def budget(
    *sites: dict[str, t.Any], server: Server = SERVER, hosts: int = 1
) -> connection_budget.Budget:
    plan = planned(
        [{"name": f"s{number}", **site} for number, site in enumerate(sites)],
        [{"name": name} for name in NAMES],
        SETTINGS,
    )
    return connection_budget.budget(server, connection_budget.pools(plan["pools"], NAMES), hosts)


@pytest.mark.parametrize(
    ("sites", "needed"),
    [
        ([], 0),
        # One environment: no more than one for each thread.
        ([{"environment": "one"}], 2 * 5),
        # Several: up to the size of the pool.
        ([{}], 2 * 10),
        ([{"processes": 4, "pool_size": 30}], 4 * 15),
        ([{"processes": 4, "pool_size": 12}], 4 * 12),
        ([{"pooling": "per_request"}], 2 * 10),
        ([{"pooling": "disabled"}], 2 * 5),
        ([{"threads": 30}], 2 * 30),
        ([{}, {"environment": "two", "processes": 1, "threads": 1}], 21),
        # Embedded sites share one pool in each of Apache's processes.
        ([{"mode": "embedded"}, {"mode": "embedded", "processes": 50}], 6 * 25),
        ([{"mode": "embedded", "environment": "one", "pool_size": 2}, {}], 10 * 2 + 20),
    ],
)
def test_what_sites_can_open(sites: list[dict[str, t.Any]], needed: int) -> None:
    assert budget(*sites).needed == needed


def test_only_environments_of_the_server_count() -> None:
    server = Server("mysql://db:3306", ["three"], 100)
    assert budget({}, {"environment": "one"}, server=server).needed == 2 * 5


@pytest.mark.parametrize(("processes", "enough"), [(9, True), (10, False)])
def test_the_reserved_ones_are_not_for_trac(processes: int, enough: bool) -> None:
    found = budget({"processes": processes})
    assert found.server.available == 97
    assert found.enough is enough
    assert (found.warning() is None) is enough


def test_the_warning_says_all_that_is_needed() -> None:
    warning = budget(
        {"name": "wide", "processes": 8}, {"name": "narrow", "environment": "one"}, hosts=3
    ).warning()
    assert warning is not None
    for words in (
        "postgres://db:5432",
        "can open 270",
        "site wide: 8 processes x 10",
        "site narrow: 2 processes x 5",
        "each of 3 hosts",
        "takes 97",
        "max_connections 100, 3 of them reserved",
        "pool_size",
    ):
        assert words in warning


def test_a_server_that_cannot_be_asked_is_a_note() -> None:
    silent = Server("postgres://db:5432", NAMES, reason="timeout expired")
    found = budget({}, server=silent)
    assert found.enough is None
    assert "timeout expired" in str(found.warning())
    assert "open 20" in str(found.warning())
    # Nothing is served from it, so nobody needs to know.
    assert budget(server=silent).warning() is None


@pytest.mark.parametrize(
    ("name", "hosts"),
    [
        ("postgres://localhost:5432", 1),
        ("postgres://127.0.0.1:5432", 1),
        ("postgres:///var/run/postgresql:5432", 1),
        ("mysql:///run/mysqld/mysqld.sock:3306", 1),
        ("postgres://localhost.example.org:5432", 4),
        ("mysql://10.0.0.1:3306", 4),
    ],
)
def test_hosts_share_servers_that_they_can_reach(name: str, hosts: int) -> None:
    server = Server(name, NAMES, 100)
    assert budget({"environment": "one"}, server=server, hosts=4).needed == 10 * hosts
