# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run the worker under another Python, as another account.

The worker's source and its task travel over standard input, its answers come back over a pipe
of their own: no file, no argument and no variable that is set here ever holds a secret.
"""

from __future__ import annotations

import ast
import contextlib
import dataclasses
import functools
import importlib
import io
import json
import os
import select
import signal
import subprocess
import tempfile
import threading
import time
import types
import typing as t

from ansible_collections.trac.mod_wsgi.plugins.module_utils._core import answer_shapes

# Runs under Trac's Python. Standard output of plugins goes to standard error.
_LOADER = """\
import json, os, sys, types
document = json.loads(sys.stdin.buffer.read())
output = os.fdopen(os.dup(1), "w", encoding="utf-8")
os.dup2(2, 1)
null = os.open(os.devnull, os.O_RDONLY)
os.dup2(null, 0)
for name, source in document["modules"]:
    packages = name.split(".")
    for end in range(1, len(packages)):
        package = ".".join(packages[:end])
        if package not in sys.modules:
            sys.modules[package] = types.ModuleType(package)
            sys.modules[package].__path__ = []
    module = sys.modules[name] = types.ModuleType(name)
    setattr(sys.modules[name.rpartition(".")[0]], packages[-1], module)
    exec(compile(source, name, "exec"), module.__dict__)
module.serve(document["payload"], output)
"""


# The last event of a worker that ended in an orderly way is one of these.
LAST_EVENTS = ("end", "failed", "no_trac")

_PACKAGE = "ansible_collections.trac.mod_wsgi.plugins.module_utils"
_ERRORS_SHOWN = 20_000  # bytes
_LARGEST_DATA = 1 << 24  # bytes
_LONGEST_ANSWER = 1 << 27  # bytes

Event = t.Dict[str, t.Any]


@dataclasses.dataclass
class Account:
    """The account that a worker runs as."""

    name: str
    uid: int
    gid: int


class WorkerError(Exception):
    """The worker could not be started, or ended before its work was done."""


def source(module: types.ModuleType) -> str:
    """A module's source; it may have come out of a zip file, so there is no path to read."""
    return t.cast("str", t.cast(t.Any, module.__loader__).get_source(module.__name__))


def _imported(module: types.ModuleType) -> t.Iterator[str]:
    """The names of the collection's modules that a module imports, wherever in its source.

    C(from package import module) names modules, C(from package.module import function) one.
    """
    for node in ast.walk(ast.parse(source(module))):
        if not isinstance(node, ast.ImportFrom):
            continue
        name = node.module or ""
        if not f"{name}.".startswith(f"{_PACKAGE}."):
            continue
        if hasattr(importlib.import_module(name), "__path__"):
            yield from (f"{name}.{each.name}" for each in node.names)
        else:
            yield name


@functools.lru_cache(maxsize=None)
def with_imports(module: types.ModuleType) -> tuple[types.ModuleType, ...]:
    """A module and all of the collection's that it needs, each behind those that it imports."""
    found: list[types.ModuleType] = []
    seen: set[str] = set()

    def add(name: str) -> None:
        if name in seen:
            return
        seen.add(name)
        each = importlib.import_module(name)
        for needed in _imported(each):
            add(needed)
        found.append(each)

    add(module.__name__)
    return tuple(found)


def command(python: str) -> list[str]:
    """How a worker is started: isolated from the user's settings, writing no bytecode."""
    return [python, "-I", "-B", "-X", "utf8", "-c", _LOADER]


def request(worker: types.ModuleType, payload: t.Mapping[str, t.Any]) -> bytes:
    """What a worker reads: its source with what it imports, and its task."""
    modules = [[each.__name__, source(each)] for each in with_imports(worker)]
    return json.dumps({"modules": modules, "payload": payload}).encode()


# Seconds. A server that is stopped, or behind a firewall, would have its clients wait for ever.
_CONNECT_TIMEOUT = "10"


def _environment_variables() -> dict[str, str]:
    """The worker's environment variables; those of libpq and MySQL's clients are passed on."""
    passed = {
        name: value for name, value in os.environ.items() if name.startswith(("PG", "MYSQL_"))
    }
    return {
        "PGCONNECT_TIMEOUT": _CONNECT_TIMEOUT,
        **passed,
        "LANG": "C.UTF-8",
        "LC_ALL": "C.UTF-8",
        "PATH": "/usr/local/bin:/usr/bin:/bin",
    }


