# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a run of module trac_environments has done, in the words of its result."""

from __future__ import annotations

import dataclasses
import os
import typing as t

from ansible_collections.trac.mod_wsgi.plugins.module_utils._core import secrets
from ansible_collections.trac.mod_wsgi.plugins.module_utils._environments import tracignore
from ansible_collections.trac.mod_wsgi.plugins.module_utils._trac.environment_spec import Report


@dataclasses.dataclass
class Outcome:
    """What was done, or would be in check mode, and what went wrong."""

    directory: str
    archive: str | None
    redactor: secrets.Redactor = dataclasses.field(default_factory=secrets.Redactor)
    reports: list[Report] = dataclasses.field(default_factory=list)
    remaining: list[str] = dataclasses.field(default_factory=list)
    leftovers: list[str] = dataclasses.field(default_factory=list)
    # Leftovers that could not be removed, and why.
    kept: list[str] = dataclasses.field(default_factory=list)
    ignored: tracignore.Update | None = None
    ignore_failure: str | None = None
    made_archive: bool = False
    broken: str | None = None

    def diff(self) -> list[dict[str, str]]:
        """Options and permissions before and after, for each environment that changes."""
        result = []
        if self.made_archive and self.archive:
            result.append(_diff(self.archive, "", "directory\n"))
        if self.leftovers:
            names = "".join(f"{name}\n" for name in self.leftovers)
            result.append(_diff(self.directory, names, ""))
        for report in self.reports:
            if report.changed:
                before = "".join(f"{line}\n" for line in report.before)
                after = "".join(f"{line}\n" for line in report.after)
                header = os.path.join(self.directory, report.name)
                if report.name in self.remaining:  # whose other changes the next call shows
                    header += " (adopted)"
                result.append(_diff(header, before, after))
        if self.ignored and self.ignored.changed:
            path = os.path.join(self.directory, tracignore.NAME)
            result.append(_diff(path, self.ignored.before or "", self.ignored.after or ""))
        return result

    def result(self, with_diff: bool) -> dict[str, t.Any]:
        """What the module returns."""
        environments = []
        for report in self.reports:
            entry: dict[str, t.Any] = {
                "name": report.name,
                "created": report.created,
                "changed": report.changed,
                "changes": report.changes,
            }
            if report.failure is not None:
                entry["failure"] = report.failure
                entry["servable"] = report.servable
            if report.archive is not None:
                entry["archive"] = report.archive
            environments.append(entry)
        result: dict[str, t.Any] = {
            "changed": self.made_archive
            or bool(self.leftovers)
            or bool(self.ignored and self.ignored.changed)
            or any(report.changed for report in self.reports),
            "environments": environments,
            "removed_leftovers": self.leftovers,
            "remaining": self.remaining,
        }
        if self.ignored:
            result["ignored"] = self.ignored.patterns
        others = self.other_failures()
        if others:
            result["other_failures"] = others
        if self.broken:
            result["aborted"] = self.redactor.redact(self.broken)
        if with_diff:
            result["diff"] = self.diff()
        return result

    def failures(self, wanted: int) -> str | None:
        """Everything that went wrong, in words, where so many environments were wanted."""
        lines = [
            f"- {report.name}: {report.failure}"
            for report in self.reports
            if report.failure is not None
        ]
        if lines:
            lines.insert(0, f"{len(lines)} of {wanted} environments failed:")
        lines += self.other_failures()
        if self.broken:
            lines.append(self.broken)
        return self.redactor.redact("\n".join(lines)) or None

    def other_failures(self) -> list[str]:
        """What went wrong beside the environments."""
        lines = [*self.kept, *([self.ignore_failure] if self.ignore_failure else [])]
        return [self.redactor.redact(line) for line in lines]


def _diff(header: str, before: str, after: str) -> dict[str, str]:
    return {
        "before_header": header,
        "after_header": header,
        "before": before,
        "after": after,
    }
