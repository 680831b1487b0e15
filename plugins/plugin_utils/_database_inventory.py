# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From an inventory to the databases that its web hosts need, and back to their environments."""

from __future__ import annotations

import ipaddress
import re
import typing as t

from ansible_collections.trac.mod_wsgi.plugins.plugin_utils import _database_secrets, _database_url

Variables = t.Mapping[str, t.Any]

TYPES = ("postgresql", "mariadb", "none")
LAYOUTS = ("database", "schema")
# Stands for a password that check mode cannot know, because it would be made by the run.
PLACEHOLDER = "password-to-be-generated"

_NAME = re.compile(r"[a-z_][a-z0-9_]*\Z")
_HOST = re.compile(r"[A-Za-z0-9:._-]+\Z")
_PATH = re.compile(r"/[A-Za-z0-9._/+@-]*\Z")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_LONGEST = 63  # PostgreSQL cuts longer names; MariaDB takes one more


def database_host(hostvars: Variables, groups: Variables, web_host: str) -> str:
    """The database host of a web host; empty when it has none.

    That is the host itself when it is one, else the first of the group trac_database.
    """
    members = list(groups.get("trac_database") or [])
    chosen = hostvars[web_host].get("trac_environments_database_host")
    if chosen is None:
        chosen = web_host if web_host in members else members[0] if members else ""
    if not isinstance(chosen, str) or (chosen and chosen not in hostvars):
        return ""  # which the web host's own checks refuse
    if chosen and hostvars[chosen].get("trac_database_type") == "none":
        return ""
    return str(chosen)


def _own_database(environment: object) -> bool:
    """Whether an environment says itself where its database is."""
    config = environment.get("config") if isinstance(environment, t.Mapping) else None
    trac = config.get("trac") if isinstance(config, t.Mapping) else None
    in_config = trac.get("database") if isinstance(trac, t.Mapping) else None
    return bool(in_config or (isinstance(environment, t.Mapping) and environment.get("database")))


def needed(hostvars: Variables, groups: Variables, host: str) -> dict[str, t.Any]:
    """What the web hosts of a database host need of it.

    Environments of the same name on several web hosts are one and the same environment.
    """
    web_hosts = [
        web_host
        for web_host in groups.get("trac_web") or []
        if database_host(hostvars, groups, web_host) == host
    ]
    states: dict[str, str] = {}
    for web_host in web_hosts:
        variables = hostvars[web_host]
        environments = variables.get("trac_environments_list")
        if environments is None:
            environments = variables.get("trac_environments")
        if environments is None:
            environments = [{"name": "project"}]
        defaults = variables.get("trac_environments_defaults") or {}
        # What is of a wrong shape, the web host's own checks complain of.
        for environment in environments if isinstance(environments, (list, tuple)) else []:
            if not isinstance(environment, t.Mapping) or not environment.get("name"):
                continue
            if _own_database(environment) or _own_database(defaults):
                continue
            name, state = str(environment["name"]), environment.get("state") or "present"
            if states.get(name) != "present":
                states[name] = state
    remote = [web_host for web_host in web_hosts if web_host != host]
    facts = [hostvars[web_host].get("ansible_facts") or {} for web_host in remote]
    addresses = [
        fact[family]["address"]
        for fact in facts
        for family in ("default_ipv4", "default_ipv6")
        if (fact.get(family) or {}).get("address")
    ]
    return {
        "environments": [{"name": name, "state": state} for name, state in states.items()],
        "local": host in web_hosts,
        "remote": remote,
        # Those that the web hosts reach the network with.
        "addresses": sorted(set(addresses)),
    }


