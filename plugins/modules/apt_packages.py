# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: apt_packages
short_description: Have packages of Debian or Ubuntu installed
version_added: "0.3.0"
author: The trac.mod_wsgi maintainers (@trac-mod-wsgi)
description:
  - Installs packages without what they only recommend. What is installed stays at its version.
  - Before anything is installed, apt's package index is refreshed when it is older than an hour,
    and when it does not know one of the packages, however new it looks, as in an image whose
    package lists were deleted. Where nothing is missing, apt is not called.
  - When a package cannot be downloaded because the archive has a newer one, the index is refreshed
    and the installation tried once more.
  - It fails when the index cannot be refreshed, when the host's package sources do not have a
    package, and when M(ansible.builtin.apt), which does the work, fails.
extends_documentation_fragment:
  - trac.mod_wsgi._attributes
attributes:
  check_mode:
    support: full
    details:
      - Where something is missing, the package index is refreshed in check mode, too, and
        C(python3-apt) installed, without which nothing can be predicted.
  diff_mode:
    support: full
  idempotent:
    support: full
options:
  name:
    description: The names of the packages, without versions. Virtual packages are not understood.
    type: list
    elements: str
    required: true
  state:
    description:
      - With V(known), nothing is installed; the index knows the packages that are missing
        afterwards, if the sources have them. This is no change.
    type: str
    choices: [present, known]
    default: present
  default_release:
    description: The release to take packages from, as for M(ansible.builtin.apt).
    type: str
seealso:
  - module: ansible.builtin.apt
"""

EXAMPLES = r"""
- name: Install git
  trac.mod_wsgi.apt_packages:
    name: [git]
"""

RETURN = r"""
stdout:
  description: What apt said.
  type: str
  returned: when something was installed
"""
