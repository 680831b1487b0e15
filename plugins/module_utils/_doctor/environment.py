# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks of one environment with Trac's own eyes: trac.ini, database, plugins.

This runs under the Python that has Trac, as the account that owns the environments, and writes
nothing: the environment is opened without its log, and saving trac.ini does nothing.
"""

from __future__ import annotations

import contextlib
import functools
import logging
import os
import re
import sqlite3
import time
import typing as t
from urllib.parse import quote

from ansible_collections.trac.mod_wsgi.plugins.module_utils._copies import upgrade as copies_upgrade
from ansible_collections.trac.mod_wsgi.plugins.module_utils._core import secrets
from ansible_collections.trac.mod_wsgi.plugins.module_utils._doctor import (
    attachments as doctor_attachments,
)
from ansible_collections.trac.mod_wsgi.plugins.module_utils._doctor import files as doctor_files
from ansible_collections.trac.mod_wsgi.plugins.module_utils._doctor import reports as doctor_reports
from ansible_collections.trac.mod_wsgi.plugins.module_utils._doctor.result import (
    FAILED,
    OK,
    SKIPPED,
    WARNING,
    Result,
)
from ansible_collections.trac.mod_wsgi.plugins.module_utils._trac import database as trac_database
from ansible_collections.trac.mod_wsgi.plugins.module_utils._trac import (
    database_servers,
    named_files,
    opening,
)
from ansible_collections.trac.mod_wsgi.plugins.module_utils._trac import fault as trac_fault
from ansible_collections.trac.mod_wsgi.plugins.module_utils._trac import faults as trac_faults
from ansible_collections.trac.mod_wsgi.plugins.module_utils._trac import findings as trac_findings
from ansible_collections.trac.mod_wsgi.plugins.module_utils._trac import log as trac_log
from ansible_collections.trac.mod_wsgi.plugins.module_utils._trac import login as trac_login
from ansible_collections.trac.mod_wsgi.plugins.module_utils._trac.environment_spec import (
    EnvironmentFailure,
)
from ansible_collections.trac.mod_wsgi.plugins.module_utils._trac.ini import IniFile

_INTEGRITY_SECONDS = 10.0
_SQLITE_STEPS = 10_000  # between two looks at the clock
_FAULTS_SHOWN = 3
_WARNS = {
    "plugins": "Something that was there once, or is meant to be, is missing or will fail.",
    "repositories": "Trac shows less of its repositories than it is meant to, or an error.",
}
_SUBVERSION = "tracopt.versioncontrol.svn.svn_fs.SubversionConnector"

_MEANS = {
    trac_fault.DOWN: "Pages of the environment are answered with 500, and so may all of them be.",
    trac_fault.OPEN: "Trac says nothing of it, and everybody may read what is meant for some.",
    trac_fault.SHUT: "Nobody can log in to the environment, whatever Apache asks for.",
}

# What Trac looks at with a database's version; each is skipped when what comes before fails.
CHECKS = (
    "database",
    "database_integrity",
    "database_version",
    "reports",
    "attachments",
    "plugins",
    "repositories",
)
_OF_TABLES = ("database_integrity", "database_version", "reports", "attachments")


class _Skipped(logging.Handler):
    """Keeps what Trac logs about plugins that it could not load."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.messages: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        message = record.getMessage()
        if not message.startswith(("Skipping ", "Failed to load plugin")):
            return
        # Libraries that Trac can do without: no fault.
        if record.levelno < logging.WARNING and re.match(r'Skipping "trac(opt)?\.', message):
            return
        # The first line names the plugin, the last one the error.
        lines = [line.strip() for line in message.splitlines() if line.strip()]
        text = lines[0] if len(lines) == 1 else f"{lines[0].rstrip(':')}: {lines[-1]}"
        if text not in self.messages:
            self.messages.append(text)


@functools.lru_cache(maxsize=None)
def _class() -> t.Any:
    reconciled = opening.environment_class()

    class ExaminedEnvironment(reconciled):  # type: ignore[misc,valid-type]
        """An environment that remembers which plugins did not load."""

        abstract = True
        required = False
        heard: t.ClassVar[_Skipped] = _Skipped()

        def setup_log(self) -> None:
            super().setup_log()
            self.log.setLevel(logging.DEBUG)
            self.log.addHandler(self.heard)

    return ExaminedEnvironment


