# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What fifteen years of work leave in an environment, as rows and attached files of each release.

Times are seconds in Trac 0.11 and microseconds since 0.12; the cache of Subversion's revisions is
padded since 0.12 (trac/upgrades/db25.py and db26.py).
"""

from __future__ import annotations

import typing as t

from ansible_collections.trac.mod_wsgi.tests.unit.plugins.ages import schema

Row = t.Dict[str, t.Any]

ODD = "Größe \"zwei\" 'drei' 100% %s %(x)d \\ \\n \\. \\N $1 {0} `x` ; -- /* */ <b>&amp;"
WIDE = " 😀𝔘𠜎 "  # four bytes each in UTF-8
SQL = (
    "'); DROP TABLE ticket; --\r\n\\.\r\nCOPY ticket FROM stdin;\r\n"
    "\tINSERT INTO ticket VALUES (1);\r\n"
)
START = 1_262_347_445  # 2010-01-01
# A page is longer than what the text of MySQL takes, where it is mediumtext (see schema.py).
LONG, LONGEST = 20_000, 300_000

REPORTS = {
    "sqlite": "SELECT id AS ticket, strftime('%Y', time, 'unixepoch') AS year, \"text\" AS t"
    " FROM ticket WHERE summary LIKE '%ö%' OR owner = $USER",
    "postgres": "SELECT id AS ticket, to_char(now(), 'YYYY') AS year"
    " FROM ticket WHERE summary ILIKE '%ö%' OR owner = $USER",
    "mysql": "SELECT id AS ticket, DATE_FORMAT(now(), '%Y') AS year, `summary`"
    " FROM ticket WHERE summary LIKE '%ö%' OR owner = $USER",
}

# Of what they are, their name, and what is in them.
ATTACHMENTS: tuple[tuple[str, str, str, bytes], ...] = (
    ("ticket", "1", "Ölstand 100% & \"x\" 'y'.TXT", "Grüße\r\n".encode() * 100),
    ("ticket", "1", "a b+c#d?e.tar.gz", bytes(range(256)) * 40),
    ("ticket", "1", "no ending", b""),
    ("ticket", "7", ".hidden", b"\x00\xff"),
    ("ticket", "7", "back\\slash;semi,colon.bin", b"\\" * 999),
    ("ticket", "7", "x" * 120 + ".é", b"an ending that is not ASCII"),
    ("ticket", "7", "LANGER~1.DOC", b"as Windows names it"),
    ("wiki", "WikiStart", "logo.png", b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 400),
    ("wiki", "Größe/Unter Seite", "Skizze.svg", b"<svg/>"),
    ("milestone", "Übergabe 2.0", "%41.txt", b"a name that looks quoted"),
)
WIDE_ATTACHMENT = ("wiki", "Größe/Unter Seite", "😀.png", b"four bytes each")


def attachments(wide: bool) -> list[tuple[str, str, str, bytes]]:
    """The attached files; `wide` where the database takes characters of four bytes."""
    return [*ATTACHMENTS, WIDE_ATTACHMENT] if wide else list(ATTACHMENTS)


def rows(series: str, kind: str, wide: bool) -> dict[str, list[Row]]:
    """The rows of all tables, the columns of that release only."""
    filled = _Contents(series, kind, wide).rows()
    known = schema.tables(series)
    plugin = schema.Table.of(schema.PLUGIN)
    found = {}
    for table in [*known.values(), plugin]:
        found[table.name] = [
            {name: value for name, value in row.items() if name in table.names}
            for row in filled.get(table.name, [])
        ]
    return found


class _Contents:
    def __init__(self, series: str, kind: str, wide: bool) -> None:
        self.series = series
        self.version = schema.VERSIONS[series]
        self.kind = kind
        self.odd = ODD + (WIDE if wide else "")
        # Enums have a description since database version 44, which renames that of tickets.
        self._alias = "t." if self.version >= schema.VERSIONS["1.4"] else ""
        self.long = LONGEST if kind != "mysql" or self.version >= 37 else LONG

    def time(self, days: int) -> int:
        seconds = START + days * 86_400
        return seconds if self.version < schema.VERSIONS["0.12"] else seconds * 1_000_000 + 123_456

    def rows(self) -> dict[str, list[Row]]:
        return {
            **self._system(),
            **self._people(),
            **self._wiki(),
            **self._tickets(),
            **self._revisions(),
            "stars": [
                {"id": 3, "page": "Größe/Unter Seite", "voter": self.odd, "weight": 99_999_999_999},
                {"id": 9, "page": "", "voter": None, "weight": -1},
            ],
        }

    def _system(self) -> dict[str, list[Row]]:
        pairs = {
            "database_version": str(self.version),
            "initial_database_version": "16",
            "stars_version": "1",
            "odd": self.odd,
        }
        if self.version < schema.VERSIONS["0.12"]:
            pairs.update(repository_dir="svn:0815:/srv/svn/alt", youngest_rev="12")
        found: dict[str, list[dict[str, t.Any]]]
        found = {"system": [{"name": name, "value": value} for name, value in pairs.items()]}
        if self.version >= schema.VERSIONS["1.0"]:
            found["cache"] = [{"id": 1_234_567, "generation": 8, "key": "trac.x"}]
        elif self.version >= schema.VERSIONS["0.12"]:
            found["cache"] = [{"id": "trac.x", "generation": 8}]
        return found

    def _people(self) -> dict[str, list[Row]]:
        granted = (
            ("anonymous", "WIKI_VIEW"),
            ("anonymous", "TICKET_VIEW"),
            ("anonymous", "REPORT_VIEW"),
            ("authenticated", "TICKET_CREATE"),
            ("jörg o'neil", "Entwickler"),
            ("Entwickler", "TICKET_ADMIN"),
            ("admin", "TRAC_ADMIN"),
        )
        return {
            "permission": [{"username": user, "action": action} for user, action in granted],
            "auth_cookie": [
                {"cookie": "0123456789abcdef", "name": "jörg o'neil", "ipnr": "::1", "time": START}
            ],
            "session": [
                {"sid": "jörg o'neil", "authenticated": 1, "last_visit": START},
                {"sid": "2f0c", "authenticated": 0, "last_visit": 0},
                # Somebody's name may be a visitor's number as well.
                {"sid": "jörg o'neil", "authenticated": 0, "last_visit": START + 1},
            ],
            "session_attribute": [
                {"sid": sid, "authenticated": known, "name": name, "value": value}
                for sid, known, name, value in (
                    ("jörg o'neil", 1, "name", self.odd),
                    ("jörg o'neil", 1, "email", "joerg@example.net"),
                    ("2f0c", 0, "query_href", "/query?status=!closed&keywords=~%C3%B6"),
                    ("2f0c", 0, "empty", ""),
                )
            ],
            "notify_subscription": [
                {
                    "id": 4,
                    "time": self.time(9),
                    "changetime": self.time(9),
                    "class": "CarbonCopySubscriber",
                    "sid": "jörg o'neil",
                    "authenticated": 1,
                    "distributor": "email",
                    "format": "text/plain",
                    "priority": 1,
                    "adverb": "always",
                }
            ],
        }

    def _wiki(self) -> dict[str, list[Row]]:
        pages: list[tuple[str, int, str | None, str | None, str | None, int | None]] = [
            ("WikiStart", 1, "trac", "= Welcome to Trac", None, None),
            ("WikiStart", 2, "jörg o'neil", "= Hallo =\r\n" + self.odd, "", 0),
            ("TracGuide", 1, "trac", "of an old Trac", None, 0),
            ("TracGuide", 2, "admin", "Unser eigener Leitfaden", "ours", 1),
            ("Größe/Unter Seite", 1, "jörg o'neil", SQL + self.odd, self.odd, 0),
            ("Größe/Unter Seite", 2, "", "", "emptied", 0),
            ("100% 'Sicher'", 1, None, None, None, None),
            ("Riesig", 1, "admin", "Zeile mit ä und 'Quote'\n" * (self.long // 24), None, 0),
        ]
        found: list[Row] = [
            {
                "name": name,
                "version": version,
                "time": self.time(10 + number),
                "author": author,
                "ipnr": "::1" if number % 2 else None,
                "text": text,
                "comment": comment,
                "readonly": readonly,
            }
            for number, (name, version, author, text, comment, readonly) in enumerate(pages)
        ]
        return {"wiki": found}

    def _tickets(self) -> dict[str, list[Row]]:
        ticket = {
            "type": "Störung",
            "component": "Maß & Gewicht",
            "severity": None,
            "priority": "hoch",
            "cc": "",
            "version": "1.0 ü",
            "milestone": "Übergabe 2.0",
            "resolution": None,
            "keywords": "ä, ö 50%",
        }
        numbers: list[tuple[int, str, str | None, str | None, str | None]] = [
            (1, "closed", "jörg o'neil", self.odd, "\r\n".join([SQL, self.odd] * 3)),
            (2, "new", "", "Ohne Besitzer", ""),
            (7, "accepted", None, None, None),  # those between were deleted
            (1000, "reopened", "admin", "Letztes", "{{{\n#!html\n<b>x</b>\n}}}"),
        ]
        tickets: list[Row] = [
            {
                **ticket,
                "id": number,
                "time": self.time(number % 100),
                "changetime": self.time(number % 100 + 5),
                "status": status,
                "owner": owner,
                "reporter": "jörg o'neil" if owner else "gast@example.net",
                "summary": summary,
                "description": description,
            }
            for number, status, owner, summary, description in numbers
        ]
        changes: list[tuple[int, int, str | None, str, str | None, str | None]] = [
            (1, 2, "admin", "status", "new", "closed"),
            (1, 2, "admin", "resolution", "", "fixed"),
            (1, 2, "admin", "comment", "1", self.odd),
            (1, 3, None, "comment", "2.1", ""),
            (7, 8, "jörg o'neil", "Kunde", None, "Müller \\ Söhne"),
            (1000, 2, "", "keywords", "ä", "ä, ö 50%"),
        ]
        # Edited comments came with 0.12, and hold their time as text.
        if self.version >= schema.VERSIONS["0.12"]:
            changes.append((1, 2, "admin", "_comment0", "Vertippt", str(self.time(3))))
        return {
            "ticket": tickets,
            "ticket_change": [
                {
                    "ticket": number,
                    "time": self.time(days),
                    "author": author,
                    "field": field,
                    "oldvalue": old,
                    "newvalue": new,
                }
                for number, days, author, field, old, new in changes
            ],
            "ticket_custom": [
                {"ticket": 1, "name": "kunde", "value": self.odd},
                {"ticket": 1, "name": "aufwand", "value": ""},
                {"ticket": 7, "name": "kunde", "value": None},
                {"ticket": 7, "name": "of_a_field_that_is_gone", "value": "0"},
            ],
            "enum": [
                {"type": kind, "name": name, "value": value}
                for kind, name, value in (
                    ("ticket_type", "Störung", "1"),
                    ("ticket_type", "Wunsch", "2"),
                    ("priority", "hoch", "1"),
                    ("priority", "50% egal", "2"),
                    ("resolution", "fixed", "1"),
                    ("severity", "it's bad", "x"),
                )
            ],
            "component": [
                {"name": "Maß & Gewicht", "owner": "jörg o'neil", "description": self.odd},
                {"name": "Leer", "owner": "", "description": None},
            ],
            "milestone": [
                {
                    "name": "Übergabe 2.0",
                    "due": self.time(400),
                    "completed": 0,
                    "description": SQL,
                },
                {"name": "irgendwann", "due": 0, "completed": None, "description": ""},
                {"name": "fertig", "due": None, "completed": self.time(30), "description": None},
            ],
            "version": [
                {"name": "1.0 ü", "time": self.time(1), "description": self.odd},
                {"name": "künftig", "time": None, "description": ""},
            ],
            "report": [
                {
                    "id": 1,
                    "author": None,
                    "title": "Active Tickets",
                    "query": "SELECT p.value AS __color__, id AS ticket, summary,"
                    f" {self._alias}description AS _description_ FROM ticket t"
                    " LEFT JOIN enum p ON p.name = t.priority AND p.type = 'priority'",
                    "description": "of Trac's own",
                },
                {
                    "id": 12,
                    "author": "admin",
                    "title": self.odd,
                    "query": REPORTS[self.kind],
                    "description": self.odd,
                },
            ],
            "attachment": [
                {
                    "type": realm,
                    "id": parent,
                    "filename": name,
                    "size": len(content),
                    "time": self.time(50 + number),
                    "description": self.odd if number % 2 else "",
                    "author": "jörg o'neil",
                    "ipnr": "127.0.0.1",
                }
                for number, (realm, parent, name, content) in enumerate(
                    attachments(WIDE in self.odd)
                )
            ],
        }

    def _revisions(self) -> dict[str, list[Row]]:
        is_old = self.version < schema.VERSIONS["0.12"]

        def revision(number: int) -> str:
            return str(number) if is_old else f"{number:010d}"

        found: dict[str, list[Row]] = {
            "revision": [
                {
                    "repos": 1,
                    "rev": revision(number),
                    "time": self.time(number),
                    "author": "jörg",
                    "message": self.odd,
                }
                for number in (1, 2, 12)
            ],
            "node_change": [
                {
                    "id": 5 + number,
                    "repos": 1,
                    "rev": revision(number),
                    "path": path,
                    "node_type": "F",
                    "change_type": "A",
                    "base_path": None,
                    "base_rev": "-1",
                }
                for number, path in ((1, "trunk/Größe 1%.c"), (2, "trunk/it's"), (12, ""))
            ],
        }
        if not is_old:
            found["repository"] = [
                {"id": number, "name": name, "value": value}
                for number, name, value in (
                    (1, "name", ""),
                    (1, "repository_dir", "svn:0815:/srv/svn/alt"),
                    (1, "youngest_rev", revision(12)),
                    (2, "name", "zweites"),
                    (2, "dir", "/srv/svn/zweites ü"),
                    (2, "type", "svn"),
                )
            ]
        return found
