# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an old environment needs and does not have is said alike by everything that looks at it."""

from __future__ import annotations

import importlib.util
import io
import json
import pathlib
import shutil
import subprocess
import sys
import typing as t

import pytest
from ansible.module_utils.testing import patch_module_args

from ansible_collections.trac.mod_wsgi.plugins.module_utils._trac import findings as trac_findings
from ansible_collections.trac.mod_wsgi.plugins.module_utils._trac import ini as trac_ini
from ansible_collections.trac.mod_wsgi.plugins.module_utils._trac import opening, upgrade_options
from ansible_collections.trac.mod_wsgi.plugins.module_utils._trac import templates as trac_templates
from ansible_collections.trac.mod_wsgi.plugins.module_utils._upgrade import (
    preflight as upgrade_preflight,
)
from ansible_collections.trac.mod_wsgi.plugins.modules import trac_doctor_info
from ansible_collections.trac.mod_wsgi.tests.unit.plugins.modules.backed_up import BackupHost
from ansible_collections.trac.mod_wsgi.tests.unit.plugins.modules.reconciled import (
    USER,
    Document,
    Host,
    unpack,
)

HAS_SVN = importlib.util.find_spec("svn") is not None
# As Trac 0.11 had them.
OLD_MAIL = """$ticket_body_hdr
#choose ticket.new
  #when True
$ticket.description
  #end
#end
"""
NEW_MAIL = "${ticket_body_hdr}\n# if ticket.new:\n${ticket.description} costs $5\n# endif\n"
SITE = '<html xmlns="http://www.w3.org/1999/xhtml" xmlns:py="http://genshi.edgewall.org/"></html>'


def write(host: Host, name: str, text: str) -> None:
    path = host.directory / "project" / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(text, encoding="utf-8")


def options(host: Host, name: str = "project", **sections: dict[str, str]) -> None:
    """Put options into trac.ini as people do."""
    ini = host.ini(name)
    ini.read_dict(sections)
    with open(host.ini_path(name), "w", encoding="utf-8") as file:
        ini.write(file)


def by_run(host: Host, check: bool = False) -> list[str]:
    report = host.one({"name": "project"}, check=check)
    assert report["failure"] is None
    return t.cast("list[str]", report["warnings"])


def by_preflight(host: Host) -> list[str]:
    output = io.StringIO()
    payload = {"directory": str(host.directory), "live_plugins": None, "plugins": None}
    upgrade_preflight.serve(payload, output)
    events = [json.loads(line) for line in output.getvalue().splitlines()]
    (seen,) = (event for event in events if event["event"] == "seen")
    assert seen["failure"] is None
    return t.cast("list[str]", seen["warnings"])


def by_doctor(host: Host, capsys: pytest.CaptureFixture[str]) -> list[str]:
    parameters = {
        "checks": ["plugins", "repositories"],
        "environments_dir": str(host.directory),
        "python": sys.executable,
        "user": USER,
    }
    capsys.readouterr()
    with patch_module_args(parameters), pytest.raises(SystemExit):
        trac_doctor_info.main()
    checks = json.loads(capsys.readouterr().out)["checks"]
    results = [result for check in checks for result in check["results"]]
    return [f"{result['seen']} {result['advice']}" for result in results if result["advice"]]


