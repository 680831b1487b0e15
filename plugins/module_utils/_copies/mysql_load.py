# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Load a dump into a database of MySQL or MariaDB, in place of what that holds.

There is no transaction for this. The tables are loaded under other names, beside those in use, and
their rows counted; one statement then exchanges all of them. What is killed before has touched
nothing, and the next load removes what it has left. Views, triggers, routines and events need the
tables; one that cannot be made is told, and stops nothing.
"""

from __future__ import annotations

import contextlib
import functools
import re
import typing as t

from ansible_collections.trac.mod_wsgi.plugins.module_utils._copies import mysql_dump
from ansible_collections.trac.mod_wsgi.plugins.module_utils._trac import database as trac_database
from ansible_collections.trac.mod_wsgi.plugins.module_utils._trac import (
    database_objects,
    database_tools,
    mysql_charset,
)
from ansible_collections.trac.mod_wsgi.plugins.module_utils._trac.environment_spec import (
    EnvironmentFailure,
)
from ansible_collections.trac.mod_wsgi.plugins.module_utils._trac.opening import reason

_NEW = f"{database_objects.BESIDE}new_"
_OLD = f"{database_objects.BESIDE}old_"
_PATIENCE = 60  # seconds that somebody may use a table that is exchanged
_HEAD = re.compile(rb"`(?:[^`]|``)+`")
_CONSTRAINT = re.compile(r"\s*CONSTRAINT `")

Reader = t.Callable[[], t.ContextManager[t.Iterable[bytes]]]


def load(environment: t.Any, read: Reader, rows: t.Mapping[str, int]) -> list[str]:
    """Load a dump; returns what somebody should know. `read` opens it from its beginning."""
    with trac_database.connected(environment) as connection, trac_database.patience(
        database_tools.LONGEST
    ):
        connection.cnx.autocommit(True)
        load_ = _Load(environment, connection, read)
        load_.clear()
        try:
            load_.fill(rows)
            load_.exchange()
        except BaseException:
            with contextlib.suppress(Exception):  # the next load does it
                load_.clear()
            raise
        return load_.complete()


class _Load:
    """A dump on its way into a database."""

    def __init__(self, environment: t.Any, connection: t.Any, read: Reader) -> None:
        self.environment = environment
        self.connection = connection
        self.read = read
        self.new: dict[str, str] = {}  # the names that tables have until they are exchanged
        self.constraints: list[tuple[str, str]] = []
        self.objects: list[database_objects.Object] = []
        self.said: list[str] = []

    def _run(self, statement: str | bytes) -> None:
        self.connection.cnx.query(statement)

    def clear(self) -> None:
        """Remove what a load has left that was killed."""
        left = [
            name
            for name in self.connection.get_table_names()
            if name.startswith(database_objects.BESIDE)
        ]
        if left:
            self._run("SET FOREIGN_KEY_CHECKS = 0")
            self._run(f"SET lock_wait_timeout = {_PATIENCE}")
            self._run(f"DROP TABLE {', '.join(map(database_objects.quoted, left))}")

    def fill(self, rows: t.Mapping[str, int]) -> None:
        """Make the tables beside those in use, and fill them."""
        with self.read() as lines:
            whole = list(self._looked_at(mysql_dump.statements(lines)))
        convert = mysql_charset.has_to_convert(self.connection, whole)
        with self.read() as lines:
            for each in mysql_dump.statements(lines):
                if each.kind == "set":
                    self._run(each.text)
                elif each.kind == "table":
                    self._make(each, convert)
                elif each.kind == "rows":
                    name = database_objects.quoted(self.new[each.name]).encode()
                    self._run(_HEAD.sub(name, each.text, count=1))
        # Manifests of former versions count views, too.
        views = {each.name for each in self.objects if each.kind == "VIEW"}
        for table, count in sorted(rows.items()):
            if table not in views:
                self._compare(table, count)
        if convert:
            mysql_charset.set_default(self.connection)

    def _looked_at(self, statements: t.Iterable[mysql_dump.Statement]) -> t.Iterator[bytes]:
        """Find out what there is, before anything is made; yields what makes tables."""
        for each in statements:
            if each.kind == "table":
                self.new[each.name] = f"{_NEW}{len(self.new)}"
                yield each.text
            elif each.kind == "rows" and each.name not in self.new:
                raise EnvironmentFailure(f"the dump has rows of {each.name} before the table")
            elif each.object is not None:
                self.objects.append(each.object)

    def _make(self, each: mysql_dump.Statement, convert: bool) -> None:
        """Make a table without its constraints, whose names are the database's."""
        text = each.text.decode("utf-8", "surrogateescape")
        if convert:
            text = mysql_charset.converted(text)
        lines = text.split("\n")
        end = max(number for number, line in enumerate(lines) if line.startswith(")"))
        body = [line.rstrip(",") for line in lines[1:end] if not _CONSTRAINT.match(line)]
        for line in lines[1:end]:
            if _CONSTRAINT.match(line):
                self.constraints.append((each.name, line.strip().rstrip(",")))
        name = database_objects.quoted(self.new[each.name])
        parts = [f"CREATE TABLE {name} (", ",\n".join(body), *lines[end:]]
        self._run("\n".join(parts).encode("utf-8", "surrogateescape"))

    def _compare(self, table: str, count: int) -> None:
        found: object = "none"
        if table in self.new:
            name = database_objects.quoted(self.new[table])
            query = f"SELECT count(*) FROM {name}"  # noqa: S608
            found = database_objects.rows_of(self.connection, query)[0][0]
        if found != count:
            raise EnvironmentFailure(
                f"the table {table} should hold {count} rows, and holds {found}"
            )

    def exchange(self) -> None:
        """Have the new tables take the place of the old ones, all at once."""
        quoted = database_objects.quoted
        there = [*database_objects.tables(self.connection)]
        there += [
            name for name in database_objects.mysql_views(self.connection) if name in self.new
        ]
        moves = [(name, f"{_OLD}{number}") for number, name in enumerate(there)]
        moves += [(new, name) for name, new in self.new.items()]
        if moves:
            self._run(f"SET lock_wait_timeout = {_PATIENCE}")
            steps = ", ".join(f"{quoted(one)} TO {quoted(other)}" for one, other in moves)
            self._run(f"RENAME TABLE {steps}")

    def complete(self) -> list[str]:
        """Remove the old tables, and make what belongs to the new ones."""
        self._tried("the former tables could not be removed", self.clear)
        self._run("SET FOREIGN_KEY_CHECKS = 0")
        for table, constraint in self.constraints:
            statement = f"ALTER TABLE {database_objects.quoted(table)} ADD {constraint}"
            self._tried(
                f"a constraint of the table {table} could not be made",
                functools.partial(self._run, statement),
            )
        self._run("SET FOREIGN_KEY_CHECKS = 1")
        self._make_objects()
        return self.said

    def _tried(self, what: str, function: t.Callable[[], None]) -> bool:
        try:
            function()
        # Each driver has exceptions of its own.
        except Exception as e:  # noqa: BLE001
            self.said.append(f"{what}: {reason(e, self.environment.path)}")
            return False
        return True

    def _make_objects(self) -> None:
        there = {(each.kind, each.name): each for each in self._there()}
        waiting = []
        for each in self.objects:
            old = there.pop((each.kind, each.name), None)
            if old is None or self._make_room(each, old):
                waiting.append(each)
        self.said += [
            f"{each.title} is not in the backup, and was left as it is"
            for each in there.values()
            if each.kind == "VIEW"
        ]
        # A view may need one that comes later.
        while waiting:
            failed = [(each, error) for each in waiting for error in [self._made(each)] if error]
            if len(failed) == len(waiting):
                self.said += [f"{each.title} could not be made: {error}" for each, error in failed]
                return
            waiting = [each for each, _error in failed]

    def _there(self) -> list[database_objects.Object]:
        try:
            return database_objects.mysql_objects(self.connection)
        except self.connection.cnx.Error as e:
            self.said.append(f"what it holds beside tables could not be read: {e.args[-1]}")
            return []

    def _make_room(self, each: database_objects.Object, old: database_objects.Object) -> bool:
        """Remove what is going to be made; False if it can stay."""
        if old.statement is None:
            self.said.append(f"{old.title} of {old.definer} was left as it is")
            return False
        if _words(old.statement) == _words(each.statement):
            return False
        name = database_objects.quoted(each.name)
        what = f"{each.title} could not be replaced"
        return self._tried(what, lambda: self._run(f"DROP {each.kind} {name}"))

    def _made(self, each: database_objects.Object) -> str | None:
        """Make one of these; returns why that is not possible."""
        statement = t.cast(str, each.statement)
        try:
            if each.sql_mode is not None:
                self._run(f"SET sql_mode = '{each.sql_mode}'")
            self._run(statement.encode("utf-8", "surrogateescape"))
        except self.connection.cnx.Error as e:
            return f"{e.args[-1]}" + (f" (it was {each.definer}'s)" if each.definer else "")
        if each.definer and each.definer.partition("@")[0] != self.environment_login():
            self.said.append(
                f"{each.title} belonged to {each.definer}, and belongs to the database's login now"
            )
        return None

    def environment_login(self) -> str | None:
        """The login that everything is made by."""
        return database_tools.server(self.environment).user


def _words(statement: str | None) -> str:
    return " ".join((statement or "").split())
