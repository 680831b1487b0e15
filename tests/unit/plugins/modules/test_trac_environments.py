# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The reconciler on environments that are created, changed and refused."""

from __future__ import annotations

import difflib
import pathlib
import stat
import typing as t

import pytest

from ansible_collections.trac.mod_wsgi.plugins.module_utils._environments import (
    reconcile as environment_reconcile,
)
from ansible_collections.trac.mod_wsgi.plugins.module_utils._trac import ini as trac_ini
from ansible_collections.trac.mod_wsgi.tests.unit.plugins.modules.reconciled import (
    PROJECT,
    Document,
    Host,
    title,
)

# Creation


def test_a_new_environment_is_complete(created: Host) -> None:
    assert title(created) == "My Project"
    assert created.ini()["ticket"]["default_type"] == "task"
    assert created.ini()["trac"]["database"] == "sqlite:db/trac.db"
    assert created.ini()["ticket-workflow"]["accept"]  # Trac's default data
    assert {
        ("admin", "TRAC_ADMIN"),
        ("anna", "developers"),
        ("developers", "WIKI_ADMIN"),
        ("anonymous", "WIKI_VIEW"),
    } <= created.permissions()
    pages = {name for (name,) in created.rows("SELECT name FROM wiki")}
    assert {"WikiStart", "TracGuide", "TracLinks"} <= pages


def test_what_is_created_belongs_to_the_group_and_to_nobody_else(created: Host) -> None:
    environment = created.directory / "project"
    for path in [environment, *environment.rglob("*")]:
        expected = 0o2770 if path.is_dir() else 0o660
        assert stat.S_IMODE(path.stat().st_mode) == expected, path
    assert (environment / "db" / "trac.db").is_file()


def test_nothing_in_an_environment_remembers_where_it_was_built(created: Host) -> None:
    for path in (created.directory / "project").rglob("*"):
        if path.is_file():
            assert b".creating-" not in path.read_bytes(), path
    assert created.hidden() == []


def test_the_name_is_the_title_when_there_is_no_other(host: Host) -> None:
    host.one({"name": "plain"})
    assert title(host, "plain") == "plain"


def test_an_empty_directory_is_room_enough(host: Host) -> None:
    (host.directory / "project").mkdir()
    assert host.one(PROJECT)["created"]
    assert title(host) == "My Project"


@pytest.mark.parametrize(
    "text",
    [
        "100% %(name)s %%",
        "{{ lookup('pipe', 'id') }} {% raw %}",
        """He said "it's" \\ fine""",
        "Größe – 漢字 \U0001f600",
        "# no comment ; either",
        "[section] a = b : c",
        "<b>&amp;</b>",
    ],
)
def test_titles_come_through_whole(host: Host, text: str) -> None:
    """At creation and as a change, and they are no change the second time."""
    documents: list[Document] = [PROJECT | {"title": text}, {"name": "other", "title": text}]
    for document in documents:
        host.one({"name": "other", "title": "first"})
        assert host.one(document)["failure"] is None
        assert title(host, document["name"]) == text
        assert host.one(document)["changes"] == []


# Changes


def test_a_second_run_changes_nothing(created: Host) -> None:
    before = created.snapshot()
    report = created.one(PROJECT)
    assert (report["changes"], report["failure"]) == ([], None)
    assert created.snapshot() == before


def test_options_change_in_place(created: Host) -> None:
    path = created.ini_path()
    written = "# mine\n" + path.read_text().replace("[project]", "; ours\n[project]")
    path.write_text(written)
    path.chmod(0o640)
    report = created.one(PROJECT | {"title": "Renamed"})
    assert report["changes"] == ["set [project] name"]
    assert report["before"] == ["[project] name = My Project"]
    assert report["after"] == ["[project] name = Renamed"]
    changed = [
        line
        for line in difflib.ndiff(written.splitlines(), path.read_text().splitlines())
        if line[0] in "+-"
    ]
    assert changed == ["- name = My Project", "+ name = Renamed"]
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert [entry.name for entry in path.parent.iterdir() if entry.name.startswith(".")] == []
    assert title(created) == "Renamed"


