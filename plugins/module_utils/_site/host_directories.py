# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the directories of the inventory lead to on a host, and who could change that.

A path is followed as the kernel does it, through all links. Root runs and writes only what lies
below directories that belong to root and that nobody else can write to.
"""

from __future__ import annotations

import contextlib
import glob
import grp
import os
import pwd
import stat
import typing as t

from ansible_collections.trac.mod_wsgi.plugins.module_utils._core import paths
from ansible_collections.trac.mod_wsgi.plugins.module_utils._core.directories import (
    ARCHIVE,
    CACHE,
    CODE,
    ENVIRONMENTS,
    REPOSITORIES,
    ROOT,
    SERVED,
    Directory,
    is_within,
    normal,
)
from ansible_collections.trac.mod_wsgi.plugins.module_utils._trac import repository_spec

_MOST_LINKS = 40
_FIRST_OF_PACKAGES = 100  # ids below it are given by Debian
_NOBODY = 65534
# What root runs of a virtual environment. The rest lies in the directories of these.
_PROGRAMS = ("bin/python", "bin/pip", "lib/python3*/site-packages")
# What root writes to in the home directory, which the role gives to root itself.
_IN_HOME = ("plugins", "wheels")
_HELD = (
    "Each directory on the way has to belong to root, and nobody else may write to it (chown root, "
    "chmod go-w)."
)


class Step(t.NamedTuple):
    """A place on the way of a path; without a status there is nothing."""

    path: str
    status: os.stat_result | None


class Account(t.NamedTuple):
    """The service account; -1 as long as it does not exist."""

    uid: int = -1
    gids: frozenset[int] = frozenset()


def account_of(user: str, group: str) -> Account:
    """The ids of the service account, as far as it exists."""
    gids = set()
    with contextlib.suppress(KeyError):
        gids.add(grp.getgrnam(group).gr_gid)
    try:
        entry = pwd.getpwnam(user)
    except KeyError:
        return Account(-1, frozenset(gids))
    return Account(entry.pw_uid, frozenset(gids | set(os.getgrouplist(user, entry.pw_gid))))


def account_problems(names: t.Mapping[str, str]) -> list[str]:
    """Accounts and groups with an id that tells that they are the system's, by their variables."""
    found = []
    for variable, name in names.items():
        try:
            if variable.endswith("_group"):
                what, number = "a group", grp.getgrnam(name).gr_gid
            else:
                what, number = "an account", pwd.getpwnam(name).pw_uid
        except KeyError:
            continue  # made by a role
        if number < _FIRST_OF_PACKAGES or number == _NOBODY:
            found.append(
                f"{variable} is {name!r}, {what} of the system on this host (its number is "
                f"{number}). It has to be {what} with a number of {_FIRST_OF_PACKAGES} or more "
                "that nothing else uses, such as trac."
            )
    return found


def way(path: str, root: str = "") -> list[Step]:
    """The directories that lead to a path, links resolved, and at last what is there.

    It ends at the first place where there is nothing. With a root, that directory stands for "/".
    """
    rest = list(reversed(path.split("/")))
    here = "/"
    steps = [Step("/", os.lstat(root or "/"))]
    links = 0
    while rest:
        part = rest.pop()
        if part in ("", "."):
            continue
        if part == "..":
            here = os.path.dirname(here)
            continue
        there = os.path.join(here, part)
        try:
            status = os.lstat(root + there)
        except (FileNotFoundError, NotADirectoryError):
            return [*steps, Step("/".join([there, *reversed(rest)]), None)]
        if stat.S_ISLNK(status.st_mode):
            links += 1
            if links > _MOST_LINKS:
                return [*steps, Step(there, None)]
            target = os.readlink(root + there)
            rest += reversed(target.split("/"))
            here = "/" if target.startswith("/") else here
            continue
        here = there
        steps.append(Step(there, status))
    return steps


def _account_name(uid: int) -> str:
    with contextlib.suppress(KeyError):
        return pwd.getpwuid(uid).pw_name
    return f"the account {uid}"


def _group_name(gid: int) -> str:
    with contextlib.suppress(KeyError):
        return grp.getgrgid(gid).gr_name
    return str(gid)


