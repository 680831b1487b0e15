# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Take over environments that somebody else has made: give them to the service account.

This runs as root, in directories where the service account or others may put what they like, also
while this runs. So nothing is reached by a path that could be bent: each directory is opened in its
parent, no link is followed, and a file is looked at, and changed, through one descriptor. What root
cannot know to be a plain part of an environment is named and left alone:

- symbolic links, devices, sockets and pipes, and whatever is on another file system;
- files with more than one name, of which another may be anywhere (/etc/shadow, for one);
- files and directories of an account that has no business there. Those of root, of Apache, of the
  service account and of whoever owns the environment's directory are expected.

The environment's directory itself is given away last. As long as it is not the service account's,
a run that was killed is continued by the next one.
"""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import grp
import os
import pwd
import stat
import typing as t

from ansible_collections.trac.mod_wsgi.plugins.module_utils._core import sqlite_journal

DIRECTORY_MODE = 0o2770
FILE_MODE = 0o0660
_EXECUTABLE = 0o0110
# Where attached files are. There may be many thousands, so it is only entered while an environment
# is taken over, not by each run.
_LARGE = ("files", "attachments")
_APACHE = "www-data"
_SHOWN = 10  # items in a list

DIRECTORY_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
FILE_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class AdoptionFailure(Exception):
    """Why an environment cannot be taken over; nothing was changed then."""


class Owner(t.NamedTuple):
    """The service account and its group."""

    uid: int
    gid: int


@dataclasses.dataclass
class Mending:
    """What was mended in an environment, or would be, and what was left alone."""

    adopted: bool = False  # it was not the service account's before
    before: list[str] = dataclasses.field(default_factory=list)
    after: list[str] = dataclasses.field(default_factory=list)
    left: list[str] = dataclasses.field(default_factory=list)

    @property
    def changed(self) -> bool:
        """Whether anything is, or would be, changed."""
        return bool(self.after)

    def words(self) -> str:
        """The change in words."""
        number = len(self.after)
        return f"mend owner and mode of {number} {'file' if number == 1 else 'files'}" + (
            " and directories" if number != 1 else " or directory"
        )


def shown(items: t.Sequence[str]) -> list[str]:
    """A list that is not too long to read."""
    rest = len(items) - _SHOWN
    return [*items[:_SHOWN], *([f"... and {rest} more"] if rest > 0 else [])]


def account_name(number: int, group: bool = False) -> str:
    """The name of an account or a group; its number if it has none."""
    try:
        return grp.getgrgid(number).gr_name if group else pwd.getpwuid(number).pw_name
    except KeyError:
        return str(number)


def expected_owners(owner: Owner, top: int) -> set[int]:
    """Whose files are expected in an environment."""
    with contextlib.suppress(KeyError):
        return {0, owner.uid, top, pwd.getpwnam(_APACHE).pw_uid}
    return {0, owner.uid, top}


def kind_problem(status: os.stat_result, device: int) -> str | None:
    """Why something is no plain part of an environment, whoever owns it."""
    if stat.S_ISLNK(status.st_mode):
        return "is a symbolic link"
    if not stat.S_ISREG(status.st_mode) and not stat.S_ISDIR(status.st_mode):
        return "is neither file nor directory"
    if status.st_dev != device:
        return "is on another file system"
    return None


def owner_problem(status: os.stat_result, expected: t.Container[int]) -> str | None:
    """Why something is not the environment's to give away."""
    if status.st_uid not in expected:
        return f"belongs to {account_name(status.st_uid)}"
    if stat.S_ISREG(status.st_mode) and status.st_nlink > 1:
        return f"has {status.st_nlink} names (hard links)"
    return None


def mended_mode(status: os.stat_result) -> int:
    """The mode that Trac gives its files, which stay executable if they are."""
    if stat.S_ISDIR(status.st_mode):
        return DIRECTORY_MODE
    return FILE_MODE | (stat.S_IMODE(status.st_mode) & _EXECUTABLE)


def is_usable(status: os.stat_result, gid: int) -> bool:
    """Whether the group may do what the owner may, as with what Apache makes in embedded mode."""
    rights = 0o070 if stat.S_ISDIR(status.st_mode) else 0o060
    return status.st_gid == gid and status.st_mode & rights == rights


def is_link(error: OSError) -> bool:
    """Whether something was not opened because it is no directory, but perhaps a link to one."""
    return isinstance(error, NotADirectoryError) or error.errno == errno.ELOOP


@contextlib.contextmanager
def opened(name: str, flags: int, directory: int | None = None) -> t.Iterator[int]:
    """A descriptor of what stands in a directory."""
    descriptor = os.open(name, flags, dir_fd=directory)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