def _events(output: t.IO[bytes]) -> t.Iterator[Event]:
    """Yield the worker's events; an answer that cannot be parsed becomes the last one, `broken`."""
    while True:
        line = output.readline(_LONGEST_ANSWER)
        if not line:
            return
        try:
            event = json.loads(line)
        except (ValueError, RecursionError):
            if len(line) < _LONGEST_ANSWER:
                return  # cut off in the middle
            event = None
        why = answer_shapes.problem(event)
        if why is not None:
            yield {"event": "broken", "reason": f"an answer cannot be understood: {why}"}
            return
        if event["event"] == "data":  # raw bytes follow the line that holds their number
            event["data"] = output.read(min(event["size"], _LARGEST_DATA))
            if len(event["data"]) < event["size"]:
                return
        yield event


def printable(text: str) -> str:
    """Escape what cannot be encoded: names of the account's files may hold any bytes."""
    return text.encode("utf-8", "backslashreplace").decode()


def write_data(output: t.TextIO, data: bytes) -> None:
    """Send bytes as an event that has them under the key `data`."""
    output.write(json.dumps({"event": "data", "size": len(data)}) + "\n")
    output.flush()
    output.buffer.write(data)
    output.flush()


class _Limited(io.RawIOBase):
    """A pipe with a time limit: a left-over process may keep its other end open."""

    def __init__(self, descriptor: int, seconds: float | None) -> None:
        super().__init__()
        self._descriptor = descriptor
        self._end = None if seconds is None else time.monotonic() + seconds
        self._poll = select.poll()
        self._poll.register(descriptor, select.POLLIN)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: t.Any) -> int:
        left = None if self._end is None else max(0.0, self._end - time.monotonic()) * 1000
        if not self._poll.poll(left):
            return 0
        data = os.read(self._descriptor, len(buffer))
        buffer[: len(data)] = data
        return len(data)


def limited(descriptor: int, seconds: float | None) -> t.IO[bytes]:
    """Return a file that reads from a descriptor, with end-of-file after so many seconds.

    Closing it leaves the descriptor open.
    """
    return io.BufferedReader(_Limited(descriptor, seconds))


def kill_group(process: subprocess.Popen[bytes]) -> None:
    """Kill a process that was started with a session of its own, and what it has started."""
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)


@contextlib.contextmanager
def _killed_after(process: subprocess.Popen[bytes], seconds: float | None) -> t.Iterator[None]:
    timer = threading.Timer(seconds, kill_group, [process]) if seconds is not None else None
    if timer is not None:
        timer.start()
    try:
        yield
    finally:
        if timer is not None:
            timer.cancel()


def run(
    python: str,
    account: Account,
    worker: types.ModuleType,
    payload: t.Mapping[str, t.Any],
    *,
    timeout: float | None = None,
    pass_fds: t.Sequence[int] = (),
) -> t.Iterator[Event]:
    """Yield the worker's events as they arrive, and the event `broken` if it did not end well.

    After `timeout` seconds it is killed together with the processes that it has started. It
    inherits the descriptors `pass_fds` under the same numbers.

    It runs in a session of its own, because code of the account, such as plugins, could otherwise
    type commands into root's terminal (TIOCSTI). Ctrl-C does not reach it either; it ends when
    its output is closed, as after a kill.
    """
    arguments: dict[str, t.Any] = {}
    if os.geteuid() != account.uid:
        if os.geteuid() != 0:
            raise WorkerError(f"only root can work as the account {account.name}; use become")
        # Supplementary groups as under Apache: repositories may be readable for a group only.
        groups = os.getgrouplist(account.name, account.gid)
        arguments = {"user": account.uid, "group": account.gid, "extra_groups": groups}
    with tempfile.TemporaryFile() as errors:  # not a pipe, which could run full
        try:
            process = subprocess.Popen(
                command(python),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                cwd="/",
                env=_environment_variables(),
                pass_fds=pass_fds,
                start_new_session=True,
                **arguments,
            )
        except OSError as e:
            raise WorkerError(f"{python} cannot be run as {account.name}: {e.strerror}") from e
        with process, _killed_after(process, timeout):
            with contextlib.suppress(BrokenPipeError), t.cast(t.IO[bytes], process.stdin) as task:
                task.write(request(worker, payload))
            last = None
            output = t.cast(t.IO[bytes], process.stdout)
            for event in _events(limited(output.fileno(), timeout)):
                last = event["event"]
                if last == "broken":  # its output is not read any further
                    kill_group(process)
                yield event
            output.close()  # a process that still writes gets EPIPE instead of blocking
            process.wait()  # within the limit, too
        if last != "broken" and (process.returncode != 0 or last not in LAST_EVENTS):
            how = f"signal {-process.returncode}" if process.returncode < 0 else "an error"
            size = errors.seek(0, os.SEEK_END)
            errors.seek(max(0, size - _ERRORS_SHOWN))
            tail = "\n".join(errors.read().decode("utf-8", "replace").splitlines()[-20:])
            reason = f"the worker ended with {how}:\n{tail}".rstrip(":\n")
            yield {"event": "broken", "reason": reason}
