# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Upgrade an environment: a verified copy first, then the database, then Trac's wiki pages."""

from __future__ import annotations

import contextlib
import functools
import io
import os
import re
import typing as t

from ansible_collections.trac.mod_wsgi.plugins.module_utils._copies import hot_copy, old_attachments
from ansible_collections.trac.mod_wsgi.plugins.module_utils._core.sync import sync_directory
from ansible_collections.trac.mod_wsgi.plugins.module_utils._trac import database as trac_database
from ansible_collections.trac.mod_wsgi.plugins.module_utils._trac import (
    environment_links,
    mysql_charset,
)
from ansible_collections.trac.mod_wsgi.plugins.module_utils._trac.environment_spec import (
    EnvironmentFailure,
    Report,
    Wording,
)
from ansible_collections.trac.mod_wsgi.plugins.module_utils._trac.ini import Changed, kept_in_place
from ansible_collections.trac.mod_wsgi.plugins.module_utils._trac.opening import (
    environment_class,
    opened,
)

# Stands in an environment until its wiki pages are upgraded; a killed run is continued there.
_MARK = ".upgrading"
# The pages that `trac-admin wiki upgrade` leaves to whoever uses Trac.
_OWN_PAGES = ["WikiStart", "SandBox"]
_KEPT_PAGES = ["InterMapTxt"]
_NEWS = "TracChangeLog"
_FIRST_OF_PYTHON_3 = 45  # of Trac 1.6, and of 1.4, which is the last for Python 2


class Outcome(t.NamedTuple):
    """What an upgrade has changed, and what Trac had to say about it."""

    notices: list[str]
    options: list[Changed]  # of trac.ini
    before: dict[str, int]  # rows of each table
    after: dict[str, int]

    def tell(self, wordings: t.Iterable[Wording], report: Report) -> None:
        """Put it into a report, with what it was announced as."""
        report.warnings += self.notices
        for wording in wordings:
            report.change(*wording)
        tables = {*self.before, *self.after}
        different = {name for name in tables if self.before.get(name) != self.after.get(name)}
        for lines, rows in ((report.before, self.before), (report.after, self.after)):
            lines += [
                f"table {name}: {rows[name]} row{'' if rows[name] == 1 else 's'}"
                for name in sorted(different & {*rows})
            ]
        for option in self.options:
            report.option(*option)


def is_outdated(environment: t.Any, pages: bool = True) -> bool:
    """Whether Trac or a plugin wants an upgrade, or one was broken off; or the pages need one.

    Fails where Trac would refuse the database only when it has begun.
    """
    mysql_charset.check(environment)
    return (
        bool(environment.needs_upgrade())
        or os.path.exists(os.path.join(environment.path, _MARK))
        or (pages and _has_old_pages(environment))
    )


def is_of_python_2(environment: t.Any) -> bool:
    """Whether an environment has been used with Python 2 only, as far as its database tells."""
    from trac.db.api import DatabaseManager

    return bool(DatabaseManager(environment).get_database_version() < _FIRST_OF_PYTHON_3)


def _has_old_pages(environment: t.Any) -> bool:
    """Whether Trac's own pages are those of another release, which its database may not tell.

    One page is looked at, which each release changes. Where it was removed, or somebody has written
    it anew, it is left to whoever uses Trac.
    """
    from trac.wiki.admin import WikiAdmin

    news = _news(WikiAdmin(environment).default_pages_dir)
    if news is None:
        return False
    rows = environment.db_query(
        "SELECT author, text FROM wiki WHERE name=%s ORDER BY version DESC LIMIT 1", (_NEWS,)
    )
    if not rows or rows[0][0] != "trac":
        return False
    return bool(rows[0][1] != news)


@functools.lru_cache(maxsize=None)
def _news(directory: str) -> str | None:
    """What Trac brings along of that page."""
    try:
        with open(os.path.join(directory, _NEWS), encoding="utf-8", newline="") as file:
            return file.read()
    except FileNotFoundError:  # a release without; nothing to compare with
        return None


def _wordings(environment: t.Any) -> list[Wording]:
    from trac.db.api import DatabaseManager
    from trac.db_default import db_version

    if not environment.needs_upgrade() and _is_tracs_own(environment):
        return [("upgrade the wiki pages", [], [])]
    if not _is_tracs_own(environment):  # a plugin's tables
        return [("upgrade the database", [], [])]
    version = DatabaseManager(environment).get_database_version()
    return [
        (
            "upgrade the database",
            [f"database version {version}"],
            [f"database version {db_version}"],
        ),
        ("upgrade the wiki pages", [], []),
    ]


def _is_tracs_own(environment: t.Any) -> bool:
    from trac.db.api import DatabaseManager

    return (
        os.path.exists(os.path.join(environment.path, _MARK))
        or bool(DatabaseManager(environment).environment_needs_upgrade())
        or _has_old_pages(environment)
    )


def prepare(environment: t.Any, archive: str | None, report: Report, check: bool) -> list[Wording]:
    """Copy an environment before its upgrade; returns what the upgrade is going to change."""
    if archive is None:
        raise EnvironmentFailure(
            "it needs to be upgraded, and there is no archive_directory to copy it to first"
        )
    hot_copy.check_tools(environment)
    old_attachments.check(environment)
    environment_links.check(environment.path)
    if not check:
        name = os.path.basename(environment.path)
        copy = hot_copy.hot_copy(environment, name, archive, "-before-upgrade")
        report.archive = copy.path
        report.warnings += hot_copy.lacks(copy.left_out)
    return _wordings(environment)


def upgrade(path: str) -> Outcome:
    """Upgrade as `trac-admin upgrade` and `trac-admin wiki upgrade` do.

    Upgrades may change trac.ini, so it is not only in memory here. Trac then writes it without
    comments, and each value its own way; what it did not mean to change is put back as it was.
    Pages that Trac brings along are renewed with Trac itself, not with a plugin: somebody may have
    made them their own.
    """
    from trac.wiki.admin import WikiAdmin

    mark = os.path.join(path, _MARK)
    notices = io.StringIO()
    options: list[Changed] = []
    with opened(environment_class()(path)) as environment:
        before = _rows(environment)
        pages = _is_tracs_own(environment)
        if pages:
            os.close(os.open(mark, os.O_WRONLY | os.O_CREAT, 0o660))
            sync_directory(path)
        if environment.needs_upgrade():
            old_attachments.check(environment)
            old_attachments.prepare(environment)
            with kept_in_place(environment) as options, contextlib.redirect_stdout(
                notices
            ), contextlib.redirect_stderr(notices):
                environment.upgrade()
    # Opened anew, because the upgrade may have changed what components are there.
    with opened(environment_class()(path)) as environment:
        if pages:
            admin = WikiAdmin(environment)
            admin.load_pages(admin.default_pages_dir, ignore=_OWN_PAGES, create_only=_KEPT_PAGES)
        after = _rows(environment)
    if pages:
        os.unlink(mark)
    # One for each paragraph, which does not end with a colon.
    paragraphs = re.split(r"(?<!:)\n\n", notices.getvalue())
    told = [" ".join(notice.split()) for notice in paragraphs if notice.strip()]
    return Outcome(told, options, before, after)


def _rows(environment: t.Any) -> dict[str, int]:
    with trac_database.connected(environment) as connection:
        return trac_database.row_counts(connection)
