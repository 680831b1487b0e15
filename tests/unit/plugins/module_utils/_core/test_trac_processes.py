# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Work that is shared among processes, some of which die."""

from __future__ import annotations

import contextlib
import os
import pathlib
import signal
import time
import typing as t

import pytest

from ansible_collections.trac.mod_wsgi.plugins.module_utils._core import processes
from ansible_collections.trac.mod_wsgi.plugins.module_utils._core.processes import Event, work


def results(events: t.Iterable[Event]) -> dict[int, t.Any]:
    return {event.job: event.death or event.result for event in events if event.ended}


@pytest.fixture
def two_children(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "children_for", lambda _jobs: 2)


def test_every_job_is_done_once_and_announced_first() -> None:
    jobs = [f"é{number}" * 50_000 for number in range(20)]
    events = list(work(lambda job: {"said": job, "pid": os.getpid()}, jobs))
    assert sorted(event.job for event in events if event.ended) == list(range(20))
    for number, job in enumerate(jobs):
        assert [event.ended for event in events if event.job == number] == [False, True]
        assert {"said": job}.items() <= t.cast("dict[str, str]", results(events)[number]).items()
    assert os.getpid() not in {t.cast("t.Any", event.result)["pid"] for event in events if event[1]}


@pytest.mark.usefixtures("two_children")
def test_processes_are_used_again() -> None:
    events = list(work(lambda _job: {"pid": os.getpid()}, range(20)))
    assert len({t.cast("t.Any", event.result)["pid"] for event in events if event.ended}) <= 2


@pytest.mark.usefixtures("two_children")
@pytest.mark.parametrize(
    ("end", "death"),
    [
        (lambda: os._exit(0), "exit status 0"),
        (lambda: os._exit(3), "exit status 3"),
        (lambda: os.kill(os.getpid(), signal.SIGSEGV), "signal SIGSEGV"),
        (lambda: os.kill(os.getpid(), signal.SIGKILL), "signal SIGKILL (is the host short of"),
        (lambda: 1 / 0, "exit status 1"),
    ],
)
def test_a_death_costs_one_job(end: t.Callable[[], object], death: str) -> None:
    def function(job: int) -> dict[str, t.Any]:
        if job in (0, 3, 4):
            end()
        return {"job": job}

    found = results(work(function, range(6)))
    assert {number for number, result in found.items() if isinstance(result, str)} == {0, 3, 4}
    assert all(found[number].startswith(death) for number in (0, 3, 4))
    assert [found[number] for number in (1, 2, 5)] == [{"job": number} for number in (1, 2, 5)]


def test_after_the_deadline_only_the_first_job_is_begun() -> None:
    found = results(work(lambda job: {"job": job}, range(5), deadline=time.monotonic() - 1))
    assert found == {0: {"job": 0}}


@pytest.mark.usefixtures("two_children")
def test_nothing_goes_on_when_the_reader_is_gone(tmp_path: pathlib.Path) -> None:
    reading, writing = os.pipe()

    def function(job: int) -> dict[str, t.Any]:
        with contextlib.suppress(OSError):
            os.close(reading)  # which is another process's in earnest
        time.sleep(0.05)
        (tmp_path / str(job)).touch()
        return {}

    events = work(function, range(100), writing)
    next(events)
    os.close(reading)
    with pytest.raises(processes.ReaderGone):
        list(events)
    os.close(writing)
    done = len(list(tmp_path.iterdir()))
    assert 1 <= done < 10  # what had been begun is finished
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)


@pytest.mark.usefixtures("two_children")
def test_children_end_with_their_parent(tmp_path: pathlib.Path) -> None:
    def function(job: int) -> dict[str, t.Any]:
        (tmp_path / f"begun-{os.getpid()}").touch()
        time.sleep(0.2)
        (tmp_path / f"done-{job}").touch()
        return {}

    parent = os.fork()
    if parent == 0:
        list(work(function, range(100)))
        os._exit(0)
    deadline = time.monotonic() + 30
    while len(list(tmp_path.glob("begun-*"))) < 2 and time.monotonic() < deadline:
        time.sleep(0.01)
    os.kill(parent, signal.SIGKILL)
    os.waitpid(parent, 0)
    children = [int(path.name.partition("-")[2]) for path in tmp_path.glob("begun-*")]

    def running(pid: int) -> bool:
        try:
            status = pathlib.Path(f"/proc/{pid}/stat").read_text()
        except (FileNotFoundError, ProcessLookupError):
            return False
        return status.rpartition(")")[2].split()[0] != "Z"

    while any(map(running, children)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(map(running, children))
    assert len(list(tmp_path.glob("done-*"))) < 10
