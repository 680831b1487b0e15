# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A database server's superuser runs nothing that the owner of a database has put there.

Who owns a database of PostgreSQL says what its search_path is, unless the client says it. Scenario
postgresql attacks a server that way; this holds the rule for each task and each statement.
"""

from __future__ import annotations

import pathlib
import re
import typing as t

import pytest
import yaml

ROOT = pathlib.Path(__file__).parents[3]
FILES = sorted(
    path
    for pattern in ("roles/*/tasks/*.yml", "roles/*/handlers/*.yml", "playbooks/**/*.yml")
    for path in ROOT.glob(pattern)
)
POSTGRESQL = "community.postgresql."
MYSQL = "community.mysql."
# What connects to PostgreSQL by itself.
PROGRAM = re.compile(r"\b(psql|pg_dump|pg_dumpall|pg_restore|createdb|dropdb|vacuumdb|reindexdb)\b")
SAFE = re.compile(r"-c search_path=pg_catalog(,pg_temp)?(\s|\Z)")

Task = t.Dict[str, t.Any]


def tasks(entries: object, defaults: Task) -> t.Iterator[tuple[Task, Task]]:
    """Each task, with the module_defaults that hold for it."""
    for entry in entries if isinstance(entries, list) else []:
        mine = {**defaults, **(entry.get("module_defaults") or {})}
        children = [
            entry[key]
            for key in ("block", "rescue", "always", "tasks", "pre_tasks", "post_tasks", "handlers")
            if key in entry
        ]
        for child in children:
            yield from tasks(child, mine)
        if not children:
            yield entry, mine


ALL = [
    (path.relative_to(ROOT), task, defaults)
    for path in FILES
    for task, defaults in tasks(yaml.safe_load(path.read_text("utf-8")), {})
]


def calls(collection: str) -> list[t.Any]:
    """The calls of a collection's modules: their arguments with the defaults."""
    return [
        pytest.param({**defaults.get(key, {}), **task[key]}, id=f"{path}: {task['name']}")
        for path, task, defaults in ALL
        for key in task
        if key.startswith(collection)
    ]


@pytest.mark.parametrize("arguments", calls(POSTGRESQL))
def test_a_superuser_of_postgresql_looks_for_names_in_pg_catalog_only(arguments: Task) -> None:
    variables = yaml.safe_load((ROOT / "roles/trac_database/vars/main.yml").read_text("utf-8"))
    parameters = arguments.get("connect_params")
    if isinstance(parameters, str):
        parameters = variables[parameters.strip("{} ")]
    assert SAFE.search((parameters or {}).get("options", ""))
    assert "search_path" not in arguments  # set after the connection is made


def test_no_task_connects_to_postgresql_by_a_program() -> None:
    found = [
        f"{path}: {task['name']}"
        for path, task, dummy in ALL
        for key, value in task.items()
        if key.rpartition(".")[2] in ("command", "shell", "raw", "script")
        and PROGRAM.search(str(value))
        and not SAFE.search((task.get("environment") or {}).get("PGOPTIONS", ""))
    ]
    assert found == []


@pytest.mark.parametrize("arguments", calls(MYSQL))
def test_root_of_mariadb_works_in_no_database(arguments: Task) -> None:
    assert not {"login_db", "db"} & set(arguments)


# -- statements

# Words that an opening parenthesis may follow, and what is no function although it looks like one.
KEYWORDS = {"as", "coalesce", "exists", "extract", "in", "or", "and", "lateral", "operator"}


def statements(name: str) -> str:
    """An SQL file without comments, texts and parameters."""
    text = (ROOT / "roles/trac_database/files" / name).read_text("utf-8")
    text = re.sub(r"--.*", "", text)
    return re.sub(r"'[^']*'|%\(\w+\)s", "''", text)


@pytest.mark.parametrize("name", ["postgresql_occupied.sql", "postgresql_state.sql"])
def test_statements_of_the_superuser_say_where_names_are_from(name: str) -> None:
    text = statements(name)
    own = set(re.findall(r"(\w+) AS \(", text))
    tables = re.findall(r"(?:FROM|JOIN)\s+(?:LATERAL\s+)?([\w.]+)", re.sub(r"epoch FROM", "", text))
    functions = re.findall(r"([\w.]+)\(", text)
    assert tables
    for found in tables:
        assert found in own or found.startswith("pg_catalog."), found
    for found in functions:
        assert found.lower() in KEYWORDS or found.startswith("pg_catalog."), found
    for found in re.findall(r"::([\w.]+)", text):
        assert found.startswith("pg_catalog."), found


def test_operators_are_named_where_an_owner_could_have_put_others() -> None:
    text = re.sub(r"OPERATOR\(pg_catalog\.\S+\)", "", statements("postgresql_occupied.sql"))
    assert not re.search(r"[-+*/<>=~!@#%^&|]|\b(IN|LIKE|BETWEEN|SIMILAR)\b", text)


def test_statements_of_root_of_mariadb_read_the_servers_own_tables() -> None:
    tables = re.findall(r"(?:FROM|JOIN)\s+([\w.]+)", statements("mariadb_state.sql"))
    assert tables
    for found in tables:
        assert found.startswith(("information_schema.", "mysql.")), found


def test_no_plugin_brings_a_driver_for_database_servers() -> None:
    # What works on environments' databases does so by Trac, as the service account.
    driver = re.compile(r"^\s*(?:import|from)\s+(psycopg2?|pymysql|MySQLdb)\b", re.MULTILINE)
    found = [
        path.name for path in ROOT.glob("plugins/**/*.py") if driver.search(path.read_text("utf-8"))
    ]
    assert found == []
