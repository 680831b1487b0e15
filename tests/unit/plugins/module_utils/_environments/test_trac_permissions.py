# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Permissions that are added, and lists of them that are complete."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.trac.mod_wsgi.plugins.module_utils._environments import (
    permissions as environment_permissions,
)
from ansible_collections.trac.mod_wsgi.plugins.module_utils._trac.environment_spec import (
    Context,
    EnvironmentSpec,
)

pytest.importorskip("trac.env")

WARNING = "no user and no group has TRAC_ADMIN, so that nobody can administer it over the web"


def permissions(project: t.Any) -> set[tuple[str, str]]:
    return set(project.rows("SELECT username, action FROM permission"))


def test_they_are_only_added(project: t.Any) -> None:
    before = permissions(project)
    assert project.changes(permissions={"anna": ["TRAC_ADMIN"], "bob": []}) == [
        "grant TRAC_ADMIN to anna"
    ]
    assert permissions(project) == before | {("anna", "TRAC_ADMIN")}


@pytest.mark.parametrize("existing", [True, False])
def test_a_complete_list_is_all_there_is(empty: t.Any, existing: bool) -> None:
    if existing:
        empty.reconcile(permissions={"joé %s": ["WIKI_VIEW"], "anna": ["TRAC_ADMIN"]})
    wanted = {"anna": ["TRAC_ADMIN", "devs"], "devs": ["WIKI_VIEW"], "anonymous": []}
    changes = empty.changes(permissions=wanted, exclusive=["permissions"])
    assert permissions(empty) == {
        ("anna", "TRAC_ADMIN"),
        ("anna", "devs"),
        ("devs", "WIKI_VIEW"),
    }
    if existing:
        assert changes[:2] == ["grant devs to anna", "grant WIKI_VIEW to devs"]
        assert "revoke WIKI_VIEW from joé %s" in changes
        assert "revoke BROWSER_VIEW from anonymous" in changes
        assert "revoke TRAC_ADMIN from anna" not in changes


def test_a_list_that_is_left_out_is_not_complete(project: t.Any) -> None:
    before = permissions(project)
    assert project.changes(exclusive=["permissions"]) == []
    assert permissions(project) == before


@pytest.mark.parametrize("existing", [True, False])
@pytest.mark.parametrize(
    ("wanted", "warnings"),
    [
        ({}, [WARNING]),
        ({"anna": ["WIKI_ADMIN"]}, [WARNING]),
        ({"anna": ["TRAC_ADMIN"]}, []),
        ({"admins": ["TRAC_ADMIN"], "anna": ["admins"]}, []),
        ({"admins": ["TRAC_ADMIN"]}, []),  # its members may come from elsewhere
    ],
)
def test_nobody_is_locked_out_silently(
    empty: t.Any, existing: bool, wanted: dict[str, list[str]], warnings: list[str]
) -> None:
    if existing:
        empty.reconcile(permissions={"old": ["TRAC_ADMIN"]})
    for check in (True, False):
        report = empty.reconcile(check=check, permissions=wanted, exclusive=["permissions"])
        assert (report["warnings"], report["failure"]) == (warnings, None)
    assert len(permissions(empty)) == sum(len(actions) for actions in wanted.values())
    # Who wants it so is not told with each run.
    assert empty.reconcile(permissions=wanted, exclusive=["permissions"])["warnings"] == []


def test_defaults_are_overridden_subject_by_subject(empty: t.Any) -> None:
    defaults = {
        "permissions": {"admin": ["TRAC_ADMIN"], "anonymous": ["WIKI_VIEW"]},
        "exclusive": ["permissions"],
    }
    empty.reconcile(defaults=defaults, permissions={"anonymous": ["TICKET_VIEW"]})
    assert permissions(empty) == {("admin", "TRAC_ADMIN"), ("anonymous", "TICKET_VIEW")}
    empty.reconcile(defaults=defaults, permissions={"anonymous": []})
    assert permissions(empty) == {("admin", "TRAC_ADMIN")}
    empty.reconcile(defaults=defaults)
    assert permissions(empty) == {("admin", "TRAC_ADMIN"), ("anonymous", "WIKI_VIEW")}


def test_an_unknown_action_changes_nothing(project: t.Any) -> None:
    before = permissions(project)
    report = project.reconcile(permissions={"anna": ["WIKI_ADMON"]}, exclusive=["permissions"])
    assert "did you mean WIKI_ADMIN" in report["failure"]
    assert permissions(project) == before


def test_nothing_is_asked_about_what_is_left_out() -> None:
    assert environment_permissions.plan(None, EnvironmentSpec("project"), Context()) == []
