# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Move what an SQLite database holds into a database on a server.

It is what `trac-admin convert_db` does, with checks that it leaves out: a table or a column that
the new database does not have is a reason to stop, not to leave rows behind, all rows are counted,
and values that the server does not take are named, all of them, before anything is made.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
import typing as t

from ansible_collections.trac.mod_wsgi.plugins.module_utils._copies import (
    database_dump,
    sqlite_objects,
    sqlite_values,
)
from ansible_collections.trac.mod_wsgi.plugins.module_utils._copies import upgrade as copies_upgrade
from ansible_collections.trac.mod_wsgi.plugins.module_utils._trac import database as trac_database
from ansible_collections.trac.mod_wsgi.plugins.module_utils._trac.environment_spec import (
    DATABASE,
    EnvironmentFailure,
)
from ansible_collections.trac.mod_wsgi.plugins.module_utils._trac.ini import IniFile
from ansible_collections.trac.mod_wsgi.plugins.module_utils._trac.opening import (
    environment_class,
    opened,
    reason,
)

# SQLite's own, which are no tables of Trac or of a plugin.
_INTERNAL = "sqlite_"
_ROWS_AT_ONCE = 100
_SIZE_AT_ONCE = 1 << 20  # characters
MEND = "mend (trac_restore_mend)"


def check_possible() -> None:
    """Refuse where this Trac has no conversion."""
    try:
        import trac.db.convert  # noqa: F401
    except ImportError:
        raise EnvironmentFailure(
            "this version of Trac cannot move a database from SQLite to a server; Trac 1.6 can"
        ) from None


class Prepared(t.NamedTuple):
    """What is to be said of an environment that can be moved."""

    mended: list[str]  # changes, in words
    left: list[str]  # warnings


def target(environment: t.Any) -> sqlite_values.Target:
    """The server of an environment, whose database may be empty."""
    kind = database_dump.kind(environment)
    width = 4
    if kind == "mysql":
        with trac_database.connected(environment) as connection:
            width = 4 if connection.charset == "utf8mb4" else 3
    return sqlite_values.Target(kind, width)


def prepare(
    path: str, file: str, target: sqlite_values.Target, scratch: str, mend: bool
) -> Prepared:
    """Find everything that would stop the move of an environment, before anything is made.

    The environment, whose database is a file that nobody else uses, is upgraded if it has to be:
    the new tables are those of this Trac. `scratch` is a directory that does not exist, for an
    empty environment on SQLite, which shows what Trac and the plugins would make.
    """
    check_possible()
    # What reads it should not stumble over what can be mended. Triggers would see that.
    others = sqlite_objects.without_triggers(file)
    found = sqlite_values.look_at_texts(file, target)
    left = sqlite_values.mend(file, found)
    if left:
        found = [finding for finding in found if finding not in left]
        found += sqlite_values.look(file, tracs_shapes(), target)
        raise EnvironmentFailure(sqlite_values.refusal(found, target, MEND))
    with opened(environment_class()(path)) as source:
        outdated = copies_upgrade.is_outdated(source)
    if outdated:
        copies_upgrade.upgrade(path)
    with _described() as described:
        _create(path, "sqlite:db/trac.db", scratch)
    with opened(environment_class()(path)) as source, opened(environment_class()(scratch)) as empty:
        _check_tables(source, empty)
    shapes = {**_shapes(described.values()), **tracs_shapes()}
    values = sqlite_values.look(file, shapes, target)
    left = sqlite_values.mend(file, values)
    mended = found + [finding for finding in values if finding.mend and finding not in left]
    left += sqlite_values.duplicates(file, shapes, target)
    if left or (mended and not mend):
        raise EnvironmentFailure(sqlite_values.refusal([*left, *mended], target, MEND))
    others += sqlite_objects.not_in(file, os.path.join(scratch, "db", "trac.db"))
    shutil.rmtree(scratch)
    return Prepared(sqlite_values.mended_words(mended), sqlite_objects.words(others))


def predict(file: str, target: sqlite_values.Target, mend: bool) -> list[str]:
    """What would be mended, in words, of a database that nobody else uses; refuses like prepare.

    What plugins make of their tables, and whether rows would be the same for the server after an
    upgrade, is not known here.
    """
    check_possible()
    shapes = tracs_shapes()
    found = sqlite_values.look(file, shapes, target)
    left = sqlite_values.mend(file, found)
    mended = [finding for finding in found if finding.mend and finding not in left]
    left += sqlite_values.duplicates(file, shapes, target)
    if left or (mended and not mend):
        raise EnvironmentFailure(sqlite_values.refusal([*left, *mended], target, MEND))
    return sqlite_values.mended_words(mended)


def tracs_shapes() -> dict[str, sqlite_values.Shape]:
    """What this Trac makes its tables of."""
    from trac.db_default import schema

    return _shapes(schema, is_tracs=True)


def _shapes(tables: t.Iterable[t.Any], is_tracs: bool = False) -> dict[str, sqlite_values.Shape]:
    return {table.name: sqlite_values.shape_of(table, is_tracs) for table in tables}


@contextlib.contextmanager
def _described() -> t.Iterator[dict[str, t.Any]]:
    """How Trac and plugins describe the tables that they have SQLite make meanwhile.

    SQLite itself does not know how long a whole number may be.
    """
    from trac.db.sqlite_backend import SQLiteConnector

    tables: dict[str, t.Any] = {}
    original = SQLiteConnector.to_sql

    def to_sql(connector: t.Any, table: t.Any) -> t.Any:
        tables[table.name] = table
        return original(connector, table)

    SQLiteConnector.to_sql = to_sql
    try:
        yield tables
    finally:
        SQLiteConnector.to_sql = original


