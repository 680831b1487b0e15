# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What root does for an environment before the service account works on it."""

from __future__ import annotations

import os
import typing as t

from ansible_collections.trac.mod_wsgi.plugins.module_utils import (
    _adoption,
    _adoption_copy,
    _adoption_database,
)
from ansible_collections.trac.mod_wsgi.plugins.module_utils._environment_spec import (
    DATABASE,
    SHARED,
    EnvironmentSpec,
    Report,
    Wording,
)

_NOT_YET = "what else would change cannot be predicted before it is adopted"


def copied(source: str) -> Wording:
    """The copy of an environment, in words."""
    return f"adopt a copy of {source}", [], [f"a copy of {source}"]


class Adoption(t.NamedTuple):
    """What was done for an environment, and whether there is one to work on."""

    report: Report
    is_there: bool

    def joined(self, later: Report | None, check: bool) -> Report:
        """One report of this and of what the service account has done later."""
        if later is None:
            return self.report
        mine = self.report
        # Only in check mode can it be closed to the service account still.
        if check and mine.changed and later.failure is not None:
            later.warnings.append(f"{_NOT_YET}: {later.failure}")
            later.failure = None
        for own, more in (
            (mine.changes, later.changes),
            (mine.before, later.before),
            (mine.after, later.after),
            (mine.warnings, later.warnings),
        ):
            more[:0] = own
        return later


def adopt(
    directory: str, spec: EnvironmentSpec, owner: _adoption.Owner, python: str, check: bool
) -> Adoption:
    """Copy an environment that is to be adopted from elsewhere; mend owner and modes of any.

    :param python: an interpreter that the service account can run
    """
    report = Report(spec.name)
    if spec.state == "absent":
        return Adoption(report, True)
    try:
        source = spec.adopt_from
        if source is not None and _adoption_copy.is_needed(directory, spec.name, source):
            original = _adoption_copy.survey(source, owner)
            database = _adoption_database.for_copy(
                source,
                original.database,
                original.files,
                spec.options.get(DATABASE),
                spec.adopt_database,
            )
            if not check:
                _adoption_copy.copy(source, directory, spec.name, owner, original, python, database)
            report.change(*copied(source))
            if spec.adopt_database == SHARED:
                report.warnings.append(_adoption_database.shares(source))
            if check:
                report.warnings.append(f"{_NOT_YET}.")
                return Adoption(report, False)
        _mend(directory, spec.name, owner, check, report)
    except _adoption.AdoptionFailure as e:
        report.failure = str(e)
    except OSError as e:
        report.failure = f"{e.strerror}: {e.filename or os.path.join(directory, spec.name)}"
    # One environment must not stop the others, whatever its files have in them.
    except Exception as e:  # noqa: BLE001
        report.failure = f"{os.path.join(directory, spec.name)}: {type(e).__name__}: {e}"
    return Adoption(report, report.failure is None)


def _mend(directory: str, name: str, owner: _adoption.Owner, check: bool, report: Report) -> None:
    mending = _adoption.mend(directory, name, owner, check)
    if mending.changed:
        before, after = _adoption.shown(mending.before), _adoption.shown(mending.after)
        report.change(mending.words(), before, after)
    if mending.left:
        report.warnings.append(
            f"left alone in {os.path.join(directory, name)}, because root cannot know whether the "
            "service account may have it (chown what it may have, also what links lead to; copies "
            "and backups refuse links to what others own): "
            + "; ".join(_adoption.shown(mending.left))
        )
