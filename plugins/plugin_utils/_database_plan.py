# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a database server lacks, as SQL, from what is wanted and what was read from the server.

One look at the server for all environments and one list of statements: with a hundred
environments, one module call for each database, login and privilege would take minutes.
"""

from __future__ import annotations

import ipaddress
import re
import typing as t
from dataclasses import asdict, dataclass, field

from ansible_collections.trac.mod_wsgi.plugins.plugin_utils import _database_secrets

State = t.Mapping[str, t.Any]

# What Trac, its upgrades, its plugins and a dump need. The role's query asks for the same.
_MARIADB_PRIVILEGES = (
    "SELECT",
    "INSERT",
    "UPDATE",
    "DELETE",
    "CREATE",
    "DROP",
    "INDEX",
    "ALTER",
    "CREATE TEMPORARY TABLES",
    "LOCK TABLES",
    "SHOW VIEW",
    "TRIGGER",
)


@dataclass
class Login:
    """What one environment gets on the server."""

    environment: str
    login: str
    database: str
    password: str
    schema: str = ""

    @classmethod
    def from_record(cls, name: str, record: t.Mapping[str, t.Any]) -> Login:
        """From what is kept on the database host."""
        return cls(
            name,
            record["login"],
            record["database"],
            record["password"],
            record.get("schema") or "",
        )


@dataclass
class Plan:
    """Statements in their order, and a summary for people."""

    summary: list[str] = field(default_factory=list)
    logins: list[str] = field(default_factory=list)  # hold hashes of passwords
    databases: list[str] = field(default_factory=list)
    inside: dict[str, list[str]] = field(default_factory=dict)  # to be run in these databases
    removed: list[str] = field(default_factory=list)  # environments
    problems: list[str] = field(default_factory=list)

    def to_dict(self) -> dict[str, t.Any]:
        """For a playbook."""
        return asdict(self)


def pg_name(name: str) -> str:
    """A quoted name of PostgreSQL."""
    return '"' + name.replace('"', '""') + '"'


def pg_text(text: str) -> str:
    """A text literal of PostgreSQL that means the same whatever standard_conforming_strings is."""
    return ("E" if "\\" in text else "") + "'" + text.replace("\\", "\\\\").replace("'", "''") + "'"


def my_name(name: str) -> str:
    """A quoted name of MariaDB."""
    return "`" + name.replace("`", "``") + "`"


def my_text(text: str) -> str:
    """A text literal of MariaDB."""
    return "'" + text.replace("\\", "\\\\").replace("'", "''") + "'"


def my_pattern(database: str) -> str:
    """A database in GRANT and REVOKE, where _ and % would match any character."""
    return re.sub(r"([\\_%])", r"\\\1", database)


def client_account(address: str) -> str:
    """An address or network of a client as the host part of a MariaDB account."""
    network = ipaddress.ip_network(address, strict=False)
    if network.prefixlen == network.max_prefixlen:
        return str(network.network_address)
    return f"{network.network_address}/{network.netmask}"


def _foreign_login(login: Login) -> str:
    return (
        f"The login {login.login} exists on the database server, and its password is not known "
        f"here. Give it as trac_database_passwords['{login.environment}'], remove the login, or "
        "choose another trac_database_prefix."
    )


def postgresql_plan(
    logins: t.Sequence[Login], known: t.Collection[str], state: State | None
) -> Plan:
    """What PostgreSQL lacks.

    ``known`` are the environments whose login this role made earlier or whose password the user
    gives; the logins of others are not touched.
    """
    plan = Plan()
    state = state or {"roles": [], "databases": [], "grants": []}
    roles = {role["name"]: role for role in state["roles"]}
    databases = {database["name"]: database for database in state["databases"]}
    grants = {tuple(grant) for grant in state["grants"]}

    for wanted in logins:
        _postgresql_role(plan, wanted, wanted.environment in known, roles.get(wanted.login))
    # A database with schemas belongs to the server's administrator, any other to its login.
    owners = {login.database: "" if login.schema else login.login for login in logins}
    for database, owner in owners.items():
        _postgresql_database(plan, database, owner, databases.get(database))
    for wanted in logins:
        # Trac makes its schema itself, and wants to find none: hence CREATE.
        for privilege in ("CONNECT", "CREATE") if wanted.schema else ():
            if (wanted.database, wanted.login, privilege) not in grants:
                plan.summary.append(f"grant {privilege} on {wanted.database} to {wanted.login}")
                plan.databases.append(
                    f"GRANT {privilege} ON DATABASE {pg_name(wanted.database)}"
                    f" TO {pg_name(wanted.login)}"
                )
    return plan


def _postgresql_role(
    plan: Plan, wanted: Login, known: bool, existing: t.Mapping[str, t.Any] | None
) -> None:
    if existing is not None and not known:
        plan.problems.append(_foreign_login(wanted))
        return
    if existing is None:
        plan.summary.append(f"create login {wanted.login}")
        statement = "CREATE ROLE {} LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION"
    elif not existing["login"] or not _database_secrets.scram_matches(
        wanted.password, existing["password"]
    ):
        plan.summary.append(f"set the password of login {wanted.login}")
        statement = "ALTER ROLE {} LOGIN"
    else:
        return
    verifier = _database_secrets.scram_verifier(wanted.password)
    plan.logins.append(f"{statement.format(pg_name(wanted.login))} PASSWORD {pg_text(verifier)}")


def _postgresql_database(
    plan: Plan, database: str, owner: str, existing: t.Mapping[str, t.Any] | None
) -> None:
    if existing is None:
        plan.summary.append(f"create database {database}")
        # template0 and C.UTF-8: whatever locale the server was set up with, and with an order of
        # texts (so: indexes) that no upgrade of the distribution changes.
        plan.databases.append(
            f"CREATE DATABASE {pg_name(database)}"
            + (f" OWNER {pg_name(owner)}" if owner else "")
            + " TEMPLATE template0 ENCODING 'UTF8' LC_COLLATE 'C.UTF-8' LC_CTYPE 'C.UTF-8'"
        )
    elif owner and existing["owner"] != owner:
        plan.problems.append(
            f"The database {database} exists and belongs to {existing['owner']}, not to {owner}. "
            "Choose another trac_database_prefix, or name the environment's database yourself."
        )
        return
    elif existing["encoding"] != "UTF8":
        plan.problems.append(
            f"The database {database} exists with the encoding {existing['encoding']}; "
            "Trac needs UTF8."
        )
        return
    if existing is None or existing["public"]:
        if existing is not None:
            plan.summary.append(f"close database {database} to other logins")
        plan.databases.append(f"REVOKE ALL ON DATABASE {pg_name(database)} FROM PUBLIC")
        if not owner:
            # Before PostgreSQL 15, everybody might make tables in schema public.
            plan.inside[database] = ["REVOKE ALL ON SCHEMA public FROM PUBLIC"]


def mariadb_plan(
    logins: t.Sequence[Login],
    known: t.Collection[str],
    state: State | None,
    hosts: t.Sequence[str],
) -> Plan:
    """What MariaDB lacks; ``hosts`` are those of the accounts, localhost for the socket.

    ``state`` has the rows of the accounts, databases and privileges that bear the wanted names.
    """
    plan = Plan()
    state = state or {"accounts": [], "databases": [], "privileges": []}
    accounts = {(row["login"], row["host"]): row for row in state["accounts"]}
    databases = {row["name"]: row for row in state["databases"]}
    privileges = {(row["login"], row["host"], row["pattern"]) for row in state["privileges"]}

    for wanted in logins:
        if wanted.environment not in known and any(
            account[0] == wanted.login for account in accounts
        ):
            plan.problems.append(_foreign_login(wanted))
            continue
        for host in hosts:
            _mariadb_account(plan, wanted, host, accounts.get((wanted.login, host)))
        for login, host in accounts:
            if login == wanted.login and host not in hosts:
                plan.summary.append(f"remove login {login}@{host}")
                plan.logins.append(f"DROP USER {my_text(login)}@{my_text(host)}")

        existing = databases.get(wanted.database)
        if existing is None:
            plan.summary.append(f"create database {wanted.database}")
            plan.databases.append(
                f"CREATE DATABASE {my_name(wanted.database)}"
                " CHARACTER SET utf8mb4 COLLATE utf8mb4_bin"
            )
        elif wanted.environment not in known:
            plan.problems.append(
                f"The database {wanted.database} exists on the database server, and was not made "
                "for Trac. Choose another trac_database_prefix."
            )
        elif existing["collation"] not in ("utf8mb4_bin", "utf8_bin", "utf8mb3_bin"):
            plan.problems.append(
                f"The database {wanted.database} exists with the collation "
                f"{existing['collation']}; Trac needs utf8mb4_bin."
            )
        pattern = my_pattern(wanted.database)
        for host in hosts:
            if (wanted.login, host, pattern) not in privileges:
                plan.summary.append(f"grant {wanted.login}@{host} access to {wanted.database}")
                plan.databases.append(
                    f"GRANT {', '.join(_MARIADB_PRIVILEGES)} ON {my_name(pattern)}.*"
                    f" TO {my_text(wanted.login)}@{my_text(host)}"
                )
    return plan


def _mariadb_account(
    plan: Plan, wanted: Login, host: str, existing: t.Mapping[str, t.Any] | None
) -> None:
    account = f"{my_text(wanted.login)}@{my_text(host)}"
    tls = host != "localhost"
    hashed = _database_secrets.native_hash(wanted.password)
    verb = ""
    if existing is None:
        verb = "CREATE"
        plan.summary.append(f"create login {wanted.login}@{host}")
    elif (
        existing["plugin"] not in ("mysql_native_password", "")
        or existing["password"] != hashed
        or bool(existing["tls"]) != tls
    ):
        verb = "ALTER"
        plan.summary.append(f"set the password and TLS of login {wanted.login}@{host}")
    if verb:
        plan.logins.append(
            f"{verb} USER {account} IDENTIFIED BY PASSWORD {my_text(hashed)}"
            f" REQUIRE {'SSL' if tls else 'NONE'}"
        )


def pg_hba(logins: t.Sequence[Login], clients: t.Sequence[str], local: bool) -> str:
    """Lines of pg_hba.conf that let these logins in by these ways, and by no other.

    They stand before all others: what they refuse, no later line can allow.
    """
    lines = []
    for wanted in logins:
        database, login = pg_name(wanted.database), pg_name(wanted.login)
        if local:
            lines.append(f"local {database} {login} scram-sha-256")
        for client in clients:
            network = ipaddress.ip_network(client, strict=False)
            lines.append(f"hostssl {database} {login} {network} scram-sha-256")
        lines += [f"local all {login} reject", f"host all {login} all reject"]
    return "\n".join(lines)


def removal_plan(kind: str, gone: t.Sequence[Login], state: State) -> Plan:
    """What goes with environments that are gone: databases that hold nothing any more.

    ``state["occupied"]`` has the names of the logins whose database or schema holds tables or is in
    use; databases and schemas are named like their login.
    """
    plan = Plan()
    for login in gone:
        if login.login in state["occupied"]:
            continue
        (_mariadb_removal if kind == "mariadb" else _postgresql_removal)(plan, login, state)
        plan.removed.append(login.environment)
        plan.summary.append(f"remove the empty database and the login of {login.environment}")
    return plan


def _mariadb_removal(plan: Plan, gone: Login, state: State) -> None:
    plan.logins += [
        f"DROP USER {my_text(row['login'])}@{my_text(row['host'])}"
        for row in state["accounts"]
        if row["login"] == gone.login
    ]
    if any(row["name"] == gone.database for row in state["databases"]):
        plan.databases.append(f"DROP DATABASE {my_name(gone.database)}")


def _postgresql_removal(plan: Plan, gone: Login, state: State) -> None:
    role = pg_name(gone.login)
    role_exists = any(row["name"] == gone.login for row in state["roles"])
    if any(row["name"] == gone.database for row in state["databases"]):
        if not gone.schema:
            plan.databases.append(f"DROP DATABASE {pg_name(gone.database)}")
        elif role_exists:
            plan.databases.append(f"REVOKE ALL ON DATABASE {pg_name(gone.database)} FROM {role}")
            plan.inside.setdefault(gone.database, []).append(
                f"DROP SCHEMA IF EXISTS {pg_name(gone.schema)}"
            )
    if role_exists:
        plan.logins.append(f"DROP ROLE {role}")
