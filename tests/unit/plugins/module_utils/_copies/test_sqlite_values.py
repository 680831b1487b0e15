# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which values of an SQLite database a server does not take."""

from __future__ import annotations

import contextlib
import pathlib
import sqlite3
import typing as t

import pytest

from ansible_collections.trac.mod_wsgi.plugins.module_utils._copies import (
    sqlite_objects,
    sqlite_values,
)
from ansible_collections.trac.mod_wsgi.plugins.module_utils._copies.sqlite_values import (
    Shape,
    Target,
)

POSTGRES = Target("postgres")
MYSQL = Target("mysql")
MYSQL_UTF8 = Target("mysql", 3)
BOTH = (POSTGRES, MYSQL)
LONG = "x" * (1 << 24)


@pytest.fixture
def file(tmp_path: pathlib.Path) -> str:
    path = str(tmp_path / "a.db")
    run(path, "CREATE TABLE a (id integer PRIMARY KEY, key text, whole integer, real real, any)")
    return path


def run(file: str, statement: str, *values: object) -> list[t.Any]:
    with contextlib.closing(sqlite3.connect(file)) as db:
        rows = db.execute(statement, values).fetchall()
        db.commit()
    return rows


def shape(**types: str) -> dict[str, Shape]:
    types = {"id": "int", "key": "text", "whole": "int", "real": "real", "any": "text", **types}
    return {"a": Shape(types, "id", ("key",), (("key",),), is_tracs=True)}


NOT_TAKEN = [
    ("whole", "''", BOTH, "is '', in a column of numbers", "int"),
    ("whole", "'2010-01-01'", BOTH, "is '2010-01-01', in a column of whole numbers", "int"),
    ("whole", "1.5", BOTH, "is 1.5, in a column of whole numbers", "int"),
    ("whole", "x'31'", BOTH, "is b'1', in a column of whole numbers", "int"),
    ("whole", "2147483648", BOTH, "the column takes -2147483648 to 2147483647", "int"),
    ("whole", "9223372036854775808", BOTH, "the column takes", "int64"),
    ("real", "''", BOTH, "is '', in a column of numbers", "int"),
    ("real", "'much'", BOTH, "is 'much', in a column of numbers", "int"),
    ("any", "CAST(x'e4' AS TEXT)", BOTH, "text that is not UTF-8", "text"),
    ("any", "x'e4'", BOTH, "bytes that are no text in UTF-8", "text"),
    ("any", "x'c3a4'", (POSTGRES,), "bytes (BLOB) instead of text", "text"),
    ("any", "'a' || char(0)", (POSTGRES,), "a NUL character", "text"),
    ("any", "char(128512)", (MYSQL_UTF8,), "only a database of utf8mb4", "text"),
    ("any", "'abcd'", BOTH, "has 4 characters; the column takes 3", "varchar(3)"),
    ("any", "?", (MYSQL,), "MySQL takes 16777215", "text"),
    ("key", "NULL", BOTH, "is NULL, in a column of the table's key", "text"),
]


@pytest.mark.parametrize(("column", "value", "targets", "words", "kind"), NOT_TAKEN)
def test_what_is_not_taken(
    column: str, value: str, targets: t.Sequence[Target], words: str, kind: str, file: str
) -> None:
    shapes = shape(**{column: kind} if column in ("whole", "any") else {})
    run(file, "INSERT INTO a (id, key) VALUES (6, 'good')")
    values = [LONG] if value == "?" else []
    with_key = "id, key, " if column != "key" else "id, "
    ours = "7, 'k', " if column != "key" else "7, "
    run(file, f"INSERT INTO a ({with_key}{column}) VALUES ({ours}{value})", *values)
    for target in (POSTGRES, MYSQL, MYSQL_UTF8):
        found = sqlite_values.look(file, shapes, target)
        if target in targets:
            (finding,) = found
            assert (finding.table, finding.column, finding.row) == ("a", column, 7)
            assert words in finding.words()
        elif target.kind not in [each.kind for each in targets]:
            assert found == []


TAKEN = [
    ("whole", "12", "int"),
    ("whole", "NULL", "int"),
    ("whole", "-2147483648", "int"),
    ("whole", "9223372036854775807", "int64"),
    ("real", "1", "real"),
    ("any", "'12'", "int"),
    ("any", "2.0", "int64"),
    ("any", "char(128512)", "text"),
    ("any", "x'00ff'", "bytea"),
    ("any", "'abc'", "varchar(3)"),
    ("any", "NULL", "text"),
]


@pytest.mark.parametrize(("column", "value", "kind"), TAKEN)
def test_what_is_taken(column: str, value: str, kind: str, file: str) -> None:
    run(file, f"INSERT INTO a (key, {column}) VALUES ('k', {value})")
    for target in BOTH:
        assert sqlite_values.look(file, shape(**{column: kind}), target) == []


def test_a_table_that_nobody_describes_is_known_as_far_as_sqlite_knows_it(file: str) -> None:
    run(file, "INSERT INTO a (whole, any) VALUES (3000000000, 'x'), ('', 'y')")
    (finding,) = sqlite_values.look(file, {}, POSTGRES)
    assert (finding.column, finding.row, finding.value) == ("whole", 2, None)


