# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The action plugin, on a module that does two environments in each call."""

from __future__ import annotations

import types
import typing as t

import pytest
from ansible.plugins.action import ActionBase

from ansible_collections.trac.mod_wsgi.plugins.action import trac_environments

Result = dict[str, t.Any]


class Host:
    """Stands for the module: creates environments whose name begins with n, fails at bad ones."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, at_once: int = 2) -> None:
        self.at_once = at_once
        self.calls: list[list[str]] = []
        self.said: list[str] = []
        self.plugin = trac_environments.ActionModule.__new__(trac_environments.ActionModule)
        self.plugin._execute_module = self.module
        monkeypatch.setattr(ActionBase, "run", lambda *dummy: {})
        monkeypatch.setattr(trac_environments.display, "display", self.said.append)

    def module(self, module_args: Result, task_vars: Result) -> Result:
        assert task_vars["inventory_hostname"] == "web"
        names = [environment["name"] for environment in module_args["environments"]]
        self.calls.append(names)
        if "unreachable" in names[: self.at_once]:
            return {"failed": True, "msg": "The host is gone."}
        entries = []
        for name in names[: self.at_once]:
            created = name.startswith("n")
            entry: Result = {"name": name, "created": created, "changed": created, "changes": []}
            if name.startswith("bad"):
                entry["failure"] = f"{name} is broken"
            entries.append(entry)
        result: Result = {
            "environments": entries,
            "changed": any(entry["changed"] for entry in entries),
            "removed_leftovers": [f".left-{names[0]}"],
            "diff": [{"before": "", "after": name} for name in names[: self.at_once]],
            "remaining": names[self.at_once :],
        }
        if any("failure" in entry for entry in entries):
            result.update(failed=True, msg="1 of some environments failed:")
        return result

    def run(self, *names: str) -> Result:
        arguments = {"environments": [{"name": name} for name in names], "directory": "/srv"}
        self.plugin._task = types.SimpleNamespace(args=arguments)
        return self.plugin.run(task_vars={"inventory_hostname": "web"})


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch) -> Host:
    return Host(monkeypatch)


def test_a_short_run_is_one_call_and_says_nothing(host: Host) -> None:
    result = host.run("new", "old")
    assert host.calls == [["new", "old"]]
    assert host.said == []
    assert [entry["name"] for entry in result["environments"]] == ["new", "old"]


def test_a_long_run_goes_on_and_says_how_far_it_is(host: Host) -> None:
    result = host.run("old1", "new2", "new3", "old4", "old5")
    assert host.calls == [
        ["old1", "new2", "new3", "old4", "old5"],
        ["new3", "old4", "old5"],
        ["old5"],
    ]
    assert host.said == [
        "web: 2 of 5 environments done: 1 created",
        "web: 4 of 5 environments done: 2 created",
    ]
    names = [entry["name"] for entry in result["environments"]]
    assert names == ["old1", "new2", "new3", "old4", "old5"]
    assert [entry["after"] for entry in result["diff"]] == names
    assert result["removed_leftovers"] == [".left-old1", ".left-new3", ".left-old5"]
    assert result["changed"] is True
    assert "remaining" not in result
    assert "failed" not in result


def test_a_failure_does_not_stop_a_long_run_and_is_told_at_its_end(host: Host) -> None:
    result = host.run("bad1", "old2", "old3", "bad4", "new5")
    assert host.said == [
        "web: 2 of 5 environments done: 1 failed",
        "web: 4 of 5 environments done: 2 failed",
    ]
    assert result["failed"] is True
    assert result["msg"] == (
        "2 of 5 environments failed:\n- bad1: bad1 is broken\n- bad4: bad4 is broken"
    )
    assert result["environments"][-1]["created"]


def test_what_each_call_says_again_is_told_once(host: Host) -> None:
    real = host.module

    def module(module_args: Result, task_vars: Result) -> Result:
        result = real(module_args, task_vars)
        first = len(host.calls) == 1
        result["ignored"] = [".*", "svn"] if first else [".*"]
        result["diff"].append({"after_header": "/srv/.tracignore", "before": "", "after": "svn"})
        result["removed_leftovers"] = [".left"]
        result.update(failed=True, msg="x", other_failures=[".left2 cannot be removed"])
        return result

    host.plugin._execute_module = module
    result = host.run("new1", "old2", "old3")
    assert len(host.calls) == 2
    assert len(result["diff"]) == 4
    assert result["removed_leftovers"] == [".left"]
    assert result["ignored"] == [".*", "svn"]
    assert result["msg"] == ".left2 cannot be removed"


def test_what_stops_a_later_call_is_told(host: Host) -> None:
    result = host.run("new1", "old2", "unreachable")
    assert result["failed"] is True
    assert result["msg"] == "The host is gone."
    assert result["changed"] is True
    assert len(result["environments"]) == 2
