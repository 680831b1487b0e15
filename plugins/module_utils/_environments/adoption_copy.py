# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Copy an environment from elsewhere on the host to where the service account has its own.

The original is only read. This runs as root, so the same care is taken as in
_environments.adoption: what might not be a part of the environment stops the copy before it begins,
because leaving it out silently would lose somebody's data, and copying it could give a stranger's
file to the service account.

The copy is built in a hidden directory, of root's and closed to all others. It appears under its
name when every file in it has been compared, nothing in the original has changed meanwhile, and
SQLite, run by the service account, finds its database whole.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import stat
import typing as t

from ansible_collections.trac.mod_wsgi.plugins.module_utils._core import (
    regular_file,
    sqlite_check,
    sqlite_journal,
    worker_process,
)
from ansible_collections.trac.mod_wsgi.plugins.module_utils._core.held_directory import (
    abandoned,
    held_directory,
    pattern_of,
)
from ansible_collections.trac.mod_wsgi.plugins.module_utils._core.sqlite_journal import (
    super_journal,
)
from ansible_collections.trac.mod_wsgi.plugins.module_utils._environments import adoption_look
from ansible_collections.trac.mod_wsgi.plugins.module_utils._environments.adoption import (
    DIRECTORY_FLAGS,
    FILE_FLAGS,
    AdoptionFailure,
    Owner,
    account_name,
    expected_owners,
    kind_problem,
    mended_mode,
    opened,
    owner_problem,
    shown,
)
from ansible_collections.trac.mod_wsgi.plugins.module_utils._trac import ini_edit, ini_text
from ansible_collections.trac.mod_wsgi.plugins.module_utils._trac.environment_spec import (
    DATABASE,
    DEFAULT_DATABASE,
)

# In the copy: where it came from, by which a later run knows that it has been made already.
ORIGIN = ".adopted-from"
INI = adoption_look.INI
_PARTIAL = pattern_of(r"\.[a-z0-9][a-z0-9_-]*\.adopting-")
_BLOCK = 1 << 20
_CHECK_SECONDS = 3600.0  # for all databases of an environment; a large one takes minutes
# What is written all the time and need not be of one moment with the rest.
_LOGS = "log"


class Original(t.NamedTuple):
    """An environment that is to be copied: what is in it, by paths within."""

    directories: dict[str, os.stat_result]
    files: dict[str, os.stat_result]
    links: dict[str, str]
    options: ini_edit.Options  # of its trac.ini

    @property
    def database(self) -> str:
        """[trac] database."""
        return self.options.get(DATABASE[0], {}).get(DATABASE[1]) or DEFAULT_DATABASE

    def inherited(self, path: str) -> list[str]:
        """The files that its trac.ini inherits from when it is in that place."""
        return adoption_look.inherited(self.options, os.path.join(path, os.path.dirname(INI)))

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(status.st_size for status in self.files.values())


def leftovers(directory: str, remove: bool) -> list[str]:
    """The copies that a killed run left unfinished."""
    return [os.path.basename(path) for path in abandoned(directory, _PARTIAL, remove)]


def origin(directory: str, name: str) -> str | None:
    """Where an environment that is there was copied from."""
    try:
        with opened(directory, os.O_RDONLY | os.O_DIRECTORY) as parent, opened(
            name, DIRECTORY_FLAGS, parent
        ) as top, opened(ORIGIN, FILE_FLAGS, top) as file:
            return os.read(file, 4096).decode("utf-8", "replace").rstrip("\n")
    except OSError:
        return None


def is_needed(directory: str, name: str, source: str) -> bool:
    """Whether an environment is yet to be copied; fails where it would replace another."""
    if not os.path.lexists(os.path.join(directory, name)):
        return True
    made_from = origin(directory, name)
    if made_from == source:
        return False
    raise AdoptionFailure(
        f"adopt_from: {os.path.join(directory, name)} exists already"
        + (f", copied from {made_from}" if made_from else "")
        + ", and is never replaced; take adopt_from out of the inventory to keep it as it is"
    )


