# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What would make all pages of an environment errors: refused before, or mended."""

from __future__ import annotations

import io
import os
import pathlib
import shutil
import typing as t

import pytest

from ansible_collections.trac.mod_wsgi.tests.unit.plugins.modules.reconciled import (
    PROJECT,
    Child,
    Host,
)

POLICIES = "DefaultWikiPolicy,DefaultTicketPolicy,DefaultPermissionPolicy,LegacyAttachmentPolicy"
WITHOUT_WIKI = {"components": {"trac.wiki.*": "disabled"}}
POLICIES_WITHOUT_WIKI = POLICIES.partition(",")[2]


def config(**sections: t.Any) -> dict[str, t.Any]:
    return {**PROJECT, "config": sections}


def asked(host: Host, page: str, name: str = "project") -> dict[str, t.Any]:
    """The environ (PEP 3333) of a visitor's request."""
    return {
        "REQUEST_METHOD": "GET",
        "SCRIPT_NAME": "/trac",
        "PATH_INFO": f"/{page}",
        "QUERY_STRING": "",
        "SERVER_NAME": "h",
        "SERVER_PORT": "80",
        "HTTP_HOST": "h",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": "127.0.0.1",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(),
        "wsgi.errors": io.StringIO(),
        "wsgi.multithread": False,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
        "trac.env_path": str(host.directory / name),
        "trac.locale": "C.UTF-8",
    }


def status(host: Host, page: str = "", name: str = "project") -> str:
    """What Trac answers a visitor, in this process."""
    from trac.web.main import dispatch_request

    environ = asked(host, page, name)
    lines: list[str] = []

    def start(line: str, _headers: object, _info: object = None) -> t.Callable[[bytes], None]:
        lines.append(line)
        return lambda _body: None

    list(dispatch_request(environ, start) or [])
    return lines[-1][:3]


def write(host: Host, text: str) -> None:
    with host.ini_path().open("a", encoding="utf-8") as file:
        file.write(text)


REFUSED: list[tuple[dict[str, t.Any], str]] = [
    (
        WITHOUT_WIKI,
        "[trac] permission_policies names DefaultWikiPolicy, which [components] trac.wiki.* = disa",
    ),
    (
        WITHOUT_WIKI,
        f"Remedy: set [trac] permission_policies to {POLICIES_WITHOUT_WIKI} and set [trac] default",
    ),
    (WITHOUT_WIKI, "[trac] default_handler names WikiModule, which [components] trac.wiki.*"),
    (
        {"components": {"trac.wiki.web_ui.*": False}},
        "another component, or leave [components] trac.wiki.web_ui.* out (null takes it out of",
    ),
    (
        {"components": {"trac.wiki.web_ui.DefaultWikiPolicy": "off"}},
        "names DefaultWikiPolicy, which [components] trac.wiki.web_ui.defaultwikipolicy = off",
    ),
    (
        {"components": {"trac.ticket.default_workflow.*": "disabled"}},
        "[ticket] workflow names ConfigurableTicketWorkflow",
    ),
    ({"components": {"trac.perm.*": "disabled"}}, "[trac] permission_store names DefaultPermi"),
    ({"components": {"trac.web.chrome.*": "disabled"}}, "switches off trac.web.chrome.Chrome"),
    ({"trac": {"default_handler": "Chrome"}}, "Chrome, which has no page to start with"),
    ({"logging": {"log_format": "no field"}}, "[logging] log_format cannot be used"),
    ({"logging": {"log_file": "/nowhere/trac.log"}}, "there is no directory /nowhere"),
    ({"logging": {"log_file": "/proc"}}, "[logging] log_file is /proc, which is a directory"),
]


