# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Filters of role trac_database, and of role trac_environments where it uses its databases."""

from __future__ import annotations

import functools
import typing as t

from ansible.errors import AnsibleFilterError

from ansible_collections.trac.mod_wsgi.plugins.plugin_utils import (
    _database_inventory,
    _database_plan,
    _database_url,
)

Records = t.Mapping[str, t.Mapping[str, t.Any]]


def _in_words(function: t.Callable[..., t.Any]) -> t.Callable[..., t.Any]:
    """The function, with its own errors as those of a filter."""

    @functools.wraps(function)
    def wrapped(*args: t.Any, **kwargs: t.Any) -> t.Any:
        try:
            return function(*args, **kwargs)
        except _database_url.UrlError as error:
            raise AnsibleFilterError(str(error)) from error

    return wrapped


def database_host(host: str, hostvars: t.Any, groups: t.Any) -> str:
    return _database_inventory.database_host(hostvars, groups, host)


def database_needs(host: str, hostvars: t.Any, groups: t.Any) -> dict[str, t.Any]:
    return _database_inventory.needed(hostvars, groups, host)


def database_logins(
    environments: t.Sequence[t.Mapping[str, t.Any]],
    stored: t.Mapping[str, t.Any],
    passwords: t.Mapping[str, str],
    settings: t.Mapping[str, t.Any],
) -> dict[str, t.Any]:
    return _database_inventory.logins(environments, stored, passwords, settings)


def _logins(records: Records) -> list[_database_plan.Login]:
    return [_database_plan.Login.from_record(name, record) for name, record in records.items()]


def database_plan(
    logins: t.Mapping[str, t.Any],
    kind: str,
    state: t.Mapping[str, t.Any] | None,
    hosts: t.Sequence[str] = (),
) -> dict[str, t.Any]:
    wanted = _logins(logins["wanted"])
    if kind == "mariadb":
        plan = _database_plan.mariadb_plan(wanted, logins["known"], state, hosts)
    else:
        plan = _database_plan.postgresql_plan(wanted, logins["known"], state)
    return plan.to_dict()


def database_removal(gone: Records, kind: str, state: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    return _database_plan.removal_plan(kind, _logins(gone), state).to_dict()


def database_access(wanted: Records, clients: t.Sequence[str], local: bool) -> str:
    return _database_plan.pg_hba(_logins(wanted), clients, local)


class FilterModule:
    """The filters, by name."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {
            "database_access": database_access,
            "database_accounts": lambda clients: [
                _database_plan.client_account(str(client)) for client in clients
            ],
            "database_host": database_host,
            "database_logins": database_logins,
            "database_needs": database_needs,
            "database_plan": database_plan,
            "database_removal": database_removal,
            "environments_with_databases": _in_words(_database_inventory.with_databases),
        }