def logins(
    environments: t.Iterable[Variables],
    stored: Variables,
    passwords: t.Mapping[str, str],
    settings: Variables,
) -> dict[str, t.Any]:
    """The logins of all environments, with new passwords for new ones.

    ``stored`` is what earlier runs wrote down. Names stay as they were once made, whatever the
    prefix and the layout are now.
    """
    before: dict[str, dict[str, str]] = dict(stored.get("logins") or {})
    wanted: dict[str, dict[str, str]] = {}
    gone: dict[str, dict[str, str]] = {}
    for environment in environments:
        name = environment["name"]
        if environment.get("state") == "absent":
            if name in before:
                gone[name] = before[name]
            continue
        full = settings["prefix"] + name
        schema = settings["layout"] == "schema" and settings["type"] == "postgresql"
        record = before.get(name) or {
            "login": full,
            "database": settings["schema_database"] if schema else full,
            "schema": full if schema else "",
            "password": "",
        }
        password = passwords.get(name) or record["password"] or _database_secrets.new_password()
        wanted[name] = {**record, "password": password}
    return {
        "wanted": wanted,
        "gone": gone,
        "known": sorted({*before, *passwords}),
        # Environments that are not listed any more keep their databases.
        "document": dict(sorted({**before, **wanted}.items())),
    }


def with_databases(
    environments: t.Iterable[Variables], document: Variables | None, options: Variables
) -> list[dict[str, t.Any]]:
    """The environments, with a `new_database` where they name no database of their own.

    ``document`` is what role trac_database wrote down, ``options`` say how this web host connects:
    ``local`` (over the socket), ``mysql_options`` (a file for MariaDB over TLS), ``check`` (a login
    that is not there yet will do) and ``defaults`` (keys for all environments).
    """
    document = document or {}
    if _own_database(options["defaults"]):
        return [dict(environment) for environment in environments]
    result = []
    for environment in environments:
        item = dict(environment)
        if not _own_database(item) and (item.get("state") or "present") == "present":
            item["new_database"] = _url(str(item["name"]), document, options)
        result.append(item)
    return result


def _url(name: str, document: Variables, options: Variables) -> str:
    login = (document.get("logins") or {}).get(name)
    if login is None:
        if not options["check"]:
            raise _database_url.UrlError(
                f"The database host {options['host']} has no login for the environment {name}. "
                "Run the whole of playbook trac.mod_wsgi.site on both hosts (without --limit)."
            )
        login = {"login": "trac", "database": "trac", "password": PLACEHOLDER}
        document = {"type": options["type"], "address": "localhost", **document}
    parameters: dict[str, str] = {}
    mariadb = document["type"] == "mariadb"
    if options["local"]:
        parameters["unix_socket" if mariadb else "host"] = str(document.get("socket") or "/")
    elif mariadb:
        parameters["read_default_file"] = options["mysql_options"]
    if login.get("schema"):
        parameters["schema"] = login["schema"]
    port = document.get("port")
    usual = 3306 if mariadb else 5432
    return _database_url.database_url(
        "mysql" if mariadb else "postgres",
        login=login["login"],
        password=login["password"],
        database=login["database"],
        host=("localhost" if mariadb else "") if options["local"] else document["address"],
        port=None if port in (None, usual) or (options["local"] and mariadb) else int(port),
        parameters=parameters,
    )


def problems(variables: Variables) -> list[str]:
    """Problems of the variables of role `trac_database`, by their names."""
    found: list[str] = []
    kind, layout = variables["trac_database_type"], variables["trac_database_layout"]
    if kind not in TYPES:
        found.append(f"trac_database_type is {kind!r}; it has to be one of {', '.join(TYPES)}.")
    if layout not in LAYOUTS:
        found.append(
            f"trac_database_layout is {layout!r}; it has to be one of {', '.join(LAYOUTS)}."
        )
    elif layout == "schema" and kind == "mariadb":
        found.append(
            "trac_database_layout is 'schema', which only PostgreSQL has; with "
            "trac_database_type 'mariadb' it has to be 'database'."
        )
    for name in ("trac_database_prefix", "trac_database_schema_database"):
        value = variables[name]
        if not isinstance(value, str) or not _NAME.match(value):
            found.append(
                f"{name} is {value!r}; allowed are lower case letters, digits and '_', beginning "
                "with a letter or '_'."
            )
    found += _names(variables)
    found += _passwords(variables)
    found += _network(variables)
    tls = (variables["trac_database_tls_certificate"], variables["trac_database_tls_key"])
    if bool(tls[0]) != bool(tls[1]):
        found.append(
            "trac_database_tls_certificate and trac_database_tls_key belong together; "
            "one of them is missing."
        )
    for name in (
        "trac_database_tls_certificate",
        "trac_database_tls_key",
        "trac_database_tls_ca",
        "trac_database_socket",
    ):
        if variables[name] and not _PATH.match(str(variables[name])):
            found.append(
                f"{name} is {variables[name]!r}; allowed are absolute paths of letters, digits and "
                ". _ - + @."
            )
    return found


