# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Statements for a database server: what is missing, nothing else, and never a password."""

from __future__ import annotations

import hashlib
import typing as t

import pytest

from ansible_collections.trac.mod_wsgi.plugins.plugin_utils import _database_plan as plans
from ansible_collections.trac.mod_wsgi.plugins.plugin_utils import _database_secrets as secrets

PASSWORD = "@:/%# é'\"\\?&+ "
ONE = plans.Login("one", "trac_one", "trac_one", PASSWORD)
SHARED = plans.Login("one", "trac_one", "trac", PASSWORD, schema="trac_one")


def postgresql(**changes: t.Any) -> dict[str, t.Any]:
    """A server on which everything is as it should be."""
    return {
        "roles": [
            {"name": "trac_one", "login": True, "password": secrets.scram_verifier(PASSWORD)}
        ],
        "databases": [
            {"name": "trac_one", "owner": "trac_one", "encoding": "UTF8", "public": False},
            {"name": "trac", "owner": "postgres", "encoding": "UTF8", "public": False},
        ],
        "grants": [["trac", "trac_one", "CONNECT"], ["trac", "trac_one", "CREATE"]],
        **changes,
    }


def mariadb(**changes: t.Any) -> dict[str, t.Any]:
    return {
        "accounts": [
            {
                "login": "trac_one",
                "host": host,
                "plugin": "mysql_native_password",
                "password": secrets.native_hash(PASSWORD),
                "tls": host != "localhost",
            }
            for host in ("localhost", "192.0.2.7")
        ],
        "databases": [{"name": "trac_one", "collation": "utf8mb4_bin"}],
        "privileges": [
            {"login": "trac_one", "host": host, "pattern": r"trac\_one"}
            for host in ("localhost", "192.0.2.7")
        ],
        **changes,
    }


HOSTS = ["localhost", "192.0.2.7"]


def test_a_new_postgresql_gets_everything() -> None:
    plan = plans.postgresql_plan([ONE], [], None)
    assert plan.summary == ["create login trac_one", "create database trac_one"]
    assert plan.logins[0].startswith('CREATE ROLE "trac_one" LOGIN NOSUPERUSER')
    assert plan.databases[0].startswith('CREATE DATABASE "trac_one" OWNER "trac_one" ')
    assert plan.databases[1] == 'REVOKE ALL ON DATABASE "trac_one" FROM PUBLIC'
    assert plan.inside == {} and plan.problems == []


def test_a_schema_is_left_to_trac_in_a_closed_database() -> None:
    plan = plans.postgresql_plan([SHARED], [], None)
    assert 'CREATE DATABASE "trac" TEMPLATE' in plan.databases[0]
    assert plan.databases[1:] == [
        'REVOKE ALL ON DATABASE "trac" FROM PUBLIC',
        'GRANT CONNECT ON DATABASE "trac" TO "trac_one"',
        'GRANT CREATE ON DATABASE "trac" TO "trac_one"',
    ]
    assert plan.inside == {"trac": ["REVOKE ALL ON SCHEMA public FROM PUBLIC"]}


@pytest.mark.parametrize("login", [ONE, SHARED])
def test_nothing_to_do_on_postgresql(login: plans.Login) -> None:
    assert plans.postgresql_plan([login], ["one"], postgresql()) == plans.Plan()


def test_nothing_to_do_on_mariadb() -> None:
    assert plans.mariadb_plan([ONE], ["one"], mariadb(), HOSTS) == plans.Plan()


