# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Name what the trac.ini of an environment needs and the host lacks.

That is programs and bindings that role trac_runtime installs, repositories on the disk, and options
that Trac reads under another name now, if at all. Trac opens such an environment all the same, and
answers with an error, or with less than before, to whoever asks for a repository.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import shutil
import typing as t

from ansible_collections.trac.mod_wsgi.plugins.module_utils._trac import (
    repository_spec,
    runtime_bindings,
)
from ansible_collections.trac.mod_wsgi.plugins.module_utils._trac.environment_spec import OptionName
from ansible_collections.trac.mod_wsgi.plugins.module_utils._trac.finding import Finding
from ansible_collections.trac.mod_wsgi.plugins.module_utils._trac.repository_spec import label

# Trac's names for what one kind of repository is read by.
_KINDS = {"git": "git", "svn": "svn", "svnfs": "svn", "direct-svnfs": "svn"}
# Options that an upgrade of Trac's moves, the version of the database that has done so, and their
# new name. One that stands there later has come by hand, or with a trac.ini of another environment.
_MOVED: tuple[tuple[OptionName, int, str], ...] = (
    (("trac", "repository_dir"), 31, "{repositories: {.dir: DIRECTORY, .type: TYPE}}"),
    (("trac", "repository_type"), 39, "{versioncontrol: {default_repository_type: TYPE}}"),
    (("trac", "repository_sync_per_request"), 32, "{repositories: {NAME.sync_per_request: true}}"),
    (("trac", "authz_file"), 39, "{svn: {authz_file: FILE}}"),
    (("trac", "authz_module_name"), 39, "{svn: {authz_module_name: NAME}}"),
    (("git", "projects_base"), 32, "{gitweb-repositories: {projects_base: DIRECTORY}}"),
    (("git", "projects_list"), 32, "{gitweb-repositories: {projects_list: FILE}}"),
    (("git", "projects_url"), 32, "{gitweb-repositories: {projects_url: URL}}"),
)
_SHOWN = 60  # characters of a value


def findings(
    environment: t.Any, version: int, managed: t.Container[str] = (), ask: bool = True
) -> t.Iterator[Finding]:
    """Return what is missing.

    :param version: of its database, which tells what its upgrades have done
    :param managed: names of repositories that the inventory takes care of
    :param ask: whether its database can be asked
    """
    yield from _moved_options(environment, version)
    yield from _repositories_of(environment, managed, ask)


def _moved_options(environment: t.Any, version: int) -> t.Iterator[Finding]:
    for (section, option), since, now in _MOVED:
        if version < since or not environment.config.has_option(section, option, defaults=False):
            continue
        value = str(environment.config.get(section, option)).strip()
        if value and not _is_in_force(environment, option, value):
            yield Finding(
                "repositories",
                f"[{section}] {option} = {value[:_SHOWN]} is not read by Trac any more",
                f"config: {now}, and config: {{{section}: {{{option}: null}}}}",
            )


def _is_in_force(environment: t.Any, option: str, value: str) -> bool:
    """Whether it is only left over, and says the same as the option that is read now."""
    config = environment.config
    if option == "repository_type":
        return bool(value == config.get("versioncontrol", "default_repository_type"))
    if option == "repository_dir":
        return bool(value == config.get("repositories", ".dir"))
    if option.startswith("authz"):
        return bool(value == config.get("svn", option))
    return False


def is_authz_ignored(environment: t.Any, policies: t.Container[str]) -> bool:
    """Whether there is a file of rights to Subversion's paths that no policy reads."""
    config = environment.config
    file = config.get("svn", "authz_file") or config.get("trac", "authz_file")
    return bool(file) and "AuthzSourcePolicy" not in policies


# Repositories


