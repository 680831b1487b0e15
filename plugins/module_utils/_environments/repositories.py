# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The repositories of an environment: an aspect, see _trac.environment_spec.

They are created on the disk where there is none, registered in Trac's table, and what Trac has
not read yet is read. Nothing is ever removed from the disk, and nothing in a repository that
exists is touched.
"""

from __future__ import annotations

import contextlib
import functools
import os
import pwd
import secrets
import shutil
import stat
import subprocess
import typing as t

from ansible_collections.trac.mod_wsgi.plugins.module_utils._core import secrets as core_secrets
from ansible_collections.trac.mod_wsgi.plugins.module_utils._trac import repository_spec
from ansible_collections.trac.mod_wsgi.plugins.module_utils._trac.environment_spec import (
    Change,
    Context,
    EnvironmentFailure,
    EnvironmentSpec,
    Wording,
)
from ansible_collections.trac.mod_wsgi.plugins.module_utils._trac.repository_spec import (
    TYPES,
    Repository,
    RepositoryFailure,
    label,
)

Registered = t.Dict[str, t.Any]  # what Trac's table says about a repository

BRANCH = "main"  # of new git repositories
# Making an empty one takes less than a second; a file system that is gone would be waited for.
_SECONDS = 300
_CREATE = {
    "git": ["git", "init", "--quiet", "--bare", "--shared=group", f"--initial-branch={BRANCH}"],
    "svn": ["svnadmin", "create"],
}
_SQL_VARIABLES = 900  # SQLite's limit is 999
# What has to be readable before a new revision can be shown.
_READ = {
    "git": ("HEAD", "config", "objects", "refs", "packed-refs", "objects/pack"),
    "svn": ("format", "db", "db/format", "db/current", "db/revs", "db/revprops"),
}


# In words


def created(repository: Repository) -> Wording:
    """The creation of a repository on the disk."""
    text = f"{TYPES[repository['type']]} repository {repository['dir']}"
    return f"create the {text}", [], [text]


def registered(repository: Repository) -> Wording:
    """The registration of a repository with Trac; its revisions are read with it."""
    values = {"type": repository["type"], "dir": repository["dir"], **repository["attributes"]}
    lines = [_line(repository["name"], key, value) for key, value in values.items() if value]
    return f"register the repository {label(repository['name'])}", [], lines


def _line(name: str, key: str, value: str) -> str:
    return f"repository {label(name)} {key} = {core_secrets.shown(key, value)}"


def for_new_environment(spec: EnvironmentSpec) -> list[Wording]:
    """What will be done for an environment that is about to be created."""
    wordings: list[Wording] = []
    for repository in spec.repositories:
        # What cannot be judged yet is left to the checks.
        with contextlib.suppress(OSError, RepositoryFailure):
            if repository_spec.is_missing(repository["type"], repository["dir"]):
                wordings.append(created(repository))
        wordings.append(registered(repository))
    return wordings


# The aspect


def check(environment: t.Any, spec: EnvironmentSpec, context: Context) -> None:
    """Refuse what cannot become a repository of an environment that is about to be created."""
    for repository in spec.repositories:
        _usable(environment, repository, None, context)


def plan(environment: t.Any, spec: EnvironmentSpec, context: Context) -> list[Change]:
    """Register what is missing, correct what differs, read what is new."""
    exclusive = "repositories" in spec.exclusive
    if not spec.repositories and not exclusive:
        return []
    from trac.versioncontrol.api import DbRepositoryProvider

    current: dict[str, Registered] = dict(DbRepositoryProvider(environment).get_repositories())
    changes: list[Change] = []
    removed = _obsolete(spec, current, exclusive)
    for name in sorted(removed, key=lambda name: "alias" not in current[name]):
        changes.append(_unregister(environment, name, current[name]))
    for repository in spec.repositories:
        name = repository["name"]
        known = current.get(name) if name not in removed else None
        changes += _plan_one(environment, repository, known, context)
    return changes


def _obsolete(
    spec: EnvironmentSpec, current: t.Mapping[str, Registered], exclusive: bool
) -> set[str]:
    """The names that are registered and have to go."""
    wanted = {repository["name"] for repository in spec.repositories}
    removed = {name for name in current if exclusive and name not in wanted}
    # An alias cannot be made into a repository, only be replaced by one.
    removed |= {name for name in wanted if "alias" in current.get(name, {})}
    for name, known in current.items():
        if "alias" in known and known["alias"] in removed and name not in removed:
            raise EnvironmentFailure(
                f"repository {label(known['alias'])} cannot be unregistered: "
                f"{label(name)} is an alias of it"
            )
    return removed


def _plan_one(
    environment: t.Any, repository: Repository, known: Registered | None, context: Context
) -> list[Change]:
    from trac.versioncontrol.api import RepositoryManager

    name = repository["name"]
    if known is None:
        _refuse_configured(environment, name)
    missing = _usable(environment, repository, known, context)
    changes = []
    if missing:
        changes.append(Change(*created(repository), functools.partial(create, repository)))
    if known is None:
        register = functools.partial(_register, environment, repository)
        return [*changes, Change(*registered(repository), register)]
    kind = known.get("type") or RepositoryManager(environment).default_repository_type
    differing = {
        key: value
        for key, value, old in (
            ("type", repository["type"], kind),
            ("dir", repository["dir"], known.get("dir")),
            *((key, value, known.get(key)) for key, value in repository["attributes"].items()),
        )
        if value != _as_text(old)
    }
    if differing:
        changes.append(_modify(environment, name, known, differing))
    if missing or "type" in differing or "dir" in differing:
        return changes
    return changes + _plan_reading(environment, repository, known, context)


def _as_text(value: object) -> str:
    """An attribute of Trac's table in the form of ours."""
    if isinstance(value, bool):
        return "1" if value else ""
    return "" if value is None else str(value)


