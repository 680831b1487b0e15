# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which reports of an environment its database refuses, because their SQL is that of another kind.

Reports are SQL that people wrote. They are run as Trac runs them, but in a transaction that can
only read, as one statement, and for some seconds at most; whoever calls this is the account that
owns the environment.
"""

from __future__ import annotations

import contextlib
import re
import time
import typing as t

from ansible_collections.trac.mod_wsgi.plugins.module_utils._copies import database_dump
from ansible_collections.trac.mod_wsgi.plugins.module_utils._trac import database as trac_database
from ansible_collections.trac.mod_wsgi.plugins.module_utils._trac.opening import reason

SECONDS = 5  # for one report
_ROWS = 100  # of a page
_STEPS = 10_000  # of SQLite, between two looks at the clock
_SHOWN = 10
_TITLE_SHOWN = 60  # characters

# What a server takes without an error, but in another sense than SQLite: pattern, explanation.
_OTHERWISE = {
    "postgres": [(r"\bLIKE\b", "LIKE tells capitals apart there (ILIKE does not)")],
    "mysql": [
        (r"\|\|", "|| does not join texts there, it is OR (CONCAT() joins)"),
        (r"\bLIKE\b", "LIKE tells capitals apart there (COLLATE utf8mb4_general_ci does not)"),
        (r"\b(?:date|time)\s*\(", "date() and time() read other texts there"),
    ],
}
_NO_CODE = re.compile(r"'(?:[^']|'')*'|--[^\n]*|/\*.*?\*/", re.DOTALL)


class Report(t.NamedTuple):
    """A report whose SQL is run."""

    number: int
    title: str
    query: str

    def name(self) -> str:
        """For the user."""
        title = " ".join(self.title.split())
        if len(title) > _TITLE_SHOWN:
            title = f"{title[:_TITLE_SHOWN]}…"
        return f"report {self.number} ({title})"


def _reports(environment: t.Any) -> list[Report]:
    """The reports in SQL; others are saved queries of Trac's own."""
    with trac_database.connected(environment) as connection:
        cursor = connection.cursor()
        cursor.execute("SELECT id, title, query FROM report ORDER BY id")
        rows = cursor.fetchall()
    reports = [Report(int(number), title or "", query or "") for number, title, query in rows]
    return [
        each
        for each in reports
        if each.query.strip() and not each.query.lstrip().startswith(("query:", "?"))
    ]


def failing(
    environment: t.Any, most: int | None = None, seconds: float | None = None, each: int = SECONDS
) -> list[tuple[Report, str]]:
    """The reports that the database refuses, and why.

    :param most: no more reports are tried than that
    :param seconds: nor is one begun later than that
    :param each: whole seconds for one report; what takes longer is no fault of its SQL
    """
    from trac.ticket.report import ReportModule

    end = None if seconds is None else time.monotonic() + seconds
    module = ReportModule(environment)
    reports = _reports(environment)[:most]
    found = []
    with trac_database.connected(environment) as connection:
        runner = _RUNNERS[database_dump.kind(environment)](connection, each)
        if not runner.can_run():
            return []
        for report in reports:
            if end is not None and time.monotonic() > end:
                break
            error = _error(module, runner, report)
            if error is not None:
                found.append((report, _first_line(error, environment)))
    return found


def _error(module: t.Any, runner: _Runner, report: Report) -> Exception | None:
    """How a report fails. A variable that is not set may be meant for a text or a number."""
    first: Exception | None = None
    for value in ("", "1"):
        arguments = _Arguments(value)
        sql = module.get_default_var_args(arguments, report.query)
        sql, values, _missing = module.sql_sub_vars(sql, arguments)
        if value and not arguments.asked:
            break
        sql = sql.replace("@SORT_COLUMN@", "1").replace("@LIMIT_OFFSET@", "")
        try:
            # As Trac does it to see the columns; of these rows is the first page.
            runner.run(f"SELECT * FROM (\n{sql}\n) AS tab LIMIT {_ROWS}", values)  # noqa: S608
        # Each driver has exceptions of its own.
        except Exception as e:  # noqa: BLE001
            if runner.is_time_up(e):
                return None
            first = first or e
        else:
            return None
        finally:
            with contextlib.suppress(Exception):
                runner.connection.rollback()
    return first


class _Arguments(t.Dict[str, str]):
    """Variables of a report: $USER is known, others have one value for all."""

    def __init__(self, value: str) -> None:
        super().__init__(USER="anonymous")
        self.value = value
        self.asked: set[str] = set()

    def __missing__(self, name: str) -> str:
        self.asked.add(name)
        self[name] = self.value
        return self.value


def _first_line(error: Exception, environment: t.Any) -> str:
    """What a driver says, without where."""
    details = getattr(error, "diag", None)
    message = getattr(details, "message_primary", None)
    if message is None and len(error.args) == 2 and isinstance(error.args[0], int):
        message = error.args[1]  # MySQL's number and words
    return str(message or reason(error, environment.path)).splitlines()[0]


