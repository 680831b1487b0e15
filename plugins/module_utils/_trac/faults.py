# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tell why the pages of an environment are errors or open, or would be with another trac.ini.

Trac opens such an environment without a complaint, and answers each request with status 500, or
shows to everybody what is meant for some. All that looks at environments asks here: adoption,
restoration, upgrade, site.yml and the doctor. _trac.plugins tells of what does less harm.
"""

from __future__ import annotations

import os
import typing as t

from ansible_collections.trac.mod_wsgi.plugins.module_utils._trac import log as trac_log
from ansible_collections.trac.mod_wsgi.plugins.module_utils._trac import named_files
from ansible_collections.trac.mod_wsgi.plugins.module_utils._trac import templates as trac_templates
from ansible_collections.trac.mod_wsgi.plugins.module_utils._trac.environment_spec import OptionName
from ansible_collections.trac.mod_wsgi.plugins.module_utils._trac.fault import Fault, option
from ansible_collections.trac.mod_wsgi.plugins.module_utils._trac.named_files import (
    POLICIES,
    Place,
)
from ansible_collections.trac.mod_wsgi.plugins.module_utils._trac.opening import reason

_COMPONENTS = "components"
_HANDLER = ("trac", "default_handler")
_WORKFLOW = ("ticket", "workflow")
# Options that name components. Trac looks for all of them with each page, for the handler with the
# start page, and for the workflow because tickets define permissions.
NAMING = (
    POLICIES,
    ("trac", "permission_store"),
    ("trac", "request_filters"),
    _HANDLER,
    _WORKFLOW,
)
# Until Trac 1.2; its upgrade puts others in its place, or says what to do.
_FORMER_POLICY = "ReadonlyWikiPolicy"


def faults(
    environment: t.Any,
    outdated: bool = False,
    ask: bool = True,
    mended: bool = False,
    place: Place | None = None,
) -> list[Fault]:
    """What is wrong with an environment that is open, whether its trac.ini is written or proposed.

    :param outdated: whether it is going to be upgraded, and trac.ini with it
    :param ask: whether to ask its permission policies something, which reads its database
    :param mended: whether missing directories in it are going to be made
    :param place: where it is going to be, if elsewhere
    """
    value = _Values(environment, outdated)
    found = [
        *_unnamed_components(environment, value),
        *_switched_off(environment),
        *named_files.rules(environment, value.chosen(POLICIES), value, place),
        *trac_log.faults(environment, mended, place),
        *_templates(environment),
    ]
    if ask and not outdated and not found:
        found = list(_policies(environment))
    return found


class _Values:
    """What options of an environment say, once its upgrade has been through trac.ini."""

    def __init__(self, environment: t.Any, outdated: bool) -> None:
        self.config = environment.config
        self.outdated = outdated

    def __call__(self, name: OptionName) -> str:
        value = str(self.config.get(*name))
        if self.outdated and name == ("svn", "authz_file"):
            return value or str(self.config.get("trac", "authz_file"))
        if self.outdated and name == ("authz_policy", "authz_file"):
            directory, file = os.path.split(value)
            return file if directory == "conf" else value
        return value

    def chosen(self, name: OptionName) -> list[str]:
        """The components that an option names, its default included."""
        from trac.config import Option, OrderedExtensionsOption

        known = Option.registry[name]
        value = known.accessor(self.config[name[0]], known.name, known.default)
        if not isinstance(known, OrderedExtensionsOption):
            return [value]
        return [each for each in value if not (self.outdated and each == _FORMER_POLICY)]


def _templates(environment: t.Any) -> t.Iterator[Fault]:
    """Templates that each page is made with, and that Trac cannot use."""
    for template in trac_templates.unfit(environment):
        if template.on_all_pages:
            path = os.path.relpath(template.path, environment.path)
            shown = template.path if path.startswith(os.pardir) else path
            yield Fault(f"the template {shown}", f": {template.why}", template.remedy)


def unused_rules(environment: t.Any, outdated: bool = False) -> list[str]:
    """Files of rules that no policy reads, in words."""
    value = _Values(environment, outdated)
    found = named_files.unused_rules(value.chosen(POLICIES), value)
    return [
        f"{option(name)} names {file}, and nothing reads it: its rules hold only with {policy} in "
        f"front in {option(POLICIES)}. Put it there, or take {option(name)} out of trac.ini"
        for name, file, policy in found
    ]


def _unnamed_components(environment: t.Any, value: _Values) -> t.Iterator[Fault]:
    """Options that name a component which is not there, or not for this."""
    from trac.config import Option
    from trac.ticket.api import TicketSystem
    from trac.web.api import is_valid_default_handler

    for name in NAMING:
        if name == _WORKFLOW and not environment.is_enabled(TicketSystem):
            continue
        chosen = value.chosen(name)
        extensions = Option.registry[name].xtnpt.extensions(environment)
        there = {each.__class__.__name__: each for each in extensions}
        missing = [each for each in chosen if each not in there]
        rest = [each for each in chosen if each in there]
        for each in missing:
            why, remedy = _absence(environment, each)
            yield Fault(
                f"{option(name)} names {each}",
                why,
                f"set {option(name)} to {','.join(rest) or 'another component'}",
                remedy,
            )
        if name == _HANDLER and rest and not is_valid_default_handler(there[rest[0]]):
            yield Fault(
                f"{option(name)} names {rest[0]}",
                ", which has no page to start with",
                f"set {option(name)} to another component, such as WikiModule",
            )


def _absence(environment: t.Any, name: str) -> tuple[str, str]:
    """Why a component of that name is not there, and what to do about it."""
    from trac.core import ComponentMeta

    for each in ComponentMeta._components:
        if each.__name__ != name:
            continue
        rule = _rule(environment, each)
        if rule is not None:
            by, value = rule
            return f", which [{_COMPONENTS}] {by} = {value} switches off", _left_out(by)
        if not environment.is_enabled(each):
            enabled = f"[{_COMPONENTS}] {each.__module__}.{name} = enabled"
            return ", which is not enabled", f"set {enabled}"
        return ", which is no component of the kind that this option takes", "correct the name"
    return (
        ", which is not installed",
        f"install the plugin that {name} belongs to (trac_runtime_plugins)",
    )


def _left_out(name: str) -> str:
    return f"leave [{_COMPONENTS}] {name} out (null takes it out of trac.ini)"


def _rule(environment: t.Any, component: t.Any) -> tuple[str, str] | None:
    """The option and value of [components] by which a component is disabled."""
    from trac.util import as_bool

    rules = {
        rule.rstrip(".*").lower(): (rule, value)
        for rule, value in environment.components_section.options()
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
        by, value = rule
        yield Fault(
            f"[{_COMPONENTS}] {by} = {value} switches off {Chrome.__module__}.Chrome",
            ", which makes the pages",
            _left_out(by),
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
            f"the policies in {option(POLICIES)} do not answer",
            f" ({reason(e, environment.path)})",
            "correct what they need",
            f"leave them out of {option(POLICIES)}",
        )
