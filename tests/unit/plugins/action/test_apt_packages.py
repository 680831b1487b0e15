# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The action plugin that installs packages, on a host that is played by a few sets."""

from __future__ import annotations

import shlex
import types
import typing as t

import pytest
from ansible.plugins.action import ActionBase

from ansible_collections.trac.mod_wsgi.plugins.action import apt_packages

Result = dict[str, t.Any]
HOUR = 3600


class Host:
    """A host: its packages, its index of apt and what the archive has."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.installed: set[str] = {"dpkg"}
        self.half_installed: set[str] = set()
        self.archive = {"git", "cron"}
        self.index: set[str] = set()  # the names that it knows
        self.outdated: set[str] = set()  # those whose file the archive does not have any more
        self.age = 0  # as the time of its directory says
        self.offline = False
        self.refreshed = 0
        self.calls = 0
        monkeypatch.setattr(ActionBase, "run", lambda *dummy: {})
        self.plugin = apt_packages.ActionModule.__new__(apt_packages.ActionModule)
        self.plugin._low_level_execute_command = self.command
        self.plugin._execute_module = self.apt

    def command(self, command: str) -> Result:
        environment, program, *words = shlex.split(command.partition(" 2>")[0])
        assert environment == "LC_ALL=C"
        names = [word for word in words if word in self.archive | self.installed | {"gone"}]
        lines: list[str] = []
        for name in names:
            if program == "dpkg-query" and name in self.installed:
                lines.append(f"{name} installed")
            elif program == "dpkg-query" and name in self.half_installed:
                lines.append(f"{name} half-configured")
            elif program == "apt-cache" and name in self.index:
                lines += [f"{name}:", "  Installed: (none)", "  Candidate: 1", "     1 500"]
            elif program == "apt-cache" and name == "gone":  # removed, and its configuration kept
                lines += [f"{name}:", "  Installed: (none)", "  Candidate: (none)"]
        return {"stdout_lines": lines}

    def apt(self, module_name: str, module_args: Result, task_vars: Result) -> Result:
        assert (module_name, task_vars) == ("ansible.builtin.apt", {"fact": 1})
        self.calls += 1
        check = self.plugin._task.check_mode
        if module_args.get("update_cache") and self.age >= module_args.get("cache_valid_time", 0):
            if self.offline:
                return {"failed": True, "msg": "Failed to update apt cache"}
            if not check:
                self.refreshed += 1
                self.index, self.outdated, self.age = set(self.archive), set(), 0
        for name in module_args.get("name", []):
            if name not in self.index | self.installed:
                return {"failed": True, "msg": f"No package matching '{name}' is available"}
            if name in self.outdated and not check:
                return {"failed": True, "msg": "E: Failed to fetch http://x/x.deb  404  Not Found"}
        missing = set(module_args.get("name", [])) - self.installed
        if not check:
            self.installed |= missing
        return {"changed": bool(missing)}

    def run(self, *names: str, check: bool = False, **options: str) -> Result:
        self.plugin._task = types.SimpleNamespace(
            args={"name": list(names), **options}, check_mode=check
        )
        self.plugin.validate_argument_spec = lambda spec: (
            None,
            {**{key: spec[key].get("default") for key in spec}, **self.plugin._task.args},
        )
        result: Result = self.plugin.run(task_vars={"fact": 1})
        assert self.plugin._task.check_mode is check
        return result


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch) -> Host:
    return Host(monkeypatch)


@pytest.mark.parametrize("age", [0, 10 * HOUR])
def test_a_name_that_the_index_does_not_know_has_it_refreshed(host: Host, age: int) -> None:
    host.age = age
    assert host.run("git", "cron")["changed"]
    assert host.installed >= {"git", "cron"}
    assert host.refreshed == 1


def test_an_index_that_knows_some_names_only_is_refreshed(host: Host) -> None:
    host.index = {"cron"}
    assert host.run("git", "cron")["changed"]
    assert host.installed >= {"git", "cron"}


@pytest.mark.parametrize(("age", "refreshed"), [(0, 0), (10 * HOUR, 1)])
def test_an_index_that_knows_all_names_is_refreshed_when_it_is_old(
    host: Host, age: int, refreshed: int
) -> None:
    host.index, host.age = {"git"}, age
    assert host.run("git")["changed"]
    assert host.refreshed == refreshed


def test_apt_is_not_called_when_nothing_is_missing(host: Host) -> None:
    host.age, host.offline, host.installed = 10 * HOUR, True, {"git", "cron"}
    for check in (True, False):
        assert host.run("git", "cron", check=check) == {"changed": False}
    assert host.calls == 0


def test_what_is_half_installed_is_missing(host: Host) -> None:
    host.index = host.half_installed = {"git"}
    assert host.run("git")["changed"]


@pytest.mark.parametrize("index", [set(), {"git"}])
def test_check_mode_predicts_with_a_fresh_index(host: Host, index: set[str]) -> None:
    host.index = index
    assert host.run("git", check=True)["changed"]
    assert host.installed == {"dpkg"}
    assert host.run("git")["changed"]
    assert not host.run("git", check=True)["changed"]


def test_a_name_that_the_sources_do_not_have_is_said_to_be_missing_there(host: Host) -> None:
    result = host.run("gone")
    assert result["failed"]
    assert "'gone'" in result["msg"]
    assert "sources do not have it" in result["msg"]


def test_an_index_that_cannot_be_refreshed_is_the_reason_that_is_given(host: Host) -> None:
    host.offline = True
    for result in (
        host.run("git"),
        host.run("git", state="known"),
        host.run("git", default_release="bookworm"),
        host.run("git", check=True),
    ):
        assert result["failed"]
        assert result["msg"] == "Failed to update apt cache"


def test_a_file_that_the_archive_has_replaced_is_looked_up_anew(host: Host) -> None:
    host.index = host.outdated = {"git"}
    assert host.run("git")["changed"]
    assert (host.refreshed, host.calls) == (1, 2)


def test_known_installs_nothing_and_is_no_change(host: Host) -> None:
    assert host.run("git", state="known") == {"changed": False}
    assert host.index == host.archive
    assert host.installed == {"dpkg"}
