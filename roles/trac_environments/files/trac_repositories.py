# Made by the Ansible role trac.mod_wsgi.trac_environments; changes are overwritten.
"""Have Trac read new revisions, as the account that serves it.

Hooks of repositories send what happened through a socket, see tell-trac. systemd starts this with
the first message; it ends when there has been none for a while, so that nothing of Trac's stays
in memory and new code is taken up. Messages are worked on one after the other: a push never
finds two processes that read the same revisions.

Argument: a JSON file with {"group": name, "repositories": [{"dir", "type", "environments"}, ...]}.
"""

from __future__ import annotations

import contextlib
import grp
import json
import os
import pwd
import re
import socket
import stat
import struct
import sys
import threading
import time
import typing as t

Document = t.Dict[str, t.Any]

IDLE = 60.0  # seconds after which the process ends
PATIENCE = 5.0  # seconds for a message to arrive
LARGEST = 64 * 1024 * 1024  # bytes of a message: 1.5 million revisions
EVENTS = {"added": "changeset_added", "modified": "changeset_modified"}
REVISION = {"git": re.compile(r"[0-9a-f]{40,64}\Z"), "svn": re.compile(r"[0-9]{1,10}\Z")}


class Problem(Exception):
    """What is to be told to whoever commits."""


@contextlib.contextmanager
def held(path: str) -> t.Iterator[tuple[int, str]]:
    """A directory that stays the same whatever happens to the path, and where it is."""
    try:
        descriptor = os.open(path, os.O_PATH | os.O_DIRECTORY)
    except (FileNotFoundError, NotADirectoryError) as e:
        raise Problem(f"{path} is not among the repositories of the inventory") from e
    except ValueError as e:  # no path at all
        raise Problem("the message cannot be understood") from e
    try:
        yield descriptor, os.readlink(f"/proc/self/fd/{descriptor}")
    finally:
        os.close(descriptor)


def matching(repositories: list[Document], root: str) -> list[Document]:
    """The configured repositories that a directory, without links in its path, is the root of."""
    found = []
    for repository in sorted(repositories, key=lambda repository: repository["dir"]):
        place = os.path.realpath(repository["dir"])
        # Trac can be given a working tree, or a part of a Subversion repository.
        part = repository["type"] == "svn" and place.startswith(os.path.join(root, ""))
        if part or root in (place, os.path.join(place, ".git")):
            found.append({**repository, "part": part})
    return found


def groups_of(uid: int, gid: int) -> set[int]:
    """The groups of an account, besides the one that its process has."""
    try:
        return {gid, *os.getgrouplist(pwd.getpwuid(uid).pw_name, gid)}
    except KeyError:
        return {gid}


def may_commit(directory: int, kind: str, group: str, uid: int, gid: int) -> bool:
    """Whether an account may write into a repository, or is a member of the repositories' group.

    The repository is given by its descriptor: a path could lead elsewhere than a moment ago.
    Whoever may not has no new revisions to tell of. Telling Trac of old ones again would repeat
    what its plugins do with them, such as comments on tickets.
    """
    if uid in (0, os.geteuid()):
        return True
    groups = groups_of(uid, gid)
    with contextlib.suppress(KeyError):
        if grp.getgrnam(group).gr_gid in groups:
            return True
    status = os.stat("objects" if kind == "git" else "db", dir_fd=directory)
    if uid == status.st_uid:
        return True
    if status.st_gid in groups:
        return bool(status.st_mode & stat.S_IWGRP)
    return bool(status.st_mode & stat.S_IWOTH)


def read_message(connection: socket.socket) -> tuple[str, str, list[t.Any]]:
    """What a hook says: the repository, the event and the revisions."""
    received = bytearray()
    deadline = time.monotonic() + PATIENCE
    while True:
        left = deadline - time.monotonic()
        if left <= 0:  # also when something has come all the time
            raise Problem(f"the message has not arrived within {PATIENCE:g} seconds")
        connection.settimeout(left)
        part = connection.recv(65536)
        if not part:
            break
        received += part
        if len(received) > LARGEST:
            raise Problem("the message is too long")
    try:
        message = json.loads(bytes(received))
        return str(message["repository"]), EVENTS[message["event"]], list(message["revisions"])
    except (ValueError, KeyError, TypeError, RecursionError) as e:
        raise Problem("the message cannot be understood") from e


def tell_environment(
    path: str, repository: Document, event: str, revisions: list[str]
) -> list[str]:
    """Have one environment read the revisions; returns what it says against them."""
    from trac.db.api import DatabaseManager
    from trac.env import open_environment
    from trac.versioncontrol.api import RepositoryManager

    environment = open_environment(path, use_cache=True)
    try:
        manager = RepositoryManager(environment)
        if not revisions:  # refs were deleted
            for found in manager.get_repositories_by_dir(repository["dir"]):
                found.sync()
            return []
        problems = manager.notify(event, repository["dir"], revisions)
        # Not every revision belongs to a part of a repository.
        return [] if repository["part"] else list(problems)
    finally:
        environment.shutdown(threading.get_ident())
        DatabaseManager(environment).shutdown()  # no connection waits for the next message


def tell_all(found: list[Document], event: str, revisions: list[str]) -> list[str]:
    """Have all environments read the revisions; one that fails does not stop the others."""
    problems: list[str] = []
    told: set[tuple[str, str]] = set()
    for repository in found:
        for path in repository["environments"]:
            above = os.path.dirname(repository["dir"])
            while (path, above) not in told and above != "/":
                above = os.path.dirname(above)
            if above != "/":  # Trac has looked below that one, too
                continue
            told.add((path, repository["dir"]))
            name = os.path.basename(path)
            try:
                said = tell_environment(path, repository, event, revisions)
            except Exception as e:  # noqa: BLE001  (whatever a plugin or a driver raises)
                said = [f"{type(e).__name__}: {e}"]
            problems += [f"environment {name}: {problem}" for problem in said]
    return problems


def answer(connection: socket.socket, configuration: Document) -> list[str]:
    """Work on one message; returns what is wrong, for the hook and for the log."""
    credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
    dummy, uid, gid = struct.unpack("3i", credentials)
    where = "?"
    try:
        where, event, revisions = read_message(connection)
        with held(where) as (directory, root):
            found = matching(configuration["repositories"], root)
            if not found:
                raise Problem(f"{where} is not among the repositories of the inventory")
            kind = found[0]["type"]
            if not may_commit(directory, kind, configuration["group"], uid, gid):
                raise Problem(f"account number {uid} may not write into {where}")
        if not all(isinstance(text, str) and REVISION[kind].match(text) for text in revisions):
            raise Problem("these are no revisions")
        problems = tell_all(found, event, revisions)
    except (Problem, OSError) as e:
        problems = [str(e)]
    for problem in problems:
        print(f"{where} (from account number {uid}): {problem}", file=sys.stderr, flush=True)
    return problems


def serve(listener: socket.socket, configuration: Document) -> None:
    """Work on messages until there has been none for a while."""
    while True:
        listener.settimeout(IDLE)
        try:
            connection, dummy = listener.accept()
        except socket.timeout:
            return
        with connection:
            problems = answer(connection, configuration)
            connection.settimeout(PATIENCE)
            with contextlib.suppress(OSError):  # nobody may wait any more
                connection.sendall(json.dumps({"problems": problems}).encode())


def main() -> None:
    os.umask(0o007)
    with open(sys.argv[1], encoding="utf-8") as file:
        configuration = json.load(file)
    # The first descriptor that systemd hands over.
    serve(socket.socket(fileno=3), configuration)


if __name__ == "__main__":
    main()
