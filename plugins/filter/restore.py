# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Filters of role trac_restore: from what is wanted to what the module is told."""

from __future__ import annotations

import typing as t

from ansible_collections.trac.mod_wsgi.plugins.plugin_utils import _restore_input


class FilterModule:
    """The filters, by name."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {
            "restore_archives": _restore_input.newest,
            "restore_items": _restore_input.items,
        }
