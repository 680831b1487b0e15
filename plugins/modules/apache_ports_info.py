#!/usr/bin/python
# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The module C(trac.mod_wsgi.apache_ports_info)."""

from __future__ import annotations

DOCUMENTATION = r"""
module: apache_ports_info
short_description: Tell on which ports Apache listens, and who holds them
version_added: "0.1.0"
author: "The trac.mod_wsgi maintainers (@trac-mod-wsgi)"
description:
  - Reads the ports of Apache's plain HTTP and those of TLS from C(/etc/apache2/ports.conf), and
    which processes listen on them now. Where Apache is not installed yet, the ports are those that
    its package brings, 80 and 443.
  - Names the server that would keep Apache from starting.
  - Has to run as root; other users do not see whose ports they are.
extends_documentation_fragment:
  - trac.mod_wsgi._attributes
  - trac.mod_wsgi._attributes.read_only
options: {}
"""

EXAMPLES = r"""
- name: Look at Apache's ports
  trac.mod_wsgi.apache_ports_info:
  register: ports

- name: Refuse a host where another server has them
  ansible.builtin.assert:
    that: ports.taken | length == 0
    fail_msg: "{{ ports.taken | map(attribute='message') | join(' ') }}"
"""

RETURN = r"""
endpoints:
  description: Where Apache listens, in the order of the file.
  returned: always
  type: list
  elements: dict
  contains: &endpoint
    address:
      description: The address, empty for all of them.
      type: str
      returned: always
    port:
      description: The port.
      type: int
      returned: always
    url:
      description: The URL under which a program on this host reaches it.
      type: str
      returned: always
      sample: http://127.0.0.1
tls_endpoints:
  description:
    - Where Apache listens for TLS, or will when its module is enabled, in the order of the file.
  returned: always
  type: list
  elements: dict
  version_added: "0.3.0"
  contains: *endpoint
tls_taken:
  description: What a process other than Apache holds of these, as in RV(taken).
  returned: always
  type: list
  elements: dict
  version_added: "0.3.0"
taken:
  description: What a process other than Apache holds of it.
  returned: always
  type: list
  elements: dict
  contains:
    address:
      description: The address, empty for all of them.
      type: str
      returned: always
    port:
      description: The port.
      type: int
      returned: always
    pid:
      description: The process, V(0) where it cannot be seen, as from within a container.
      type: int
      returned: always
    command:
      description: Its name, empty where it cannot be seen.
      type: str
      returned: always
      sample: nginx
    message:
      description: The same in a sentence.
      type: str
      returned: always
      sample: Port 80 is taken by nginx (process 4711).
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.trac.mod_wsgi.plugins.module_utils._apache.host import (
    APACHE_PROGRAMS,
    Listener,
    apache_endpoints,
    apache_tls_endpoints,
    listeners,
)


def taken(found: list[Listener]) -> list[dict[str, Any]]:
    """Those that are not Apache, in the form that is returned."""
    return [
        {
            "address": listener.endpoint.address,
            "port": listener.endpoint.port,
            "pid": listener.pid,
            "command": listener.command,
            "message": sentence(listener),
        }
        for listener in found
        if listener.command not in APACHE_PROGRAMS
    ]


def sentence(listener: Listener) -> str:
    """Who holds the port."""
    port = listener.endpoint.port
    if listener.pid == 0:
        return f"Port {port} is taken by a process that cannot be seen from here."
    return f"Port {port} is taken by {listener.command} (process {listener.pid})."


def main() -> None:
    """Run the module."""
    module = AnsibleModule(argument_spec={}, supports_check_mode=True)
    endpoints, tls_endpoints = apache_endpoints(), apache_tls_endpoints()
    module.exit_json(
        changed=False,
        endpoints=[{"address": one.address, "port": one.port, "url": one.url} for one in endpoints],
        tls_endpoints=[
            {"address": one.address, "port": one.port, "url": one.tls_url} for one in tls_endpoints
        ],
        taken=taken(listeners(endpoints)),
        tls_taken=taken(listeners(tls_endpoints)),
    )


if __name__ == "__main__":
    main()
