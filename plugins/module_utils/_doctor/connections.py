# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Compare what database servers allow with the connections that the sites can open."""

from __future__ import annotations

import typing as t

from ansible_collections.trac.mod_wsgi.plugins.module_utils._apache import apache_configuration
from ansible_collections.trac.mod_wsgi.plugins.module_utils._doctor.host import Host
from ansible_collections.trac.mod_wsgi.plugins.module_utils._doctor.registry import (
    HOST,
    SERVERS,
    check,
)
from ansible_collections.trac.mod_wsgi.plugins.module_utils._doctor.result import (
    FAILED,
    OK,
    SKIPPED,
    Result,
)
from ansible_collections.trac.mod_wsgi.plugins.module_utils._site import connection_budget
from ansible_collections.trac.mod_wsgi.plugins.module_utils._site import plan as site_plan


@check("connections", "The database servers have enough connections", HOST, (SERVERS,))
def connections(host: Host) -> t.Iterator[Result]:
    return budget_results(host.servers, _pools(host))


def _pools(host: Host) -> list[connection_budget.Pool]:
    """The pools of the sites, with as many processes as Apache's configuration gives them."""
    groups = {group.name: group for group in apache_configuration.daemon_groups(host.configuration)}
    sites = []
    for site in host.params["sites"]:
        group = groups.get(f"trac-{site['name']}")
        processes, threads = site["processes"] or 1, site_plan.threads(site)
        if group is not None:
            processes = group.number("processes", 1)
            threads = group.number("threads", 15)
        size = site_plan.pool_size(site)
        sites.append({**site, "processes": processes, "threads": threads, "pool_size": size})
    return connection_budget.pools(sites, host.names)


def budget_results(
    servers: t.Sequence[t.Mapping[str, t.Any]], pools: t.Sequence[connection_budget.Pool]
) -> t.Iterator[Result]:
    """Whether each database server has as many connections as the sites can open."""
    name = "connections"
    if not servers:
        yield Result(name, SKIPPED, "No environment has its database on a server.")
    for found in servers:
        server = connection_budget.Server(
            found["server"],
            found["environments"],
            found.get("max_connections"),
            found.get("reserved", 0),
            found.get("reason", ""),
        )
        budget = connection_budget.budget(server, pools)
        if budget.enough is None:
            # The check database tells what is wrong with it.
            yield Result(name, SKIPPED, f"{server.name}: {server.reason}", subject=server.name)
        elif budget.enough:
            seen = f"{server.name} takes {server.available}, the sites can open {budget.needed}"
            yield Result(name, OK, seen, subject=server.name)
        else:
            yield Result(
                name,
                FAILED,
                budget.warning() or "",
                "With many visitors, pages fail with 'too many connections'.",
                "Raise max_connections, or give the sites fewer processes or a smaller pool_size, "
                "or pooling: per_request.",
                server.name,
            )
