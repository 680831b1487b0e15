# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bring Trac environments into their wanted state, with Trac's own API.

This runs under the Python that has Trac, as the account that owns the environments, for all
environments of a host in one program, which shares the work among processes. Trac is imported
when the work begins, so that this file can be imported without it.

Nothing is written before an environment has been opened with the wanted trac.ini in memory, and
Trac has found the values legal, the database reachable and the permissions known. A new
environment is built in a hidden directory beside its place and renamed when it is complete.
"""

from __future__ import annotations

import contextlib
import gc
import os
import time
import typing as t

from ansible_collections.trac.mod_wsgi.plugins.module_utils._copies import hot_copy
from ansible_collections.trac.mod_wsgi.plugins.module_utils._core import processes
from ansible_collections.trac.mod_wsgi.plugins.module_utils._core.held_directory import (
    locked,
)
from ansible_collections.trac.mod_wsgi.plugins.module_utils._environments import (
    reconcile as environment_reconcile,
)
from ansible_collections.trac.mod_wsgi.plugins.module_utils._environments import (
    remove as environment_remove,
)
from ansible_collections.trac.mod_wsgi.plugins.module_utils._environments import tracignore
from ansible_collections.trac.mod_wsgi.plugins.module_utils._trac import opening
from ansible_collections.trac.mod_wsgi.plugins.module_utils._trac.environment_spec import (
    EnvironmentSpec,
    Report,
    leftovers,
)
from ansible_collections.trac.mod_wsgi.plugins.module_utils._trac.worker_answers import (
    answering,
    say,
)

UMASK = 0o007
LOCK_TIMEOUT = 60.0  # seconds

Document = t.Dict[str, t.Any]


class _Run:
    """One run: what it was asked for, and whom it tells."""

    def __init__(self, payload: t.Mapping[str, t.Any], output: int | None) -> None:
        self.directory: str = payload["directory"]
        self.check: bool = payload["check"]
        self.archive: str | None = payload.get("archive")
        self.specs = [EnvironmentSpec.from_json(each) for each in payload["environments"]]
        self.ignore: list[str] = payload.get("ignore") or []
        self.copies: dict[str, str] = payload.get("copies") or {}
        self.logins: list[str] = payload.get("logins") or []
        limit = payload.get("time_limit")
        self.deadline = time.monotonic() + limit if limit else None
        self.output = output
        self.begun: set[str] = set()

    def clean_up(self) -> Document:
        """Remove what killed runs left behind; predict it in check mode."""
        names = leftovers(self.directory)
        failures = []
        if names and not self.check:
            for event in processes.work(self._clean_up_one, names, self.output):
                if event.result is not None and event.result["failure"]:
                    failures.append((event.job, event.result["failure"]))
                if event.death is not None:
                    path = os.path.join(self.directory, names[event.job])
                    failures.append(
                        (event.job, f"the process that cleaned up {path} ended with {event.death}")
                    )
        failed = {job for job, dummy in failures}
        removed = [name for job, name in enumerate(names) if job not in failed]
        removed += hot_copy.broken_off(self.archive, remove=not self.check)
        return {
            "event": "leftovers",
            "names": removed,
            "failures": [failure for dummy, failure in sorted(failures)],
        }

    def _clean_up_one(self, name: str) -> Document:
        path = os.path.join(self.directory, name)
        return {"failure": environment_remove.clean_up(path, self.archive)}

    def hide_others(self) -> Document:
        """Keep what is no environment off the project index.

        This comes before environments are created, so that none is hidden by its own name.
        """
        wanted = [spec.name for spec in self.specs if spec.state != "absent"]
        try:
            update = tracignore.update(self.directory, self.ignore, wanted, self.check)
        except tracignore.IgnoreFailure as e:
            return {"event": "tracignore", "failure": str(e)}
        except OSError as e:
            return {"event": "tracignore", "failure": opening.reason(e, self.directory)}
        return {"event": "tracignore", "failure": None, "update": update}

    def reconcile(self) -> t.Iterator[Document]:
        """Work on all environments; yields what happens, as it happens."""
        reconciler = environment_reconcile.Reconciler(
            self.directory, self.archive, self.check, self.logins, self.copies
        )

        def work(spec: EnvironmentSpec) -> Document:
            return reconciler.reconcile(spec).to_json()

        for event in processes.work(work, self.specs, self.output, self.deadline):
            name = self.specs[event.job].name
            if event.death is not None:
                report = Report(name)
                report.failure = f"the process that worked on it ended with {event.death}"
                yield {"event": "report", "report": report.to_json()}
            elif event.result is not None:
                yield {"event": "report", "report": event.result}
            else:
                self.begun.add(name)
                yield {"event": "begin", "name": name}

    def remaining(self) -> list[str]:
        """The environments for which no time was left."""
        return [spec.name for spec in self.specs if spec.name not in self.begun]


def run(payload: t.Mapping[str, t.Any], output: int | None = None) -> t.Iterator[Document]:
    """Work on all environments; yields what happens, as documents for JSON.

    Reports come in the order in which the environments are finished.
    """
    try:
        opening.load_trac()
    # Not only ImportError: an unfit Python or setuptools shows itself in many ways.
    except Exception as e:  # noqa: BLE001
        yield {"event": "no_trac", "reason": f"{type(e).__name__}: {e}"}
        return
    # What has been loaded so far stays; it need not be looked at again, nor copied by each child.
    gc.collect()
    gc.freeze()
    asked = _Run(payload, output)
    with contextlib.ExitStack() as stack:
        if not asked.check:
            stack.enter_context(locked(asked.directory, LOCK_TIMEOUT))
        yield asked.clean_up()
        yield asked.hide_others()
        yield from asked.reconcile()
    remaining = asked.remaining()
    if remaining:
        yield {"event": "remaining", "names": remaining}
    yield {"event": "end"}


def serve(payload: t.Mapping[str, t.Any], output: t.TextIO) -> None:
    """Work on all environments; writes one JSON document a line.

    When the reader is gone the run ends with the environments that it works on.
    """
    os.umask(UMASK)
    with answering("environments", output, payload["directory"]):
        for event in run(payload, output.fileno()):
            say(output, event)
