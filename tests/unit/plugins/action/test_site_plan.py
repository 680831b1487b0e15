# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What Trac on the host says of the sizes of requests, where it may say anything."""

from __future__ import annotations

import types
import typing as t

import pytest
from ansible.errors import AnsibleActionFail

from ansible_collections.trac.mod_wsgi.plugins.action import site_plan

FOUND = {
    "existing_paths": ["/opt/trac/bin/python"],
    "has_account": True,
    "sites": [{"served": ["one", "two"]}, {"served": ["two", "three"]}],
    "out_of_service": {"three": "it burns"},
}
ARGUMENTS = {
    "as_account": ["as", "trac"],
    "paths": {"venv": "/opt/trac", "environments": "/srv/trac/environments/"},
}


def sizes(result: dict[str, t.Any], check_mode: bool = False) -> tuple[t.Any, list[t.Any]]:
    """What the action makes of a command's result, and the calls with their check mode."""
    plugin = site_plan.ActionModule.__new__(site_plan.ActionModule)
    plugin._task = types.SimpleNamespace(check_mode=check_mode)
    calls: list[t.Any] = []

    def module(module_args: dict[str, t.Any], **_more: object) -> dict[str, t.Any]:
        calls.append((module_args["argv"], plugin._task.check_mode))
        return result

    plugin._execute_module = module
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(site_plan.ActionModule, "_role_file", lambda *_arguments: "the script")
        found = plugin._sizes(FOUND, ARGUMENTS, {})
    assert plugin._task.check_mode == check_mode
    return found, calls


def test_trac_is_asked_as_the_account_in_check_mode_too() -> None:
    answer = '{"one": {"attachment": {"max_size": "5"}}}'
    found, calls = sizes({"rc": 0, "stdout": answer}, check_mode=True)
    assert found == {"one": {"attachment": {"max_size": "5"}}}
    ((command, check_mode),) = calls
    assert command[:2] == ["as", "trac"]
    assert command[-2:] == ["/srv/trac/environments/one", "/srv/trac/environments/two"]
    assert not check_mode


@pytest.mark.parametrize(
    ("said", "read"),
    [("", {}), ("no JSON", {}), ("[1]", {}), ('{"one": 5, "two": {}}', {"two": {}})],
)
def test_an_odd_answer_is_none(said: str, read: dict[str, t.Any]) -> None:
    assert sizes({"rc": 0, "stdout": said})[0] == read


def test_a_failure_is_told_with_its_reason() -> None:
    with pytest.raises(AnsibleActionFail, match="how large requests may be: it took too long"):
        sizes({"rc": 124, "stderr": "it took too long", "stdout": ""})