def _repositories_of(
    environment: t.Any, managed: t.Container[str], ask: bool
) -> t.Iterator[Finding]:
    from trac.versioncontrol.api import RepositoryManager

    manager = RepositoryManager(environment)
    registered = dict(_registered(environment)) if ask else {}
    known = {**dict(manager.get_repositories()), **registered}
    of_kind: dict[str, list[str]] = {}
    for name, entry in sorted(known.items()):
        directory = entry.get("dir")
        if name in managed or "alias" in entry or not directory:
            continue
        path = os.path.normpath(os.path.join(environment.path, directory))
        kind = str(entry.get("type") or manager.default_repository_type)
        of_kind.setdefault(kind, []).append(label(name))
        # What trac.ini says counts no less than Trac's table, so it has to be corrected there.
        entry = f"config: {{repositories: {{{name}.dir: DIRECTORY}}}}"
        if name in registered:
            entry = f"repositories: [{{name: {name or '(default)'}, type: {kind}, dir: DIRECTORY}}]"
        yield from _directory(f"{label(name)} of the type {kind}", kind, path, entry)
    for kind, names in sorted(of_kind.items()):
        yield from _connector(environment, manager, kind, ", ".join(names))


def _registered(environment: t.Any) -> t.Iterable[tuple[str, t.Any]]:
    """Those of Trac's table, as far as it can be asked."""
    from trac.versioncontrol.api import DbRepositoryProvider

    # A table that is not there yet, a server that is silent: told elsewhere.
    with contextlib.suppress(Exception):
        return list(DbRepositoryProvider(environment).get_repositories())
    return []


def _directory(which: str, kind: str, path: str, entry: str) -> t.Iterator[Finding]:
    where = f"the repository {which} is at {path}"
    if not os.path.lexists(path):
        parent = path
        while not os.path.isdir(parent):
            parent = os.path.dirname(parent)
        if not os.access(parent, os.X_OK):
            yield _closed(where, parent)
            return
        yield Finding(
            "repositories",
            f"{where}, and there is nothing (a disk that is not mounted, another host?)",
            f"put it there, or say where it is now ({entry})",
        )
    elif not os.access(path, os.R_OK | os.X_OK):
        yield _closed(where, path)
    elif kind in _KINDS and repository_spec.root(_KINDS[kind], path) is None:
        yield Finding(
            "repositories",
            f"{where}, and that is no repository of this type",
            f"correct it ({entry})",
        )


def _closed(where: str, path: str) -> Finding:
    return Finding(
        "repositories",
        f"{where}, where the account of Trac may not look ({path})",
        "let it read there, by the directory's group or with setfacl",
    )


def _connector(environment: t.Any, manager: t.Any, kind: str, names: str) -> t.Iterator[Finding]:
    """Whether anything reads repositories of a type."""
    supported: dict[str, int] = {}
    for connector in manager.connectors:
        for each, priority in connector.get_supported_types() or ():
            supported[each] = max(priority, supported.get(each, -1))
    family = _KINDS.get(kind)
    whose = f"repositories of the type {kind} ({names})"
    if kind not in supported:
        component = repository_spec.COMPONENTS.get(family or "")
        yield Finding(
            "repositories",
            f"{whose} cannot be read: no component for them is enabled",
            f"config: {{components: {{{component}: enabled}}}}"
            if component
            else "have trac_runtime_plugins install the plugin for them, and enable it",
        )
    if family == "svn" and (supported.get(kind, -1) < 0 and not _has_bindings()):
        yield Finding(
            "repositories",
            f"{whose} cannot be read: Subversion's bindings for Python (svn) are not installed",
            runtime_bindings.remedy("svn"),
        )
    program = environment.config.get("git", "git_bin") or "git"
    if family == "git" and shutil.which(program) is None:
        own = program != "git"
        yield Finding(
            "repositories",
            f"{whose} cannot be read: there is no program {program}"
            + (" ([git] git_bin)" if own else ""),
            ("config: {git: {git_bin: null}} for that of the distribution, and " if own else "")
            + runtime_bindings.remedy("git"),
        )


def _has_bindings() -> bool:
    return importlib.util.find_spec("svn") is not None
