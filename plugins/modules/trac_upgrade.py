#!/usr/bin/python
# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: trac_upgrade
short_description: Take the steps of an upgrade of Trac, each with a way back
version_added: "0.1.0"
author: "The trac.mod_wsgi maintainers (@trac-mod-wsgi)"
description:
  - Takes one step of an upgrade after the other, as C(playbooks/upgrade.yml) asks for them. What
    has been done stands in a journal, C(upgrade.json) in O(journal_dir), from which a later run
    knows the way when one is killed.
  - O(venv) becomes a symbolic link to one of the virtual environments in a directory beside it,
    whose name ends in C(-generations). None of them is changed by an upgrade.
  - Environments are copied, upgraded and restored as the account that owns them.
extends_documentation_fragment:
  - trac.mod_wsgi._attributes
attributes:
  check_mode:
    support: partial
    details:
      - O(state=looked) and O(state=prepared) look and change nothing. All other states do nothing.
  diff_mode:
    support: none
  idempotent:
    support: partial
    details:
      - A step that was broken off can be repeated.
options:
  state:
    description:
      - V(looked) says where a new virtual environment belongs, and whether there is a journal.
        It changes nothing.
      - V(prepared) says the same, and makes room for a new virtual environment. It removes what
        failed runs have left there.
      - V(resumed) takes over the journal of a run that was killed.
      - V(begun) opens the journal. The sites have to be closed after it.
      - V(copied) waits until no process of Apache serves Trac any more, and makes a verified copy
        of each of O(environments) in O(archive_directory).
      - V(upgraded) upgrades them, databases and wiki pages, with the new virtual environment.
      - V(switched) puts the new virtual environment into the place of the old one, and its
        single-file plugins into O(plugins_dir).
      - V(verified) notes that the sites answer with it. From here on there is no way back.
      - V(rolled_back) puts the old virtual environment back, and all environments whose upgrade has
        begun. What they had become is kept in O(archive_directory).
      - V(committed) closes the journal and removes the virtual environments but the one in use and
        the one before it. After V(rolled_back) it removes the new one.
    type: str
    required: true
    choices:
      - looked
      - prepared
      - resumed
      - begun
      - copied
      - upgraded
      - switched
      - verified
      - rolled_back
      - committed
  run:
    description: What this run is called, as no other one is.
    type: str
    required: true
  venv:
    description: The path of the virtual environment.
    type: path
    required: true
  plugins_dir:
    description: The directory of single-file plugins.
    type: path
    required: true
  environments:
    description: The names of the environments that have to be upgraded, for O(state=copied).
    type: list
    elements: str
    default: []
  directory:
    description: The directory that the environments are in.
    type: path
    required: true
  archive_directory:
    description: Where copies go. Created with the mode V(0700), for O(user).
    type: path
    required: true
  user:
    description: The account that owns the environments.
    type: str
    required: true
  accounts:
    description:
      - The accounts whose processes of Apache serve Trac, for O(state=copied).
      - Left out, it is O(user). With embedded sites it is Apache's own account as well.
    type: list
    elements: str
  timeout:
    description: Seconds that these processes may take to end their requests.
    type: int
    default: 90
  patience:
    description:
      - Seconds without a sign of life after which a journal of another run counts as left over from
        one that was killed.
    type: int
    default: 120
  reason:
    description: Why it goes back, for the journal, with O(state=rolled_back).
    type: str
    default: ""
  journal_dir:
    description: Where the journal is kept. Created with the mode V(0700).
    type: path
    default: /var/lib/trac-mod-wsgi
notes:
  - Variables of the task's C(environment) whose names begin with C(PG) or C(MYSQL_) reach the
    database's client tools.
"""

EXAMPLES = r"""
- name: Make room for a new virtual environment
  trac.mod_wsgi.trac_upgrade:
    state: prepared
    run: "{{ now(utc=true, fmt='%Y%m%dT%H%M%S%f') }}"
    venv: /opt/trac
    plugins_dir: /srv/trac/plugins
    directory: /srv/trac/environments
    archive_directory: /srv/trac/archive
    user: trac
"""

RETURN = r"""
current:
  description: The virtual environment in use.
  type: str
  returned: O(state=looked), O(state=prepared) and O(state=resumed)
  sample: /opt/trac-generations/1
next:
  description: Where the new one belongs.
  type: str
  returned: O(state=looked), O(state=prepared) and O(state=resumed)
  sample: /opt/trac-generations/2
next_plugins:
  description: Where single-file plugins of the new one belong.
  type: str
  returned: O(state=looked), O(state=prepared) and O(state=resumed)
  sample: /opt/trac-generations/2/plugins
phase:
  description:
    - How far an earlier run has come that is not over, or empty.
    - After C(verified) it has to be completed, otherwise it has to go back.
  type: str
  returned: O(state=looked), O(state=prepared) and O(state=resumed)
  sample: ""
removed:
  description: What was removed.
  type: list
  elements: str
  returned: success
environments:
  description: The environments that are upgraded, and where copies of them are.
  type: list
  elements: dict
  returned: success
  contains:
    name:
      description: The name of the environment.
      type: str
    state:
      description: C(copied), C(upgrading) or C(restored).
      type: str
    copy:
      description: Its verified copy from before the upgrade.
      type: str
    kept:
      description: Where its state after the failed upgrade is, or null.
      type: str
  sample:
    - name: project
      state: upgrading
      copy: /srv/trac/archive/project-20270131T120000Z-before-upgrade
      kept:
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.trac.mod_wsgi.plugins.module_utils._core.worker_process import (
    WorkerError,
)
from ansible_collections.trac.mod_wsgi.plugins.module_utils._upgrade.generations import (
    GenerationError,
)
from ansible_collections.trac.mod_wsgi.plugins.module_utils._upgrade.journal import (
    JournalError,
)
from ansible_collections.trac.mod_wsgi.plugins.module_utils._upgrade.steps import (
    Upgrade,
    UpgradeError,
)


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "state": {
                "type": "str",
                "required": True,
                "choices": [
                    "looked",
                    "prepared",
                    "resumed",
                    "begun",
                    "copied",
                    "upgraded",
                    "switched",
                    "verified",
                    "rolled_back",
                    "committed",
                ],
            },
            "run": {"type": "str", "required": True},
            "venv": {"type": "path", "required": True},
            "plugins_dir": {"type": "path", "required": True},
            "environments": {"type": "list", "elements": "str", "default": []},
            "directory": {"type": "path", "required": True},
            "archive_directory": {"type": "path", "required": True},
            "user": {"type": "str", "required": True},
            "accounts": {"type": "list", "elements": "str"},
            "timeout": {"type": "int", "default": 90},
            "patience": {"type": "int", "default": 120},
            "reason": {"type": "str", "default": ""},
            "journal_dir": {"type": "path", "default": "/var/lib/trac-mod-wsgi"},
        },
        supports_check_mode=True,
    )
    upgrade = Upgrade(module.params, module.check_mode)
    try:
        result = upgrade.take()
    except (UpgradeError, GenerationError, JournalError, WorkerError) as e:
        module.fail_json(msg=str(e))
    except OSError as e:
        module.fail_json(msg=f"The step {module.params['state']} failed: {e}")
    finally:
        for warning in upgrade.warnings:
            module.warn(warning)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
