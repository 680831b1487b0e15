# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What databases on servers hold beside tables, and loads that are killed.

They run as test_trac_backup_databases.py does. Where something belongs to somebody else,
TRAC_TEST_POSTGRES_ADMIN or TRAC_TEST_MYSQL_ADMIN has to be the connection string of an
administrator for the same database.
"""

from __future__ import annotations

import contextlib
import os
import pathlib
import time
import typing as t

import pytest

from ansible_collections.trac.mod_wsgi.plugins.module_utils._copies import (
    database_dump,
    mysql_load,
    postgres_dump,
)
from ansible_collections.trac.mod_wsgi.plugins.module_utils._trac import database as trac_database
from ansible_collections.trac.mod_wsgi.tests.unit.plugins.modules.backed_up import (
    BackupHost,
    restore_killed,
    station,
)
from ansible_collections.trac.mod_wsgi.tests.unit.plugins.modules.reconciled import (
    PROJECT,
    Document,
    title,
)
from ansible_collections.trac.mod_wsgi.tests.unit.plugins.modules.test_trac_backup_databases import (  # noqa: E501
    change,
    contents,
    served,
)
from ansible_collections.trac.mod_wsgi.tests.unit.plugins.modules.test_trac_environments_databases import (  # noqa: E501
    Database,
    database,
    work,
)

__all__ = ["database", "served", "station"]

TABLES = ("ticket", "wiki", "attachment", "enum", "system")
SUMMARY = "Irreplaceable – ü\n'x'"


def rows(database: Database) -> dict[str, list[t.Any]]:
    """What people have written, as the server's own tool would show it."""
    return {table: sorted(map(str, database.execute(f"SELECT * FROM {table}"))) for table in TABLES}


def is_mysql(database: Database) -> bool:
    return database.uri.startswith("mysql")


class Administrator:
    """Who may do anything to the database of the tests."""

    def __init__(self, database: Database) -> None:
        variable = f"TRAC_TEST_{'MYSQL' if is_mysql(database) else 'POSTGRES'}_ADMIN"
        if variable not in os.environ:
            pytest.skip(f"{variable} is not set")
        self.place = Database(os.environ[variable], database.place)
        self.schema = '"my project"' if "schema=" in database.uri else "public"

    def __call__(self, *statements: str) -> None:
        for statement in statements:
            self.place.execute(statement.replace("public.", f"{self.schema}."))


OF_POSTGRES = (
    """CREATE FUNCTION public.stamp() RETURNS trigger LANGUAGE plpgsql
       AS $$BEGIN NEW.keywords := 'stamped'; RETURN NEW; END$$""",
    "CREATE TRIGGER s BEFORE INSERT ON public.ticket FOR EACH ROW EXECUTE FUNCTION public.stamp()",
    "CREATE VIEW public.summaries AS SELECT id, summary FROM public.ticket",
    "CREATE VIEW public.short AS SELECT id FROM public.summaries",
    "GRANT SELECT ON public.summaries, public.short TO PUBLIC",
)
OF_MYSQL = (
    "CREATE TABLE vote (id int PRIMARY KEY, CONSTRAINT positive CHECK (id > 0))",
    "CREATE TABLE cast_by (vote int, CONSTRAINT fk_vote FOREIGN KEY (vote) REFERENCES vote (id))",
    "INSERT INTO vote VALUES (7)",
    "INSERT INTO cast_by VALUES (7)",
    "CREATE VIEW zz_summaries AS SELECT id, summary FROM ticket",
    "CREATE VIEW summaries AS SELECT id, summary FROM zz_summaries",
    "CREATE TRIGGER stamped BEFORE INSERT ON ticket FOR EACH ROW SET NEW.keywords = 'stamped'",
    "CREATE FUNCTION known() RETURNS int DETERMINISTIC BEGIN DECLARE a int; RETURN 7; END",
    "CREATE EVENT nightly ON SCHEDULE EVERY 1 DAY DO BEGIN DELETE FROM cache WHERE id = -1; END",
)
AWAY = (
    "DROP FUNCTION IF EXISTS known",
    "DROP EVENT IF EXISTS nightly",
    "DROP VIEW IF EXISTS summaries",
)


@pytest.fixture
def administrator(served: BackupHost, database: Database) -> t.Iterator[Administrator]:
    """Somebody who has made a trigger, views and more in the database of `served`."""
    assert served.directory.exists()
    administrator = Administrator(database)
    administrator(*(OF_MYSQL if is_mysql(database) else OF_POSTGRES))
    yield administrator
    if is_mysql(database):
        administrator(*AWAY)


def constraints(database: Database) -> list[t.Any]:
    if not is_mysql(database):
        return []
    return database.execute(
        "SELECT table_name, constraint_name, constraint_type FROM "
        "information_schema.table_constraints WHERE table_schema = DATABASE() "
        "AND constraint_type <> 'PRIMARY KEY' ORDER BY table_name"
    )


