# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Nothing can be begun in its middle (--start-at-task) without being told so; molecule tries it."""

from __future__ import annotations

import pathlib
import re
import typing as t

import pytest
import yaml

TOP = pathlib.Path(__file__).resolve().parents[2]
ROLES = sorted(path.parents[1] for path in TOP.glob("roles/*/tasks/main.yml"))
PLAYBOOKS = sorted(TOP.glob("playbooks/*.yml"))

Task = t.Dict[str, t.Any]


def tasks_of(role: pathlib.Path, name: str) -> list[Task]:
    text = (role / "tasks" / name).read_text(encoding="utf-8")
    return t.cast("list[Task]", yaml.safe_load(text))


def variables_of(role: pathlib.Path) -> dict[str, t.Any]:
    text = (role / "vars" / "main.yml").read_text(encoding="utf-8")
    return t.cast("dict[str, t.Any]", yaml.safe_load(text))


@pytest.mark.parametrize("role", ROLES, ids=lambda role: str(role.name))
def test_all_of_a_role_stands_behind_its_first_task(role: pathlib.Path) -> None:
    first, rest = tasks_of(role, "main.yml")
    assert first["ansible.builtin.include_tasks"] == "inputs.yml"
    registered = f"__{role.name}_inputs"
    assert tasks_of(role, "inputs.yml")[0]["register"] == registered
    assert rest["when"] == f"{registered} | mandatory(__{role.name}_begun_late) is not none"
    sentence = variables_of(role)[f"__{role.name}_begun_late"]
    assert f'--start-at-task "trac.mod_wsgi.{role.name} : {first["name"]}"' in sentence


@pytest.mark.parametrize("role", ROLES, ids=lambda role: str(role.name))
def test_loops_of_imported_tasks_say_so_too(role: pathlib.Path) -> None:
    """Ansible looks at a loop before the condition, and complains of that first."""
    variables = variables_of(role)
    missing: list[str] = []
    registered: set[str] = set()
    pending = ["main.yml"]
    for name in pending:
        text = (role / "tasks" / name).read_text(encoding="utf-8")
        pending += re.findall(r"import_tasks: (\S+)", text)
        registered.update(re.findall(r"register: (\w+)", text))
    for name in pending:
        text = (role / "tasks" / name).read_text(encoding="utf-8")
        for loop in re.findall(r'loop: (".*")', text):
            read = set(re.findall(r"\w+", loop))
            more = [str(variables.get(each, "")) for each in read]
            # One step is enough: what a plan is made of, it takes from the first to be missing.
            found = set(re.findall(r"\w+", " ".join(more))) | read
            missing += [
                each for each in found & registered if "undef(" not in str(variables.get(each))
            ]
    assert missing == []


@pytest.mark.parametrize("playbook", PLAYBOOKS, ids=lambda playbook: str(playbook.name))
def test_later_plays_need_what_the_first_has_found_out(playbook: pathlib.Path) -> None:
    plays = yaml.safe_load(playbook.read_text(encoding="utf-8"))
    for play in plays:
        if play.get("gather_facts"):
            continue
        assert "mandatory(begun_late)" in play["become"]
        assert f"{playbook.name} cannot be started in its middle" in play["vars"]["begun_late"]
