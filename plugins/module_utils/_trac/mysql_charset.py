# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The character sets of MySQL's databases that Trac takes, and how to get there from utf8.

MariaDB calls utf8 utf8mb3 from 10.6 on, and the collation that Trac wants utf8mb3_bin, which Trac
refuses.
"""

from __future__ import annotations

import re
import typing as t

from ansible_collections.trac.mod_wsgi.plugins.module_utils._trac import database as trac_database
from ansible_collections.trac.mod_wsgi.plugins.module_utils._trac import database_objects
from ansible_collections.trac.mod_wsgi.plugins.module_utils._trac.environment_spec import (
    EnvironmentFailure,
)

CHARSET, COLLATION = "utf8mb4", "utf8mb4_bin"
_OLD = ("utf8", "utf8mb3")
# As Trac's _verify_variables and _verify_table_status.
_TAKEN = ("utf8_bin", COLLATION)
# Of Trac's mysql_backend: bytes of a key, and characters of a column in it.
_KEY_BYTES = 3072
_COLUMN = 767 // 4
_TABLES_SHOWN = 5


def of_database(connection: t.Any) -> tuple[str, str]:
    """The character set and the collation of what is made without saying one."""
    query = "SELECT @@character_set_database, @@collation_database"
    charset, collation = database_objects.rows_of(connection, query)[0]
    return str(charset), str(collation)


def check(environment: t.Any) -> None:
    """Refuse a database whose collation, or a table's, Trac would refuse later."""
    if _is_mysql(environment):
        with trac_database.connected(environment) as connection:
            _check(connection, _wrong_tables(connection))


def check_default(environment: t.Any) -> None:
    """Refuse a database in which Trac would make no tables."""
    if _is_mysql(environment):
        with trac_database.connected(environment) as connection:
            _check(connection, {})


def _is_mysql(environment: t.Any) -> bool:
    from trac.db.api import DatabaseManager, parse_connection_uri

    return bool(parse_connection_uri(DatabaseManager(environment).connection_uri)[0] == "mysql")


def _wrong_tables(connection: t.Any) -> dict[str, str]:
    from trac.db_default import schema

    query = """
        SELECT table_name, table_collation FROM information_schema.tables
        WHERE table_schema = %s AND table_type = 'BASE TABLE' ORDER BY table_name"""
    known = {table.name for table in schema}
    return {
        table: str(collation)
        for table, collation in database_objects.rows_of(connection, query, (connection.schema,))
        if table in known and collation not in _TAKEN
    }


def _check(connection: t.Any, wrong: t.Mapping[str, str]) -> None:
    default = of_database(connection)[1]
    what = [] if default in _TAKEN else [f"the collation {default}"]
    if wrong:
        shown = [f"{table} ({said})" for table, said in list(wrong.items())[:_TABLES_SHOWN]]
        more = f" and {len(wrong) - len(shown)} more" if len(wrong) > len(shown) else ""
        what.append(f"tables of other collations, {', '.join(shown)}{more}")
    if not what:
        return
    name = connection.schema
    raise EnvironmentFailure(
        f"[trac] database: {name} has {' and '.join(what)}, and this Trac takes {COLLATION} only; "
        "nothing was changed. Make a backup of the environment and restore it with overwrite "
        "(trac_restore_overwrite), which converts it; or say as the database's administrator: "
        f"{_remedy(name)}; and for each table: ALTER TABLE ... ROW_FORMAT=DYNAMIC, CONVERT TO "
        f"CHARACTER SET {CHARSET} COLLATE {COLLATION}"
    )


def _remedy(name: str) -> str:
    return (
        f"ALTER DATABASE {database_objects.quoted(name)} CHARACTER SET {CHARSET} "
        f"COLLATE {COLLATION}"
    )


def has_to_convert(connection: t.Any, creations: t.Iterable[bytes]) -> bool:
    """Whether tables of utf8 have to become utf8mb4 where they are loaded.

    Trac speaks to all tables in the character set of the database.
    """
    charset, collation = of_database(connection)
    return (
        charset not in _OLD
        or collation not in _TAKEN
        or any(re.search(rb"CHARSET=utf8mb4\b", text) for text in creations)
    )


