# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Faults of an environment that Trac can open but must not serve, and how it is refused."""

from __future__ import annotations

import typing as t

from ansible_collections.trac.mod_wsgi.plugins.module_utils._trac.environment_spec import (
    EnvironmentFailure,
    OptionName,
)

DOWN = "its pages would be errors (status 500)"
OPEN = "pages that are closed now could be open to everybody"
SHUT = "nobody could log in"


class Fault(t.NamedTuple):
    """One reason why an environment must not be served as it is."""

    what: str
    why: str
    remedy: str  # what to do, in trac.ini or else
    otherwise: str | None = None  # what may be done instead
    effect: str = DOWN

    @property
    def words(self) -> str:
        """Return what is wrong, as a sentence without its full stop."""
        return f"{self.what}{self.why}"

    @property
    def advice(self) -> str:
        """Return the remedy."""
        return _or([self.remedy], [self.otherwise] if self.otherwise else [])


def told(faults: t.Sequence[Fault], kept: str = "") -> str:
    """All faults, those of one effect together, with what was kept and what to do."""
    sentences = []
    for effect in dict.fromkeys(fault.effect for fault in faults):
        of_it = [fault for fault in faults if fault.effect == effect]
        reasons = "; ".join(fault.words for fault in of_it)
        sentences.append(f"{effect}: {reasons}")
    remedies = [fault.remedy for fault in faults]
    others = [fault.otherwise for fault in faults if fault.otherwise]
    return ". ".join([*sentences, *([kept] if kept else []), f"Remedy: {_or(remedies, others)}"])


def refuse(faults: t.Sequence[Fault], kept: str = "trac.ini is as it was") -> None:
    """Refuse an environment with faults, telling what was left as it was."""
    if faults:
        raise EnvironmentFailure(told(faults, kept))


def _or(remedies: t.Iterable[str], others: t.Iterable[str]) -> str:
    either, rather = (" and ".join(dict.fromkeys(each)) for each in (remedies, others))
    return f"{either}, or {rather}" if rather else either


def option(name: OptionName) -> str:
    """Return an option as messages name it."""
    return f"[{name[0]}] {name[1]}"
