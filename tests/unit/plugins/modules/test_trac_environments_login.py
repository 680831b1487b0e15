# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Environments that take no login of Apache's, because a plugin did that and is gone."""

from __future__ import annotations

import os
import shutil
import typing as t

import pytest

from ansible_collections.trac.mod_wsgi.plugins.module_utils._doctor import (
    environment as doctor_environment,
)
from ansible_collections.trac.mod_wsgi.plugins.module_utils._doctor import logins as doctor_logins
from ansible_collections.trac.mod_wsgi.plugins.module_utils._environments import (
    worker as environment_worker,
)
from ansible_collections.trac.mod_wsgi.tests.unit.plugins.modules.reconciled import PROJECT, Host
from ansible_collections.trac.mod_wsgi.tests.unit.plugins.modules.test_trac_environments_served import (  # noqa: E501
    asked,
)

# AccountManager's, as far as it matters here.
PLUGIN = """
from trac.web import auth
class LoginModule(auth.LoginModule):
    def match_request(self, req):
        own = self.env.is_enabled(auth.LoginModule)
        return not own and auth.LoginModule.match_request(self, req)
"""
GONE = {"trac.web.auth.LoginModule": "disabled", "acct_mgr.web_ui.LoginModule": "enabled"}
_stamps = iter(range(1, 1000))


def reconcile(host: Host, *documents: dict[str, t.Any], logins: list[str]) -> dict[str, t.Any]:
    payload = {**host.payload(list(documents)), "logins": logins}
    events = list(environment_worker.run(payload))
    return {e["report"]["name"]: e["report"] for e in events if e["event"] == "report"}


def login(host: Host, name: str | None) -> tuple[str, bool]:
    """The status of /login for whom Apache has let in, and whether Trac remembers the login."""
    from trac.web.main import dispatch_request

    stamp = next(_stamps)
    os.utime(host.ini_path(), (stamp, stamp))
    environ = {**asked(host, "login"), **({"REMOTE_USER": name} if name else {})}
    found: list[tuple[str, bool]] = []

    def start(line: str, headers: t.Any, _info: object = None) -> t.Callable[[bytes], None]:
        found.append((line[:3], any(value.startswith("trac_auth=") for _name, value in headers)))
        return lambda _body: None

    list(dispatch_request(environ, start) or [])
    return found[-1]


def doctor(host: Host, scope: str = "login") -> list[str]:
    examination = doctor_environment.Examination(str(host.directory / "project"))
    examination.run()
    site = {
        "name": "s",
        "mount": "/",
        "environment": "project",
        "authentication": {"type": "basic"},
    }
    if scope != "login":
        site["authentication"] = {"type": "basic", "scope": scope}
    facts = {"project": examination.facts}
    results = doctor_logins.judge_logins_taken([site], facts)
    assert {result.check for result in results} <= {"site_login"}
    without = {**site, "authentication": None}
    assert doctor_logins.judge_logins_taken([without], facts) == []
    return [f"{result.status}: {result.seen} {result.advice}" for result in results]


def test_nobody_can_log_in_after_the_plugin_for_it_is_gone(created: Host) -> None:
    assert login(created, "anna") == ("302", True)
    assert reconcile(created, PROJECT, logins=["*"])["project"]["failure"] is None
    assert doctor(created) == []
    document = {**PROJECT, "config": {"components": GONE}}
    words = "nobody could log in: [components] trac.web.auth.LoginModule is disabled, and no other"
    for logins in (["project"], ["*"]):
        reports = reconcile(created, document, {**document, "name": "new"}, logins=logins)
        assert words in reports["project"]["failure"]
        assert reports["project"]["changes"] == []
        assert (reports["new"]["failure"] is None) is (logins != ["*"])
        shutil.rmtree(created.directory / "new", ignore_errors=True)
    # Where Apache asks nobody, that may be meant.
    assert reconcile(created, document, logins=["new"])["project"]["failure"] is None
    assert login(created, "anna") == ("404", False)
    (seen,) = doctor(created)
    assert seen.startswith("failed: Site s asks for a login, and environment project does not take")
    assert doctor(created, scope="site") == [seen]


@pytest.mark.parametrize("option", [None, "htpasswd_file", "password_file"])
def test_users_of_the_plugin_are_named_as_a_source(created: Host, option: str | None) -> None:
    path = created.directory / "project" / "conf" / ("users" if option else "trac.htpasswd")
    names = [f"user{number:02}" for number in range(12)]
    path.write_text("".join(f"{name}:$apr1$geheim$x\n" for name in names), encoding="utf-8")
    more = {"account-manager": {option: "conf/users"}} if option else {}
    document = {**PROJECT, "config": {"components": GONE, **more}}
    failure = reconcile(created, document, logins=["*"])["project"]["failure"]
    assert " knows user00, user01" in failure
    assert "user09 and 2 more: list them in trac_users" in failure
    assert "geheim" not in failure


def test_plugin_that_takes_logins_is_enough(created: Host) -> None:
    plugins = created.directory / "project" / "plugins"
    (plugins / "forms.py").write_text(PLUGIN, encoding="utf-8")
    own = {"trac.web.auth.LoginModule": "disabled", "forms.*": "enabled"}
    document = {**PROJECT, "config": {"components": own}}
    assert reconcile(created, document, logins=["*"])["project"]["failure"] is None
    assert login(created, "anna") == ("302", True)
    assert doctor(created) == []
    # Both are one for Trac, and neither answers.
    both = {**PROJECT, "config": {"components": {"forms.*": "enabled", **dict.fromkeys(GONE)}}}
    report = reconcile(created, both, logins=["*"])["project"]
    assert report["failure"] is None
    assert any("enables both forms.LoginModule and trac.web.auth" in w for w in report["warnings"])
    assert login(created, "anna")[0] == "404"
    (seen,) = doctor(created)
    assert "set [components] trac.web.auth.LoginModule to disabled".upper() in seen.upper()
    assert doctor(created, scope="site") == []
