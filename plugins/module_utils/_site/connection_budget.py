# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How many database connections the sites of a host can open, and whether the server has them."""

from __future__ import annotations

import dataclasses
import re
import typing as t

_LOCAL = re.compile(r"\w+://(localhost:|127\.|::1|\[::1\]|/)")


@dataclasses.dataclass(frozen=True)
class Pool:
    """One pool of Trac in each of so many processes, and what it serves."""

    name: str
    processes: int
    threads: int
    size: int
    pooling: str
    environments: frozenset[str]

    def connections(self, environments: t.Iterable[str]) -> int:
        """The most connections of one process to a server that has these environments."""
        served = len(self.environments.intersection(environments))
        if not served:
            return 0
        # A thread uses one connection at a time. Left in the pool, there is one for each thread
        # and environment, because only that environment can use it again.
        kept = 1 if self.pooling == "disabled" else served
        return min(self.size, self.threads * kept)


@dataclasses.dataclass(frozen=True)
class Server:
    """What a database server has said, or why it has not."""

    name: str
    environments: t.Sequence[str]
    most: int | None = None
    reserved: int = 0
    reason: str = ""

    @property
    def local(self) -> bool:
        """Whether it serves this host only, as far as its address says."""
        return _LOCAL.match(self.name) is not None

    @property
    def available(self) -> int | None:
        return None if self.most is None else max(self.most - self.reserved, 0)


@dataclasses.dataclass(frozen=True)
class Budget:
    """What a server needs to have for the sites."""

    server: Server
    shares: t.Sequence[tuple[Pool, int]]
    hosts: int

    @property
    def needed(self) -> int:
        return self.hosts * sum(pool.processes * each for pool, each in self.shares)

    @property
    def enough(self) -> bool | None:
        available = self.server.available
        return None if available is None else self.needed <= available

    def warning(self) -> str | None:
        """What an administrator has to know, in words."""
        if self.server.reason and self.needed:
            return (
                f"The database server {self.server.name} could not be asked how many connections "
                f"it takes ({self.server.reason}). The sites can open {self.needed}."
            )
        if self.enough is not False:
            return None
        shares = "; ".join(
            f"{pool.name}: {pool.processes} processes x {each}" for pool, each in self.shares
        )
        hosts = f", on each of {self.hosts} hosts" if self.hosts > 1 else ""
        return (
            f"The database server {self.server.name} can run out of connections: the sites can "
            f"open {self.needed} ({shares}{hosts}), and it takes {self.server.available} "
            f"(max_connections {self.server.most}, {self.server.reserved} of them reserved). "
            "Pages fail when none is left. Raise max_connections of the server, or give the "
            "sites fewer processes or a smaller pool_size."
        )


def pools(sites: t.Iterable[t.Mapping[str, t.Any]], environments: t.Iterable[str]) -> list[Pool]:
    """The pools of all sites. `environments` are what a site of a parent directory serves."""
    everything = frozenset(environments)
    found: list[Pool] = []
    embedded: list[Pool] = []
    for site in sites:
        inside = site["mode"] == "embedded"
        pool = Pool(
            f"site {site['name']}",
            site["processes"],
            site["threads"],
            site["pool_size"],
            site["pooling"],
            frozenset([site["environment"]]) if site["environment"] else everything,
        )
        (embedded if inside else found).append(pool)
    if embedded:
        # They are in the same processes and share one pool.
        found.append(
            dataclasses.replace(
                embedded[0],
                name="embedded sites",
                environments=frozenset().union(*(pool.environments for pool in embedded)),
            )
        )
    return found


def budget(server: Server, all_pools: t.Iterable[Pool], hosts: int = 1) -> Budget:
    """What the pools of so many hosts like this one can open on a server."""
    shares = [(pool, pool.connections(server.environments)) for pool in all_pools]
    return Budget(
        server, [(pool, each) for pool, each in shares if each], 1 if server.local else hosts
    )
