# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Filters of role trac_site for what keeps its sites out of trouble."""

from __future__ import annotations

import typing as t

from ansible_collections.trac.mod_wsgi.plugins.plugin_utils import _hardening


def hardening_problems(headers: object, rate_limits: object, writable: object) -> list[str]:
    return (
        _hardening.header_problems(headers)
        + _hardening.rate_problems(rate_limits)
        + _hardening.writable_problems(writable)
    )


class FilterModule:
    """The filters, by name."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {
            "hardening_problems": hardening_problems,
            "site_hardening": _hardening.site_hardening,
        }
