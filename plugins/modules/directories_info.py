#!/usr/bin/python
# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The module C(trac.mod_wsgi.directories_info)."""

from __future__ import annotations

DOCUMENTATION = r"""
module: directories_info
short_description: Refuse directories that others could replace, and accounts of the system
version_added: "0.3.0"
author: "The trac.mod_wsgi maintainers (@trac-mod-wsgi)"
description:
  - Follows each path on the host, through all symbolic links, and fails where root would run, write
    or give away what another account can put there; where an existing directory would be given
    to the service account that has nothing to do with Trac; and where an account or a group is
    one of the system's.
  - Has to run as root; what other users cannot see they do not look at.
extends_documentation_fragment:
  - trac.mod_wsgi._attributes
  - trac.mod_wsgi._attributes.read_only
options:
  directories:
    description:
      - What the inventory names, as M(trac.mod_wsgi.validate_variables) returns it.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description: The variable, for messages.
        type: str
        required: true
      path:
        description: The absolute path, as the inventory spells it.
        type: str
        required: true
      use:
        description: What it is used for.
        type: str
        required: true
        choices: [root, served, code, environments, archive, repositories, cache]
      example:
        description: What else it could be, for messages.
        type: str
        default: ""
      account:
        description: The account that a V(cache) belongs to.
        type: str
        default: ""
  user:
    description: The service account. It need not exist yet.
    type: str
    required: true
  group:
    description: Its group. It need not exist yet.
    type: str
    required: true
  accounts:
    description:
      - Accounts and groups, by the variables that name them; those that end in C(_group) name
        groups.
      - One that does not exist is passed by.
    type: dict
    default: {}
"""

EXAMPLES = r"""
- name: Look at what the directories lead to
  trac.mod_wsgi.directories_info:
    directories:
      - {name: trac_runtime_venv, path: /opt/trac, use: root, example: /opt/trac, account: ""}
    user: trac
    group: trac
    accounts:
      trac_runtime_user: trac
  register: directories
"""

RETURN = r"""
paths:
  description: The paths that were looked at.
  returned: success
  type: list
  elements: str
directories:
  description: What is there, by the names in O(directories[].name).
  returned: success
  type: dict
  contains:
    exists:
      description: Whether there is something at the path.
      type: bool
      returned: always
    parent_exists:
      description: Whether there is the directory that it lies in.
      type: bool
      returned: always
    held:
      description: Whether nobody but root can put something else in its place.
      type: bool
      returned: always
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.trac.mod_wsgi.plugins.module_utils._core import directories
from ansible_collections.trac.mod_wsgi.plugins.module_utils._site import host_directories

_USES = [
    directories.ROOT,
    directories.SERVED,
    directories.CODE,
    directories.ENVIRONMENTS,
    directories.ARCHIVE,
    directories.REPOSITORIES,
    directories.CACHE,
]


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "directories": {
                "type": "list",
                "elements": "dict",
                "required": True,
                "options": {
                    "name": {"type": "str", "required": True},
                    "path": {"type": "str", "required": True},
                    "use": {"type": "str", "required": True, "choices": _USES},
                    "example": {"type": "str", "default": ""},
                    "account": {"type": "str", "default": ""},
                },
            },
            "user": {"type": "str", "required": True},
            "group": {"type": "str", "required": True},
            "accounts": {"type": "dict", "default": {}},
        },
        supports_check_mode=True,
    )
    account = host_directories.account_of(module.params["user"], module.params["group"])
    found, places = host_directories.problems(
        host_directories.Host(account),
        [directories.Directory(**each) for each in module.params["directories"]],
    )
    found = host_directories.account_problems(module.params["accounts"]) + found
    if found:
        module.fail_json(msg="\n".join([*found, "Nothing has been changed."]))
    paths = [each["path"] for each in module.params["directories"]]
    module.exit_json(changed=False, directories=places, paths=paths)


if __name__ == "__main__":
    main()
