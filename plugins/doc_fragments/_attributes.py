# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Attributes that the modules of this collection share.

A module takes them with ``extends_documentation_fragment: trac.mod_wsgi._attributes``
and says under ``attributes`` only how far it supports each. One that only reads takes
``trac.mod_wsgi._attributes.read_only`` as well, and says nothing more.
"""

from __future__ import annotations


class ModuleDocFragment:
    """The fragments ``trac.mod_wsgi._attributes`` and ``trac.mod_wsgi._attributes.read_only``."""

    DOCUMENTATION = r"""
options: {}
attributes:
  check_mode:
    description: Can run in C(check_mode) and return what a run would change, without changing it.
  diff_mode:
    description: Returns what has changed (or would change in C(check_mode)) when in diff mode.
  idempotent:
    description: When run twice in a row outside check mode, with the same arguments, the second run
      changes nothing.
"""

    READ_ONLY = r"""
options: {}
attributes:
  check_mode:
    support: full
    details:
      - Only reads, and does the same in check mode.
  diff_mode:
    support: none
    details:
      - Changes nothing.
  idempotent:
    support: full
"""
