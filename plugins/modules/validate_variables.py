# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: validate_variables
short_description: Check the variables of a role of this collection
version_added: "0.3.0"
author: The trac.mod_wsgi maintainers (@trac-mod-wsgi)
description:
  - Fails when variables of a role have values that it cannot work with, with one sentence for each
    problem that names the variable and what it may be.
  - The types are compared with the role's argument specification first; the other checks of the
    role follow when all types are right. Values that may be secret are not repeated.
  - Runs on the controller; the host is not asked. What directories lead to there, the module
    M(trac.mod_wsgi.directories_info) says.
extends_documentation_fragment:
  - trac.mod_wsgi._attributes
  - trac.mod_wsgi._attributes.read_only
options:
  role:
    description: The name of the role, such as V(trac_site). Its variables are those of the task.
    type: str
    required: true
  directories:
    description:
      - Variables of other roles that name directories, with their values; they are checked beside
        those of the role. C(trac_sites) may be among them.
    type: dict
    default: {}
  accounts:
    description:
      - Variables of other roles that name accounts or groups, with their values. The names of
        those for groups end in C(_group).
    type: dict
    default: {}
  archives:
    description: The backups on the controller, for role P(trac.mod_wsgi.trac_restore#role).
    type: list
    elements: str
    default: []
seealso:
  - module: trac.mod_wsgi.directories_info
"""

EXAMPLES = r"""
- name: Check the variables of role trac_backup
  trac.mod_wsgi.validate_variables:
    role: trac_backup
  register: checked

- name: Refuse directories that other accounts can replace, and system accounts
  trac.mod_wsgi.directories_info:
    directories: "{{ checked.directories }}"
    user: "{{ trac_backup_user }}"
    group: "{{ trac_backup_group }}"
    accounts: "{{ checked.accounts }}"
"""

RETURN = r"""
directories:
  description:
    - The directories that variables name, and those that the roles use without a variable, as
      M(trac.mod_wsgi.directories_info) takes them.
  type: list
  elements: dict
  returned: success
accounts:
  description: The accounts and groups, by the variables that name them.
  type: dict
  returned: success
"""