def old_site(host: Host) -> dict[str, str]:
    """Gives an environment what it may have had for fifteen years; what has to be said of it."""
    subprocess.run(["git", "init", "-q", "--bare", host.directory.parent / "is.git"], check=True)
    write(host, "templates/site.html", SITE)
    write(host, "templates/ticket_notify_email.txt", OLD_MAIL)
    write(host, "plugins/late.py", "def f(d):\n    return d.iteritems()\n")
    write(host, "plugins/Gone.egg-link", "/nowhere\n.\n")
    options(
        host,
        components={"tracext.git.*": "enabled"},
        git={"projects_list": "/srv/projects", "cached_repository": "true"},
        repositories={
            "gone.dir": "/nowhere/gone.git",
            "gone.type": "git",
            "old.dir": str(host.directory.parent / "is.git"),
            "old.type": "svn",
            "alias.alias": "gone",
            "rare.dir": str(host.directory.parent),
            "rare.type": "hg",
        },
        trac={"repository_dir": "/srv/svn/main"},
    )
    return {
        "site.html is not used: it is written for Genshi": "site_head.html",
        "ticket_notify_email.txt goes before the one that Trac has, and spoils the mails": "anew",
        "late.py loads, but is written for Python 2": "trac_runtime_plugins",
        "Gone.egg-link does not load: it leads to /nowhere": "trac_runtime_plugins",
        "[components] tracext.git.* = enabled enables nothing": "{tracopt.versioncontrol.git.*: en",
        "[git] projects_list = /srv/projects is not read by Trac any more": "gitweb-repositories",
        "[trac] repository_dir = /srv/svn/main is not read by Trac any more": ".dir: DIRECTORY",
        "repository 'gone' of the type git is at /nowhere/gone.git, and there is nothing": (
            "config: {repositories: {gone.dir: DIRECTORY}}"
        ),
        "repositories of the type git ('gone') cannot be read: no component": (
            "config: {components: {tracopt.versioncontrol.git.*: enabled}}"
        ),
        "is.git, and that is no repository of this type": "old.dir: DIRECTORY",
        "repositories of the type svn ('old') cannot be read: no component": "versioncontrol.svn",
        "repositories of the type hg ('rare') cannot be read: no component": "trac_runtime_plugins",
        **(
            {}
            if HAS_SVN
            else {
                "of the type svn ('old') cannot be read: Subversion's bindings": (
                    "subversion in trac_runtime_bindings"
                )
            }
        ),
    }


def is_said(wanted: dict[str, str], warnings: list[str]) -> None:
    for words, remedy in wanted.items():
        said = [warning for warning in warnings if words in warning]
        assert len(said) == 1, (words, warnings)
        assert remedy in said[0]
    assert len(warnings) == len(wanted)


def test_everything_that_looks_says_the_same(
    created: Host, capsys: pytest.CaptureFixture[str]
) -> None:
    wanted = old_site(created)
    is_said(wanted, by_run(created, check=True))
    is_said(wanted, by_run(created))
    is_said(wanted, by_preflight(created))
    is_said(wanted, by_doctor(created, capsys))


def test_a_restore_says_it_too(created: Host) -> None:
    wanted = old_site(created)
    station = BackupHost(created)
    station.back_up()
    shutil.rmtree(created.directory / "project")
    result = station.restore()
    assert result["changed"]
    is_said(wanted, result["warnings"])
    assert ".restoring-" not in "".join(result["warnings"])


def test_a_healthy_environment_is_not_accused(
    created: Host, capsys: pytest.CaptureFixture[str]
) -> None:
    subprocess.run(["git", "init", "-q", "--bare", created.directory.parent / "is.git"], check=True)
    write(created, "templates/ticket_notify_email.txt", NEW_MAIL)
    write(created, "templates/site_head.html", "# if true:\n<meta name='py'/>\n# endif\n")
    write(created, "plugins/both.py", "try:\n    unicode\nexcept NameError:\n    unicode = str\n")
    options(
        created,
        components={"tracopt.versioncontrol.git.*": "enabled"},
        git={"trac_user_rlookup": "true", "persistent_cache": "true", "git_bin": "git"},
        repositories={"is.dir": str(created.directory.parent / "is.git"), "is.type": "git"},
    )
    assert by_run(created) == by_preflight(created) == by_doctor(created, capsys) == []


def test_repositories_of_the_inventory_are_left_to_it(created: Host) -> None:
    place = created.directory.parent / "code.git"
    document: Document = {
        "name": "project",
        "repositories": [{"name": "c", "type": "git", "dir": str(place)}],
        "config": {"components": {"tracopt.versioncontrol.git.*": "enabled"}},
    }
    report = created.one(document, check=True)
    assert (report["failure"], report["warnings"]) == (None, [])
    assert created.one(document)["failure"] is None
    assert by_run(created) == []
    place.rename(place.with_name("moved.git"))
    (warning,) = by_run(created)
    assert f"repository 'c' of the type git is at {place}, and there is nothing" in warning
    assert "repositories: [{name: c, type: git, dir: DIRECTORY}]" in warning


