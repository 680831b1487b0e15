# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Examine a host: run all checks that are wanted."""

from __future__ import annotations

import dataclasses
import functools
import typing as t

from ansible_collections.trac.mod_wsgi.plugins.module_utils._apache import host as apache_host
from ansible_collections.trac.mod_wsgi.plugins.module_utils._core import secrets
from ansible_collections.trac.mod_wsgi.plugins.module_utils._doctor import (
    checks,
    pages,
    registry,
    result,
    service_account,
    text,
)
from ansible_collections.trac.mod_wsgi.plugins.module_utils._doctor.host import Host

_CHECK_SECONDS = 60
_PAGE_SECONDS = 10


class Examination:
    """The examination of a host."""

    def __init__(self, params: t.Mapping[str, t.Any]) -> None:
        self.host = Host(params)
        self.wanted = set(checks.chosen(params["checks"]))

    def run(self) -> dict[str, t.Any]:
        """What the module returns."""
        if self._is_wanted(_needs_worker):
            self._guard("environments", lambda: service_account.examine(self.host))
        self._check_group(registry.APACHE)
        self._check_group(registry.HOST)
        if self._is_wanted(lambda each: each.group == registry.SITES):
            self._guard("site_answers", self._check_sites)
        redact = secrets.Redactor().redact  # passwords in connection strings
        summary = checks.summary(
            [
                dataclasses.replace(each, seen=redact(each.seen))
                for each in self.host.results
                if each.check in self.wanted
            ]
        )
        return {**summary, "lines": text.lines(summary), "failures": text.failures(summary)}

    def _is_wanted(self, condition: t.Callable[[registry.Check], bool]) -> bool:
        return any(condition(each) and each.name in self.wanted for each in checks.FUNCTIONS)

    def _guard(self, check: str, function: t.Callable[[], None]) -> None:
        """Report an exception outside of any check as the result of one."""
        try:
            function()
        except Exception as e:  # noqa: BLE001
            seen = f"The examination ended with {type(e).__name__}: {e}"
            self.host.results.append(result.broken(check, seen))

    def _check_group(self, group: str) -> None:
        for check in checks.in_group(group):
            if check.name not in self.wanted:
                continue
            why = registry.missing(check.needs, self.host.absent)
            if why:
                self.host.skip([check.name], why)
            else:
                function = functools.partial(check.function, self.host)
                self.host.results += result.guarded(check.name, function, _CHECK_SECONDS)

    def _check_sites(self) -> None:
        host = self.host
        if host.pids:
            base_url = host.params["base_url"]
            if not base_url:
                base_url = apache_host.apache_endpoints(host.server_root)[0].url
            host.visit = pages.visit(
                base_url.rstrip("/"),
                host.params["sites"],
                host.existing_environments(),
                host.params["hello_world_path"],
                _PAGE_SECONDS,
                host.seconds_left,
            )
        else:
            host.absent[registry.RUNNING_APACHE] = "Apache does not run."
        why = "No site serves an environment: trac_sites, or trac_environments_dir, is empty."
        if not host.visit.starts:
            host.absent[registry.START_PAGES] = why
        if not host.visit.starts and not host.visit.hellos:
            host.absent[registry.PAGES] = why
        self._check_group(registry.SITES)


def _needs_worker(check: registry.Check) -> bool:
    return check.group in registry.WORKER_GROUPS or not {
        registry.WORKER,
        registry.SERVERS,
    }.isdisjoint(check.needs)
