#!/usr/bin/python
# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: connection_budget_info
short_description: See whether database servers have enough connections for Trac sites
version_added: "0.2.0"
author: The trac.mod_wsgi maintainers (@trac-mod-wsgi)
description:
  - Computes how many connections to PostgreSQL, MySQL or MariaDB servers the sites of a host can
    open, asks the servers how many they take, and warns when that can be too few.
  - Where an environment has its database is read from its C(trac.ini). Each server is asked over
    one connection of an environment, as Trac would open it.
  - A server that does not answer is named in a warning. It is no failure.
extends_documentation_fragment:
  - trac.mod_wsgi._attributes
  - trac.mod_wsgi._attributes.read_only
options:
  environments:
    description:
      - The names of all environments. Those without a database on a server are passed over.
    type: list
    elements: str
    required: true
  directory:
    description: The directory that the environments are in.
    type: path
    required: true
  python:
    description: The Python interpreter that has Trac, that of the virtual environment.
    type: path
    required: true
  user:
    description: The account that owns the environments, and that the servers are asked as.
    type: str
    required: true
  sites:
    description: The sites that serve the environments.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description: What the site is called in messages.
        type: str
        required: true
      mode:
        description: Whether it runs in processes of its own, or inside of Apache's.
        type: str
        choices: [daemon, embedded]
        default: daemon
      processes:
        description:
          - The number of its processes. For V(embedded), the number of Apache's own, which are 6
            with the 150 workers that it has on Debian.
        type: int
        default: 2
      threads:
        description: The number of threads in each.
        type: int
        default: 5
      pool_size:
        description: The size of Trac's pool in each.
        type: int
        default: 10
      pooling:
        description: How long connections stay open.
        type: str
        choices: [enabled, disabled, per_request]
        default: enabled
      environment:
        description: The one environment that it serves. Left out or empty, it serves all of them.
        type: str
  hosts:
    description:
      - How many hosts like this one there are. Servers with an address that means this host alone
        are not shared by them.
    type: int
    default: 1
"""

EXAMPLES = r"""
- name: See whether the database servers have enough connections
  trac.mod_wsgi.connection_budget_info:
    environments: [one, two]
    directory: /srv/trac/environments
    python: /opt/trac/bin/python
    user: trac
    sites:
      - name: projects
        processes: 4
        threads: 10
        pool_size: 10
"""

RETURN = r"""
servers:
  description: The database servers of the environments.
  type: list
  elements: dict
  returned: always
  contains:
    server:
      description: Kind, address and port.
      type: str
    environments:
      description: The environments that have their database there.
      type: list
      elements: str
    needed:
      description: The most connections that the sites can open.
      type: int
    available:
      description: What the server has for them, or null when it could not be asked.
      type: int
    enough:
      description: Whether that is enough, or null when it is not known.
      type: bool
    reason:
      description: Why the server could not be asked, empty if it could.
      type: str
  sample:
    - server: postgres://db.example.org:5432
      environments: [one, two]
      needed: 40
      available: 97
      enough: true
      reason: ""
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.trac.mod_wsgi.plugins.module_utils._site import connection_budget
from ansible_collections.trac.mod_wsgi.plugins.module_utils._site.connection_query import (
    NotReady,
    as_dict,
    ask,
)


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "environments": {"type": "list", "elements": "str", "required": True},
            "directory": {"type": "path", "required": True},
            "python": {"type": "path", "required": True},
            "user": {"type": "str", "required": True},
            "sites": {
                "type": "list",
                "elements": "dict",
                "required": True,
                "options": {
                    "name": {"type": "str", "required": True},
                    "mode": {
                        "type": "str",
                        "choices": ["daemon", "embedded"],
                        "default": "daemon",
                    },
                    "processes": {"type": "int", "default": 2},
                    "threads": {"type": "int", "default": 5},
                    "pool_size": {"type": "int", "default": 10},
                    "pooling": {
                        "type": "str",
                        "choices": ["enabled", "disabled", "per_request"],
                        "default": "enabled",
                    },
                    "environment": {"type": "str"},
                },
            },
            "hosts": {"type": "int", "default": 1},
        },
        supports_check_mode=True,
    )
    params = module.params
    try:
        servers = ask(params)
    except NotReady as e:
        module.warn(f"The database servers could not be asked how many connections they take: {e}")
        servers = []
    pools = connection_budget.pools(params["sites"], params["environments"])
    budgets = [connection_budget.budget(server, pools, params["hosts"]) for server in servers]
    for budget in budgets:
        warning = budget.warning()
        if warning:
            module.warn(warning)
    module.exit_json(changed=False, servers=[as_dict(budget) for budget in budgets])


if __name__ == "__main__":
    main()
