# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Plan the sites of a host: what role trac_site writes, and what it checks afterwards."""

from __future__ import annotations

import json
import pathlib
import typing as t

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase

from ansible_collections.trac.mod_wsgi.plugins.module_utils._site import plan
from ansible_collections.trac.mod_wsgi.plugins.plugin_utils import _site_role

Result = t.Dict[str, t.Any]

_LIST = {"type": "list", "elements": "dict", "default": []}
_DICT: dict[str, t.Any] = {"type": "dict", "default": {}}
_ARGUMENTS: dict[str, t.Any] = {
    "sites": {**_LIST, "required": True, "default": None},
    "environments": {**_LIST, "required": True, "default": None},
    "environments_defaults": _DICT,
    "users": _LIST,
    "groups_claim": {"type": "str", "default": ""},
    "security_headers": _DICT,
    "rate_limits": _DICT,
    "robots": {"type": "bool", "default": True},
    "paths": {"type": "dict", "required": True},
    "user": {"type": "str", "required": True},
    "apache_user": {"type": "str", "required": True},
    "as_account": {"type": "list", "elements": "str", "required": True},
    "host": {"type": "str", "required": True},
    "host_facts": {"type": "list", "elements": "str", "required": True},
    "ports": {"type": "dict", "required": True},
    "certificates": {"type": "dict", "required": True},
    "reconciled": _LIST,
    "answering": {"type": "list", "elements": "str", "default": []},
    "broken": _DICT,
}


class ActionModule(ActionBase):  # type: ignore[misc]
    """Plans on the controller; asks the host for the sizes of requests that Trac takes."""

    TRANSFERS_FILES = False
    _supports_check_mode = True

    def run(self, tmp: None = None, task_vars: Result | None = None) -> Result:
        """Return the plan; see the module's documentation."""
        super().run(tmp, task_vars)
        arguments = _plain(self.validate_argument_spec(_ARGUMENTS)[1])
        try:
            found = _site_role.plan_sites(arguments)
            sizes = self._sizes(found, arguments, task_vars)
            found = _site_role.complete(found, arguments, sizes, self._sources())
        except plan.PlanError as error:
            raise AnsibleActionFail(str(error)) from error
        # Hundreds of lines that would say nothing to whoever runs with -v.
        return {"changed": False, "_ansible_verbose_override": True, **found}

    def _sources(self) -> dict[str, str]:
        names = (_site_role.SCRIPT, *(f"{name}.py" for name in _site_role.MODULES))
        return {name: self._role_file(name) for name in names}

    def _role_file(self, name: str) -> str:
        return pathlib.Path(self._find_needle("files", name)).read_text(encoding="utf-8")

    def _sizes(self, found: Result, arguments: Result, task_vars: Result | None) -> Result:
        """Options may have been set in Trac's web pages, or in files that trac.ini inherits from.

        Trac reads them as the service account, where both are there already.
        """
        python = f"{arguments['paths']['venv']}/bin/python"
        if python not in found["existing_paths"] or not found["has_account"]:
            return {}
        parent = arguments["paths"]["environments"].rstrip("/")
        names = _site_role.served_environments(found)
        script = self._role_file("request_sizes.py")
        command = [*arguments["as_account"], python, "-I", "-c", script]
        command += [f"{parent}/{name}" for name in names]
        check_mode, self._task.check_mode = self._task.check_mode, False  # it only reads
        try:
            result = self._execute_module(
                module_name="ansible.builtin.command",
                module_args={"argv": command, "chdir": "/"},
                task_vars=task_vars,
            )
        finally:
            self._task.check_mode = check_mode
        if result.get("failed") or result.get("rc"):
            why = result.get("stderr") or result.get("msg") or "no answer"
            raise AnsibleActionFail(f"Trac could not tell how large requests may be: {why}")
        return _sections_by_name(result["stdout"])


def _sections_by_name(text: str) -> Result:
    """Read what was said as the account, under which anything may run."""
    try:
        document = json.loads(text)
    except ValueError:
        return {}
    found = document if isinstance(document, dict) else {}
    return {name: sections for name, sections in found.items() if isinstance(sections, dict)}


def _plain(value: t.Any) -> t.Any:
    """The same without the types that Ansible gives to texts, such as those out of a vault."""
    if isinstance(value, dict):
        return {_plain(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, (bool, int, float)) or value is None:
        return value
    return str(value)
