# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Filters of role trac_site: from the inventory to the files of a web host."""

from __future__ import annotations

import functools
import typing as t

from ansible.errors import AnsibleFilterError

from ansible_collections.trac.mod_wsgi.plugins.filter import inventory_problems
from ansible_collections.trac.mod_wsgi.plugins.module_utils._core import arguments
from ansible_collections.trac.mod_wsgi.plugins.module_utils._site import (
    authentication as site_authentication,
)
from ansible_collections.trac.mod_wsgi.plugins.module_utils._site import plan as plan_module
from ansible_collections.trac.mod_wsgi.plugins.module_utils._site import tls as site_tls


def _in_words(function: t.Callable[..., t.Any]) -> t.Callable[..., t.Any]:
    """The function, with its own errors as those of a filter."""

    @functools.wraps(function)
    def wrapped(*args: t.Any, **kwargs: t.Any) -> t.Any:
        try:
            return function(*args, **kwargs)
        except plan_module.PlanError as error:
            raise AnsibleFilterError(str(error)) from error

    return wrapped


def _converted(sites: t.Iterable[t.Mapping[str, t.Any]]) -> list[t.Any]:
    """Sites with values of the types that the specification says, such as False for "no"."""
    options = inventory_problems.role_options("trac_site")["trac_site_sites"]["options"]
    return [arguments.converted(site, {"type": "dict", "options": options}) for site in sites]


def site_plan(
    sites: t.Sequence[t.Mapping[str, t.Any]],
    environments: t.Sequence[t.Mapping[str, t.Any]],
    settings: t.Mapping[str, t.Any],
) -> dict[str, t.Any]:
    return plan_module.site_plan(_converted(sites), environments, settings)


def site_certificates(
    sites: t.Sequence[t.Mapping[str, t.Any]], directory: str
) -> list[dict[str, t.Any]]:
    return site_tls.certificates(_converted(sites), directory)


def site_scripts(
    sites: t.Sequence[dict[str, t.Any]],
    source: str,
    deployed: t.Mapping[str, str],
    modules: t.Mapping[str, str],
) -> list[dict[str, str]]:
    """The files with the scripts of all sites, for module apache_transaction."""
    beside = [
        {"path": f"{site['directory']}/{name}.py", "content": content, "check": "python"}
        for site in sites
        if site["script"] == "generated"
        for name, content in modules.items()
    ]
    return beside + [
        {
            "path": site["script_path"],
            "content": deployed[site["name"]]
            if site["script"] == "deployed"
            else plan_module.wsgi_script(source, site),
            "check": "python",
        }
        for site in sites
        if site["script"] == "generated" or site["name"] in deployed
    ]


class FilterModule:
    """The filters, by name."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {
            "apache_argument": _in_words(plan_module.apache_argument),
            "python_literal": _in_words(plan_module.python_literal),
            "site_certificates": site_certificates,
            "site_logins": site_authentication.logins,
            "site_plan": _in_words(site_plan),
            "site_scripts": _in_words(site_scripts),
        }