def _refuse_configured(environment: t.Any, name: str) -> None:
    """Refuse a name that trac.ini gives to a repository: Trac would take either of the two."""
    option = f"{name}.dir"
    if environment.config.has_option("repositories", option, defaults=False):
        raise EnvironmentFailure(
            f"repository {label(name)} is defined in trac.ini, too; remove its options from "
            f"[repositories] there (config: {{repositories: {{{option}: null}}}})"
        )


# Changes


def _unregister(environment: t.Any, name: str, known: Registered) -> Change:
    from trac.versioncontrol.api import DbRepositoryProvider

    lines = [
        _line(name, key, _as_text(known[key]))
        for key in ("type", "dir", "alias", *repository_spec.ATTRIBUTES)
        if known.get(key)
    ]
    remove = functools.partial(DbRepositoryProvider(environment).remove_repository, name)
    kind = "alias" if "alias" in known else "repository"
    return Change(f"unregister the {kind} {label(name)}", lines, [], remove)


def _register(environment: t.Any, repository: Repository) -> None:
    from trac.versioncontrol.api import DbRepositoryProvider

    provider = DbRepositoryProvider(environment)
    # Together, so that nobody sees half of it.
    with environment.db_transaction:
        provider.add_repository(repository["name"], repository["dir"], repository["type"])
        attributes = {key: value for key, value in repository["attributes"].items() if value}
        if attributes:
            provider.modify_repository(repository["name"], attributes)
    _read_revisions(environment, repository["name"])


def _modify(environment: t.Any, name: str, known: Registered, differing: dict[str, str]) -> Change:
    from trac.versioncontrol.api import DbRepositoryProvider

    before = [_line(name, key, _as_text(known[key])) for key in differing if known.get(key)]
    after = [_line(name, key, value) for key, value in differing.items() if value]
    moved = "type" in differing or "dir" in differing

    def apply() -> None:
        DbRepositoryProvider(environment).modify_repository(name, differing)
        if moved:
            _read_revisions(environment, name, anew=True)

    words = f"set {', '.join(differing)} of the repository {label(name)}"
    return Change(words, before, after, apply)