def test_a_program_that_is_not_there_is_named(created: Host) -> None:
    subprocess.run(["git", "init", "-q", "--bare", created.directory.parent / "is.git"], check=True)
    options(
        created,
        components={"tracopt.versioncontrol.git.*": "enabled"},
        git={"git_bin": "/usr/local/bin/no-git"},
        repositories={"is.dir": str(created.directory.parent / "is.git"), "is.type": "git"},
    )
    (warning,) = by_run(created)
    assert "there is no program /usr/local/bin/no-git ([git] git_bin)" in warning
    assert "{git: {git_bin: null}}" in warning


# Drivers


@pytest.mark.parametrize(
    ("uri", "binding"),
    [
        ("postgres://t:s3cr3t@127.0.0.1:1/x", "postgresql"),
        ("mysql://t:s3cr3t@127.0.0.1:1/x", "mysql"),
    ],
)
def test_the_variable_that_installs_a_driver_is_named(
    created: Host, capsys: pytest.CaptureFixture[str], uri: str, binding: str
) -> None:
    # Without the component it is the same as without the driver, which it needs to be loaded.
    options(
        created,
        components={
            "trac.db.postgres_backend.*": "disabled",
            "trac.db.mysql_backend.*": "disabled",
        },
        trac={"database": uri},
    )
    before = created.snapshot()
    failure = created.one({"name": "project"})["failure"]
    assert "its driver is not installed" in failure
    assert f"{binding} in trac_runtime_bindings" in failure
    assert "s3cr3t" not in failure
    assert created.snapshot() == before
    output = io.StringIO()
    payload = {"directory": str(created.directory), "live_plugins": None, "plugins": None}
    upgrade_preflight.serve(payload, output)
    assert f"{binding} in trac_runtime_bindings" in output.getvalue()
    parameters = {
        "checks": ["database"],
        "environments_dir": str(created.directory),
        "python": sys.executable,
        "user": USER,
    }
    capsys.readouterr()
    with patch_module_args(parameters), pytest.raises(SystemExit):
        trac_doctor_info.main()
    assert f"{binding} in trac_runtime_bindings" in capsys.readouterr().out


# What an upgrade is going to replace


BASE = "DefaultPermissionPolicy, LegacyAttachmentPolicy"
READONLY = f"ReadonlyWikiPolicy, {BASE}"
NOW = f"DefaultWikiPolicy, DefaultTicketPolicy, {BASE}"


@pytest.mark.parametrize(
    ("version", "policies", "after"),
    [
        (42, READONLY, NOW),
        (29, BASE, NOW),
        (21, BASE, NOW),
        (30, BASE, None),
        (42, f"AuthzPolicy, {READONLY}", None),
        (43, READONLY, None),
    ],
)
def test_policies_after_an_upgrade(
    created: Host, version: int, policies: str, after: str | None
) -> None:
    options(created, trac={"permission_policies": policies})
    ini = trac_ini.IniFile(str(created.ini_path()))
    kind = opening.environment_class()
    with opening.opened(kind(str(created.directory / "project"), ini.parser)) as environment:
        changes = upgrade_options.predicted(environment, version)
    assert changes.get(("trac", "permission_policies")) == after


@pytest.mark.parametrize("series", ["1.0", "1.2"])
def test_what_an_upgrade_writes_is_predicted(host: Host, series: str) -> None:
    """What Trac's own upgrade makes of an environment is compared."""
    path = unpack(series, host.directory)
    if series == "1.2":
        options(host, path.name, trac={"permission_policies": READONLY})
    ini = trac_ini.IniFile(str(path / "conf" / "trac.ini"))
    kind = opening.environment_class()
    with opening.opened(kind(str(path), ini.parser)) as environment:
        version = upgrade_options.database_version(environment)
        changes = upgrade_options.predicted(environment, version)
    assert changes
    report = host.one({"name": path.name}, check=True)
    assert [each for each in report["warnings"] if "ReadonlyWikiPolicy" in each] == []
    report = host.one({"name": path.name})
    assert report["failure"] is None
    assert [each for each in report["warnings"] if "ReadonlyWikiPolicy" in each] == []
    now = trac_ini.IniFile(str(path / "conf" / "trac.ini"))
    for name, value in changes.items():
        current = now.current(name)
        assert (current or "").replace(" ", "") == (value or "").replace(" ", ""), name


