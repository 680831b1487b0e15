#!/usr/bin/python
# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The module C(trac.mod_wsgi.mod_wsgi_info)."""

from __future__ import annotations

DOCUMENTATION = r"""
module: mod_wsgi_info
short_description: Tell which mod_wsgi a host would install, has installed, and has loaded
version_added: "0.1.0"
author: "The trac.mod_wsgi maintainers (@trac-mod-wsgi)"
description:
  - Reads the version of mod_wsgi in three places on a Debian or Ubuntu host, and says for each
    whether it serves Trac. Versions 1.3, its point releases, and all from 2.3 on do; the 2.0 line
    breaks attachment downloads (Trac ticket 7205).
  - Needs neither the Python bindings of C(apt) nor an installed Apache.
  - Has to run as root to see what the running Apache has loaded. As any other user it reports what
    Apache's configuration would load.
extends_documentation_fragment:
  - trac.mod_wsgi._attributes
  - trac.mod_wsgi._attributes.read_only
options:
  package:
    description:
      - The package that brings mod_wsgi.
    type: str
    default: libapache2-mod-wsgi-py3
seealso:
  - plugin: trac.mod_wsgi.serves_trac
    plugin_type: test
"""

EXAMPLES = r"""
- name: Read the versions of mod_wsgi
  trac.mod_wsgi.mod_wsgi_info:
  register: mod_wsgi

- name: Refuse a package that breaks attachment downloads
  ansible.builtin.assert:
    that: mod_wsgi.candidate.serves_trac
    fail_msg: "{{ mod_wsgi.candidate.message }}"
"""

RETURN = r"""
candidate:
  description: What the package manager would install, from its index as it is on the host now.
  returned: always
  type: dict
  contains: &version
    version:
      description: The version, V(null) where there is none or it cannot be read.
      type: str
      returned: always
      sample: 4.9.4-1+b2
    serves_trac:
      description: Whether this version serves Trac; V(false) where there is no version.
      type: bool
      returned: always
    message:
      description: The same in a sentence, with the reason for a refusal.
      type: str
      returned: always
      sample: mod_wsgi 4.9.4-1+b2 serves Trac.
    warnings:
      description: What is wrong with a version that serves Trac nevertheless.
      type: list
      elements: str
      returned: always
    read_from:
      description: Where the version was read.
      type: str
      returned: always
      sample: apt-cache policy libapache2-mod-wsgi-py3
installed:
  description: The installed package.
  returned: always
  type: dict
  contains: *version
loaded:
  description:
    - The mod_wsgi in the memory of the running Apache. Where none runs, or the running one has not
      loaded it, the one that Apache's configuration names.
    - The version is the one inside the shared object, so it has no revision of a distribution.
      Warnings take the revision of the package into account if the object is the package's.
  returned: always
  type: dict
  contains:
    version:
      description: The version, V(null) where there is none or it cannot be read.
      type: str
      returned: always
      sample: 4.9.4
    serves_trac:
      description: Whether this version serves Trac; V(false) where there is no version.
      type: bool
      returned: always
    message:
      description: The same in a sentence, with the reason for a refusal.
      type: str
      returned: always
    warnings:
      description: What is wrong with a version that serves Trac nevertheless.
      type: list
      elements: str
      returned: always
    read_from:
      description: Where the version was read.
      type: str
      returned: always
      sample: process 1643, /usr/lib/apache2/modules/mod_wsgi.so-3.11
    path:
      description: The shared object, V(null) where there is none.
      type: str
      returned: always
      sample: /usr/lib/apache2/modules/mod_wsgi.so-3.11
    running:
      description: Whether the running Apache has it in its memory.
      type: bool
      returned: always
    stale:
      description:
        - Whether the running Apache still holds an object whose file has been replaced or removed,
          as after an upgrade of the package. It needs a restart.
      type: bool
      returned: always
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.trac.mod_wsgi.plugins.module_utils._apache.mod_wsgi import (
    ModWsgiInfo,
)


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={"package": {"type": "str", "default": "libapache2-mod-wsgi-py3"}},
        supports_check_mode=True,
    )
    info = ModWsgiInfo(module)
    installed = info.installed()
    module.exit_json(
        changed=False,
        candidate=info.candidate(),
        installed=installed,
        loaded=info.loaded(installed["version"]),
    )


if __name__ == "__main__":
    main()