class Host:
    """Looks at directories on this host."""

    def __init__(self, account: Account, root: str = "", trusted: int = 0) -> None:
        self.account = account
        self.root = root
        self.trusted = trusted  # the account that root is, and its group
        self.gids = {trusted}
        with contextlib.suppress(KeyError):
            # Debian: it may write to /usr/local, which is on root's path.
            self.gids.add(grp.getgrnam("staff").gr_gid)

    # Who could put something else in the place of what is used

    def _stranger(self, step: Step) -> str | None:
        """Who else than root can change what is in a directory, in words."""
        status = t.cast(os.stat_result, step.status)
        if status.st_uid != self.trusted:
            return f"{step.path} belongs to {_account_name(status.st_uid)}"
        if status.st_mode & stat.S_IWOTH:
            return f"every account can write to {step.path}"
        if status.st_mode & stat.S_IWGRP and status.st_gid not in self.gids:
            return f"the group {_group_name(status.st_gid)} can write to {step.path}"
        return None

    def _account_at(self, step: Step) -> str | None:
        """Whether the service account, or everybody, can change what is in a directory."""
        status = t.cast(os.stat_result, step.status)
        if status.st_uid == self.account.uid:
            return f"{step.path} belongs to {_account_name(status.st_uid)}"
        if status.st_mode & stat.S_IWOTH:
            return f"every account can write to {step.path}"
        if status.st_mode & stat.S_IWGRP and status.st_gid in self.account.gids:
            return f"the group {_group_name(status.st_gid)} can write to {step.path}"
        return None

    @staticmethod
    def _first(steps: t.Sequence[Step], find: t.Callable[[Step], str | None]) -> str | None:
        found = (find(step) for step in steps if step.status is not None)
        return next((words for words in found if words is not None), None)

    # What is wrong with one directory

    def look(self, each: Directory) -> dict[str, t.Any]:
        """Whether a directory and its parent exist, whether it is held, and what is wrong."""
        try:
            return self._look(each, way(each.path, self.root))
        except PermissionError:  # without root's rights
            return {"exists": False, "parent_exists": False, "held": False, "problem": None}

    def _look(self, each: Directory, steps: list[Step]) -> dict[str, t.Any]:
        last = steps[-1]
        before = steps[:-1] if last.status is not None else steps
        stranger = self._first(before, self._stranger)
        return {
            "exists": last.status is not None,
            "parent_exists": last.status is not None
            or os.path.dirname(normal(last.path)) == steps[-2].path,
            "held": stranger is None,
            "problem": self._problem(each, steps, stranger),
        }

    def _problem(self, each: Directory, steps: list[Step], stranger: str | None) -> str | None:
        last = steps[-1]
        is_file = last.status is not None and not stat.S_ISDIR(last.status.st_mode)
        if is_file and not each.name.endswith("_file"):
            return f"{self._is(each, steps)}, which is no directory. {self._allowed(each)}"
        if each.use in (SERVED, CODE):
            words = self._first(steps, self._account_at)
            if words is not None:
                return (
                    f"{self._is(each, steps)}, where the account that Trac runs as could put "
                    f"something else: {words}. {self._allowed(each)}"
                )
            return None
        if each.use == ROOT:
            return self._of_root(each, steps, stranger)
        return self._of_account(each, steps, stranger)

    def _of_root(self, each: Directory, steps: list[Step], stranger: str | None) -> str | None:
        ways = [steps]
        if each.name.endswith("_home"):
            # It may have been the account's; the role gives it to root.
            ways = [self._existing(each, more) for more in _IN_HOME]
        elif each.name.endswith("_venv"):
            ways += [self._existing(each, more) for more in _PROGRAMS]
        elif each.name.endswith("backup_dir"):
            ways = []  # its owner and mode are set, or looked at, by the roles
        words = stranger
        for each_way in ways:
            words = words or self._first(each_way, self._stranger)
        if words is None:
            return None
        return (
            f"{self._is(each, steps)}, and root runs what is there, or writes there, but {words}. "
            f"{_HELD} {self._allowed(each)}"
        )

    def _existing(self, each: Directory, more: str) -> list[Step]:
        """The way to what lies in a directory, if it is there."""
        pattern = os.path.join(glob.escape(self.root + normal(each.path)), more)
        found = sorted(glob.glob(pattern)) or [pattern] * os.path.islink(pattern)
        return [step for path in found for step in way(path[len(self.root) :], self.root)]

    def _of_account(self, each: Directory, steps: list[Step], stranger: str | None) -> str | None:
        status = steps[-1].status
        owner = self._owner(each)
        if stranger is not None and (
            status is None or each.use in (ARCHIVE, CACHE) or status.st_uid != owner
        ):
            return (
                f"{self._is(each, steps)}, and root makes it or gives it away, but {stranger}. "
                f"{_HELD} {self._allowed(each)}"
            )
        if status is None or status.st_uid == owner or each.use == ARCHIVE:
            return None
        if each.use == CACHE:
            if self.is_made_here(each):
                return None
            what = "which no run of this role has made"
        else:
            entries = self._entries(steps[-1].path)
            if not entries and status.st_uid == self.trusted:
                return None
            if each.use == ENVIRONMENTS and any(map(self._is_environment, entries)):
                return None
            if each.use == REPOSITORIES and any(map(self._has_repository, entries)):
                return None
            what = f"which holds no {each.use}"
        return (
            f"{self._is(each, steps)}, a directory of {_account_name(status.st_uid)}'s, {what}. It "
            "has to be missing, or to belong to "
            f"{each.account or 'the account that Trac runs as'}. {self._allowed(each)}"
        )

    def _owner(self, each: Directory) -> int:
        if not each.account:
            return self.account.uid
        with contextlib.suppress(KeyError):
            return pwd.getpwnam(each.account).pw_uid
        return -1

    def _entries(self, path: str) -> list[str]:
        """The directories in a directory, or whatever else it holds if there are none."""
        with os.scandir(self.root + path) as entries:
            found = [entry for entry in entries if entry.name != "lost+found"]
        directories = [entry.path for entry in found if entry.is_dir(follow_symlinks=False)]
        return sorted(directories) or [entry.path for entry in found]

    @staticmethod
    def _is_environment(path: str) -> bool:
        with contextlib.suppress(OSError):
            return stat.S_ISREG(os.lstat(os.path.join(path, "VERSION")).st_mode) and stat.S_ISDIR(
                os.lstat(os.path.join(path, "conf")).st_mode
            )
        return False

    @staticmethod
    def _has_repository(path: str) -> bool:
        """Whether a directory is a repository, or has some in it, as those of an environment."""
        with contextlib.suppress(OSError):
            below = [
                entry.path for entry in os.scandir(path) if entry.is_dir(follow_symlinks=False)
            ]
            return any(
                repository_spec.is_repository(kind, place)
                for place in (path, *below)
                for kind in repository_spec.TYPES
            )
        return False

    def is_made_here(self, cache: Directory) -> bool:
        """Whether a cache was made by role trac_site, which notes those that are not in its own."""
        if is_within(cache.path, paths.CACHE_DIR):
            return True
        for record in glob.glob(f"{self.root}{paths.CACHE_DIR}/*.egg-cache"):
            with contextlib.suppress(OSError), open(record, encoding="utf-8") as file:
                owner = os.fstat(file.fileno()).st_uid
                if owner == self.trusted and normal(file.read().strip()) == cache.normal:
                    return True
        return False

    # Words

    @staticmethod
    def _is(each: Directory, steps: t.Sequence[Step]) -> str:
        if not each.example:
            return f"The roles use {each.path}"
        real = normal(steps[-1].path)
        leads = "" if real == normal(each.path) else f", which leads to {real}"
        return f"{each.name} is {each.path!r}{leads}"

    @staticmethod
    def _allowed(each: Directory) -> str:
        return f"Allowed are other directories, such as {each.example}." if each.example else ""


def problems(
    host: Host, directories: t.Iterable[Directory]
) -> tuple[list[str], dict[str, dict[str, t.Any]]]:
    """What is wrong, in sentences, and what is there, by the names of the variables."""
    looked = [(each.name, host.look(each)) for each in directories]
    found = [place.pop("problem") for _name, place in looked]
    return list(dict.fromkeys(filter(None, found))), dict(looked)
