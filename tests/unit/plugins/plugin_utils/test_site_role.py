# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The plan of the role: what the host has answered, and who is kept from whom."""

from __future__ import annotations

import base64
import json
import typing as t

from ansible_collections.trac.mod_wsgi.plugins.plugin_utils import _site_role

ENVIRONMENTS = [{"name": "one"}, {"name": "two"}, {"name": "three"}]


def plan(*facts: str, **more: t.Any) -> dict[str, t.Any]:
    arguments: dict[str, t.Any] = {
        "sites": [{"name": "all"}],
        "environments": ENVIRONMENTS,
        "users": [],
        "groups_claim": "",
        "paths": {
            "sites": "/srv/trac/sites",
            "cache": "/var/cache/trac",
            "environments": "/home/trac/environments",
            "tls": "/etc/ssl/trac",
            "marker": ".mine",
            "hello_world_link": "/etc/apache2/hello.conf",
            "hello_world_url": "/hello-world",
            "repositories": "",
            "writable": ["/opt/a", "/etc/b", "/etc/b"],
        },
        "user": "trac",
        "apache_user": "www-data",
        "host": "web",
        "host_facts": list(facts),
        "ports": {
            "endpoints": [{"port": 80, "url": "http://127.0.0.1"}],
            "tls_endpoints": [{"port": 443, "url": "https://127.0.0.1"}],
        },
        "certificates": {"stapling": [], "fingerprints": {}},
        "reconciled": [],
        "answering": [],
        "broken": {},
        **more,
    }
    return _site_role.plan_sites(arguments)


def listed(**reasons: str) -> str:
    return "out_of_service " + base64.b64encode(json.dumps(reasons).encode()).decode()


def test_what_a_host_does_not_say_is_unknown() -> None:
    facts = _site_role.read_facts([])
    assert facts == ([], [], "", [], False, 0, 0, 0)


def test_of_several_answers_the_last_one_counts() -> None:
    facts = _site_role.read_facts(
        ["apache_workers 150", "apache_workers 400", "memory_kb 2048000", "cores 4", "account 998"]
    )
    assert (facts.apache_workers, facts.memory_mb, facts.cores) == (400, 2000, 4)
    assert facts.has_account


def test_nobody_asks_what_is_out_of_service() -> None:
    """Neither for the sizes of its requests nor for its database: its files may be anything."""
    found = plan(
        listed(one="it burns"),
        "environment_on_server /srv/one/conf/trac.ini",
        "environment_on_server /srv/two/conf/trac.ini",
        broken={"three": "status 500"},
    )
    assert found["out_of_service"] == {"one": "it burns", "three": "status 500"}
    assert _site_role.served_environments(found) == ["two"]
    assert found["environments_on_servers"] == ["two"]


def test_what_has_failed_is_served_while_it_answers() -> None:
    reconciled = [
        {"name": "one", "failure": "a wrong title"},
        {"name": "two", "failure": "no database", "servable": False},
        {"name": "three"},
    ]
    found = plan(listed(three="it was"), reconciled=reconciled, answering=["one", "two"])
    assert found["out_of_service"] == {"two": "no database"}
    statuses = {
        check["name"]: check["status"] for check in found["served_checks"] if "status" in check
    }
    assert statuses["site all, environment two"] == [200, 403]


def test_systemd_is_told_of_what_it_would_protect() -> None:
    assert plan()["writable_paths"] == ["/home/trac/environments", "/etc/b"]