@pytest.mark.parametrize(("sections", "words"), REFUSED)
def test_trac_ini_that_makes_pages_errors_is_refused_and_not_written(
    created: Host, sections: dict[str, t.Any], words: str
) -> None:
    before = created.snapshot()
    predicted = created.one(config(**sections), check=True)
    assert words.lower() in str(predicted["failure"]).lower()
    reports = created.run(config(**sections), {"name": "new", "config": sections})
    for report in reports.values():
        assert words.lower() in str(report["failure"]).lower()
        assert report["changes"] == []
    assert created.snapshot() == before


def test_what_is_refused_is_what_trac_cannot_serve(created: Host) -> None:
    from trac.config import Configuration

    text = created.ini_path().read_text(encoding="utf-8")
    tried = [sections for number, (sections, _words) in enumerate(REFUSED) if number not in (1, 2)]
    for number, sections in enumerate(tried):
        created.ini_path().write_text(text, encoding="utf-8")
        written = Configuration(str(created.ini_path()))
        for section, options in sections.items():
            for option, value in options.items():
                written.set(section, option, value)
        written.save()
        os.utime(created.ini_path(), (number, number))
        assert "500" in (status(created), status(created, "about")), sections


def test_remedy_of_the_refusal_makes_a_site_that_answers(created: Host) -> None:
    sections = {
        **WITHOUT_WIKI,
        "trac": {"permission_policies": POLICIES_WITHOUT_WIKI, "default_handler": "TimelineModule"},
    }
    report = created.one(config(**sections))
    assert report["failure"] is None
    assert report["warnings"] == []
    assert [status(created, page) for page in ("", "about", "search")] == ["200"] * 3
    assert created.one(config(**sections))["changes"] == []
    # The way back: what the inventory does not name stays, so it has to be told.
    back = {
        "components": {"trac.wiki.*": None},
        "trac": {"permission_policies": POLICIES, "default_handler": "WikiModule"},
    }
    assert created.one(config(**back))["failure"] is None
    assert status(created, "wiki/WikiStart") == "200"


def test_environment_that_is_broken_already_is_refused_until_it_is_mended(created: Host) -> None:
    write(created, "\n[components]\ntrac.wiki.* = disabled\n")
    assert status(created, "about") == "500"
    for document in (config(**WITHOUT_WIKI), {**PROJECT, "title": "Renamed"}):
        report = created.one(document)
        assert "[components] trac.wiki.* = disabled switches off" in report["failure"]
        assert report["changes"] == []
    assert created.one(config(components={"trac.wiki.*": None}))["failure"] is None
    assert status(created, "about") == "200"


def test_policy_of_a_plugin_that_is_no_longer_enabled_is_refused(created: Host) -> None:
    enabled = {"tracopt.perm.config_perm_provider.*": "enabled"}
    with_plugin = {
        "components": {"tracopt.perm.authz_policy.*": "enabled", **enabled},
        "trac": {"permission_policies": f"AuthzPolicy,{POLICIES}"},
        "authz_policy": {"authz_file": "authz"},
    }
    report = created.one(config(**with_plugin))
    assert "/conf/authz does not exist" in report["failure"]
    (created.directory / "project" / "conf" / "authz").write_text("", encoding="utf-8")
    report = created.one(config(**with_plugin))
    assert report["failure"] is None, report
    assert status(created, "about") in ("200", "403")
    before = created.ini_path().read_bytes()
    gone = config(components={"tracopt.perm.authz_policy.*": None})
    report = created.one(gone)
    assert "names AuthzPolicy, which is not enabled" in report["failure"]
    assert created.ini_path().read_bytes() == before


@pytest.mark.parametrize("log_file", ["trac.log", "sub/trac.log"])
def test_missing_directories_are_made_again(created: Host, log_file: str) -> None:
    document = config(logging={"log_file": log_file})
    assert created.one(document)["failure"] is None
    path = created.directory / "project"
    for name in ("log", "plugins", "htdocs", "templates"):
        shutil.rmtree(path / name)
    assert status(created) == "500"
    before = created.snapshot()
    names = ["log", "plugins", *(["log/sub"] if "/" in log_file else [])]
    words = [f"make the missing directory {name}" for name in names]
    assert created.one(document, check=True)["changes"] == words
    assert created.snapshot() == before
    report = created.one(document)
    assert report["changes"] == words
    assert report["failure"] is None
    assert {(path / name).stat().st_mode & 0o7777 for name in names} == {0o2770}
    assert status(created) == "200"
    assert created.one(document)["changes"] == []


