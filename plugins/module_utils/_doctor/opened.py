# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An environment that Trac has opened: what checks of the group TRAC are called with."""

from __future__ import annotations

import functools
import typing as t

from ansible_collections.trac.mod_wsgi.plugins.module_utils._doctor.registry import DATABASE
from ansible_collections.trac.mod_wsgi.plugins.module_utils._doctor.result import Result
from ansible_collections.trac.mod_wsgi.plugins.module_utils._trac import findings as trac_findings
from ansible_collections.trac.mod_wsgi.plugins.module_utils._trac.finding import Finding
from ansible_collections.trac.mod_wsgi.plugins.module_utils._trac.ini import IniFile


class OpenedEnvironment:
    """An environment, and what its checks have found out so far."""

    def __init__(
        self, environment: t.Any, ini: IniFile, failed_plugins: t.Sequence[str], subject: str
    ) -> None:
        self.environment = environment
        self.path: str = environment.path
        self.ini = ini
        self.failed_plugins = failed_plugins  # Trac's log messages about them
        self.subject = subject
        # Whether it needs an upgrade, as far as can be told.
        self.outdated = False
        # What checks may need and is not there, with the reason.
        self.absent: dict[str, str] = {}

    def result(
        self, check: str, status: str, seen: str, means: str = "", advice: str = ""
    ) -> Result:
        """A result about this environment."""
        return Result(check, status, seen, means, advice, self.subject)

    def has(self, need: str) -> bool:
        return need not in self.absent

    @functools.cached_property
    def findings(self) -> list[Finding]:
        """The warnings that a run of site.yml would have."""
        return trac_findings.findings(self.environment, self.ini, ask=self.has(DATABASE))
