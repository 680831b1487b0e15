# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Environments as an inventory describes them: tables of what is read, refused and merged."""

from __future__ import annotations

import datetime
import json
import typing as t

import pytest

from ansible_collections.trac.mod_wsgi.plugins.module_utils._core import arguments
from ansible_collections.trac.mod_wsgi.plugins.module_utils._environments import environment_input
from ansible_collections.trac.mod_wsgi.plugins.module_utils._trac import field_items
from ansible_collections.trac.mod_wsgi.plugins.module_utils._trac.environment_spec import (
    EnvironmentSpec,
)

Document = t.Dict[str, t.Any]
DAY = 1801353600000000  # 2027-01-31
HOUR = 3600 * 1000000


def read(document: Document, defaults: Document | None = None) -> EnvironmentSpec:
    (spec,), problems = environment_input.read_specs([{"name": "p", **document}], defaults)
    assert problems == []
    return spec


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("2027-01-31", DAY),
        (datetime.date(2027, 1, 31), DAY),
        ("2027-01-31T18:00", DAY + 18 * HOUR),
        ("2027-01-31 18:00:00", DAY + 18 * HOUR),
        ("2027-01-31T18:00:00Z", DAY + 18 * HOUR),
        ("2027-01-31T18:00:00.5Z", DAY + 18 * HOUR + 500000),
        ("2027-01-31T18:00:00+01:00", DAY + 17 * HOUR),
        ("2027-01-31 18:00:00 -0530", DAY + 23 * HOUR + HOUR // 2),
        ("2027-01-31T00:00:00+01", DAY - HOUR),
        (datetime.datetime(2027, 1, 31, 18), DAY + 18 * HOUR),
        (
            datetime.datetime(
                2027, 1, 31, 18, tzinfo=datetime.timezone(datetime.timedelta(hours=1))
            ),
            DAY + 17 * HOUR,
        ),
        (None, None),
        ("", None),
    ],
)
def test_dates(value: object, expected: int | None) -> None:
    item = {"name": "m", "due": value}
    assert field_items.read_items("milestones", [item]) == ([{"name": "m", "due": expected}], [])


@pytest.mark.parametrize(
    "value",
    [
        "tomorrow",
        "31.01.2027",
        "2027-02-30",
        "2027-1-1",
        "2027-01-31T25:00",
        "2027-01-31T10:00+99:00",
        "2027-01-31+01:00",
        "1970-01-01",
        "1969-12-31",
        "٢٠٢٧-01-31",
        20270131,
        True,
        ["2027-01-31"],
    ],
)
def test_what_is_no_date(value: object) -> None:
    _items, problems = field_items.read_items("milestones", [{"name": "m", "due": value}])
    assert len(problems) == 1
    assert problems[0].startswith(
        f"milestones[0].due is {arguments.shown(value)}; allowed are dates such as"
    )


@pytest.mark.parametrize(
    ("value", "name"),
    [("1.10", "1.10"), (1.5, "1.5"), (2, "2"), (datetime.date(2027, 1, 31), "2027-01-31")],
)
def test_names(value: object, name: str) -> None:
    for item in (value, {"name": value}):
        assert field_items.read_items("versions", [item]) == ([{"name": name}], [])