def test_a_counted_number_of_0_would_become_another_one_on_mysql(file: str) -> None:
    run(file, "INSERT INTO a (id, key) VALUES (0, 'k')")
    assert sqlite_values.look(file, shape(), POSTGRES) == []
    (finding,) = sqlite_values.look(file, shape(), MYSQL)
    assert "is 0; the column takes 1 to 4294967295" in finding.words()


def test_a_table_without_row_numbers_is_named_and_not_mended(file: str) -> None:
    run(file, "CREATE TABLE b (k text PRIMARY KEY, n integer) WITHOUT ROWID")
    run(file, "INSERT INTO b VALUES ('x', '')")
    (finding,) = sqlite_values.look(file, {}, MYSQL)
    assert finding.words().startswith("b.n is ''")
    assert sqlite_values.mend(file, [finding]) == [finding]
    assert finding.mend is None


def test_mending(file: str) -> None:
    run(file, "INSERT INTO a VALUES (1, 'b' || char(0), '', '', CAST('ü' || char(0) AS BLOB))")
    run(file, "INSERT INTO a (id, key, whole) VALUES (2, 'c', 'never')")
    found = sqlite_values.look(file, shape(), POSTGRES)
    left = sqlite_values.mend(file, found)
    assert [finding.row for finding in left] == [2]
    assert run(file, "SELECT * FROM a WHERE id=1") == [(1, "b", 0, 0.0, "ü")]
    assert sqlite_values.look(file, shape(), POSTGRES) == left
    assert sqlite_values.mended_words(found) == [
        "mend a.any: bytes in UTF-8 become text (rowid 1)",
        "mend a.key: NUL characters go (rowid 1)",
        "mend a.real: '' becomes 0 (rowid 1)",
        "mend a.whole: '' becomes 0 (rowid 1)",
    ]


def test_what_would_break_a_key_is_not_mended(file: str) -> None:
    run(file, "CREATE UNIQUE INDEX one ON a (key)")
    run(file, "INSERT INTO a (id, key) VALUES (1, 'b'), (2, 'b' || char(0))")
    (left,) = sqlite_values.mend(file, sqlite_values.look(file, shape(), POSTGRES))
    assert left.row == 2
    assert "cannot be mended (UNIQUE constraint failed" in left.words()


@pytest.mark.parametrize(
    ("keys", "targets"),
    [
        (("a", "b", "A", "ä"), ()),
        (("a", "a"), BOTH),
        (("a", "a "), (MYSQL,)),
        (("x" * 191 + "1", "x" * 191 + "2"), (MYSQL,)),
        (("x" * 190 + "1", "x" * 190 + "2"), ()),
        ((None, None), ()),  # which is named anyway
    ],
)
def test_rows_that_are_the_same_for_the_server(
    keys: t.Sequence[str | None], targets: t.Sequence[Target], file: str
) -> None:
    for key in keys:
        run(file, "INSERT INTO a (key) VALUES (?)", key)
    for target in BOTH:
        found = sqlite_values.duplicates(file, shape(), target)
        assert [(each.column, each.row) for each in found] == [("key", 1)] * (target in targets)
        assert all("in 2 rows, the last with rowid 2" in each.why for each in found)


def test_the_refusal_names_20_and_says_how_many_more(file: str) -> None:
    for number in range(30):
        run(file, "INSERT INTO a (key, whole) VALUES (?, '')", str(number))
    found = sqlite_values.look(file, shape(), POSTGRES)
    text = sqlite_values.refusal(found, POSTGRES, "OPTION")
    assert text.count("a.whole of rowid") == 20
    assert "a.whole of rowid 20 is" in text
    assert "and 10 more" in text
    assert "PostgreSQL does not take" in text
    assert text.endswith("with OPTION they are mended on the way, without a guess.")


def test_what_is_made_by_hand(file: str, tmp_path: pathlib.Path) -> None:
    run(file, "CREATE INDEX theirs ON a (whole)")
    other = str(tmp_path / "other.db")
    with contextlib.closing(sqlite3.connect(file)) as one, contextlib.closing(
        sqlite3.connect(other)
    ) as two:
        one.backup(two)
    run(other, "DROP INDEX theirs")
    run(other, "CREATE INDEX named_otherwise ON a (whole)")
    assert sqlite_objects.not_in(file, other) == []
    run(file, "CREATE INDEX mine ON a (real, key)")
    run(file, "CREATE VIEW seen AS SELECT 1")
    run(file, "CREATE TRIGGER t AFTER UPDATE ON a BEGIN DELETE FROM a; END")
    things = sqlite_objects.without_triggers(file) + sqlite_objects.not_in(file, other)
    assert [tuple(thing) for thing in things] == [
        ("trigger", "t"),
        ("view", "seen"),
        ("index", "mine"),
    ]
    run(file, "INSERT INTO a (key) VALUES ('k')")
    run(file, "UPDATE a SET whole=1")
    assert run(file, "SELECT count(*) FROM a") == [(1,)]