class _Survey:
    """Looks at all of an original, and finds what stops the copy."""

    def __init__(self, top: os.stat_result, owner: Owner) -> None:
        self.device = top.st_dev
        self.expected = expected_owners(owner, top.st_uid)
        self.directories: dict[str, os.stat_result] = {}
        self.files: dict[str, os.stat_result] = {}
        self.links: dict[str, str] = {}
        self.problems: list[str] = []

    def enter(self, directory: int, path: str) -> None:
        self.directories[path] = parent = os.fstat(directory)
        for name in sorted(os.listdir(directory)):
            inside = os.path.join(path, name)
            status = os.stat(name, dir_fd=directory, follow_symlinks=False)
            if stat.S_ISLNK(status.st_mode):
                self.link(inside, os.readlink(name, dir_fd=directory))
                continue
            if stat.S_ISSOCK(status.st_mode) or stat.S_ISFIFO(status.st_mode):
                continue  # which hold no data
            why = kind_problem(status, self.device) or self.owner_problem(status, parent)
            if why:
                self.problems.append(f"{inside} {why}")
            elif stat.S_ISDIR(status.st_mode):
                with opened(name, DIRECTORY_FLAGS, directory) as descriptor:
                    self.enter(descriptor, inside)
            else:
                self.files[inside] = status

    def owner_problem(self, status: os.stat_result, parent: os.stat_result) -> str | None:
        """Why a file might not belong into the environment.

        Copies by hard links are common among backups. Whoever owns both the file and the directory,
        to which nobody else can write, gave it that name.
        """
        own = status.st_uid == parent.st_uid and not parent.st_mode & 0o022
        if own and status.st_uid in self.expected:
            return None
        return owner_problem(status, self.expected)

    def original(self, top: int, encoding: str | None) -> Original:
        """What was found; its trac.ini can be read."""
        text = ini_text.decode(_read(top, INI), encoding).text
        return Original(self.directories, self.files, self.links, ini_edit.parse(text))

    def link(self, path: str, target: str) -> None:
        """Keep a link that stays within the environment."""
        inside = os.path.normpath(os.path.join(os.path.dirname(path), target))
        if os.path.isabs(target) or inside.split(os.sep)[0] == os.pardir:
            self.problems.append(f"{path} is a symbolic link to {target}")
        else:
            self.links[path] = target

    def refuse_dangling(self) -> None:
        """Refuse links to nothing, which the copy before an upgrade, and each backup, would."""
        there = {*self.directories, *self.files, *self.links, os.curdir}
        for path, target in self.links.items():
            if os.path.normpath(os.path.join(os.path.dirname(path), target)) not in there:
                self.problems.append(f"{path} is a symbolic link to {target}, which does not exist")


def _read(directory: int, path: str) -> bytes:
    with _reached(directory, path) as (parent, name):
        return regular_file.read(name, follow=False, directory=parent)


@contextlib.contextmanager
def _reached(top: int, path: str) -> t.Iterator[tuple[int, str]]:
    """The directory of something in an environment, and its name there; no link is followed."""
    *parents, name = path.split(os.sep)
    with contextlib.ExitStack() as stack:
        for each in parents:
            top = stack.enter_context(opened(each, DIRECTORY_FLAGS, top))
        yield top, name


def _refuse_journals(top: int, found: _Survey) -> None:
    """Refuse what would have SQLite change other files than those of a database."""
    for path in found.files:
        for end in sqlite_journal.BESIDE:
            if path + end in found.links:
                raise AdoptionFailure(
                    f"adopt_from: {path + end} is a symbolic link, which SQLite would follow; "
                    "replace it by what it leads to, or take it away"
                )
        journal = path + sqlite_journal.ENDING
        if journal in found.files:
            with _reached(top, journal) as (parent, name), opened(name, FILE_FLAGS, parent) as file:
                other = super_journal(file)
            if other is not None:
                raise AdoptionFailure(f"adopt_from: {sqlite_journal.problem(journal, other)}")


def _refusal(source: str, problems: t.Sequence[str]) -> str:
    return (
        f"adopt_from: in {source} there is what may not be a part of it, so that nothing was "
        "copied; give it to the owner of the directory, replace it by what it leads to, or "
        "take it away:\n  " + "\n  ".join(shown(problems))
    )


