# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The hooks of repositories that tell Trac of new revisions.

A repository may belong to any account, which could put links where root is about to write.
Therefore everything is read and written as the owner of the repository.
"""

from __future__ import annotations

import contextlib
import json
import os
import pwd
import signal
import stat
import typing as t
from dataclasses import dataclass, field

from ansible_collections.trac.mod_wsgi.plugins.module_utils._core import (
    regular_file,
    worker_process,
)
from ansible_collections.trac.mod_wsgi.plugins.module_utils._environments import adoption
from ansible_collections.trac.mod_wsgi.plugins.module_utils._trac import repository_spec

# By the type of repository: each hook, and what it hands to the command.
HOOKS = {
    "git": {"post-receive": "git"},
    "svn": {"post-commit": 'svn-added "$@"', "post-revprop-change": 'svn-modified "$@"'},
}
MARK = "# Made by the Ansible role trac.mod_wsgi.trac_environments; changes are overwritten."
_LINES = 4  # of a hook of ours
_MODE = 0o755
_DIRECTORY = os.O_PATH | os.O_DIRECTORY
_MOST_LINKS = 40  # as the kernel follows
_PATIENCE = 60.0  # seconds for one repository


class HookFailure(Exception):
    """Why the hooks of a repository cannot be looked at or written."""


@dataclass
class Outcome:
    """What was done to the hooks of one repository, or would be done."""

    changed: list[str] = field(default_factory=list)  # paths
    before: dict[str, str] = field(default_factory=dict)
    after: dict[str, str] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)


def line(command: str, arguments: str) -> str:
    """The line of a hook that tells Trac."""
    return f"{command} {arguments}"


def content(command: str, arguments: str) -> str:
    """A hook that does nothing but tell Trac."""
    return f"#!/bin/sh\n# Tells Trac of new revisions.\n{MARK}\nexec {line(command, arguments)}\n"


def install(kind: str, directory: str, command: str, check: bool) -> Outcome:
    """Put the hooks of one repository into place, unless the user has some of their own.

    In check mode only what would be done is told.
    """
    outcome = Outcome()
    root = repository_spec.root(kind, directory)
    if root is None:  # it is going to be made, or its environment has failed and said why
        if check:
            for name, arguments in HOOKS[kind].items():
                _note(outcome, os.path.join(directory, "hooks", name), "", command, arguments)
        return outcome
    path = os.path.join(root, "hooks")
    # Others who may write into the repository could replace a directory by a link meanwhile.
    with contextlib.ExitStack() as stack:
        hooks: int | None = None
        try:
            repository = stack.enter_context(adoption.opened(root, _DIRECTORY))
            if not check:
                with contextlib.suppress(FileExistsError):
                    os.mkdir("hooks", 0o755, dir_fd=repository)
            flags = _DIRECTORY | os.O_NOFOLLOW
            hooks = stack.enter_context(adoption.opened("hooks", flags, repository))
        except FileNotFoundError:  # check mode
            pass
        except OSError as e:
            if not adoption.is_link(e) or not os.path.islink(path):
                raise
            outcome.warnings = [
                f"{path} is a link, which was not followed; have its hook {name} run: "
                + line(command, arguments)
                for name, arguments in HOOKS[kind].items()
                if not _tells(os.path.join(path, name), command)
            ]
            return outcome
        for name, arguments in HOOKS[kind].items():
            _install_one(outcome, _Hook(path, name, hooks), command, arguments, check)
    return outcome


@dataclass
class _Hook:
    """A hook: the path is for words, what is done goes by the directory that is held open."""

    directory_path: str
    name: str
    directory: int | None  # None when it is missing

    @property
    def path(self) -> str:
        return os.path.join(self.directory_path, self.name)

    def is_executable(self) -> bool:
        return os.access(self.name, os.X_OK, dir_fd=self.directory)


def _note(outcome: Outcome, path: str, old: str, command: str, arguments: str) -> None:
    outcome.changed.append(path)
    outcome.before[path] = old
    outcome.after[path] = content(command, arguments)


def _install_one(outcome: Outcome, hook: _Hook, command: str, arguments: str, check: bool) -> None:
    wanted = content(command, arguments)
    current = _read(hook)
    # A hook of ours that somebody has added to is theirs.
    ours = current is not None and MARK in current and len(current.splitlines()) == _LINES
    if current is not None and not ours:
        if not _tells(hook.name, command, hook.directory):
            outcome.warnings.append(
                f"{hook.path} is not ours and was kept; Trac learns of new revisions when it runs, "
                f"before anything else reads its standard input: {line(command, arguments)}"
            )
        elif not hook.is_executable():
            outcome.warnings.append(f"{hook.path} is not executable, so that it never runs")
        return
    if current == wanted and hook.is_executable():
        return
    _note(outcome, hook.path, current or "", command, arguments)
    if not check:
        _write(hook, wanted)


def _read(hook: _Hook) -> str | None:
    """The text of a hook; None when it is missing, "" where there is something else."""
    if hook.directory is None:
        return None
    try:
        return _text(hook.name, hook.directory, follow=False)
    except FileNotFoundError:
        return None
    except OSError:  # a link, or nothing that the owner may read
        return ""


def _text(name: str, directory: int | None, *, follow: bool) -> str:
    """The beginning of a file, if it is one."""
    with regular_file.opened(name, follow=follow, directory=directory) as file:
        return file.read(1 << 20).decode("utf-8", "replace")


def _tells(path: str, command: str, directory: int | None = None) -> bool:
    """Whether a hook of the user's runs the command."""
    try:
        lines = _text(path, directory, follow=True).splitlines()
    except OSError:
        return False
    return any(command in text and not text.lstrip().startswith("#") for text in lines)


