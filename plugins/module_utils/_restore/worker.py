# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Restore environments from archives, as the account that is going to own them.

An environment is unpacked into a hidden directory beside its place, compared with what the backup
says that it holds, and appears by a rename. What was in its place is kept in the archive directory.
What is killed while it replaces something leaves a mark, see _trac.restore_mark.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
import tempfile
import time
import typing as t

from ansible_collections.trac.mod_wsgi.plugins.module_utils._backup import worker as backup_worker
from ansible_collections.trac.mod_wsgi.plugins.module_utils._copies import convert as copies_convert
from ansible_collections.trac.mod_wsgi.plugins.module_utils._copies import (
    database_dump,
    hot_copy,
    tar_environment,
)
from ansible_collections.trac.mod_wsgi.plugins.module_utils._copies import reports as copies_reports
from ansible_collections.trac.mod_wsgi.plugins.module_utils._core import (
    processes,
    secrets,
    sqlite_journal,
)
from ansible_collections.trac.mod_wsgi.plugins.module_utils._core.held_directory import (
    held_directory,
    locked,
)
from ansible_collections.trac.mod_wsgi.plugins.module_utils._core.move import move_directory
from ansible_collections.trac.mod_wsgi.plugins.module_utils._environments.remove import hidden_name
from ansible_collections.trac.mod_wsgi.plugins.module_utils._restore import faults as restore_faults
from ansible_collections.trac.mod_wsgi.plugins.module_utils._trac import (
    attachments as trac_attachments,
)
from ansible_collections.trac.mod_wsgi.plugins.module_utils._trac import database as trac_database
from ansible_collections.trac.mod_wsgi.plugins.module_utils._trac import (
    database_objects,
    environment_links,
    mysql_charset,
    restore_mark,
)
from ansible_collections.trac.mod_wsgi.plugins.module_utils._trac import findings as trac_findings
from ansible_collections.trac.mod_wsgi.plugins.module_utils._trac import plugins as trac_plugins
from ansible_collections.trac.mod_wsgi.plugins.module_utils._trac.environment_spec import (
    DATABASE,
    EnvironmentFailure,
    Report,
    exists,
)
from ansible_collections.trac.mod_wsgi.plugins.module_utils._trac.ini import IniFile, proposal
from ansible_collections.trac.mod_wsgi.plugins.module_utils._trac.opening import (
    environment_class,
    opened,
    reason,
)
from ansible_collections.trac.mod_wsgi.plugins.module_utils._trac.worker_answers import (
    answering,
    say,
)

LOCK_TIMEOUT = 60.0  # seconds
_UMASK = 0o007
_SUFFIX = "-before-restore"
_OVERWRITE = "overwrite (trac_restore_overwrite)"
_RESERVE = 16 * 1024 * 1024  # bytes that have to stay free
_LINKS_SHOWN = 20

Document = t.Dict[str, t.Any]


class Item(t.NamedTuple):
    """One environment to restore."""

    name: str
    file: int  # descriptor of the archive, whose checksum has been found right
    manifest: Document
    database: str | None  # a connection string instead of the backup's own

    @property
    def kind(self) -> str:
        """What the backup holds the database for."""
        return str(self.manifest["database"]["kind"])


