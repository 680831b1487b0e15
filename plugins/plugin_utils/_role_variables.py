# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is wrong with the variables of a role, before a host is touched.

Types come first, for all roles, because every other check takes them for granted. What else a
role checks stands in one function for each role, as groups: the problems of the first group that
has any are told together, and the groups after it are not looked at.
"""

from __future__ import annotations

import json
import re
import typing as t

from ansible.plugins.loader import module_loader

from ansible_collections.trac.mod_wsgi.plugins.module_utils._core import arguments, directories
from ansible_collections.trac.mod_wsgi.plugins.module_utils._site import (
    authentication as site_authentication,
)
from ansible_collections.trac.mod_wsgi.plugins.module_utils._trac import repository_spec
from ansible_collections.trac.mod_wsgi.plugins.plugin_utils import (
    _cron_schedule,
    _database_inventory,
    _hardening,
    _inventory,
    _restore_input,
    _role_types,
    _specification,
)

Values = t.Mapping[str, t.Any]
Problems = t.List[str]
Groups = t.Iterator[Problems]

# What role trac_database needs on the controller, by the type of the server.
_COLLECTIONS = {"postgresql": "community.postgresql", "mariadb": "community.mysql"}
_QUERY_MODULES = {
    "postgresql": "community.postgresql.postgresql_query",
    "mariadb": "community.mysql.mysql_query",
}

_HELLO_WORLD_PATH = re.compile(r"(/(?!\.{1,2}(/|$))[A-Za-z0-9._~-]+)*\Z")
_CHECKED_URL = re.compile(r"(https?://[A-Za-z0-9.:\[\]-]+/?)?\Z")
_CHECKED_PATH = re.compile(r"((/[A-Za-z0-9._~-]+)+)?\Z")
_SECONDS = re.compile(r"[0-9]+\Z")


class Variables(t.NamedTuple):
    """The variables of a role, and what else its checks need."""

    role: str
    values: Values  # the role's own, by their names
    directories: Values  # those that name directories; of other roles, too
    accounts: Values  # those that name accounts and groups
    has_systemd: bool = True  # on the host
    hosts: t.Container[str] = ()  # of the inventory
    archives: t.Sequence[str] = ()  # backups on the controller


def variables(
    role: str,
    values: Values,
    other_directories: Values | None = None,
    other_accounts: Values | None = None,
    **more: t.Any,
) -> Variables:
    """Find out which variables of a role name directories and accounts; add those of others."""
    own = {name: value for name, value in values.items() if name in directories.VARIABLES}
    accounts = {name: value for name, value in values.items() if name.endswith(("_user", "_group"))}
    own.update(other_directories or {})
    accounts.update(other_accounts or {})
    return Variables(role, values, own, accounts, **more)


def problems(given: Variables) -> Problems:
    """What is wrong, a sentence for each problem; empty when nothing is."""
    wrong = _role_types.problems(given.values, given.role)
    if wrong:
        return [*wrong, "Nothing has been changed."]
    return next((group for group in GROUPS[given.role](given) if group), [])


def named_directories(values: Values) -> list[dict[str, str]]:
    """What module directories_info looks at: what variables name, and what no variable names."""
    found = [each._asdict() for each in directories.directories(values)]
    places = [
        {"name": path, "path": path, "use": directories.ROOT, "example": "", "account": ""}
        for path in directories.FIXED
    ]
    return found + places


def _directories_and_accounts(given: Variables) -> Problems:
    return directories.problems(given.directories) + directories.account_problems(given.accounts)


# -- the roles --------------------------------------------------------------------------------


def _apache(given: Variables) -> Groups:
    path = str(given.values["trac_apache_hello_world_path"])
    if not _HELLO_WORLD_PATH.match(path):
        yield [
            (
                f"trac_apache_hello_world_path is {json.dumps(path)}. It has to be one or "
                'more parts like "/hello-world" (a slash, then letters, digits, ".", "_", "~" or '
                '"-"), or "" for no hello-world. Nothing has been changed.'
            )
        ]


def _backup(given: Variables) -> Groups:
    values = given.values
    yield _directories_and_accounts(given)
    days, last = values["trac_backup_keep_days"], values["trac_backup_keep_last"]
    if int(days) < 0 or int(last) < 1:
        yield [
            (
                f"trac_backup_keep_days ({days}) has to be 0 or more, and trac_backup_keep_last "
                f"({last}) 1 or more."
            )
        ]
    timeout = values["trac_backup_timeout"]
    if int(timeout) < 60:
        yield [f"trac_backup_timeout ({timeout}) has to be 60 seconds or more."]
    schedule = str(values["trac_backup_schedule"])
    wrong = "" if given.has_systemd else _cron_schedule.problem(schedule)
    if wrong:
        yield [
            (
                f"trac_backup_schedule is {schedule}. This host has no systemd, and cron takes "
                "hourly, daily, weekly or monthly here, the five fields of a crontab, such as "
                f'"30 2 * * *", or "" for no schedule: {wrong}.'
            )
        ]
    if bool(values["trac_backup_restic_repository"]) != bool(values["trac_backup_restic_password"]):
        yield ["trac_backup_restic_repository and trac_backup_restic_password are needed together."]


def _database(given: Variables) -> Groups:
    found = _database_inventory.problems(given.values)
    kind = str(given.values["trac_database_type"])
    if (
        kind in _QUERY_MODULES
        and not module_loader.find_plugin_with_context(_QUERY_MODULES[kind]).resolved
    ):
        found.append(
            f"trac_database_type {kind!r} needs the Ansible collection {_COLLECTIONS[kind]} on "
            "this machine: ansible-galaxy collection install "
            f"{_COLLECTIONS[kind]} (in a checkout, `make site` brings it along)."
        )
    yield found


def _environments(given: Variables) -> Groups:
    values = given.values
    yield _directories_and_accounts(given)
    located = repository_spec.located(
        values["trac_environments_list"], values["trac_environments_repositories_dir"]
    )
    found = _inventory.environment_problems(
        located, values["trac_environments_defaults"], values["trac_environments_ignore"]
    )
    host = str(values["trac_environments_database_host"])
    if host and host not in given.hosts:
        found.append(
            f"trac_environments_database_host is {json.dumps(host)}; it has to be a host of the "
            'inventory, or "" for none.'
        )
    yield found
    yield repository_spec.problems_between(located, values["trac_environments_dir"])


def _restore(given: Variables) -> Groups:
    values = given.values
    yield _directories_and_accounts(given)
    yield _restore_input.problems(
        values["trac_restore_environments"], bool(values["trac_restore_from"]), given.archives
    )


def _runtime(given: Variables) -> Groups:
    yield _inventory.runtime_problems({**given.values, **given.directories, **given.accounts})


def _site(given: Variables) -> Groups:
    values, sites = given.values, given.values["trac_site_sites"]
    yield _directories_and_accounts(given)
    yield (
        _hardening.header_problems(values["trac_site_security_headers"])
        + _hardening.rate_problems(values["trac_site_rate_limits"])
        + _hardening.writable_problems(values["trac_site_writable_paths"])
    )
    yield _inventory.site_problems(
        sites,
        values["trac_site_environments"],
        values["trac_site_environments_dir"],
        values["trac_site_hello_world_path"],
    ) + site_authentication.provider_problems(
        sites,
        values["trac_site_users"],
        values["trac_site_ldap"],
        values["trac_site_openid_connect"],
    )


def _upgrade(given: Variables) -> Groups:
    values = given.values
    yield _directories_and_accounts(given)
    yield [
        f"{name} is {json.dumps(values[name])}. It has to be a number of seconds, 0 or more. "
        "Nothing has been changed."
        for name in ("trac_upgrade_drain_timeout", "trac_upgrade_patience")
        if not _SECONDS.match(str(values[name]))
    ]


def _verify(given: Variables) -> Groups:
    values = given.values
    yield _directories_and_accounts(given)
    yield [
        f"{name} is {json.dumps(str(values[name]))}. Allowed are {allowed}."
        for name, pattern, allowed in (
            (
                "trac_verify_base_url",
                _CHECKED_URL,
                "addresses such as 'https://127.0.0.1:8443', without a path, or ''",
            ),
            ("trac_verify_hello_world_path", _CHECKED_PATH, "paths such as '/hello-world', or ''"),
        )
        if not pattern.match(str(values[name]))
    ]
    yield _out_of_range(given)
    sites = values["trac_verify_sites"]
    yield _inventory.site_problems(sites, _served_environments(sites))


def _out_of_range(given: Variables) -> Problems:
    """Numbers that the descriptions in the role's specification do not allow."""
    found = []
    for name, option in _specification.role_options(given.role).items():
        value, allowed = given.values[name], _specification.allowed_range(option)
        if allowed and not allowed.least <= arguments.converted(value, option) <= allowed.most:
            found.append(
                f"{name} is {json.dumps(value)}. Allowed are {allowed.least} to {allowed.most}."
            )
    return found


def _served_environments(sites: t.Iterable[object]) -> list[dict[str, t.Any]]:
    """What sites serve. The inventory need not name it: whether it exists, a check says."""
    names: list[object] = []
    for site in sites:
        if isinstance(site, t.Mapping):
            authentication = site.get("authentication")
            asked = authentication if isinstance(authentication, t.Mapping) else {}
            private = asked.get("private_environments")
            names += [site.get("environment"), *(private if isinstance(private, list) else [])]
    return [{"name": name} for name in names]


GROUPS: dict[str, t.Callable[[Variables], Groups]] = {
    "trac_apache": _apache,
    "trac_backup": _backup,
    "trac_database": _database,
    "trac_environments": _environments,
    "trac_restore": _restore,
    "trac_runtime": _runtime,
    "trac_site": _site,
    "trac_upgrade": _upgrade,
    "trac_verify": _verify,
}
