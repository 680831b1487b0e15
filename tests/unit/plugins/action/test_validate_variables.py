# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The action plugin that checks the variables of a role."""

from __future__ import annotations

import types
import typing as t

import pytest
from ansible.plugins.action import ActionBase

from ansible_collections.trac.mod_wsgi.plugins.action import validate_variables
from ansible_collections.trac.mod_wsgi.plugins.plugin_utils import _role_variables
from ansible_collections.trac.mod_wsgi.tests.unit.plugins.role_values import role_values

Result = dict[str, t.Any]


@pytest.fixture
def check(monkeypatch: pytest.MonkeyPatch) -> t.Callable[..., Result]:
    """Run the plugin with the defaults of a role, but for what is said here."""
    monkeypatch.setattr(ActionBase, "run", lambda *dummy: {})

    def run(
        role: str, arguments: Result | None = None, facts: Result | None = None, **changed: t.Any
    ) -> Result:
        plugin = validate_variables.ActionModule.__new__(validate_variables.ActionModule)
        plugin._task = types.SimpleNamespace(args={"role": role, **(arguments or {})})
        plugin._templar = types.SimpleNamespace(template=lambda value: value)
        values = role_values(role)
        inventory = {"inventory_hostname": "web", "groups": {"all": ["web", "db"]}}
        facts = {"service_mgr": "systemd", **(facts or {})}
        return plugin.run(None, {**inventory, "ansible_facts": facts, **values, **changed})

    return run


@pytest.mark.parametrize("role", sorted(_role_variables.GROUPS))
def test_the_defaults_are_accepted(check: t.Callable[..., Result], role: str) -> None:
    result = check(role, **({"trac_database_type": "none"} if role == "trac_database" else {}))
    assert "msg" not in result
    assert not result["changed"]


@pytest.mark.parametrize(
    ("role", "changed", "sentences"),
    [
        (
            "trac_apache",
            {"trac_apache_hello_world_path": 'a"b'},
            [
                (
                    'trac_apache_hello_world_path is "a\\"b". It has to be one or more parts like '
                    '"/hello-world" (a slash, then letters, digits, ".", "_", "~" or "-"), or "" '
                    "for no hello-world. Nothing has been changed."
                )
            ],
        ),
        ("trac_apache", {"trac_apache_hello_world_path": "/a/../b"}, ["trac_apache_hello_world"]),
        ("trac_apache", {"trac_apache_hello_world_path": "/a\n"}, ["trac_apache_hello_world"]),
        (
            "trac_backup",
            {"trac_backup_keep_days": "many", "trac_backup_keep_last": 0},
            [
                "trac_backup_keep_days is 'many'; it has to be a whole number.",
                "Nothing has been changed.",
            ],
        ),
        (
            "trac_backup",
            {"trac_backup_keep_last": 0},
            [
                (
                    "trac_backup_keep_days (30) has to be 0 or more, and trac_backup_keep_last (0) "
                    "1 or more."
                )
            ],
        ),
        (
            "trac_backup",
            {"trac_backup_timeout": "59"},
            ["trac_backup_timeout (59) has to be 60 seconds or more."],
        ),
        (
            "trac_backup",
            {"trac_backup_restic_password": "hunter2"},
            ["trac_backup_restic_repository and trac_backup_restic_password are needed together."],
        ),
        (
            "trac_backup",
            {"trac_backup_dir": "/etc", "trac_backup_user": "root", "trac_backup_timeout": 1},
            ["trac_backup_dir is '/etc', a directory of", "trac_backup_user is 'root', an account"],
        ),
        (
            "trac_environments",
            {"trac_environments_database_host": "gone"},
            [
                (
                    'trac_environments_database_host is "gone"; it has to be a host of the '
                    'inventory, or "" for none.'
                )
            ],
        ),
        ("trac_environments", {"trac_environments_database_host": "db"}, []),
        (
            "trac_upgrade",
            {"trac_upgrade_drain_timeout": -1, "trac_upgrade_patience": "-2"},
            [
                (
                    "trac_upgrade_drain_timeout is -1. It has to be a number of seconds, 0 or "
                    "more. Nothing has been changed."
                ),
                (
                    'trac_upgrade_patience is "-2". It has to be a number of seconds, 0 or more. '
                    "Nothing has been changed."
                ),
            ],
        ),
        (
            "trac_verify",
            {"trac_verify_base_url": "x", "trac_verify_hello_world_path": "hello"},
            [
                (
                    'trac_verify_base_url is "x". Allowed are addresses such as '
                    "'https://127.0.0.1:8443', without a path, or ''."
                ),
                (
                    'trac_verify_hello_world_path is "hello". Allowed are paths such as '
                    "'/hello-world', or ''."
                ),
            ],
        ),
        (
            "trac_verify",
            {"trac_verify_backup_hours": 0, "trac_verify_timeout": "4000"},
            [
                "trac_verify_backup_hours is 0. Allowed are 1 to 8760.",
                'trac_verify_timeout is "4000". Allowed are 5 to 3600.',
            ],
        ),
        (
            "trac_verify",
            {"trac_verify_sites": [{"name": "a", "environment": "nobody-names-it"}]},
            [],
        ),
        ("trac_verify", {"trac_verify_sites": [{"name": "a"}, {"name": "b"}]}, ["trac_sites[1]"]),
    ],
)
def test_problems_of_one_kind_are_told_together(
    check: t.Callable[..., Result], role: str, changed: Result, sentences: list[str]
) -> None:
    result = check(role, **changed)
    said = result.get("msg", "").splitlines()
    assert len(said) == len(sentences), said
    for line, sentence in zip(said, sentences):
        assert line.startswith(sentence)
    assert bool(result.get("failed")) is bool(sentences)
    assert "hunter2" not in repr(result)


