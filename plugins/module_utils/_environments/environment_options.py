# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The keys that describe an environment: the one place where their types stand.

The module takes its argument specification from here. The documentation of the module, the
argument specification of role trac_environments and its README are compared with it by
tests/unit/test_environment_keys.py.
"""

from __future__ import annotations

import typing as t

from ansible_collections.trac.mod_wsgi.plugins.module_utils._trac import (
    environment_spec,
    field_items,
    repository_spec,
)

Options = t.Dict[str, t.Dict[str, t.Any]]

# Of these keys a list can be said to be complete.
EXCLUSIVE_KEYS = ("permissions", *field_items.KINDS, "repositories")

REPOSITORY: Options = {
    "name": {"type": "str", "required": True},
    "type": {"type": "str", "choices": list(repository_spec.TYPES), "required": True},
    "dir": {"type": "str", "required": True},
    "description": {"type": "str"},
    "url": {"type": "str"},
    "hidden": {"type": "bool"},
    "sync_per_request": {"type": "bool"},
    "hook": {"type": "bool", "default": True},
}

# What can be said of one environment and of all.
SHARED: Options = {
    "config": {"type": "dict"},
    "permissions": {"type": "dict"},
    **{key: {"type": "list", "elements": "raw"} for key in field_items.KINDS},
    "exclusive": {"type": "list", "elements": "str", "choices": list(EXCLUSIVE_KEYS)},
    "upgrade": {"type": "bool"},
}

ENVIRONMENT: Options = {
    "name": {"type": "str", "required": True},
    "title": {"type": "str"},
    "database": {"type": "str"},
    "new_database": {"type": "str"},
    "adopt_from": {"type": "str"},
    "adopt_database": {
        "type": "str",
        "choices": [environment_spec.SHARED, environment_spec.OWN],
    },
    "adopt_encoding": {"type": "str"},
    "repositories": {"type": "list", "elements": "dict", "options": REPOSITORY},
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    **SHARED,
}

# The role gives these to the module; the inventory has other words for them.
NOT_OF_THE_INVENTORY = frozenset({"new_database"})