def assert_objects_work(database: Database, summary: str = SUMMARY) -> None:
    schema = '"my project".' if "schema=" in database.uri else ""
    assert database.execute(f"SELECT summary FROM {schema}summaries") == [(summary,)]
    database.execute("INSERT INTO ticket (summary) VALUES ('later')")
    found = database.execute("SELECT keywords FROM ticket WHERE summary = 'later'")
    assert found == [("stamped",)]
    database.execute("DELETE FROM ticket WHERE summary = 'later'")


def test_what_belongs_to_somebody_else_is_no_obstacle(
    served: BackupHost, database: Database, administrator: Administrator
) -> None:
    before, bound = rows(database), constraints(database)
    assert bool(bound) == is_mysql(database)
    result = served.back_up("server")
    assert "failed" not in result
    hidden = "the backup does not hold the function known of admin@"
    assert [text for text in result["warnings"] if hidden in text] == (
        result["warnings"] if is_mysql(database) else []
    )
    change(database)
    result = served.restore("server", overwrite=True)
    assert "failed" not in result
    assert rows(database) == before
    assert constraints(database) == bound
    assert_objects_work(database)
    assert title(served.host, "server") == "My Project"
    if is_mysql(database):
        assert any("the trigger stamped belonged to admin@" in w for w in result["warnings"])
        assert database.execute("SELECT known()") == [(7,)]
        administrator(*AWAY)
    # And where nothing is left.
    database.empty()
    result = served.restore("server", overwrite=True)
    assert "failed" not in result
    assert rows(database) == before
    assert_objects_work(database)
    assert served.host.one({**PROJECT, "name": "server"})["changes"] == []


def test_what_trac_itself_dumps_is_loaded(
    served: BackupHost,
    database: Database,
    administrator: Administrator,
    tmp_path: pathlib.Path,
) -> None:
    """As backups of former versions hold it, definers and counted views included."""
    if not is_mysql(database):
        pytest.skip("dumps of PostgreSQL are as they were")
    assert administrator
    assert served.directory.exists()
    before = rows(database)
    with database.environment() as environment:
        from trac.db.api import DatabaseManager

        path = str(tmp_path / "dump.sql")
        DatabaseManager(environment).get_connector()[0].backup(path)
        assert "DEFINER=`admin`" in pathlib.Path(path).read_text(encoding="utf-8")
        change(database)
        database.execute("DROP VIEW summaries")
        said = database_dump.load(environment, path, {"ticket": 1, "summaries": 1})
    assert any("the view summaries belonged to admin@" in text for text in said)
    assert rows(database) == before
    assert_objects_work(database)


def test_a_failed_upgrade_goes_back_with_what_belongs_to_somebody_else(
    served: BackupHost, database: Database, administrator: Administrator
) -> None:
    assert administrator
    before = rows(database)
    copied = work(served.host, "copy", {}, "server")
    assert copied["failure"] is None
    change(database)
    back = work(served.host, "restore", {"server": copied}, "server")
    assert back["failure"] is None
    assert rows(database) == before
    assert_objects_work(database)


def test_a_schema_of_somebody_else_is_no_obstacle(
    served: BackupHost, database: Database, administrator: Administrator
) -> None:
    """As `public` is before PostgreSQL 15: what others have in it cannot be removed."""
    if is_mysql(database):
        pytest.skip("MySQL has no schemas")
    login = database.uri.partition("//")[2].partition(":")[0]
    schema = administrator.schema
    (owner,) = database.execute(
        "SELECT nspowner::regrole::text FROM pg_namespace WHERE nspname = current_schema()"
    )
    administrator(
        f"ALTER SCHEMA {schema} OWNER TO CURRENT_USER",
        f"GRANT ALL ON SCHEMA {schema} TO {login}",
        "CREATE TABLE public.hidden (a integer)",
        "CREATE TABLE public.seen (a integer)",
        "GRANT SELECT ON public.seen TO PUBLIC",
    )
    try:
        before = rows(database)
        result = served.back_up("server")
        (warning,) = result["warnings"]
        assert "the backup does not hold the table hidden of admin, which the database's" in warning
        change(database)
        changed = rows(database)
        result = served.restore("server", overwrite=True)
        assert "the table seen belongs to admin" in result["msg"]
        assert rows(database) == changed
        administrator("DROP TABLE public.seen")
        result = served.restore("server", overwrite=True)
        assert "failed" not in result
        assert [w for w in result["warnings"] if "the function stamp() could not be made" in w]
        assert rows(database) == before
        assert_objects_work(database)
    finally:
        administrator(
            "DROP TABLE IF EXISTS public.hidden, public.seen",
            f"ALTER SCHEMA {schema} OWNER TO {owner[0]}",
        )


