# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Have packages installed, with an index of apt that knows them.

The apt module goes by the age of the index's directory, which looks new where an image was built
and the content deleted. This looks at what the index knows. Where nothing is missing, that takes
one short command, and the apt module is not called.
"""

from __future__ import annotations

import re
import shlex
import typing as t

from ansible.plugins.action import ActionBase

Result = t.Dict[str, t.Any]

# Seconds. An older index is renewed before anything is installed.
FRESH = 3600

# What an index that is too old makes of a download.
_GONE = re.compile(r"\b404\b|Failed to fetch|Unable to fetch")
_UNKNOWN = "No package matching"


class ActionModule(ActionBase):  # type: ignore[misc]
    """Calls the apt module where there is something to do."""

    TRANSFERS_FILES = False
    _supports_check_mode = True

    def run(self, tmp: None = None, task_vars: Result | None = None) -> Result:
        """Install what is missing; see the module's documentation for what it returns."""
        super().run(tmp, task_vars)
        arguments = self.validate_argument_spec(
            {
                "name": {"type": "list", "elements": "str", "required": True},
                "state": {"type": "str", "choices": ["present", "known"], "default": "present"},
                "default_release": {"type": "str"},
            }
        )[1]
        names = arguments["name"]
        missing = self._missing(names)
        if not missing:
            return {"changed": False}
        only_known = arguments["state"] == "known"
        if only_known or self._task.check_mode or self._unknown(missing):
            failure = self._refresh(missing, task_vars)
            if failure or only_known:
                return {**(failure or {}), "changed": False}
        wanted = {"name": names, "install_recommends": False}
        if arguments["default_release"]:
            wanted["default_release"] = arguments["default_release"]
        result = self._apt({**wanted, "update_cache": True, "cache_valid_time": FRESH}, task_vars)
        if result.get("failed") and _GONE.search(str(result.get("msg"))):
            result = self._apt({**wanted, "update_cache": True}, task_vars)
        if result.get("failed") and _UNKNOWN in str(result.get("msg")):
            result["msg"] += "; the host's package sources do not have it (their index is fresh)"
        return result

    def _refresh(self, names: t.Sequence[str], task_vars: Result | None) -> Result | None:
        """Renew an index that is old or does not know the names; returns a failure."""
        # The first also brings the library of the apt module, which takes a fresh index by itself.
        for age in (FRESH, 0):
            result = self._apt({"update_cache": True, "cache_valid_time": age}, task_vars, True)
            if result.get("failed"):
                return result
            if not self._unknown(names):
                break
        return None

    def _apt(
        self, arguments: Result, task_vars: Result | None, also_in_check_mode: bool = False
    ) -> Result:
        check_mode = self._task.check_mode
        if also_in_check_mode:  # the index is a cache; without it nothing can be predicted
            self._task.check_mode = False
        try:
            result = self._execute_module(
                module_name="ansible.builtin.apt", module_args=arguments, task_vars=task_vars
            )
        finally:
            self._task.check_mode = check_mode
        return t.cast(Result, result)

    def _missing(self, names: t.Sequence[str]) -> list[str]:
        """The packages that are not, or not completely, installed."""
        format_ = "${Package} ${db:Status-Status}\\n"
        output = self._ask(f"dpkg-query --show --showformat '{format_}'", names)
        there = {line.split()[0] for line in output if line.endswith(" installed")}
        return [name for name in names if name not in there]

    def _unknown(self, names: t.Sequence[str]) -> list[str]:
        """The packages that apt would not know where to get."""
        known = set()
        name = ""
        for line in self._ask("apt-cache policy", names):
            if not line.startswith(" "):
                name = line.rstrip(":")
            elif line.startswith("  Candidate: ") and "(none)" not in line:
                known.add(name)
        return [name for name in names if name not in known]

    def _ask(self, command: str, names: t.Sequence[str]) -> list[str]:
        # What is not found is said on standard error, with another exit status.
        words = " ".join(shlex.quote(name) for name in names)
        result = self._low_level_execute_command(f"LC_ALL=C {command} {words} 2>/dev/null")
        return [str(line) for line in result["stdout_lines"]]
