# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Filters that say what is wrong with an inventory, before a host is touched."""

from __future__ import annotations

import re
import typing as t

from ansible_collections.trac.mod_wsgi.plugins.module_utils._core import arguments, directories
from ansible_collections.trac.mod_wsgi.plugins.module_utils._site import (
    authentication as site_authentication,
)
from ansible_collections.trac.mod_wsgi.plugins.plugin_utils import (
    _hardening,
    _inventory,
    _specification,
)

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
# Whose items other filters look at, with all else that is wrong with them.
_ITEMS_ELSEWHERE = (
    "trac_environments_list",
    "trac_environments_defaults",
    "trac_site_sites",
    "trac_site_users",
)


def role_variables(role: str) -> list[str]:
    """The names of a role's variables."""
    return list(_specification.role_options(role))


def argument_problems(values: t.Mapping[str, t.Any], role: str) -> list[str]:
    options = {name: dict(option) for name, option in _specification.role_options(role).items()}
    for name, option in options.items():
        if name in _ITEMS_OF:
            option["options"] = _specification.item_options(*_ITEMS_OF[name])
        elif name in _ITEMS_ELSEWHERE:
            option.update(options={}, no_log=arguments.is_secret(name, option))
    defaults = _specification.role_defaults(role)
    words = dict(_USERS_NAMES)
    for name in set(options) - set(words):
        found = _FROM.match(str(defaults.get(name, "")))
        if found:
            words[name] = f"{name} (or {found.group(1)})"
    return _inventory.role_problems(values, options, defaults, words)


def environment_problems(
    environments: object, defaults: t.Mapping[str, t.Any] | None = None, ignore: object = ()
) -> list[str]:
    return _inventory.environment_problems(
        environments,
        _specification.item_options("trac_environments", "trac_environments_list"),
        defaults or {},
        _specification.item_options("trac_environments", "trac_environments_defaults"),
        ignore,
    )


def site_problems(
    sites: object, environments: object, environments_dir: str = "", hello_world_path: str = ""
) -> list[str]:
    return _inventory.site_problems(
        sites,
        environments,
        _specification.item_options("trac_site", "trac_site_sites"),
        environments_dir,
        hello_world_path,
    )


def hardening_problems(headers: object, rate_limits: object, writable: object) -> list[str]:
    return (
        _hardening.header_problems(headers)
        + _hardening.rate_problems(rate_limits)
        + _hardening.writable_problems(writable)
    )


def named_directories(variables: t.Mapping[str, t.Any]) -> list[dict[str, str]]:
    found = [each._asdict() for each in directories.directories(variables)]
    places = [
        {"name": path, "path": path, "use": directories.ROOT, "example": "", "account": ""}
        for path in directories.FIXED
    ]
    return found + places


class FilterModule:
    """The filters, by name."""

    def filters(self) -> dict[str, t.Callable[..., list[t.Any]]]:
        return {
            "account_problems": directories.account_problems,
            "argument_problems": argument_problems,
            "authentication_problems": site_authentication.provider_problems,
            "directory_problems": directories.problems,
            "environment_problems": environment_problems,
            "hardening_problems": hardening_problems,
            "named_directories": named_directories,
            "role_variables": role_variables,
            "runtime_problems": _inventory.runtime_problems,
            "site_problems": site_problems,
        }