def convert(path: str, uri: str, scratch: str) -> None:
    """Fill an empty database on a server from an environment that is prepared.

    `scratch` is a directory that does not exist.
    """
    _create(path, uri, scratch)
    with opened(environment_class()(path)) as source, opened(
        environment_class()(scratch)
    ) as target:
        _check_tables(source, target)
        _copy(source, target)
    shutil.rmtree(scratch)


def _create(path: str, uri: str, scratch: str) -> None:
    """Make an empty environment of the same kind, with the tables of its plugins."""
    ini = IniFile(os.path.join(path, "conf", "trac.ini"))
    parser = ini.proposed({DATABASE: uri})
    options = [
        (section, name, value)
        for section in parser.sections()
        for name, value in parser.items(section)
    ]
    with opened(environment_class()(scratch, create=True, options=options)) as created:
        plugins = created.plugins_dir
    own = os.path.join(path, "plugins")
    if os.path.isdir(own):
        shutil.rmtree(plugins, ignore_errors=True)
        shutil.copytree(own, plugins, symlinks=True)
    with opened(environment_class()(scratch)) as created:
        if created.needs_upgrade():
            created.upgrade(backup=False)


def _rows(environment: t.Any) -> dict[str, int]:
    with trac_database.connected(environment) as connection:
        rows = trac_database.row_counts(connection)
    return {table: count for table, count in rows.items() if not table.startswith(_INTERNAL)}


def _check_tables(source: t.Any, target: t.Any) -> None:
    rows, there = _rows(source), _rows(target)
    unknown = sorted(table for table, count in rows.items() if count and table not in there)
    if unknown:
        raise EnvironmentFailure(
            "its database cannot be moved from SQLite, because no plugin that is installed here "
            f"and enabled in its trac.ini makes the tables {', '.join(unknown)}, which hold rows; "
            "install and enable the plugins, or drop the tables if nobody needs them"
        )
    with trac_database.connected(source) as one, trac_database.connected(target) as other:
        for table in sorted(rows):
            if not rows[table]:
                continue
            missing = set(one.get_column_names(table)) - set(other.get_column_names(table))
            if missing:
                raise EnvironmentFailure(
                    f"its database cannot be moved from SQLite: the table {table} has columns that "
                    f"this version of Trac or of a plugin does not know: "
                    f"{', '.join(sorted(missing))}"
                )


def _copy(source: t.Any, target: t.Any) -> None:
    from trac.db.api import DatabaseManager
    from trac.db.convert import get_replace_cast

    rows = _rows(source)
    one, other = DatabaseManager(source), DatabaseManager(target)
    with contextlib.closing(one.get_connection()) as source_db, contextlib.closing(
        other.get_connection()
    ) as target_db:
        # None, or a function for the SQL of reports.
        cast = get_replace_cast(source_db, target_db, one.connection_uri, other.connection_uri)
        for table in sorted(set(rows) & set(other.get_table_names())):
            try:
                _copy_table(trac_database.sqlite_file(source), target_db, table, cast)
            # Each driver has exceptions of its own.
            except Exception as e:
                why = reason(e, target.path)
                raise EnvironmentFailure(f"the rows of {table} cannot be copied: {why}") from e
        target_db.commit()
        if database_dump.kind(target) == "postgres":
            _set_sequences(target_db)
    found = _rows(target)
    database_dump.compare({table: count for table, count in rows.items() if table in found}, found)


def _copy_table(file: str | None, target: t.Any, table: str, cast: t.Any) -> None:
    """As Trac's own function does it, which takes too many large rows for a packet of MySQL's."""
    cursor, name = target.cursor(), target.quote(table)
    cursor.execute(f"DELETE FROM {name}")  # noqa: S608
    with contextlib.closing(sqlite3.connect(str(file))) as source:
        quoted = table.replace('"', '""')
        rows = source.execute(f'SELECT * FROM "{quoted}"')  # noqa: S608
        columns = [column[0] for column in rows.description]
        query = columns.index("query") if cast and table == "report" else -1
        holders = f"({', '.join(['%s'] * len(columns))})"
        insert = f"INSERT INTO {name} ({', '.join(map(target.quote, columns))}) VALUES "  # noqa: S608
        for batch in _batches(rows):
            values = [value for row in batch for value in row]
            if query >= 0:
                for at in range(query, len(values), len(columns)):
                    values[at] = values[at] and cast(values[at])
            cursor.execute(insert + ", ".join([holders] * len(batch)), values)


def _batches(rows: t.Iterable[tuple[t.Any, ...]]) -> t.Iterator[list[tuple[t.Any, ...]]]:
    """Rows that go together; one that is large goes alone."""
    batch: list[tuple[t.Any, ...]] = []
    size = 0
    for row in rows:
        more = sum(len(value) for value in row if isinstance(value, (str, bytes)))
        if batch and (len(batch) == _ROWS_AT_ONCE or size + more > _SIZE_AT_ONCE):
            yield batch
            batch, size = [], 0
        batch.append(row)
        size += more
    if batch:
        yield batch


def _set_sequences(connection: t.Any) -> None:
    """Go on counting after the highest number, in every column that counts (Trac knows `id`)."""
    cursor = connection.cursor()
    cursor.execute(
        "SELECT table_name, column_name FROM information_schema.columns "
        "WHERE table_schema = current_schema() AND column_default LIKE %s",
        ("nextval(%",),
    )
    for table, column in cursor.fetchall():
        name, quoted = connection.quote(table), connection.quote(column)
        cursor.execute(
            f"SELECT setval(pg_get_serial_sequence(%s, %s), max({quoted})) FROM {name}",  # noqa: S608
            (name, column),
        )
    connection.commit()