def test_views_are_no_tables(served: BackupHost, database: Database) -> None:
    """Nor are they an obstacle to an upgrade, or to the removal of an environment."""
    database.execute("CREATE VIEW mine AS SELECT id FROM ticket")
    copied = work(served.host, "copy", {}, "server")
    assert copied["failure"] is None
    assert "ticket" in copied["rows"]
    assert "mine" not in copied["rows"]
    assert served.host.one({"name": "server", "state": "absent"})["failure"] is None
    assert database.tables() == []


def _ended(database: Database) -> None:
    """Wait until nobody loads anything any more."""
    if is_mysql(database):
        return
    query = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'psql' "
    query += "AND datname = current_database()"
    end = time.monotonic() + 60
    while database.execute(query) != [(0,)]:
        assert time.monotonic() < end
        time.sleep(0.1)


def test_a_load_that_is_killed_leaves_the_database_as_it_was(
    served: BackupHost, database: Database
) -> None:
    path = served.directory / "server"
    file = served.back_up("server")["backups"][0]["file"]
    wanted = contents(path)
    change(database)
    before = contents(path)
    places: list[tuple[object, str]] = [(postgres_dump, "_check_of_rows")]
    if is_mysql(database):
        load = mysql_load._Load
        places = [(load, "_make"), (load, "_compare"), (load, "exchange"), (load, "complete")]
    for place in places:
        restore_killed(served, "server", file, place)
        _ended(database)
        done = place[1] == "complete"
        held = {k: v for k, v in contents(path).items() if not k.startswith("_trac_restore_")}
        assert held == (wanted if done else before)
    if is_mysql(database):
        assert any(name.startswith("_trac_restore_") for name in database.tables())
    with database.environment() as environment, trac_database.connected(
        environment
    ) as connection:  # backups do not count what is left
        assert set(trac_database.row_counts(connection)) == set(wanted)
    assert "failed" not in served.restore("server", overwrite=True)
    assert contents(path) == wanted  # and no other tables


@contextlib.contextmanager
def utf8(database: Database) -> t.Iterator[None]:
    """As databases were made for Trac 1.0 and 1.2."""
    if not is_mysql(database):
        pytest.skip("only MySQL has such character sets")
    database.execute(
        "CREATE TABLE of_plugin (a mediumtext, b mediumtext, c mediumtext, d mediumtext,"
        " e varchar(200), UNIQUE KEY one (a(255)), KEY text (e))"
    )
    name = database.uri.rpartition("/")[2]
    for table in database.tables():
        database.execute(f"ALTER TABLE `{table}` CONVERT TO CHARACTER SET utf8 COLLATE utf8_bin")
    database.execute("ALTER TABLE of_plugin ADD KEY four (a(255), b(255), c(255), d(250))")
    database.execute("INSERT INTO of_plugin VALUES ('ü', 'b', 'c', 'd', 'e')")
    database.execute(f"ALTER DATABASE {name} CHARACTER SET utf8 COLLATE utf8_bin")
    try:
        if collation(database) != "utf8mb3_bin":
            pytest.skip("Trac takes what this server calls utf8")
        yield
    finally:
        database.execute(f"ALTER DATABASE {name} CHARACTER SET utf8mb4 COLLATE utf8mb4_bin")


def collation(database: Database) -> str:
    return str(database.execute("SELECT @@collation_database")[0][0])


def collations(database: Database) -> set[str]:
    query = "SELECT DISTINCT table_collation FROM information_schema.tables "
    query += "WHERE table_schema = DATABASE()"
    return {row[0] for row in database.execute(query)}


def test_a_database_of_utf8_is_refused_before_a_copy_and_converted_by_a_restore(
    served: BackupHost, database: Database
) -> None:
    with utf8(database):
        document: Document = {**PROJECT, "name": "server"}
        database.execute("UPDATE system SET value='44' WHERE name='database_version'")
        before = rows(database)
        for check in (True, False):
            failure = served.host.one(document, check=check)["failure"]
            assert "has the collation utf8mb3_bin" in failure
            assert "trac_restore_overwrite" in failure
            assert "ALTER DATABASE" in failure
        assert list(served.archive.glob("*-before-*")) == []
        assert "utf8mb3_bin" in work(served.host, "copy", {}, "server")["failure"]
        assert list(served.archive.glob("*-before-*")) == []
        assert "failed" not in served.back_up("server")
        assert "failed" not in served.restore("server", overwrite=True)
        assert collation(database) == "utf8mb4_bin"
        assert collations(database) == {"utf8mb4_bin"}
        assert rows(database) == before
        assert database.execute("SELECT a, e FROM of_plugin") == [("ü", "e")]
        parts = database.execute(
            "SELECT sub_part FROM information_schema.statistics WHERE table_schema = DATABASE() "
            "AND table_name = 'of_plugin' ORDER BY index_name, seq_in_index"
        )
        assert parts == [(191,), (191,), (191,), (191,), (255,), (None,)]
        assert served.host.one(document)["failure"] is None
