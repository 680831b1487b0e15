# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter that says why pip failed."""

from __future__ import annotations

import typing as t

from ansible_collections.trac.mod_wsgi.plugins.plugin_utils import _pip_failure


class FilterModule:
    """The filter, by its name."""

    def filters(self) -> dict[str, t.Callable[..., str]]:
        return {"pip_failure": _pip_failure.reason}