@pytest.mark.parametrize(
    ("role", "words"),
    [
        ({"login": True, "password": secrets.scram_verifier("other")}, "set the password"),
        ({"login": True, "password": "md5" + 32 * "0"}, "set the password"),
        ({"login": True, "password": None}, "set the password"),
        ({"login": False, "password": secrets.scram_verifier(PASSWORD)}, "set the password"),
    ],
)
def test_a_changed_password_is_set(role: dict[str, t.Any], words: str) -> None:
    state = postgresql(roles=[{"name": "trac_one", **role}])
    plan = plans.postgresql_plan([ONE], ["one"], state)
    assert len(plan.logins) == 1 and words in plan.summary[0]
    assert plan.logins[0].startswith('ALTER ROLE "trac_one" LOGIN PASSWORD \'SCRAM-SHA-256$')
    assert plan.databases == []


@pytest.mark.parametrize(
    ("state", "words"),
    [
        (postgresql(), "trac_database_passwords['one']"),
        (
            postgresql(
                roles=[],
                databases=[
                    {"name": "trac_one", "owner": "joe", "encoding": "UTF8", "public": True}
                ],
            ),
            "belongs to joe",
        ),
        (
            postgresql(
                roles=[],
                databases=[
                    {"name": "trac_one", "owner": "trac_one", "encoding": "LATIN1", "public": True}
                ],
            ),
            "LATIN1",
        ),
    ],
)
def test_what_is_not_the_roles_own_is_not_touched(state: dict[str, t.Any], words: str) -> None:
    plan = plans.postgresql_plan([ONE], [], state)
    assert len(plan.problems) == 1 and words in plan.problems[0]
    assert not any("trac_one" in statement for statement in plan.databases)


@pytest.mark.parametrize(
    ("state", "words"),
    [
        (mariadb(), "trac_database_passwords['one']"),
        (mariadb(accounts=[], privileges=[]), "was not made for Trac"),
    ],
)
def test_what_is_not_the_roles_own_is_not_touched_on_mariadb(
    state: dict[str, t.Any], words: str
) -> None:
    plan = plans.mariadb_plan([ONE], [], state, HOSTS)
    assert len(plan.problems) == 1 and words in plan.problems[0]


def test_the_collation_is_checked() -> None:
    state = mariadb(databases=[{"name": "trac_one", "collation": "utf8mb4_general_ci"}])
    plan = plans.mariadb_plan([ONE], ["one"], state, HOSTS)
    assert "utf8mb4_general_ci" in plan.problems[0]


def test_a_new_mariadb_gets_everything() -> None:
    plan = plans.mariadb_plan([ONE], [], None, ["192.0.2.7"])
    hashed = secrets.native_hash(PASSWORD)
    account = "'trac_one'@'192.0.2.7'"
    assert plan.logins == [f"CREATE USER {account} IDENTIFIED BY PASSWORD '{hashed}' REQUIRE SSL"]
    assert plan.databases[0] == (
        "CREATE DATABASE `trac_one` CHARACTER SET utf8mb4 COLLATE utf8mb4_bin"
    )
    # An underscore would let the login into databases such as tracXone.
    assert r"ON `trac\_one`.* TO 'trac_one'@'192.0.2.7'" in plan.databases[1]


def test_accounts_follow_the_web_hosts() -> None:
    plan = plans.mariadb_plan([ONE], ["one"], mariadb(), ["192.0.2.8"])
    assert plan.logins[0].startswith("CREATE USER 'trac_one'@'192.0.2.8' ")
    assert plan.logins[1:] == [
        "DROP USER 'trac_one'@'localhost'",
        "DROP USER 'trac_one'@'192.0.2.7'",
    ]


def test_an_account_without_tls_gets_it() -> None:
    state = mariadb()
    state["accounts"][1]["tls"] = 0
    plan = plans.mariadb_plan([ONE], ["one"], state, HOSTS)
    assert len(plan.logins) == 1 and plan.logins[0].endswith("REQUIRE SSL")
    assert plan.logins[0].startswith("ALTER USER 'trac_one'@'192.0.2.7' ")


def test_no_statement_holds_a_password() -> None:
    for login in (ONE, SHARED):
        for plan in (
            plans.postgresql_plan([login], [], None),
            plans.mariadb_plan([login], [], None, HOSTS),
        ):
            assert PASSWORD not in str(plan.to_dict())
            assert "é" not in str(plan.to_dict())


