# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An upgrade of real environments, step by step: to the end, back, and killed in between.

The two virtual environments are the one of these tests; what differs is a single-file plugin.
"""

from __future__ import annotations

import json
import os
import pathlib
import shutil
import sqlite3
import stat
import sys
import typing as t

import pytest
from ansible.module_utils.testing import patch_module_args

from ansible_collections.trac.mod_wsgi.plugins.modules import trac_preflight_info, trac_upgrade
from ansible_collections.trac.mod_wsgi.tests.unit.plugins.modules.reconciled import (
    USER,
    Document,
    Host,
)

PLUGIN = """
import os
from trac.core import Component, implements
from trac.env import IEnvironmentSetupParticipant
{top}
class Ours(Component):
    implements(IEnvironmentSetupParticipant)
    def __init__(self):
        {init}
    def environment_created(self):
        pass
    def environment_needs_upgrade(self):
        rows = self.env.db_query("SELECT value FROM system WHERE name='ours'")
        return not rows or int(rows[0][0]) < {schema}
    def upgrade_environment(self):
        with self.env.db_transaction as db:
            db("DELETE FROM system WHERE name='ours'")
            db("INSERT INTO system (name, value) VALUES ('ours', '{schema}')")
        self.config.set("ours", "schema", "{schema}")
        self.config.save()
        {upgrade}
"""
RUIN = """with self.env.db_transaction as db:
            db("DELETE FROM ticket")
        raise RuntimeError("no more room")"""


def plugin(schema: int, upgrade: str = "pass", top: str = "", init: str = "pass") -> str:
    return PLUGIN.format(schema=schema, upgrade=upgrade, top=top, init=init)


class Upgrade:
    """A host whose virtual environment is to be upgraded."""

    def __init__(self, host: Host, made: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.host = host
        self.capsys = capsys
        root = host.directory.parent
        self.venv = root / "trac"
        self.plugins = root / "plugins"
        self.state = root / "state"
        self.make_python(self.venv)
        self.plugins.mkdir()
        (self.plugins / "ours.py").write_text(plugin(1))
        for name in ("one", "two"):
            shutil.copytree(made / "project", host.directory / name)
            # Afterwards, so that the process of the tests does not load the plugin.
            ini = host.ini(name)
            ini.read_dict(
                {"inherit": {"plugins_dir": self.plugins}, "components": {"ours.*": "enabled"}}
            )
            with open(host.ini_path(name), "w", encoding="utf-8") as file:
                ini.write(file)
            host.execute("INSERT INTO ticket (summary) VALUES ('Irreplaceable')", name)
            host.execute("INSERT INTO system VALUES ('ours', '1')", name)

    @staticmethod
    def make_python(path: str | os.PathLike[str]) -> None:
        directory = pathlib.Path(path) / "bin"
        directory.mkdir(parents=True)
        python = directory / "python"
        python.write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
        python.chmod(0o755)

    def _run(self, main: t.Callable[[], object], **parameters: t.Any) -> Document:
        common = {"directory": str(self.host.directory), "user": USER}
        with patch_module_args({**common, **parameters}), pytest.raises(SystemExit):
            main()
        result: Document = json.loads(self.capsys.readouterr().out)
        return result

    def step(self, state: str, run: str = "run", fails: bool = False, **more: t.Any) -> Document:
        result = self._run(
            trac_upgrade.main,
            state=state,
            run=run,
            venv=str(self.venv),
            plugins_dir=str(self.plugins),
            archive_directory=str(self.host.archive),
            journal_dir=str(self.state),
            accounts=[],
            timeout=0,
            **more,
        )
        assert result.get("failed", False) is fails, result
        return result

    def preflight(self, new: str) -> Document:
        return self._run(
            trac_preflight_info.main,
            python=f"{new}/bin/python",
            old_python=f"{self.venv}/bin/python",
            live_plugins=str(self.plugins),
            plugins=f"{new}/plugins",
        )

    def prepared(self, source: str) -> str:
        """A new generation with another version of the plugin."""
        places = self.step("prepared")
        self.make_python(places["next"])
        pathlib.Path(places["next_plugins"], "ours.py").write_text(source)
        return t.cast("str", places["next"])

    def steps(self, states: t.Sequence[str]) -> None:
        for state in states:
            names: Document = {"environments": ["one", "two"]} if state == "copied" else {}
            self.step(state, **names)

    def schemas(self) -> list[str]:
        query = "SELECT value FROM system WHERE name='ours'"
        return [self.host.rows(query, name)[0][0] for name in ("one", "two")]

    def tickets(self) -> list[str]:
        return [self.host.rows("SELECT summary FROM ticket", name)[0][0] for name in ("one", "two")]

    def contents(self) -> Document:
        """Of all files of the environments but the databases, and all rows of those."""
        found: Document = {}
        for path in sorted(self.host.directory.rglob("*")):
            name = str(path.relative_to(self.host.directory))
            if path.suffix == ".db":
                with sqlite3.connect(path) as connection:
                    found[name] = list(connection.iterdump())
            elif path.is_file():
                found[name] = (path.read_bytes(), stat.S_IMODE(path.stat().st_mode))
        return found

    def live_plugin(self) -> str:
        return (self.plugins / "ours.py").read_text()


POLICY = """
from trac.perm import IPermissionPolicy
class OursPolicy(Component):
    implements(IPermissionPolicy)
    def check_permission(self, action, username, resource, perm):
        return None
