# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files that trac.ini names, and without which an environment is open or down.

Trac passes over a file to inherit from that is not there, and policies over a file of rules that
they may not read, without a word: what was closed is open then.
"""

from __future__ import annotations

import os
import typing as t

from ansible_collections.trac.mod_wsgi.plugins.module_utils._core import regular_file
from ansible_collections.trac.mod_wsgi.plugins.module_utils._trac.environment_spec import OptionName
from ansible_collections.trac.mod_wsgi.plugins.module_utils._trac.fault import (
    DOWN,
    OPEN,
    Fault,
    option,
)
from ansible_collections.trac.mod_wsgi.plugins.module_utils._trac.opening import account_name

INHERIT = ("inherit", "file")
POLICIES = ("trac", "permission_policies")
# Trac's own policies that read rules from a file, and the option that names it.
_RULES: dict[str, OptionName] = {
    "AuthzPolicy": ("authz_policy", "authz_file"),
    "AuthzSourcePolicy": ("svn", "authz_file"),
}
_DEPTH = 20  # of files that inherit from one another


class Place(t.NamedTuple):
    """The present path of an environment and its path after a move."""

    now: str
    later: str

    def found(self, path: str) -> str:
        """Return the present path for a future one."""
        return _moved(path, self.later, self.now)

    def shown(self, path: str) -> str:
        """Return the future path for a present one."""
        return _moved(path, self.now, self.later)


def _moved(path: str, old: str, new: str) -> str:
    inside = os.path.relpath(path, old)
    if inside.split(os.sep)[0] == os.pardir:
        return os.path.normpath(path)  # what leads through it need not be there yet
    return os.path.normpath(os.path.join(new, inside))


class Unread(t.NamedTuple):
    """Why a file cannot be used."""

    why: str
    missing: bool = False
    loud: bool = False  # whether Trac says so with each page


def parents(parser: t.Any, path: str) -> list[str]:
    """Return the files that a trac.ini inherits from, relative to its place as Trac reads them."""
    if not parser.has_option(*INHERIT):
        return []
    names = [name.strip() for name in parser.get(*INHERIT).split(",")]
    # Trac takes an empty name for the directory, and that for no file.
    return [os.path.join(os.path.dirname(path), name) for name in names if name]


def inherited(parser: t.Any, path: str, place: Place | None = None) -> list[Fault]:
    """Return what is wrong with the files that a trac.ini inherits from, directly or not.

    :param parser: Trac's parser, with what trac.ini holds, or is going to
    :param path: where trac.ini is, or is going to be
    """
    return list(_inherited(parser, path, place, [os.path.realpath(path)]))


def _inherited(
    parser: t.Any, path: str, place: Place | None, chain: t.Sequence[str]
) -> t.Iterator[Fault]:
    for parent in parents(parser, path):
        shown = os.path.normpath(parent)
        what = f"{option(INHERIT)}{f' in {path}' if len(chain) > 1 else ''} names {shown}"
        if os.path.realpath(parent) in chain or len(chain) > _DEPTH:
            yield Fault(what, ", which leads back to itself", f"correct {option(INHERIT)}")
            continue
        read = _parsed(place.found(parent) if place else parent)
        if isinstance(read, Unread):
            yield Fault(
                what,
                f", which {read.why}",
                _remedy(read, shown),
                f"when trac.ini itself holds all that it held, take it out of {option(INHERIT)}, "
                "or make an empty file",
                DOWN if read.loud else OPEN,
            )
        else:
            yield from _inherited(read, parent, place, [*chain, os.path.realpath(parent)])


def _remedy(read: Unread, path: str) -> str:
    if read.missing:
        return f"put {path} there as it was (from the former host, or a copy of it)"
    return f"correct {path}" if read.loud else f"let {_me()} read {path}"


def _me() -> str:
    return account_name(os.geteuid())


def _parsed(path: str, **arguments: t.Any) -> t.Any:
    """Trac's parser of a file, or why there is none."""
    try:
        return parsed(regular_file.read(path, follow=True), path, **arguments)
    except FileNotFoundError:
        return Unread("does not exist", missing=True)
    except PermissionError:
        return Unread(f"the account {_me()} is not allowed to read")
    except OSError as e:
        return Unread(f"is no file ({e.strerror})")


def parsed(content: bytes, path: str, **arguments: t.Any) -> t.Any:
    """Trac's parser of what a file holds, or why there is none."""
    import configparser

    from trac.config import UnicodeConfigParser

    parser = UnicodeConfigParser(**arguments)
    try:
        parser.read_string(content.decode("utf-8"), path)
    except UnicodeDecodeError as e:
        return Unread(f"is not UTF-8 ({e})", loud=True)
    except configparser.Error as e:
        return Unread(f"Trac cannot read ({' '.join(str(e).split())})", loud=True)
    return parser


def rules(
    environment: t.Any,
    policies: t.Collection[str],
    value: t.Callable[[OptionName], str],
    place: Place | None = None,
) -> t.Iterator[Fault]:
    """What is wrong with the files that hold rules for permissions.

    :param policies: those in use
    :param value: tells what an option is going to be
    """
    for policy, name in _RULES.items():
        if policy not in policies or not _is_enabled(environment, policy):
            continue  # where it is missing is told elsewhere
        file = value(name)
        what = f"{option(name)}, which {policy} reads its rules from, names {file}"
        leave = f"leave {policy} out of {option(POLICIES)}"
        if not file:
            what = f"{option(name)}, which {policy} reads its rules from, is empty"
            yield Fault(what, "", f"have {option(name)} name the file", leave)
            continue
        top = place.later if place else environment.path
        path = os.path.normpath(os.path.join(top, "conf", file))
        read = _parsed(place.found(path) if place else path, ignorecase_option=False)
        if not isinstance(read, Unread):
            continue
        why = f", and {path} {read.why}" if path != file else f", which {read.why}"
        effect = DOWN if read.loud or read.missing else OPEN
        yield Fault(what, why, _remedy(read, path), leave if effect == DOWN else None, effect)


def _is_enabled(environment: t.Any, name: str) -> bool:
    from trac.core import ComponentMeta

    return any(
        each.__name__ == name and environment.is_enabled(each) for each in ComponentMeta._components
    )


def unused_rules(
    policies: t.Collection[str], value: t.Callable[[OptionName], str]
) -> t.Iterator[tuple[OptionName, str, str]]:
    """Files of rules that no policy reads: the option, the file and the policy that would."""
    for policy, name in _RULES.items():
        if value(name) and policy not in policies:
            yield name, value(name), policy
