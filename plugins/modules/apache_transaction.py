#!/usr/bin/python
# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: apache_transaction
short_description: Change Apache's configuration as a whole, with a way back
version_added: "0.1.0"
author: The trac.mod_wsgi maintainers (@trac-mod-wsgi)
description:
  - Installs and removes files and symbolic links of Apache's configuration, and scripts that it
    serves, in one step.
  - Before anything is written, Apache itself reads a copy of its configuration with all changes
    in it. When it refuses, the module fails with Apache's own message and the host stays as it was.
  - What stood there before goes to a journal. After the reload and a look at the running site, the
    transaction is either V(committed), which removes the journal, or V(rolled_back), which puts
    everything back.
  - A journal that is found by O(state=present) is left over from a run that was interrupted between
    the two. The module then reports a change, so that reload and verification happen again, and
    keeps the oldest content for a rollback.
  - Runs at the same time take turns. One that finds the journal of another which is not dead but at
    work takes it over; with O(token) that other one then fails, and touches nothing any more.
extends_documentation_fragment:
  - trac.mod_wsgi._attributes
attributes:
  check_mode:
    support: full
    details:
      - Compares and lets Apache test the candidate, but writes nothing.
      - Where Apache is not installed, the change is predicted without the test.
  diff_mode:
    support: full
  idempotent:
    support: full
options:
  name:
    description:
      - The name of the transaction and of its journal.
    type: str
    required: true
  state:
    description:
      - V(present) makes the changes and leaves a journal behind.
      - V(committed) declares them good and removes the journal.
      - V(rolled_back) restores what the journal holds and removes it. Without a journal nothing
        happens.
    type: str
    choices: [present, committed, rolled_back]
    default: present
  token:
    description:
      - For V(committed) and V(rolled_back) the RV(token) that V(present) has returned. They then
        fail where another run has taken over, or has ended, the transaction in the meantime.
    type: str
  files:
    description:
      - Regular files. They belong to the account that runs the module, which is usually C(root).
    type: list
    elements: dict
    default: []
    suboptions:
      path:
        description: The absolute path of the file.
        type: path
        required: true
      content:
        description: The whole content of the file.
        type: str
        required: true
      mode:
        description: The permissions, octal digits in quotes.
        type: str
        default: "0644"
      check:
        description:
          - V(python) compiles the content with the interpreter O(python) before a change is made.
        type: str
        choices: [none, python]
        default: none
  secret_files:
    description:
      - More files, their contents by their absolute paths. They have mode 0600; Apache reads its
        configuration as C(root).
      - Their contents appear in no log. Of no file that others may not read the content appears in
        a diff.
    type: dict
    default: {}
    version_added: "0.3.0"
  links:
    description:
      - Symbolic links, such as those of C(conf-enabled).
      - What stands at their place is only replaced if it is a link to the same file or a file that
        a role of this collection has made.
    type: list
    elements: dict
    default: []
    suboptions:
      path:
        description: The absolute path of the link.
        type: path
        required: true
      target:
        description: What the link points to, as it is to be written.
        type: str
        required: true
  absent_links:
    description:
      - Symbolic links to remove. What does not lead to the target is somebody else's, and stays.
    type: list
    elements: dict
    default: []
    version_added: "0.3.0"
    suboptions:
      path:
        description: The absolute path of the link.
        type: path
        required: true
      target:
        description: What the link points to, as it was written.
        type: str
        required: true
  absent:
    description:
      - Absolute paths of files and links to remove.
    type: list
    elements: path
    default: []
  python:
    description:
      - The interpreter for files with O(files[].check=python).
    type: path
  skip_test:
    description:
      - Only predict, without Apache's and Python's opinion. Honoured in check mode only, for hosts
        on which the modules, accounts or interpreters do not exist yet.
    type: bool
    default: false
  config_dir:
    description:
      - The directory of Apache's configuration, with C(apache2.conf) and C(envvars) in it.
    type: path
    default: /etc/apache2
  apache:
    description:
      - Apache's own program, as a name or an absolute path.
    type: str
    default: apache2
  journal_dir:
    description:
      - Where the journal is kept. Created with mode 0700.
    type: path
    default: /var/lib/trac-mod-wsgi
