# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What root does for an environment before the service account works on it."""

from __future__ import annotations

import contextlib
import os
import typing as t

from ansible_collections.trac.mod_wsgi.plugins.module_utils._core import worker_process
from ansible_collections.trac.mod_wsgi.plugins.module_utils._environments import (
    adoption,
    adoption_copy,
    adoption_database,
    adoption_look,
    adoption_preview,
    preview_room,
)
from ansible_collections.trac.mod_wsgi.plugins.module_utils._trac.environment_spec import (
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
    copy: str | None = None  # what stands for it in check mode

    def joined(self, later: Report | None, check: bool) -> Report:
        """One report of this and of what the service account has done later."""
        if later is None:
            return self.report
        mine = self.report
        # Without a copy it can be closed to the service account still.
        if check and mine.changed and self.copy is None and later.failure is not None:
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


class Adopter:
    """Does what takes root's rights for environments below one directory.

    :param python: an interpreter that the service account can run
    :param stack: in check mode, removes the copies at the end; otherwise None
    """

    def __init__(
        self,
        directory: str,
        account: worker_process.Account,
        python: str,
        stack: contextlib.ExitStack | None,
    ) -> None:
        self.directory = directory
        self.account = account
        self.owner = adoption.Owner(account.uid, account.gid)
        self.python = python
        self.stack = stack

    def adopt(self, spec: EnvironmentSpec) -> Adoption:
        """Copy an environment that is to be adopted from elsewhere; mend owner and modes of any."""
        report = Report(spec.name)
        if spec.state == "absent":
            return Adoption(report, True)
        path = os.path.join(self.directory, spec.name)
        try:
            source = spec.adopt_from
            if source is not None and adoption_copy.is_needed(self.directory, spec.name, source):
                return self._copy(source, spec, report)
            if self._mend(spec, report) and self.stack is not None:
                copy = self._preview(self.stack, path, spec, report, None)
                return Adoption(report, True, copy)
        except adoption.AdoptionFailure as e:
            report.failure = str(e)
        except OSError as e:
            report.failure = f"{e.strerror}: {e.filename or path}"
        # One environment must not stop the others, whatever its files have in them.
        except Exception as e:  # noqa: BLE001
            report.failure = f"{path}: {type(e).__name__}: {e}"
        return Adoption(report, report.failure is None)

    def _copy(self, source: str, spec: EnvironmentSpec, report: Report) -> Adoption:
        encoding = spec.adopt_encoding
        original = adoption_copy.survey(source, self.owner, encoding)
        wanted = spec.options.get(DATABASE)
        database = adoption_database.for_copy(
            source, original.database, original.files, wanted, spec.adopt_database
        )
        self._look_at_inherited(original.inherited(os.path.join(self.directory, spec.name)))
        if self.stack is None:
            adoption_copy.copy(
                source,
                self.directory,
                spec.name,
                self.owner,
                original,
                self.python,
                database,
                encoding,
            )
        report.change(*copied(source))
        if spec.adopt_database == SHARED:
            report.warnings.append(adoption_database.shares(source))
        if self.stack is not None:
            copy = self._preview(self.stack, source, spec, report, database)
            return Adoption(report, copy is not None, copy)
        self._mend(spec, report)
        return Adoption(report, True)

    def _preview(
        self,
        stack: contextlib.ExitStack,
        source: str,
        spec: EnvironmentSpec,
        report: Report,
        database: str | None,
    ) -> str | None:
        """A copy for the service account to look at, or the warning that there is none."""
        try:
            return adoption_preview.made(stack, source, spec, self.owner, self.python, database)
        except preview_room.NotTried as e:
            report.warnings.append(f"{_NOT_YET}: {e}")
            return None

    def _look_at_inherited(self, files: t.Sequence[str]) -> None:
        adoption_look.look_at_inherited(files, self.account, self.python)

    def _mend(self, spec: EnvironmentSpec, report: Report) -> bool:
        """Whether it has not been the service account's before."""
        path = os.path.join(self.directory, spec.name)

        def look(top: int, expected: t.Container[int]) -> None:
            self._look_at_inherited(adoption_look.look(top, path, spec.adopt_encoding, expected))

        check = self.stack is not None
        mending = adoption.mend(self.directory, spec.name, self.owner, check, look)
        if mending.changed:
            before, after = adoption.shown(mending.before), adoption.shown(mending.after)
            report.change(mending.words(), before, after)
        if mending.left:
            report.warnings.append(
                f"left alone in {path}, because root cannot know whether the "
                "service account may have it (chown what it may have, also what links lead to; "
                "copies and backups refuse links to what others own): "
                + "; ".join(adoption.shown(mending.left))
            )
        return mending.adopted