def test_new_environment_has_the_directory_of_its_log(host: Host) -> None:
    document = config(logging={"log_file": "sub/trac.log"})
    assert host.one(document)["failure"] is None
    assert status(host) == "200"
    assert host.one(document)["changes"] == []


def test_directories_are_made_where_links_lead(created: Host, tmp_path: pathlib.Path) -> None:
    path = created.directory / "project" / "log"
    shutil.rmtree(path)
    path.symlink_to("../project/elsewhere")
    moved = created.directory.rename(tmp_path / "moved")
    created.directory.symlink_to(moved)
    assert created.one(PROJECT)["changes"] == ["make the missing directory elsewhere"]
    assert status(created) == "200"


def test_what_stands_in_the_place_of_the_log_is_named(created: Host) -> None:
    path = created.directory / "project" / "log"
    shutil.rmtree(path)
    path.write_text("", encoding="utf-8")
    assert f"{path} is a file" in created.one(PROJECT)["failure"]
    path.unlink()
    path.symlink_to("/nowhere/log")
    report = created.one(PROJECT)
    assert "Remedy: make the directory /nowhere/log for the account" in report["failure"]
    assert report["changes"] == []


def test_broken_plugin_explains_the_failure_of_its_own_environment_only(created: Host) -> None:
    shutil.copytree(created.directory / "project", created.directory / "other")
    plugins = created.directory / "project" / "plugins"
    plugins.joinpath("broken.py").write_text("raise ValueError('no luck')\n", encoding="utf-8")
    unknown = {"permissions": {"anna": ["NO_SUCH_ACTION"]}}
    reports = created.run({"name": "project", **unknown}, {"name": "other", **unknown})
    assert "broken" in reports["project"]["failure"]
    assert "NO_SUCH_ACTION" in reports["other"]["failure"]
    assert "broken" not in reports["other"]["failure"]


STUCK = """
from trac.core import Component, implements
from trac.env import IEnvironmentSetupParticipant

class Stuck(Component):
    implements(IEnvironmentSetupParticipant)

    def environment_created(self):
        pass

    def environment_needs_upgrade(self):
        return self.env.path.endswith("stuck")

    def upgrade_environment(self):
        raise RuntimeError("the tables cannot be changed")
"""


def test_of_what_failed_it_is_told_whether_it_can_be_served_nevertheless(created: Host) -> None:
    names = ("wrong", "broken", "stuck")
    for name in names:
        shutil.copytree(created.directory / "project", created.directory / name)
    ini = created.ini_path("broken")
    ini.write_text(ini.read_text("utf-8") + "[components]\ntrac.wiki.* = disabled\n", "utf-8")
    plugins = created.directory / "stuck" / "plugins"
    plugins.mkdir(exist_ok=True)
    (plugins / "stuck.py").write_text(STUCK, "utf-8")
    # One process for each environment: a plugin registers itself in all of it.
    wrong = {"permissions": {"joe": ["NO_SUCH_PERMISSION"]}}
    reports = {
        each["report"]["name"]: each["report"]
        for each in Child(
            created.payload(
                [
                    PROJECT,
                    {"name": "wrong", **wrong},
                    {"name": "broken", **wrong},
                    {"name": "stuck"},
                    {"name": "new", **wrong},
                ]
            )
        ).events()
        if each["event"] == "report"
    }
    assert "the tables cannot be changed" in reports["stuck"]["failure"]
    assert {name: report["servable"] for name, report in reports.items()} == {
        "project": None,  # all is well
        "wrong": True,
        "broken": False,
        "stuck": False,
        "new": False,
    }
    assert reports["project"]["failure"] is None
