# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tell why the pages of an environment are errors, or would be with another trac.ini.

Trac opens such an environment without a complaint and answers each request with status 500. Only
what makes the start page or all pages fail is told here; _trac_plugins tells of the rest.
"""

from __future__ import annotations

import logging.handlers
import typing as t

from ansible_collections.trac.mod_wsgi.plugins.module_utils._environment_spec import (
    EnvironmentFailure,
    OptionName,
)
from ansible_collections.trac.mod_wsgi.plugins.module_utils._ini_edit import option_key
from ansible_collections.trac.mod_wsgi.plugins.module_utils._trac_open import reason

_COMPONENTS = "components"
_HANDLER = ("trac", "default_handler")
_POLICIES = ("trac", "permission_policies")
_WORKFLOW = ("ticket", "workflow")
# Options that name components. Trac looks for all of them with each page, for the handler with the
# start page, and for the workflow because tickets define permissions.
_NAMING = (
    _POLICIES,
    ("trac", "permission_store"),
    ("trac", "request_filters"),
    _HANDLER,
    _WORKFLOW,
)


class Fault(t.NamedTuple):
    """One reason why pages are errors."""

    what: str
    why: str
    remedy: str  # what to do in config
    otherwise: str | None  # what may be done instead
    options: frozenset[OptionName]  # with which it comes about


def faults(environment: t.Any, ask: bool = True) -> list[Fault]:
    """What is wrong with an environment that is open, whether its trac.ini is written or proposed.

    :param ask: whether to ask its permission policies something, which reads its database
    """
    found = [*_unnamed_components(environment), *_switched_off(environment), *_log(environment)]
    if ask and not found:
        found = list(_policies(environment))
    return found


def refuse_new(
    now: t.Sequence[Fault], before: t.Sequence[Fault], wanted: t.Container[OptionName]
) -> None:
    """Refuse faults that a change would bring, or that come about with a wanted option."""
    known = {fault.what for fault in before}
    new = [each for each in now if each.what not in known or any(o in wanted for o in each.options)]
    if new:
        reasons = "; ".join(f"{fault.what}{fault.why}" for fault in new)
        remedies = _listed(fault.remedy for fault in new)
        others = _listed(fault.otherwise for fault in new if fault.otherwise)
        raise EnvironmentFailure(
            f"its pages would be errors (status 500): {reasons}. trac.ini is as it was. "
            f"Remedy: {remedies}{', or ' if others else ''}{others}"
        )


def _listed(remedies: t.Iterable[str]) -> str:
    return " and ".join(dict.fromkeys(remedies))


def _option(name: OptionName) -> str:
    return f"[{name[0]}] {name[1]}"


def _unnamed_components(environment: t.Any) -> t.Iterator[Fault]:
    """Options that name a component which is not there, or not for this."""
    from trac.config import Option, OrderedExtensionsOption
    from trac.ticket.api import TicketSystem
    from trac.web.api import is_valid_default_handler

    for name in _NAMING:
        if name == _WORKFLOW and not environment.is_enabled(TicketSystem):
            continue
        option = Option.registry[name]
        value = option.accessor(environment.config[name[0]], option.name, option.default)
        chosen = value if isinstance(option, OrderedExtensionsOption) else [value]
        there = {each.__class__.__name__: each for each in option.xtnpt.extensions(environment)}
        missing = [each for each in chosen if each not in there]
        rest = [each for each in chosen if each in there]
        for each in missing:
            why, options, remedy = _absence(environment, each)
            yield Fault(
                f"{_option(name)} names {each}",
                why,
                f"set {_option(name)} to {','.join(rest) or 'another component'}",
                remedy,
                frozenset({(name[0], option_key(name[1])), *options}),
            )
        if name == _HANDLER and rest and not is_valid_default_handler(there[rest[0]]):
            yield Fault(
                f"{_option(name)} names {rest[0]}",
                ", which has no page to start with",
                f"set {_option(name)} to another component, such as WikiModule",
                None,
                frozenset({(name[0], option_key(name[1]))}),
            )


def _absence(environment: t.Any, name: str) -> tuple[str, list[OptionName], str]:
    """Why a component of that name is not there, by which options, and what to do about it."""
    from trac.core import ComponentMeta

    for each in ComponentMeta._components:
        if each.__name__ != name:
            continue
        rule = _rule(environment, each)
        if rule is not None:
            option, value = rule
            why = f", which [{_COMPONENTS}] {option} = {value} switches off"
            key = (_COMPONENTS, option_key(option))
            return why, [key], _left_out(option)
        if not environment.is_enabled(each):
            option = f"{each.__module__}.{name}"
            enabled = f"[{_COMPONENTS}] {option} = enabled"
            return ", which is not enabled", [], f"set {enabled}"
        return ", which is no component of the kind that this option takes", [], "correct the name"
    return ", which is not installed", [], f"install the plugin that {name} belongs to"


def _left_out(option: str) -> str:
    return f"leave [{_COMPONENTS}] {option} out (null takes it out of trac.ini)"


def _rule(environment: t.Any, component: t.Any) -> tuple[str, str] | None:
    """The option and value of [components] by which a component is disabled."""
    from trac.util import as_bool

    rules = {
        option.rstrip(".*").lower(): (option, value)
        for option, value in environment.components_section.options()
    }
    name = f"{component.__module__}.{component.__name__}".lower()
    while name:
        if name in rules:
            return None if as_bool(rules[name][1]) else rules[name]
        name = name.rpartition(".")[0]
    return None


def _switched_off(environment: t.Any) -> t.Iterator[Fault]:
    """What Trac takes for granted, although it can be disabled."""
    from trac.web.chrome import Chrome

    rule = _rule(environment, Chrome)
    if rule is not None:
        option, value = rule
        yield Fault(
            f"[{_COMPONENTS}] {option} = {value} switches off {Chrome.__module__}.Chrome",
            ", which makes the pages",
            _left_out(option),
            None,
            frozenset({(_COMPONENTS, option_key(option))}),
        )


def _log(environment: t.Any) -> t.Iterator[Fault]:
    """A log that Trac cannot begin, which it does before anything else."""
    try:
        # Nothing is written: that this kind of log needs no file is all that differs.
        environment.create_logger("none", "", environment.log_level, environment.log_format)
    except ValueError as e:
        yield Fault(
            "[logging] log_format cannot be used",
            f" ({e})",
            "set [logging] log_format to a format with fields such as $(message)s",
            None,
            frozenset({("logging", "log_format")}),
        )
    if environment.log_type in ("syslog", "unix"):
        try:
            logging.handlers.SysLogHandler("/dev/log").close()
        except OSError as e:
            yield Fault(
                f"[logging] log_type is {environment.log_type}",
                f", and nothing listens at /dev/log ({e.strerror})",
                "set [logging] log_type to file",
                "have a system log",
                frozenset({("logging", "log_type")}),
            )


def _policies(environment: t.Any) -> t.Iterator[Fault]:
    """Policies that cannot answer, such as AuthzPolicy without its file."""
    from trac.perm import PermissionCache
    from trac.resource import Resource

    try:
        PermissionCache(environment, "anonymous").has_permission(
            "WIKI_VIEW", Resource("wiki", "WikiStart")
        )
    # Whatever a plugin's policy raises, a visitor gets.
    except Exception as e:  # noqa: BLE001
        yield Fault(
            f"the policies in {_option(_POLICIES)} do not answer",
            f" ({reason(e, environment.path)})",
            "correct what they need",
            f"leave them out of {_option(_POLICIES)}",
            frozenset(),
        )
