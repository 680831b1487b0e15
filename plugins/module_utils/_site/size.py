# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How much of a host its sites take: processes, threads, requests that wait, Apache's workers.

A request for a page holds one of Apache's workers from its first to its last byte, also while it
waits for a thread of its site. Where no more than so many can wait, others are refused at once,
and workers are left for static files.
"""

from __future__ import annotations

import typing as t

# Where nothing is known of a host, and what a small one has.
PROCESSES = 2
# While one thread computes, the others wait for the database, the disk or a slow upload.
THREADS = 5

# Sites may use half of the memory; a process of Trac grows to about so much.
PROCESS_MB = 200
# All together. Their 80 threads fit into the 100 connections of a database server.
MOST_PROCESSES = 16

# Apache's own, on Debian: this many workers, 25 in each process.
APACHE_WORKERS = 150
APACHE_THREADS = 25
# Without a restart there are at most 16 processes. A quarter is left for the old ones that still
# serve somebody after a reload.
MOST_WORKERS = 12 * APACHE_THREADS
# Whoever sends a request slowly holds a worker until it is given up. 200 of them leave some.
LEAST_WORKERS = 250
# For static files. A connection that is only kept alive holds no worker.
STATIC_WORKERS = 30
# How many requests may wait for a thread: mod_wsgi's own number, and what short bursts need.
MOST_WAITING = 100
LEAST_WAITING = 20


class Group(t.NamedTuple):
    """The daemon processes of one site."""

    processes: int
    threads: int


def processes(sites: int, cores: int, memory_mb: int) -> int:
    """How many processes each of so many sites has; 0 cores or no memory means unknown."""
    if not (sites and cores and memory_mb):
        return PROCESSES
    by_cores = max(PROCESSES, -(-min(cores, MOST_PROCESSES) // sites))
    by_memory = memory_mb // 2 // PROCESS_MB // sites
    return max(1, min(by_cores, by_memory))


def waiting(groups: t.Sequence[Group]) -> int:
    """How many requests may wait for each of the groups."""
    if not groups:
        return MOST_WAITING
    room = MOST_WORKERS - STATIC_WORKERS - _busy(groups)
    # The kernel lets one more wait than it is told.
    return max(LEAST_WAITING, min(MOST_WAITING, room // len(groups) - 1))


def apache_workers(groups: t.Sequence[Group]) -> int:
    """How many workers Apache has to have, in whole processes; never fewer than on Debian.

    Where it runs Trac in its own processes and nowhere else, more of them would cost memory.
    """
    needed = _busy(groups) + len(groups) * (waiting(groups) + 1) + STATIC_WORKERS
    whole = -(-needed // APACHE_THREADS) * APACHE_THREADS
    return max(LEAST_WORKERS if groups else APACHE_WORKERS, min(MOST_WORKERS, whole))


def _busy(groups: t.Sequence[Group]) -> int:
    return sum(group.processes * group.threads for group in groups)
