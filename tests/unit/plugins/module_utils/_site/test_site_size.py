# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How big sites are on small hosts and big ones."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.trac.mod_wsgi.plugins.module_utils._site import size as site_size
from ansible_collections.trac.mod_wsgi.plugins.module_utils._site.size import Group


@pytest.mark.parametrize(
    ("sites", "cores", "memory_mb", "processes"),
    [
        # Unknown, or nothing to size.
        (1, 0, 0, 2),
        (1, 4, 0, 2),
        (0, 4, 8000, 2),
        # Small hosts: the memory decides.
        (1, 1, 480, 1),
        (1, 1, 980, 2),
        (3, 2, 980, 1),
        (2, 2, 3900, 2),
        # The cores decide, shared by the sites.
        (1, 4, 7900, 4),
        (3, 4, 7900, 2),
        (3, 8, 15900, 3),
        # Big hosts: there is an end.
        (1, 64, 257000, 16),
        (2, 64, 257000, 8),
        (40, 64, 257000, 2),
        (1000, 64, 257000, 1),
    ],
)
def test_processes(sites: int, cores: int, memory_mb: int, processes: int) -> None:
    assert site_size.processes(sites, cores, memory_mb) == processes


@pytest.mark.parametrize(
    ("groups", "waiting", "workers"),
    [
        ([], 100, 150),
        ([Group(2, 5)], 100, 250),
        ([Group(4, 5)], 100, 250),
        ([Group(16, 5)], 100, 250),
        ([Group(2, 5)] * 2, 100, 275),
        ([Group(2, 5)] * 5, 43, 300),
        # Not all of these can be full at the same time.
        ([Group(2, 5)] * 40, 20, 300),
        ([Group(100, 10)], 20, 300),
    ],
)
def test_waiting_and_workers(groups: list[Group], waiting: int, workers: int) -> None:
    assert site_size.waiting(groups) == waiting
    assert site_size.apache_workers(groups) == workers


@given(st.lists(st.builds(Group, st.integers(1, 16), st.integers(1, 10)), max_size=8))
def test_workers_are_left_for_static_files(groups: list[Group]) -> None:
    waiting, workers = site_size.waiting(groups), site_size.apache_workers(groups)
    assert 150 <= workers <= 300
    assert workers % 25 == 0
    if waiting > site_size.LEAST_WAITING:
        held = sum(group.processes * group.threads + waiting + 1 for group in groups)
        assert workers - held >= 30