def test_trac_notices_the_change_of_a_file_it_has_read(created: Host) -> None:
    from trac.env import Environment

    running = Environment(str(created.directory / "project"))
    created.one(PROJECT | {"title": "Renamed"})
    assert running.config.parse_if_needed()
    assert running.project_name == "Renamed"


@pytest.mark.parametrize("value", [True, "true", "yes", "on", "enabled", 1])
def test_what_trac_spells_its_own_way_is_no_change(host: Host, value: object) -> None:
    from trac.env import Environment

    document = {"name": "project", "config": {"notification": {"smtp_enabled": value}}}
    host.one(document)
    environment = Environment(str(host.directory / "project"))
    environment.config.save()  # as the web administration does
    assert host.ini()["notification"]["smtp_enabled"] == "enabled"
    assert host.one(document)["changes"] == []
    disabled = host.one({"name": "project", "config": {"notification": {"smtp_enabled": False}}})
    assert disabled["after"] == ["[notification] smtp_enabled = disabled"]


def test_what_an_inherited_file_says_is_not_repeated(created: Host, tmp_path: pathlib.Path) -> None:
    shared = tmp_path / "shared.ini"
    shared.write_text("[ticket]\ndefault_priority = blocker\n")
    document: Document = {"name": "project", "config": {"inherit": {"file": str(shared)}}}
    created.one({"name": "project", "config": {"ticket": {"default_priority": None}}})
    created.one(document)
    document["config"]["ticket"] = {"default_priority": "blocker"}
    assert created.one(document)["changes"] == []
    document["config"]["ticket"] = {"default_priority": "minor"}
    assert created.one(document)["changes"] == ["set [ticket] default_priority"]


def test_null_removes_an_option(created: Host) -> None:
    document = {"name": "project", "config": {"ticket": {"default_type": None, "nonsense": None}}}
    assert created.one(document)["changes"] == ["remove [ticket] default_type"]
    assert "default_type" not in created.ini()["ticket"]
    assert created.one(document)["changes"] == []


def test_defaults_hold_where_an_environment_says_nothing_else(host: Host) -> None:
    own: Document = {"name": "own", "config": {"Ticket": {}, "ticket": {"Default_Type": "defect"}}}
    defaults = {"config": {"ticket": {"default_type": "task", "default_priority": "minor"}}}
    host.run({"name": "other"}, own, defaults=defaults)
    assert host.ini("other")["ticket"]["default_type"] == "task"
    assert host.ini("own")["ticket"]["default_type"] == "defect"
    assert host.ini("own")["ticket"]["default_priority"] == "minor"


def test_permissions_are_added_and_none_is_taken_away(created: Host) -> None:
    before = created.permissions()
    report = created.one(
        {"name": "project", "permissions": {"admin": ["TRAC_ADMIN"], "é": ["staff"]}}
    )
    assert report["changes"] == ["grant staff to é"]
    assert created.permissions() == before | {("é", "staff")}


def test_a_link_to_a_trac_ini_elsewhere_stays(created: Host, tmp_path: pathlib.Path) -> None:
    elsewhere = tmp_path / "elsewhere.ini"
    created.ini_path().rename(elsewhere)
    created.ini_path().symlink_to(elsewhere)
    created.one(PROJECT | {"title": "Renamed"})
    assert created.ini_path().is_symlink()
    assert "name = Renamed" in elsewhere.read_text()


def test_logs_are_left_to_the_web_process(host: Host) -> None:
    document = PROJECT | {"config": {"logging": {"log_type": "file", "log_level": "DEBUG"}}}
    host.one(document)
    host.one(document | {"title": "Renamed"})
    assert list((host.directory / "project" / "log").iterdir()) == []


# Check mode


