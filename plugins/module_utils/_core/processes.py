# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Share work among forked processes, so that all cores work and a crash costs one job only.

A child takes one job at a time over a socket pair and answers with a line of JSON. One that dies
(a segmentation fault in a driver, the kernel short of memory) fails the job that it worked on;
another takes its place. When the parent or the reader of its output has ended, the children finish
their current job and exit, so that no environment is left half changed.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import socket
import sys
import time
import traceback
import typing as t

# Below this many jobs for each, another process costs more than it saves.
JOBS_PER_CHILD = 8

Job = t.TypeVar("Job")
Result = t.Dict[str, t.Any]


class ReaderGone(Exception):
    """The reader of the events has closed its end of the pipe."""


class Event(t.NamedTuple):
    """A job has begun, has returned a result, or has died with its process for a reason."""

    job: int
    result: Result | None = None
    death: str | None = None

    @property
    def ended(self) -> bool:
        """Whether the job is over."""
        return self.result is not None or self.death is not None


def children_for(jobs: int) -> int:
    """Return how many child processes to use: at least one, because a job can crash its process."""
    cores = len(os.sched_getaffinity(0))
    return max(1, min(cores, jobs // JOBS_PER_CHILD))


def _ending(status: int) -> str:
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        name = signal.Signals(number).name if number in set(signal.Signals) else str(number)
        hint = " (is the host short of memory?)" if number == signal.SIGKILL else ""
        return f"signal {name}{hint}"
    return f"exit status {os.WEXITSTATUS(status)}"


def _serve(
    channel: socket.socket, function: t.Callable[[Job], Result], jobs: t.Sequence[Job]
) -> None:
    """Do jobs until the parent closes the channel."""
    with channel.makefile("rw", encoding="utf-8", newline="\n") as stream:
        for line in stream:
            result = function(jobs[int(line)])
            stream.write(json.dumps(result) + "\n")
            stream.flush()


class _Child:
    """A process that works on one job at a time."""

    def __init__(
        self,
        function: t.Callable[[Job], Result],
        jobs: t.Sequence[Job],
        close: t.Iterable[int],
    ) -> None:
        self.job = -1
        self._received = b""
        self._channel, other = socket.socketpair()
        sys.stdout.flush()
        sys.stderr.flush()
        self.pid = os.fork()
        if self.pid == 0:
            status = 1
            try:
                # An inherited descriptor would keep others from reading end-of-file.
                self._channel.close()
                for descriptor in close:
                    os.close(descriptor)
                _serve(other, function, jobs)
                status = 0
            except (BrokenPipeError, ConnectionResetError):
                status = 0
            except BaseException:  # noqa: BLE001  (there is nothing above this)
                traceback.print_exc()
            finally:
                with contextlib.suppress(Exception):
                    sys.stderr.flush()
                os._exit(status)
        other.close()

    def fileno(self) -> int:
        """Return the descriptor for poll()."""
        return self._channel.fileno()

    def begin(self, job: int) -> None:
        """Hand over a job."""
        self.job = job
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            self._channel.sendall(b"%d\n" % job)

    def receive(self) -> Event | None:
        """Return the child's answer; None while it is incomplete."""
        try:
            data = self._channel.recv(1 << 16)
        except ConnectionResetError:
            data = b""
        if not data:
            return Event(self.job, death=self.end())
        self._received += data
        if not data.endswith(b"\n"):
            return None
        result, self._received = json.loads(self._received), b""
        return Event(self.job, result)

    def end(self) -> str:
        """Close the channel, wait for the child and return how it ended."""
        self._channel.close()
        return _ending(os.waitpid(self.pid, 0)[1])


def work(
    function: t.Callable[[Job], Result],
    jobs: t.Sequence[Job],
    output: int | None = None,
    deadline: float | None = None,
) -> t.Iterator[Event]:
    """Call a function for each job, in processes of their own; yields events as they happen.

    `output` is the descriptor of the pipe that the caller writes events to: when its reader has
    closed it, ReaderGone is raised. The children close it. After the deadline (time.monotonic())
    no job but the first is begun.
    """
    waiting = list(range(len(jobs)))
    waiting.reverse()
    children: list[_Child] = []
    begun = False

    def more() -> bool:
        return bool(waiting) and (not begun or deadline is None or time.monotonic() < deadline)

    poll = select.poll()
    if output is not None:
        poll.register(output, 0)  # POLLERR and POLLHUP are always reported
    most = children_for(len(jobs))
    try:
        while more() or children:
            while more() and len(children) < most:
                close = [child.fileno() for child in children]
                try:
                    child = _Child(function, jobs, close if output is None else [*close, output])
                except OSError:
                    if not children:
                        raise
                    break  # the host allows no more of them
                children.append(child)
                poll.register(child, select.POLLIN)
                child.begin(waiting.pop())
                begun = True
                yield Event(child.job)
            ready = {descriptor for descriptor, dummy in poll.poll()}
            if output in ready:
                raise ReaderGone
            for child in [child for child in children if child.fileno() in ready]:
                descriptor = child.fileno()
                event = child.receive()
                if event is None:
                    continue
                if event.death is not None:
                    poll.unregister(descriptor)
                    children.remove(child)
                elif more():
                    child.begin(waiting.pop())
                else:
                    poll.unregister(descriptor)
                    children.remove(child)
                    child.end()
                yield event
                if event.result is not None and child in children:
                    yield Event(child.job)
    finally:
        for child in children:
            child.end()
