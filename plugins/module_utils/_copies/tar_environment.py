# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pack a copy of an environment into one compressed file, and unpack it without trusting it.

A tar file can name any path and lead anywhere by links. What is unpacked here are directories,
files and symbolic links below one directory; the links come last, so that nothing is ever written
through one.
"""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import os
import stat
import tarfile
import typing as t
import zlib

_BLOCK = 1 << 20
_LEVEL = 6  # of 9; what comes after it costs much more time than it saves room
_DAMAGED = (tarfile.TarError, EOFError, zlib.error, ValueError)


class ArchiveFailure(Exception):
    """Why a file cannot be packed, or is no good."""


class Packed(t.NamedTuple):
    """What has been packed, as it was read back."""

    names: frozenset[str]  # of the files, with that of the directory before each
    bytes: int  # before they were compressed
    size: int  # of the packed file
    sha256: str


class _Hashing:
    """A file that remembers the checksum of what was read from it or written into it."""

    def __init__(self, file: t.IO[bytes]) -> None:
        self._file = file
        self.digest = hashlib.sha256()
        self.size = 0

    def _take(self, data: bytes) -> bytes:
        self.digest.update(data)
        self.size += len(data)
        return data

    def read(self, size: int = -1) -> bytes:
        return self._take(self._file.read(size))

    def write(self, data: bytes) -> int:
        self._file.write(self._take(data))
        return len(data)

    def flush(self) -> None:
        self._file.flush()


def pack(path: str, name: str, target: str) -> Packed:
    """Pack a directory into a new file, as a directory of this name, and compare."""
    digests: dict[str, bytes] = {}
    with open(target, "xb") as file:
        hashing = _Hashing(file)
        # No time and no name in the header: the same content makes the same file.
        output = t.cast(t.IO[bytes], hashing)
        with gzip.GzipFile("", "wb", _LEVEL, output, mtime=0) as compressed, tarfile.open(
            fileobj=compressed, mode="w|", format=tarfile.PAX_FORMAT
        ) as tar:
            total = _add(tar, path, name, digests)
        file.flush()
    packed = _digests(target)
    if packed != digests:
        raise ArchiveFailure(f"{target} does not hold what was put into it")
    return Packed(frozenset(packed), total, hashing.size, hashing.digest.hexdigest())


def _add(tar: tarfile.TarFile, path: str, name: str, digests: dict[str, bytes]) -> int:
    """Add a directory with all that is in it; returns the sizes of its files."""
    tar.addfile(_member(tar, path, name))
    total = 0
    for entry in sorted(os.scandir(path), key=lambda entry: entry.name):
        inner = f"{name}/{entry.name}"
        if entry.is_dir(follow_symlinks=False):
            total += _add(tar, entry.path, inner, digests)
            continue
        member = _member(tar, entry.path, inner)
        if not member.isreg():
            tar.addfile(member)
            continue
        with open(entry.path, "rb") as file:
            hashing = _Hashing(file)
            tar.addfile(member, t.cast(t.IO[bytes], hashing))
        digests[inner] = hashing.digest.digest()
        total += member.size
    return total


def _member(tar: tarfile.TarFile, path: str, name: str) -> tarfile.TarInfo:
    member = tar.gettarinfo(path, name)
    if member.type == tarfile.LNKTYPE:  # a second name of a file; both hold its content
        member.type, member.linkname = tarfile.REGTYPE, ""
        member.size = os.lstat(path).st_size
    member.uid = member.gid = 0
    member.uname = member.gname = ""
    return member


def _digests(path: str) -> dict[str, bytes]:
    """The checksums of all files that are packed in a file."""
    found = {}
    with open(path, "rb") as file:
        for member, content in _members(file):
            if content is not None:
                found[member.name] = _copy(content, None)
    return found


def _members(file: t.IO[bytes]) -> t.Iterator[tuple[tarfile.TarInfo, t.IO[bytes] | None]]:
    """The members of a packed file, each with its content; reads to the end of the file."""
    with gzip.GzipFile(fileobj=file) as compressed:
        with tarfile.open(fileobj=compressed, mode="r|") as tar:
            for member in tar:
                yield member, tar.extractfile(member) if member.isreg() else None
        while compressed.read(_BLOCK):  # its checksum stands behind everything
            pass


def _copy(source: t.IO[bytes], target: t.IO[bytes] | None) -> bytes:
    digest = hashlib.sha256()
    while True:
        block = source.read(_BLOCK)
        if not block:
            return digest.digest()
        digest.update(block)
        if target is not None:
            target.write(block)


def unpack_one(file: t.IO[bytes], name: str, target: str) -> None:
    """Unpack one member, a file, as a new file; of the others nothing is written."""
    try:
        for member, content in _members(file):
            if member.name == name and content is not None:
                with open(target, "xb") as found:
                    _copy(content, found)
                return
    except _DAMAGED as e:
        raise ArchiveFailure(f"the archive is damaged ({e})") from e
    raise ArchiveFailure(f"the archive holds no file {name!r}")


def unpack(file: t.IO[bytes], name: str, target: str, size: int) -> None:
    """Unpack the directory of this name as a new one, whose files have so many bytes at most."""
    try:
        _Unpacking(name, target, size).all(file)
    except _DAMAGED as e:
        raise ArchiveFailure(f"the archive is damaged ({e})") from e
    # What gzip says of a file that is none of its own.
    except OSError as e:
        if e.errno is not None:
            raise
        raise ArchiveFailure(f"the archive is damaged ({e})") from e


def content_of(file: t.IO[bytes], member: str, largest: int) -> bytes | None:
    """What one file of a packed directory holds; None where there is none, or a larger one."""
    try:
        for found, content in _members(file):
            if found.name == member and content is not None and found.size <= largest:
                return content.read()
    except (*_DAMAGED, OSError) as e:
        raise ArchiveFailure(f"the archive is damaged ({e})") from e
    return None


class _Unpacking:
    """Unpacks one directory."""

    def __init__(self, name: str, target: str, size: int) -> None:
        self.name = name
        self.target = target
        self.left = size
        self.directories: dict[str, tarfile.TarInfo] = {}
        self.links: dict[str, str] = {}
        self.seen: set[str] = set()

    def all(self, file: t.IO[bytes]) -> None:
        """Unpack a packed file."""
        for member, content in _members(file):
            path = self._place(member)
            if member.isdir():
                os.mkdir(path, 0o700)
                self.directories[path] = member
            elif member.issym():
                self.links[path] = member.linkname
            elif content is not None:
                self._file(path, member, content)
            else:
                raise ArchiveFailure(
                    f"the archive holds {member.name!r}, which is no file, directory or symbolic "
                    "link; nothing of it was used"
                )
        if self.target not in self.directories:
            raise ArchiveFailure(f"the archive holds no directory {self.name!r}")
        for path, destination in self.links.items():
            os.symlink(destination, path)
        for path, member in reversed(list(self.directories.items())):
            os.chmod(path, member.mode & 0o2770 | 0o700)
            os.utime(path, (member.mtime, member.mtime))

    def _place(self, member: tarfile.TarInfo) -> str:
        """Where a member belongs; fails for one that leads elsewhere."""
        parts = member.name.split("/")
        bad = parts[0] != self.name or not {"", ".", ".."}.isdisjoint(parts)
        path = os.path.join(self.target, *parts[1:])
        parent = os.path.dirname(path)
        if bad or "\0" in member.name or (len(parts) > 1 and parent not in self.directories):
            raise ArchiveFailure(
                f"the archive holds {member.name!r}, which is not in the directory {self.name!r}; "
                "nothing of it was used"
            )
        if path in self.seen:
            raise ArchiveFailure(f"the archive holds {member.name!r} twice; nothing of it was used")
        self.seen.add(path)
        return path

    def _file(self, path: str, member: tarfile.TarInfo, content: t.IO[bytes]) -> None:
        self.left -= member.size
        if self.left < 0:
            raise ArchiveFailure(
                "the archive holds more than its manifest says; nothing of it was used"
            )
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
        with open(os.open(path, flags, 0o600), "wb") as file:
            _copy(content, file)
            file.flush()
            if os.fstat(file.fileno()).st_size != member.size:
                raise ArchiveFailure(f"the archive is damaged ({member.name!r} is cut off)")
            os.fchmod(file.fileno(), stat.S_IMODE(member.mode) & 0o770 | 0o600)
        with contextlib.suppress(OSError):
            os.utime(path, (member.mtime, member.mtime))