def test_check_mode_predicts_the_run_and_touches_nothing(created: Host) -> None:
    (created.directory / ".old.creating-00000000").mkdir()
    (created.directory / "foreign").mkdir()
    (created.directory / "foreign" / "file").touch()
    documents: list[Document] = [
        PROJECT | {"title": "Renamed", "permissions": {"bob": ["WIKI_VIEW"]}},
        {
            "name": "new",
            "config": {"ticket": {"x": 1}},
            "permissions": {"anonymous": ["WIKI_VIEW"]},
        },
        {"name": "unknown", "permissions": {"bob": ["NONSENSE"]}},
        {"name": "foreign"},
        {"name": "driver", "database": "oracle:x"},
        {"name": "bad", "config": {"logging": {"log_level": "LOUD"}}},
    ]
    before = created.snapshot()
    predicted = created.run(*documents, check=True)
    assert created.snapshot() == before
    assert created.run(*documents) == predicted
    assert [report["failure"] is None for report in predicted.values()] == [
        True,
        True,
        False,
        False,
        False,
        False,
    ]
    assert [len(report["changes"]) for report in predicted.values()] == [2, 6, 0, 0, 0, 0]
    again = created.run(*documents[:2], check=True)
    assert [report["changes"] for report in again.values()] == [[], []]


# Failures


def test_a_failure_does_not_stop_the_others(host: Host) -> None:
    foreign = host.directory / "foreign"
    foreign.mkdir()
    (foreign / "thesis.txt").write_text("three years of work")
    reports = host.run(
        {"name": "foreign"}, {"name": "unknown", "permissions": {"a": ["WIKI_VEIW"]}}, PROJECT
    )
    assert "foreign is not empty and no Trac environment" in reports["foreign"]["failure"]
    assert (foreign / "thesis.txt").read_text() == "three years of work"
    assert "no action WIKI_VEIW; did you mean WIKI_VIEW" in reports["unknown"]["failure"]
    assert not (host.directory / "unknown").exists()
    assert title(host) == "My Project"
    assert host.hidden() == []


@pytest.mark.parametrize(
    ("document", "reason"),
    [
        ({"config": {"logging": {"log_level": "LOUD"}}}, "[logging] log_level"),
        ({"config": {"ticket": {"max_comment_size": "many"}}}, "[ticket] max_comment_size"),
        (
            {"config": {"trac": {"permission_policies": "NoSuchPolicy"}}},
            "[trac] permission_policies",
        ),
        ({"config": {"trac": {"permission_store": "NoStore"}}}, "[trac] permission_store"),
        ({"database": "sqlite:db/other.db"}, "db/other.db"),
        ({"database": "oracle:x"}, "oracle"),
        ({"permissions": {"anna": ["NO_SUCH_ACTION"]}}, "NO_SUCH_ACTION"),
        ({"permissions": {"anna": ["trac_admin"]}}, "TRAC_ADMIN"),
    ],
)
def test_what_trac_cannot_use_is_refused_and_nothing_written(
    created: Host, document: Document, reason: str
) -> None:
    before = created.ini_path().read_bytes(), created.permissions()
    report = created.one({"name": "project", "title": "Renamed", **document})
    assert reason in report["failure"]
    assert report["changes"] == []
    assert (created.ini_path().read_bytes(), created.permissions()) == before
    # The same for an environment that is not there yet, except that it has no database to miss.
    if document.get("database") != "sqlite:db/other.db":
        assert reason in created.one({"name": "new", **document})["failure"]
        assert not (created.directory / "new").exists()


def test_a_broken_trac_ini_is_named(created: Host) -> None:
    created.ini_path().write_text("no section\n")
    assert "conf/trac.ini" in created.one(PROJECT)["failure"]
    assert created.ini_path().read_text() == "no section\n"


def test_an_environment_that_needs_an_upgrade_is_named_with_the_remedy(created: Host) -> None:
    created.execute("UPDATE system SET value='44' WHERE name='database_version'")
    document = PROJECT | {"permissions": {"bob": ["WIKI_VIEW"]}, "upgrade": False}
    report = created.one(document)
    assert f"trac-admin {created.directory / 'project'} upgrade" in report["failure"]
    assert ("bob", "WIKI_VIEW") not in created.permissions()


def test_a_file_that_somebody_else_changes_meanwhile_is_left_alone(
    created: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = created.ini_path()
    real = trac_ini.check_options

    def slow(*arguments: t.Any) -> None:
        path.write_text(path.read_text() + "# saved meanwhile\n")
        real(*arguments)

    monkeypatch.setattr(environment_reconcile, "check_options", slow)
    report = created.one(PROJECT | {"title": "Renamed"})
    assert "changed by somebody else" in report["failure"]
    assert path.read_text().endswith("# saved meanwhile\n")
    assert created.ini()["project"]["name"] == "My Project"
