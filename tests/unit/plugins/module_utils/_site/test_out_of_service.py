# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which environments are taken out of service, and who is to blame for what does not answer."""

from __future__ import annotations

import json
import pathlib
import subprocess
import sys
import typing as t

import pytest

from ansible_collections.trac.mod_wsgi.plugins.module_utils._site import out_of_service
from ansible_collections.trac.mod_wsgi.plugins.module_utils._site.out_of_service import (
    blame,
    refused,
)

ROLE = pathlib.Path(__file__).parents[5] / "roles" / "trac_site"
ENVIRONMENTS = [{"name": "one"}, {"name": "two"}, {"name": "gone", "state": "absent"}]


def entry(name: str, failure: str | None = None, servable: bool | None = None) -> dict[str, t.Any]:
    return {"name": name, **({"failure": failure, "servable": servable} if failure else {})}


@pytest.mark.parametrize(
    ("known", "entries", "answering", "out"),
    [
        # A good run takes back what is well.
        ({"one": "old"}, [entry("one"), entry("two")], [], {}),
        # Served before, and only something else is wanted of it.
        ({}, [entry("one", "typo", True), entry("two")], ["one"], {}),
        ({}, [entry("one", "crashed", None)], ["one"], {}),
        # Behind a login, where an answer tells nothing of the environment.
        ({}, [entry("one", "half upgraded", False)], ["one"], {"one": "half upgraded"}),
        # Not served before: it does not begin to be.
        ({}, [entry("one", "typo", True)], [], {"one": "typo"}),
        ({"one": "old"}, [entry("one", "new", True)], [], {"one": "new"}),
        # Of which this run has found out nothing.
        ({"two": "old", "gone": "old", "elsewhere": "old"}, [], [], {"two": "old"}),
        ({}, [entry("gone", "cannot be archived", None)], [], {}),
    ],
)
def test_what_is_out_of_service(
    known: dict[str, str],
    entries: list[dict[str, t.Any]],
    answering: list[str],
    out: dict[str, str],
) -> None:
    assert refused(json.dumps(known), ENVIRONMENTS, entries, answering) == out


@pytest.mark.parametrize("text", ["", "{", "[]", "7"])
def test_a_list_that_cannot_be_read_holds_nothing(text: str) -> None:
    assert refused(text, ENVIRONMENTS, [], []) == {}


def result(name: str, status: int | None, title: str | None, ok: bool = False) -> dict[str, t.Any]:
    return {
        "name": name,
        "url": f"http://h/{name}",
        "ok": ok,
        "reason": "" if ok else "is wrong",
        "status": status,
        "title": title,
    }


CHECKS = [
    {"name": "index", "status": [200]},
    {"name": "page one", "status": [200, 403]},
    {"name": "page two", "status": [200, 403]},
    {"name": "private", "status": [401]},
]
PAGES = {"page one": "one", "page two": "two", "private": "three"}


@pytest.mark.parametrize(
    ("seen", "answered", "out", "served", "sites"),
    [
        (result("page one", 500, "Trac Error"), {"one": [500, "Error"]}, ["one"], [], False),
        (result("page one", None, None), {}, ["one"], [], False),
        # It answers without Apache.
        (result("page one", 500, None), {"one": [200, "One"]}, [], [], True),
        (result("page one", 200, "It works"), {"one": [200, "One"]}, [], [], True),
        # Its theme has another title.
        (result("page one", 200, "Themed"), {"one": [200, "Themed"]}, [], ["one"], False),
        (result("page one", 404, None), {"one": [404, ""]}, [], ["one"], False),
        # Whoever is not logged in should not get it.
        (result("private", 200, "Three"), {"three": [200, "Three"]}, [], [], True),
        (result("index", 500, None), {"one": [500, ""]}, [], [], True),
    ],
)
def test_who_is_to_blame(
    seen: dict[str, t.Any],
    answered: dict[str, t.Any],
    out: list[str],
    served: list[str],
    sites: bool,
) -> None:
    results = [result("page two", 200, "Two", ok=True), seen]
    found = blame(results, CHECKS, PAGES, json.dumps(answered))
    assert (list(found.out), list(found.served), found.sites) == (out, served, sites)
    for why in (*found.out.values(), *found.served.values()):
        assert why == f"{seen['url']} is wrong"


def test_a_page_that_does_not_come_is_no_fault_of_the_environment() -> None:
    found = blame([result("page one", 500, None)], CHECKS, PAGES, "{}", ["one"])
    assert found == ({}, {}, True)


@pytest.mark.parametrize("asked", ["", "[1]", '{"one": 7}', '{"one": ["200", "One"]}'])
def test_what_plugins_may_say_instead(asked: str) -> None:
    assert list(blame([result("page one", 500, None)], CHECKS, PAGES, asked).out) == ["one"]


def test_the_run_fails_with_each_reason_and_whether_it_is_served() -> None:
    entries = [entry("one", "no space", True), entry("two", "half upgraded", False), entry("three")]
    out = {"two": "half upgraded"}
    words = out_of_service.complaint(entries, out, {}, ["a hook"], 10, False)
    assert words.splitlines()[0] == "2 of 10 environments failed; all others are served:"
    assert "- one (served as it is): no space\n- two (out of service): half upgraded\n" in words
    assert words.endswith("\na hook")
    predicted = out_of_service.complaint(entries, out, {}, [], 10, True)
    assert "all others are served" not in predicted
    assert out_of_service.complaint([entry("three")], {}, {}, [], 10, False) == ""


def test_environments_are_asked_without_apache(tmp_path: pathlib.Path) -> None:
    pytest.importorskip("trac")
    from trac.env import Environment

    for name in ("well", "hidden", "crashing"):
        options = [("project", "name", f"Of {name}"), ("trac", "database", "sqlite:db/trac.db")]
        Environment(str(tmp_path / name), create=True, options=options).shutdown()
    plugin = tmp_path / "crashing" / "plugins" / "crash.py"
    plugin.write_text("import os\nprint('hello')\nos.abort()\n", encoding="utf-8")
    # The start page is 403 then, and all others are errors.
    hidden = tmp_path / "hidden" / "plugins" / "hidden.py"
    hidden.write_text(
        "from trac.core import Component, implements\n"
        "from trac.web.api import IRequestFilter, HTTPForbidden\n"
        "class Hidden(Component):\n"
        "    implements(IRequestFilter)\n"
        "    def pre_process_request(self, req, handler):\n"
        "        if req.path_info == '/':\n"
        "            raise HTTPForbidden('no')\n"
        "        raise RuntimeError('broken')\n"
        "    def post_process_request(self, req, template, data, metadata):\n"
        "        return template, data, metadata\n",
        encoding="utf-8",
    )
    paths = [str(tmp_path / name) for name in ("crashing", "well", "hidden", "missing")]
    done = subprocess.run(
        [sys.executable, "-I", str(ROLE / "files" / "ask_environments.py"), *paths],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    found = json.loads(done.stdout)
    assert list(found) == ["well", "hidden", "missing"]
    assert found["well"][0] == 200
    assert "Of well" in found["well"][1]
    assert found["hidden"][0] == found["missing"][0] == 500


def test_the_page_is_known_by_its_title() -> None:
    source = (ROLE / "files" / "trac_out_of_service.py").read_text(encoding="utf-8")
    assert f"<title>{out_of_service.TITLE}</title>" in source
    assert out_of_service.FILE.rpartition("/")[2] in source
