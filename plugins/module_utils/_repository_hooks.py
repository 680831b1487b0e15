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
import stat
import typing as t
from dataclasses import dataclass, field

from ansible_collections.trac.mod_wsgi.plugins.module_utils import _repositories

# By the type of repository: each hook, and what it hands to the command.
HOOKS = {
    "git": {"post-receive": "git"},
    "svn": {"post-commit": 'svn-added "$@"', "post-revprop-change": 'svn-modified "$@"'},
}
MARK = "# Made by the Ansible role trac.mod_wsgi.trac_environments; changes are overwritten."
_LINES = 4  # of a hook of ours
_MODE = 0o755


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
    root = _repositories.root(kind, directory)
    if root is None:  # it is going to be made, or its environment has failed and said why
        if check:
            for name, arguments in HOOKS[kind].items():
                _note(outcome, os.path.join(directory, "hooks", name), "", command, arguments)
        return outcome
    hooks = os.path.join(root, "hooks")
    if os.path.islink(hooks):
        outcome.warnings = [
            f"{hooks} is a link, which was not followed; have its hook {name} run: "
            + line(command, arguments)
            for name, arguments in HOOKS[kind].items()
            if not _tells(os.path.join(hooks, name), command)
        ]
        return outcome
    for name, arguments in HOOKS[kind].items():
        _install_one(outcome, os.path.join(hooks, name), command, arguments, check)
    return outcome


def _note(outcome: Outcome, path: str, old: str, command: str, arguments: str) -> None:
    outcome.changed.append(path)
    outcome.before[path] = old
    outcome.after[path] = content(command, arguments)


def _install_one(outcome: Outcome, path: str, command: str, arguments: str, check: bool) -> None:
    wanted = content(command, arguments)
    current = _read(path)
    # A hook of ours that somebody has added to is theirs.
    ours = current is not None and MARK in current and len(current.splitlines()) == _LINES
    if current is not None and not ours:
        if not _tells(path, command):
            outcome.warnings.append(
                f"{path} is not ours and was kept; Trac learns of new revisions when it runs, "
                f"before anything else reads its standard input: {line(command, arguments)}"
            )
        elif not os.access(path, os.X_OK):
            outcome.warnings.append(f"{path} is not executable, so that it never runs")
        return
    executable = current is not None and os.access(path, os.X_OK)
    if current == wanted and executable:
        return
    _note(outcome, path, current or "", command, arguments)
    if not check:
        _write(path, wanted)


def _read(path: str) -> str | None:
    """The text of a file; "" where there is something else, such as a link."""
    if os.path.islink(path):
        return ""
    try:
        return _text(path)
    except FileNotFoundError:
        return None
    except OSError:  # nothing that the owner may read
        return ""


def _text(path: str) -> str:
    """The text of a regular file; nothing is waited for, as a pipe would have it."""
    with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK), "rb") as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            return ""
        return file.read(1 << 20).decode("utf-8", "replace")


def _tells(path: str, command: str) -> bool:
    """Whether a hook of the user's runs the command."""
    try:
        lines = _text(path).splitlines()
    except OSError:
        return False
    return any(command in text and not text.lstrip().startswith("#") for text in lines)


def _write(path: str, text: str) -> None:
    os.makedirs(os.path.dirname(path), mode=0o755, exist_ok=True)
    temporary = f"{path}.new"
    with contextlib.suppress(FileNotFoundError):
        os.unlink(temporary)
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with open(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            os.fchmod(descriptor, _MODE)
            file.flush()
            os.fsync(descriptor)
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
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


def install_as_owner(kind: str, directory: str, command: str, check: bool) -> Outcome:
    """The same as `install`, done by a process of the account that owns the repository."""
    uid = owner(directory)
    if uid == os.geteuid():
        return install(kind, directory, command, check)
    if os.geteuid() != 0:
        raise HookFailure(f"{directory} belongs to another account (number {uid}); use become")
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            os.close(reader)
            document = _in_child(uid, kind, directory, command, check)
            os.write(writer, json.dumps(document).encode())
            status = 0
        finally:
            os._exit(status)  # nothing of the parent's must run twice
    os.close(writer)
    with open(reader, "rb") as pipe:
        answer = pipe.read()
    os.waitpid(child, 0)
    if not answer:
        raise HookFailure(f"{directory}: the work as account number {uid} was broken off")
    document = json.loads(answer)
    if "failure" in document:
        raise HookFailure(document["failure"])
    return Outcome(**document)


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
    except (OSError, _repositories.RepositoryFailure) as e:
        return {"failure": f"{directory}: {e}"}
