# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The repositories of environments, as the inventory names them and as they lie on the disk.

Nothing here needs Trac, git or Subversion.
"""

from __future__ import annotations

import os
import re
import typing as t

from ansible_collections.trac.mod_wsgi.plugins.module_utils._core.directories import is_within

Repository = t.Dict[str, t.Any]

TYPES = {"git": "git", "svn": "Subversion"}
# What Trac keeps besides name, type and directory; what is left out is left alone.
ATTRIBUTES = ("description", "url", "hidden", "sync_per_request")
# What brings Trac the support of a type; not on by default.
COMPONENTS = {"git": "tracopt.versioncontrol.git.*", "svn": "tracopt.versioncontrol.svn.*"}

_CONTROL = re.compile(r"[\x00-\x1f\x7f\x85\u2028\u2029]")
_LINES = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")
# Such a name can be a part of a path.
_PLAIN = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+-]*\Z")
_CONTROL_FILES = {"git": ("HEAD", "objects", "refs"), "svn": ("format", "db")}


class RepositoryFailure(Exception):
    """Why a directory cannot be used as a repository."""


def label(name: str) -> str:
    """How a repository is called in messages."""
    return repr(name) if name else "(default)"


def _name_problem(name: str) -> str | None:
    if _CONTROL.search(name):
        return "control characters are not allowed"
    if name != name.strip() or name.startswith(("-", "/")) or name.endswith("/"):
        return "it must not begin or end with white space or '/', nor begin with '-'"
    if "\\" in name or any(part in ("", ".", "..") for part in name.split("/") if name):
        return "it must not hold '\\', '//' or parts that are '.' or '..'"
    return None


def _directory_problem(directory: str) -> str | None:
    if _CONTROL.search(directory):
        return "control characters are not allowed"
    if not directory.startswith("/") or directory.startswith("//"):
        return "it has to be an absolute path"
    if os.path.normpath(directory) != directory.rstrip("/"):
        return "it must not hold '//', '.' or '..'"
    if directory.rstrip("/").count("/") < 2:
        return "it has to be a directory below another one, such as /srv/git/code.git"
    return None


def _attributes(document: t.Mapping[str, t.Any]) -> tuple[dict[str, str], list[str]]:
    """What Trac keeps as text; its own form of false is no text."""
    wanted: dict[str, str] = {}
    problems: list[str] = []
    for key in ATTRIBUTES:
        value = document.get(key)
        if value is None:
            continue
        if key in ("hidden", "sync_per_request"):
            if not isinstance(value, bool):
                problems.append(f"{key} is {value!r}; it has to be true or false")
            wanted[key] = "1" if value else ""
        else:
            text = str(value)
            if (_CONTROL if key == "url" else _LINES).search(text):
                problems.append(f"{key} is {text!r}; control characters are not allowed")
            wanted[key] = text
    return wanted, problems


def _read_one(document: t.Mapping[str, t.Any]) -> tuple[Repository, list[str]]:
    name = str(document.get("name", ""))
    name = "" if name == "(default)" else name
    directory = str(document.get("dir") or "")
    attributes, problems = _attributes(document)
    if document.get("name") is None:
        problems.append('name is missing; the default repository is named ""')
    wrong = _name_problem(name)
    if wrong:
        problems.append(f"name is {name!r}; {wrong}")
    if document.get("type") not in TYPES:
        problems.append(f"type is {document.get('type')!r}; it has to be {' or '.join(TYPES)}")
    wrong = _directory_problem(directory)
    if wrong and directory:
        problems.append(f"dir is {directory!r}; {wrong}")
    elif wrong and not problems:
        problems.append(f"dir is missing, and the name {name!r} cannot be a part of a path")
    if not isinstance(document.get("hook", True), bool):
        problems.append(f"hook is {document['hook']!r}; it has to be true or false")
    repository = {
        "name": name,
        "type": document.get("type"),
        "dir": directory.rstrip("/"),
        "hook": document.get("hook", True),
        "attributes": attributes,
    }
    return repository, problems


def read(documents: object) -> tuple[list[Repository], list[str]]:
    """The repositories of one environment, and what is wrong with them, in words."""
    if not isinstance(documents, (list, tuple)):
        return [], ["repositories has to be a list of dictionaries"]
    repositories: list[Repository] = []
    problems: list[str] = []
    names: set[str] = set()
    directories: set[str] = set()
    for index, document in enumerate(documents):
        where = f"repositories[{index}]"
        if not isinstance(document, t.Mapping):
            problems.append(f"{where} is {document!r}; it has to be a dictionary")
            continue
        repository, wrong = _read_one(document)
        if repository["name"] in names:
            wrong.append(f"name is {repository['name']!r}, which another repository has already")
        names.add(repository["name"])
        if repository["dir"] in directories:
            wrong.append(f"dir is {repository['dir']!r}, which another repository has already")
        directories |= {repository["dir"]} - {""}
        problems += [f"{where}.{problem}" for problem in wrong]
        repositories.append(repository)
    return repositories, problems


def components(repositories: t.Iterable[Repository]) -> list[str]:
    """The components that Trac needs for repositories, as patterns of [components]."""
    types = {repository["type"] for repository in repositories}
    return [pattern for kind, pattern in COMPONENTS.items() if kind in types]


# All environments of a host


def located(environments: object, parent: str) -> object:
    """The environments, with directories for those repositories whose entry names none.

    Values of a wrong shape are handed on as they are, for others to complain about.
    """
    if not isinstance(environments, (list, tuple)):
        return environments
    result = []
    for environment in environments:
        repositories = _of(environment)
        if repositories:
            placed = [_located(document, parent, environment) for document in repositories]
            environment = {**environment, "repositories": placed}
        result.append(environment)
    return result


def _of(environment: object) -> list[t.Any]:
    found = environment.get("repositories") if isinstance(environment, t.Mapping) else None
    return list(found) if isinstance(found, (list, tuple)) else []


def _located(document: t.Any, parent: str, environment: t.Mapping[str, t.Any]) -> t.Any:
    if not isinstance(document, t.Mapping) or document.get("dir") not in (None, ""):
        return document
    name = str(document.get("name", ""))
    if name in ("", "(default)"):
        name = "default"
    if not _PLAIN.match(name):
        return document
    suffix = ".git" if document.get("type") == "git" else ""
    return {**document, "dir": os.path.join(parent, str(environment.get("name")), name + suffix)}


def problems_between(environments: object, environments_dir: str) -> list[str]:
    """What is wrong with the repositories of several environments, each of which is well."""
    problems = []
    types: dict[str, str] = {}
    for index, environment in enumerate(t.cast("list[t.Any]", environments)):
        for number, repository in enumerate(read(_of(environment))[0]):
            path = repository["dir"]
            where = f"trac_environments[{index}].repositories[{number}].dir is {path!r}"
            if is_within(path, environments_dir) or is_within(environments_dir, path):
                problems.append(
                    f"{where}; repositories and environments ({environments_dir}) must not be "
                    "within each other."
                )
            if types.setdefault(path, repository["type"]) != repository["type"]:
                problems.append(f"{where}, which is a {types[path]} repository elsewhere.")
    return problems


def on_host(
    environments: t.Iterable[t.Mapping[str, t.Any]], environments_dir: str
) -> list[dict[str, t.Any]]:
    """The directories of all repositories, each with its type, hook and environments."""
    result: dict[str, dict[str, t.Any]] = {}
    for environment in environments:
        if (environment.get("state") or "present") != "present":
            continue
        path = os.path.join(environments_dir, environment["name"])
        for repository in read(_of(environment))[0]:
            entry = result.setdefault(
                repository["dir"],
                {
                    "dir": repository["dir"],
                    "type": repository["type"],
                    "hook": False,
                    "environments": [],
                },
            )
            entry["hook"] = entry["hook"] or repository["hook"]
            if path not in entry["environments"]:
                entry["environments"].append(path)
    return list(result.values())


# On the disk


def _entries(path: str) -> list[str] | None:
    """What is in a directory; None when there is nothing at the path."""
    try:
        return os.listdir(path)
    except FileNotFoundError:
        if os.path.islink(path):
            raise RepositoryFailure(f"{path} is a symbolic link to nowhere") from None
        return None
    except NotADirectoryError:
        raise RepositoryFailure(f"{path} is not a directory") from None


def is_repository(kind: str, path: str) -> bool:
    """Whether a directory has the files of a repository (of git: without a working tree)."""
    return all(os.path.exists(os.path.join(path, name)) for name in _CONTROL_FILES[kind])


def root(kind: str, path: str) -> str | None:
    """The repository that a directory of the inventory belongs to, or None.

    For git that is the directory itself or the `.git` in it, for Subversion the directory or one
    above it: Trac can be given a part of a repository.
    """
    if kind == "git":
        candidates = [path, os.path.join(path, ".git")]
    else:
        parts = path.split("/")
        candidates = ["/".join(parts[:end]) for end in range(len(parts), 1, -1)]
    return next((entry for entry in candidates if is_repository(kind, entry)), None)


def is_missing(kind: str, path: str) -> bool:
    """Whether there is room to create a repository; False when there is one.

    Anything else raises RepositoryFailure, or PermissionError where the account may not look.
    """
    entries = _entries(path)
    if root(kind, path) is not None:
        return False
    if not entries:
        return True
    other = next((name for name in TYPES if name != kind and root(name, path) == path), None)
    found = f"it is a {TYPES[other]} repository" if other else "it is not empty"
    raise RepositoryFailure(f"{path} is no {TYPES[kind]} repository: {found}; nothing was touched")
