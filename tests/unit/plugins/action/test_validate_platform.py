# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The facts of a host are gathered where nobody has, and kept."""

from __future__ import annotations

import types
import typing as t

import pytest
from ansible.plugins.action import ActionBase

from ansible_collections.trac.mod_wsgi.plugins.action import validate_platform

DEBIAN = {
    "distribution": "Debian",
    "distribution_version": "12.7",
    "distribution_major_version": "12",
}


def run(
    monkeypatch: pytest.MonkeyPatch, known: dict[str, str], gathered: dict[str, t.Any]
) -> tuple[dict[str, t.Any], int]:
    """The result for a host with known facts, and how often it was asked for them."""
    plugin = validate_platform.ActionModule.__new__(validate_platform.ActionModule)
    asked: list[str] = []

    def module(module_name: str, **_more: object) -> dict[str, t.Any]:
        asked.append(module_name)
        return gathered

    plugin._execute_module = module
    plugin._task = types.SimpleNamespace(args={})
    monkeypatch.setattr(ActionBase, "run", lambda *dummy: {})
    return plugin.run(task_vars={"ansible_facts": known}), len(asked)


def test_known_facts_are_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    assert run(monkeypatch, DEBIAN, {}) == ({"changed": False}, 0)


def test_facts_are_gathered_and_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    facts = {f"ansible_{name}": value for name, value in DEBIAN.items()}
    result, asked = run(monkeypatch, {}, {"ansible_facts": facts})
    assert asked == 1
    assert result == {"changed": False, "ansible_facts": facts}


def test_another_release_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    facts = {
        "ansible_distribution": "Debian",
        "ansible_distribution_version": "10",
        "ansible_distribution_major_version": "10",
    }
    result, _asked = run(monkeypatch, {}, {"ansible_facts": facts})
    assert result["failed"]
    assert result["msg"].startswith("Debian 10 is not supported. Supported are Debian 11,")


def test_a_host_that_does_not_answer_is_no_supported_one(monkeypatch: pytest.MonkeyPatch) -> None:
    failure = {"failed": True, "msg": "no Python"}
    assert run(monkeypatch, {}, failure)[0] == failure
