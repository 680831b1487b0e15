# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Check the variables of a role on the controller, before a host is touched."""

from __future__ import annotations

import typing as t

from ansible.plugins.action import ActionBase

from ansible_collections.trac.mod_wsgi.plugins.plugin_utils import _role_variables, _specification

Result = t.Dict[str, t.Any]

_DICT: dict[str, t.Any] = {"type": "dict", "default": {}}


class ActionModule(ActionBase):  # type: ignore[misc]
    """Fails with one sentence for each problem."""

    TRANSFERS_FILES = False
    _requires_connection = False
    _supports_check_mode = True

    def run(self, tmp: None = None, task_vars: Result | None = None) -> Result:
        """Check the variables; see the module's documentation for what it returns."""
        super().run(tmp, task_vars)
        arguments = self.validate_argument_spec(
            {
                "role": {"type": "str", "required": True},
                "directories": _DICT,
                "accounts": _DICT,
                "archives": {"type": "list", "elements": "str", "default": []},
            }
        )[1]
        known = task_vars or {}
        role = str(arguments["role"])
        names = [name for name in _specification.role_options(role) if name in known]
        given = _role_variables.variables(
            role,
            self._templar.template({name: known[name] for name in names}),
            arguments["directories"],
            arguments["accounts"],
            has_systemd=known.get("ansible_facts", {}).get("service_mgr") == "systemd",
            hosts=[known.get("inventory_hostname"), *known.get("groups", {}).get("all", [])],
            archives=arguments["archives"],
        )
        problems = _role_variables.problems(given)
        if problems:
            return {"changed": False, "failed": True, "msg": "\n".join(problems)}
        return {
            "changed": False,
            # Not shown to whoever runs with -v.
            "_ansible_verbose_override": True,
            "directories": _role_variables.named_directories(given.directories),
            "accounts": dict(given.accounts),
        }
