# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks of an environment's database."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import time
import typing as t
from urllib.parse import quote

from ansible_collections.trac.mod_wsgi.plugins.module_utils._copies import upgrade as copies_upgrade
from ansible_collections.trac.mod_wsgi.plugins.module_utils._doctor import paths
from ansible_collections.trac.mod_wsgi.plugins.module_utils._doctor.opened import OpenedEnvironment
from ansible_collections.trac.mod_wsgi.plugins.module_utils._doctor.registry import (
    DATABASE,
    SOUND_DATABASE,
    TRAC,
    check,
)
from ansible_collections.trac.mod_wsgi.plugins.module_utils._doctor.result import (
    FAILED,
    OK,
    SKIPPED,
    Result,
)
from ansible_collections.trac.mod_wsgi.plugins.module_utils._trac import database as trac_database
from ansible_collections.trac.mod_wsgi.plugins.module_utils._trac import database_servers, opening
from ansible_collections.trac.mod_wsgi.plugins.module_utils._trac.environment_spec import (
    EnvironmentFailure,
)

_INTEGRITY_SECONDS = 10.0
_SQLITE_STEPS = 10_000  # of its virtual machine, between two looks at the clock
_FAULTS_SHOWN = 3
_UNSOUND = "Trac cannot use the database as it is"


@check("database", "The databases answer", TRAC)
def database(opened: OpenedEnvironment) -> list[Result]:
    """Ask the database something; sets DATABASE absent when it does not answer."""
    environment, path = opened.environment, opened.path
    unusable = _unusable_file(opened)
    if unusable:
        opened.absent[DATABASE] = "Trac cannot use the database"
        return [unusable]
    try:
        trac_database.check_driver(environment)
        server = _server(environment)
        with trac_database.connected(environment) as connection:
            connection.cursor().execute("SELECT value FROM system WHERE name = 'x'")
    # Each driver has its own exceptions.
    except Exception as e:  # noqa: BLE001
        opened.absent[DATABASE] = "the database does not answer"
        return [
            opened.result(
                "database",
                FAILED,
                f"The database of {path} does not answer: {opening.reason(e, path)}",
                "Every page of the environment is answered with 500, or waits.",
                "See whether the server runs and lets this account in (systemctl status postgresql "
                "mariadb), and [trac] database in trac.ini."
                if _is_on_server(environment)
                else "See whether the file is the database, and sound: sqlite3 FILE 'PRAGMA "
                "quick_check', as the account that owns it; else restore the last good backup.",
            )
        ]
    return [opened.result("database", OK, f"{server or 'SQLite'} answers")]


def _unusable_file(opened: OpenedEnvironment) -> Result | None:
    """Why SQLite cannot use its file. Opening it would make an empty one, or wait."""
    from trac.core import TracError

    try:
        file = trac_database.sqlite_file(opened.environment)
    except TracError:
        return None  # Trac cannot read the connection string: connecting tells why
    if file is None or not os.path.isabs(file):
        return None
    account = paths.account()
    means = "Every page of the environment is answered with 500."
    backup = "Restore the last good backup: playbooks/restore.yml"
    what = paths.no_file(file)
    inside = file.startswith(os.path.join(opened.path, ""))
    if what == "does not exist":
        directory = os.path.dirname(file)
        gone = "" if os.path.isdir(directory) else f"; nor does its directory {directory}"
        seen = f"The database {file} is not found{gone}."
        advice = f"See where it has gone, and [trac] database in trac.ini. {backup}"
    elif what:
        seen = f"The database {file} {what}."
        advice = f"It has to be a file of {account}'s. {backup}"
    elif os.path.getsize(file) == 0:
        seen = f"The database {file} is empty (0 bytes)."
        means += " A full disk or a power cut has truncated it, or it was made by mistake."
        advice = f"See the check disk_space, and whether {file}-journal is there: keep both. "
        advice += backup
    elif paths.is_read_only(file):
        if inside:
            why = "its file system is read-only (see environment_files)"
            return opened.result("database", SKIPPED, f"{opened.path}: {why}.")
        return paths.read_only("database", file, opened.subject)
    elif not inside and not all(os.access(x, os.W_OK) for x in (file, os.path.dirname(file))):
        seen = f"{account} cannot write the database {file}, or its directory."
        means = "What visitors save is answered with 500 ('attempt to write a readonly')."
        advice = f"Both have to belong to {account}."
    else:
        return None
    return opened.result("database", FAILED, seen, means, advice)


def _is_on_server(environment: t.Any) -> bool:
    return not str(environment.config.get("trac", "database")).startswith("sqlite:")


