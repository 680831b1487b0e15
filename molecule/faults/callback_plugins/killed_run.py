# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Kill a run of Ansible at a task, together with what it has started in the container.

Reads the environment variables

- KILLED_RUN_AT: the number of the task (handlers count, the first is 1) or a part of its name
- KILLED_RUN_AFTER: seconds after the beginning of the task; without it, before the task begins
- KILLED_RUN_HOST: the name of the container
- KILLED_RUN_TASKS: a file that gets a line for each task that has begun: its number and name
"""

from __future__ import annotations

import os
import subprocess
import sys
import typing as t

from ansible.plugins.callback import CallbackBase

DOCUMENTATION = """
name: killed_run
type: aggregate
short_description: Kill a run at a task
description: For tests; controlled by environment variables.
"""

_KILL = os.path.join(os.path.dirname(__file__), "..", "files", "kill.py")


class CallbackModule(CallbackBase):  # type: ignore[misc]
    """Counts tasks, and kills the process that it is part of."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "killed_run"

    def __init__(self) -> None:
        super().__init__()
        self._count = 0
        self._at = os.environ.get("KILLED_RUN_AT", "")
        self._after = os.environ.get("KILLED_RUN_AFTER", "")
        self._killing = False

    def v2_playbook_on_task_start(self, task: t.Any, is_conditional: bool) -> None:  # noqa: ARG002
        self._task(task.get_name())

    def v2_playbook_on_handler_task_start(self, task: t.Any) -> None:
        self._task(task.get_name())

    def _task(self, name: str) -> None:
        self._count += 1
        log = os.environ.get("KILLED_RUN_TASKS")
        if log:
            with open(log, "a", encoding="utf-8") as stream:
                stream.write(f"{self._count} {name}\n")
        wanted = self._at and (str(self._count) == self._at or self._at in name)
        if not wanted or self._killing:
            return
        self._killing = True
        host = os.environ["KILLED_RUN_HOST"]
        command = [sys.executable, _KILL, str(os.getpid()), host, self._after or "0"]
        # In a session of its own: it must outlive what it kills.
        killer = subprocess.Popen(command, start_new_session=True)
        if not self._after:
            killer.wait()