def _names(variables: Variables) -> list[str]:
    found = []
    for environment in variables["trac_database_environments"]:
        name = str(variables["trac_database_prefix"]) + str(environment["name"])
        if len(name) > _LONGEST:
            found.append(
                f"trac_database_environments: the database and login {name!r} would have a name of "
                f"{len(name)} characters; at most {_LONGEST} are possible. Give the environment a "
                "shorter name or a database of its own, or shorten trac_database_prefix."
            )
    return found


def _is_latin1(password: str) -> bool:
    try:
        password.encode("latin-1")
    except UnicodeEncodeError:
        return False
    return True


def _passwords(variables: Variables) -> list[str]:
    passwords = variables["trac_database_passwords"]
    if not isinstance(passwords, t.Mapping):
        return ["trac_database_passwords has to be a dictionary: environment to password."]
    names = {str(item["name"]) for item in variables["trac_database_environments"]}
    found = []
    for name, password in passwords.items():
        if name not in names:
            found.append(
                f"trac_database_passwords names {name!r}; it has to be one of the environments "
                f"whose database is made here: {', '.join(sorted(names)) or 'none'}."
            )
        if not isinstance(password, str) or not password or _CONTROL.search(password):
            # The value itself is not for the log.
            found.append(
                f"trac_database_passwords[{name!r}] has to be a text that is not empty and has no "
                "line breaks or other control characters."
            )
        elif variables["trac_database_type"] == "mariadb" and not _is_latin1(password):
            found.append(
                f"trac_database_passwords[{name!r}] holds a character outside of Latin-1; Trac's "
                "driver for MariaDB, PyMySQL, cannot send such a password."
            )
    return found


def _network(variables: Variables) -> list[str]:
    found = []
    for client in variables["trac_database_clients"] or []:
        try:
            network = ipaddress.ip_network(str(client), strict=False)
        except ValueError:
            found.append(
                f"trac_database_clients holds {client!r}; allowed are addresses and networks such "
                "as 192.0.2.7, 192.0.2.0/24 and 2001:db8::/64."
            )
            continue
        if (
            variables["trac_database_type"] == "mariadb"
            and network.version == 6
            and network.prefixlen != 128
        ):
            found.append(
                f"trac_database_clients holds {client!r}; MariaDB's accounts can name single IPv6 "
                "addresses, no networks of them."
            )
    address = str(variables["trac_database_address"])
    if not _HOST.match(address) or (
        ":" in address and variables["trac_database_type"] == "mariadb"
    ):
        found.append(
            f"trac_database_address is {address!r}; it has to be the name or the address by which "
            "the web hosts reach this host (for MariaDB no IPv6 address: Trac cannot write it)."
        )
    for name, low, high in (
        ("trac_database_port", 1, 65535),
        # PostgreSQL sets memory aside for each, and does not start where that is not there.
        ("trac_database_max_connections", 10, 10000),
    ):
        value = variables[name]
        if value in (None, ""):
            continue
        if not str(value).isdecimal() or not low <= int(value) <= high:
            found.append(f"{name} is {value!r}; it has to be a whole number, {low} to {high}.")
    return found