"""


@pytest.fixture
def upgrade(host: Host, made: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> Upgrade:
    """Two environments with a ticket each, and a plugin with a schema."""
    return Upgrade(host, made, capsys)


class TestPreflight:
    """What would be upgraded, and what would not work. Nothing is changed by looking."""

    def test_what_is_to_be_upgraded(self, upgrade: Upgrade) -> None:
        new = upgrade.prepared(plugin(2))
        before = upgrade.host.snapshot()
        seen = upgrade.preflight(new)
        assert (seen["outdated"], seen["old_outdated"], seen["problems"]) == (
            ["one", "two"],
            [],
            [],
        )
        assert upgrade.host.snapshot() == before

    def test_nothing_is_to_be_upgraded(self, upgrade: Upgrade) -> None:
        seen = upgrade.preflight(upgrade.prepared(plugin(1)))
        assert (seen["outdated"], seen["problems"]) == ([], [])

    @pytest.mark.parametrize(
        ("source", "reason"),
        [
            (
                plugin(2, top="import nothing_of_that_name"),
                "No module named 'nothing_of_that_name'",
            ),
            (plugin(2, top="x = ("), "SyntaxError"),
            (plugin(2, init="raise ValueError('no start')"), "ValueError: no start"),
            (plugin(2, top="os._exit(3)"), "the worker ended with an error"),
            (plugin(2, top="import signal; os.kill(os.getpid(), 11)"), "signal 11"),
        ],
    )
    def test_what_does_not_work_is_named(self, upgrade: Upgrade, source: str, reason: str) -> None:
        before = upgrade.host.snapshot()
        seen = upgrade.preflight(upgrade.prepared(source))
        assert reason in " ".join(seen["problems"])
        assert upgrade.host.snapshot() == before


def test_to_the_end(upgrade: Upgrade) -> None:
    new = upgrade.prepared(plugin(2))
    upgrade.step("begun")
    copied = upgrade.step("copied", environments=["one", "two"])
    assert all(os.path.isdir(entry["copy"]) for entry in copied["environments"])
    upgrade.step("upgraded")
    assert upgrade.schemas() == ["2", "2"]
    assert upgrade.live_plugin() == plugin(1)
    upgrade.step("switched")
    assert (os.readlink(upgrade.venv), upgrade.live_plugin()) == (new, plugin(2))
    upgrade.step("verified")
    upgrade.step("committed")
    assert not list(upgrade.state.iterdir())
    assert upgrade.tickets() == ["Irreplaceable"] * 2
    assert sorted(os.listdir(f"{upgrade.venv}-generations")) == ["1", "2"]


def test_a_failed_upgrade_goes_back(upgrade: Upgrade) -> None:
    before = upgrade.contents()
    new = upgrade.prepared(plugin(2, upgrade=RUIN))
    upgrade.step("begun")
    upgrade.step("copied", environments=["one", "two"])
    failed = upgrade.step("upgraded", fails=True)
    assert "one: RuntimeError: no more room" in failed["msg"]
    assert upgrade.host.rows("SELECT * FROM ticket", "one") == []
    back = upgrade.step("rolled_back", reason="it failed")
    assert upgrade.contents() == before
    # What the upgrade had made is kept; the second environment was not begun, nor touched.
    (kept,) = [entry["kept"] for entry in back["environments"] if entry["kept"]]
    with sqlite3.connect(os.path.join(kept, "db", "trac.db")) as connection:
        assert connection.execute("SELECT count(*) FROM ticket").fetchone() == (0,)
    assert stat.S_IMODE(os.stat(kept).st_mode) == 0o700
    upgrade.step("committed")
    assert not list(upgrade.state.iterdir())
    assert not os.path.exists(new)
    assert upgrade.live_plugin() == plugin(1)


def test_a_verification_that_fails_goes_back(upgrade: Upgrade) -> None:
    before = upgrade.contents()
    upgrade.prepared(plugin(2))
    upgrade.step("begun")
    upgrade.step("copied", environments=["one", "two"])
    upgrade.step("upgraded")
    upgrade.step("switched")
    upgrade.step("rolled_back")
    assert upgrade.contents() == before
    assert upgrade.live_plugin() == plugin(1)
    assert os.readlink(upgrade.venv).endswith("/1")
    upgrade.step("committed")


STEPS = ["begun", "copied", "upgraded", "switched", "rolled_back"]


@pytest.mark.parametrize("last", STEPS)
def test_a_run_that_was_killed_is_taken_up(upgrade: Upgrade, last: str) -> None:
    """Behind each step: the next run goes back, and then upgrades."""
    before = upgrade.contents()
    upgrade.prepared(plugin(2))
    upgrade.steps(STEPS[: STEPS.index(last) + 1])
    assert upgrade.step("prepared", run="next", patience=0)["phase"] not in ("", "verified")
    upgrade.step("resumed", run="next", patience=0)
    upgrade.step("rolled_back", run="next")
    assert upgrade.contents() == before
    upgrade.step("committed", run="next")
    assert upgrade.step("prepared")["phase"] == ""
    test_to_the_end(upgrade)


def test_a_run_that_was_killed_when_it_was_verified_is_completed(upgrade: Upgrade) -> None:
    upgrade.prepared(plugin(2))
    upgrade.steps([*STEPS[:4], "verified"])
    upgrade.host.execute("INSERT INTO ticket (summary) VALUES ('Later')", "one")
    assert upgrade.step("resumed", run="next", patience=0)["phase"] == "verified"
    refused = upgrade.step("rolled_back", run="next", fails=True)
    assert "no way back" in refused["msg"]
    upgrade.step("committed", run="next")
    assert upgrade.schemas() == ["2", "2"]
    assert ("Later",) in upgrade.host.rows("SELECT summary FROM ticket", "one")


def test_a_run_that_may_be_alive_is_left_alone(upgrade: Upgrade) -> None:
    upgrade.prepared(plugin(2))
    upgrade.step("begun")
    for state in ("prepared", "resumed"):
        refused = upgrade.step(state, run="other", fails=True)
        assert "by another run is under way" in refused["msg"]
    assert "belongs to another run" in upgrade.step("copied", run="other", fails=True)["msg"]
    assert "is there already" in upgrade.step("begun", run="other", fails=True)["msg"]


def test_a_restoration_that_was_killed_is_repeated(upgrade: Upgrade) -> None:
    """The upgraded state is in the archive already, and nothing is in its place."""
    before = upgrade.contents()
    upgrade.prepared(plugin(2))
    upgrade.step("begun")
    upgrade.step("copied", environments=["one"])
    upgrade.step("upgraded")
    os.rename(upgrade.host.directory / "one", upgrade.host.archive / "one-failed-upgrade")
    upgrade.step("rolled_back")
    assert upgrade.contents() == before


@pytest.mark.parametrize(("state", "check"), [("looked", False), ("prepared", True)])
def test_looking_makes_nothing(upgrade: Upgrade, state: str, check: bool) -> None:
    before = sorted(os.listdir(upgrade.venv.parent))
    places = upgrade.step(state, _ansible_check_mode=check)
    assert (places["phase"], places["changed"]) == ("", False)
    assert places["current"] == str(upgrade.venv)
    assert sorted(os.listdir(upgrade.venv.parent)) == before


def test_the_preflight_names_what_would_be_down_before_anything_is_upgraded(
    upgrade: Upgrade,
) -> None:
    def leave(name: str, section: str, option: str, value: str) -> None:
        ini = upgrade.host.ini(name)
        ini.read_dict({section: {option: value}})
        with upgrade.host.ini_path(name).open("w", encoding="utf-8") as file:
            ini.write(file)

    (upgrade.plugins / "ours.py").write_text(plugin(1) + POLICY)
    policies = "OursPolicy,DefaultPermissionPolicy"
    leave("one", "trac", "permission_policies", policies)
    leave("two", "logging", "log_type", "file")
    leave("two", "logging", "log_file", "/nowhere/trac.log")
    before = upgrade.contents()
    seen = upgrade.preflight(upgrade.prepared(plugin(2)))
    failures = {each["name"]: each["failure"] for each in seen["environments"]}
    lost = "[trac] permission_policies names OursPolicy, which is not installed"
    log = "[logging] log_file is /nowhere/trac.log, and there is no directory /nowhere"
    assert lost in failures["one"]
    assert log in failures["two"]
    assert any(each.startswith("one: ") and lost in each for each in seen["problems"])
    assert any("two: it does not work now either" in each for each in seen["warnings_found"])
    leave("two", "logging", "log_type", "none")
    leave("two", "inherit", "file", "/nowhere/shared.ini")
    seen = upgrade.preflight(upgrade.prepared(plugin(2) + POLICY))
    failures = {each["name"]: each["failure"] for each in seen["environments"]}
    assert failures["one"] == ""
    assert "[inherit] file names /nowhere/shared.ini, which does not exist" in failures["two"]
    assert seen["problems"] == []
    leave("two", "inherit", "file", "")
    leave("two", "logging", "log_file", "trac.log")
    assert set(upgrade.contents()) == set(before)
