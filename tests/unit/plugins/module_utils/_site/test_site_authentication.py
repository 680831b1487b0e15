# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who may see what: the patterns that Apache gets, the checks, and what is refused."""

from __future__ import annotations

import re
import typing as t

import pytest

from ansible_collections.trac.mod_wsgi.plugins.module_utils._site import (
    authentication as site_authentication,
)
from ansible_collections.trac.mod_wsgi.plugins.module_utils._site import plan as site_plan
from ansible_collections.trac.mod_wsgi.plugins.plugin_utils import _inventory
from ansible_collections.trac.mod_wsgi.tests.unit.plugins import site_settings

Dict = t.Dict[str, t.Any]

SETTINGS = {**site_settings.SETTINGS, "hello_world_path": "", "groups_claim": ""}
ENVIRONMENTS = [{"name": "open", "title": "Open"}, {"name": "shut", "title": "Shut"}]


def plan(*sites: Dict) -> Dict:
    return site_settings.planned(sites, ENVIRONMENTS, SETTINGS)


def one(mount: str = "/trac", environment: str = "", **authentication: t.Any) -> Dict:
    given = {"type": "basic", **authentication}
    return {"name": "a", "mount": mount, "environment": environment, "authentication": given}


def completed(site: Dict) -> Dict:
    found: Dict = plan(site)["sites"][0]["authentication"]
    return found


# site -> paths that ask for a login, paths that do not
ASKED = [
    (
        one(environment="open"),
        ["/trac/login", "/trac/login/", "//trac//login", "/trac/login/x"],
        ["/trac", "/trac/", "/trac/wiki/login", "/trac/loginx", "/login", "/trac/x/login"],
    ),
    (
        one(mount="/"),
        ["/open/login", "//open/login", "/other/login"],
        ["/", "/login", "/open/wiki/login", "/open"],
    ),
    (
        one(mount="/a.b", private_environments=["shut"]),
        [
            "/a.b/shut",
            "/a.b/shut/",
            "/a.b/shut/chrome/common/x",
            "/a.b//shut/wiki",
            "/a.b/open/login",
        ],
        ["/a.b/", "/a.b/open", "/axb/shut", "/a.b/shutter", "/a.b/open/shut"],
    ),
    (
        one(type="openid_connect"),
        ["/trac/open/login", "/trac/.openid-connect", "/trac//.openid-connect"],
        ["/trac/", "/trac/open", "/trac/xopenid-connect"],
    ),
]


@pytest.mark.parametrize(("site", "asked", "free"), ASKED)
def test_where_a_login_is_asked_for(site: Dict, asked: list[str], free: list[str]) -> None:
    pattern = completed(site)["closed"]
    # Between the marks of Apache's m#...#, and in quotes.
    assert not re.search(r'[#"\\]', pattern)
    assert [path for path in asked if not re.search(pattern, path)] == []
    assert [path for path in free if re.search(pattern, path)] == []


@pytest.mark.parametrize(
    ("site", "path"),
    [
        (one(environment="open"), ""),
        (one(environment="open", scope="site"), "/trac/logout"),
        (one(scope="site"), "/trac/open/logout"),
        (one(private_environments=["shut"]), "/trac/shut/logout"),
        (one(environment="open", type="openid_connect"), "/trac/logout"),
    ],
)
def test_where_logging_out_takes_more_than_trac(site: Dict, path: str) -> None:
    found = completed(site)["logout"]
    assert bool(found) == bool(path)
    if found:
        assert re.search(found, path)
        assert not re.search(found, "/trac/open/wiki")


def test_who_is_let_in() -> None:
    assert completed(one())["requires"] == ["valid-user"]
    mixed = one(providers=["file", "ldap"], groups=["devs", r"cn=A\, B,dc=example"])
    assert completed(mixed)["requires"] == ["group devs", r"ldap-group cn=A\\, B,dc=example"]
    claimed = one(type="openid_connect", groups=["my devs"])
    assert completed(claimed)["requires"] == ['claim "groups:my devs"']