def _server(environment: t.Any) -> str:
    """The database server of an environment; empty for SQLite."""
    from trac.db.api import DatabaseManager, parse_connection_uri

    scheme, where = parse_connection_uri(DatabaseManager(environment).connection_uri)
    return "" if scheme == "sqlite" else database_servers.server_name(scheme, where)


@check("database_integrity", "SQLite's files are sound", TRAC, (DATABASE,))
def database_integrity(opened: OpenedEnvironment) -> list[Result]:
    """Run SQLite's quick_check; sets SOUND_DATABASE absent when there is damage."""
    name = "database_integrity"
    file = trac_database.sqlite_file(opened.environment)
    if file is None:
        why = "its database is on a server"
        return [opened.result(name, SKIPPED, f"{opened.path}: {why}.")]
    try:
        faults = _sqlite_faults(file)
    except _NoTime:
        why = f"{file} is so large that {_INTEGRITY_SECONDS:g} s do not do"
        return [opened.result(name, SKIPPED, f"{opened.path}: {why}.")]
    if not faults:
        return [opened.result(name, OK, f"{file}: quick_check finds nothing")]
    opened.absent[SOUND_DATABASE] = _UNSOUND
    shown = "; ".join(faults[:_FAULTS_SHOWN])
    return [
        opened.result(
            name,
            FAILED,
            f"SQLite's quick_check of {file} says: {shown}.",
            "The file is damaged (a disk, a killed host, a copy made while it was written). Pages "
            "may fail, and what is saved now may be lost.",
            f"Stop writing: systemctl stop apache2. Keep a copy of {file} and of any "
            f"{file}-journal. Restore the last good backup (playbooks/restore.yml), or save what "
            f"can be read, as {paths.account()}: sqlite3 {file} .recover | sqlite3 new.db",
        )
    ]


class _NoTime(Exception):
    """The quick_check of a file takes too long."""


def _sqlite_faults(file: str, seconds: float = _INTEGRITY_SECONDS) -> list[str]:
    """The errors of a quick_check. The file is opened for reading only."""
    end = time.monotonic() + seconds
    connection = sqlite3.connect(f"file:{quote(file)}?mode=ro", uri=True, timeout=5)
    connection.set_progress_handler(lambda: time.monotonic() > end, _SQLITE_STEPS)
    try:
        with contextlib.closing(connection):
            found = [str(row[0]) for row in connection.execute("PRAGMA quick_check(10)")]
    except sqlite3.DatabaseError as e:
        if "interrupted" in str(e):
            raise _NoTime from None
        return [str(e)]
    return [] if found == ["ok"] else [" ".join(each.split()) for each in found]


@check("database_version", "No environment needs an upgrade", TRAC, (DATABASE,))
def database_version(opened: OpenedEnvironment) -> list[Result]:
    """Compare versions; sets SOUND_DATABASE absent when an upgrade is needed or fails."""
    from trac.core import TracError
    from trac.db.api import DatabaseManager
    from trac.db_default import db_version

    name, path = "database_version", opened.path
    try:
        outdated = copies_upgrade.is_outdated(opened.environment)
        found = DatabaseManager(opened.environment).get_database_version()
    except (TracError, EnvironmentFailure) as e:
        _set_outdated(opened)
        return [
            opened.result(
                name,
                FAILED,
                f"{path}: {opening.reason(e, path)}",
                "Every page of the environment is answered with 500.",
                "If the database is newer than Trac, install the Trac that has upgraded it "
                "(trac_runtime_version). Else see what is named.",
            )
        ]
    if not outdated:
        return [opened.result(name, OK, f"version {found}")]
    _set_outdated(opened)
    seen = f"version {found} of the database, and Trac has {db_version}"
    if found == db_version:
        seen = "a plugin wants to change its tables, or an upgrade was broken off"
    return [
        opened.result(
            name,
            FAILED,
            f"{path} needs to be upgraded: {seen}.",
            "Every page is answered with 500, 'The Trac Environment needs to be upgraded', as soon "
            "as the processes start again.",
            "Run playbooks/site.yml (or upgrade.yml), which upgrades after a verified copy. By "
            f"hand, as {paths.account()}: trac-admin {path} hotcopy DIRECTORY, then trac-admin "
            f"{path} upgrade and trac-admin {path} wiki upgrade",
        )
    ]


def _set_outdated(opened: OpenedEnvironment) -> None:
    opened.outdated = True
    opened.absent[SOUND_DATABASE] = _UNSOUND
