# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Milestones and what else a ticket may be given, in real Trac environments."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.trac.mod_wsgi.plugins.module_utils._environments import (
    environment_input,
    ticket_fields,
)
from ansible_collections.trac.mod_wsgi.plugins.module_utils._environments import (
    reconcile as environment_reconcile,
)
from ansible_collections.trac.mod_wsgi.plugins.module_utils._trac.environment_spec import (
    Context,
    EnvironmentFailure,
    EnvironmentSpec,
)

pytest.importorskip("trac.env")


class Field(t.NamedTuple):
    """A key of the inventory, and where Trac keeps it."""

    key: str
    column: str  # of tickets
    word: str
    table: str = "enum"

    def names(self, project: t.Any) -> list[str]:
        """In their order where they have one."""
        kind = self.word.replace(" ", "_")
        rest = f"WHERE type='{kind}' ORDER BY CAST(value AS int)" if self.table == "enum" else ""
        return [name for (name,) in project.rows(f"SELECT name FROM {self.table} {rest}")]


TABLES = [
    Field("milestones", "milestone", "milestone", "milestone"),
    Field("components", "component", "component", "component"),
    Field("versions", "version", "version", "version"),
]
ENUMS = [
    Field("priorities", "priority", "priority"),
    Field("ticket_types", "type", "ticket type"),
    Field("severities", "severity", "severity"),
    Field("resolutions", "resolution", "resolution"),
]
EACH_KEY = pytest.mark.parametrize("field", TABLES + ENUMS, ids=lambda field: field.key)
EACH_ENUM = pytest.mark.parametrize("field", ENUMS, ids=lambda field: field.key)

JANUARY_31 = 1801353600000000  # microseconds, as Trac stores them


@EACH_KEY
def test_what_is_missing_is_added(project: t.Any, field: Field) -> None:
    before = field.names(project)
    assert (
        project.changes(**{field.key: ["one", {"name": "two"}]})[:2].count(f"add {field.word} one")
        == 1
    )
    assert set(field.names(project)) == {*before, "one", "two"}
    assert project.changes(**{field.key: []}) == []  # only what is listed is looked at
    assert set(field.names(project)) == {*before, "one", "two"}


@EACH_KEY
def test_a_new_environment_has_it_from_the_start(empty: t.Any, field: Field) -> None:
    changes = empty.changes(**{field.key: ["one", "two"], "exclusive": [field.key]})
    assert changes[-2:] == [f"add {field.word} one", f"add {field.word} two"]
    assert field.names(empty) == ["one", "two"]


@EACH_KEY
def test_a_complete_list_removes_the_rest(project: t.Any, field: Field) -> None:
    project.reconcile(**{field.key: ["one", "two", "three", "four"], "exclusive": [field.key]})
    changes = project.changes(**{field.key: ["one", "four"], "exclusive": [field.key]})
    assert sorted(changes) == [f"remove {field.word} three", f"remove {field.word} two"]
    assert sorted(field.names(project)) == ["four", "one"]
    assert len(project.changes(**{field.key: [], "exclusive": [field.key]})) == 2
    assert field.names(project) == []


@EACH_KEY
def test_a_list_that_is_left_out_is_not_complete(project: t.Any, field: Field) -> None:
    before = project.dump()
    assert project.changes(exclusive=[field.key]) == []
    assert project.dump() == before


@EACH_KEY
def test_what_tickets_use_is_never_removed_and_nothing_else_is_changed(
    project: t.Any, field: Field
) -> None:
    project.reconcile(**{field.key: ["a 'b'", "c", "d"]})
    for value in ("a 'b'", "a 'b'", "c"):
        project.ticket(**{field.column: value})
    before = project.dump(), (project.path / "conf" / "trac.ini").read_bytes()
    wanted = {
        "title": "Renamed",
        "permissions": {"bob": ["TRAC_ADMIN"]},
        "components": ["new"],
        field.key: ["d", "e"],
        "exclusive": [field.key],
    }
    failures = [project.reconcile(check=check, **wanted)["failure"] for check in (True, False)]
    assert failures[0] == failures[1]
    assert failures[0].startswith(f"{field.key}: ")
    assert "\"a 'b'\" (used by 2 tickets)" in failures[0]
    assert "'c' (used by 1 ticket)" in failures[0]
    assert "'d'" not in failures[0]
    assert (project.dump(), (project.path / "conf" / "trac.ini").read_bytes()) == before


def test_milestones_with_attachments_are_never_removed(project: t.Any) -> None:
    project.execute(
        "INSERT INTO attachment (type, id, filename, size, time) VALUES "
        "('milestone', 'milestone1', 'plan.txt', 1, 1), ('wiki', 'milestone2', 'x', 1, 1)"
    )
    failure = project.reconcile(milestones=[], exclusive=["milestones"])["failure"]
    assert "'milestone1' (used by 1 attachment)" in failure
    assert "milestone2" not in failure
    assert len(TABLES[0].names(project)) == 4


