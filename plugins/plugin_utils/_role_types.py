# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether the variables of a role have the types that its argument specification says."""

from __future__ import annotations

import re
import typing as t

from ansible_collections.trac.mod_wsgi.plugins.module_utils._core import arguments
from ansible_collections.trac.mod_wsgi.plugins.plugin_utils import _specification

_LISTS_AS_TEXT = ("trac_backup_environments", "trac_verify_checks")
# A default such as "{{ trac_runtime_user | default('trac') }}".
_FROM = re.compile(r"\{\{\s*(trac_\w+)\s*\|\s*default\(")
# Of these, messages use the users' name alone.
_USERS_NAMES = {
    "trac_environments_list": "trac_environments",
    "trac_site_environments": "trac_environments",
    "trac_site_environments_defaults": "trac_environments_defaults",
    "trac_site_ldap": "trac_ldap",
    "trac_site_openid_connect": "trac_openid_connect",
    "trac_site_sites": "trac_sites",
    "trac_site_users": "trac_users",
    "trac_verify_environments": "trac_environments",
    "trac_verify_sites": "trac_sites",
}
# Where a specification has the items of another role's.
_ITEMS_OF = {
    "trac_site_environments": ("trac_environments", "trac_environments_list"),
    "trac_site_environments_defaults": ("trac_environments", "trac_environments_defaults"),
    "trac_verify_environments": ("trac_environments", "trac_environments_list"),
    "trac_verify_sites": ("trac_site", "trac_site_sites"),
}
# Whose items are looked at with all else that is wrong with them (see `_inventory`).
_ITEMS_ELSEWHERE = (
    "trac_environments_list",
    "trac_environments_defaults",
    "trac_site_sites",
    "trac_site_users",
)


def problems(values: t.Mapping[str, t.Any], role: str) -> list[str]:
    """What is wrong with the types of a role's variables, a sentence for each; see `arguments`."""
    defaults = _specification.role_defaults(role)
    found: list[str] = []
    for name, option in _specification.role_options(role).items():
        if name not in values or (values[name] is None and defaults.get(name, "") is None):
            continue
        value = values[name]
        # As in `-e trac_verify_checks=database,plugins`: modules take these apart.
        if name in _LISTS_AS_TEXT and isinstance(value, str):
            value = [item.strip() for item in value.split(",")]
        found += arguments.problems(
            _shown_name(name, defaults), value, _complete(name, option), name=name, numbers=False
        )
    return found


def _complete(name: str, option: _specification.Options) -> _specification.Options:
    """An option with the keys that the items of its list or dictionary may have."""
    if name in _ITEMS_OF:
        return {**option, "options": _specification.item_options(*_ITEMS_OF[name])}
    if name in _ITEMS_ELSEWHERE:
        return {**option, "options": {}, "no_log": arguments.is_secret(name, option)}
    return option


def _shown_name(name: str, defaults: _specification.Options) -> str:
    """What messages call a variable, which users may set by another name."""
    if name in _USERS_NAMES:
        return _USERS_NAMES[name]
    found = _FROM.match(str(defaults.get(name, "")))
    return f"{name} (or {found.group(1)})" if found else name