class Restorer:
    """Restores environments below one directory."""

    def __init__(self, payload: t.Mapping[str, t.Any]) -> None:
        self.directory: str = payload["directory"]
        self.archive: str | None = payload["archive"]
        self.overwrite: bool = payload["overwrite"]
        self.mend: bool = payload["mend"]
        self.check: bool = payload["check"]

    def restore(self, item: Item) -> Report:
        """Restore one environment, or predict it; problems end up in the report."""
        report = Report(item.name)
        redactor = secrets.Redactor()
        redactor.learn("database", item.database)
        path = os.path.join(self.directory, item.name)
        try:
            there = self._is_there(path)
            self._check_item(item)
            if self.check:
                self._predict(item, path, there, report)
            else:
                self._restore(item, path, there, report, redactor)
        # One environment must not stop the others, whatever a plugin or a database driver raises.
        except (Exception, SystemExit) as e:  # noqa: BLE001
            failure = isinstance(e, tar_environment.ArchiveFailure)
            report.failure = redactor.redact(str(e) if failure else reason(e, path))
        report.warnings[:] = [redactor.redact(warning) for warning in report.warnings]
        return report

    def _is_there(self, path: str) -> bool:
        """Whether an environment is going to be replaced; fails where none may be."""
        if os.path.islink(path):
            raise EnvironmentFailure(f"{path} is a symbolic link; remove it by hand")
        if not exists(path):
            return False
        if not self.overwrite:
            raise EnvironmentFailure(
                f"{path} exists already, and was not touched; with {_OVERWRITE} it is replaced, "
                "after a copy of it has been put into the archive directory"
            )
        if self.archive is None:
            raise EnvironmentFailure("there is no archive_directory to copy the environment to")
        return True

    @staticmethod
    def _check_item(item: Item) -> None:
        source, target = item.kind, _scheme(item.database) if item.database else item.kind
        if source != target and source != "sqlite":
            raise EnvironmentFailure(
                f"a backup of a {source} database can be restored into a {source} database only, "
                f"and the connection string leads to {target}"
            )
        if source != target:
            copies_convert.check_possible()
        if target != "sqlite" and not item.database and item.manifest["name"] != item.name:
            raise EnvironmentFailure(
                f"the backup is of {item.manifest['name']}, whose database on a server it would "
                "replace; give a database for the environment with the new name"
            )

    def _predict(self, item: Item, path: str, there: bool, report: Report) -> None:
        mended: list[str] = []
        with os.fdopen(item.file, "rb") as file:
            restore_faults.predict(file, item.manifest["name"], path)
            if item.database and _scheme(item.database) != "sqlite":
                nowhere = os.path.join(self.directory, item.name)
                options = {DATABASE: item.database}
                parser = proposal(os.path.join(nowhere, "conf", "trac.ini"), options)
                with opened(environment_class()(nowhere, parser, new=True)) as environment:
                    self.check_target(environment)
                    if item.kind == "sqlite":
                        mysql_charset.check_default(environment)
                        mended = self._predict_move(item, file, environment, report)
        _note(item, item.database, there, report)
        for words in mended:
            report.change(words, [], [])
        _warn(item.manifest, report)

    def _predict_move(
        self, item: Item, file: t.IO[bytes], environment: t.Any, report: Report
    ) -> list[str]:
        """Look at the values that would move; returns what would be mended, in words."""
        with tempfile.TemporaryDirectory() as scratch:
            try:
                backup_worker.check_room(scratch, item.manifest["bytes"], "the database")
            except EnvironmentFailure as e:
                report.warnings.append(f"its values were not looked at in check mode: {e}")
                return []
            database = os.path.join(scratch, "trac.db")
            inside = f"{item.manifest['name']}/{item.manifest['database']['file']}"
            file.seek(0)
            tar_environment.unpack_one(file, inside, database)
            return copies_convert.predict(database, copies_convert.target(environment), self.mend)

    def check_target(self, environment: t.Any) -> bool:
        """Refuse a database that cannot be used; returns whether it holds anything."""
        trac_database.check_driver(environment)
        hot_copy.check_tools(environment)
        database_dump.check_tools(environment)
        full = trac_database.has_tables(environment)
        if full and not self.overwrite:
            raise EnvironmentFailure(
                f"its database holds tables already, which were not touched; with {_OVERWRITE} "
                "they are replaced, after a copy of them has been put into the archive directory"
            )
        if full and self.archive is None:
            raise EnvironmentFailure("there is no archive_directory to copy the database to")
        return full

    def _restore(
        self, item: Item, path: str, there: bool, report: Report, redactor: secrets.Redactor
    ) -> None:
        needed = item.manifest["bytes"] + _RESERVE
        backup_worker.check_room(self.directory, needed, "the environment")
        with held_directory(self.directory, f".{item.name}.restoring-") as holder:
            new = os.path.join(holder, "new")
            with os.fdopen(item.file, "rb") as file:
                size = item.manifest["bytes"]
                tar_environment.unpack(file, item.manifest["name"], new, size)
            _check_attachments(item.manifest, new)
            ini = IniFile(os.path.join(new, "conf", "trac.ini"))
            for option, value in ini.secrets():
                redactor.learn(option, value)
            faults = restore_faults.found(ini, new, path, there)
            place = _Place(self, item, path, there, holder, new, ini, report)
            uri = place.prepare()
            _note(item, uri if item.database else None, there, report)
            for words in place.mended:
                report.change(words, [], [])
            _warn(item.manifest, report)
            # Trac looks at the time of trac.ini to see that it is another one.
            os.utime(ini.path)
            os.sync()
            place.publish()
            restore_mark.clear_mark(self.directory, item.name, place.keep_of_killed_run)
        _name_findings(path, report)
        restore_faults.tell(faults)