def test_a_ticket_that_is_written_meanwhile_is_noticed(project: t.Any) -> None:
    from trac.env import Environment

    (spec,), _problems = environment_input.read_specs(
        [{"name": "project", "priorities": ["blocker"], "exclusive": ["priorities"]}]
    )
    environment = Environment(str(project.path))
    planned = ticket_fields.plan(environment, spec, Context())
    project.ticket(priority="minor")
    before = project.dump()
    planned_and_applied = environment_reconcile._apply_aspects(
        environment, [(environment_reconcile.Aspect(ticket_fields.plan), planned)]
    )
    with pytest.raises(EnvironmentFailure, match="'minor' \\(used by 1 ticket"):
        list(planned_and_applied)
    assert project.dump() == before
    environment.shutdown()


# Attributes


def test_attributes_of_milestones(project: t.Any) -> None:
    def row() -> t.Any:
        return project.rows(
            "SELECT due, completed, description FROM milestone WHERE name='release'"
        )[0]

    release = {"name": "release", "due": "2027-01-31", "description": "The first.\nOf many."}
    assert project.changes(milestones=[release]) == ["add milestone release"]
    assert row() == (JANUARY_31, 0, "The first.\nOf many.")
    # What is left out stays, and a bare name leaves out everything.
    assert project.changes(milestones=["release"]) == []
    done = {"name": "release", "completed": "2027-01-31T01:00:00+01:00"}
    assert project.changes(milestones=[done]) == ["set completed of milestone release"]
    assert row() == (JANUARY_31, JANUARY_31, "The first.\nOf many.")
    undone = {"name": "release", "due": None, "completed": None, "description": ""}
    assert project.changes(milestones=[undone]) == [
        "set due, completed, description of milestone release"
    ]
    assert row() == (0, 0, "")


def test_attributes_of_components_and_versions(project: t.Any) -> None:
    assert project.changes(
        components=[{"name": "component1", "owner": "anna"}, {"name": "engine", "owner": "bob"}],
        versions=[{"name": "1.0", "time": "2027-01-31 00:00:00.000001Z"}],
    ) == [
        "set owner of component component1",
        "add component engine",
        "set time of version 1.0",
    ]
    assert project.rows("SELECT name, owner FROM component ORDER BY name") == [
        ("component1", "anna"),
        ("component2", "somebody"),
        ("engine", "bob"),
    ]
    assert project.rows("SELECT time FROM version WHERE name='1.0'") == [(JANUARY_31 + 1,)]
    assert project.changes(components=[{"name": "engine", "owner": None}]) == [
        "set owner of component engine"
    ]


@EACH_ENUM
def test_attributes_of_choices(project: t.Any, field: Field) -> None:
    project.reconcile(**{field.key: ["one", "two", "three"], "exclusive": [field.key]})
    two = {"name": "two", "description": "The second."}
    # Together with a removal, which changes the positions of what follows.
    assert project.changes(
        **{field.key: [two, {"name": "three", "description": "x"}], "exclusive": [field.key]}
    )
    assert project.rows(
        "SELECT name, value, description FROM enum WHERE name IN ('one', 'two', 'three') ORDER BY 2"
    ) == [("two", "1", "The second."), ("three", "2", "x")]


def test_a_description_that_a_browser_sent_back_is_the_same(project: t.Any) -> None:
    wanted = [{"name": "milestone1", "description": "one\ntwo\n"}]
    project.reconcile(milestones=wanted)
    project.execute("UPDATE milestone SET description=? WHERE name='milestone1'", "one\r\ntwo\r\n")
    assert project.reconcile(milestones=wanted)["changes"] == []


def test_the_diff_names_what_was_and_what_is(project: t.Any) -> None:
    project.reconcile(milestones=[{"name": "milestone1", "due": "2027-01-31", "description": "x"}])
    report = project.reconcile(
        milestones=[{"name": "milestone1", "due": "2027-02-28T18:30:00Z", "description": "x"}],
        versions=["1.0"],
        priorities=["minor", "new"],
        exclusive=["versions"],
        check=True,
    )
    assert report["before"] == [
        "milestone milestone1: due = 2027-01-31T00:00:00Z",
        "version 2.0",
        "priority order: blocker, critical, major, minor, trivial",
    ]
    assert report["after"] == [
        "milestone milestone1: due = 2027-02-28T18:30:00Z",
        "priority order: minor, new, blocker, critical, major, trivial",
        "priority new",
    ]


NASTY = [
    """quotes ' " ` and \\""",
    "100% %s %(name)s",
    "Größe – 漢字 \U0001f600",
    "'; DROP TABLE ticket; --",
    "{{ braces }} <b>&amp;</b>",
    "a, b",
    "None",
]


@EACH_KEY
def test_names_are_data(project: t.Any, field: Field) -> None:
    for exclusive in ([], [field.key]):
        project.changes(**{field.key: NASTY, "exclusive": exclusive})
        assert set(NASTY) <= set(field.names(project))
    assert sorted(field.names(project)) == sorted(NASTY)
    project.ticket(**{field.column: NASTY[1]})
    assert (
        "used by 1 ticket"
        in project.reconcile(**{field.key: [], "exclusive": [field.key]})["failure"]
    )


# The order of choices