class _Mender:
    """Goes through one environment."""

    def __init__(self, owner: Owner, top: os.stat_result, check: bool) -> None:
        self.owner = owner
        self.device = top.st_dev
        self.expected = expected_owners(owner, top.st_uid)
        self.check = check
        self.result = Mending(adopted=top.st_uid != owner.uid)

    def leave(self, path: str, why: str) -> None:
        self.result.left.append(f"{path} {why}")

    def enter(self, directory: int, path: str) -> None:
        """Mend what is in a directory."""
        for name in sorted(os.listdir(directory)):
            if not path and name in _LARGE and not self.result.adopted:
                continue
            with contextlib.suppress(FileNotFoundError):  # removed meanwhile
                self.entry(directory, name, os.path.join(path, name))

    def entry(self, directory: int, name: str, path: str) -> None:
        status = os.stat(name, dir_fd=directory, follow_symlinks=False)
        why = kind_problem(status, self.device)
        if why:
            if stat.S_ISLNK(status.st_mode):
                why += f" to {os.readlink(name, dir_fd=directory)}"
            if self.result.adopted:
                self.leave(path, why)
            return
        if not stat.S_ISDIR(status.st_mode) and not self.in_need(status):
            return
        try:
            flags = DIRECTORY_FLAGS if stat.S_ISDIR(status.st_mode) else FILE_FLAGS
            with opened(name, flags, directory) as descriptor:
                status = os.fstat(descriptor)  # of what was opened, whatever stood there before
                if self.result.adopted and path.endswith(sqlite_journal.ENDING):
                    self.refuse_journal(descriptor, path)
                in_need = self.in_need(status)
                why = kind_problem(status, self.device) or owner_problem(status, self.expected)
                if why and in_need:
                    self.leave(path, why)
                    return
                if stat.S_ISDIR(status.st_mode):
                    self.enter(descriptor, path)
                if in_need:
                    self.mend(descriptor, status, path)
        except OSError as e:
            if isinstance(e, FileNotFoundError):
                raise
            self.leave(path, f"cannot be changed: {e.strerror}")

    def refuse_journal(self, file: int, path: str) -> None:
        """Refuse what would have the service account remove another file."""
        name = sqlite_journal.super_journal(file)
        if name is not None:
            raise AdoptionFailure(sqlite_journal.problem(path, name))

    def in_need(self, status: os.stat_result) -> bool:
        """Whether something has to be looked at: all of an environment that is being taken over."""
        return self.result.adopted or not (
            # What the service account has made itself, it may have made as it likes.
            status.st_uid == self.owner.uid or is_usable(status, self.owner.gid)
        )

    def mend(self, descriptor: int, status: os.stat_result, path: str) -> None:
        """Give one file or directory to the service account."""
        mode, wanted = stat.S_IMODE(status.st_mode), mended_mode(status)
        if (status.st_uid, status.st_gid, mode) == (*self.owner, wanted):
            return
        if not self.check:
            # The mode first: it must not be open to others as soon as it is somebody else's.
            # Changing the owner takes away some of its bits.
            os.fchmod(descriptor, wanted & 0o777)
            os.fchown(descriptor, self.owner.uid, self.owner.gid)
            os.fchmod(descriptor, wanted)
        for lines, uid, gid, bits in (
            (self.result.before, status.st_uid, status.st_gid, mode),
            (self.result.after, self.owner.uid, self.owner.gid, wanted),
        ):
            lines.append(
                f"{path or '.'}: {account_name(uid)}:{account_name(gid, group=True)} {bits:04o}"
            )


Look = t.Callable[[int, t.Container[int]], None]


def mend(directory: str, name: str, owner: Owner, check: bool, look: Look | None = None) -> Mending:
    """Give an environment to the service account; tells what changes, and what does not.

    Fails, before anything is changed, where a journal of SQLite leads to another file.

    :param look: is called first with the directory of an environment that is another account's,
        and whose files may be in it; it may raise AdoptionFailure
    """
    with contextlib.ExitStack() as stack:
        parent = stack.enter_context(opened(directory, os.O_RDONLY | os.O_DIRECTORY))
        try:
            top = stack.enter_context(opened(name, DIRECTORY_FLAGS, parent))
        except FileNotFoundError:
            return Mending()
        except OSError as e:
            if not is_link(e):
                raise
            found = Mending()
            if os.path.islink(os.path.join(directory, name)):
                found.left.append("the environment itself is a symbolic link")
            return found
        if "VERSION" not in os.listdir(top):
            return Mending()  # no environment
        status = os.fstat(top)
        if status.st_uid != owner.uid:
            if look is not None:
                look(top, expected_owners(owner, status.st_uid))
            if not check:
                _Mender(owner, status, check=True).enter(top, "")  # which may refuse it
        mender = _Mender(owner, status, check)
        mender.enter(top, "")
        if mender.result.adopted:
            mender.mend(top, status, "")
        return mender.result
