# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a database on a server holds: tables, whose rows are counted, and what else has a name.

Views are no tables: they have no rows of their own, and somebody else may have made them.
"""

from __future__ import annotations

import re
import typing as t

# Of tables that are being loaded, and of those that they have replaced, see _copies.mysql_load.
BESIDE = "_trac_restore_"
SHOWN = 20


class Object(t.NamedTuple):
    """A view, a trigger, a routine or an event of MySQL."""

    kind: str
    name: str
    definer: str | None  # whoever made it; None: not known
    statement: str | None  # that makes it, without its definer; None: the login may not read it
    sql_mode: str | None = None

    @property
    def title(self) -> str:
        """What it is called in messages."""
        return f"the {self.kind.lower()} {self.name}"


def tables(connection: t.Any) -> list[str]:
    """The names of all tables whose rows the login may read, and that are no extension's."""
    kind = _kind(connection)
    if kind == "postgres":
        return [
            name for name, _owner, readable in _postgres_tables(connection, "r", "p") if readable
        ]
    if kind == "mysql":
        return _mysql_tables(connection)
    return t.cast("list[str]", connection.get_table_names())


def everything(connection: t.Any) -> list[str]:
    """The names of all tables and views, but for those that a killed restoration has left."""
    return [name for name in connection.get_table_names() if not name.startswith(BESIDE)]


def left_out(connection: t.Any) -> list[str]:
    """What no backup can hold, because the login may not read it."""
    kind = _kind(connection)
    if kind == "postgres":
        return [
            f"the {what} {name} of {owner}, which the database's login may not read"
            for what, kinds in (("table", "rp"), ("sequence", "S"))
            for name, owner, readable in _postgres_tables(connection, *kinds)
            if not readable
        ]
    if kind == "mysql":
        hidden = [
            f"{each.title} of {each.definer or 'somebody else'}, "
            "which the database's login may not read"
            for each in mysql_objects(connection)
            if each.statement is None
        ]
        query = """
            SELECT table_name FROM information_schema.tables
            WHERE table_schema = %s AND table_type = 'SEQUENCE' ORDER BY table_name"""
        sequences = rows_of(connection, query, (connection.schema,))
        hidden += [f"the sequence {name}, which is no part of a backup" for (name,) in sequences]
        return hidden + _unseen(connection)
    return []


def shown(texts: t.Sequence[str]) -> list[str]:
    """Not more of them than somebody reads."""
    if len(texts) <= SHOWN:
        return list(texts)
    return [*texts[:SHOWN], f"and {len(texts) - SHOWN} more"]


def _kind(connection: t.Any) -> str:
    return {"MySQLConnection": "mysql", "PostgreSQLConnection": "postgres"}.get(
        type(connection).__name__, "sqlite"
    )


def rows_of(connection: t.Any, query: str, arguments: t.Sequence[t.Any] = ()) -> list[t.Any]:
    """The answer to a query."""
    cursor = connection.cursor()
    cursor.execute(query, tuple(arguments)) if arguments else cursor.execute(query)
    return list(cursor.fetchall())


# PostgreSQL


def postgres_unreadable(connection: t.Any) -> list[str]:
    """The names of tables and sequences that a dump must leave out to be made at all."""
    found = _postgres_tables(connection, "r", "p", "S")
    return [name for name, _owner, readable in found if not readable]


def _postgres_tables(connection: t.Any, *kinds: str) -> list[tuple[str, str, bool]]:
    """Tables (r and p) or sequences (S): name, owner, and whether the login may read them."""
    query = """
        SELECT c.relname, pg_get_userbyid(c.relowner), CASE WHEN c.relkind = 'S'
               THEN has_sequence_privilege(c.oid, 'SELECT')
               ELSE has_table_privilege(c.oid, 'SELECT') END
        FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE n.nspname = %s AND c.relkind::text = ANY (%s) AND NOT EXISTS
              (SELECT 1 FROM pg_depend d WHERE d.classid = 'pg_class'::regclass
               AND d.objid = c.oid AND d.deptype = 'e')
        ORDER BY c.relname"""
    return rows_of(connection, query, (connection.schema, list(kinds)))