def load_trac() -> tuple[str, list[str]]:
    """Load Trac with the plugins of this Python; its version, and what could not be loaded."""
    import trac
    import trac.web.main  # what the script of a site imports
    from trac.config import UnicodeConfigParser

    with opening.opened(_class()("/nonexistent", UnicodeConfigParser(), new=True)):
        pass
    return str(trac.__version__), list(_class().heard.messages)


def _is_shared(message: str, directory: str) -> bool:
    """Whether a message is about a file of the directory that environments share."""
    match = re.match(r'Skipping "(\w+)"', message)
    file = os.path.join(directory, f"{match.group(1)}.py" if match else "")
    return bool(directory) and (f" from {file}" in message or os.path.isfile(file))


def plugin_result(message: str, subject: str = "") -> Result:
    return Result(
        "plugins",
        FAILED,
        message,
        "Trac runs without the plugin: what it adds (permissions, fields, macros) is missing.",
        "Install what is named as missing into the virtual environment (trac_runtime_plugins), or "
        "a version of the plugin for this Trac and Python; then: systemctl restart apache2",
        subject,
    )


class Examination:
    """All that is looked at in one environment."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.subject = f"environment {os.path.basename(path)}"
        self.results: list[Result] = []
        # What other checks need to know.
        self.facts: dict[str, t.Any] = {
            "title": None,
            "subversion": False,
            # Why no login is taken, or not at /login; and what to do.
            "no_login": [],
            "no_login_page": [],
        }
        self.redactor = secrets.Redactor()

    def _add(self, name: str, status: str, seen: str, means: str = "", advice: str = "") -> None:
        seen = self.redactor.redact(seen)
        self.results.append(Result(name, status, seen, means, advice, self.subject))

    def _skip(self, names: t.Iterable[str], why: str) -> None:
        for name in names:
            self._add(name, SKIPPED, f"{self.path}: {why}.")

    def run(self) -> None:
        """Look at everything; what cannot be looked at is skipped, with the reason."""
        if doctor_files.is_there(self.path).status != OK:
            self._skip(CHECKS, "there is no environment (see environments)")
            return
        if doctor_files.ini_fault(self.path) is not None:
            self._skip(CHECKS, "trac.ini cannot be read (see environment_files)")
            return
        try:
            ini = IniFile(os.path.join(self.path, doctor_files.INI))
        except EnvironmentFailure as e:
            self._corrupt(str(e))
            return
        if not any(ini.options.values()):
            self._empty(ini)
            return
        for option, value in ini.secrets():
            self.redactor.learn(option, value)
        inherited = named_files.inherited(ini.parser, ini.path)
        self._faults(inherited)
        if any(fault.effect == trac_fault.DOWN for fault in inherited):
            self._skip(CHECKS, "what trac.ini inherits from cannot be read")
            return
        before = len(_class().heard.messages)
        try:
            environment = _class()(self.path, ini.proposed({}))
        # A plugin may raise anything when it is loaded.
        except Exception as e:  # noqa: BLE001
            self._cannot_open(e)
            return
        with opening.opened(environment):
            self._facts(environment)
            messages = _class().heard.messages[before:]
            works = self._database(environment)
            self._findings(environment, ini, messages, works)
            outdated = works and self._version(environment)
            self._faults(trac_faults.faults(environment, outdated, ask=works))
            self._unused_rules(environment, outdated)
            if works:
                if self._integrity(environment) and not outdated:
                    self.results.append(doctor_reports.check(environment, self.subject))
                else:
                    self._skip(("reports",), "Trac cannot use the database as it is")
                self.results.append(doctor_attachments.check(environment, self.subject))

    def _corrupt(self, why: str) -> None:
        self._add(
            "trac_ini",
            FAILED,
            f"Trac cannot read trac.ini: {why}",
            "Every page of the environment is answered with 500.",
            f"Correct what is named, or take the file from the last backup; it belongs to "
            f"{opening.account_name(os.geteuid())}.",
        )
        self._skip(CHECKS, "trac.ini cannot be read")

    def _empty(self, ini: IniFile) -> None:
        what = "is empty (0 bytes)" if not ini.text else "holds no option"
        self._add(
            "trac_ini",
            FAILED,
            f"{ini.path} {what}.",
            "A full disk, or a power cut, has truncated it. Trac goes on with its own defaults: "
            "another title and other rights, and not the database that the environment has.",
            "Put the file back from the last backup (playbooks/restore.yml), at least its [trac] "
            "database; before, see the check disk_space.",
        )
        self._skip(CHECKS, "trac.ini holds nothing")

    def _cannot_open(self, error: Exception) -> None:
        why = opening.reason(error, self.path)
        self._add(
            "database",
            FAILED,
            f"Trac cannot open {self.path}: {why}",
            "Every page of the environment is answered with 500.",
            "Correct what is named. If it is a plugin: remove it, or switch it off under "
            "[components] in trac.ini.",
        )
        self._skip(CHECKS[1:], "Trac cannot open it")

    def _facts(self, environment: t.Any) -> None:
        self.facts["title"] = environment.config.get("project", "name") or None
        for key, faults in (
            ("no_login", trac_login.faults(environment)),
            ("no_login_page", trac_login.clashes(environment)),
        ):
            self.facts[key] = [part for each in faults for part in (each.words, each.advice)]
        self.facts["subversion"] = environment.is_component_enabled(_SUBVERSION) is True

    def _faults(self, faults: t.Iterable[trac_fault.Fault]) -> None:
        """What makes pages errors, or opens them, although Trac opens the environment."""
        for fault in faults:
            is_log = fault.what.startswith(trac_log.LOG_FILE)
            file = fault.what[len(trac_log.LOG_FILE) + 1 :]
            inside = trac_log.is_inside(os.path.dirname(file), self.path)
            if is_log and inside and os.path.lexists(file) and not os.access(file, os.W_OK):
                continue  # who may write there, environment_files tells
            self._add(
                "environment_files" if is_log else "trac_ini",
                FAILED,
                f"{self.path}: {fault.words}.",
                _MEANS[fault.effect],
                f"{fault.advice[0].upper()}{fault.advice[1:]}.",
            )

    # -- plugins and repositories

    def _findings(
        self, environment: t.Any, ini: IniFile, messages: t.Sequence[str], ask: bool
    ) -> None:
        for message in messages:
            subject = "" if _is_shared(message, environment.shared_plugins_dir) else self.subject
            self.results.append(plugin_result(self.redactor.redact(message), subject))
        found = trac_findings.findings(environment, ini, ask=ask)
        for each in found:
            self._add(each.check, WARNING, f"{each.seen}.", _WARNS[each.check], each.remedy)
        checks = {each.check for each in found}
        if not messages and "plugins" not in checks:
            self._add("plugins", OK, "all load")
        if "repositories" not in checks:
            self._add("repositories", OK, "all can be read")

    # -- database

    def _database(self, environment: t.Any) -> bool:
        """Whether the database answers."""
        if self._no_file(environment):
            self._skip(_OF_TABLES, "Trac cannot use the database")
            return False
        try:
            trac_database.check_driver(environment)
            server = _server(environment)
            with trac_database.connected(environment) as connection:
                connection.cursor().execute("SELECT value FROM system WHERE name = 'x'")
        # Each driver has exceptions of its own.
        except Exception as e:  # noqa: BLE001
            self._add(
                "database",
                FAILED,
                f"The database of {self.path} does not answer: {opening.reason(e, self.path)}",
                "Every page of the environment is answered with 500, or waits.",
                "See whether the server runs and lets this account in (systemctl status postgresql "
                "mariadb), and [trac] database in trac.ini."
                if _is_on_server(environment)
                else "See whether the file is the database, and sound: sqlite3 FILE 'PRAGMA "
                "quick_check', as the account that owns it; else restore the last good backup.",
            )
            self._skip(_OF_TABLES, "the database does not answer")
            return False
        self._add("database", OK, f"{server or 'SQLite'} answers")
        return True

    def _no_file(self, environment: t.Any) -> bool:
        """Whether SQLite has no file to work with. It would make an empty one, or wait."""
        from trac.core import TracError

        try:
            file = trac_database.sqlite_file(environment)
        except TracError:
            return False  # a connection string that Trac cannot read, which the next step says
        if file is None or not os.path.isabs(file):
            return False
        account = opening.account_name(os.geteuid())
        means = "Every page of the environment is answered with 500."
        backup = "Restore the last good backup: playbooks/restore.yml"
        what = doctor_files.no_file(file)
        inside = file.startswith(os.path.join(self.path, ""))
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
        elif doctor_files.is_read_only(file):
            if inside:
                self._skip(("database",), "its file system is read-only (see environment_files)")
            else:
                self.results.append(doctor_files.read_only("database", file, self.subject))
            return True
        elif not inside and not all(os.access(x, os.W_OK) for x in (file, os.path.dirname(file))):
            seen = f"{account} cannot write the database {file}, or its directory."
            means = "What visitors save is answered with 500 ('attempt to write a readonly')."
            advice = f"Both have to belong to {account}."
        else:
            return False
        self._add("database", FAILED, seen, means, advice)
        return True

    def _unused_rules(self, environment: t.Any, outdated: bool) -> None:
        for seen in trac_faults.unused_rules(environment, outdated):
            self._add(
                "trac_ini",
                WARNING,
                f"{self.path}: {seen}.",
                "What the rules close is open to whoever has Trac's own permissions.",
                "Decide which of the two is meant.",
            )

    def _version(self, environment: t.Any) -> bool:
        """Whether an upgrade is needed, as far as can be told."""
        from trac.core import TracError
        from trac.db.api import DatabaseManager
        from trac.db_default import db_version

        name = "database_version"
        try:
            outdated = copies_upgrade.is_outdated(environment)
            found = DatabaseManager(environment).get_database_version()
        except (TracError, EnvironmentFailure) as e:
            self._add(
                name,
                FAILED,
                f"{self.path}: {opening.reason(e, self.path)}",
                "Every page of the environment is answered with 500.",
                "If the database is newer than Trac, install the Trac that has upgraded it "
                "(trac_runtime_version). Else see what is named.",
            )
            return True
        if not outdated:
            self._add(name, OK, f"version {found}")
            return False
        seen = f"version {found} of the database, and Trac has {db_version}"
        if found == db_version:
            seen = "a plugin wants to change its tables, or an upgrade was broken off"
        self._add(
            name,
            FAILED,
            f"{self.path} needs to be upgraded: {seen}.",
            "Every page is answered with 500, 'The Trac Environment needs to be upgraded', as soon "
            "as the processes start again.",
            "Run playbooks/site.yml (or upgrade.yml), which upgrades after a verified copy. By "
            f"hand, as {opening.account_name(os.geteuid())}: trac-admin {self.path} hotcopy "
            f"DIRECTORY, then trac-admin {self.path} upgrade and trac-admin {self.path} wiki "
            "upgrade",
        )
        return True

    def _integrity(self, environment: t.Any) -> bool:
        """Whether no damage is known."""
        name = "database_integrity"
        file = trac_database.sqlite_file(environment)
        if file is None:
            self._skip((name,), "its database is on a server")
            return True
        try:
            faults = _sqlite_faults(file)
        except _NoTime:
            self._skip((name,), f"{file} is so large that {_INTEGRITY_SECONDS:g} s do not do")
            return True
        if not faults:
            self._add(name, OK, f"{file}: quick_check finds nothing")
            return True
        shown = "; ".join(faults[:_FAULTS_SHOWN])
        account = opening.account_name(os.geteuid())
        self._add(
            name,
            FAILED,
            f"SQLite's quick_check of {file} says: {shown}.",
            "The file is damaged (a disk, a killed host, a copy made while it was written). Pages "
            "may fail, and what is saved now may be lost.",
            f"Stop writing: systemctl stop apache2. Keep a copy of {file} and of any "
            f"{file}-journal. Restore the last good backup (playbooks/restore.yml), or save what "
            f"can be read, as {account}: sqlite3 {file} .recover | sqlite3 new.db",
        )
        return False


class _NoTime(Exception):
    """A check of a file takes too long."""


def _sqlite_faults(file: str, seconds: float = _INTEGRITY_SECONDS) -> list[str]:
    """What SQLite finds wrong with a file, which is opened for reading only."""
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


def _is_on_server(environment: t.Any) -> bool:
    return not str(environment.config.get("trac", "database")).startswith("sqlite:")


def _server(environment: t.Any) -> str:
    """The database server of an environment; empty for SQLite."""
    from trac.db.api import DatabaseManager, parse_connection_uri

    scheme, where = parse_connection_uri(DatabaseManager(environment).connection_uri)
    return "" if scheme == "sqlite" else database_servers.server_name(scheme, where)
