# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Make archives of environments, as the account that owns them, and send them to whoever asked.

The account keeps none of them: it could lose all at once to whoever breaks into Trac.
"""

from __future__ import annotations

import contextlib
import gc
import os
import shutil
import typing as t

from ansible_collections.trac.mod_wsgi.plugins.module_utils._backup import backup_files
from ansible_collections.trac.mod_wsgi.plugins.module_utils._copies import (
    database_dump,
    hot_copy,
    tar_environment,
)
from ansible_collections.trac.mod_wsgi.plugins.module_utils._core import (
    processes,
    secrets,
    worker_process,
)
from ansible_collections.trac.mod_wsgi.plugins.module_utils._core.held_directory import (
    abandoned,
    held_directory,
    pattern_of,
)
from ansible_collections.trac.mod_wsgi.plugins.module_utils._trac import (
    attachments as trac_attachments,
)
from ansible_collections.trac.mod_wsgi.plugins.module_utils._trac import database as trac_database
from ansible_collections.trac.mod_wsgi.plugins.module_utils._trac import (
    database_objects,
    environment_links,
    opening,
    restore_mark,
)
from ansible_collections.trac.mod_wsgi.plugins.module_utils._trac.environment_spec import (
    EnvironmentFailure,
)
from ansible_collections.trac.mod_wsgi.plugins.module_utils._trac.ini import IniFile
from ansible_collections.trac.mod_wsgi.plugins.module_utils._trac.worker_answers import (
    answering,
    say,
)

_STAGING = ".backup-"
_UMASK = 0o077
_BLOCK = 1 << 20
_RESERVE = 16 * 1024 * 1024  # bytes that have to stay free

Document = t.Dict[str, t.Any]


def environments_in(directory: str) -> list[str]:
    """The names of all environments in a directory."""
    return sorted(
        entry.name
        for entry in os.scandir(directory)
        if not entry.name.startswith(".") and os.path.isfile(os.path.join(entry.path, "VERSION"))
    )


class _Backup:
    """One run."""

    def __init__(self, payload: t.Mapping[str, t.Any], staging: str) -> None:
        self.directory: str = payload["directory"]
        self.check: bool = payload["check"]
        self.staging = staging

    def back_up(self, name: str) -> Document:
        """Make the archive of one environment, or find out whether it could be made."""
        path = os.path.join(self.directory, name)
        redactor = secrets.Redactor()
        try:
            return self._archive(name, path, redactor)
        # One environment must not stop the others, whatever a plugin or a database driver raises.
        except (Exception, SystemExit) as e:  # noqa: BLE001
            failure = isinstance(e, tar_environment.ArchiveFailure)
            why = str(e) if failure else opening.reason(e, path)
            return {"failure": redactor.redact(why)}

    def _archive(self, name: str, path: str, redactor: secrets.Redactor) -> Document:
        if not backup_files.is_name(name):
            raise EnvironmentFailure("its name cannot be a part of the name of a file")
        if not os.path.isfile(os.path.join(path, "VERSION")):
            raise EnvironmentFailure(f"{path} is no Trac environment (it has no file VERSION)")
        half_restored = restore_mark.unfinished(self.directory)
        if name in half_restored:
            raise EnvironmentFailure(restore_mark.problem(path, half_restored[name]))
        ini = IniFile(os.path.join(path, "conf", "trac.ini"))
        for option, value in ini.secrets():
            redactor.learn(option, value)
        with opening.opened(opening.environment_class()(path, ini.parser)) as environment:
            trac_database.check_driver(environment)
            hot_copy.check_tools(environment)
            self._check_room(environment)
            if self.check:
                return {"archive": None, "warnings": self._predicted(environment)}
            return self._packed(environment, name)

    @staticmethod
    def _predicted(environment: t.Any) -> list[str]:
        """Fail where no archive could be made; what would be said of one."""
        missing = environment_links.check(environment.path)
        with trac_database.connected(environment) as connection:
            rows = hot_copy.attachments_of(environment, connection)
        lost = trac_attachments.without_file(rows, trac_attachments.in_directory(environment.path))
        return _said_of_lost(lost) + _lacks(missing)

    def _check_room(self, environment: t.Any) -> None:
        """Refuse to begin what cannot be ended; the copy and its archive are there at once."""
        needed = 2 * _size(environment) + _RESERVE
        check_room(self.staging, needed, "the copy of the environment")

    def _packed(self, environment: t.Any, name: str) -> Document:
        copy = os.path.join(self.staging, name)
        target = os.path.join(self.staging, f"{name}{backup_files.ARCHIVE}")
        os.mkdir(copy)
        try:
            filled = hot_copy.fill(environment, copy)
            os.chmod(copy, os.stat(environment.path).st_mode & 0o7777)
            database = os.path.relpath(hot_copy.database_in(environment, copy), copy)
            manifest = {
                "format": backup_files.FORMAT,
                "name": name,
                **_versions(environment),
                "database": {
                    "kind": database_dump.kind(environment),
                    "file": database,
                    "schema": database_dump.schema(environment),
                    "left_out": filled.left_out,
                },
                "rows": filled.rows,
                "attachments": attachments_in(copy),
                "attachments_without_file": {
                    "number": len(filled.lost),
                    "names": trac_attachments.shown(filled.lost),
                },
                "links": filled.followed,
            }
            packed = tar_environment.pack(copy, name, target)
            _check_attachments(copy, name, filled, packed.names)
        finally:
            shutil.rmtree(copy, ignore_errors=True)
        manifest["files"], manifest["bytes"] = len(packed.names), packed.bytes
        manifest["archive"] = {"size": packed.size, "sha256": packed.sha256}
        archive = {"file": target, "manifest": manifest}
        return {"archive": archive, "warnings": _said_of(filled)}


def _check_attachments(
    copy: str, name: str, filled: hot_copy.Filled, names: t.Container[str]
) -> None:
    """Refuse an archive without the file of an attachment that is not known to be lost."""
    real = os.path.realpath(copy)

    def is_packed(inside: str) -> bool:
        if f"{name}/{inside}" in names:
            return True
        # Links within the environment are packed as links.
        led = os.path.relpath(os.path.realpath(os.path.join(copy, inside)), real)
        return f"{name}/{led}" in names

    missing = trac_attachments.without_file(filled.attachments, is_packed)
    if missing != filled.lost:
        lacking = [row for row in missing if row not in filled.lost]
        raise EnvironmentFailure(
            f"the archive lacks {len(lacking)} of {len(filled.attachments)} attachments: "
            + "; ".join(trac_attachments.shown(lacking))
        )


def _said_of_lost(lost: t.Sequence[trac_attachments.Row]) -> list[str]:
    """Warnings about attachments that were lost before."""
    return [trac_attachments.warning(len(lost), trac_attachments.shown(lost))] if lost else []


def _said_of(filled: hot_copy.Filled) -> list[str]:
    """Warnings about what a backup does not hold."""
    return _said_of_lost(filled.lost) + _lacks(filled.left_out) + _lacks(filled.missing)


def _lacks(missing: t.Sequence[str]) -> list[str]:
    return [f"the backup does not hold {text}" for text in database_objects.shown(missing)]


def check_room(directory: str, needed: int, what: str) -> None:
    """Refuse to write so many bytes where there are fewer."""
    free = shutil.disk_usage(directory).free
    if free < needed:
        raise EnvironmentFailure(
            f"{what} needs {_mebibytes(needed)} in {directory}, "
            f"and only {_mebibytes(free)} are free there"
        )


def _mebibytes(size: int) -> str:
    return f"{-(-size // (1 << 20))} MiB"


def _size(environment: t.Any) -> int:
    """The bytes of what belongs to an environment, an SQLite database included."""
    file = trac_database.sqlite_file(environment)
    paths = {entry.path for entry in environment_links.Walk(environment.path)}
    if file is not None:
        paths.add(file)
    total = 0
    for path in paths:
        with contextlib.suppress(OSError):
            total += os.stat(path).st_size
    return total


def _versions(environment: t.Any) -> Document:
    import trac

    version: object = None
    with contextlib.suppress(Exception):  # a database that holds nothing yet
        version = environment.database_version
    return {"trac": trac.__version__, "database_version": version}


def attachments_in(path: str) -> dict[str, int]:
    """How many attachments are in an environment's directory, and how large they are together."""
    count = size = 0
    for directory, _directories, files in os.walk(os.path.join(path, "files", "attachments")):
        for name in files:
            status = os.lstat(os.path.join(directory, name))
            count, size = count + 1, size + status.st_size
    return {"files": count, "bytes": size}