class _Place:
    """An unpacked environment on its way to its place."""

    def __init__(
        self,
        restorer: Restorer,
        item: Item,
        path: str,
        there: bool,
        holder: str,
        new: str,
        ini: IniFile,
        report: Report,
    ) -> None:
        self.restorer = restorer
        self.item = item
        self.path = path
        self.there = there
        self.holder = holder
        self.new = new
        self.ini = ini
        self.report = report
        self.kept: hot_copy.Copy | None = None
        self.mended: list[str] = []  # in words
        self.rows: dict[str, int] = item.manifest["rows"]

    @property
    def _file(self) -> str:
        """What the backup has of the database."""
        inside = os.path.normpath(self.item.manifest["database"]["file"])
        if os.path.isabs(inside) or inside.split(os.sep)[0] == os.pardir:
            raise EnvironmentFailure("the manifest names a database outside of the environment")
        return os.path.join(self.new, inside)

    def prepare(self) -> str:
        """Have everything ready, the database included; returns its connection string."""
        current = self.ini.current(DATABASE) or "sqlite:db/trac.db"
        uri = self.item.database or current
        if self.item.kind == "sqlite":
            self._check_sqlite()
        elif _scheme(uri) == "sqlite":
            raise EnvironmentFailure(
                f"its trac.ini names another database ({uri}) than its manifest ({self.item.kind})"
            )
        if _scheme(uri) == "sqlite":
            uri = self._sqlite(uri)
            self._keep()
            if uri != current:
                self.ini.write({DATABASE: uri})
            return uri
        parser = self.ini.proposed({DATABASE: uri})
        with opened(environment_class()(self.new, parser)) as environment:
            full = self.restorer.check_target(environment)
            if self.item.kind == "sqlite":  # a dump brings its own
                mysql_charset.check_default(environment)
            self._check_schema(environment)
            if self.item.kind == "sqlite":
                self._make_movable(environment)
            self._keep()
            dump = self._keep_database(environment) if full else None
            self._fill(environment, uri, dump)
            if self.item.kind == "sqlite":
                self.report.warnings += copies_reports.words_of_move(environment)
        if uri != current:
            self.ini.write({DATABASE: uri})
        os.unlink(self._file)
        if self.item.kind != "sqlite":  # whose directory was made for the dump
            with contextlib.suppress(OSError):
                os.rmdir(os.path.dirname(self._file))
        return uri

    def _make_movable(self, environment: t.Any) -> None:
        """Refuse what cannot be moved to the server of an environment; nothing is made there."""
        # Trac is going to read what was unpacked, not what is where the backup comes from.
        own = f"sqlite:{os.path.relpath(self._file, self.new)}"
        if self.ini.current(DATABASE) != own:
            self.ini.write({DATABASE: own})
        prepared = copies_convert.prepare(
            self.new,
            self._file,
            copies_convert.target(environment),
            os.path.join(self.holder, "empty"),
            self.restorer.mend,
        )
        self.ini = IniFile(self.ini.path)  # which an upgrade may have changed
        self.mended = prepared.mended
        self.report.warnings += prepared.left

    def _check_sqlite(self) -> None:
        if os.path.islink(self._file) or not os.path.isfile(self._file):
            raise EnvironmentFailure(f"the archive holds no database {self._file}")
        # Backups are made without; those of somebody else could lead to other environments.
        for end in sqlite_journal.BESIDE:
            if os.path.lexists(self._file + end):
                raise EnvironmentFailure(
                    f"the archive holds {os.path.basename(self._file)}{end} beside the database, "
                    "which no backup does"
                )
        with contextlib.closing(sqlite3.connect(self._file)) as connection:
            verdict = connection.execute("PRAGMA integrity_check").fetchone()[0]
            if verdict != "ok":
                raise EnvironmentFailure(f"the database in the archive is broken: {verdict}")
            database_dump.compare(self.rows, hot_copy.sqlite_rows(connection))

    def _sqlite(self, uri: str) -> str:
        """Put the file where the connection string looks for it, or lead that to the file."""
        from trac.db.api import parse_connection_uri

        place = parse_connection_uri(uri)[1]["path"]
        wanted = os.path.normpath(os.path.join(self.new, place))
        inside = os.path.relpath(wanted, self.new)
        if wanted == os.path.normpath(self._file):
            return uri
        if os.path.isabs(place) or inside.split(os.sep)[0] == os.pardir:
            own = f"sqlite:{os.path.relpath(self._file, self.new)}"
            self.report.warnings.append(
                f"its database was outside of the environment, at {place}, and is now in it: {own}"
            )
            return own
        os.makedirs(os.path.dirname(wanted), exist_ok=True)
        os.rename(self._file, wanted)
        return uri

    def _check_schema(self, environment: t.Any) -> None:
        source, target = self.item.manifest["database"]["schema"], database_dump.schema(environment)
        if self.item.kind == "postgres" and source != target:
            raise EnvironmentFailure(
                f"the backup is of PostgreSQL's schema {source!r} and cannot be restored into the "
                f"schema {target!r}"
            )

    def _keep(self) -> None:
        """Copy what is in the environment's place to the archive."""
        if not self.there or self.restorer.archive is None:
            return
        try:
            ini = IniFile(os.path.join(self.path, "conf", "trac.ini"))
            with opened(environment_class()(self.path, ini.parser)) as environment:
                self.kept = hot_copy.hot_copy(
                    environment, self.item.name, self.restorer.archive, _SUFFIX
                )
        # What is restored is often what cannot be opened any more; it is kept as it is.
        except (Exception, SystemExit) as e:  # noqa: BLE001
            why = reason(e, self.path)
            self.report.warnings.append(
                f"what was there could not be copied ({why}), so that its directory was moved to "
                "the archive as it was"
            )
        else:
            self.report.archive = self.kept.path
            self.report.warnings += hot_copy.left_alone(self.path, self.kept)

    def _keep_database(self, environment: t.Any) -> str:
        """Copy what the database on a server holds; returns the dump."""
        archive = t.cast(str, self.restorer.archive)
        own = self.kept and database_dump.file_in(self.kept.path, database_dump.kind(environment))
        if own and os.path.exists(own) and self._is_same_database(environment):
            return own
        copy = hot_copy.hot_copy(environment, self.item.name, archive, f"{_SUFFIX}-database")
        self.report.archive = self.report.archive or copy.path
        return database_dump.file_in(copy.path, database_dump.kind(environment))

    def _is_same_database(self, environment: t.Any) -> bool:
        former = IniFile(os.path.join(self.path, "conf", "trac.ini")).current(DATABASE)
        now = environment.config.get(*DATABASE)
        return former is not None and trac_database.is_same_login(former, now)

    def _fill(self, environment: t.Any, uri: str, dump: str | None) -> None:
        """Fill the database; what was in it comes back if that fails."""
        restore_mark.set_mark(self.holder)
        try:
            if self.item.kind == "sqlite":
                trac_database.destroy(environment)
                copies_convert.convert(self.new, uri, os.path.join(self.holder, "converted"))
            else:
                said = database_dump.load(environment, self._file, self.rows)
                self.report.warnings += database_objects.shown(said)
        except BaseException as e:
            if self.item.kind == "sqlite":  # dumps replace all or nothing
                self._undo(environment, dump, e)
            raise

    @staticmethod
    def _undo(environment: t.Any, dump: str | None, error: BaseException) -> None:
        try:
            if dump is None:
                trac_database.destroy(environment)
            else:
                database_dump.load(environment, dump, {})
        # Each driver has exceptions of its own.
        except Exception as e:  # noqa: BLE001
            raise EnvironmentFailure(
                f"{reason(error, environment.path)}; what the database held before could not be "
                f"put back ({reason(e, environment.path)}), and is in {dump}"
            ) from error

    def publish(self) -> None:
        """Take the place."""
        former = os.path.join(self.holder, restore_mark.FORMER)
        if self.there:
            restore_mark.set_mark(self.holder)
            if self.kept is None:
                former = self._archive_name()
            move_directory(self.path, former)
        try:
            os.rename(self.new, self.path)
        except OSError:
            if self.there:
                move_directory(former, self.path)
            raise
        if self.kept is not None:
            self._finish(former)
        elif self.there:
            self.report.archive = former

    def _archive_name(self) -> str:
        while True:
            stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
            name = f"{self.item.name}-{stamp}{_SUFFIX}"
            path = os.path.join(t.cast(str, self.restorer.archive), name)
            if not os.path.lexists(path):
                return path
            time.sleep(0.1)

    def _finish(self, former: str) -> None:
        """Let the former environment go, but not what is nowhere else."""
        try:
            self._keep_late(former)
        # Whatever a plugin or a database driver raises.
        except (Exception, SystemExit) as e:  # noqa: BLE001
            why = reason(e, former)
        else:
            shutil.rmtree(former)
            return
        self.report.archive = kept = self._moved_away(former)
        raise EnvironmentFailure(
            "it was restored, but what somebody may have written into the former environment "
            f"meanwhile could not be copied to the archive ({why}); all of the former environment "
            f"is kept in {kept}"
        )

    def keep_of_killed_run(self, former: str) -> None:
        """Keep what a run has replaced that was killed before it knew that it has a copy of all."""
        kept = self._moved_away(former)
        self.report.warnings.append(
            f"what an earlier run had replaced before it was killed is kept in {kept}"
        )

    def _moved_away(self, former: str) -> str:
        """Move a former environment to the archive, or else to where there is room for it."""
        path = self._archive_name() if self.restorer.archive else None
        if path is not None:
            with contextlib.suppress(OSError):
                move_directory(former, path)
                return path
        path = hidden_name(self.path, "replaced")
        move_directory(former, path)
        return path

    def _keep_late(self, former: str) -> None:
        """Keep what somebody wrote into the former environment after it was copied."""
        kept = t.cast(hot_copy.Copy, self.kept)
        ini = IniFile(os.path.join(former, "conf", "trac.ini"))
        with opened(environment_class()(former, ini.parser)) as environment:
            if trac_database.is_elsewhere(environment) and not trac_database.is_linked(environment):
                return  # it has been replaced, or stays
            if kept.is_current(environment):
                return
            copy = hot_copy.hot_copy(
                environment, self.item.name, t.cast(str, self.restorer.archive), _SUFFIX
            )
        self.report.archive = copy.path
        self.report.warnings.append(
            f"somebody worked in it while it was replaced; that is kept in {copy.path}"
        )


