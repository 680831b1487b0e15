# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Look at the certificates of sites, as the inventory describes these."""

from __future__ import annotations

import typing as t

from ansible.plugins.action import ActionBase

from ansible_collections.trac.mod_wsgi.plugins.module_utils._site import tls as site_tls

Result = t.Dict[str, t.Any]

_NOTHING: Result = {
    "changed": False,
    "problems": [],
    "warnings_found": [],
    "stapling": [],
    "fingerprints": {},
    "certificates": {},
}


class ActionModule(ActionBase):  # type: ignore[misc]
    """Calls module tls_certificate_info, where there is something to look at."""

    TRANSFERS_FILES = False
    _supports_check_mode = True

    def run(self, tmp: None = None, task_vars: Result | None = None) -> Result:
        """Return what the module says; see the module's documentation."""
        super().run(tmp, task_vars)
        arguments = self.validate_argument_spec(
            {
                "sites": {"type": "list", "elements": "dict", "required": True},
                "directory": {"type": "str", "required": True},
            }
        )[1]
        certificates = site_tls.certificates(arguments["sites"], arguments["directory"])
        if not certificates:
            return dict(_NOTHING)
        return t.cast(
            Result,
            self._execute_module(
                module_name="trac.mod_wsgi.tls_certificate_info",
                module_args={"certificates": certificates},
                task_vars=task_vars,
            ),
        )
