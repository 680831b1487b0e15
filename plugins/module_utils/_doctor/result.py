# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the checks of a host say, and how they are run.

A check is a function that returns one result for each thing that it looked at. One that crashes
or does not end is a failed result like others, so that it hides none of them.
"""

from __future__ import annotations

import contextlib
import dataclasses
import signal
import types
import typing as t

OK = "ok"
WARNING = "warning"
FAILED = "failed"
SKIPPED = "skipped"

# From the one that matters most.
STATUSES = (FAILED, WARNING, OK, SKIPPED)

# All checks in the order in which they are shown, and what each shows when all is well.
CHECKS: dict[str, str] = {
    "apache_configuration": "Apache accepts its configuration",
    "apache_running": "Apache runs and answers",
    "mod_wsgi_version": "The version of mod_wsgi serves Trac",
    "python_home": "Daemon processes can read the Python that they are given",
    "application_group": "C extensions run in the first interpreter",
    "locale": "The locales that are asked for exist",
    "error_log": "No daemon process has crashed or hung lately",
    "python_version": "Trac runs on this version of Python",
    "setuptools": "pkg_resources is there",
    "multipart": "The package multipart is the right one",
    "psycopg2": "The PostgreSQL driver shares its libraries with Apache",
    "trac_import": "Trac can be imported",
    "environments": "The environments are there",
    "environment_files": "The service account can read and write what is in the environments",
    "trac_ini": "trac.ini can be read, and changed from the web",
    "database": "The databases answer",
    "database_integrity": "SQLite's files are sound",
    "database_version": "No environment needs an upgrade",
    "reports": "The databases take the SQL of all reports",
    "attachments": "Each attachment has its file",
    "plugins": "All plugins load",
    "repositories": "The repositories are there, and can be read",
    "connections": "The database servers have enough connections",
    "hello_world": "The hello-world answers",
    "site_access": "Apache lets requests reach the scripts",
    "site_answers": "The sites answer",
    "site_title": "Each URL shows its own project",
    "site_login": "Visitors can log in",
    "site_private": "Private projects are closed without a login",
    "certificate": "The certificates are valid",
    "disk_space": "There is room on the disks",
    "memory": "The processes fit into the memory",
    "backup": "There are recent backups",
    "transaction": "No run was broken off",
    "out_of_service": "No project is out of service",
}


@dataclasses.dataclass(frozen=True)
class Result:
    """What a check has seen, what that means, and what to do about it."""

    check: str
    status: str
    seen: str
    means: str = ""
    advice: str = ""
    # What it is about, where there are several: "environment project".
    subject: str = ""

    def to_json(self) -> dict[str, str]:
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, document: t.Mapping[str, str]) -> Result:
        return cls(**document)


Check = t.Callable[[], t.Iterable[Result]]


class TimeIsUp(BaseException):
    """A check has taken too long. No Exception, so that no check takes it for one of its own."""


@contextlib.contextmanager
def time_limit(seconds: int) -> t.Iterator[None]:
    """Stop what has not ended after so many seconds. For the main thread only."""

    def stop(_number: int, _frame: types.FrameType | None) -> None:
        raise TimeIsUp

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def broken(check: str, seen: str, subject: str = "") -> Result:
    """The result of a check that could not be carried out."""
    return Result(
        check,
        FAILED,
        seen,
        "Whether all is well could not be found out.",
        "Look at what is named here. If it is well, this is a fault of the check: report it.",
        subject,
    )


def guarded(check: str, function: Check, seconds: int, subject: str = "") -> list[Result]:
    """The results of a check, whatever happens in it."""
    try:
        with time_limit(seconds):
            return list(function())
    except TimeIsUp:
        return [broken(check, f"The check did not end within {seconds} seconds.", subject)]
    # A check that crashes must not hide what the others have seen.
    except Exception as e:  # noqa: BLE001
        return [broken(check, f"The check ended with {type(e).__name__}: {e}", subject)]


def worst(results: t.Iterable[Result]) -> str:
    """The status of several results together."""
    found = {result.status for result in results}
    return next((status for status in STATUSES if status in found), SKIPPED)


def chosen(names: t.Collection[str]) -> list[str]:
    """The checks that are wanted: all when none is named."""
    return [name for name in CHECKS if not names or name in names]


def summary(results: t.Sequence[Result]) -> dict[str, t.Any]:
    """All results by check, and how many checks have which status."""
    checks = []
    for name in CHECKS:
        of_it = [result for result in results if result.check == name]
        if of_it:
            status = worst(of_it)
            checks.append(
                {
                    "name": name,
                    "title": CHECKS[name],
                    "status": status,
                    "results": [result.to_json() for result in of_it],
                }
            )
    counts = {status: sum(check["status"] == status for check in checks) for status in STATUSES}
    return {"checks": checks, "counts": counts}
