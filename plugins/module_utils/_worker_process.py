# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run the worker under another Python, as another account.

The worker's source and its task travel over standard input, its answers come back over a pipe
of their own: no file, no argument and no environment variable ever holds a secret.
"""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import types
import typing as t

# Runs under Trac's Python. What plugins print goes to standard error.
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


# The worker says one of these when it has ended by its own will.
LAST_EVENTS = ("end", "failed", "no_trac")


@dataclasses.dataclass
class Account:
    """The account that a worker runs as."""

    name: str
    uid: int
    gid: int


class WorkerError(Exception):
    """The worker could not be started, or ended before its work was done."""


def _source(module: types.ModuleType) -> list[str]:
    # Modules may come out of a zip file, so there is no path to read.
    loader = t.cast(t.Any, module.__loader__)
    return [module.__name__, loader.get_source(module.__name__)]


def command(python: str) -> list[str]:
    """How a worker is started: isolated from the user's settings, writing no bytecode."""
    return [python, "-I", "-B", "-X", "utf8", "-c", _LOADER]


def request(modules: t.Sequence[types.ModuleType], payload: t.Mapping[str, t.Any]) -> bytes:
    """What a worker reads: its source, dependencies first, and its task."""
    return json.dumps(
        {"modules": [_source(module) for module in modules], "payload": payload}
    ).encode()


def run(
    python: str,
    account: Account,
    modules: t.Sequence[types.ModuleType],
    payload: t.Mapping[str, t.Any],
) -> tuple[list[dict[str, t.Any]], str | None]:
    """Everything that the worker said, and how it ended if it did not end well."""
    arguments: dict[str, t.Any] = {}
    if os.geteuid() != account.uid:
        if os.geteuid() != 0:
            raise WorkerError(f"only root can work as the account {account.name}; use become")
        arguments = {"user": account.uid, "group": account.gid, "extra_groups": []}
    try:
        process = subprocess.Popen(
            command(python),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd="/",
            env={"LANG": "C.UTF-8", "LC_ALL": "C.UTF-8", "PATH": "/usr/local/bin:/usr/bin:/bin"},
            **arguments,
        )
    except OSError as e:
        raise WorkerError(f"{python} cannot be run as {account.name}: {e.strerror}") from e
    output, errors = process.communicate(request(modules, payload))
    events = []
    for line in output.decode("utf-8", "replace").splitlines():
        try:
            events.append(json.loads(line))
        except ValueError:  # cut off in the middle
            break
    ending = None
    if process.returncode != 0 or not events or events[-1]["event"] not in LAST_EVENTS:
        how = f"signal {-process.returncode}" if process.returncode < 0 else "an error"
        tail = "\n".join(errors.decode("utf-8", "replace").splitlines()[-20:])
        ending = f"the worker ended with {how}:\n{tail}".rstrip(":\n")
    return events, ending
