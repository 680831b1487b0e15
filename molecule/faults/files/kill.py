"""Kill a process of this machine and what it has started here and in a container.

kill.py PID CONTAINER SECONDS
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time

# What `docker exec` has started in a container has no parent there, and is not init.
_IN_CONTAINER = """
import os, signal
while True:
    parents = {}
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{name}/stat", errors="replace") as stat:
                parents[int(name)] = int(stat.read().rpartition(")")[2].split()[1])
        except OSError:
            pass
    doomed = {pid for pid, parent in parents.items() if parent == 0 and pid not in (1, os.getpid())}
    while True:
        more = {pid for pid, parent in parents.items() if parent in doomed} - doomed
        if not more:
            break
        doomed |= more
    if not doomed:
        break
    for number in (signal.SIGSTOP, signal.SIGKILL):
        for pid in doomed:
            try:
                os.kill(pid, number)
            except ProcessLookupError:
                pass
"""


def children(pid: int) -> list[int]:
    """The ids of a process's children, theirs included."""
    found: list[int] = []
    with contextlib.suppress(OSError):
        for task in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{task}/children", encoding="ascii") as stream:
                found += [int(child) for child in stream.read().split()]
    return found + [each for child in found for each in children(child)]


def send(number: int, processes: list[int]) -> None:
    """Send a signal to those that are still there."""
    for pid in processes:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)


def main() -> None:
    """Stop what runs here, so that it starts nothing more, and kill it last."""
    pid, container = int(sys.argv[1]), sys.argv[2]
    time.sleep(float(sys.argv[3]))
    # This process is one of the children.
    tree = [pid, *(each for each in children(pid) if each != os.getpid())]
    send(signal.SIGSTOP, tree)
    subprocess.run(
        ["docker", "exec", container, "/usr/bin/python3", "-c", _IN_CONTAINER], check=True
    )
    send(signal.SIGKILL, tree)


if __name__ == "__main__":
    main()
