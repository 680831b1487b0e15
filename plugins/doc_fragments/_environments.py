# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Options that the modules share which work on environments as the service account."""

from __future__ import annotations


class ModuleDocFragment:
    """The fragments ``trac.mod_wsgi._environments`` and ``trac.mod_wsgi._environments.group``."""

    DOCUMENTATION = r"""
options:
  directory:
    description: The directory that the environments are in.
    type: path
    required: true
  python:
    description: The Python interpreter that has Trac, that of the virtual environment.
    type: path
    required: true
  user:
    description: The account that owns the environments, and that everything that is done with them
      is done as.
    type: str
    required: true
"""

    GROUP = r"""
options:
  group:
    description:
      - The group of what is created.
      - If left out, this is the main group of O(user).
    type: str
"""