def _read_revisions(environment: t.Any, name: str, anew: bool = False) -> None:
    from trac.util.concurrency import get_thread_id
    from trac.versioncontrol.api import RepositoryManager

    manager = RepositoryManager(environment)
    try:
        manager.get_repository(name).sync(clean=anew)
    finally:
        manager.shutdown(get_thread_id())  # closes it, with its processes


def _plan_reading(
    environment: t.Any, repository: Repository, known: Registered, context: Context
) -> list[Change]:
    """Read the revisions that Trac does not know yet, where it keeps a list of them."""
    name, kind = repository["name"], repository["type"]
    # Otherwise git is asked for each page. Not to ask it here keeps the run cheap.
    if kind == "git" and not environment.config.getbool("git", "cached_repository"):
        return []
    with _opened(environment, repository, known, context) as opened:
        if opened is None:
            return []
        if opened.metadata.get("repository_dir") not in ("", None, opened.name):
            read = functools.partial(_read_revisions, environment, name, anew=True)
            words = f"read all revisions of {label(name)} anew: it is another one than before"
            return [Change(words, [], [words], read)]
        new = _new_git_heads(environment, opened) if kind == "git" else _new_revisions(opened)
    if not new:
        return []
    read = functools.partial(_read_revisions, environment, name)
    words = f"read the new revisions of the repository {label(name)}"
    return [Change(words, [], [f"repository {label(name)} {new}"], read)]


def _new_revisions(repository: t.Any) -> str | None:
    """Revisions are numbers here."""
    repository.repos.clear()
    youngest = repository.repos.youngest_rev
    read = repository.rev_db(repository.metadata.get("youngest_rev"))
    return f"revision {youngest}" if youngest > read else None


def _new_git_heads(environment: t.Any, repository: t.Any) -> str | None:
    """Revisions are a graph here, of which all is known when its heads are."""
    heads = sorted({revision for _name, revision in repository.repos.git.get_refs()})
    for start in range(0, len(heads), _SQL_VARIABLES):
        some = heads[start : start + _SQL_VARIABLES]
        places = ",".join(["%s"] * len(some))
        known = {
            revision
            for (revision,) in environment.db_query(
                f"SELECT rev FROM revision WHERE repos=%s AND rev IN ({places})",  # noqa: S608
                [repository.id, *some],
            )
        }
        unknown = [revision for revision in some if revision not in known]
        if unknown:
            return f"revision {unknown[0]}"
    return None


# What is on the disk, and what Trac says about it


def _usable(
    environment: t.Any, repository: Repository, known: Registered | None, context: Context
) -> bool:
    """Whether the repository is missing on the disk; refuses what cannot be used."""
    kind, path = repository["type"], repository["dir"]
    where = f"repository {label(repository['name'])}: "
    try:
        missing = repository_spec.is_missing(kind, path)
    except RepositoryFailure as e:
        raise EnvironmentFailure(f"{where}{e}") from e
    except PermissionError:
        raise EnvironmentFailure(where + _no_access(path)) from None
    if missing:
        if known is not None and known.get("dir") == path:
            raise EnvironmentFailure(
                f"{where}Trac knows it, but there is none at {path} any more (a disk that is not "
                "mounted?); to begin with an empty one, have Trac forget it first: "
                f"trac-admin {environment.path} repository remove "
                f"{repository['name'] or '(default)'}"
            )
        # In check mode the directory that it goes into may be yet to come.
        if not context.check:
            _refuse_unwritable(where, path)
        return True
    root = repository_spec.root(kind, path) or path
    for name in _READ[kind]:
        part = os.path.join(root, name)
        if os.path.exists(part) and not _readable(part):
            raise EnvironmentFailure(where + _no_access(part))
    if known is None or known.get("dir") != path:
        with _opened(environment, repository, {"id": 0}, context):
            pass
    return False


def _readable(path: str) -> bool:
    return os.access(path, os.R_OK | os.X_OK if os.path.isdir(path) else os.R_OK)


def _refuse_unwritable(where: str, path: str) -> None:
    parent = path
    while not os.path.isdir(parent):
        parent = os.path.dirname(parent)
    if not os.access(parent, os.W_OK | os.X_OK):
        raise EnvironmentFailure(
            f"{where}the account {_account(os.geteuid())} cannot create {path}: it may not write "
            f"into {parent}, which belongs to {_account(os.stat(parent).st_uid)}"
        )


