# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""When cron runs something."""

from __future__ import annotations

import pathlib

import jinja2
import pytest
import yaml

from ansible_collections.trac.mod_wsgi.plugins.plugin_utils import _cron_schedule

TASKS = pathlib.Path(__file__).resolve().parents[4] / "roles/trac_backup/tasks/cron.yml"


def line(schedule: str) -> str:
    """How the line of the crontab begins."""
    (variables,) = [
        task["vars"]
        for task in yaml.safe_load(TASKS.read_text(encoding="utf-8"))
        if "__trac_backup_times" in task.get("vars", {})
    ]
    environment = jinja2.Environment()
    environment.filters["split"] = str.split
    fields = variables["__trac_backup_fields"].strip("{} ")
    times = variables["__trac_backup_times"].replace("__trac_backup_fields", f"({fields})")
    return environment.from_string(times).render(trac_backup_schedule=schedule)


@pytest.mark.parametrize(
    ("schedule", "beginning"),
    [
        ("daily", "@daily"),
        ("hourly", "@hourly"),
        ("30 2 * * *", "30 2 * * *"),
        (" 30\t2  * * 1-5 ", "30 2 * * 1-5"),
        ("*/15 0,12-14 1-31/2 1,12 0,7", "*/15 0,12-14 1-31/2 1,12 0,7"),
        ("05 00 01 01 0", "05 00 01 01 0"),
    ],
)
def test_what_cron_takes(schedule: str, beginning: str) -> None:
    assert line(schedule) == beginning
    assert _cron_schedule.problem(schedule) == ""


@pytest.mark.parametrize(
    ("schedule", "problem"),
    [
        ("Mon..Fri 02:30", "has not five fields"),
        ("yearly", "is none of hourly, daily, weekly, monthly"),
        ("30 2 * * * root", "has not five fields"),
        ("60 2 * * *", "'60' is no minute: numbers from 0 to 59"),
        ("0 24 * * *", "'24' is no hour"),
        ("0 0 0 * *", "'0' is no day of the month"),
        ("0 0 * 13 *", "'13' is no month"),
        ("0 0 * * 8", "'8' is no day of the week"),
        ("0 0 * * mon", "'mon' is no day of the week"),
        ("30-10 * * * *", "'30-10' is no minute"),
        ("5/10 * * * *", "'5/10' is no minute"),
        ("*/0 * * * *", "'*/0' is no minute"),
        ("1,,2 * * * *", "'1,,2' is no minute"),
        ("1\n* * * * * root x", "has not five fields"),
    ],
)
def test_what_cron_would_ignore(schedule: str, problem: str) -> None:
    assert problem in _cron_schedule.problem(schedule)


def test_no_schedule_is_no_problem() -> None:
    assert _cron_schedule.problem("") == ""
