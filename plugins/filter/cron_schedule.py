# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Filters of role trac_backup, for hosts without systemd."""

from __future__ import annotations

import typing as t

from ansible_collections.trac.mod_wsgi.plugins.plugin_utils import _cron_schedule


class FilterModule:
    """The filters, by name."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {
            "cron_line": _cron_schedule.line,
            "cron_problem": _cron_schedule.problem,
        }