def _no_access(path: str) -> str:
    """Which account is kept from what, and how to let it in."""
    account = _account(os.geteuid())
    remedy = f"setfacl -R -m u:{account}:rX,d:u:{account}:rX"
    parts = path.split("/")
    # The first directory on the way that does not let the account through.
    for end in range(2, len(parts)):
        directory = "/".join(parts[:end])
        if not os.access(directory, os.X_OK):
            path, remedy = directory, f"setfacl -m u:{account}:x"
            break
    owner = ""
    with contextlib.suppress(OSError):
        status = os.stat(path)
        owner = f" (it belongs to {_account(status.st_uid)}, mode {stat.S_IMODE(status.st_mode):o})"
    return (
        f"the account {account} is not allowed to read {path}{owner}; let it, for example by "
        f"making it a member of the directory's group, or with: {remedy} {path}"
    )


def _account(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


@contextlib.contextmanager
def _opened(
    environment: t.Any, repository: Repository, known: Registered, context: Context
) -> t.Iterator[t.Any]:
    """The repository through Trac, which refuses what it cannot read.

    Not by Trac's manager: that one writes into the database when it looks for repositories.
    """
    from trac.core import TracError

    kind = repository["type"]
    where = f"repository {label(repository['name'])}: "
    connector = _connector(environment, kind)
    problem = None
    if connector is None:
        problem = "its component is not enabled in trac.ini"
    elif kind == "svn" and connector.error:
        problem = f"its bindings for Python are missing ({connector.error})"
    elif kind == "git" and shutil.which(connector.git_bin) is None:
        problem = f"the program {connector.git_bin} is missing"
    if problem:
        message = f"{where}Trac has no support for {TYPES[kind]}, {problem}"
        if connector is None or not context.check:
            raise EnvironmentFailure(message)
        context.warn(f"{message}; a run may install it")
        yield None
        return
    params = {**known, "name": repository["name"], "id": known["id"]}
    try:
        opened = connector.get_repository(kind, repository["dir"], params)
    except TracError as e:
        raise EnvironmentFailure(f"{where}{e}") from e
    try:
        yield opened
    finally:
        opened.close()


def _connector(environment: t.Any, kind: str) -> t.Any:
    """What Trac would open a repository of this type with."""
    from trac.versioncontrol.api import RepositoryManager

    offers = [
        (abs(priority), index, connector)
        for index, connector in enumerate(RepositoryManager(environment).connectors)
        for supported, priority in connector.get_supported_types() or []
        if supported == kind
    ]
    return max(offers)[2] if offers else None


# Creation


def create(repository: Repository) -> None:
    """Make an empty repository; it appears when it is complete."""
    path = repository["dir"]
    parent, name = os.path.split(path)
    os.makedirs(parent, exist_ok=True)
    prefix = f".{name}.creating-"
    for entry in os.listdir(parent):  # what a killed run left
        if entry.startswith(prefix) and not os.path.islink(os.path.join(parent, entry)):
            shutil.rmtree(os.path.join(parent, entry), ignore_errors=True)
    temporary = os.path.join(parent, prefix + secrets.token_hex(4))
    try:
        _run([*_CREATE[repository["type"]], temporary])
        try:
            os.rename(temporary, path)  # onto an empty directory, too
        except OSError:
            # Another environment's worker was faster.
            if repository_spec.is_missing(repository["type"], path):
                raise
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _run(command: list[str]) -> None:
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            check=False,
            timeout=_SECONDS,
        )
    except FileNotFoundError:
        raise EnvironmentFailure(f"the program {command[0]} is not installed") from None
    except subprocess.TimeoutExpired:
        raise EnvironmentFailure(
            f"{' '.join(command)} was still at work after {_SECONDS} seconds, and was ended"
        ) from None
    if done.returncode != 0:
        raise EnvironmentFailure(f"{' '.join(command)}: {done.stderr.strip()}")
