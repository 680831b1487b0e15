# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An option of a site stands in the argument specification; all else follows from there."""

from __future__ import annotations

import pathlib
import re
import typing as t

import pytest

from ansible_collections.trac.mod_wsgi.plugins.module_utils._site import size, tls
from ansible_collections.trac.mod_wsgi.plugins.plugin_utils import _inventory, _specification

ROLE = pathlib.Path(__file__).resolve().parents[4] / "roles" / "trac_site"
OPTIONS = _specification.item_options("trac_site", "trac_site_sites")
ROW = re.compile(r"^\| (`\w+`(?:, `\w+`)*) \| ([^|]*) \|", re.MULTILINE)
RANGES = [
    (key, allowed)
    for key, allowed in (
        (key, _specification.allowed_range(option)) for key, option in OPTIONS.items()
    )
    if allowed
]


def rows() -> dict[str, str]:
    """The options in the README's first table of keys, with what it says of their defaults."""
    text = (ROLE / "README.md").read_text(encoding="utf-8")
    table = text[text.index("| key | default | meaning |") :].split("\n\n", 1)[0]
    found: dict[str, str] = {}
    for names, default in ROW.findall(table):
        keys = re.findall(r"\w+", names)
        defaults = default.split(", ") if default.count(", ") == len(keys) - 1 else [default]
        found.update(zip(keys, defaults * len(keys) if len(defaults) == 1 else defaults))
    return found


def test_the_readme_lists_every_option_of_a_site() -> None:
    assert sorted(rows()) == sorted(OPTIONS)


@pytest.mark.parametrize("key", [key for key in OPTIONS if "default" in OPTIONS[key]])
def test_the_readme_names_the_default(key: str) -> None:
    default = OPTIONS[key]["default"]
    written = str(default).lower() if isinstance(default, bool) else str(default) or '""'
    assert rows()[key] in (f"`{written}`", "left out" if default == "" else "")


@pytest.mark.parametrize(("key", "allowed"), RANGES, ids=[key for key, _allowed in RANGES])
def test_numbers_out_of_range_are_refused(key: str, allowed: _specification.Range) -> None:
    def problems(value: int) -> list[str]:
        site = {"name": "a", "threads": 1, key: value}
        return _inventory.site_problems([site], [])

    assert problems(allowed.least) + problems(allowed.most) == []
    for wrong in (allowed.least - 1, allowed.most + 1):
        (problem,) = problems(wrong)
        assert problem == (
            f"trac_sites[0].{key} is {wrong}; "
            f"allowed are {allowed.least} to {allowed.most}{allowed.unit}."
        )


def test_there_are_ranges() -> None:
    """A description that says it in other words would go unnoticed."""
    assert {"processes", "threads", "pool_size"} <= {key for key, _allowed in RANGES}
    seconds = {key for key in OPTIONS if key.endswith("_timeout")}
    assert seconds <= {key for key, _allowed in RANGES}


def test_what_hosts_assume_is_what_the_specification_says() -> None:
    """Modules have no specification to read."""
    assert OPTIONS["threads"]["default"] == size.THREADS
    nested: dict[str, t.Any] = OPTIONS["tls"]["options"]
    assert nested["hsts"]["default"] == tls.HSTS_SECONDS
    assert nested["redirect"]["default"] is True


def test_a_completed_item_has_every_key_and_its_types() -> None:
    site = _specification.completed({"name": "a", "threads": "7", "mount": None}, OPTIONS)
    assert set(site) == set(OPTIONS)
    assert site["threads"] == 7
    assert site["mount"] == "/trac"
    assert site["egg_cache"] is None