def set_default(connection: t.Any) -> None:
    """Give the database itself the collation that Trac wants."""
    if of_database(connection)[1] == COLLATION:
        return
    remedy = _remedy(connection.schema)
    try:
        connection.cnx.query(remedy)
    except connection.cnx.Error as e:
        raise EnvironmentFailure(
            f"its database has the collation {of_database(connection)[1]}, which Trac refuses, and "
            f"the login may not change that ({e.args[-1]}); as its administrator: {remedy}"
        ) from e


# The statements that make tables

_OUTSIDE = re.compile(r"('(?:[^'\\]|\\.|'')*'|`(?:[^`]|``)*`)", re.DOTALL)
_KEY = re.compile(
    r"(?P<head>\s*(?P<kind>PRIMARY |UNIQUE )?KEY (?:`(?:[^`]|``)*` )?(?:USING \w+ )?\()"
    r"(?P<parts>.*)(?P<tail>\)[^)]*)\Z"
)
_PART = re.compile(r"`(?P<name>(?:[^`]|``)+)`(?:\((?P<length>\d+)\))?")
_SIZE = re.compile(r"\s*`(?P<name>(?:[^`]|``)+)` (?:var)?char\((?P<size>\d+)\)", re.IGNORECASE)


def converted(creation: str) -> str:
    """A statement that makes a table, of utf8mb4 where it said utf8."""
    parts = _OUTSIDE.split(creation)
    changed = [part if number % 2 else _charset(part) for number, part in enumerate(parts)]
    if changed == parts:
        return creation
    lines = "".join(changed).split("\n")
    sizes = {
        match["name"]: int(match["size"]) for match in map(_SIZE.match, lines) if match is not None
    }
    return "\n".join(_key(line, sizes) for line in lines)


def _charset(text: str) -> str:
    text = re.sub(r"\b(COLLATE[ =])utf8(?:mb3)?_(?!mb4)(\w+)", r"\1utf8mb4_\2", text)
    text = text.replace("utf8mb4_general_mysql500_ci", "utf8mb4_general_ci")
    text = re.sub(
        r"\bCHARACTER SET utf8(?:mb3)?\b(?! COLLATE)",
        "CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci",
        text,
    )
    text = re.sub(r"\bCHARACTER SET utf8(?:mb3)?\b", "CHARACTER SET utf8mb4", text)
    text = re.sub(
        r"\bCHARSET=utf8(?:mb3)?\b(?! COLLATE)", "CHARSET=utf8mb4 COLLATE=utf8mb4_general_ci", text
    )
    text = re.sub(r"\bCHARSET=utf8(?:mb3)?\b", "CHARSET=utf8mb4", text)
    return re.sub(r"\bROW_FORMAT=(?:COMPACT|REDUNDANT)\b", "ROW_FORMAT=DYNAMIC", text)


def _key(line: str, sizes: t.Mapping[str, int]) -> str:
    """A key whose columns are no longer than Trac has them; unique ones only if they must."""
    match = _KEY.match(line)
    if match is None:
        return line
    columns = list(_PART.finditer(match["parts"]))
    lengths = {each["name"]: int(each["length"] or sizes.get(each["name"], 0)) for each in columns}
    texts = [name for name, length in lengths.items() if length]
    if not texts:
        return line
    fits = sum(lengths.values()) * 4 + 8 * (len(lengths) - len(texts)) <= _KEY_BYTES
    limit = min(_KEY_BYTES // (4 * len(columns)), _COLUMN)

    def cut(part: t.Match[str]) -> str:
        length = lengths[part["name"]]
        if length <= limit or (fits and (match["kind"] or not part["length"])):
            return part[0]
        return f"`{part['name']}`({limit})"

    return match["head"] + _PART.sub(cut, match["parts"]) + match["tail"]