def test_no_key_no_authentication() -> None:
    found = plan({"name": "a"})
    assert found["sites"][0]["authentication"] is None
    assert found["authentication"]["modules"] == []
    assert not found["virtual_hosts"][0]["openid_connect"]


def test_what_sites_need() -> None:
    found = plan(
        one(mount="/a", groups=["devs"]),
        one(mount="/b", type="digest", realm="R"),
        one(mount="/c", providers=["ldap"], groups=["cn=x"]),
        one(mount="/d", type="openid_connect"),
        one(mount="/dd", type="openid_connect"),
    )
    needs = found["authentication"]
    assert needs["modules"] == [
        "authz_user",
        "auth_basic",
        "auth_digest",
        "authn_file",
        "authz_groupfile",
        "ldap",
        "authnz_ldap",
        "auth_openidc",
    ]
    assert needs["packages"] == ["libapache2-mod-auth-openidc"]
    assert (needs["basic"], needs["realms"], needs["groups"], needs["ldap"]) == (
        True,
        ["R"],
        True,
        True,
    )
    assert found["virtual_hosts"][0]["openid_connect"] == "/d/.openid-connect"
    only_ldap = plan(one(providers=["ldap"], groups=["cn=x"]))["authentication"]
    assert not only_ldap["basic"]
    assert "authn_file" not in only_ldap["modules"]


def checks(site: Dict) -> dict[str, Dict]:
    return {check["name"].partition(", ")[2]: check for check in plan(site)["checks"]}


def test_a_public_site_has_to_show_its_title_and_a_login() -> None:
    found = checks(one())
    assert found["environment open"]["title"] == "Open"
    # Later ones may be more than the limit lets through; then the first one is not.
    for name, check in found.items():
        assert check["accept"] == ([429] if name == "login of nobody" else [])
    others = [{**one(), "name": name, "mount": f"/{name}"} for name in ("b", "c")]
    names = [check["name"] for check in plan(*others)["checks"] if 429 in check["accept"]]
    assert names == ["site b, login of nobody", "site c, login", "site c, login of nobody"]
    assert found["login"]["url"] == "http://127.0.0.1/trac/open/login"
    assert found["login"]["status"] == [401]
    assert found["login of nobody"]["status"] == [401]
    assert found["login of nobody"]["headers"]["Authorization"].startswith("Basic ")


@pytest.mark.parametrize(
    ("site", "private"),
    [
        (one(scope="site"), ["index", "environment open", "environment shut", "static files"]),
        (one(private_environments=["shut"]), ["environment shut"]),
        (one(private_environments=["open"]), ["environment open", "static files"]),
    ],
)
def test_what_is_private_may_not_answer(site: Dict, private: list[str]) -> None:
    found = checks(site)
    for name, check in found.items():
        if "login" in name:
            continue
        assert (check.get("status") == [401]) == (name in private), name
        assert not (name in private and "title" in check)
        assert check["accept"] == []


def test_a_provider_is_led_to() -> None:
    found = checks(one(type="openid_connect", scope="site"))
    assert found["environment open"]["status"] == [302]
    assert found["environment open"]["location"] == "%2F.openid-connect"
    assert "login of nobody" not in found


def test_a_site_without_the_key_may_have_a_login_of_its_own() -> None:
    assert checks({"name": "a", "mount": "/trac"})["index"]["accept"] == [401]


# -- what is refused -------------------------------------------------------------------------


def site_problems(**authentication: t.Any) -> list[str]:
    site = {"environment": "", **authentication.pop("site", {})}
    return _inventory.site_problems(
        [{"name": "a", **site, "authentication": authentication}], ENVIRONMENTS
    )


