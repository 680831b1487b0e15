# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The test C(trac.mod_wsgi.serves_trac); its documentation is in serves_trac.yml."""

from __future__ import annotations

from typing import Any, Callable

from ansible.errors import AnsibleFilterError

from ansible_collections.trac.mod_wsgi.plugins.module_utils._apache.version_gate import judge


def serves_trac(version: Any) -> bool:
    """Whether this version of mod_wsgi serves Trac."""
    if not isinstance(version, str):
        raise AnsibleFilterError(f"trac.mod_wsgi.serves_trac: {judge(version).message}")
    return judge(version).accepted


class TestModule:
    """What Ansible looks for in a file of tests."""

    def tests(self) -> dict[str, Callable[..., bool]]:
        """Name the tests of this file."""
        return {"serves_trac": serves_trac}