def test_cron_is_asked_where_there_is_no_systemd(check: t.Callable[..., Result]) -> None:
    schedule = {"trac_backup_schedule": "Mon..Fri 02:30"}
    assert "failed" not in check("trac_backup", **schedule)
    assert check("trac_backup", facts={"service_mgr": "sysvinit"}, **schedule)["msg"] == (
        "trac_backup_schedule is Mon..Fri 02:30. This host has no systemd, and cron takes hourly, "
        'daily, weekly or monthly here, the five fields of a crontab, such as "30 2 * * *", or "" '
        "for no schedule: 'Mon..Fri 02:30' is none of hourly, daily, weekly, monthly and has not "
        "five fields."
    )


def test_what_the_host_is_asked_for_comes_back(check: t.Callable[..., Result]) -> None:
    """Directories and accounts of the role, those of other roles, and those of no variable."""
    result = check(
        "trac_runtime",
        {
            "directories": {"trac_site_dir": "/srv/sites"},
            "accounts": {"trac_environments_repositories_group": "committers"},
        },
    )
    paths = {each["name"]: each["path"] for each in result["directories"]}
    assert paths["trac_runtime_venv"] == "/opt/trac"
    assert paths["trac_site_dir"] == "/srv/sites"
    assert "/var/lib/trac-mod-wsgi" in paths
    assert result["accounts"] == {
        "trac_runtime_user": "trac",
        "trac_runtime_group": "trac",
        "trac_environments_repositories_group": "committers",
    }


def test_a_restore_from_the_controller_is_checked_against_its_archives(
    check: t.Callable[..., Result],
) -> None:
    wanted = {"trac_restore_environments": ["a", "b"], "trac_restore_from": "/backups"}
    archives = ["/backups/a-20270131T120000Z.tar.gz", "/backups/c-20270131T120000Z.tar.gz"]
    result = check("trac_restore", {"archives": archives}, **wanted)
    assert result["msg"] == "trac_restore_from holds no backup of b"