def postgres_kept(connection: t.Any) -> dict[str, str]:
    """The tables that the login cannot remove, and whose they are."""
    query = """
        SELECT c.relname, pg_get_userbyid(c.relowner)
        FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE n.nspname = %s AND c.relkind IN ('r', 'p')
        AND NOT pg_has_role(n.nspowner, 'USAGE') AND NOT pg_has_role(c.relowner, 'USAGE')"""
    return dict(rows_of(connection, query, (connection.schema,)))


def postgres_removal(connection: t.Any) -> list[str]:
    """Statements that make room: for all in the schema that the login may remove.

    What belongs to an extension stays, and what is somebody else's in somebody else's schema.
    """
    query = """
        SELECT i.type, i.identity FROM pg_namespace n
        JOIN pg_depend d ON d.refclassid = 'pg_namespace'::regclass AND d.refobjid = n.oid
             AND d.deptype = 'n' AND d.objsubid = 0
        LEFT JOIN pg_class c ON d.classid = 'pg_class'::regclass AND c.oid = d.objid
        LEFT JOIN pg_proc p ON d.classid = 'pg_proc'::regclass AND p.oid = d.objid
        LEFT JOIN pg_type t ON d.classid = 'pg_type'::regclass AND t.oid = d.objid,
        LATERAL pg_identify_object(d.classid, d.objid, 0) i
        WHERE n.nspname = %s AND i.type NOT IN ('extension', 'default acl')
        AND (pg_has_role(n.nspowner, 'USAGE')
             OR pg_has_role(coalesce(c.relowner, p.proowner, t.typowner), 'USAGE'))
        AND NOT EXISTS (SELECT 1 FROM pg_depend e WHERE e.classid = d.classid
                        AND e.objid = d.objid AND e.deptype = 'e')
        ORDER BY i.type, i.identity"""
    return [
        f"DROP {_DROPPED.get(kind, kind.upper())} IF EXISTS {identity} CASCADE"
        for kind, identity in rows_of(connection, query, (connection.schema,))
    ]


_DROPPED = {"composite type": "TYPE", "statistics object": "STATISTICS"}


# MySQL


def _mysql_tables(connection: t.Any) -> list[str]:
    query = """
        SELECT table_name FROM information_schema.tables WHERE table_schema = %s
        AND table_type IN ('BASE TABLE', 'SYSTEM VERSIONED') ORDER BY table_name"""
    names = [row[0] for row in rows_of(connection, query, (connection.schema,))]
    return [name for name in names if not name.startswith(BESIDE)]


def mysql_views(connection: t.Any) -> list[str]:
    """The names of all views."""
    query = """
        SELECT table_name FROM information_schema.tables
        WHERE table_schema = %s AND table_type = 'VIEW' ORDER BY table_name"""
    return [row[0] for row in rows_of(connection, query, (connection.schema,))]


# What makes an object visible, and what it is; any of the privileges will do.
_SEEN_WITH = (
    ({"TRIGGER"}, "triggers"),
    ({"EVENT"}, "events"),
    ({"EXECUTE", "CREATE ROUTINE", "ALTER ROUTINE"}, "functions and procedures"),
)
_GRANT = re.compile(r"GRANT (?P<privileges>.+?) ON (?P<database>\*|`(?:[^`]|``)+`)\.\* TO ")


def _unseen(connection: t.Any) -> list[str]:
    """What the login would not even be told of."""
    may: set[str] = set()
    for (grant,) in rows_of(connection, "SHOW GRANTS"):
        match = _GRANT.match(grant)
        if match and _is_of(match["database"], connection.schema):
            may.update(each.strip() for each in match["privileges"].split(","))
    if may & {"ALL PRIVILEGES", "ALL"}:
        return []
    return [
        f"{what}, if there are any: the database's login sees none without the privilege "
        f"{' or '.join(sorted(privileges))}"
        for privileges, what in _SEEN_WITH
        if not may & privileges
    ]


def _is_of(granted: str, database: str) -> bool:
    """Whether a grant is for a database; its name is a pattern as of LIKE."""
    if granted == "*":
        return True
    name = granted[1:-1].replace("``", "`")
    pattern = "".join(
        re.escape(part[1:])
        if part[0] == "\\" and len(part) > 1
        else _WILD.get(part, re.escape(part))
        for part in re.findall(r"\\.|.", name, re.DOTALL)
    )
    return re.fullmatch(pattern, database, re.DOTALL) is not None


