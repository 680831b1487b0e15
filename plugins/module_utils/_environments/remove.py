# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Remove environments after a verified copy, and what killed runs left half made or half removed.

The name of a hidden directory says what may be done with it, and a rename changes both at once:

- ``.<name>.creating-*`` is an environment that was not complete. Its database was empty before.
- ``.<name>.removing-*`` is an environment of which a verified copy was in the archive.
"""

from __future__ import annotations

import os
import secrets
import shutil
import typing as t

from ansible_collections.trac.mod_wsgi.plugins.module_utils._copies import hot_copy
from ansible_collections.trac.mod_wsgi.plugins.module_utils._trac import database as trac_database
from ansible_collections.trac.mod_wsgi.plugins.module_utils._trac import environment_links
from ansible_collections.trac.mod_wsgi.plugins.module_utils._trac.environment_spec import (
    DATABASE,
    EnvironmentFailure,
    Report,
    Wording,
)
from ansible_collections.trac.mod_wsgi.plugins.module_utils._trac.ini import IniFile
from ansible_collections.trac.mod_wsgi.plugins.module_utils._trac.opening import (
    environment_class,
    opened,
    reason,
)

ARCHIVED: Wording = ("copy the environment to the archive", [], [])
_CAME = (
    "somebody worked in it while it was copied, so nothing was removed (the copy is {}); take its "
    "site down first, then run again"
)
REMOVED: Wording = ("remove the environment", ["environment"], [])


def hidden_name(path: str, doing: str) -> str:
    """A place beside an environment, where no site and no project index looks."""
    parent, name = os.path.split(path)
    return os.path.join(parent, f".{name}.{doing}-{secrets.token_hex(4)}")


def _ini_path(path: str) -> str:
    return os.path.join(path, "conf", "trac.ini")


def is_there(path: str, archive: str | None) -> bool:
    """Whether there is an environment to remove; fails where something else is in its place."""
    if not os.path.lexists(path):
        return False
    if os.path.islink(path):
        raise EnvironmentFailure(f"{path} is a symbolic link; remove by hand what it leads to")
    if not os.path.isfile(os.path.join(path, "VERSION")):
        raise EnvironmentFailure(
            f"{path} is no Trac environment (it has no file VERSION); nothing was touched"
        )
    if archive is None:
        raise EnvironmentFailure("there is no archive_directory to copy the environment to first")
    return True


def remove(path: str, archive: str | None, report: Report, check: bool) -> None:
    """Copy an environment to the archive and remove it, tables included."""
    if not is_there(path, archive) or archive is None:
        return
    name = os.path.basename(path)
    with opened(environment_class()(path, IniFile(_ini_path(path)).parser)) as environment:
        hot_copy.check_tools(environment)
        # So that check mode knows, too.
        environment_links.check(environment.path)
        with trac_database.connected(environment):
            pass
        if not check:
            copy = hot_copy.hot_copy(environment, name, archive)
            report.archive = copy.path
            report.warnings += hot_copy.lacks(copy.left_out)
            report.change(*ARCHIVED)
            report.warnings += hot_copy.left_alone(path, copy)
            if not copy.is_current(environment):
                raise EnvironmentFailure(_CAME.format(copy.path))
    if check:
        report.change(*ARCHIVED)
    else:
        hidden = hidden_name(path, "removing")
        os.rename(path, hidden)
        _check_nothing_came(path, hidden, copy)
        _destroy(hidden, trac_database.destroy)
    report.change(*REMOVED)


def _check_nothing_came(path: str, hidden: str, copy: hot_copy.Copy) -> None:
    """Put an environment back that somebody worked in until nobody could find it any more."""
    try:
        with opened(environment_class()(hidden, IniFile(_ini_path(hidden)).parser)) as environment:
            if copy.is_current(environment):
                return
    except BaseException:
        os.rename(hidden, path)
        raise
    os.rename(hidden, path)
    raise EnvironmentFailure(_CAME.format(copy.path))


def _destroy(path: str, destroy: t.Callable[[t.Any], None]) -> None:
    """Remove a hidden directory, and what is elsewhere of its environment before."""
    if os.path.exists(_ini_path(path)):
        parser = IniFile(_ini_path(path)).parser
        with opened(environment_class()(path, parser, new=True)) as environment:
            # Nothing is removed through a link.
            if trac_database.is_elsewhere(environment) and not trac_database.is_linked(environment):
                trac_database.check_driver(environment)
                destroy(environment)
    shutil.rmtree(path)


def undo_creation(path: str) -> None:
    """Remove an environment that did not become complete."""
    _destroy(path, trac_database.destroy_half_made)


def finish_removal(path: str, archive: str | None) -> None:
    """Go on with a removal that was broken off.

    Tables that are still there are copied once more: nobody knows how long ago the run was killed.
    """

    def destroy(environment: t.Any) -> None:
        if trac_database.has_tables(environment):
            if archive is None:
                raise EnvironmentFailure("there is no archive_directory to copy its database to")
            name = os.path.basename(path).split(".")[1]
            hot_copy.hot_copy(environment, name, archive)
            trac_database.destroy(environment)

    _destroy(path, destroy)


def clean_up(path: str, archive: str | None) -> str | None:
    """Remove what a killed run left behind; the reason if that cannot be done."""
    try:
        if ".removing-" in os.path.basename(path):
            finish_removal(path, archive)
        else:
            undo_creation(path)
    # The run goes on without, whatever a database driver raises.
    except (Exception, SystemExit) as e:  # noqa: BLE001
        return (
            f"{path} was left behind by a run that was killed, and cannot be cleaned up: "
            f"{reason(e, path)} (if its database is gone for good, remove the directory by hand)"
        )
    return None


def database_of(path: str) -> str | None:
    """The connection string of what a killed run left behind."""
    try:
        return IniFile(_ini_path(path)).current(DATABASE)
    except (OSError, EnvironmentFailure):
        return None
