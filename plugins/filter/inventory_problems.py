# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Filters that say what is wrong with an inventory, before a host is touched."""

from __future__ import annotations

import functools
import pathlib
import typing as t

import yaml

from ansible_collections.trac.mod_wsgi.plugins.module_utils import (
    _directories,
    _inventory,
    _site_authentication,
)

_ROLES = pathlib.Path(__file__).resolve().parents[2] / "roles"


@functools.cache
def _options(role: str, variable: str) -> dict[str, t.Any]:
    """The keys that the role's argument specification allows in one item of a list."""
    text = (_ROLES / role / "meta" / "argument_specs.yml").read_text(encoding="utf-8")
    options: dict[str, t.Any] = yaml.safe_load(text)["argument_specs"]["main"]["options"]
    return t.cast("dict[str, t.Any]", options[variable]["options"])


def environment_problems(
    environments: object, defaults: t.Mapping[str, t.Any] | None = None, ignore: object = ()
) -> list[str]:
    return _inventory.environment_problems(
        environments,
        _options("trac_environments", "trac_environments_list"),
        defaults or {},
        _options("trac_environments", "trac_environments_defaults"),
        ignore,
    )


def site_problems(
    sites: object, environments: object, environments_dir: str = "", hello_world_path: str = ""
) -> list[str]:
    return _inventory.site_problems(
        sites,
        environments,
        _options("trac_site", "trac_site_sites"),
        environments_dir,
        hello_world_path,
    )


def named_directories(variables: t.Mapping[str, t.Any]) -> list[dict[str, str]]:
    found = [each._asdict() for each in _directories.directories(variables)]
    places = [
        {"name": path, "path": path, "use": _directories.ROOT, "example": "", "account": ""}
        for path in _directories.FIXED
    ]
    return found + places


class FilterModule:
    """The filters, by name."""

    def filters(self) -> dict[str, t.Callable[..., list[t.Any]]]:
        return {
            "account_problems": _directories.account_problems,
            "authentication_problems": _site_authentication.provider_problems,
            "directory_problems": _directories.problems,
            "environment_problems": environment_problems,
            "named_directories": named_directories,
            "runtime_problems": _inventory.runtime_problems,
            "site_problems": site_problems,
        }
