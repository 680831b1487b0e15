# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""From an inventory's sites to scripts, virtual hosts, checks and URLs."""

from __future__ import annotations

import ast
import os
import pathlib
import re
import sys
import types
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.trac.mod_wsgi.plugins.module_utils._apache import http_check
from ansible_collections.trac.mod_wsgi.plugins.module_utils._site.plan import (
    PlanError,
    apache_argument,
    python_literal,
    wsgi_script,
)
from ansible_collections.trac.mod_wsgi.tests.unit.plugins.site_settings import (
    SETTINGS,
    planned,
)

FILES = pathlib.Path(__file__).parents[5] / "roles" / "trac_site" / "files"
SOURCE = (FILES / "trac.wsgi").read_text(encoding="utf-8")

ENVIRONMENTS: list[dict[str, Any]] = [
    {"name": "one", "title": "One"},
    {"name": "two", "config": {"project": {"name": "Zwei"}}, "title": "Two"},
    {"name": "old", "state": "absent"},
    {"name": "plain"},
]


def plan(*sites: dict[str, Any], **settings: Any) -> dict[str, Any]:
    return planned(sites, ENVIRONMENTS, {**SETTINGS, **settings})


def checks(*sites: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {check["name"]: check for check in plan(*sites)["checks"]}


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(VALUES)
def test_a_literal_is_read_back_as_the_same_value(value: object) -> None:
    literal = python_literal(value)
    assert literal.isascii()
    assert "\n" not in literal
    assert ast.literal_eval(literal) == value


def test_what_has_no_literal_is_refused() -> None:
    with pytest.raises(PlanError):
        python_literal({1.5})


@given(st.text(st.characters(exclude_categories=["C"], exclude_characters="$")))
def test_an_argument_is_one_word_for_apache(value: str) -> None:
    # Within quotes Apache knows a backslash in front of a backslash or a quote, nothing else.
    quoted = apache_argument(value)
    assert quoted[0] == quoted[-1] == '"'
    inner = quoted[1:-1]
    assert re.fullmatch(r'(\\[\\"]|[^\\"])*', inner)
    assert re.sub(r"\\(.)", r"\1", inner) == value


@pytest.mark.parametrize("value", ["a\nb", "a\x00", "a\rb", "${PATH}", "\x7f"])
def test_what_cannot_be_quoted_is_refused(value: str) -> None:
    with pytest.raises(PlanError):
        apache_argument(value)


def test_a_site_is_completed_with_its_defaults() -> None:
    (site,) = plan({"name": "trac", "environment": "one", "egg_cache": None})["sites"]
    assert (site["mount"], site["mode"], site["processes"]) == ("/trac", "daemon", 2)
    assert site["egg_cache"] == "/var/cache/trac/trac"
    assert site["pool_size"] == 10
    assert site["script_path"] == "/srv/trac/sites/trac/trac.wsgi"
    assert site["environment_path"] == "/srv/trac/environments/one"
    assert site["parent_directory"] is None
    assert (site["account"], site["process_group"]) == ("trac", "trac-trac")


@pytest.mark.parametrize(
    ("site", "size"),
    [
        ({"threads": 10}, 10),
        ({"threads": 11}, 11),
        ({"pool_size": 3}, 3),
        ({"pool_size": None, "threads": None}, 10),
        ({"mode": "embedded"}, 25),
        ({"mode": "embedded", "script": "deployed"}, 10),
    ],
)
def test_the_pool_has_room_for_each_thread(site: dict[str, Any], size: int) -> None:
    assert plan({"name": "a", **site})["sites"][0]["pool_size"] == size


def test_the_number_of_processes_follows_from_the_host() -> None:
    sites: list[dict[str, Any]] = [
        {"name": "a"},
        {"name": "b", "mount": "/b", "processes": 7},
        {"name": "c", "mount": "/c", "mode": "embedded"},
    ]
    found = plan(*sites, cores="6", memory_mb="16000")["sites"]
    assert [site["processes"] for site in found[:2]] == [3, 7]
    assert plan(*sites, cores="6", memory_mb="900")["sites"][0]["processes"] == 1


@pytest.mark.parametrize(
    ("sites", "there", "workers", "more"),
    [
        ([{}], "0", 250, True),
        ([{"processes": 16}], "150", 250, True),
        ([{"processes": 16}], "400", 400, False),
        ([{"processes": 16}], "50", 250, True),
        ([{}], "250", 250, False),
        ([{"processes": 16, "mode": "embedded"}], "150", 150, False),
    ],
)
def test_apache_has_workers_for_all_sites(
    sites: list[dict[str, Any]], there: str, workers: int, more: bool
) -> None:
    apache = plan(*({"name": "a", **site} for site in sites), apache_workers=there)["apache"]
    assert (apache["workers"], apache["more_workers"]) == (workers, more)


def test_embedded_sites_have_as_many_processes_as_apache() -> None:
    found = plan(
        {"name": "a", "mode": "embedded"},
        {"name": "b", "processes": 16, "mount": "/b"},
    )
    assert [(pool["processes"], pool["threads"]) for pool in found["pools"]] == [(10, 25), (16, 5)]


@pytest.mark.parametrize(("seconds", "socket"), [(None, 60), (5, 60), (300, 300)])
def test_apache_waits_for_a_long_request(seconds: int | None, socket: int) -> None:
    (site,) = plan({"name": "a", "request_timeout": seconds})["sites"]
    assert (site["request_timeout"], site["socket_timeout"]) == (seconds or 60, socket)


def test_an_embedded_site_runs_as_apache() -> None:
    found = plan({"name": "trac", "mode": "embedded"})
    assert found["embedded"]
    (site,) = found["sites"]
    assert (site["account"], site["process_group"]) == ("www-data", "%{GLOBAL}")


def test_sites_are_grouped_by_server_with_the_default_one_first() -> None:
    found = plan(
        {"name": "a", "server_name": "B.example.org", "server_aliases": ["x", "y"], "mount": "/"},
        {"name": "b", "mount": "/b"},
        {"name": "c", "server_name": "b.example.org", "server_aliases": ["y"], "mount": "/c/d"},
    )
    assert found["default_host"]
    assert [
        (
            host["server_name"],
            host["server_aliases"],
            [site["name"] for site in host["sites"]],
            host["hello_world"],
        )
        for host in found["virtual_hosts"]
    ] == [("", [], ["b"], False), ("b.example.org", ["x", "y"], ["c", "a"], True)]


def test_each_site_has_a_marker_in_its_directory() -> None:
    (marker,) = plan({"name": "a"})["markers"]
    assert marker["path"] == "/srv/trac/sites/a/.mine"


def test_without_a_default_site_there_is_no_default_host() -> None:
    assert not plan({"name": "a", "server_name": "a.example.org"})["default_host"]
    assert plan()["virtual_hosts"] == []


def test_each_environment_is_checked_for_its_own_title() -> None:
    found = checks(
        {"name": "all", "mount": "/p"},
        {"name": "root", "server_name": "r.example.org", "mount": "/", "environment": "two"},
    )
    assert found["site all, index"]["url"] == "http://127.0.0.1/p/"
    one = found["site all, environment one"]
    assert (one["url"], one["title"], one["status"]) == (
        "http://127.0.0.1/p/one",
        "One",
        [200, 403],
    )
    assert found["site all, environment two"]["title"] == "Zwei"
    assert "title" not in found["site all, environment plain"]
    assert "site all, environment old" not in found
    root = found["site root, environment two"]
    assert (root["url"], root["host"]) == ("http://127.0.0.1/", "r.example.org")
    assert found["site root, static files"]["url"] == "http://127.0.0.1/chrome/common/css/trac.css"
    assert (
        found["site all, static files"]["url"]
        == "http://127.0.0.1/p/one/chrome/common/css/trac.css"
    )
    assert found["hello-world on r.example.org"]["url"] == "http://127.0.0.1/hello-world"


def test_what_is_out_of_service_has_to_answer_with_the_page_that_says_so() -> None:
    sites = (
        {"name": "all", "mount": "/p"},
        {"name": "own", "mount": "/own", "environment": "two", "script": "deployed"},
        {"name": "closed", "mount": "/c", "authentication": {"type": "basic", "scope": "site"}},
    )
    found = plan(*sites, out_of_service=["two"])
    checks = {check["name"]: check for check in found["checks"]}
    two = checks["site all, environment two"]
    assert (two["status"], two["title"]) == ([503], "Being looked after")
    assert checks["site all, environment one"]["title"] == "One"
    assert checks["site all, index"].get("status", [200]) == [200]
    assert "site own, environment two" not in checks  # Trac's own script has no such page
    assert checks["site closed, environment two"]["status"] == [401]
    assert found["environment_checks"]["site all, environment two"] == "two"
    assert set(found["environment_checks"]) >= {name for name in checks if ", environment " in name}


def test_a_second_page_tells_what_a_closed_start_page_hides() -> None:
    login = {"type": "basic", "private_environments": ["two"]}
    found = checks(
        {"name": "all", "mount": "/p", "authentication": login},
        {"name": "root", "server_name": "r.example.org", "mount": "/", "environment": "two"},
        {"name": "in", "mount": "/in", "environment": "two", "authentication": {"type": "basic"}},
        {"name": "shut", "mount": "/s", "authentication": {"type": "basic", "scope": "site"}},
    )
    seconds = {name: check for name, check in found.items() if name.endswith(", about Trac")}
    urls = {name.partition(", about")[0]: check["url"] for name, check in seconds.items()}
    assert urls == {
        "site all, environment one": "http://127.0.0.1/p/one/about",
        "site all, environment plain": "http://127.0.0.1/p/plain/about",
        "site root, environment two": "http://127.0.0.1/about",
        "site in, environment two": "http://127.0.0.1/in/about",
    }
    status = tuple(seconds["site in, environment two, about Trac"]["status"])
    second = http_check.Check("second", urls["site in, environment two"], status=status)
    passed = {
        each: not http_check.judge(second, http_check.Answer(each, b"<title>x</title>"))
        for each in (200, 401, 403, 404, 500, 502)
    }
    assert passed == {200: True, 401: False, 403: True, 404: True, 500: False, 502: False}


def test_no_hello_world_no_check_of_it() -> None:
    found = plan({"name": "a", "mount": "/", "environment": "one"}, hello_world_path="")
    assert not any("hello" in check["name"] for check in found["checks"])
    assert not found["virtual_hosts"][0]["hello_world"]


@pytest.mark.parametrize(
    ("site", "port", "urls"),
    [
        ({"environment": "one"}, 80, ["http://localhost/trac"]),
        ({"environment": "one", "mount": "/"}, 80, ["http://localhost/"]),
        (
            {"environment": "one", "mount": "/trac/MyProject"},
            80,
            ["http://localhost/trac/MyProject"],
        ),
        ({"environment": "one", "server_name": "t.org"}, 8080, ["http://t.org:8080/trac"]),
        (
            {"mount": "/"},
            80,
            [
                "http://localhost/",
                "http://localhost/one",
                "http://localhost/two",
                "http://localhost/plain",
            ],
        ),
    ],
)
def test_urls(site: dict[str, Any], port: int, urls: list[str]) -> None:
    assert plan({"name": "a", **site}, port=port)["urls"] == {"a": urls}


@pytest.mark.parametrize(
    ("mount", "environment", "pattern"),
    [
        ("/trac", "one", "/trac/chrome/common/"),
        ("/", "one", "/chrome/common/"),
        ("/a.b", "", r"^/a\.b/[^/]+/chrome/common/(.*)$"),
        ("/", "", "^/[^/]+/chrome/common/(.*)$"),
    ],
)
def test_static_urls(mount: str, environment: str, pattern: str) -> None:
    (site,) = plan({"name": "a", "mount": mount, "environment": environment})["sites"]
    assert site["static_url"] == pattern


# -- the script itself ---------------------------------------------------------------------


class Script:
    """A site's script, run as mod_wsgi does, with a stand-in for Trac."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, **site: Any) -> None:
        self.requests: list[dict[str, Any]] = []
        self.backends: dict[str, Any] = {}
        for module, name in (
            ("trac.db.postgres_backend", "PostgreSQLConnection"),
            ("trac.db.mysql_backend", "MySQLConnection"),
        ):
            backend = types.ModuleType(module)
            self.backends[name] = type(name, (), {"poolable": True})
            setattr(backend, name, self.backends[name])
            monkeypatch.setitem(sys.modules, module, backend)
        main = types.ModuleType("trac.web.main")
        main.dispatch_request = self.dispatch  # type: ignore[attr-defined]
        main.get_environments = self.get_environments  # type: ignore[attr-defined]
        main.open_environment = None  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, "trac.web.main", main)
        # What it does is tested with Trac itself, in tests/unit/roles.
        self.served: list[tuple[str, tuple[Any, ...]]] = []
        for module, function in (
            ("trac_serving", "environments"),
            ("trac_packages", "keep_packages"),
            ("trac_pages", "keep"),
            ("trac_serving", "take_care"),
        ):
            beside = sys.modules.get(module) or types.ModuleType(module)
            setattr(beside, function, lambda *given, of=function: self.served.append((of, given)))
            monkeypatch.setitem(sys.modules, module, beside)
        monkeypatch.setenv("PYTHON_EGG_CACHE", "/nowhere")
        monkeypatch.setenv("TRAC_DB_POOL_SIZE", "")
        monkeypatch.syspath_prepend(str(FILES))
        self.umasks: list[int] = []
        monkeypatch.setattr(os, "umask", self.umasks.append)
        (completed,) = plan({"name": "a", "environment": "one", **site})["sites"]
        self.names: dict[str, Any] = {}
        exec(compile(wsgi_script(SOURCE, completed), "trac.wsgi", "exec"), self.names)

    def dispatch(self, environ: dict[str, Any], _start: object) -> list[bytes]:
        self.requests.append(environ)
        return [b"page"]

    @staticmethod
    def get_environments(environ: dict[str, Any]) -> dict[str, str]:
        parent = environ["trac.env_parent_dir"]
        return {name: f"{parent}/{name}" for name in ("one", "two", "more")}

    def request(self, **environ: Any) -> dict[str, Any]:
        assert self.names["application"](dict(environ), None) == [b"page"]
        return self.requests[-1]


def test_the_environment_travels_with_the_request(monkeypatch: pytest.MonkeyPatch) -> None:
    intruder = {
        "trac.env_path": "/other",
        "trac.env_parent_dir": "/others",
        "trac.env_paths": ["/more"],
    }
    seen = Script(monkeypatch).request(**intruder)
    assert seen["trac.env_path"] == "/srv/trac/environments/one"
    assert not seen["trac.env_parent_dir"]
    assert "trac.env_paths" not in seen
    seen = Script(monkeypatch, environment="").request(**intruder)
    assert seen["trac.env_parent_dir"] == "/srv/trac/environments"
    assert not seen["trac.env_path"]
    assert "trac.env_path" in seen


def test_the_locale_is_one_with_utf_8(monkeypatch: pytest.MonkeyPatch) -> None:
    assert Script(monkeypatch).request()["trac.locale"] in ("C.UTF-8", "C.utf8")


@pytest.mark.parametrize(
    ("given_name", "name"),
    [
        ("jo\u00c3\u00a9", "jo\u00e9"),
        ("joe", "joe"),
        ("jo\u00e9", "jo\u00e9"),
        ("\u0434", "\u0434"),
    ],
)
def test_user_names_are_text(monkeypatch: pytest.MonkeyPatch, given_name: str, name: str) -> None:
    assert Script(monkeypatch).request(REMOTE_USER=given_name)["REMOTE_USER"] == name


def test_no_user_stays_no_user(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "REMOTE_USER" not in Script(monkeypatch).request()


@pytest.mark.parametrize("path", ["", "/", "//", "/one", "/two/wiki"])
def test_the_index_leaves_out_what_is_private(monkeypatch: pytest.MonkeyPatch, path: str) -> None:
    authentication = {"type": "basic", "private_environments": ["two"]}
    script = Script(monkeypatch, environment="", authentication=authentication)
    seen = script.request(PATH_INFO=path)
    parent = "/srv/trac/environments"
    if path.strip("/"):
        assert seen["trac.env_parent_dir"] == parent
        assert "trac.env_paths" not in seen
    else:
        assert not seen["trac.env_parent_dir"]
        assert seen["trac.env_paths"] == [f"{parent}/one", f"{parent}/more"]


def test_an_index_without_anything_public(monkeypatch: pytest.MonkeyPatch) -> None:
    authentication = {"type": "basic", "private_environments": ["one", "two", "more"]}
    script = Script(monkeypatch, environment="", authentication=authentication)
    (path,) = script.request(PATH_INFO="/")["trac.env_paths"]
    assert not os.path.exists(path)


@pytest.mark.parametrize(("pooling", "poolable"), [("enabled", True), ("disabled", False)])
def test_pooling(monkeypatch: pytest.MonkeyPatch, pooling: str, poolable: bool) -> None:
    script = Script(monkeypatch, pooling=pooling)
    assert [backend.poolable for backend in script.backends.values()] == [poolable, poolable]


def test_what_is_switched_on(monkeypatch: pytest.MonkeyPatch) -> None:
    script = Script(monkeypatch, egg_cache="/eggs")
    is_out = script.names["out_of_service"].is_out
    assert script.served == [
        ("environments", ()),
        ("keep_packages", ()),
        ("keep", ("/eggs/templates",)),
        ("take_care", ("/srv/trac/environments/one", None, 10, True, is_out)),
    ]
    script = Script(monkeypatch, environment="", preload=3, freeze=False, reuse=False)
    is_out = script.names["out_of_service"].is_out
    assert script.served[1:] == [("take_care", (None, "/srv/trac/environments", 3, False, is_out))]
    none = Script(monkeypatch, preload=0, freeze=False, reuse=False).served
    assert none == [("environments", ())]


def test_drivers_may_be_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    # Trac's own backend, whose driver is not installed here, raises what pkg_resources has for it.
    script = Script(monkeypatch)
    monkeypatch.delitem(sys.modules, "trac.db.postgres_backend")
    script.names["disable_pooling"]()
    assert not script.backends["MySQLConnection"].poolable


@pytest.mark.parametrize(("mode", "umasks"), [("daemon", []), ("embedded", [0o007])])
def test_umask(monkeypatch: pytest.MonkeyPatch, mode: str, umasks: list[int]) -> None:
    assert Script(monkeypatch, mode=mode).umasks == umasks


def test_directories_of_packages_and_the_egg_cache(
    monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path
) -> None:
    hostile = "/x'\"; import os\\"
    Script(monkeypatch, extra_site_directories=[str(tmp_path)], egg_cache=hostile)
    assert str(tmp_path) in sys.path
    assert os.environ["PYTHON_EGG_CACHE"] == hostile


def test_a_source_without_settings_is_refused() -> None:
    (site,) = plan({"name": "a"})["sites"]
    with pytest.raises(PlanError):
        wsgi_script("pass\n", site)
