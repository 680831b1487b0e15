# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The files of a backup: what they are called, whether they are good, and which may go.

A backup of the environment `project` is three files, of which the checksums appear last, so that a
backup without them is none:

- ``project-20270131T120000Z.tar.gz``, the environment and its database,
- ``project-20270131T120000Z.json``, what it holds (the manifest),
- ``project-20270131T120000Z.sha256``, the checksums of both, as `sha256sum --check` reads them.
"""

from __future__ import annotations

import calendar
import contextlib
import hashlib
import json
import os
import re
import secrets
import stat
import time
import typing as t

from ansible_collections.trac.mod_wsgi.plugins.module_utils._core import answer_shapes
from ansible_collections.trac.mod_wsgi.plugins.module_utils._core.sync import sync_directory

ARCHIVE, MANIFEST, CHECKSUMS = ".tar.gz", ".json", ".sha256"
FORMAT = 1
_ENDINGS = (CHECKSUMS, MANIFEST, ARCHIVE)
_STAMP = "%Y%m%dT%H%M%SZ"
_FILE = re.compile(r"(?P<name>.+)-(?P<stamp>[0-9]{8}T[0-9]{6}Z)\.tar\.gz\Z", re.DOTALL)
_PARTIAL = re.compile(r"\..+\.[0-9a-f]{8}\.partial\Z", re.DOTALL)
_LARGEST_MANIFEST = 16 * 1024 * 1024  # bytes
_BLOCK = 1 << 20
_LONGEST_NAME = 150  # bytes, with room for the rest of a file's name

Manifest = t.Dict[str, t.Any]


class BackupFailure(Exception):
    """Why a backup cannot be made or used."""


class Backup(t.NamedTuple):
    """A complete backup."""

    name: str  # of the environment
    made: float  # seconds since 1970
    path: str  # of its archive

    @property
    def files(self) -> list[str]:
        """Everything that belongs to it, in the order in which it has to go."""
        return [beside(self.path, ending) for ending in _ENDINGS]


def is_name(name: str) -> bool:
    """Whether an environment of this name can be told apart in the names of files."""
    return (
        name.isprintable()  # so that it can be encoded
        and 0 < len(os.fsencode(name)) <= _LONGEST_NAME
        and name[0] not in ".-"
        and "/" not in name
    )


def beside(archive: str, ending: str) -> str:
    """Another file of the same backup."""
    return archive[: -len(ARCHIVE)] + ending


def parse(path: str) -> Backup | None:
    """What the name of an archive says."""
    found = _FILE.match(os.path.basename(path))
    if found is None or not is_name(found.group("name")):
        return None
    try:
        made = calendar.timegm(time.strptime(found.group("stamp"), _STAMP))
    except ValueError:
        return None
    return Backup(found.group("name"), made, path)


def complete(directory: str) -> list[Backup]:
    """The complete backups in a directory, the newest of each environment first."""
    entries = set(os.listdir(directory))
    found = []
    for entry in entries:
        backup = parse(os.path.join(directory, entry))
        if backup and all(os.path.basename(file) in entries for file in backup.files):
            found.append(backup)
    return sorted(found, key=lambda backup: (backup.name, -backup.made))


def newest(directory: str, name: str) -> Backup:
    """The newest complete backup of an environment."""
    try:
        backups = [backup for backup in complete(directory) if backup.name == name]
    except FileNotFoundError:
        backups = []
    if not backups:
        raise BackupFailure(f"there is no backup of it in {directory}")
    return backups[0]


def check_directory(directory: str) -> None:
    """Refuse a directory in which somebody else could change or remove backups."""
    try:
        status = os.lstat(directory)
    except FileNotFoundError:
        raise BackupFailure(f"there is no directory {directory} for the backups") from None
    if not stat.S_ISDIR(status.st_mode):
        raise BackupFailure(f"{directory} is no directory, but backups have to go there")
    if status.st_uid != os.geteuid() or stat.S_IMODE(status.st_mode) & 0o077:
        raise BackupFailure(
            f"{directory} has to belong to the account that makes the backups and to be closed to "
            f"others, so that nobody can read or destroy them; set it right with: "
            f"chown root:root {directory}; chmod 0700 {directory}"
        )


class Writer:
    """Writes one backup; nothing has its final name before everything is on the disk."""

    def __init__(self, directory: str, name: str, size: int) -> None:
        self.directory = directory
        self._size = self._left = size  # bytes of the archive
        self._token = secrets.token_hex(4)
        self._digest = hashlib.sha256()
        while True:
            stamp = time.strftime(_STAMP, time.gmtime())
            self.path = os.path.join(directory, f"{name}-{stamp}{ARCHIVE}")
            if not any(os.path.lexists(beside(self.path, ending)) for ending in _ENDINGS):
                break
            time.sleep(0.1)
        self._file = self._create(self._partial(self.path))

    @staticmethod
    def _create(path: str) -> t.IO[bytes]:
        return open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb")

    def _partial(self, path: str) -> str:
        return os.path.join(self.directory, f".{os.path.basename(path)}.{self._token}.partial")

    def write(self, data: bytes) -> None:
        """Add to the archive, but no more than was announced."""
        self._left -= len(data)
        if self._left < 0:
            raise BackupFailure(f"its archive is longer than the {self._size} bytes it should have")
        self._digest.update(data)
        self._file.write(data)

    def finish(self, manifest: Manifest, sha256: str) -> Backup:
        """Make the backup complete, if the archive is what its maker says that it is."""
        _sync(self._file)
        self._file.close()
        if self._digest.hexdigest() != sha256 or _sha256(self._partial(self.path)) != sha256:
            raise BackupFailure("what was written is not what was sent")
        text = _written(manifest)
        archive, manifest_path = self.path, beside(self.path, MANIFEST)
        sums = f"{sha256}  {os.path.basename(archive)}\n"
        sums += f"{hashlib.sha256(text.encode()).hexdigest()}  {os.path.basename(manifest_path)}\n"
        texts = {manifest_path: text, beside(archive, CHECKSUMS): sums}
        for path, content in texts.items():
            with self._create(self._partial(path)) as file:
                file.write(content.encode())
                _sync(file)
        for path in (archive, *texts):  # the checksums last
            os.rename(self._partial(path), path)
        sync_directory(self.directory)
        backup = parse(archive)
        if backup is None:
            raise BackupFailure(f"{archive} is no name of a backup")
        return backup

    def discard(self) -> None:
        """Remove what has no final name."""
        with contextlib.suppress(OSError):
            self._file.close()
        for ending in _ENDINGS:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self._partial(beside(self.path, ending)))


def _sync(file: t.IO[bytes]) -> None:
    file.flush()
    os.fsync(file.fileno())


def _sha256(path: str) -> str:
    with open(path, "rb") as file:
        return sha256_of(file)


def sha256_of(file: t.IO[bytes]) -> str:
    """The checksum of the rest of a file."""
    digest = hashlib.sha256()
    while True:
        block = file.read(_BLOCK)
        if not block:
            return digest.hexdigest()
        digest.update(block)


def remove_partial(directory: str) -> list[str]:
    """Remove what a killed run left behind; nobody else may be writing."""
    entries = os.listdir(directory)
    left = [entry for entry in entries if _PARTIAL.match(entry)]
    # Files with their final names, but no checksums.
    whole = {os.path.basename(file) for backup in complete(directory) for file in backup.files}
    for entry in entries:
        stem = entry[: -len(MANIFEST)] if entry.endswith(MANIFEST) else entry[: -len(ARCHIVE)]
        known = entry.endswith((MANIFEST, ARCHIVE)) and parse(stem + ARCHIVE) is not None
        if known and entry not in whole:
            left.append(entry)
    for entry in left:
        os.unlink(os.path.join(directory, entry))
    return sorted(left)


def superfluous(
    backups: t.Iterable[Backup], name: str, keep_days: int, keep_last: int, now: float
) -> list[Backup]:
    """The backups of an environment that are old, but for so many of the newest."""
    mine = sorted((each for each in backups if each.name == name), key=lambda each: -each.made)
    oldest = now - keep_days * 86400
    return [backup for backup in mine[max(1, keep_last) :] if backup.made < oldest]


def remove(backup: Backup) -> None:
    """Remove a backup; without its checksums it is none, so these go first."""
    for path in backup.files:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)


def opened(archive: str) -> tuple[t.IO[bytes], Manifest]:
    """An archive whose checksum is right, from its beginning, and its manifest."""
    sums = {}
    for line in _text(beside(archive, CHECKSUMS)).splitlines():
        digest, dummy, name = line.partition("  ")
        sums[name] = digest
    text = _text(beside(archive, MANIFEST))
    if sums.get(os.path.basename(beside(archive, MANIFEST))) != _sha256_of_text(text):
        raise BackupFailure(f"the checksum of {beside(archive, MANIFEST)} is wrong")
    manifest = _manifest(text, archive)
    file = _open(archive)
    try:
        if sums.get(os.path.basename(archive)) != sha256_of(file):
            raise BackupFailure(
                f"the checksum of {archive} is wrong: it is damaged or has been changed"
            )
        file.seek(0)
    except BaseException:
        file.close()
        raise
    return file, manifest


def _sha256_of_text(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()


def _open(path: str) -> t.IO[bytes]:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    except OSError as e:
        raise BackupFailure(f"{path} cannot be read: {e.strerror}") from e
    file = os.fdopen(descriptor, "rb")
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        file.close()
        raise BackupFailure(f"{path} is no file")
    return file


def _text(path: str) -> str:
    with _open(path) as file:
        return file.read(_LARGEST_MANIFEST).decode("utf-8", "surrogateescape")


def _written(manifest: Manifest) -> str:
    """A manifest as it is kept, in UTF-8 and short enough to be read."""
    try:
        text = json.dumps(manifest, indent=2, sort_keys=True, ensure_ascii=False) + "\n"
        size = len(text.encode())
    except (ValueError, TypeError, RecursionError):
        raise BackupFailure("its manifest is broken: it cannot be written") from None
    if size > _LARGEST_MANIFEST:
        raise BackupFailure(f"its manifest is longer than {_LARGEST_MANIFEST} bytes")
    return text


def _manifest(text: str, archive: str) -> Manifest:
    path = beside(archive, MANIFEST)
    try:
        manifest = json.loads(text)
    except (ValueError, RecursionError):
        manifest = None
    if isinstance(manifest, dict) and manifest.get("format", FORMAT) != FORMAT:
        raise BackupFailure(
            f"{archive} has the format {manifest['format']!r}, and only {FORMAT} can be read"
        )
    why = problem(manifest)
    if why is not None:
        raise BackupFailure(f"{path} is no manifest of a backup: {why}")
    return t.cast(Manifest, manifest)


def _sha256_text(value: t.Any) -> bool:
    return isinstance(value, str) and re.fullmatch(r"[0-9a-f]{64}", value) is not None


_SHAPE = {
    "format": answer_shapes.number,
    "name": lambda value: isinstance(value, str) and is_name(value),
    "database": answer_shapes.record(
        {
            "kind": answer_shapes.text,
            "file": answer_shapes.text,
            "schema": answer_shapes.maybe(answer_shapes.text),
        }
    ),
    "rows": answer_shapes.table(answer_shapes.number),
    "attachments": answer_shapes.record(
        {"files": answer_shapes.number, "bytes": answer_shapes.number}
    ),
    "files": answer_shapes.number,
    "bytes": answer_shapes.number,
    "archive": answer_shapes.record({"size": answer_shapes.number, "sha256": _sha256_text}),
}
# Backups made by earlier versions have none of these.
_OPTIONAL = {
    "attachments_without_file": answer_shapes.record(
        {"number": answer_shapes.number, "names": answer_shapes.items(answer_shapes.text)}
    ),
    "links": answer_shapes.table(answer_shapes.text),
}


def problem(manifest: t.Any) -> str | None:
    """What is wrong with a manifest, which the service account has written; None if it is good."""
    if not isinstance(manifest, dict):
        return "it is no dictionary"
    there = {key: check for key, check in _OPTIONAL.items() if key in manifest}
    return answer_shapes.fault(manifest, {**_SHAPE, **there})