def survey(source: str, owner: Owner, encoding: str | None = None) -> Original:
    """Look at an environment that is to be copied; fails, with reasons, where it cannot be.

    :param encoding: of what in its trac.ini is not UTF-8
    """
    try:
        with opened(source, DIRECTORY_FLAGS) as top:
            found = _Survey(os.fstat(top), owner)
            found.enter(top, "")
            found.refuse_dangling()
            if "VERSION" in found.files and found.problems:
                raise AdoptionFailure(_refusal(source, found.problems))
            for path in ("VERSION", INI):
                if path not in found.files:
                    raise AdoptionFailure(
                        f"adopt_from: {source} is no Trac environment (it has no file {path})"
                    )
            _refuse_journals(top, found)
            try:
                adoption_look.look(top, source, encoding, found.expected)
            except AdoptionFailure as e:
                raise AdoptionFailure(f"adopt_from: {e}, and nothing was copied") from e
            return found.original(top, encoding)
    except OSError as e:
        if isinstance(e, NotADirectoryError) or e.errno == errno.ELOOP:
            raise AdoptionFailure(
                f"adopt_from: {source} is no directory; a symbolic link is not followed"
            ) from e
        raise AdoptionFailure(f"adopt_from: {e.strerror}: {e.filename or source}") from e


def survey_in_place(source: str, owner: Owner, encoding: str | None) -> Original | None:
    """Look at an environment in its place, which _environments.adoption has looked at, without what
    it leaves.

    None where trac.ini is not among the rest.
    """
    with opened(source, DIRECTORY_FLAGS) as top:
        found = _Survey(os.fstat(top), owner)
        found.enter(top, "")
        if INI not in found.files:
            return None
        return found.original(top, encoding)


def _signature(status: os.stat_result) -> tuple[int, ...]:
    return status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns


def changed(one: Original, other: Original) -> list[str]:
    """What is not as it was, apart from logs."""
    found = set(one.links.items()) ^ set(other.links.items())
    paths = {path for path, _target in found}
    for before, after in ((one.files, other.files), (one.directories, other.directories)):
        for path in {*before, *after}:
            if path.split(os.sep)[0] == _LOGS:
                continue
            both = path in before and path in after
            if not both or _signature(before[path]) != _signature(after[path]):
                paths.add(path)
    return sorted(paths)


def _copy_file(source: int, target: int, status: os.stat_result, owner: Owner) -> None:
    """Copy what is in one file, and read it back."""
    digest = hashlib.sha256()
    left = status.st_size  # logs may grow
    while left > 0:
        block = os.read(source, min(_BLOCK, left))
        if not block:
            break
        digest.update(block)
        left -= len(block)
        while block:
            block = block[os.write(target, block) :]
    copied = hashlib.sha256()
    os.lseek(target, 0, os.SEEK_SET)
    while True:
        block = os.read(target, _BLOCK)
        if not block:
            break
        copied.update(block)
    if copied.digest() != digest.digest():
        raise OSError(errno.EIO, "the copy does not hold what was written")
    os.fchown(target, *owner)
    os.fchmod(target, mended_mode(status))
    os.utime(target, ns=(status.st_atime_ns, status.st_mtime_ns))


def fill(
    source: int,
    target: int,
    original: Original,
    owner: Owner,
    is_hollow: t.Callable[[str], bool] = lambda _path: False,
) -> None:
    """Copy everything below two directories.

    :param is_hollow: of which files nothing but name and size is copied
    """
    for path in sorted(original.directories)[1:]:
        with _reached(target, path) as (parent, name):
            os.mkdir(name, 0o700, dir_fd=parent)
    for path, link in original.links.items():
        with _reached(target, path) as (parent, name):
            os.symlink(link, name, dir_fd=parent)
            os.chown(name, *owner, dir_fd=parent, follow_symlinks=False)
    for path, status in original.files.items():
        with contextlib.ExitStack() as stack:
            parent, name = stack.enter_context(_reached(source, path))
            old = stack.enter_context(opened(name, FILE_FLAGS, parent))
            if os.fstat(old).st_ino != status.st_ino:
                raise AdoptionFailure(f"adopt_from: {path} was replaced while it was copied")
            parent, name = stack.enter_context(_reached(target, path))
            new = os.open(name, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600, dir_fd=parent)
            stack.callback(os.close, new)
            if is_hollow(path):
                os.ftruncate(new, status.st_size)
                os.fchown(new, *owner)
                os.fchmod(new, mended_mode(status))
            else:
                _copy_file(old, new, status, owner)
    for path, status in original.directories.items():
        if path:
            with _reached(target, path) as (parent, name), opened(
                name, DIRECTORY_FLAGS, parent
            ) as made:
                os.fchown(made, *owner)
                os.fchmod(made, mended_mode(status))
                os.utime(made, ns=(status.st_atime_ns, status.st_mtime_ns))


