# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Examine one environment: trac.ini, and if Trac can open it, all checks of the group TRAC.

This runs under the Python that has Trac, as the account that owns the environments, and writes
nothing: the environment is opened without its log, and saving trac.ini does nothing.
"""

from __future__ import annotations

import dataclasses
import os
import typing as t

from ansible_collections.trac.mod_wsgi.plugins.module_utils._core import secrets
from ansible_collections.trac.mod_wsgi.plugins.module_utils._doctor import (
    attachments,
    database,
    files,
    loading,
    plugins,
    registry,
    reports,
    trac_ini,
)
from ansible_collections.trac.mod_wsgi.plugins.module_utils._doctor.opened import OpenedEnvironment
from ansible_collections.trac.mod_wsgi.plugins.module_utils._doctor.result import (
    FAILED,
    OK,
    SKIPPED,
    Result,
)
from ansible_collections.trac.mod_wsgi.plugins.module_utils._trac import fault as trac_fault
from ansible_collections.trac.mod_wsgi.plugins.module_utils._trac import login as trac_login
from ansible_collections.trac.mod_wsgi.plugins.module_utils._trac import named_files, opening
from ansible_collections.trac.mod_wsgi.plugins.module_utils._trac.environment_spec import (
    EnvironmentFailure,
)
from ansible_collections.trac.mod_wsgi.plugins.module_utils._trac.ini import IniFile

# In the order in which they run, and are shown.
CHECKS = tuple(registry.of(database, reports, attachments, plugins, trac_ini))
_NAMES = [each.name for each in CHECKS if each.title]

_SUBVERSION = "tracopt.versioncontrol.svn.svn_fs.SubversionConnector"


class Examination:
    """The examination of one environment."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.subject = f"environment {os.path.basename(path)}"
        self.results: list[Result] = []
        # What root's checks need to know.
        self.facts: dict[str, t.Any] = {
            "title": None,
            "subversion": False,
            # Why Trac takes no login, or none at /login, and what to do: in turn.
            "no_login": [],
            "no_login_page": [],
        }
        self.redactor = secrets.Redactor()

    def run(self) -> None:
        """Make all checks; what cannot be checked is skipped, with the reason."""
        if files.check_existence(self.path).status != OK:
            self._skip("there is no environment (see environments)")
            return
        if files.ini_fault(self.path) is not None:
            self._skip("trac.ini cannot be read (see environment_files)")
            return
        try:
            ini = IniFile(os.path.join(self.path, files.INI))
        except EnvironmentFailure as e:
            self._add([trac_ini.corrupt(str(e), self.subject)])
            self._skip("trac.ini cannot be read")
            return
        if not any(ini.options.values()):
            self._add([trac_ini.empty(ini, self.subject)])
            self._skip("trac.ini holds nothing")
            return
        for option, value in ini.secrets():
            self.redactor.learn(option, value)
        inherited = named_files.inherited(ini.parser, ini.path)
        self._add(trac_ini.fault_results(inherited, self.path, self.subject))
        if any(fault.effect == trac_fault.DOWN for fault in inherited):
            self._skip("what trac.ini inherits from cannot be read")
            return
        self._open(ini)

    def _open(self, ini: IniFile) -> None:
        environment_class = loading.environment_class()
        known = len(environment_class.failed_plugins.messages)
        try:
            environment = environment_class(self.path, ini.proposed({}))
        # A plugin may raise any exception when it is loaded.
        except Exception as e:  # noqa: BLE001
            why = opening.reason(e, self.path)
            result = Result(
                "database",
                FAILED,
                f"Trac cannot open {self.path}: {why}",
                "Every page of the environment is answered with 500.",
                "Correct what is named. If it is a plugin: remove it, or switch it off under "
                "[components] in trac.ini.",
                self.subject,
            )
            self._add([result])
            self._skip("Trac cannot open it")
            return
        with opening.opened(environment):
            self._find_facts(environment)
            messages = environment_class.failed_plugins.messages[known:]
            self._check(OpenedEnvironment(environment, ini, messages, self.subject))

    def _find_facts(self, environment: t.Any) -> None:
        self.facts["title"] = environment.config.get("project", "name") or None
        for key, faults in (
            ("no_login", trac_login.faults(environment)),
            ("no_login_page", trac_login.clashes(environment)),
        ):
            self.facts[key] = [part for each in faults for part in (each.words, each.advice)]
        self.facts["subversion"] = environment.is_component_enabled(_SUBVERSION) is True

    def _check(self, opened: OpenedEnvironment) -> None:
        for check in CHECKS:
            why = registry.missing(check.needs, opened.absent)
            if why:
                self._add([opened.result(check.name, SKIPPED, f"{self.path}: {why}.")])
            else:
                self._add(check.function(opened))

    def _add(self, results: t.Iterable[Result]) -> None:
        for result in results:
            seen = self.redactor.redact(result.seen)
            self.results.append(dataclasses.replace(result, seen=seen))

    def _skip(self, why: str) -> None:
        """Skip all checks that have no result yet."""
        known = {result.check for result in self.results}
        seen = f"{self.path}: {why}."
        self._add(
            Result(name, SKIPPED, seen, subject=self.subject)
            for name in _NAMES
            if name not in known
        )
