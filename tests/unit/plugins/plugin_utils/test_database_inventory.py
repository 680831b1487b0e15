# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From inventories to logins, and to the connection strings of environments."""

from __future__ import annotations

import typing as t

import pytest
from trac.db.api import parse_connection_uri

from ansible_collections.trac.mod_wsgi.plugins.filter import databases as filters
from ansible_collections.trac.mod_wsgi.plugins.plugin_utils import _database_inventory as inventory
from ansible_collections.trac.mod_wsgi.plugins.plugin_utils import _role_variables
from ansible_collections.trac.mod_wsgi.plugins.plugin_utils._database_url import UrlError

SETTINGS = {
    "type": "postgresql",
    "layout": "database",
    "prefix": "trac_",
    "schema_database": "trac",
}
OPTIONS = {
    "host": "db",
    "type": "postgresql",
    "local": False,
    "mysql_options": "/etc/x.cnf",
    "check": False,
    "defaults": {},
}


def environments(*names: str, **keys: t.Any) -> list[dict[str, t.Any]]:
    return [{"name": name, **keys} for name in names]


@pytest.mark.parametrize(
    ("members", "variables", "host"),
    [
        ([], {}, ""),
        (["db", "other"], {}, "db"),
        (["db", "web"], {}, "web"),
        (["db", "other"], {"trac_environments_database_host": "other"}, "other"),
        (["db"], {"trac_environments_database_host": ""}, ""),
    ],
)
def test_which_database_host(members: list[str], variables: dict[str, t.Any], host: str) -> None:
    hostvars: dict[str, t.Any] = {"db": {}, "other": {}, "web": variables}
    assert inventory.database_host(hostvars, {"trac_database": members}, "web") == host


def test_a_database_host_that_is_switched_off() -> None:
    hostvars = {"db": {"trac_database_type": "none"}, "web": {}}
    assert inventory.database_host(hostvars, {"trac_database": ["db"]}, "web") == ""


def test_needs_are_those_of_the_web_hosts_without_a_database_of_their_own() -> None:
    hostvars: dict[str, t.Any] = {
        "db": {},
        "one": {
            "trac_environments": [
                *environments("a", "b"),
                *environments("own", database="sqlite:db/trac.db"),
                *environments("ini", config={"trac": {"database": "sqlite:db/trac.db"}}),
                *environments("gone", "half", state="absent"),
            ],
            "ansible_facts": {"default_ipv4": {"address": "192.0.2.7"}, "default_ipv6": {}},
        },
        "two": {"trac_environments": environments("b", "half")},
        "plain": {},
        "all-own": {
            "trac_environments": environments("c"),
            "trac_environments_defaults": {"config": {"trac": {"database": "sqlite:x"}}},
        },
        "elsewhere": {
            "trac_environments": environments("d"),
            "trac_environments_database_host": "",
        },
    }
    groups = {"trac_database": ["db"], "trac_web": [*list(hostvars)[1:], "db"]}
    needs = inventory.needed(hostvars, groups, "db")
    assert needs["environments"] == [
        {"name": "a", "state": "present"},
        {"name": "b", "state": "present"},
        {"name": "gone", "state": "absent"},
        {"name": "half", "state": "present"},
        {"name": "project", "state": "present"},
    ]
    assert needs["local"] is True
    assert needs["remote"] == ["one", "two", "plain", "all-own"]
    assert needs["addresses"] == ["192.0.2.7"]


def test_passwords_stay_put_and_given_ones_win() -> None:
    first = inventory.logins(environments("a", "b"), {}, {"b": "given"}, SETTINGS)
    stored = {"logins": first["document"]}
    assert len(first["wanted"]["a"]["password"]) > 40
    assert first["wanted"]["b"]["password"] == "given"
    assert first["known"] == ["b"]
    again = inventory.logins(environments("a", "b"), stored, {"b": "given"}, SETTINGS)
    assert again["wanted"] == first["wanted"]
    assert again["known"] == ["a", "b"]
    changed = inventory.logins(environments("a", "b"), stored, {"a": "new"}, SETTINGS)
    assert [changed["wanted"][name]["password"] for name in "ab"] == ["new", "given"]


