# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who may do what in an environment: an aspect, see _trac.environment_spec."""

from __future__ import annotations

import difflib
import functools
import typing as t

from ansible_collections.trac.mod_wsgi.plugins.module_utils._trac.environment_spec import (
    Change,
    Context,
    EnvironmentFailure,
    EnvironmentSpec,
    permission_granted,
    permission_revoked,
)

Permission = t.Tuple[str, str]  # subject, action or group


def check(environment: t.Any, spec: EnvironmentSpec, context: Context) -> None:
    """Refuse actions that Trac and its plugins do not define."""
    _check_actions(environment, spec.permissions, context)
    if "permissions" in spec.exclusive:
        _warn_without_administrator(spec.permissions, context)


def plan(environment: t.Any, spec: EnvironmentSpec, context: Context) -> list[Change]:
    """Grant what is missing and, where the list is complete, revoke what it does not name."""
    from trac.perm import PermissionSystem

    exclusive = "permissions" in spec.exclusive
    if not spec.permissions and not exclusive:
        return []
    system = PermissionSystem(environment)
    current = dict.fromkeys(system.get_all_permissions())
    missing = [permission for permission in spec.permissions if permission not in current]
    _check_actions(environment, missing, context)
    changes = [
        Change(
            *permission_granted(*permission),
            functools.partial(system.grant_permission, *permission),
        )
        for permission in missing
    ]
    if exclusive:
        wanted = set(spec.permissions)
        changes += [
            Change(
                *permission_revoked(*permission),
                functools.partial(system.revoke_permission, *permission),
            )
            for permission in current
            if permission not in wanted
        ]
        if changes:
            _warn_without_administrator(spec.permissions, context)
    return changes


def _check_actions(
    environment: t.Any, permissions: t.Sequence[Permission], context: Context
) -> None:
    from trac.perm import PermissionSystem

    if not permissions:
        return
    known = PermissionSystem(environment).get_actions()
    for subject, action in permissions:
        if action.isupper() and action not in known:
            reason = f"permission of {subject!r}: there is no action {action}"
            similar = difflib.get_close_matches(action, known, 3)
            if similar:
                reason += f"; did you mean {' or '.join(similar)}?"
            if context.complaints:
                reason += " Trac says: " + "; ".join(context.complaints)
            raise EnvironmentFailure(reason)
        if not action.isupper() and action.upper() in known:
            raise EnvironmentFailure(
                f"permission of {subject!r}: the group {action!r} would differ from the action "
                f"{action.upper()} by its case only"
            )


def _warn_without_administrator(permissions: t.Sequence[Permission], context: Context) -> None:
    """Say so when nobody is left who could give permissions over the web.

    A group that holds TRAC_ADMIN is enough: its members may come from elsewhere (LDAP, a file).
    """
    if not any(action == "TRAC_ADMIN" for _subject, action in permissions):
        context.warn(
            "no user and no group has TRAC_ADMIN, so that nobody can administer it over the web"
        )
