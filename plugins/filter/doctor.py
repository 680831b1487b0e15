# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Filters that put into words what the module trac_doctor_info has found."""

from __future__ import annotations

import typing as t

from ansible_collections.trac.mod_wsgi.plugins.plugin_utils import _doctor_text


class FilterModule:
    """The filters, by name."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {
            "doctor_failures": _doctor_text.failures,
            "doctor_lines": _doctor_text.lines,
        }