@pytest.mark.parametrize(
    "given",
    [
        {"type": "basic"},
        {"type": "digest", "realm": "It's 100% <b>ünï</b> #x"},
        {"type": "openid_connect", "scope": "site", "groups": ["my devs", "/a/b=c"]},
        {"type": "basic", "private_environments": ["shut"]},
        {"type": "basic", "providers": ["ldap"], "groups": [r"CN=A\, B,DC=example"]},
        {"type": "basic", "providers": ["ldap", "file"], "groups": ["devs"]},
    ],
)
def test_good_sites(given: Dict) -> None:
    assert site_problems(**given) == []


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({}, ["trac_sites[0]", "type"]),
        ({"type": "kerberos"}, ["trac_sites[0]", "basic, digest, openid_connect"]),
        ({"type": "basic", "scope": "all"}, ["trac_sites[0]", "login, site"]),
        ({"type": "basic", "user": "x"}, ["trac_sites[0]", "user"]),
        ({"type": "digest", "providers": ["ldap"]}, ["providers is for type 'basic'"]),
        ({"type": "basic", "providers": []}, ["providers is empty", "file and ldap"]),
        ({"type": "openid_connect", "realm": "x"}, ["realm is for the types"]),
        ({"type": "basic", "realm": 'a"b'}, ["authentication.realm is", "text of one line"]),
        ({"type": "basic", "realm": "a\nb"}, ["authentication.realm is"]),
        ({"type": "basic", "realm": "%{REQUEST_URI}"}, ["authentication.realm is"]),
        ({"type": "basic", "realm": "${PATH}"}, ["authentication.realm is"]),
        ({"type": "digest", "realm": "a:b"}, ["authentication.realm is"]),
        (
            {"type": "basic", "scope": "site", "private_environments": ["shut"]},
            ["private_environments is for sites that serve a directory"],
        ),
        (
            {"type": "basic", "private_environments": ["x"]},
            ["private_environments holds 'x'", "open, shut"],
        ),
        (
            {"type": "basic", "private_environments": ["shut"], "site": {"script": "deployed"}},
            ["private_environments", "deploy"],
        ),
        ({"type": "basic", "groups": ["cn=x"]}, ["a group of LDAP", "no 'ldap'"]),
        ({"type": "basic", "groups": ["a b"]}, ["groups[0] is 'a b'", "trac_users"]),
        (
            {"type": "basic", "providers": ["ldap"], "groups": ["devs"]},
            ["groups[0] is 'devs'", "no 'file'"],
        ),
        *(
            ({"type": "basic", "providers": ["ldap"], "groups": [f"cn={bad}"]}, ["groups[0] is"])
            for bad in ("x\n", 'a"', "%{ENV:x}", "${x}", "$1", "x\\", "x ")
        ),
        ({"type": "openid_connect", "groups": ["a\\b"]}, ["groups[0] is"]),
        ({"type": "openid_connect", "groups": [""]}, ["groups[0] is ''"]),
    ],
)
def test_bad_sites(given: Dict, words: list[str]) -> None:
    problems = site_problems(**given)
    assert len(problems) == 1, problems
    for word in words:
        assert word in problems[0]


SECRET = "hunter2 is my secret"  # occurs in no message


def user(name: t.Any = "anna", password: t.Any = SECRET, **keys: t.Any) -> Dict:
    return {"name": name, "password": password, **keys}


@pytest.mark.parametrize(
    "users",
    [
        [],
        [user()],
        [user("joé \"x\\ %s {{ y }} ${z} '", "ü" * 36), user("b", "x" * 72, groups=["devs"])],
        [user("b", None, state="absent"), {"name": "c", "state": "absent"}],
        [user("a#b"), user("-vi"), user("a b"), user("$apr1$")],
    ],
)
def test_good_users(users: object) -> None:
    assert site_authentication.users_problems(users) == []