def test_an_upgrade_that_would_open_a_repository_is_refused(created: Host) -> None:
    """Trac 0.11 did what its authz_file says by itself."""
    created.execute("UPDATE system SET value='21' WHERE name='database_version'")
    options(created, trac={"authz_file": "/srv/svn/authz"})
    before = created.snapshot()
    failure = created.one({"name": "project"})["failure"]
    assert "would see everything" in failure
    assert "permission_policies: 'AuthzSourcePolicy, " in failure
    assert created.snapshot() == before


def test_a_policy_that_the_upgrade_would_leave_is_refused_before(created: Host) -> None:
    created.execute("UPDATE system SET value='42' WHERE name='database_version'")
    options(
        created,
        trac={"permission_policies": f"AuthzPolicy, {READONLY}"},
        authz_policy={"authz_file": str(created.directory.parent / "authz")},
        components={"tracopt.perm.authz_policy.*": "enabled"},
    )
    (created.directory.parent / "authz").write_text("[*]\n* = WIKI_VIEW\n")
    before = created.snapshot()
    failure = created.one({"name": "project"})["failure"]
    better = f"AuthzPolicy, {NOW}"
    assert f"config: {{trac: {{permission_policies: '{better}'}}}}" in failure
    assert created.snapshot() == before
    mended = {"name": "project", "config": {"trac": {"permission_policies": better}}}
    assert created.one(mended)["failure"] is None


# Templates


def test_tracs_own_templates_are_not_accused() -> None:
    trac = pytest.importorskip("trac")
    top = pathlib.Path(trac.__file__).parents[1]
    found = [p for d in ("trac", "tracopt") for p in (top / d).rglob("templates/*") if p.is_file()]
    assert len(found) > 50
    assert [p for p in found if trac_templates.is_genshi(p.name, p.read_bytes())] == []


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("site_header.html", SITE, "spoils the pages that are made with it: it is written for G"),
        ("ticket.html", "<p py:if='x'>y</p>", "spoils the pages that are made with it"),
        ("query.rss", "<py:for each='x'/>", "spoils the pages that are made with it"),
        ("ticket_notify_email.txt", "$ticket_body_hdr\n", "spoils the mails"),
        ("ticket_notify_email.txt", "{% choose x %}{% end %}", "spoils the mails"),
        ("wiki_view.html", "<b>\udce9</b>", "line 1 is not UTF-8"),
        ("ours.html", SITE, "is not used"),
    ],
)
def test_templates_that_cannot_be_used(created: Host, name: str, text: str, words: str) -> None:
    directory = created.directory / "project" / "templates"
    directory.mkdir(exist_ok=True)
    (directory / name).write_bytes(text.encode("utf-8", "surrogateescape"))
    ini = trac_ini.IniFile(str(created.ini_path()))
    kind = opening.environment_class()
    with opening.opened(kind(str(created.directory / "project"), ini.parser)) as environment:
        (found,) = trac_findings.findings(environment, ini)
    assert words in found.seen


@pytest.mark.parametrize("name", ["layout.html", "site_header.html"])
def test_a_template_that_spoils_all_pages_is_refused(created: Host, name: str) -> None:
    write(created, f"templates/{name}", SITE if name == "layout.html" else "# if x\n")
    failure = created.one({"name": "project"})["failure"]
    assert f"its pages would be errors (status 500): the template templates/{name}: " in failure
    assert (
        "it is written for Genshi" if name == "layout.html" else "line 1: Unexpected end"
    ) in failure
    assert "write it anew for Jinja2" in failure
