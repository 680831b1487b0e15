# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Move what an SQLite database holds into a database on a server, with Trac's own conversion.

It is what `trac-admin convert_db` does, with checks that it leaves out: a table or a column that
the new database does not have is a reason to stop, not to leave rows behind, and all rows are
counted.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import typing as t

from ansible_collections.trac.mod_wsgi.plugins.module_utils import (
    _trac_database,
    _trac_dump,
    _trac_upgrade,
)
from ansible_collections.trac.mod_wsgi.plugins.module_utils._environment_spec import (
    DATABASE,
    EnvironmentFailure,
)
from ansible_collections.trac.mod_wsgi.plugins.module_utils._trac_ini import IniFile
from ansible_collections.trac.mod_wsgi.plugins.module_utils._trac_open import (
    environment_class,
    opened,
)

# SQLite's own, which are no tables of Trac or of a plugin.
_INTERNAL = "sqlite_"


def check_possible() -> None:
    """Refuse where this Trac has no conversion."""
    try:
        import trac.db.convert  # noqa: F401
    except ImportError:
        raise EnvironmentFailure(
            "this version of Trac cannot move a database from SQLite to a server; Trac 1.6 can"
        ) from None


def convert(path: str, uri: str, scratch: str) -> None:
    """Fill an empty database on a server from the environment at a path, which is on SQLite.

    The environment is upgraded first if it has to be: the new tables are those of this Trac.
    `scratch` is a directory that does not exist.
    """
    check_possible()
    with opened(environment_class()(path)) as source:
        outdated = _trac_upgrade.is_outdated(source)
    if outdated:
        _trac_upgrade.upgrade(path)
    _create(path, uri, scratch)
    with opened(environment_class()(path)) as source, opened(
        environment_class()(scratch)
    ) as target:
        _check_tables(source, target)
        _copy(source, target)
    shutil.rmtree(scratch)


def _create(path: str, uri: str, scratch: str) -> None:
    """Make an environment of the same kind on the server, with the tables of its plugins."""
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
    with _trac_database.connected(environment) as connection:
        rows = _trac_database.row_counts(connection)
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
    with _trac_database.connected(source) as one, _trac_database.connected(target) as other:
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
    from trac.db.convert import copy_tables

    rows = _rows(source)
    one, other = DatabaseManager(source), DatabaseManager(target)
    with contextlib.closing(one.get_connection()) as source_db, contextlib.closing(
        other.get_connection()
    ) as target_db:
        copy_tables(source, target, source_db, target_db, one.connection_uri, other.connection_uri)
        if _trac_dump.kind(target) == "postgres":
            _set_sequences(target_db)
    found = _rows(target)
    _trac_dump.compare({table: count for table, count in rows.items() if table in found}, found)


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
