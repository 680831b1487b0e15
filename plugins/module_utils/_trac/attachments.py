# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Attachments: a row in the database, and a file in a place that follows from the row.

A row without a file is an attachment that was lost, by whoever moved or copied the environment. It
is named, and stops nothing: what is left is worth a backup all the more.
"""

from __future__ import annotations

import os
import typing as t

from ansible_collections.trac.mod_wsgi.plugins.module_utils._trac.environment_links import printable

# Of Trac 1.0 and later, and of older releases.
DIRECTORY = os.path.join("files", "attachments")
_OLD_DIRECTORY = "attachments"
# In the names of the older ones Python 2 quoted it, and Python 3 does not.
TILDE, TILDE_OF_PYTHON_2 = "~", "%7E"
SHOWN = 20


class Row(t.NamedTuple):
    """An attachment, as the database names it."""

    realm: str
    parent: str
    filename: str

    def words(self) -> str:
        """Return it as messages name it."""
        return printable(f"{self.realm} {self.parent}: {self.filename}")


def rows(cursor: t.Any) -> list[Row]:
    """All attachments of a database that has the table."""
    cursor.execute("SELECT type, id, filename FROM attachment ORDER BY type, id, filename")
    return [Row(*("" if each is None else str(each) for each in row)) for row in cursor.fetchall()]


def places(row: Row) -> list[str]:
    """Return the paths within the environment that its file may have."""
    from trac.attachment import Attachment
    from trac.util.text import unicode_quote

    try:
        old = os.path.join(*map(unicode_quote, row[1:]))
        return [
            Attachment._get_path(DIRECTORY, *row),
            os.path.join(_OLD_DIRECTORY, row.realm, old),
            os.path.join(_OLD_DIRECTORY, row.realm, old.replace(TILDE, TILDE_OF_PYTHON_2)),
        ]
    except UnicodeEncodeError:  # no text; Trac finds no file either
        return []


def without_file(found: t.Iterable[Row], is_file: t.Callable[[str], bool]) -> list[Row]:
    """The attachments for which there is no file; `is_file` is asked with paths within."""
    return [row for row in found if not any(map(is_file, places(row)))]


def in_directory(path: str) -> t.Callable[[str], bool]:
    """Whether there is a file within this directory."""
    return lambda inside: os.path.isfile(os.path.join(path, inside))


def shown(lost: t.Sequence[Row]) -> list[str]:
    """Return the names of the first few, for messages."""
    return [row.words() for row in lost[:SHOWN]]


def warning(number: int, names: t.Sequence[str]) -> str:
    """Return a message about attachments without a file."""
    more = f"; and {number - len(names)} more" if number > len(names) else ""
    what = "attachments have no file" if number != 1 else "attachment has no file"
    return (
        f"{number} {what}, only a row in the database (lost earlier, perhaps when the environment "
        f"was moved; look for {DIRECTORY} in an old copy): {'; '.join(names)}{more}"
    )
