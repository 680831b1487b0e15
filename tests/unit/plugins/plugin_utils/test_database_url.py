# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What goes into a connection string is what Trac's own parser reads from it."""

from __future__ import annotations

import typing as t

import pytest
from hypothesis import given
from hypothesis import strategies as st
from trac.db.api import parse_connection_uri

from ansible_collections.trac.mod_wsgi.plugins.plugin_utils._database_url import (
    UrlError,
    database_url,
)

HOSTILE = ["@:/%# é'\"\\?&+ ", "%40", "a@b", "a:b", "//", "=", "100%", "日本", "p w", "{{ x }}"]


@pytest.mark.parametrize("scheme", ["postgres", "mysql"])
@pytest.mark.parametrize("password", HOSTILE)
def test_hostile_passwords_come_back(scheme: str, password: str) -> None:
    url = database_url(
        scheme,
        login="trac_a_b-c",
        password=password,
        database="trac_a_b-c",
        host="db.example.org",
        port=5433,
        parameters={"schema": "x"},
    )
    assert parse_connection_uri(url) == (
        scheme,
        {
            "user": "trac_a_b-c",
            "password": password,
            "host": "db.example.org",
            "port": 5433,
            "path": "/trac_a_b-c",
            "params": {"schema": "x"},
        },
    )
    # trac.ini holds one line, and strips it.
    assert url.isascii() and url == "".join(url.split())


@given(
    st.text(st.characters(exclude_categories=["Cs"]), min_size=1), st.text("ab@:/%é", min_size=1)
)
def test_any_password_and_login_come_back(password: str, login: str) -> None:
    url = database_url("mysql", login=login, password=password, database="d", host="h")
    dummy, parts = parse_connection_uri(url)
    assert (parts["password"], parts["user"], parts["host"]) == (password, login, "h")


def test_socket_of_postgresql() -> None:
    url = database_url(
        "postgres",
        login="u",
        password="p",
        database="d",
        parameters={"host": "/var/run/postgresql", "schema": "trac_a b&c"},
    )
    assert url.startswith("postgres://u:p@/d?host=/var/run/postgresql&")
    dummy, parts = parse_connection_uri(url)
    assert parts == {
        "user": "u",
        "password": "p",
        "path": "/d",
        "params": {"host": "/var/run/postgresql", "schema": "trac_a b&c"},
    }


def test_ipv6_address_of_postgresql_is_a_parameter() -> None:
    url = database_url(
        "postgres", login="u", password="p", database="d", host="2001:db8::7", port=5433
    )
    dummy, parts = parse_connection_uri(url)
    assert (parts["params"], parts["port"]) == ({"host": "2001:db8::7"}, 5433)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"scheme": "oracle"}, "oracle"),
        ({"scheme": "mysql", "host": "2001:db8::7"}, "2001:db8::7"),
        ({"host": "a/b"}, "host 'a/b'"),
        ({"host": "a\n"}, "host"),
        ({"database": "d?x=y"}, "database 'd?x=y'"),
        ({"password": ""}, "password"),
    ],
)
def test_what_cannot_be_written_is_refused(change: dict[str, t.Any], words: str) -> None:
    keys = {"login": "u", "password": "p", "database": "d", "host": "h", **change}
    with pytest.raises(UrlError, match=words.replace("?", r"\?")):
        database_url(keys.pop("scheme", "postgres"), **keys)
