# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What role trac_site tells of a host and of itself, and the plan that follows."""

from __future__ import annotations

import typing as t

from ansible_collections.trac.mod_wsgi.plugins.module_utils._site import plan
from ansible_collections.trac.mod_wsgi.plugins.plugin_utils import _specification

SETTINGS: dict[str, t.Any] = {
    "dir": "/srv/trac/sites",
    "marker": ".mine",
    "cache_dir": "/var/cache/trac",
    "environments_dir": "/srv/trac/environments",
    "user": "trac",
    "apache_user": "www-data",
    "hello_world_path": "/hello-world",
    "host": "localhost",
    "port": 80,
    "base_url": "http://127.0.0.1",
    "tls_port": 443,
    "tls_base_url": "https://127.0.0.1",
    "tls_dir": "/etc/ssl/trac",
}


def planned(
    sites: t.Sequence[t.Mapping[str, t.Any]],
    environments: t.Sequence[t.Mapping[str, t.Any]],
    settings: t.Mapping[str, t.Any] | None = None,
) -> dict[str, t.Any]:
    """The plan of sites as they stand in an inventory."""
    options = _specification.item_options("trac_site", "trac_site_sites")
    completed = [_specification.completed(site, options) for site in sites]
    return plan.site_plan(completed, environments, SETTINGS if settings is None else settings)
