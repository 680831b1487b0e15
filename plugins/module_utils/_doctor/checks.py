# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""All checks of the doctor, made from the functions that the decorator C(registry.check) marks."""

from __future__ import annotations

import typing as t

from ansible_collections.trac.mod_wsgi.plugins.module_utils._doctor import (
    apache,
    backups,
    certificate,
    connections,
    daemon_processes,
    error_log,
    logins,
    registry,
    resources,
    sites,
    unfinished,
    worker,
)
from ansible_collections.trac.mod_wsgi.plugins.module_utils._doctor.result import (
    STATUSES,
    Result,
    worst,
)

# In the order in which their results are shown; within a module as its functions stand there.
FUNCTIONS: tuple[registry.Check, ...] = (
    *registry.of(apache, daemon_processes, error_log),
    *worker.CHECKS,
    *registry.of(connections, sites, logins, certificate, resources, backups, unfinished),
)
TITLES: dict[str, str] = {each.name: each.title for each in FUNCTIONS if each.title}


def in_group(*groups: str) -> list[registry.Check]:
    """The functions of some groups, parts included."""
    return [each for each in FUNCTIONS if each.group in groups]


def names(functions: t.Iterable[registry.Check]) -> list[str]:
    """The names of checks, each once."""
    return list(dict.fromkeys(each.name for each in functions))


def chosen(wanted: t.Collection[str]) -> list[str]:
    """The names of the checks that are wanted: all when none is named."""
    return [name for name in TITLES if not wanted or name in wanted]


def summary(results: t.Sequence[Result]) -> dict[str, t.Any]:
    """All results by check, and how many checks have which status."""
    checks = []
    for name, title in TITLES.items():
        of_check = [result for result in results if result.check == name]
        if of_check:
            checks.append(
                {
                    "name": name,
                    "title": title,
                    "status": worst(of_check),
                    "results": [result.to_json() for result in of_check],
                }
            )
    counts = {status: sum(check["status"] == status for check in checks) for status in STATUSES}
    return {"checks": checks, "counts": counts}