@EACH_ENUM
def test_the_listed_come_first_in_their_order(project: t.Any, field: Field) -> None:
    project.reconcile(**{field.key: ["a", "b", "c", "d"], "exclusive": [field.key]})
    assert field.names(project) == ["a", "b", "c", "d"]
    assert project.changes(**{field.key: ["a", "b"]}) == []
    project.changes(**{field.key: ["d", "new", "b"]})
    assert field.names(project) == ["d", "new", "b", "a", "c"]
    project.changes(**{field.key: ["c", "x", "d"], "exclusive": [field.key]})
    assert field.names(project) == ["c", "x", "d"]


@pytest.mark.parametrize(
    "positions",
    [
        {"a": "1", "b": "1", "c": "1", "d": "1"},
        {"a": "7", "b": "30", "c": "5", "d": "200"},
        {"a": "0", "b": "1", "c": "2", "d": "2"},
        {"a": "x", "b": "", "c": "2", "d": "1"},
    ],
)
def test_positions_that_somebody_wrote_by_hand(project: t.Any, positions: dict[str, str]) -> None:
    """Trac deletes by position: of two at one position both would be gone."""
    field = ENUMS[0]
    for wanted, exclusive, expected in [
        (["d", "new"], False, {"a", "b", "c", "d", "new"}),
        (["c", "new", "a"], True, {"a", "c", "new"}),
        (["a", "b", "c"], True, {"a", "b", "c"}),
        (["a", "b", "c", "d"], False, {"a", "b", "c", "d"}),
    ]:
        project.reconcile(priorities=["a", "b", "c", "d"], exclusive=["priorities"])
        for name, value in positions.items():
            project.execute("UPDATE enum SET value=? WHERE name=?", value, name)
        project.changes(priorities=wanted, exclusive=["priorities"] if exclusive else [])
        assert set(field.names(project)) == expected
        assert field.names(project)[: len(wanted)] == wanted


# What surrounds it


def test_a_running_site_notices(project: t.Any) -> None:
    from trac.cache import CacheManager
    from trac.env import Environment
    from trac.ticket.api import TicketSystem
    from trac.ticket.model import Milestone

    running = Environment(str(project.path))

    def options(field: str) -> list[str]:
        CacheManager(running).reset_metadata()  # as each request does
        (found,) = [f for f in TicketSystem(running).get_ticket_fields() if f["name"] == field]
        return t.cast("list[str]", found["options"])

    assert options("priority")[0] == "blocker"
    assert len(Milestone.select(running)) == 4
    project.reconcile(priorities=["trivial"], milestones=["new"], ticket_types=["idea"])
    assert options("priority") == ["trivial", "blocker", "critical", "major", "minor"]
    assert options("type")[0] == "idea"
    assert len(Milestone.select(running)) == 5
    project.reconcile(priorities=["major", "minor"])  # nothing but an order
    assert options("priority")[:2] == ["major", "minor"]
    running.shutdown()


@pytest.mark.parametrize("existing", [True, False])
def test_a_default_that_is_gone_is_warned_of(empty: t.Any, existing: bool) -> None:
    if existing:
        empty.reconcile()
    wanted = {"priorities": ["urgent"], "resolutions": ["fixed"], "exclusive": ["priorities"]}
    for check in (True, False):
        assert empty.reconcile(check=check, **wanted)["warnings"] == [
            "[ticket] default_priority is 'major', which is not among the priorities"
        ]
    config = {"ticket": {"default_priority": "urgent"}}
    assert empty.reconcile(config=config, **wanted)["warnings"] == []


def test_all_or_nothing(project: t.Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A failure in the middle, as of a plugin that listens, leaves the tables as they were."""
    from trac.ticket import model

    def broken(_self: object) -> None:
        raise RuntimeError("broken plugin")

    monkeypatch.setattr(model.Version, "delete", broken)
    before = project.dump()
    report = project.reconcile(
        milestones=["new"], priorities=["minor"], versions=[], exclusive=["versions"]
    )
    assert "broken plugin" in report["failure"]
    assert report["changes"] == []
    assert project.dump() == before


def test_nothing_is_asked_about_what_is_left_out() -> None:
    spec = EnvironmentSpec("project", exclusive=[])
    assert ticket_fields.plan(None, spec, Context()) == []


def test_each_list_is_read_once(project: t.Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from trac.db.util import IterableCursor
    from trac.env import Environment

    queries: list[str] = []
    real = IterableCursor.execute

    def execute(self: t.Any, query: str, *arguments: t.Any) -> t.Any:
        queries.append(" ".join(query.split()))
        return real(self, query, *arguments)

    (spec,), _problems = environment_input.read_specs(
        [{"name": "project", **{field.key: ["x"] for field in TABLES + ENUMS}}]
    )
    environment = Environment(str(project.path))
    monkeypatch.setattr(IterableCursor, "execute", execute)
    assert len(ticket_fields.plan(environment, spec, Context())) >= len(TABLES + ENUMS)
    assert len([query for query in queries if " FROM cache" not in query]) == len(TABLES + ENUMS)
    environment.shutdown()
