# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Filters of role trac_environments: from the inventory to the repositories of a host."""

from __future__ import annotations

import typing as t

from ansible_collections.trac.mod_wsgi.plugins.module_utils._trac import repository_spec


class FilterModule:
    """The filters, by name."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {
            "located_repositories": repository_spec.located,
            "repositories_on_host": repository_spec.on_host,
        }
