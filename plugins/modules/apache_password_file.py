#!/usr/bin/python
# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: apache_password_file
short_description: Have a password file of Apache hold exactly these users
version_added: "0.3.0"
author: The trac.mod_wsgi maintainers (@trac-mod-wsgi)
description:
  - Writes a file for Apache's C(AuthUserFile), for all users at once. Whoever is not named is not
    in it any more.
  - A password that has not changed keeps its hash, and nothing is hashed anew as long as nothing
    has changed. That is recognized by a comment in the file, whatever the number of users.
  - Passwords appear in no log, no difference and no process's arguments.
  - Needs C(htpasswd) of Debian's package C(apache2-utils) for O(type=basic).
extends_documentation_fragment:
  - trac.mod_wsgi._attributes
attributes:
  check_mode:
    support: full
    details:
      - Where C(htpasswd) is not installed, a changed file is predicted without asking it.
  diff_mode:
    support: full
    details:
      - Shows names, and for which of them the password changes.
  idempotent:
    support: full
options:
  path:
    description:
      - The absolute path of the file. It belongs to C(root), has mode 0640, and is replaced in one
        step.
    type: path
    required: true
  type:
    description:
      - V(basic) for HTTP Basic, with hashes of bcrypt at cost 10.
      - V(digest) for HTTP Digest, which prescribes MD5 of name, realm and password. Whoever has
        such a file can log in with it, so keep it as safe as the passwords themselves.
    type: str
    choices: [basic, digest]
    default: basic
  passwords:
    description:
      - The passwords by the users' names, without line breaks, NUL and other control characters.
      - Of a password for O(type=basic) at most 72 bytes in UTF-8.
    type: dict
    default: {}
  realms:
    description:
      - The realms for O(type=digest), as in Apache's C(AuthName). The users can log in to each.
    type: list
    elements: str
    default: []
  group:
    description:
      - The group of the file, whose members may read it.
    type: str
    default: www-data
  state:
    description:
      - V(absent) removes the file.
    type: str
    choices: [present, absent]
    default: present
"""

EXAMPLES = r"""
- name: Let exactly these users log in
  trac.mod_wsgi.apache_password_file:
    path: /etc/apache2/trac/users.htpasswd
    passwords:
      anna: "{{ vault_anna }}"
      joé: "{{ vault_joe }}"
"""

RETURN = r"""
added:
  description: Names that were not there before. With O(type=digest), name and realm.
  type: list
  elements: str
  returned: success
removed:
  description: Names that are not there any more.
  type: list
  elements: str
  returned: success
updated:
  description: Names whose password was another one.
  type: list
  elements: str
  returned: success
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.trac.mod_wsgi.plugins.module_utils._apache import password_file
from ansible_collections.trac.mod_wsgi.plugins.module_utils._apache import (
    transaction as apache_transaction,
)
from ansible_collections.trac.mod_wsgi.plugins.module_utils._apache.password_file_update import (
    PasswordFile,
)


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "path": {"type": "path", "required": True},
            "type": {"type": "str", "choices": ["basic", "digest"], "default": "basic"},
            "passwords": {"type": "dict", "default": {}, "no_log": True},
            "realms": {"type": "list", "elements": "str", "default": []},
            "group": {"type": "str", "default": "www-data"},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
        },
        supports_check_mode=True,
    )
    try:
        result = PasswordFile(module.params, module.check_mode).run()
    except (
        password_file.PasswordFileError,
        apache_transaction.TransactionError,
        OSError,
    ) as e:
        module.fail_json(msg=f"{module.params['path']}: {e}")
    module.exit_json(**result)


if __name__ == "__main__":
    main()
