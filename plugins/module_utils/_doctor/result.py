# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The results of checks.

A check returns one result for each thing that it looked at. One that crashes or does not end is a
failed result like others, so that it hides none of them.
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

# The worst first.
STATUSES = (FAILED, WARNING, OK, SKIPPED)


@dataclasses.dataclass(frozen=True)
class Result:
    """What a check has seen, what that means, and what to do."""

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


class TimeIsUp(BaseException):
    """A check has taken too long. It is no Exception, so that no check catches it by mistake."""


@contextlib.contextmanager
def time_limit(seconds: int) -> t.Iterator[None]:
    """Raise TimeIsUp after so many seconds. For the main thread only."""

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


def guarded(
    check: str,
    function: t.Callable[[], t.Iterable[Result]],
    seconds: int,
) -> list[Result]:
    """The results of a check; if it fails or takes too long, a result that says so."""
    try:
        with time_limit(seconds):
            return list(function())
    except TimeIsUp:
        return [broken(check, f"The check did not end within {seconds} seconds.")]
    # A check that crashes must not hide what the others have seen.
    except Exception as e:  # noqa: BLE001
        return [broken(check, f"The check ended with {type(e).__name__}: {e}")]


def worst(results: t.Iterable[Result]) -> str:
    """The status of several results together."""
    found = {result.status for result in results}
    return next((status for status in STATUSES if status in found), SKIPPED)
