# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Values in an SQLite database that a database server does not take.

SQLite keeps any value in any column, and text whose bytes are no text. A server refuses the first
such value of a million with words that name no row, so all of them are looked for before anything
is made there. What can be mended without a guess is mended in a file that nobody else uses.
"""

from __future__ import annotations

import contextlib
import re
import sqlite3
import typing as t

SHOWN = 20
_EXAMPLES = 3
_VALUE_SHOWN = 30  # characters
_SERVERS = {"postgres": "PostgreSQL", "mysql": "MySQL"}
# Bits of what columns of whole numbers hold; `int` and `int64` are Trac's own words.
_BITS = {
    "smallint": 16,
    "int": 32,
    "integer": 32,
    "int4": 32,
    "int64": 64,
    "bigint": 64,
    "int8": 64,
}
_NUMBERS = ("real", "float", "double", "numeric", "decimal")
_LONGEST = 0xFFFFFF  # bytes of a MEDIUMTEXT, which Trac makes of `text` on MySQL


class Target(t.NamedTuple):
    """The server that the values go to."""

    kind: str  # postgres or mysql
    width: int = 4  # bytes of a character at most; MySQL's `utf8` has 3

    @property
    def server(self) -> str:
        """Its name."""
        return _SERVERS.get(self.kind, self.kind)


class Shape(t.NamedTuple):
    """What a table is made of on the server."""

    types: dict[str, str]  # in small letters
    serial: str | None = None  # the column that counts
    key: tuple[str, ...] = ()
    unique: tuple[tuple[str, ...], ...] = ()  # the key among them
    sizes: t.Mapping[str, int] = {}  # characters that MySQL's indexes look at
    is_tracs: bool = False


class Finding(t.NamedTuple):
    """A value that the server does not take."""

    table: str
    column: str
    row: int | None  # None in a table without row numbers
    why: str
    mend: str | None = None  # in words; None where there is nothing but guesses
    value: object = None  # what it becomes

    def words(self) -> str:
        """For the user."""
        row = "" if self.row is None else f" of rowid {self.row}"
        return f"{self.table}.{self.column}{row} {self.why}"


class _NoText(bytes):
    """Bytes that SQLite takes for text, and that are not UTF-8."""


def _text(value: bytes) -> str | _NoText:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return _NoText(value)


def shape_of(table: t.Any, is_tracs: bool) -> Shape:
    """The shape of a table that Trac or a plugin describes (trac.db.schema.Table)."""
    key = tuple(table.key)
    unique = [key] if key else []
    unique += [tuple(index.columns) for index in table.indices if index.unique]
    serial = [column.name for column in table.columns if column.auto_increment]
    return Shape(
        {column.name: column.type.lower() for column in table.columns},
        serial[0] if serial else None,
        key,
        tuple(unique),
        {column.name: column.key_size for column in table.columns if column.key_size},
        is_tracs,
    )


def _quoted(name: str) -> str:
    return '"{}"'.format(name.replace('"', '""'))


@contextlib.contextmanager
def _opened(file: str) -> t.Iterator[sqlite3.Connection]:
    with contextlib.closing(sqlite3.connect(file)) as connection:
        connection.text_factory = _text
        yield connection


def _tables(connection: sqlite3.Connection) -> list[str]:
    rows = connection.execute("SELECT name FROM sqlite_master WHERE type='table' ORDER BY name")
    return [str(name) for (name,) in rows if not str(name).startswith("sqlite_")]


def _declared(connection: sqlite3.Connection, table: str) -> Shape:
    """The shape of a table that nobody describes, as far as SQLite knows it.

    Trac has SQLite make `integer` of all whole numbers, so that how long they may be is unknown.
    """
    types = {}
    for row in connection.execute(f"PRAGMA table_info({_quoted(table)})"):
        declared = str(row[2]).lower()
        types[str(row[1])] = "int64" if declared in _BITS else declared
    return Shape(types)


def look(file: str, shapes: t.Mapping[str, Shape], target: Target) -> list[Finding]:
    """All values that the server does not take, in all tables."""
    found: list[Finding] = []
    with _opened(file) as connection:
        for table in _tables(connection):
            declared = _declared(connection, table)
            shape = shapes.get(table, declared)
            found += _values(connection, table, list(declared.types), shape, target)
    return found


def look_at_texts(file: str, target: Target) -> list[Finding]:
    """The texts that the server, or Trac before it, cannot read."""
    with _opened(file) as connection:
        tables = {
            table: Shape(dict.fromkeys(_declared(connection, table).types, "any"))
            for table in _tables(connection)
        }
    return look(file, tables, target)


def duplicates(file: str, shapes: t.Mapping[str, Shape], target: Target) -> list[Finding]:
    """Rows that are different for SQLite, and the same for the server."""
    found: list[Finding] = []
    with _opened(file) as connection:
        for table in _tables(connection):
            shape = shapes.get(table, Shape({}))
            there = set(_declared(connection, table).types)
            for columns in shape.unique:
                if columns != (shape.serial,) and there.issuperset(columns):
                    found += _duplicates(connection, table, columns, shape, target)
    return found


def _values(
    connection: sqlite3.Connection,
    table: str,
    columns: t.Sequence[str],
    shape: Shape,
    target: Target,
) -> t.Iterator[Finding]:
    names = ", ".join(map(_quoted, columns))
    query = f"SELECT rowid, {names} FROM {_quoted(table)}"  # noqa: S608
    try:
        rows = connection.execute(query)
    except sqlite3.OperationalError:  # a table without
        rows = connection.execute(query.replace("rowid", "NULL", 1))
    checks = [_Column(name, shape, target) for name in columns]
    for number, *values in rows:
        for check, value in zip(checks, values):
            fault = check.fault(value)
            if fault is not None:
                why, mend, new = fault
                if number is None:
                    mend = None
                yield Finding(table, check.name, number, why, mend, new)


_Fault = t.Tuple[str, t.Optional[str], object]


class _Column:
    """What one column takes."""

    def __init__(self, name: str, shape: Shape, target: Target) -> None:
        self.name = name
        self.target = target
        self.type = shape.types.get(name, "any")
        self.is_key = name in shape.key and name != shape.serial
        # Trac itself writes 0 for a time that there is not. A key is never empty.
        self.nothing = 0 if shape.is_tracs or self.is_key else None
        self.check: t.Callable[[t.Any], _Fault | None] = self._any
        self.longest = 0  # characters
        if self.type in _BITS or name == shape.serial:
            self.check = self._whole
            half = 1 << (_BITS.get(self.type, 32) - 1)
            self.least, self.most = -half, half - 1
            if name == shape.serial and target.kind == "mysql":
                # UNSIGNED; in place of 0 MySQL writes the next number.
                self.least, self.most = 1, (1 << 32) - 1
        elif self.type.startswith(_NUMBERS):
            self.check = self._number
        elif self.type.startswith("text") or "char" in self.type:
            self.check = self._character
            size = re.search(r"char\w*\s*\(\s*(\d+)\s*\)", self.type)
            self.longest = int(size.group(1)) if size else 0

    def fault(self, value: t.Any) -> _Fault | None:
        """Why the server does not take a value, the remedy in words, and what it becomes."""
        if value is None:
            return ("is NULL, in a column of the table's key", None, None) if self.is_key else None
        return self.check(value)

    def _empty(self) -> _Fault:
        new = "NULL" if self.nothing is None else "0"
        return "is '', in a column of numbers", f"'' becomes {new}", self.nothing

    def _whole(self, value: t.Any) -> _Fault | None:
        if value == "":
            return self._empty()
        number = value
        if isinstance(value, float):
            number = int(value) if value.is_integer() else None
        elif isinstance(value, str):
            number = int(value) if re.fullmatch(r"[+-]?[0-9]{1,30}", value) else None
        if not isinstance(number, int):
            return f"is {_shown(value)}, in a column of whole numbers", None, None
        if not self.least <= number <= self.most:
            return f"is {_shown(value)}; the column takes {self.least} to {self.most}", None, None
        return None

    def _number(self, value: t.Any) -> _Fault | None:
        if value == "":
            return self._empty()
        try:
            float(value if isinstance(value, (int, float, str)) else "")
        except ValueError:
            return f"is {_shown(value)}, in a column of numbers", None, None
        return None

    def _character(self, value: t.Any) -> _Fault | None:
        """A column of text."""
        if isinstance(value, bytes) and not isinstance(value, _NoText):
            text = _text(value)
            if isinstance(text, bytes):
                return "holds bytes that are no text in UTF-8", None, None
            if self.target.kind == "postgres":
                new = text.replace("\0", "")
                return "holds bytes (BLOB) instead of text", "bytes in UTF-8 become text", new
            value = text
        return self._any(value)

    def _any(self, value: t.Any) -> _Fault | None:
        """A column of anything; its texts have to be some."""
        if isinstance(value, _NoText):
            return "holds text that is not UTF-8", None, None
        if not isinstance(value, str):
            return None
        if self.target.kind == "postgres" and "\0" in value:
            return "holds a NUL character", "NUL characters go", value.replace("\0", "")
        if self.longest and len(value) > self.longest:
            return f"has {len(value)} characters; the column takes {self.longest}", None, None
        if self.target.kind == "mysql":
            if len(value) * 4 > _LONGEST and len(value.encode()) > _LONGEST:
                return f"has {len(value.encode())} bytes; MySQL takes {_LONGEST}", None, None
            if self.target.width < 4 and value and max(value) > "\uffff":
                return "holds a character that only a database of utf8mb4 takes", None, None
        return None


def _shown(value: object) -> str:
    text = repr(bytes(value) if isinstance(value, _NoText) else value)
    return text if len(text) <= _VALUE_SHOWN else f"{text[:_VALUE_SHOWN]}…"


def _duplicates(
    connection: sqlite3.Connection,
    table: str,
    columns: tuple[str, ...],
    shape: Shape,
    target: Target,
) -> t.Iterator[Finding]:
    compared = []
    for column in columns:
        name = _quoted(column)
        if shape.types.get(column) in _BITS:
            compared.append(name)
        elif target.kind == "mysql":
            # As Trac makes indexes there: of the first characters. Blanks at the end do not count.
            most = 767 // target.width
            size = shape.sizes.get(column) or 3072 // (target.width * len(columns))
            compared.append(f"rtrim(substr(CAST({name} AS TEXT), 1, {min(size, most)}), ' ')")
        else:
            compared.append(f"CAST({name} AS TEXT)")
    there = " AND ".join(f"{_quoted(column)} IS NOT NULL" for column in columns)
    query = (
        f"SELECT min(rowid), max(rowid), count(*) FROM {_quoted(table)} WHERE {there} "  # noqa: S608
        f"GROUP BY {', '.join(compared)} HAVING count(*) > 1 ORDER BY 1"
    )
    how = ""
    if target.kind == "mysql":
        how = " (MySQL compares the beginning of long texts, and no blanks at their end)"
    try:
        rows = connection.execute(query).fetchall()
    except sqlite3.OperationalError:  # a table without row numbers
        return
    for first, last, count in rows:
        why = f"is in {count} rows, the last with rowid {last}; it has to be unique{how}"
        yield Finding(table, "+".join(columns), first, why)


def mend(file: str, findings: t.Sequence[Finding]) -> list[Finding]:
    """Mend what can be mended, in place; returns what could not be."""
    left = []
    with _opened(file) as connection:
        for finding in findings:
            if finding.mend is None or finding.row is None:
                left.append(finding)
                continue
            table, column = _quoted(finding.table), _quoted(finding.column)
            query = f"UPDATE {table} SET {column}=? WHERE rowid=?"  # noqa: S608
            try:
                connection.execute(query, (finding.value, finding.row))
            except sqlite3.IntegrityError as e:
                why = f"{finding.why}, and cannot be mended ({e})"
                left.append(finding._replace(why=why, mend=None))
        connection.commit()
    return left


def _order(finding: Finding) -> tuple[str, str, int]:
    return finding.table, finding.column, finding.row or 0


def refusal(findings: t.Sequence[Finding], target: Target, option: str) -> str:
    """Everything that the server does not take, in words, with the remedy."""
    findings = sorted(findings, key=_order)
    lines = [f"  {finding.words()}" for finding in findings[:SHOWN]]
    if len(findings) > SHOWN:
        lines.append(f"  and {len(findings) - SHOWN} more")
    mendable = sum(finding.mend is not None for finding in findings)
    remedies = []
    if mendable:
        some = "they" if mendable == len(findings) else f"{mendable} of them"
        remedies.append(f"with {option} {some} are mended on the way, without a guess")
    if mendable < len(findings):
        some = "the others " if mendable else "they "
        remedies.append(f"{some}have to be corrected in SQLite, and backed up once more")
    return (
        f"its database cannot be moved from SQLite, because {target.server} does not take what is "
        f"in it ({len(findings)} found):\n" + "\n".join(lines) + f"\nNothing was changed; "
        f"{'; '.join(remedies)}."
    )


def mended_words(findings: t.Iterable[Finding]) -> list[str]:
    """What was mended, by column, in words."""
    rows: dict[tuple[str, str, str], list[int]] = {}
    for each in sorted(findings, key=_order):
        if each.mend is not None and each.row is not None:
            rows.setdefault((each.table, each.column, each.mend), []).append(each.row)
    words = []
    for (table, column, how), numbers in rows.items():
        shown = ", ".join(map(str, numbers[:_EXAMPLES]))
        if len(numbers) > _EXAMPLES:
            shown += f" and {len(numbers) - _EXAMPLES} more"
        words.append(f"mend {table}.{column}: {how} (rowid {shown})")
    return words
