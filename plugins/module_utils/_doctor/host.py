# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A host under examination: what root's checks are called with."""

from __future__ import annotations

import functools
import os
import time
import typing as t

from ansible_collections.trac.mod_wsgi.plugins.module_utils._apache import apache_configuration
from ansible_collections.trac.mod_wsgi.plugins.module_utils._apache import host as apache_host
from ansible_collections.trac.mod_wsgi.plugins.module_utils._core import paths
from ansible_collections.trac.mod_wsgi.plugins.module_utils._doctor import registry
from ansible_collections.trac.mod_wsgi.plugins.module_utils._doctor import system as doctor_system
from ansible_collections.trac.mod_wsgi.plugins.module_utils._doctor.pages import Visit
from ansible_collections.trac.mod_wsgi.plugins.module_utils._doctor.result import (
    FAILED,
    SKIPPED,
    Result,
)

SERVER_ROOT = "/etc/apache2"

_LEAST_SECONDS = 5.0  # what a late part of the examination still gets


class Host:
    """The module's parameters, what has been found out so far, and Apache's configuration.

    Apache's configuration is read when the first check asks for it, so that a fault there is a
    fault of that check.
    """

    def __init__(self, params: t.Mapping[str, t.Any]) -> None:
        self.params = params
        self.server_root = SERVER_ROOT
        self.state_directory = paths.STATE_DIR
        self._end: float = time.monotonic() + params["timeout"]
        self.results: list[Result] = []
        # What the worker reports: names and facts of environments, and database servers.
        self.names: list[str] = []
        self.facts: dict[str, dict[str, t.Any]] = {}
        self.servers: list[dict[str, t.Any]] = []
        # What the sites have answered.
        self.visit = Visit()
        # What checks may need and is not there, with the reason.
        self.absent: dict[str, str] = {
            registry.SERVERS: "Nothing has been found out of the environments."
        }

    def seconds_left(self) -> float:
        """Seconds until the time limit of the examination, with a minimum."""
        return max(_LEAST_SECONDS, self._end - time.monotonic())

    def skip(self, names: t.Iterable[str], why: str) -> None:
        """Skip checks, but those that have a result already."""
        known = {result.check for result in self.results}
        self.results += [Result(name, SKIPPED, why) for name in names if name not in known]

    def existing_environments(self) -> list[str]:
        missing = {
            result.subject
            for result in self.results
            if result.check == "environments" and result.status == FAILED
        }
        return [name for name in self.names if f"environment {name}" not in missing]

    @functools.cached_property
    def envvars(self) -> dict[str, str]:
        """Apache's environment variables."""
        return doctor_system.envvars(self.server_root)

    @functools.cached_property
    def configuration(self) -> apache_configuration.Configuration:
        return apache_configuration.read(self.server_root, self.envvars)

    @functools.cached_property
    def pids(self) -> list[int]:
        """Apache's processes."""
        return apache_host.running_apaches()

    def mod_wsgi_path(self) -> str:
        """The file of mod_wsgi that the configuration names; empty if it names none."""
        configured = apache_host.configured_object(self.server_root)
        return os.path.realpath(configured[0]) if configured else ""

    def site_scripts(self) -> list[apache_configuration.Script]:
        """The scripts at the mounts of the sites; the host may have others of no interest."""
        mounts = {site["mount"].rstrip("/") for site in self.params["sites"]}
        return [
            script
            for script in apache_configuration.scripts(self.configuration)
            if script.mount.rstrip("/") in mounts
        ]