class _Runner:
    """Runs one statement that somebody wrote, so that nothing can change by it."""

    def __init__(self, connection: t.Any, seconds: int) -> None:
        self.connection = connection
        self.seconds = seconds

    def can_run(self) -> bool:
        """Whether that is possible here."""
        return True

    def run(self, sql: str, values: t.Sequence[str]) -> None:
        """Run it in a transaction of its own, which the caller ends."""
        raise NotImplementedError

    def is_time_up(self, error: Exception) -> bool:
        """Whether it only took too long, or somebody held what it needs."""
        raise NotImplementedError

    def _whole(self, sql: str, values: t.Sequence[str]) -> str:
        """The statement with its values in it, as the driver would send it."""
        from trac.db.util import sql_escape_percent

        if not values:
            return sql
        with self._cursor() as cursor:
            whole = cursor.mogrify(sql_escape_percent(sql), values)
        return whole.decode() if isinstance(whole, bytes) else str(whole)

    def _cursor(self) -> t.Any:
        return contextlib.closing(self.connection.cnx.cursor())


class _Postgres(_Runner):
    """A block of PL/pgSQL: what runs in it cannot end the transaction, as text after `;` could."""

    def can_run(self) -> bool:
        with self._cursor() as cursor:
            cursor.execute("SELECT 1 FROM pg_language WHERE lanname = 'plpgsql'")
            return cursor.fetchone() is not None

    def run(self, sql: str, values: t.Sequence[str]) -> None:
        whole = self._whole(sql, values)
        self.connection.rollback()
        with self._cursor() as cursor:
            cursor.execute("SET TRANSACTION READ ONLY")
            cursor.execute(f"SET LOCAL statement_timeout = {self.seconds * 1000}")
            cursor.execute(f"SET LOCAL lock_timeout = {self.seconds * 1000}")
            cursor.execute("SELECT 1")  # from here on it stays read-only
            literal = cursor.mogrify("%s", (whole,)).decode()
            cursor.execute("DO %s", (f"BEGIN EXECUTE {literal}; END",))

    def is_time_up(self, error: Exception) -> bool:
        return getattr(error, "pgcode", None) in ("57014", "55P03")


class _MySQL(_Runner):
    """What is prepared is one statement, whatever stands in it."""

    def can_run(self) -> bool:
        with self._cursor() as cursor:
            cursor.execute("SELECT VERSION()")
            limit = f"max_execution_time = {self.seconds * 1000}"
            if "MariaDB" in cursor.fetchone()[0]:
                limit = f"max_statement_time = {self.seconds}"
            cursor.execute(f"SET SESSION {limit}")
            cursor.execute(f"SET SESSION lock_wait_timeout = {self.seconds}")
        return True

    def run(self, sql: str, values: t.Sequence[str]) -> None:
        whole = self._whole(sql, values)
        self.connection.rollback()
        with self._cursor() as cursor:
            cursor.execute("SET @trac_report = %s", (whole,))
            cursor.execute("START TRANSACTION READ ONLY")
            cursor.execute("PREPARE trac_report FROM @trac_report")
            cursor.execute("EXECUTE trac_report")
            cursor.fetchall()

    def is_time_up(self, error: Exception) -> bool:
        return bool(error.args) and error.args[0] in (1969, 3024, 1205)


class _SQLite(_Runner):
    """SQLite's driver runs one statement at a time in any case."""

    def run(self, sql: str, values: t.Sequence[str]) -> None:
        end = time.monotonic() + self.seconds
        self.connection.cnx.set_progress_handler(lambda: time.monotonic() > end, _STEPS)
        cursor = self.connection.cursor()
        cursor.execute("PRAGMA query_only = 1")
        cursor.execute(sql, values)

    def is_time_up(self, error: Exception) -> bool:
        return "interrupted" in str(error) or "locked" in str(error)


_RUNNERS: dict[str, type[_Runner]] = {"postgres": _Postgres, "mysql": _MySQL, "sqlite": _SQLite}


def understood_otherwise(environment: t.Any) -> list[tuple[Report, str]]:
    """The reports with SQL of SQLite that the server takes, but in another sense."""
    patterns = _OTHERWISE.get(database_dump.kind(environment), [])
    found = []
    for report in _reports(environment):
        code = _NO_CODE.sub(" ", report.query)
        for pattern, words in patterns:
            if re.search(pattern, code, re.IGNORECASE):
                found.append((report, words))
    return found


def words(faults: t.Sequence[tuple[Report, str]]) -> str:
    """Reports that fail, for the user."""
    lines = [f"{report.name()}: {why}" for report, why in faults[:_SHOWN]]
    if len(faults) > _SHOWN:
        numbers = ", ".join(str(report.number) for report, _why in faults[_SHOWN:])
        lines.append(f"and reports {numbers}")
    return "; ".join(lines)


def words_of_move(environment: t.Any) -> list[str]:
    """Warnings about reports whose SQL is SQLite's, now that the database is on a server."""
    try:
        faults = failing(environment)
        others = understood_otherwise(environment)
    # The environment has moved, whatever a driver or a plugin raises.
    except Exception as e:  # noqa: BLE001
        return [f"its reports could not be tried: {reason(e, environment.path)}"]
    warnings = []
    if faults:
        warnings.append(
            f"reports that the new database refuses; correct their SQL in Trac: {words(faults)}"
        )
    by_words: dict[str, list[int]] = {}
    for report, why in others:
        by_words.setdefault(why, []).append(report.number)
    for why, numbers in by_words.items():
        shown = ", ".join(map(str, numbers))
        warnings.append(f"reports that the new database may answer otherwise: {shown}; {why}")
    return warnings
