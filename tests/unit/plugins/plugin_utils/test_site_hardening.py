# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Headers, sizes and rates of requests, and robots, from the variables to what is written."""

from __future__ import annotations

import re
from typing import Any

import pytest

from ansible_collections.trac.mod_wsgi.plugins.plugin_utils import _hardening

SITES: list[dict[str, Any]] = [
    {
        "name": "trac",
        "server_name": "",
        "mount": "/trac",
        "parent_directory": None,
        "served": ["one"],
        "directory": "/s/trac",
    },
    {
        "name": "all",
        "server_name": "",
        "mount": "/a.b",
        "parent_directory": "/e",
        "served": ["one", "two"],
        "directory": "/s/all",
    },
    {
        "name": "root",
        "server_name": "root.example.org",
        "mount": "/",
        "parent_directory": None,
        "served": ["two"],
        "directory": "/s/root",
        "limit_request_body": 5,
    },
]
ENVIRONMENTS: list[dict[str, Any]] = [{"name": "one"}, {"name": "two"}]
DEFAULT_BYTES = 12 * 2 * 262144 + 1048576


def hardening(environments: list[dict[str, Any]] | None = None, **settings: Any) -> dict[str, Any]:
    given = {"headers": {}, "rate_limits": {}, "robots": True, "found": {}, **settings}
    return _hardening.site_hardening(SITES, environments or ENVIRONMENTS, given)


def limits(**more: Any) -> list[int]:
    return [site["limit_request_body"] for site in hardening(**more)["sites"].values()]


def test_what_trac_takes_gets_through() -> None:
    assert limits() == [DEFAULT_BYTES, DEFAULT_BYTES, 5]
    large = {"attachment": {"max_size": 50_000_000}}
    # On the host, for every environment, for one; the last one counts.
    assert limits(found={"two": large})[:2] == [DEFAULT_BYTES, 51_048_576]
    assert limits(defaults={"config": large})[:2] == [51_048_576] * 2
    environments = [{"name": "one"}, {"name": "two", "config": {"attachment": {"max_size": 1}}}]
    assert limits(environments=environments, found={"two": large})[:2] == [DEFAULT_BYTES] * 2
    # A part of a section leaves the rest of it.
    pages = {"wiki": {"max_size": "1000000"}}
    assert limits(found={"one": pages}, defaults={"config": {"wiki": {"x": 1}}})[0] == 13_048_576


def test_no_limit_in_trac_is_none_in_apache() -> None:
    unlimited = {"attachment": {"max_size": -1}}
    assert limits(found={"two": unlimited}) == [DEFAULT_BYTES, 0, 5]


@pytest.mark.parametrize("name", ["attachment", "wiki"])
def test_a_size_that_apache_cannot_read_is_no_limit(name: str) -> None:
    most = 2**63 - 1 - 1048576
    assert _hardening.request_bytes({"attachment": {"max_size": most}}) == 2**63 - 1
    assert _hardening.request_bytes({name: {"max_size": str(most + 1)}}) == 0


@pytest.mark.parametrize("value", ["", "lots", None, "2 MB"])
def test_a_size_that_trac_cannot_read_is_as_its_default(value: Any) -> None:
    assert _hardening.request_bytes({"attachment": {"max_size": value}}) == DEFAULT_BYTES


@pytest.mark.parametrize(
    ("authentication", "is_held"),
    [(None, True), ({"type": "basic"}, True), ({"type": "openid_connect"}, False)],
)
def test_forms_may_lead_to_a_provider(authentication: Any, is_held: bool) -> None:
    sites = [{**SITES[0], "authentication": authentication}, *SITES[1:]]
    settings = {"headers": {}, "rate_limits": {}, "robots": True, "found": {}}
    headers = _hardening.site_hardening(sites, ENVIRONMENTS, settings)["headers"]
    (policy,) = [each["value"] for each in headers if each["name"] == "Content-Security-Policy"]
    assert ("form-action 'self'" in policy.split("; ")) == is_held
    assert "frame-ancestors 'self'" in policy.split("; ")


def test_headers_are_named_without_regard_to_case() -> None:
    sent = hardening(headers={"x-frame-options": "DENY", "referrer-policy": "", "X-A": "5%"})
    headers = {header["name"]: header["value"] for header in sent["headers"]}
    assert headers["X-Frame-Options"] == "DENY"
    assert "Referrer-Policy" not in headers
    # mod_headers would take a single one for the beginning of a format.
    assert headers["X-A"] == "5%%"
    assert headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize(
    ("headers", "says"),
    [
        ([], "has to be a dictionary"),
        ({"X A": "b"}, "has the key 'X A'"),
        ({"": "b"}, "has the key ''"),
        ({1: "b"}, "has the key 1"),
        ({"'": "b"}, 'has the key "\'"'),
        ({"X-A": "a\r\nSet-Cookie: b"}, "allowed are texts of one line"),
        ({"X-A": "a\n"}, "allowed are texts of one line"),
        ({"X-A": " a"}, "allowed are texts of one line"),
        ({"X-A": "ä"}, "allowed are texts of one line"),
        ({"X-A": 1}, "allowed are texts of one line"),
        ({"X-A": "expr=%{REMOTE_ADDR}"}, "for an expression"),
        ({"X-A": "${HOME}"}, "cannot hold '${'"),
    ],
)
def test_headers_that_cannot_be_sent_are_refused(headers: Any, says: str) -> None:
    (problem,) = _hardening.header_problems(headers)
    assert problem.startswith("trac_site_security_headers")
    assert says in problem