@pytest.mark.parametrize(
    ("users", "words"),
    [
        (f"anna:{SECRET}", ["trac_users has to be a list"]),
        ([f"anna:{SECRET}"], ["trac_users[0] has to be a dictionary", "name, password"]),
        ([user(pasword=SECRET)], ["trac_users[0]", "name, password, groups, state"]),
        ([user(5)], ["trac_users[0].name has to be text", "quotes"]),
        ([user("")], ["trac_users[0].name is ''"]),
        ([user("a:b")], ["trac_users[0].name is 'a:b'", "without ':'"]),
        ([user("#a")], ["trac_users[0].name is '#a'"]),
        ([user("a\nb")], ["trac_users[0].name is 'a\\nb'"]),
        ([user(" a")], ["trac_users[0].name is ' a'"]),
        ([user("é" * 96)], ["trac_users[0].name", "190 bytes"]),
        ([user("anonymous")], ["'anonymous'", "all visitors"]),
        ([user(), user()], ["trac_users[1].name is 'anna'", "already"]),
        ([user(password=None)], ["trac_users[0].password (of 'anna')", "text"]),
        ([user(password=12345)], ["password (of 'anna') has to be text", "quotes around numbers"]),
        ([user(password="")], ["password (of 'anna') has 0 bytes"]),
        ([user(password=SECRET * 4)], ["has 80 bytes in UTF-8", "1 to 72"]),
        ([user(password="ü" * 37)], ["has 74 bytes"]),
        ([user(password=f"{SECRET}\n")], ["password (of 'anna') holds a line break, NUL"]),
        ([user(password=f"{SECRET}\0")], ["password (of 'anna') holds a line break, NUL"]),
        ([user(password=f"{SECRET}\ud800")], ["password (of 'anna') holds what is no character"]),
        ([user(groups=["a b"])], ["trac_users[0].groups holds 'a b'"]),
        ([user(groups=["authenticated"])], ["trac_users[0].groups holds 'authenticated'"]),
        ([user(groups="devs")], ["trac_users[0].groups has to be a list"]),
        ([user(state="gone")], ["trac_users[0].state is 'gone'", "present, absent"]),
        ([user(groups=["anna"])], ["'anna' is the name of a user and of a group"]),
    ],
)
def test_bad_users(users: object, words: list[str]) -> None:
    problems = site_authentication.users_problems(users)
    assert len(problems) == 1, problems
    for word in words:
        assert word in problems[0]
    assert "hunter2" not in problems[0]


LDAP = {"url": "ldap://ldap.example.org/dc=example?uid", "bind_dn": "cn=x", "bind_password": SECRET}
OPENID_CONNECT = {
    "provider_metadata_url": "https://id.example.org/.well-known/openid-configuration",
    "client_id": "trac",
    "client_secret": SECRET,
}


def provider_problems(
    authentication: Dict, users: object = (), ldap: object = None, provider: object = None
) -> list[str]:
    sites = [{"name": "a", "authentication": authentication}]
    return site_authentication.provider_problems(sites, users, ldap or {}, provider or {})


def test_good_providers() -> None:
    ldap = {"type": "basic", "providers": ["ldap"], "groups": ["cn=x"]}
    assert provider_problems({"type": "basic"}, [user()]) == []
    assert provider_problems({"type": "digest", "groups": ["g"]}, [user(groups=["g"])]) == []
    assert provider_problems(ldap, ldap=LDAP) == []
    assert provider_problems(ldap, ldap={"url": "ldaps://h/dc=x", "ca_file": "/etc/ca.pem"}) == []
    assert provider_problems({"type": "openid_connect"}, provider=OPENID_CONNECT) == []
    local = {**OPENID_CONNECT, "provider_metadata_url": "http://127.0.0.1:8090/x"}
    assert provider_problems({"type": "openid_connect"}, provider=local) == []
    # Other roles ask before sites have been looked at.
    assert site_authentication.provider_problems(["x", {}], [], {}, {}) == []


