# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The test plugin, as a playbook uses it."""

from __future__ import annotations

import pytest
from ansible.errors import AnsibleFilterError

from ansible_collections.trac.mod_wsgi.plugins.test import serves_trac as plugin

serves_trac = plugin.TestModule().tests()["serves_trac"]


@pytest.mark.parametrize(
    ("version", "expected"),
    [("4.9.4-1", True), ("1.3.1", True), ("2.2", False), ("nonsense", False), ("", False)],
)
def test_judges_text(version: str, expected: bool) -> None:
    assert serves_trac(version) is expected


@pytest.mark.parametrize("version", [4.10, None, ["4.9.4"]])
def test_refuses_what_is_not_text(version: object) -> None:
    with pytest.raises(AnsibleFilterError, match="serves_trac: .* cannot be read as a version"):
        serves_trac(version)