@pytest.mark.parametrize(
    ("key", "value", "problem"),
    [
        ("milestones", "m", "milestones is 'm'; it has to be a list"),
        ("milestones", {"m": {}}, "milestones is a dictionary; it has to be a list"),
        ("milestones", [""], "milestones[0] is ''; allowed are texts that are not empty"),
        ("milestones", [None], "milestones[0] is empty (null); allowed"),
        ("milestones", [True], "milestones[0] is true; allowed"),
        ("milestones", [["m"]], "milestones[0] is a list; allowed"),
        ("milestones", ["x", " m"], "milestones[1] is ' m'; allowed are texts of one line"),
        ("milestones", ["m\n"], "milestones[0] is 'm\\n'; allowed"),
        ("milestones", ["a  b"], "milestones[0] is 'a  b'; allowed"),
        ("milestones", ["a\0"], "milestones[0] is 'a\\x00'; allowed"),
        ("milestones", [{}], "milestones[0].name is empty (null); allowed"),
        ("milestones", [{"due": "2027-01-31"}], "milestones[0].name is empty (null); allowed"),
        ("milestones", ["m", {"name": "m"}], "milestones[1] is 'm', which the list has already"),
        ("milestones", [1, "1"], "milestones[1] is '1', which the list has already"),
        (
            "milestones",
            [{"name": "m", "owner": "x"}],
            "milestones[0] has the unknown key owner; known are name, due, completed, description",
        ),
        ("milestones", [{"name": "m", "completed": True}], "milestones[0].completed is true"),
        ("milestones", [{"name": "m", "description": 5}], "milestones[0].description is 5"),
        ("components", [{"name": "c", "owner": " x"}], "components[0].owner is ' x'; allowed"),
        ("components", [{"name": "c", "due": "x"}], "components[0] has the unknown key due"),
        ("versions", [{"name": "v", "time": "x"}], "versions[0].time is 'x'; allowed are dates"),
        ("priorities", [{"name": "v", "value": 1}], "priorities[0] has the unknown key value"),
        ("exclusive", ["config"], "exclusive holds 'config'; allowed are permissions, milestones"),
        ("new_database", "postgres://x\n y", "new_database: "),
    ],
)
def test_what_is_refused(key: str, value: object, problem: str) -> None:
    _specs, problems = environment_input.read_specs([{"name": "p", key: value}])
    assert len(problems) == 1, problems
    assert problems[0].startswith(f"environment 'p': {problem}")
    if key != "new_database":
        _specs, problems = environment_input.read_specs([{"name": "p"}], {key: value})
        assert len(problems) == 1, problems
        assert problems[0].startswith(f"defaults: {problem}")


def test_defaults_cannot_hold_one_database_for_all() -> None:
    config = {"trac": {"Database": "sqlite:/srv/all.db"}}
    _specs, problems = environment_input.read_specs([{"name": "p"}], {"config": config})
    assert problems == ["defaults: [trac] database: each environment needs one of its own"]


def test_a_database_is_one_however_it_is_spelled() -> None:
    spec = read({"config": {"trac": {"Database": "sqlite:db/x.db"}, "project": {"NAME": "P"}}})
    options = spec.creation_options()
    assert options["trac", "database"] == "sqlite:db/x.db"
    assert options["project", "name"] == "P"
    assert len(options) == 3


def test_merging() -> None:
    defaults: Document = {
        "config": {"ticket": {"default_type": "task", "default_priority": "minor"}},
        "permissions": {"admin": ["TRAC_ADMIN"], "anna": ["WIKI_ADMIN"]},
        "milestones": ["a", "b"],
        "priorities": ["x"],
        "exclusive": ["priorities", "versions"],
        "upgrade": False,
    }
    spec = read(
        {
            "config": {"ticket": {"Default_Type": "defect"}},
            "permissions": {"anna": []},
            "milestones": ["c"],
        },
        defaults,
    )
    assert spec.options == {
        ("ticket", "Default_Type"): "defect",
        ("ticket", "default_priority"): "minor",
    }
    assert spec.permissions == [("admin", "TRAC_ADMIN")]
    assert spec.fields == {"milestones": [{"name": "c"}], "priorities": [{"name": "x"}]}
    assert spec.exclusive == ["priorities"]  # there is no list of versions
    assert spec.upgrade is False
    own = read({"exclusive": [], "upgrade": True, "priorities": [], "permissions": {}}, defaults)
    assert (own.exclusive, own.upgrade) == ([], True)
    assert own.fields["priorities"] == []
    assert own.permissions == [("admin", "TRAC_ADMIN"), ("anna", "WIKI_ADMIN")]


def test_a_specification_travels_whole() -> None:
    spec = read(
        {
            "title": "Größe",
            "config": {"a": {"b": None}},
            "permissions": {"x": ["y"]},
            "milestones": [{"name": "m", "due": "2027-01-31", "completed": None}],
            "repositories": [{"name": "r", "type": "git", "dir": "/srv/r.git"}],
            "exclusive": ["milestones"],
            "upgrade": False,
            "state": "absent",
            "new_database": "postgres://a:b@c/d",
        }
    )
    assert EnvironmentSpec.from_json(json.loads(json.dumps(spec.to_json()))) == spec
    assert spec.state == "absent"
    assert spec.creation_options()["trac", "database"] == "postgres://a:b@c/d"


def test_the_password_of_a_new_database_is_a_secret() -> None:
    spec = read({"new_database": "postgres://trac:p%40ssword@db/x"})
    assert spec.redactor().redact("no: p@ssword, p%40ssword") == "no: ********, ********"