@pytest.mark.parametrize(
    ("ldap", "words"),
    [
        ({}, ["trac_sites[0].authentication asks LDAP", "trac_ldap has no url"]),
        ({"url": "http://x"}, ["trac_ldap.url is 'http://x'", "ldap://"]),
        ({**LDAP, "url": "ldap://x/${y}"}, ["trac_ldap.url", "'${'"]),
        ({"url": "ldaps://x", "start_tls": True}, ["trac_ldap.start_tls", "ldap:// only"]),
        ({"url": "ldap://x", "bind_dn": "cn=x"}, ["bind_dn and bind_password go together"]),
        ({**LDAP, "bind_password": f"exec:{SECRET}"}, ["bind_password begins with 'exec:'"]),
        ({**LDAP, "bind_password": f"{SECRET}\n"}, ["trac_ldap.bind_password holds a control"]),
        ({**LDAP, "bind_password": 5}, ["trac_ldap.bind_password has to be text"]),
        ({**LDAP, "ca_file": "ca.pem"}, ["trac_ldap.ca_file is 'ca.pem'"]),
        ({**LDAP, "group_attributes": ['a"b']}, ["trac_ldap.group_attributes holds"]),
    ],
)
def test_bad_ldap(ldap: Dict, words: list[str]) -> None:
    problems = provider_problems({"type": "basic", "providers": ["ldap"]}, ldap=ldap)
    assert len(problems) == 1, problems
    for word in words:
        assert word in problems[0]
    assert "hunter2" not in problems[0]


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"client_secret": None}, ["trac_openid_connect has no client_secret"]),
        ({"client_secret": f"exec:{SECRET}"}, ["client_secret begins with 'exec:'"]),
        ({"crypto_passphrase": f"{SECRET}${{x}}"}, ["crypto_passphrase holds", "'${'"]),
        ({"provider_metadata_url": "http://id.example.org/"}, ["provider_metadata_url", "https"]),
        ({"provider_metadata_url": "https://[x"}, ["provider_metadata_url"]),
        ({"remote_user_claim": "a b"}, ["remote_user_claim is 'a b'"]),
        ({"groups_claim": 'a"'}, ["groups_claim is"]),
    ],
)
def test_bad_openid_connect(given: Dict, words: list[str]) -> None:
    problems = provider_problems({"type": "openid_connect"}, provider={**OPENID_CONNECT, **given})
    assert len(problems) == 1, problems
    for word in words:
        assert word in problems[0]
    assert "hunter2" not in problems[0]


def test_nobody_could_log_in() -> None:
    (problem,) = provider_problems({"type": "basic"}, [user(state="absent")])
    assert "trac_users has none" in problem
    (problem,) = provider_problems({"type": "basic", "groups": ["g"]}, [user(groups=["h"])])
    assert "no user of trac_users is in it" in problem


@pytest.mark.parametrize(
    ("given", "known"),
    [
        ({}, True),
        ({"type": "digest"}, True),
        ({"providers": ["file", "ldap"]}, True),
        ({"providers": ["ldap", "file"]}, False),
        ({"providers": ["ldap"]}, False),
        ({"type": "openid_connect"}, False),
    ],
)
def test_groups_are_of_users_who_cannot_be_others(given: Dict, known: bool) -> None:
    settings = {**SETTINGS, "memberships": {"anna": ["devs"]}}
    (site,) = site_settings.planned([one(**given)], ENVIRONMENTS, settings)["sites"]
    assert site["authentication"]["memberships"] == ({"anna": ["devs"]} if known else {})
    assert ("'anna': ['devs']" in site_plan.wsgi_script("SETTINGS = {}\n", site)) == known
    embedded = {**one(**given), "mode": "embedded"}
    (site,) = site_settings.planned([embedded], ENVIRONMENTS, settings)["sites"]
    assert site["authentication"]["memberships"] == {}


def test_groups_for_apache_and_for_the_script() -> None:
    users = [
        user("b", "x", groups=["devs"]),
        user('a "\\', "y", groups=["devs", "admins"]),
        {"name": "gone", "state": "absent", "groups": ["devs"]},
    ]
    assert site_authentication.memberships(users) == {
        "b": ["devs"],
        'a "\\': ["devs", "admins"],
    }
    assert site_authentication.group_file(users) == ('admins: "a \\"\\\\"\ndevs: "a \\"\\\\" "b"\n')
