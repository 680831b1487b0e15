# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The checks that run as the service account, which owns the environments.

They run under the Python that has Trac, for all environments of a host in one program. If that
Python is unfit, another one makes those that need no Trac. Jobs run in processes of their own,
which the kernel ends after a time limit: a database driver that waits for a dead server can be
stopped in no other way.
"""

from __future__ import annotations

import json
import os
import signal
import tempfile
import time
import typing as t

from ansible_collections.trac.mod_wsgi.plugins.module_utils._core import processes
from ansible_collections.trac.mod_wsgi.plugins.module_utils._core.held_directory import (
    abandoned,
    held_directory,
    pattern_of,
)
from ansible_collections.trac.mod_wsgi.plugins.module_utils._doctor import (
    environment,
    files,
    registry,
    runtime,
)
from ansible_collections.trac.mod_wsgi.plugins.module_utils._doctor.registry import ENVIRONMENT
from ansible_collections.trac.mod_wsgi.plugins.module_utils._doctor.result import (
    FAILED,
    OK,
    SKIPPED,
    Result,
    broken,
)
from ansible_collections.trac.mod_wsgi.plugins.module_utils._trac import database_servers

_RUNTIME = registry.of(runtime)
_FILES = registry.of(files)
CHECKS = (*_RUNTIME, *_FILES, *environment.CHECKS)

_SCRATCH = "trac-doctor-"
# PGCONNECT_TIMEOUT, which libpq reads.
_CONNECT_SECONDS = "5"

Document = t.Dict[str, t.Any]
Job = t.Tuple[str, str]


def _say(output: t.TextIO, event: str, **more: t.Any) -> None:
    output.write(json.dumps({"event": event, **more}) + "\n")
    output.flush()


class _Work:
    """One run of the worker."""

    def __init__(self, payload: t.Mapping[str, t.Any], output: t.TextIO) -> None:
        self.directory: str = payload["directory"]
        self.expected: list[str] = payload["environments"]
        self.job_seconds: int = payload["job_seconds"]
        self.deadline = time.monotonic() + payload["seconds"]
        self.with_trac: bool = payload["with_trac"]
        self.output = output
        self.seen: set[str] = set()

    def results(self, results: t.Iterable[Result]) -> None:
        for result in results:
            # The same plugin fails in each environment that could use it.
            key = f"{result.check} {result.status} {result.subject} {result.seen}"
            if key not in self.seen:
                self.seen.add(key)
                _say(self.output, "result", result=result.to_json())

    def runtime(self) -> bool:
        """Check the Python; whether Trac can be imported."""
        has_trac = False
        for check in _RUNTIME:
            try:
                results = list(check.function())
            # Any package may be installed there.
            except Exception as e:  # noqa: BLE001
                results = [broken(check.name, f"The check ended with {type(e).__name__}: {e}")]
            self.results(results)
            has_trac |= any((each.check, each.status) == ("trac_import", OK) for each in results)
        return has_trac

    def work(self, job: Job) -> Document:
        """Do one job; the process ends when it takes too long."""
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(self.job_seconds)
        try:
            return self._work(*job)
        finally:
            signal.alarm(0)

    def _work(self, kind: str, name: str) -> Document:
        path = os.path.join(self.directory, name)
        if kind == "files":
            exists = files.check_existence(path).status == OK
            results = [
                result
                for check in _FILES
                if exists or ENVIRONMENT not in check.needs
                for result in check.function(path)
            ]
            return {"results": [result.to_json() for result in results]}
        if kind == "servers":
            names = files.names(self.directory, [])
            return {"servers": list(database_servers.servers(self.directory, names))}
        examination = environment.Examination(path)
        try:
            examination.run()
        # One environment must not stop the others, whatever a plugin or a driver raises.
        except (Exception, SystemExit) as e:  # noqa: BLE001
            text = examination.redactor.redact(f"{type(e).__name__}: {e}")
            subject = examination.subject
            examination.results.append(broken("database", f"The check ended with {text}", subject))
        return {
            "results": [result.to_json() for result in examination.results],
            "facts": examination.facts,
        }

    def environments(self, has_trac: bool) -> None:
        names = files.names(self.directory, self.expected)
        _say(self.output, "names", names=names)
        existing = [name for name in names if os.path.isdir(os.path.join(self.directory, name))]
        jobs: list[Job] = [("files", name) for name in names]
        if has_trac:
            jobs += [("trac", name) for name in existing] + [("servers", "")]
        descriptor = self.output.fileno()
        begun = set()
        for event in processes.work(self.work, jobs, descriptor, self.deadline):
            kind, name = jobs[event.job]
            begun.add(event.job)
            if event.death is not None:
                self._died(kind, name, event.death)
            elif event.result is not None:
                self.results(Result.from_json(each) for each in event.result.get("results", ()))
                if kind == "servers":
                    _say(self.output, "servers", servers=event.result["servers"])
                elif "facts" in event.result:
                    _say(self.output, "facts", name=name, facts=event.result["facts"])
        for number, (kind, name) in enumerate(jobs):
            if number not in begun:
                self._no_time(kind, name)

    def _died(self, kind: str, name: str, death: str) -> None:
        if kind == "servers":
            # The check database tells what is wrong.
            why = f"The database servers did not answer ({death})."
            self.results([Result("connections", SKIPPED, why)])
            return
        subject = f"environment {name}"
        if kind == "files":
            what = f"Looking at the files of {name} ended with {death}."
            self.results([broken("environment_files", what, subject)])
        elif "SIGALRM" in death:
            self.results(
                [
                    Result(
                        "database",
                        FAILED,
                        f"Opening {name} and its database did not end within {self.job_seconds} "
                        "seconds.",
                        "Pages wait for it, until no thread is left for anybody.",
                        "See whether the database server hangs (a lock, a full disk, a dead "
                        "network): systemctl status postgresql mariadb; for SQLite, who holds the "
                        "file: fuser -v FILE; else a plugin waits when it is loaded.",
                        subject,
                    )
                ]
            )
        elif "SIGKILL" in death or "SIGTERM" in death:
            self.results(
                [
                    Result(
                        "database",
                        FAILED,
                        f"While {name} was opened, the process was killed ({death}).",
                        "Whether it opens could not be found out. Who kills is the kernel, when "
                        "memory runs out, or somebody else; nothing of Trac's has crashed.",
                        "See whether it was the kernel: journalctl -k | grep -i 'killed process', "
                        "and the check memory; then ask again.",
                        subject,
                    )
                ]
            )
        else:
            what = f"Opening {name} ended the process with {death}: a driver or a plugin crashes."
            self.results([broken("database", what, subject)])

    def _no_time(self, kind: str, name: str) -> None:
        check = {"files": "environment_files", "trac": "database"}.get(kind, "connections")
        subject = f"environment {name}" if name else ""
        why = "No time was left for it; raise trac_verify_timeout."
        self.results([Result(check, SKIPPED, why, subject=subject)])


def serve(payload: t.Mapping[str, t.Any], output: t.TextIO) -> None:
    """Make the checks; write one JSON document a line."""
    os.umask(0o077)
    os.environ["PGCONNECT_TIMEOUT"] = _CONNECT_SECONDS
    parent = tempfile.gettempdir()
    abandoned(parent, pattern_of(_SCRATCH))
    with held_directory(parent, _SCRATCH) as scratch:
        os.environ["PYTHON_EGG_CACHE"] = os.environ["HOME"] = scratch
        work = _Work(payload, output)
        try:
            work.environments(work.runtime() if work.with_trac else False)
        except (BrokenPipeError, processes.ReaderGone):
            raise SystemExit(1) from None
        _say(output, "end")
