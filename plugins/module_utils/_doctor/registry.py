# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How a function becomes one of the doctor's checks: by the decorator C(check).

The decorator says all that others need to know of it. There is no list to add it to: C(of) finds
the checks of a module, C(checks.py) puts the modules in order.

What a function is called with, and which account it runs as, depends on its group. Functions of
the groups RUNTIME, FILES and TRAC are sent to the worker, so their modules import Trac only inside
of functions: root imports them, too, for names and titles, under a Python that has no Trac.
"""

from __future__ import annotations

import dataclasses
import types
import typing as t

from ansible_collections.trac.mod_wsgi.plugins.module_utils._doctor.result import Result

# Groups, in the order in which they run. As the service account, in the worker:
RUNTIME = "runtime"  # once, called with nothing, in the Python that has Trac
FILES = "files"  # for each environment, called with its path
TRAC = "trac"  # for each environment that Trac can open, called with an OpenedEnvironment
# As root, called with the Host:
APACHE = "apache"
HOST = "host"
SITES = "sites"  # after pages of the sites were requested

WORKER_GROUPS = (RUNTIME, FILES, TRAC)

# What a check may need. Where it is missing, the check is skipped, with the reason.
# Of the groups of root:
WORKER = "worker"  # the worker has run before; facts that it did not find out are missing
SERVERS = "servers"  # the worker's list of database servers
RUNNING_APACHE = "running Apache"
PAGES = "pages"  # a start page or the hello-world to request
START_PAGES = "start pages"  # a site that serves an environment
FOR_START_PAGES = (WORKER, RUNNING_APACHE, START_PAGES)
# Of the group FILES:
ENVIRONMENT = "environment"  # the environment exists
# Of the group TRAC:
DATABASE = "database"  # the environment's database answers
SOUND_DATABASE = "sound database"  # it is neither damaged nor outdated

_Function = t.Callable[..., t.Iterable[Result]]
_F = t.TypeVar("_F", bound=_Function)
_ATTRIBUTE = "doctor_check"


@dataclasses.dataclass(frozen=True)
class Check:
    """A function, and what its decorator says about it."""

    name: str
    title: str  # what it shows when all is well; empty for a further part of a check
    group: str
    needs: tuple[str, ...]
    function: _Function


def check(name: str, title: str, group: str, needs: t.Iterable[str] = ()) -> t.Callable[[_F], _F]:
    """Make a function the check of this name."""

    def decorate(function: _F) -> _F:
        setattr(function, _ATTRIBUTE, Check(name, title, group, tuple(needs), function))
        return function

    return decorate


def part(name: str, group: str, needs: t.Iterable[str] = ()) -> t.Callable[[_F], _F]:
    """Make a function a further part of a check, whose title stands at its main function."""
    return check(name, "", group, needs)


def of(*modules: types.ModuleType) -> list[Check]:
    """The checks that modules define, in the order in which they stand there."""
    found = []
    for module in modules:
        for value in vars(module).values():
            each = getattr(value, _ATTRIBUTE, None)
            # Functions that a module only imports belong to another one.
            if isinstance(each, Check) and each.function.__module__ == module.__name__:
                found.append(each)
    return found


def missing(needs: t.Iterable[str], absent: t.Mapping[str, str]) -> str:
    """Why a check cannot be made, by what is absent; empty if it can."""
    return next((absent[need] for need in needs if need in absent), "")
