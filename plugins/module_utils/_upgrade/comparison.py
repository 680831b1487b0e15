# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is lost between two virtual environments, as the preflight has seen them."""

from __future__ import annotations

import dataclasses
import re

_TRACS_OWN = ("trac.", "tracopt.")
_SUBJECT = re.compile(r'Skipping "(?P<egg>[^"]*)"|Failed to load plugin from (?P<file>\S+?):')


@dataclasses.dataclass
class Seen:
    """One environment under one Python."""

    components: list[str]
    broken: dict[str, str] = dataclasses.field(default_factory=dict)
    outdated: bool = False  # an upgrade is needed
    failure: str | None = None
    warnings: list[str] = dataclasses.field(default_factory=list)


@dataclasses.dataclass
class View:
    """All environments under one Python."""

    version: str = ""
    prefix: str = ""
    environments: dict[str, Seen] = dataclasses.field(default_factory=dict)
    complaints: list[str] = dataclasses.field(default_factory=list)
    failure: str | None = None  # why nothing could be seen at all


def subject(complaint: str) -> str:
    """Which plugin a complaint is about, so that it is known again in another version."""
    found = _SUBJECT.match(complaint)
    if not found:
        return complaint
    text = found.group("egg") or found.group("file").rpartition("/")[2]
    return re.split(r"[\s=(]", text.strip(), maxsplit=1)[0].lower()


def new_complaints(old: View, new: View) -> list[str]:
    """Why plugins do not load that were loaded, or were not there, before."""
    known = {subject(complaint) for complaint in old.complaints}
    return [complaint for complaint in new.complaints if subject(complaint) not in known]


def _lost(old: Seen, new: Seen) -> tuple[list[str], list[str]]:
    """The components that were there and are not any more: those of plugins, those of Trac."""
    gone = [name for name in old.components if name not in set(new.components)]
    own = [name for name in gone if name.startswith(_TRACS_OWN)]
    return [name for name in gone if name not in own], own


def problems(old: View, new: View) -> list[str]:
    """Why the new one cannot take the place of the old one."""
    if new.failure:
        return [new.failure]
    found = new_complaints(old, new)
    for name, after in new.environments.items():
        before = old.environments.get(name, Seen([]))
        if after.failure and not before.failure:
            found.append(f"{name}: {after.failure}")
        found += [
            f"{name}: {component}: {reason}"
            for component, reason in after.broken.items()
            if component not in before.broken
        ]
        lost, _own = _lost(before, after)
        if lost and not after.failure:
            found.append(f"{name}: not loaded any more: {', '.join(lost)}")
    return found


def warnings(old: View, new: View) -> list[str]:
    """What may be missed, but stops nothing."""
    found = []
    for name, after in new.environments.items():
        before = old.environments.get(name, Seen([]))
        _lost_plugins, own = _lost(before, after)
        if after.failure and before.failure:
            found.append(f"{name}: it does not work now either: {after.failure}")
        if own and not after.failure:
            found.append(f"{name}: this release of Trac has no {', '.join(own)}")
        found += [
            f"{name}: {component} did not work before either: {reason}"
            for component, reason in after.broken.items()
            if component in before.broken
        ]
        found += [f"{name}: {warning}" for warning in after.warnings]
    known = set(new_complaints(old, new))
    found += [
        f"not loaded before either: {complaint}"
        for complaint in new.complaints
        # Trac's own are for databases and libraries that are not in use.
        if complaint not in known and not subject(complaint).startswith(_TRACS_OWN)
    ]
    return found