"""

EXAMPLES = r"""
- name: Install a virtual host and its script
  trac.mod_wsgi.apache_transaction:
    name: example
    python: /opt/trac/bin/python
    files:
      - path: /srv/trac/sites/example/trac.wsgi
        content: "{{ lookup('ansible.builtin.template', 'trac.wsgi.j2') }}"
        check: python
      - path: /etc/apache2/sites-available/example.conf
        content: "{{ lookup('ansible.builtin.template', 'example.conf.j2') }}"
    links:
      - path: /etc/apache2/sites-enabled/example.conf
        target: ../sites-available/example.conf
  notify: Reload Apache
  register: transaction

- name: Declare the change good
  trac.mod_wsgi.apache_transaction:
    name: example
    state: committed
    token: "{{ transaction.token }}"

- name: Put everything back
  trac.mod_wsgi.apache_transaction:
    name: example
    state: rolled_back
    token: "{{ transaction.token }}"
  notify: Reload Apache
"""

RETURN = r"""
paths:
  description: The paths that were changed, or that would be in check mode, or that were restored.
  type: list
  elements: str
  returned: success
  sample: [/etc/apache2/sites-available/000-trac.conf]
tested:
  description: Whether Apache has read the candidate and found it good.
  type: bool
  returned: O(state=present)
resumed:
  description: Whether the journal of an interrupted run was found.
  type: bool
  returned: O(state=present)
token:
  description: Shows later that the journal is the one of this call; empty when there is none.
  type: str
  returned: O(state=present), also when the module fails
"""

import subprocess

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.trac.mod_wsgi.plugins.module_utils._apache import virtual_host_copies
from ansible_collections.trac.mod_wsgi.plugins.module_utils._apache.transaction import (
    TransactionError,
)
from ansible_collections.trac.mod_wsgi.plugins.module_utils._apache.transaction_step import (
    Transaction,
)


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "name": {"type": "str", "required": True},
            "state": {
                "type": "str",
                "choices": ["present", "committed", "rolled_back"],
                "default": "present",
            },
            "token": {"type": "str", "no_log": False},
            "files": {
                "type": "list",
                "elements": "dict",
                "default": [],
                "options": {
                    "path": {"type": "path", "required": True},
                    "content": {"type": "str", "required": True},
                    "mode": {"type": "str", "default": "0644"},
                    "check": {
                        "type": "str",
                        "choices": ["none", "python"],
                        "default": "none",
                    },
                },
            },
            "secret_files": {"type": "dict", "default": {}, "no_log": True},
            "links": {
                "type": "list",
                "elements": "dict",
                "default": [],
                "options": {
                    "path": {"type": "path", "required": True},
                    "target": {"type": "str", "required": True},
                },
            },
            "absent_links": {
                "type": "list",
                "elements": "dict",
                "default": [],
                "options": {
                    "path": {"type": "path", "required": True},
                    "target": {"type": "str", "required": True},
                },
            },
            "absent": {"type": "list", "elements": "path", "default": []},
            "python": {"type": "path"},
            "skip_test": {"type": "bool", "default": False},
            "config_dir": {"type": "path", "default": "/etc/apache2"},
            "apache": {"type": "str", "default": "apache2"},
            "journal_dir": {"type": "path", "default": "/var/lib/trac-mod-wsgi"},
        },
        supports_check_mode=True,
    )
    transaction = None
    try:
        transaction = Transaction(module.params, module.check_mode)
        result = transaction.run()
    except TransactionError as error:
        module.fail_json(msg=str(error), token=transaction.token if transaction else "")
    except (OSError, subprocess.TimeoutExpired) as error:
        msg = f"The transaction {module.params['name']} failed: {error}"
        module.fail_json(msg=msg, token=transaction.token if transaction else "")
    copies = virtual_host_copies.advice(module.params["config_dir"])
    if copies and module.params["state"] == "present":
        module.warn(copies)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