def test_headers_that_can_be_sent_are_not_refused() -> None:
    headers = {"X-A": "", "Content-Security-Policy": "default-src 'self' \"%\"", "x_y": "~"}
    assert _hardening.header_problems(headers) == []


@pytest.mark.parametrize(
    ("rates", "says"),
    [
        ([], "has to be a dictionary"),
        ({"logins": 1}, "unknown key 'logins'; known are login, search"),
        ({"login": -1}, "0 (no limit) to 32766"),
        ({"login": 32767}, "0 (no limit) to 32766"),
        ({"login": "many"}, "0 (no limit) to 32766"),
        ({"search": True}, "0 (no limit) to 32766"),
        ({"search": "1\n"}, "0 (no limit) to 32766"),
    ],
)
def test_rates_that_cannot_work_are_refused(rates: Any, says: str) -> None:
    (problem,) = _hardening.rate_problems(rates)
    assert problem.startswith("trac_site_rate_limits")
    assert says in problem


def refused(rates: dict[str, Any] | None = None) -> dict[str, int]:
    rules = hardening(rate_limits=rates or {})["rates"]
    return {rule["name"]: rule["refused"] for rule in rules}


def test_rates() -> None:
    assert _hardening.rate_problems({"login": 0, "search": "7"}) == []
    most = {"login": 32766, "search": "32766"}
    assert _hardening.rate_problems(most) == []
    assert refused() == {"login": 61, "search": 121, "password": 60}
    assert refused(most) == {"login": 32767, "search": 32767, "password": 32766}
    fewer = hardening(rate_limits={"login": 0, "search": "7"})
    # Rules stay in their places: Apache would not add them at a reload.
    assert refused({"login": 0, "search": "7"}) == {
        "login": 32767,
        "search": 8,
        "password": 32767,
    }
    assert [item["name"] for item in fewer["sites"]["trac"]["limited"]] == ["search"]
    assert (fewer["passwords"], hardening()["passwords"]) == (False, True)
    assert refused({"login": 0, "search": 0}) == {}


@pytest.mark.parametrize(
    ("site", "path", "is_limited"),
    [
        ("trac", "/trac/login", True),
        ("trac", "/trac/login/", True),
        ("trac", "/trac/logins", False),
        ("trac", "/trac/wiki/login", False),
        ("all", "/a.b/one/login", True),
        ("all", "/aXb/one/login", False),
        ("all", "/a.b/login", False),
        ("root", "/login", True),
    ],
)
def test_which_pages_are_limited(site: str, path: str, is_limited: bool) -> None:
    (login, _search) = hardening()["sites"][site]["limited"]
    assert login["name"] == "login"
    assert bool(re.search(login["pattern"], path)) == is_limited


def test_robots() -> None:
    found = hardening()
    default, root = found["robots"][""], found["robots"]["root.example.org"]
    assert default["path"] == "/s/trac/robots.txt"
    lines = default["content"].splitlines()
    assert lines[0] == "User-agent: *"
    assert {"Disallow: /trac/query", "Disallow: /a.b/*/*?*rev="} <= set(lines)
    assert "Disallow: /search" in root["content"].splitlines()
    assert found["absent"] == ["/s/all/robots.txt"]
    none = hardening(robots=False)
    assert (none["robots"], len(none["absent"])) == ({}, 3)


def test_the_servers_state_is_closed_but_not_what_sites_serve() -> None:
    closed = hardening()["closed"]
    assert set(closed) == {"", "root.example.org"}
    for path in ("/server-status", "/server-info/", "/ldap-status", "/.httpd/x"):
        assert re.search(closed[""], path)
    for path in ("/trac/server-status", "/server-statuses", "/xhttpd", "/"):
        assert not re.search(closed[""], path)
    sites = [
        {**SITES[0], "mount": "/qos/trac"},
        {**SITES[1], "mount": "/", "served": ["server-info"]},
        {**SITES[2], "mount": "/", "served": ["server-status"]},
    ]
    settings = {"headers": {}, "rate_limits": {}, "robots": True, "found": {}}
    closed = _hardening.site_hardening(sites, ENVIRONMENTS, settings)["closed"]
    assert not re.search(closed[""], "/qos/trac")
    assert not re.search(closed[""], "/server-info")
    assert re.search(closed[""], "/server-status")
    # An environment at the root has pages of Trac there, not the name of an environment.
    assert re.search(closed["root.example.org"], "/server-status")


@pytest.mark.parametrize("paths", ["/x", [1], ["x"], ["/a b"], ["/a\n"], ["/a/../b"], ["/"]])
def test_paths_that_cannot_be_opened_are_refused(paths: Any) -> None:
    (problem,) = _hardening.writable_problems(paths)
    assert problem.startswith("trac_site_writable_paths")


def test_paths() -> None:
    assert _hardening.writable_problems(["/home/svn/repositories"]) == []


@pytest.mark.parametrize("value", [-1, "1 MB", "", True, 2**63])
def test_sizes_that_cannot_work_are_refused(value: Any) -> None:
    (problem,) = _hardening.size_problems("here", {"limit_request_body": value})
    assert problem.startswith("here.limit_request_body is ")


@pytest.mark.parametrize("value", [None, 0, 300000, "300000"])
def test_sizes(value: Any) -> None:
    assert _hardening.size_problems("here", {"limit_request_body": value}) == []