def _check_attachments(manifest: Document, new: str) -> None:
    """Refuse an archive that does not hold the attachments which its backup says it does."""
    found, wanted = backup_worker.attachments_in(new), manifest["attachments"]
    if found == wanted:
        return
    why = f"the archive holds other attachments ({found}) than its manifest says ({wanted})"
    walk = environment_links.Walk(new)
    for _entry in walk:
        pass
    led = [*walk.problems, *(f"{inside} leads to {to}" for inside, to in walk.followed.items())]
    if led:  # as backups of earlier versions may hold
        why += (
            ". It holds links instead of what these led to: " + "; ".join(led[:_LINKS_SHOWN]) + ". "
            "Put a copy of that where the links lead to, for the time of the restoration, or "
            "restore a later backup"
        )
    raise EnvironmentFailure(why)


def _warn(manifest: Document, report: Report) -> None:
    """Say what is not in the restored environment as it was in the former one."""
    lost = manifest.get("attachments_without_file")
    if lost and lost["number"]:
        report.warnings.append(trac_attachments.warning(lost["number"], lost["names"]))
    followed = manifest.get("links") or {}
    links = [f"{inside} was a link to {target}" for inside, target in followed.items()]
    if links:
        report.warnings.append(
            "what links led to is in the environment itself now: " + "; ".join(links[:_LINKS_SHOWN])
        )