def test_names_stay_put_and_what_is_not_listed_stays() -> None:
    first = inventory.logins(environments("a"), {}, {}, SETTINGS)
    settings = {**SETTINGS, "prefix": "x_", "layout": "schema"}
    later = inventory.logins(environments("b"), {"logins": first["document"]}, {}, settings)
    assert later["document"]["a"] == first["wanted"]["a"]
    assert later["wanted"]["b"]["database"] == "trac"
    # In an order that does not depend on what was there first: pg_hba.conf is written from it.
    added = inventory.logins(environments("0", "a"), {"logins": first["document"]}, {}, settings)
    assert list(added["document"]) == ["0", "a"]
    assert later["wanted"]["b"]["schema"] == later["wanted"]["b"]["login"] == "x_b"
    same = inventory.logins(environments("a"), {"logins": first["document"]}, {}, settings)
    assert same["wanted"] == first["wanted"]


def test_only_absent_environments_that_had_a_login_are_gone() -> None:
    first = inventory.logins(environments("a"), {}, {}, SETTINGS)
    later = inventory.logins(
        environments("a", "b", state="absent"), {"logins": first["document"]}, {}, SETTINGS
    )
    assert list(later["gone"]) == ["a"] and later["wanted"] == {}


def document(**keys: t.Any) -> dict[str, t.Any]:
    return {
        "type": "postgresql",
        "address": "db.example.org",
        "port": 5432,
        "socket": "/var/run/postgresql",
        "logins": {
            "a": {"login": "trac_a", "database": "trac", "password": "p/@", "schema": "trac_a"}
        },
        **keys,
    }


@pytest.mark.parametrize(
    ("made", "options", "parts"),
    [
        (document(), {}, {"host": "db.example.org", "params": {"schema": "trac_a"}}),
        (
            document(port=5433),
            {"local": True},
            {"port": 5433, "params": {"host": "/var/run/postgresql", "schema": "trac_a"}},
        ),
        (
            document(type="mariadb", port=3306, socket="/run/mysqld/mysqld.sock"),
            {"local": True},
            {
                "host": "localhost",
                "params": {"unix_socket": "/run/mysqld/mysqld.sock", "schema": "trac_a"},
            },
        ),
        (
            document(type="mariadb", port=3307),
            {},
            {
                "host": "db.example.org",
                "port": 3307,
                "params": {"read_default_file": "/etc/x.cnf", "schema": "trac_a"},
            },
        ),
    ],
)
def test_connection_strings(
    made: dict[str, t.Any], options: dict[str, t.Any], parts: dict[str, t.Any]
) -> None:
    found = filters.FilterModule().filters()["environments_with_databases"](
        environments("a"), made, {**OPTIONS, **options}
    )
    scheme, read = parse_connection_uri(found[0]["new_database"])
    assert scheme == ("mysql" if made["type"] == "mariadb" else "postgres")
    assert read == {"user": "trac_a", "password": "p/@", "path": "/trac", **parts}


def test_environments_with_a_database_of_their_own_are_left_alone() -> None:
    own = [
        *environments("x", database="sqlite:db/trac.db"),
        *environments("a", state="absent"),
        *environments("y", config={"trac": {"database": "sqlite:db/trac.db"}}),
    ]
    assert inventory.with_databases(own, document(), OPTIONS) == own
    defaults = {"config": {"trac": {"database": "sqlite:db/trac.db"}}}
    options = {**OPTIONS, "defaults": defaults}
    assert inventory.with_databases(environments("a"), document(), options) == environments("a")


def test_a_login_that_is_not_there_is_named_or_in_check_mode_assumed() -> None:
    with pytest.raises(UrlError, match="db has no login for the environment b"):
        inventory.with_databases(environments("b"), document(), OPTIONS)
    for local in (True, False):
        found = inventory.with_databases(
            environments("b"), {}, {**OPTIONS, "check": True, "local": local}
        )
        assert parse_connection_uri(found[0]["new_database"])[0] == "postgres"


