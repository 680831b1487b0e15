# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an environment should be, and the report of what was done about it.

Nothing here needs Trac: the module uses it under Ansible's Python, the worker under Trac's.

What lives in an environment's database is split into aspects (permissions, ticket fields,
repositories), each a file of its own with two functions:

- ``plan(environment, spec, context)`` reads, raises EnvironmentFailure where the wanted state
  cannot be reached, and returns a list of Change. It writes nothing, and it asks the database
  nothing when the specification says nothing about the aspect.
- ``check(environment, spec, context)``, where there is something to check before an environment
  is created, does the same with one that is only proposed: it has trac.ini and components, but
  no database.
"""

from __future__ import annotations

import os
import re
import typing as t
from dataclasses import asdict, dataclass, field

from ansible_collections.trac.mod_wsgi.plugins.module_utils._core import secrets
from ansible_collections.trac.mod_wsgi.plugins.module_utils._trac import field_items

DEFAULT_DATABASE = "sqlite:db/trac.db"
NAME_RULE = "[a-z0-9][a-z0-9_-]*"
LEFTOVER = re.compile(r"\.[a-z0-9][a-z0-9_-]*\.(creating|removing)-[0-9a-f]{8}\Z")

DATABASE = ("trac", "database")
TITLE = ("project", "name")
# Trac's default names a picture that is not there; without one it shows the title instead.
LOGO = ("header_logo", "src")

# Which database on a server a copy works on: the original's, or another one.
SHARED, OWN = "shared", "own"

OptionName = t.Tuple[str, str]


class EnvironmentFailure(Exception):
    """Why an environment cannot be brought into its wanted state."""


# A change in words, and the lines of a diff before and after.
Wording = t.Tuple[str, t.List[str], t.List[str]]


@dataclass
class Change:
    """One step towards the wanted state, and how to take it."""

    words: str
    before: list[str]
    after: list[str]
    apply: t.Callable[[], object]


@dataclass
class Context:
    """What an aspect may want to know, and where it leaves its warnings."""

    check: bool = False  # nothing is going to be applied
    complaints: t.Sequence[str] = ()  # errors that Trac logged, such as of broken plugins
    warnings: list[str] = field(default_factory=list)

    def warn(self, warning: str) -> None:
        """Warn once."""
        if warning not in self.warnings:
            self.warnings.append(warning)


def permission_granted(subject: str, action: str) -> Wording:
    """The grant of a permission, in words."""
    return f"grant {action} to {subject}", [], [f"permission {action} of {subject}"]


def permission_revoked(subject: str, action: str) -> Wording:
    """The loss of a permission, in words."""
    return f"revoke {action} from {subject}", [f"permission {action} of {subject}"], []


@dataclass
class EnvironmentSpec:
    """The wanted state of one environment.

    Options map (section, option) to the text that trac.ini should hold, or None when the option
    should not stand there. Permissions are (subject, action or group) pairs. Fields map the keys
    of the inventory (milestones, ...) to items; a key that was left out is not there. Of the keys
    in `exclusive`, all of which were given, the lists are complete.
    """

    name: str
    options: dict[OptionName, str | None] = field(default_factory=dict)
    permissions: list[tuple[str, str]] = field(default_factory=list)
    fields: dict[str, list[dict[str, t.Any]]] = field(default_factory=dict)
    repositories: list[dict[str, t.Any]] = field(default_factory=list)
    exclusive: list[str] = field(default_factory=list)
    upgrade: bool = True
    state: str = "present"
    new_database: str | None = None  # for a new environment whose options name no database
    adopt_from: str | None = None  # what it is a copy of
    adopt_database: str | None = None  # which database on a server that copy works on
    adopt_encoding: str | None = None  # what of trac.ini is not UTF-8 is written in

    def creation_options(self) -> dict[OptionName, str]:
        """The options a new environment begins with."""
        options: dict[OptionName, str | None] = {
            TITLE: self.name,
            DATABASE: self.new_database or DEFAULT_DATABASE,
            LOGO: "",
            **self.options,
        }
        return {name: value for name, value in options.items() if value is not None}

    def redactor(self) -> secrets.Redactor:
        """Knows the secrets among the options."""
        redactor = secrets.Redactor()
        for (section, option), value in self.options.items():
            redactor.learn(option, value, section)
        redactor.learn("database", self.new_database)
        return redactor

    def to_json(self) -> dict[str, t.Any]:
        """A form that JSON can carry."""
        document = asdict(self)
        document["options"] = [[*name, value] for name, value in self.options.items()]
        return document

    @classmethod
    def from_json(cls, document: t.Mapping[str, t.Any]) -> EnvironmentSpec:
        """The reverse of to_json."""
        return cls(
            **{
                **document,
                "options": {(name[0], name[1]): name[2] for name in document["options"]},
                "permissions": [(pair[0], pair[1]) for pair in document["permissions"]],
            }
        )


@dataclass
class Report:
    """What was changed in one environment, or would be."""

    name: str
    created: bool = False
    changes: list[str] = field(default_factory=list)
    before: list[str] = field(default_factory=list)
    after: list[str] = field(default_factory=list)
    failure: str | None = None
    warnings: list[str] = field(default_factory=list)
    archive: str | None = None  # where the copy is that was made first
    # Of one that has failed: whether Trac can serve it as it is, None where nobody has looked.
    servable: bool | None = None

    @property
    def changed(self) -> bool:
        """Whether anything was changed."""
        return bool(self.changes)

    def create(self, spec: EnvironmentSpec, others: t.Iterable[Wording] = ()) -> None:
        """Note the creation, with everything that it sets, and other changes that it brings."""
        self.created = True
        self.changes.append("create the environment")
        for name, value in spec.creation_options().items():
            self.option(name, None, value)
        for subject, action in spec.permissions:
            self.change(*permission_granted(subject, action))
        for key, items in spec.fields.items():
            for item in items:
                self.change(*field_items.added(key, item))
        for other in others:
            self.change(*other)

    def option(self, name: OptionName, old: str | None, new: str | None) -> None:
        """Note the change of an option."""
        section, option = name
        if old is not None:
            self.before.append(f"[{section}] {option} = {secrets.shown(option, old, section)}")
        if new is not None:
            value = secrets.shown(option, new, section)
            if old is not None and value == secrets.shown(option, old, section) != new:
                value += " (changed)"
            self.after.append(f"[{section}] {option} = {value}")
        self.changes.append(f"{'remove' if new is None else 'set'} [{section}] {option}")

    def change(self, words: str, before: list[str], after: list[str]) -> None:
        """Note a change in the database."""
        self.before += before
        self.after += after
        self.changes.append(words)

    def add(self, later: Report) -> None:
        """Put what came later behind what is in this one; each warning once."""
        self.changes += later.changes
        self.before += later.before
        self.after += later.after
        self.warnings += [each for each in later.warnings if each not in self.warnings]

    def reword(self, words: t.Callable[[str], str]) -> None:
        """Have all texts go through a function."""
        for lines in (self.changes, self.before, self.after, self.warnings):
            lines[:] = map(words, lines)
        self.warnings[:] = dict.fromkeys(self.warnings)
        if self.failure is not None:
            self.failure = words(self.failure)

    def to_json(self) -> dict[str, t.Any]:
        """A form that JSON can carry."""
        return asdict(self)

    @classmethod
    def from_json(cls, document: t.Mapping[str, t.Any]) -> Report:
        """The reverse of to_json."""
        return cls(**document)


def exists(path: str) -> bool:
    """Whether there is an environment; False when there is room to create one."""
    try:
        entries = os.listdir(path)
    except FileNotFoundError:
        if os.path.islink(path):
            raise EnvironmentFailure(f"{path} is a symbolic link to nowhere") from None
        return False
    except NotADirectoryError:
        raise EnvironmentFailure(f"{path} is not a directory") from None
    if "VERSION" in entries:
        return True
    if entries:
        raise EnvironmentFailure(
            f"{path} is not empty and no Trac environment (it has no file VERSION); "
            "nothing in it was touched"
        )
    return False


def leftovers(directory: str) -> list[str]:
    """The directories that a run left behind which was killed at work on environments."""
    try:
        entries = sorted(os.listdir(directory))
    except FileNotFoundError:
        return []
    return [
        entry
        for entry in entries
        if LEFTOVER.match(entry) and not os.path.islink(os.path.join(directory, entry))
    ]