def _scheme(uri: str) -> str:
    from trac.db.api import parse_connection_uri

    return str(parse_connection_uri(uri)[0])


def _name_findings(path: str, report: Report) -> None:
    """Name what does not load on this host, and what its trac.ini needs and is not here."""
    try:
        ini = IniFile(os.path.join(path, "conf", "trac.ini"))
        with opened(environment_class()(path, ini.parser)) as environment:
            report.warnings += trac_plugins.failed(environment)
            report.warnings += trac_findings.words(environment, ini)
    # It is restored, whatever its plugins raise.
    except (Exception, SystemExit) as e:  # noqa: BLE001
        report.warnings.append(f"it was restored, and Trac cannot open it: {reason(e, path)}")


def _note(item: Item, uri: str | None, there: bool, report: Report) -> None:
    """Say in words what is done."""
    if there:
        report.change("copy the environment that is replaced to the archive", [], [])
    before = ["environment"] if there else []
    report.change("restore the environment", before, ["environment from the backup"])
    if uri and _scheme(uri) != item.kind:
        report.change(
            f"move its database from {item.kind} to {_scheme(uri)}",
            [f"database {item.kind}"],
            [f"database {_scheme(uri)}"],
        )


def run(payload: t.Mapping[str, t.Any], output: int | None = None) -> t.Iterator[Document]:
    """Restore all environments; yields what happens, as documents for JSON."""
    missing = backup_worker.load_trac()
    if missing:
        yield missing
        return
    items = [Item(*fields) for fields in payload["items"]]
    restorer = Restorer(payload)

    def restore(item: Item) -> Document:
        return restorer.restore(item).to_json()

    with contextlib.ExitStack() as stack:
        if not restorer.check:
            stack.enter_context(locked(restorer.directory, LOCK_TIMEOUT))
            restore_mark.clean_up(restorer.directory)
        for event in processes.work(restore, items, output):
            if event.death is not None:
                report = Report(items[event.job].name)
                report.failure = f"the process that worked on it ended with {event.death}"
                yield {"event": "report", "report": report.to_json()}
            elif event.result is not None:
                yield {"event": "report", "report": event.result}
    yield {"event": "end"}


def serve(payload: t.Mapping[str, t.Any], output: t.TextIO) -> None:
    """Restore all environments; writes one JSON document a line."""
    os.umask(_UMASK)
    with answering("restore", output, payload["directory"]):
        for event in run(payload, output.fileno()):
            say(output, event)
