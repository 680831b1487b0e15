# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Where a database's file belongs in a copy of its environment."""

from __future__ import annotations

import types

import pytest

from ansible_collections.trac.mod_wsgi.plugins.module_utils._copies import hot_copy


@pytest.mark.parametrize(
    ("file", "target"),
    [
        ("/e/one/db/trac.db", "/copy/db/trac.db"),
        ("/e/one/..db/trac.db", "/copy/..db/trac.db"),
        ("/e/trac.db", "/copy/db/trac.db"),
        ("/elsewhere/x.db", "/copy/db/x.db"),
    ],
)
def test_a_file_of_the_environment_stays_in_its_place(file: str, target: str) -> None:
    environment = types.SimpleNamespace(path="/e/one")
    assert hot_copy._sqlite_target(environment, file, "/copy") == target
