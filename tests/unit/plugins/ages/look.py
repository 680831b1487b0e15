# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Look at an environment without the collection's or Trac's means, and compare two looks.

All rows of all tables and all attached files are compared, whatever their order. What Trac's own
upgrades change is in `upgraded` here, for those to 1.0, and in the fixtures' compare.py.
"""

from __future__ import annotations

import configparser
import copy
import hashlib
import pathlib
import typing as t

from ansible_collections.trac.mod_wsgi.tests.fixtures.environments import compare
from ansible_collections.trac.mod_wsgi.tests.unit.plugins.ages import environment, schema

Tables = t.Dict[str, t.List[t.Dict[str, t.Any]]]
Attachment = t.Tuple[str, str, str]

_TABLES = {
    "sqlite": "SELECT name FROM sqlite_master WHERE type='table' AND name NOT LIKE 'sqlite%'",
    "postgres": "SELECT tablename FROM pg_tables WHERE schemaname=current_schema()",
    "mysql": "SELECT table_name FROM information_schema.tables"
    " WHERE table_schema=database() AND table_type='BASE TABLE'",
}
_OBJECTS = {
    "sqlite": (
        (
            "SELECT type || ' ' || name FROM sqlite_master"
            " WHERE type IN ('view', 'trigger') OR name='by_hand'"
        ),
    ),
    "postgres": (
        "SELECT 'view ' || viewname FROM pg_views WHERE schemaname=current_schema()",
        (
            "SELECT 'trigger ' || tgname FROM pg_trigger WHERE NOT tgisinternal"
            " AND tgrelid = to_regclass('ticket')"
        ),
        (
            "SELECT 'index ' || indexname FROM pg_indexes"
            " WHERE indexname='by_hand' AND schemaname=current_schema()"
        ),
    ),
    "mysql": (
        (
            "SELECT CONCAT('view ', table_name) FROM information_schema.views"
            " WHERE table_schema=database()"
        ),
        (
            "SELECT CONCAT('trigger ', trigger_name) FROM information_schema.triggers"
            " WHERE trigger_schema=database()"
        ),
        (
            "SELECT CONCAT('routine ', routine_name) FROM information_schema.routines"
            " WHERE routine_schema=database()"
        ),
        (
            "SELECT CONCAT('event ', event_name) FROM information_schema.events"
            " WHERE event_schema=database()"
        ),
        (
            "SELECT DISTINCT CONCAT('index ', index_name) FROM information_schema.statistics"
            " WHERE index_name='by_hand' AND table_schema=database()"
        ),
    ),
}
OBJECTS = {
    "sqlite": ["index by_hand", "trigger ticket_noted", "view open_tickets"],
    "postgres": ["index by_hand", "trigger ticket_noted", "view open_tickets"],
    "mysql": [
        "event nightly",
        "index by_hand",
        "routine noted",
        "trigger ticket_noted",
        "view open_tickets",
    ],
}


class Look(t.NamedTuple):
    """What is in an environment."""

    tables: Tables
    objects: list[str]  # views, triggers and the like
    attached: dict[Attachment, str | None]  # the checksum of each, if it is there

    def figures(self) -> dict[str, tuple[int, str]]:
        """Of each table the number of rows and a checksum of them, whatever their order."""
        return {
            name: (len(rows), _checksum(repr(sorted(map(_text, rows))).encode()))
            for name, rows in self.tables.items()
        }


def database_of(path: pathlib.Path) -> str:
    """The connection string of an environment."""
    parser = configparser.ConfigParser(interpolation=None)
    parser.read(path / "conf" / "trac.ini", encoding="utf-8")
    return parser["trac"]["database"]


def look(path: pathlib.Path) -> Look:
    """Read everything."""
    uri = database_of(path)
    kind = environment.kind_of(uri)
    with environment.connected(uri, path) as connection:
        cursor = connection.cursor()

        def column(query: str) -> list[str]:
            cursor.execute(query)
            return sorted(str(name) for (name,) in cursor.fetchall())

        tables: Tables = {}
        for name in column(_TABLES[kind]):
            cursor.execute(f"SELECT * FROM {schema.quoted(name, kind)}")
            columns = [each[0] for each in cursor.description]
            tables[name] = [
                {key: _plain(value) for key, value in zip(columns, row)}
                for row in cursor.fetchall()
            ]
        objects = sorted(found for query in _OBJECTS[kind] for found in column(query))
    return Look(tables, objects, attached(path, tables))


def attached(path: pathlib.Path, tables: Tables) -> dict[Attachment, str | None]:
    """The checksums of the attached files that the rows tell of, None for one that is not there."""
    version = compare.database_version(tables)
    series = [name for name in schema.SERIES if schema.VERSIONS[name] <= version][-1]
    found: dict[Attachment, str | None] = {}
    for row in tables["attachment"]:
        key = (row["type"], row["id"], row["filename"])
        file = path / environment.attachment_file(series, *key)
        found[key] = _checksum(file.read_bytes()) if file.is_file() else None
    return found


def _checksum(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _plain(value: t.Any) -> t.Any:
    """A value as each driver has it."""
    return bytes(value) if isinstance(value, (memoryview, bytearray)) else value


def _text(row: t.Mapping[str, t.Any]) -> str:
    return repr(sorted(row.items()))


def differences(before: Look, after: Look) -> list[str]:
    """What was lost, changed or added between two looks, but for what Trac's upgrades do."""
    old = upgraded(before.tables)
    found = [
        text
        for text in compare.row_differences(old, after.tables)
        if "'sync_per_request'" not in text  # which 1.2 adds to each repository
    ]
    found += [f"{key} is gone" for key, there in before.attached.items() if not after.attached[key]]
    found += [
        f"{key} is not the same"
        for key, checksum in before.attached.items()
        if after.attached[key] not in (None, checksum)
    ]
    found += [f"the {name} is gone" for name in before.objects if name not in after.objects]
    return found


_TIMES = {
    "attachment": ("time",),
    "wiki": ("time",),
    "revision": ("time",),
    "ticket": ("time", "changetime"),
    "ticket_change": ("time",),
    "milestone": ("due", "completed"),
    "version": ("time",),
}


def upgraded(before: Tables) -> Tables:
    """What the upgrades of Trac 0.12 make of the tables of 0.11 (trac/upgrades/db22.py to 26)."""
    tables = copy.deepcopy(before)
    if compare.database_version(before) >= schema.VERSIONS["0.12"]:
        return tables
    for table, columns in _TIMES.items():
        for row in tables[table]:
            for column in columns:
                if row[column] is not None:
                    row[column] *= 1_000_000
    for row in tables["revision"] + tables["node_change"]:
        row.update(repos=1, rev=f"{int(row['rev']):010d}")
    moved = ("repository_dir", "youngest_rev")
    tables["repository"] = [
        {"id": 1, "name": "name", "value": ""},
        *(
            {"id": 1, "name": row["name"], "value": row["value"]}
            for row in tables["system"]
            if row["name"] in moved
        ),
    ]
    tables["system"] = [row for row in tables["system"] if row["name"] not in moved]
    return tables
