"""Which hosts a playbook is for."""

from __future__ import annotations

import pytest

from ansible_collections.trac.mod_wsgi.plugins.filter import groups as filters


@pytest.mark.parametrize(
    ("groups", "pattern"),
    [
        (["all", "trac_web", "trac_database"], "trac_web:trac_database"),
        (["all", "trac_web"], "trac_web"),
        (["all"], "all:!all"),
    ],
)
def test_groups_that_an_inventory_lacks_are_left_out(groups: list[str], pattern: str) -> None:
    assert filters.existing_groups(["trac_web", "trac_database"], dict.fromkeys(groups)) == pattern