def load_trac() -> Document | None:
    """Load Trac once for all environments; an event if that cannot be done."""
    try:
        opening.load_trac()
    # Not only ImportError: an unfit Python or setuptools shows itself in many ways.
    except Exception as e:  # noqa: BLE001
        return {"event": "no_trac", "reason": f"{type(e).__name__}: {e}"}
    gc.collect()
    gc.freeze()
    return None


def _run(payload: t.Mapping[str, t.Any], output: t.TextIO) -> None:
    missing = load_trac()
    if missing:
        say(output, missing)
        return
    names: list[str] | None = payload["environments"]
    if names is None:
        names = environments_in(payload["directory"])
    say(output, {"event": "names", "names": names})
    abandoned(payload["staging"], pattern_of(r"\.backup-"))
    with contextlib.ExitStack() as stack:
        staging = payload["staging"]
        if not payload["check"]:
            staging = stack.enter_context(held_directory(staging, _STAGING))
        run = _Backup(payload, staging)
        for event in processes.work(run.back_up, names, output.fileno()):
            name = names[event.job]
            if event.death is not None:
                reason = f"the process that worked on it ended with {event.death}"
                say(output, {"event": "failure", "name": name, "reason": reason})
            elif event.result is None:
                say(output, {"event": "begin", "name": name})
            elif "failure" in event.result:
                say(output, {"event": "failure", "name": name, "reason": event.result["failure"]})
            else:
                archive, warnings = event.result["archive"], event.result["warnings"]
                manifest = archive and archive["manifest"]
                said = {"event": "archive", "name": name, "manifest": manifest}
                say(output, {**said, "warnings": warnings})
                if archive:
                    _send(archive["file"], output)
    say(output, {"event": "end"})


def _send(path: str, output: t.TextIO) -> None:
    with open(path, "rb") as file:
        while True:
            block = file.read(_BLOCK)
            if not block:
                break
            worker_process.write_data(output, block)
    os.unlink(path)
    say(output, {"event": "sent"})


def serve(payload: t.Mapping[str, t.Any], output: t.TextIO) -> None:
    """Make the archives of all environments; writes events, and the archives between them."""
    os.umask(_UMASK)
    with answering("backup", output, payload["directory"]):
        _run(payload, output)