def variables(**changes: t.Any) -> dict[str, t.Any]:
    return {
        "trac_database_type": "postgresql",
        "trac_database_layout": "database",
        "trac_database_prefix": "trac_",
        "trac_database_schema_database": "trac",
        "trac_database_environments": environments("a"),
        "trac_database_passwords": {},
        "trac_database_address": "db.example.org",
        "trac_database_clients": ["192.0.2.7", "2001:db8::/64"],
        "trac_database_port": None,
        "trac_database_max_connections": None,
        "trac_database_socket": "/var/run/postgresql",
        "trac_database_tls_certificate": "",
        "trac_database_tls_key": "",
        "trac_database_tls_ca": "",
        **changes,
    }


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"trac_database_passwords": {"a": "@:/%# é'\"\\?&+ "}},
        {"trac_database_address": "192.0.2.1", "trac_database_port": "5433"},
        {"trac_database_type": "mariadb", "trac_database_clients": ["192.0.2.0/24", "2001:db8::1"]},
        {"trac_database_max_connections": 300, "trac_database_layout": "schema"},
        {"trac_database_tls_certificate": "/etc/a.pem", "trac_database_tls_key": "/etc/a.key"},
    ],
)
def test_good_variables(changes: dict[str, t.Any]) -> None:
    assert inventory.problems(variables(**changes)) == []


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"trac_database_type": "oracle"}, ["trac_database_type", "'oracle'", "mariadb"]),
        ({"trac_database_layout": "table"}, ["trac_database_layout", "'table'"]),
        (
            {
                "trac_database_layout": "schema",
                "trac_database_type": "mariadb",
                "trac_database_clients": [],
            },
            ["trac_database_layout", "only PostgreSQL"],
        ),
        ({"trac_database_prefix": 'a"'}, ["trac_database_prefix"]),
        ({"trac_database_schema_database": "a b"}, ["trac_database_schema_database"]),
        (
            {"trac_database_environments": environments("a" * 59)},
            ["64 characters", "at most 63"],
        ),
        ({"trac_database_passwords": {"b": "x"}}, ["trac_database_passwords names 'b'", "a"]),
        ({"trac_database_passwords": {"a": ""}}, ["trac_database_passwords['a']"]),
        ({"trac_database_passwords": {"a": 12345678}}, ["trac_database_passwords['a']"]),
        ({"trac_database_passwords": {"a": "x\ny"}}, ["trac_database_passwords['a']"]),
        (
            {
                "trac_database_passwords": {"a": "日本"},
                "trac_database_type": "mariadb",
                "trac_database_clients": [],
            },
            ["trac_database_passwords['a']", "Latin-1"],
        ),
        ({"trac_database_passwords": ["x"]}, ["trac_database_passwords", "dictionary"]),
        ({"trac_database_clients": ["web1"]}, ["trac_database_clients", "'web1'"]),
        (
            {"trac_database_clients": ["2001:db8::/64"], "trac_database_type": "mariadb"},
            ["trac_database_clients", "no networks"],
        ),
        ({"trac_database_address": "a b"}, ["trac_database_address", "'a b'"]),
        ({"trac_database_port": 70000}, ["trac_database_port", "65535"]),
        (
            {"trac_database_max_connections": 10001},
            ["trac_database_max_connections", "10 to 10000"],
        ),
        ({"trac_database_max_connections": "many"}, ["trac_database_max_connections", "'many'"]),
        ({"trac_database_tls_key": "/etc/a.key"}, ["trac_database_tls_certificate", "missing"]),
        ({"trac_database_socket": "/a b"}, ["trac_database_socket", "'/a b'"]),
    ],
)
def test_bad_variables(changes: dict[str, t.Any], words: list[str]) -> None:
    problems = inventory.problems(variables(**changes))
    assert len(problems) == 1, problems
    for word in words:
        assert word in problems[0]
    assert "12345678" not in problems[0]


def test_a_missing_collection_is_named() -> None:
    # Under pytest, Ansible finds none.
    problems = collection_problems()
    assert len(problems) == 1
    assert "ansible-galaxy collection install community.postgresql" in problems[0]
    assert collection_problems(trac_database_type="none") == []


def collection_problems(**changes: t.Any) -> list[str]:
    given = _role_variables.variables("trac_database", variables(**changes))
    return _role_variables.problems(given)
