# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Refuse a host whose release the roles do not know."""

from __future__ import annotations

import typing as t

from ansible.plugins.action import ActionBase

from ansible_collections.trac.mod_wsgi.plugins.plugin_utils import _platforms

Result = t.Dict[str, t.Any]

_SUBSETS = ["!all", "!min", "distribution", "service_mgr"]


class ActionModule(ActionBase):  # type: ignore[misc]
    """Looks at the facts of the host, and gathers them where nobody has."""

    TRANSFERS_FILES = False
    _supports_check_mode = True

    def run(self, tmp: None = None, task_vars: Result | None = None) -> Result:
        """Compare the host with the table; see the module's documentation."""
        super().run(tmp, task_vars)
        self.validate_argument_spec({})
        facts = (task_vars or {}).get("ansible_facts", {})
        gathered: Result = {}
        if "distribution" not in facts:
            result = self._execute_module(
                module_name="ansible.builtin.setup",
                module_args={"gather_subset": _SUBSETS},
                task_vars=task_vars,
            )
            if result.get("failed"):
                return t.cast(Result, result)
            gathered = {"ansible_facts": result["ansible_facts"]}
            # Facts as they come have a prefix.
            names = result["ansible_facts"].items()
            facts = {name.removeprefix("ansible_"): value for name, value in names}
        wrong = _platforms.problem(facts)
        if wrong:
            return {"changed": False, "failed": True, "msg": wrong}
        return {"changed": False, **gathered}
