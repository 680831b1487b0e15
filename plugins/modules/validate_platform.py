# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: validate_platform
short_description: Refuse a host whose release the roles do not support
version_added: "0.3.0"
author: The trac.mod_wsgi maintainers (@trac-mod-wsgi)
description:
  - Compares the host's distribution and its version with those that the roles of this collection
    support, and fails with a sentence that names these.
  - Works on the controller, with the facts of the host. Where they have not been gathered, it
    gathers those that are needed, and the host has them afterwards.
extends_documentation_fragment:
  - trac.mod_wsgi._attributes
  - trac.mod_wsgi._attributes.read_only
options: {}
"""

EXAMPLES = r"""
- name: Refuse a platform that is not supported
  trac.mod_wsgi.validate_platform:
"""

RETURN = r"""
ansible_facts:
  description: Facts about the distribution and the service manager.
  type: dict
  returned: when they had not been gathered
"""
