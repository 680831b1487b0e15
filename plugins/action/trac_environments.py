# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Say how far the module trac_environments has come when it takes long.

Ansible shows nothing of a module before it ends. The module is therefore asked to return after a
while with what it has not begun yet, and called again for the rest. A run that ends within that
time is one call.
"""

from __future__ import annotations

import typing as t

from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

Result = t.Dict[str, t.Any]

# Seconds. Each further call costs one or two.
SAY_EVERY = 15

# What the results of several calls have as lists, one after the other.
_LISTS = (
    "environments",
    "removed_leftovers",
    "diff",
    "warnings",
    "deprecations",
    "other_failures",
)

display = Display()


def _progress(result: Result, remaining: t.Container[str], total: int) -> str:
    entries = [entry for entry in result["environments"] if entry["name"] not in remaining]
    counts = {
        "created": sum(bool(entry["created"]) for entry in entries),
        "changed": sum(bool(entry["changed"]) and not entry["created"] for entry in entries),
        "failed": sum("failure" in entry for entry in entries),
    }
    words = ", ".join(f"{count} {word}" for word, count in counts.items() if count)
    return f"{len(entries)} of {total} environments done" + (f": {words}" if words else "")


def _once(entries: t.Iterable[t.Any]) -> list[t.Any]:
    """Without what each call says again: in check mode, for instance, the same leftovers."""
    kept: dict[str, t.Any] = {}
    for entry in entries:
        header = entry.get("after_header") if isinstance(entry, dict) else None
        kept.setdefault(header or repr(entry), entry)
    return list(kept.values())


def _merged(entries: t.Iterable[Result]) -> list[Result]:
    """One entry for each environment, of which one call may have adopted it, another changed it."""
    merged: dict[str, Result] = {}
    for entry in entries:
        earlier = merged.get(entry["name"])
        if earlier is None:
            merged[entry["name"]] = dict(entry)
        else:
            both = {
                "changes": earlier["changes"] + entry["changes"],
                "changed": earlier["changed"] or entry["changed"],
            }
            merged[entry["name"]] = {**earlier, **entry, **both}
    return list(merged.values())


def _join(results: t.Sequence[Result], total: int) -> Result:
    """The results of several calls as one."""
    joined = dict(results[-1])
    joined.pop("remaining", None)
    joined["changed"] = any(result.get("changed") for result in results)
    for key in _LISTS:
        if any(key in result for result in results):
            joined[key] = _once(entry for result in results for entry in result.get(key) or [])
    joined["environments"] = _merged(joined["environments"])
    if "ignored" in results[0]:  # by the call that knew all environments
        joined["ignored"] = results[0]["ignored"]
    if any(result.get("failed") for result in results):
        joined["failed"] = True
        failures = [entry for entry in joined["environments"] if "failure" in entry]
        lines = [f"- {entry['name']}: {entry['failure']}" for entry in failures]
        if lines:
            lines.insert(0, f"{len(lines)} of {total} environments failed:")
        lines += joined.get("other_failures", [])
        if results[-1].get("aborted"):
            lines.append(results[-1]["aborted"])
        joined["msg"] = "\n".join(lines)
    return joined


class ActionModule(ActionBase):  # type: ignore[misc]
    """Calls the module until nothing is left to do."""

    TRANSFERS_FILES = False
    _supports_check_mode = True

    def run(self, tmp: None = None, task_vars: Result | None = None) -> Result:
        """Run the module; see the module for what it returns."""
        super().run(tmp, task_vars)
        arguments = {"time_limit": SAY_EVERY, **self._task.args}
        result = self._call(arguments, task_vars)
        if not result.get("remaining"):
            return result
        host = self._task_host(task_vars)
        total = len(arguments["environments"])
        results = [result]
        while results[-1].get("remaining"):
            joined = _join(results, total)
            rest = set(results[-1]["remaining"])
            display.display(f"{host}: {_progress(joined, rest, total)}")
            arguments["environments"] = [
                environment
                for environment in arguments["environments"]
                if environment["name"] in rest
            ]
            results.append(self._call(arguments, task_vars))
            # What ends before it looks at an environment has its own message.
            if "environments" not in results[-1]:
                return {**joined, **results[-1], "changed": joined["changed"]}
        return _join(results, total)

    def _call(self, arguments: Result, task_vars: Result | None) -> Result:
        return t.cast(
            Result,
            self._execute_module(module_args=dict(arguments), task_vars=task_vars),
        )

    @staticmethod
    def _task_host(task_vars: Result | None) -> str:
        return str((task_vars or {}).get("inventory_hostname", ""))