def _rewrite(target: int, path: str, text: bytes, owner: Owner) -> None:
    with _reached(target, path) as (parent, name):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name, dir_fd=parent)
        new = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600, dir_fd=parent)
        with open(new, "wb") as file:
            file.write(text)
            os.fchown(new, *owner)
            os.fchmod(new, 0o660)


def set_database(target: int, database: str, encoding: str | None, owner: Owner) -> None:
    """Write another [trac] database into a copy."""
    text = ini_text.decode(_read(target, INI), encoding).text
    _rewrite(target, INI, ini_edit.apply(text, {DATABASE: database}).encode("utf-8"), owner)


def _sqlite_files(target: int, original: Original) -> list[str]:
    """The SQLite databases in a copy."""
    found = []
    for path in original.files:
        if path.split(os.sep)[0] == "db":
            with _reached(target, path) as (parent, name), opened(name, FILE_FLAGS, parent) as file:
                if os.read(file, 16) == b"SQLite format 3\0":
                    found.append(path)
    return found


def check_databases(
    hidden: str, target: int, original: Original, owner: Owner, python: str
) -> None:
    """Have SQLite look at the databases, as the service account, whose files they are already."""
    databases = [os.path.join(hidden, path) for path in _sqlite_files(target, original)]
    if not databases:
        return
    # It may pass through; the directory itself, with what is still to be put there, stays root's.
    os.fchown(target, -1, owner.gid)
    os.fchmod(target, 0o710)
    account = worker_process.Account(account_name(owner.uid), *owner)
    payload = {"databases": databases}
    verdicts: dict[str, str] = {}
    why = f"there was no answer within {_CHECK_SECONDS:.0f} seconds"
    try:
        for event in worker_process.run(
            python, account, sqlite_check, payload, timeout=_CHECK_SECONDS
        ):
            if event["event"] == "verdict":
                verdicts[str(event["path"])] = str(event["verdict"])
            elif event["event"] == "broken":
                why = str(event["reason"])
    except worker_process.WorkerError as e:
        why = str(e)
    for path in databases:
        verdict = verdicts.get(path)
        if verdict != "ok":
            inside = os.path.relpath(path, hidden)
            if verdict is None:
                raise AdoptionFailure(f"adopt_from: its database {inside} was not looked at: {why}")
            raise AdoptionFailure(f"adopt_from: its database {inside} is broken: {verdict}")


def copy(
    source: str,
    directory: str,
    name: str,
    owner: Owner,
    original: Original,
    python: str,
    database: str | None = None,
    encoding: str | None = None,
) -> None:
    """Copy an environment that was looked at; it appears when it is complete.

    It gets another [trac] database if one is given.

    :param python: an interpreter that the service account can run
    :param encoding: of what in its trac.ini is not UTF-8
    """
    space = os.statvfs(directory)
    if original.size > space.f_bavail * space.f_frsize:
        raise AdoptionFailure(
            f"adopt_from: {source} has {original.size} bytes, more than are free in {directory}"
        )
    try:
        with held_directory(directory, f".{name}.adopting-") as hidden, opened(
            directory, os.O_RDONLY | os.O_DIRECTORY
        ) as parent, opened(os.path.basename(hidden), DIRECTORY_FLAGS, parent) as target:
            status = os.fstat(target)
            if status.st_uid != os.geteuid() or status.st_mode & 0o777 != 0o700:
                raise AdoptionFailure(f"adopt_from: somebody else has made {hidden}")
            with opened(source, DIRECTORY_FLAGS) as top:
                fill(top, target, original, owner)
            late = changed(original, survey(source, owner, encoding))
            if late:
                raise AdoptionFailure(
                    f"adopt_from: {source} was written to while it was copied, so that the copy "
                    "was thrown away; stop its site first, or name a copy that trac-admin hotcopy "
                    "has made. Changed were:\n  " + "\n  ".join(shown(late))
                )
            if database is not None:
                set_database(target, database, encoding, owner)
            check_databases(hidden, target, original, owner, python)
            _rewrite(target, ORIGIN, f"{source}\n".encode(), owner)
            os.sync()
            # It takes the place of nothing but an empty directory. When this is killed before the
            # last step, the next run mends the owner.
            os.rename(os.path.basename(hidden), name, src_dir_fd=parent, dst_dir_fd=parent)
            os.fchown(target, *owner)
            os.fchmod(target, mended_mode(status))
    except OSError as e:
        raise AdoptionFailure(f"adopt_from: {e.strerror}: {e.filename or source}") from e
