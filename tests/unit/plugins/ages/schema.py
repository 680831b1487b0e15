# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The tables that Trac 0.11, 0.12, 1.0, 1.2 and 1.4 have made, as SQL for each kind of database.

Which tables and columns there are is taken from `schema` in trac/db_default.py, and how they become
SQL from `to_sql` in trac/db/*_backend.py, both of the tags trac-0.11, trac-0.12, trac-1.0, trac-1.2
and trac-1.4 of Trac's own sources (https://github.com/edgewall/trac, BSD licence).
"""

from __future__ import annotations

import typing as t

# The number of the database's version that each release has written.
VERSIONS = {"0.11": 21, "0.12": 26, "1.0": 29, "1.2": 41, "1.4": 45}
SERIES = tuple(VERSIONS)

# name | columns | key | indices. A column is text unless its type follows; behind a slash is how
# many characters of it MySQL indexes.
_TABLES = {
    21: """
        system | name value | name
        permission | username action | username action
        auth_cookie | cookie name ipnr time:int | cookie ipnr name
        session | sid authenticated:int last_visit:int | sid authenticated
            | last_visit; authenticated
        session_attribute | sid authenticated:int name value | sid authenticated name
        attachment | type id filename size:int time:int description author ipnr | type id filename
        wiki | name version:int time:int author ipnr text comment readonly:int | name version | time
        revision | rev/20 time:int author message | rev | time
        node_change | rev/20 path/255 node_type change_type/2 base_path base_rev
            | rev path change_type | rev
        ticket | id:serial type time:int changetime:int component severity priority owner reporter
            cc version milestone status resolution summary description keywords | id | time; status
        ticket_change | ticket:int time:int author field oldvalue newvalue
            | ticket time field | ticket; time
        ticket_custom | ticket:int name value | ticket name
        enum | type name value | type name
        component | name owner description | name
        milestone | name due:int completed:int description | name
        version | name time:int description | name
        report | id:serial author title query description | id
    """,
    26: """
        cache | id generation:int | id
        attachment | type id filename size:int time:int64 description author ipnr
            | type id filename
        wiki | name version:int time:int64 author ipnr text comment readonly:int
            | name version | time
        repository | id:int name value | id name
        revision | repos:int rev/20 time:int64 author message | repos rev | repos time
        node_change | repos:int rev/20 path/255 node_type change_type/2 base_path base_rev
            | repos rev path change_type | repos rev
        ticket | id:serial type time:int64 changetime:int64 component severity priority owner
            reporter cc version milestone status resolution summary description keywords
            | id | time; status
        ticket_change | ticket:int time:int64 author field oldvalue newvalue
            | ticket time field | ticket; time
        milestone | name due:int64 completed:int64 description | name
        version | name time:int64 description | name
    """,
    29: """
        cache | id:int generation:int key | id
    """,
    41: """
        revision | repos:int rev/40 time:int64 author message | repos rev | repos time
        node_change | id:serial repos:int rev/40 path/255 node_type change_type base_path base_rev
            | id | repos rev path; repos path rev
        notify_subscription | id:serial time:int64 changetime:int64 class sid authenticated:int
            distributor format priority:int adverb | id | sid authenticated; class
        notify_watch | id:serial sid authenticated:int class realm target
            | id | sid authenticated class; class realm target
    """,
    45: """
        attachment | type id filename size:int time:int64 description author | type id filename
        wiki | name version:int time:int64 author text comment readonly:int | name version | time
        enum | type name value description | type name
    """,
}
# Of a plugin that still works.
PLUGIN = "stars | id:serial page voter weight:int64 | id | page"

_TYPES = {
    "sqlite": {"serial": "integer PRIMARY KEY", "int": "integer", "int64": "integer"},
    "postgres": {"serial": "SERIAL PRIMARY KEY", "int": "int", "int64": "bigint"},
    "mysql": {"serial": "INT UNSIGNED NOT NULL AUTO_INCREMENT", "int": "int", "int64": "bigint"},
}
_MEDIUMTEXT = 37  # the version of the database since which text is mediumtext in MySQL


class Column(t.NamedTuple):
    """A column, as Trac describes it."""

    name: str
    type: str
    indexed: int | None  # characters, in MySQL

    @classmethod
    def of(cls, text: str) -> Column:
        """Of what stands in the table above."""
        text, dummy, indexed = text.partition("/")
        name, dummy, kind = text.partition(":")
        return cls(name, kind or "text", int(indexed) if indexed else None)


class Table(t.NamedTuple):
    """A table, as Trac describes it."""

    name: str
    columns: list[Column]
    key: list[str]
    indices: list[list[str]]

    @classmethod
    def of(cls, text: str) -> Table:
        """Of what stands in the table above."""
        name, columns, key, *indices = (part.strip() for part in text.split("|"))
        listed = [index.split() for index in indices[0].split(";")] if indices else []
        return cls(name, [Column.of(column) for column in columns.split()], key.split(), listed)

    @property
    def names(self) -> list[str]:
        """The names of the columns."""
        return [column.name for column in self.columns]


def tables(series: str) -> dict[str, Table]:
    """Trac's own tables of a release."""
    found: dict[str, Table] = {}
    for version, text in _TABLES.items():
        if version <= VERSIONS[series]:
            joined = text.replace("\n            ", " ")
            for line in filter(str.strip, joined.splitlines()):
                table = Table.of(line)
                found[table.name] = table
    return found


def create(table: Table, series: str, kind: str, character: int = 4) -> t.Iterator[str]:
    """The statements that make a table; `character` is the most bytes of one in MySQL."""
    types = dict(_TYPES[kind])
    types["text"] = "mediumtext" if kind == "mysql" and VERSIONS[series] >= _MEDIUMTEXT else "text"
    lines = []
    for column in table.columns:
        line = f"{quoted(column.name, kind)} {types[column.type]}"
        if kind != "mysql" and table.key == [column.name] and column.type != "serial":
            line += " PRIMARY KEY"
        lines.append(line)
    if kind == "mysql":
        key = _indexed(table, table.key, series, character)
        lines.append(f"PRIMARY KEY ({key})")
    elif len(table.key) > 1:
        key = ", ".join(quoted(name, kind) for name in table.key)
        constraint = f'CONSTRAINT "{table.name}_pk" PRIMARY KEY' if kind == "postgres" else "UNIQUE"
        lines.append(f"{constraint} ({key})")
    yield f"CREATE TABLE {quoted(table.name, kind)} (\n    " + ",\n    ".join(lines) + "\n)"
    for index in table.indices:
        names = ", ".join(quoted(name, kind) for name in index)
        if kind == "mysql":
            names = _indexed(table, index, series, character)
        name = quoted("_".join([table.name, *index, "idx"]), kind)
        yield f"CREATE INDEX {name} ON {quoted(table.name, kind)} ({names})"


def quoted(name: str, kind: str) -> str:
    """A name, as each backend of Trac quotes it; that of SQLite does not."""
    mark = {"sqlite": "", "postgres": '"', "mysql": "`"}[kind]
    return f"{mark}{name}{mark}"


def _indexed(table: Table, names: list[str], series: str, character: int) -> str:
    """Columns of an index in MySQL, which takes so many bytes of each and of all."""
    version = VERSIONS[series]
    if version < VERSIONS["1.0"]:
        most, limit = 255, min(333 // len(names), 255)
    else:
        most = 767 // character
        limit = min(
            (3072 if version >= VERSIONS["1.4"] else 1000) // (character * len(names)), most
        )
    by_name = {column.name: column for column in table.columns}
    parts = []
    for name in names:
        part = quoted(name, "mysql")
        if by_name[name].type == "text":
            part += f"({min(by_name[name].indexed or limit, most)})"
        parts.append(part)
    return ", ".join(parts)