def _write(hook: _Hook, text: str) -> None:
    temporary = f"{hook.name}.new"
    with contextlib.suppress(FileNotFoundError):
        os.unlink(temporary, dir_fd=hook.directory)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
    descriptor = os.open(temporary, flags, 0o600, dir_fd=hook.directory)
    try:
        with open(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            os.fchmod(descriptor, _MODE)
            file.flush()
            os.fsync(descriptor)
        os.replace(temporary, hook.name, src_dir_fd=hook.directory, dst_dir_fd=hook.directory)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary, dir_fd=hook.directory)
        raise


def owner(directory: str) -> int:
    """The account that a repository belongs to; that of the directory it is going to be in, else.

    Only its number is taken from the path. What the number allows is all that is done there.
    """
    while True:
        try:
            return os.stat(directory).st_uid
        except (FileNotFoundError, NotADirectoryError):
            directory = os.path.dirname(directory)


def strangers(path: str) -> str | None:
    """The first directory or link on the way to a path that others than root could replace.

    None when nobody but root has a say in where the path leads.
    """
    here, parts, links = "/", path.strip("/").split("/"), 0
    while True:
        status = os.stat(here, follow_symlinks=False)
        writable = status.st_mode & stat.S_IWOTH or (
            status.st_mode & stat.S_IWGRP and status.st_gid != 0
        )
        # In a sticky directory, such as /tmp, everybody's own stays where it is.
        if status.st_uid != 0 or (writable and not status.st_mode & stat.S_ISVTX):
            return here
        if not parts:
            return None
        entry = os.path.join(here, parts.pop(0))
        if not os.path.islink(entry):
            here = os.path.normpath(entry)
            continue
        links += 1
        if os.lstat(entry).st_uid != 0 or links > _MOST_LINKS:
            return entry
        target = os.readlink(entry)
        parts = target.strip("/").split("/") + parts
        here = "/" if os.path.isabs(target) else here


def _refuse_strangers(kind: str, directory: str) -> None:
    """Root's own repositories are written to by root, which nobody else may lead elsewhere."""
    root = repository_spec.root(kind, directory)
    found = root and strangers(os.path.dirname(root))
    if found:
        raise HookFailure(
            f"{root} belongs to root, and others may change {found} above it, who could have root "
            "write elsewhere; give the repository to the account that commits into it (chown -R), "
            f"or {found} to root alone (chown root:root, chmod go-w)"
        )


def install_as_owner(kind: str, directory: str, command: str, check: bool) -> Outcome:
    """The same as `install`, done by a process of the account that owns the repository."""
    uid = owner(directory)
    if uid == os.geteuid():
        if uid == 0:
            _refuse_strangers(kind, directory)
        return install(kind, directory, command, check)
    if os.geteuid() != 0:
        raise HookFailure(f"{directory} belongs to another account (number {uid}); use become")
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            _leave(writer)
            document = _in_child(uid, kind, directory, command, check)
            with open(writer, "wb") as pipe:
                pipe.write(json.dumps(document).encode())
            status = 0
        finally:
            os._exit(status)  # nothing of the parent's must run twice
    os.close(writer)
    try:
        answer = worker_process.limited(reader, _PATIENCE).read()
    finally:
        os.close(reader)
        os.kill(child, signal.SIGKILL)  # it has answered, or has been stopped by its account
        os.waitpid(child, 0)
    try:
        document = json.loads(answer)
    except ValueError:
        why = f"{directory}: the work as account number {uid} was broken off"
        raise HookFailure(why) from None
    if "failure" in document:
        raise HookFailure(document["failure"])
    return Outcome(**document)


def _leave(kept: int) -> None:
    """Have nothing of root's: neither its terminal, nor what it has open."""
    os.setsid()
    null = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(null, descriptor)
    for name in os.listdir("/proc/self/fd"):
        if int(name) > 2 and int(name) != kept:
            with contextlib.suppress(OSError):  # that of the list itself
                os.close(int(name))


def _in_child(uid: int, kind: str, directory: str, command: str, check: bool) -> dict[str, t.Any]:
    try:
        entry = pwd.getpwuid(uid)
        gid, groups = entry.pw_gid, os.getgrouplist(entry.pw_name, entry.pw_gid)
    except KeyError:
        gid, groups = 65534, []  # nogroup
    os.setgroups(groups)
    os.setgid(gid)
    os.setuid(uid)
    os.umask(0o022)
    try:
        return install(kind, directory, command, check).__dict__
    except (OSError, repository_spec.RepositoryFailure) as e:
        return {"failure": f"{directory}: {e}"}
