# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Partial runs (--tags) check what they need first, and end with sites that are verified."""

from __future__ import annotations

import functools
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import typing as t

import pytest
import yaml

TOP = pathlib.Path(__file__).resolve().parents[2]

# The tags of site.yml, and the roles that run with each: its own, and those that follow from it.
SITE = {
    "trac_database": {"trac_database", "trac_environments", "trac_site"},
    "trac_apache": {"trac_apache", "trac_site"},
    "trac_runtime": {"trac_runtime", "trac_environments", "trac_site"},
    "trac_environments": {"trac_environments", "trac_site"},
    "trac_site": {"trac_site"},
    "verify": set[str](),
}
BACKUP = {"schedule", "now"}
# What site.yml includes when it runs, so that Ansible's list names no task of the role.
DATABASE = "Set up a server with a database for each environment"
VERIFICATION = "trac.mod_wsgi.trac_site : Verify | Request hello-world and every project"
LAST_RESORT = "Request hello-world and every project where role trac_site has not"


class Task(t.NamedTuple):
    play: str
    name: str
    tags: frozenset[str]

    @property
    def role(self) -> str:
        if self.name == DATABASE:
            return "trac_database"
        found = re.match(r"trac\.mod_wsgi\.(\w+) : ", self.name)
        return found[1] if found else ""


@functools.lru_cache(maxsize=None)
def tasks_of(playbook: str) -> list[Task]:
    """The tasks of a playbook, as Ansible lists them: each with the tags that it inherits."""
    with tempfile.NamedTemporaryFile("w") as inventory:
        inventory.write("[trac_web]\nweb\n[trac_database]\ndb\n")
        inventory.flush()
        listed = subprocess.run(
            [
                pathlib.Path(sys.executable).with_name("ansible-playbook"),
                f"playbooks/{playbook}.yml",
                "--list-tasks",
                f"--inventory={inventory.name}",
            ],
            cwd=TOP,
            env={**os.environ, "LC_ALL": "C.UTF-8"},
            check=True,
            capture_output=True,
            text=True,
        ).stdout
    tasks = []
    play = ""
    for line in listed.splitlines():
        found = re.match(r"  (play #\d+ \(.*?\): |    )(.*)\tTAGS: \[(.*)\]$", line)
        if found and found[1].startswith("play"):
            play = found[2]
        elif found:
            tasks.append(Task(play, found[2].strip(), frozenset(re.findall(r"\w+", found[3]))))
    return tasks


def selected(playbook: str, tag: str) -> list[Task]:
    return [task for task in tasks_of(playbook) if task.tags & {tag, "always"}]


@pytest.mark.parametrize("tag", SITE)
def test_a_tag_runs_its_role_and_those_that_follow(tag: str) -> None:
    tasks = tasks_of("site")
    chosen = selected("site", tag)
    assert {task.role for task in chosen} - {""} == SITE[tag]
    # Whole roles: a part would miss what the tasks before it have registered.
    assert [task for task in chosen if task.role] == [
        task for task in tasks if task.role in SITE[tag]
    ]


@pytest.mark.parametrize("tag", SITE)
def test_no_tag_skips_the_verification(tag: str) -> None:
    names = [task.name for task in selected("site", tag)]
    assert LAST_RESORT in names
    assert (VERIFICATION in names) == ("trac_site" in SITE[tag])


@pytest.mark.parametrize("playbook", ["site", "backup"])
def test_no_tag_skips_the_checks(playbook: str) -> None:
    first = tasks_of(playbook)[0].play
    checks = [task for task in tasks_of(playbook) if task.play == first]
    assert checks
    assert all("always" in task.tags for task in checks)


def test_the_last_resort_is_skipped_where_the_role_has_verified() -> None:
    site = (TOP / "playbooks/site.yml").read_text(encoding="utf-8")
    found = re.search(rf"{LAST_RESORT}\n(?: {{10}}.*\n)*? {{10}}when: (\w+) is not defined", site)
    assert found
    text = (TOP / "roles/trac_site/tasks/verify.yml").read_text(encoding="utf-8")
    verification = next(
        task for task in yaml.safe_load(text) if task["name"] == VERIFICATION.split(" : ")[1]
    )
    assert verification["register"] == found[1]


def test_every_tag_is_known_and_documented() -> None:
    used = {tag for task in tasks_of("site") for tag in task.tags} - {"always"}
    assert used == set(SITE)
    assert {tag for task in tasks_of("backup") for tag in task.tags} - {"always"} == BACKUP
    documented = re.findall(
        r"^\| `--tags (\w+)` \|", (TOP / "README.md").read_text(encoding="utf-8"), re.MULTILINE
    )
    assert set(documented) == set(SITE)


@pytest.mark.parametrize("playbook", ["restore", "upgrade", "verify"])
def test_what_can_only_run_whole_has_no_tags(playbook: str) -> None:
    assert "tags:" not in (TOP / f"playbooks/{playbook}.yml").read_text(encoding="utf-8")