_WILD = {"%": ".*", "_": "."}
_DEFINER = re.compile(
    r"(?P<head>CREATE\s+(?:OR REPLACE\s+)?(?:ALGORITHM\s*=\s*\w+\s+)?)"
    r"DEFINER\s*=\s*(?P<definer>(?:`(?:[^`]|``)*`|[^\s`@]+)(?:@(?:`(?:[^`]|``)*`|[^\s`]+))?)\s+",
    re.IGNORECASE,
)


def without_definer(statement: str) -> tuple[str, str | None]:
    """A statement that leaves it to whoever runs it, and whose object it was."""
    match = _DEFINER.match(statement)
    if match is None:
        return statement, None
    return match["head"] + statement[match.end() :], match["definer"].replace("`", "")


def quoted(name: str) -> str:
    """A name as MySQL wants it."""
    return "`{}`".format(name.replace("`", "``"))


def mysql_removal(connection: t.Any) -> list[str]:
    """Statements that remove all tables and views; triggers go with their tables."""
    views = set(mysql_views(connection))
    others = [name for name in connection.get_table_names() if name not in views]
    return [
        "SET FOREIGN_KEY_CHECKS = 0",
        *(f"DROP VIEW IF EXISTS {quoted(name)}" for name in sorted(views)),
        *(f"DROP TABLE IF EXISTS {quoted(name)}" for name in others),
        "SET FOREIGN_KEY_CHECKS = 1",
    ]


def removal(connection: t.Any) -> list[str]:
    """Statements that empty a database on a server, or the schema of PostgreSQL."""
    if _kind(connection) == "postgres":
        return postgres_removal(connection)
    return mysql_removal(connection)


def mysql_objects(connection: t.Any) -> list[Object]:
    """All that the login sees beside tables, in the order in which it can be made."""
    return [
        *_routines(connection),
        *_views(connection),
        *_triggers(connection),
        *_events(connection),
    ]


def _created(connection: t.Any, kind: str, name: str) -> dict[str, t.Any]:
    """What SHOW CREATE says; nothing if the login may not ask."""
    cursor = connection.cursor()
    try:
        cursor.execute(f"SHOW CREATE {kind} {quoted(name)}")
        row = cursor.fetchone()
    except connection.cnx.Error:
        return {}
    return dict(zip((column[0] for column in cursor.description), row))


def _object(connection: t.Any, kind: str, name: str, definer: str, key: str) -> Object:
    said = _created(connection, kind, name)
    statement = said.get(key) or None
    if statement is not None:
        statement = without_definer(statement)[0]
    return Object(kind, name, definer, statement, said.get("sql_mode"))


def _routines(connection: t.Any) -> list[Object]:
    query = """
        SELECT routine_type, routine_name, definer FROM information_schema.routines
        WHERE routine_schema = %s AND routine_type IN ('FUNCTION', 'PROCEDURE')
        ORDER BY routine_type, routine_name"""
    return [
        _object(connection, kind, name, definer, f"Create {kind.capitalize()}")
        for kind, name, definer in rows_of(connection, query, (connection.schema,))
    ]


def _views(connection: t.Any) -> list[Object]:
    query = """
        SELECT table_name, definer FROM information_schema.views
        WHERE table_schema = %s ORDER BY table_name"""
    return [
        _object(connection, "VIEW", name, definer, "Create View")
        for name, definer in rows_of(connection, query, (connection.schema,))
    ]


def _events(connection: t.Any) -> list[Object]:
    query = """
        SELECT event_name, definer FROM information_schema.events
        WHERE event_schema = %s ORDER BY event_name"""
    return [
        _object(connection, "EVENT", name, definer, "Create Event")
        for name, definer in rows_of(connection, query, (connection.schema,))
    ]


def _triggers(connection: t.Any) -> list[Object]:
    """Put together, because SHOW CREATE TRIGGER may say which database it is in."""
    query = """
        SELECT trigger_name, definer, action_timing, event_manipulation, event_object_table,
               action_statement, sql_mode FROM information_schema.triggers
        WHERE trigger_schema = %s
        ORDER BY event_object_table, event_manipulation, action_timing, action_order"""
    return [
        Object(
            "TRIGGER",
            name,
            definer,
            f"CREATE TRIGGER {quoted(name)} {timing} {event} ON {quoted(table)} FOR EACH ROW {body}"
            if body
            else None,
            mode,
        )
        for name, definer, timing, event, table, body, mode in rows_of(
            connection, query, (connection.schema,)
        )
        if not table.startswith(BESIDE)
    ]