def test_access_is_for_the_own_database_over_tls_from_clients() -> None:
    login = plans.Login("all", "trac_all", "trac_all", "x")
    assert plans.pg_hba([login], ["192.0.2.7", "2001:db8::/64"], True).splitlines() == [
        'local "trac_all" "trac_all" scram-sha-256',
        'hostssl "trac_all" "trac_all" 192.0.2.7/32 scram-sha-256',
        'hostssl "trac_all" "trac_all" 2001:db8::/64 scram-sha-256',
        'local all "trac_all" reject',
        'host all "trac_all" all reject',
    ]


def test_an_empty_database_goes_with_its_login_a_full_one_stays() -> None:
    state = {**postgresql(), "occupied": []}
    plan = plans.removal_plan("postgresql", [ONE], state)
    assert plan.databases == ['DROP DATABASE "trac_one"']
    assert plan.logins == ['DROP ROLE "trac_one"']
    assert plan.removed == ["one"]
    assert plans.removal_plan("postgresql", [ONE], {**state, "occupied": ["trac_one"]}) == (
        plans.Plan()
    )
    assert plans.removal_plan("mariadb", [ONE], {**mariadb(), "occupied": ["trac_one"]}) == (
        plans.Plan()
    )


def test_of_a_schema_only_the_schema_goes() -> None:
    plan = plans.removal_plan("postgresql", [SHARED], {**postgresql(), "occupied": []})
    assert plan.databases == ['REVOKE ALL ON DATABASE "trac" FROM "trac_one"']
    assert plan.inside == {"trac": ['DROP SCHEMA IF EXISTS "trac_one"']}


@pytest.mark.parametrize(
    ("address", "account"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("192.0.2.0/24", "192.0.2.0/255.255.255.0"),
        ("2001:db8::7", "2001:db8::7"),
    ],
)
def test_hosts_of_accounts(address: str, account: str) -> None:
    assert plans.client_account(address) == account


@pytest.mark.parametrize(
    ("text", "postgres", "mysql"),
    [
        ("a'b", "'a''b'", "'a''b'"),
        ("a\\'b", r"E'a\\''b'", r"'a\\''b'"),
    ],
)
def test_texts_are_quoted(text: str, postgres: str, mysql: str) -> None:
    assert (plans.pg_text(text), plans.my_text(text)) == (postgres, mysql)


def test_names_are_quoted() -> None:
    assert (plans.pg_name('a"b'), plans.my_name("a`b")) == ('"a""b"', "`a``b`")


# RFC 7677's example has another number of rounds; these are PostgreSQL's and MariaDB's own.
def test_known_forms_of_passwords() -> None:
    assert secrets.native_hash("mariadb") == "*54958E764CE10E50764C2EECBB71D01F08549980"
    inner = hashlib.sha1(b"\xe9").digest()  # as PyMySQL sends it, not as UTF-8
    assert secrets.native_hash("é") == "*" + hashlib.sha1(inner).hexdigest().upper()
    rfc7677 = (
        "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$"
        "WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU="
    )
    assert secrets.scram_matches("pencil", rfc7677)
    assert not secrets.scram_matches("Pencil", rfc7677)


@pytest.mark.parametrize(
    ("password", "prepared"),
    [
        ("plain", "plain"),
        ("e\u0301", "é"),
        ("\ufb01x", "fix"),
        ("a\u00a0b", "a b"),
        ("\u00ad\u00aa", "a"),
        ("\U0001f600", "\U0001f600"),  # not in the standard's Unicode: as it is
        ("\u06271", "\u06271"),  # right to left, but not at its end: as it is
    ],
)
def test_passwords_are_prepared_as_the_client_library_does(password: str, prepared: str) -> None:
    assert secrets.saslprep(password) == prepared
