# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Environments as an inventory describes them, read and judged.

Everything that is wrong is found here, before a host is touched; the module and the role's
check of its variables use the same code.
"""

from __future__ import annotations

import math
import os
import re
import typing as t

from ansible_collections.trac.mod_wsgi.plugins.module_utils._core import arguments
from ansible_collections.trac.mod_wsgi.plugins.module_utils._environments import environment_options
from ansible_collections.trac.mod_wsgi.plugins.module_utils._trac import (
    field_items,
    ini_edit,
    ini_text,
    repository_spec,
)
from ansible_collections.trac.mod_wsgi.plugins.module_utils._trac.environment_spec import (
    DATABASE,
    LOGO,
    NAME_RULE,
    OWN,
    TITLE,
    EnvironmentSpec,
    OptionName,
)

Document = t.Mapping[str, t.Any]

# What can be said for all environments at once.
DEFAULT_KEYS = tuple(environment_options.SHARED)

_NAME = re.compile(NAME_RULE + r"\Z")
_WITHOUT_CAPITALS = re.compile(NAME_RULE + r"\Z", re.IGNORECASE | re.ASCII)


def value_text(value: object) -> str | None:
    """A YAML value as trac.ini writes it; None stands for an option that is not there."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "enabled" if value else "disabled"
    if isinstance(value, int) and abs(value) < 10**18:
        return str(value)
    if isinstance(value, float) and math.isfinite(value):
        return str(value)
    if isinstance(value, (int, float)):
        raise ValueError("it has to be a number of up to 18 digits, or text, in quotes")
    if isinstance(value, (list, tuple)):
        items = [value_text(item) for item in value if not isinstance(item, (list, tuple))]
        if len(items) != len(value) or any(not item or "," in item for item in items):
            raise ValueError("the items of a list have to be texts without commas, or numbers")
        return ", ".join(str(item) for item in items)
    raise ValueError(
        f"it is {arguments.shown(value)}; it has to be text, a number, true, false, null or a "
        "list of texts (put quotes around a date)"
    )


def _is_key(key: object) -> bool:
    if isinstance(key, bool) or not isinstance(key, int):
        return arguments.is_text(key)
    return abs(key) < 10**18


def _key_problems(what: str, keys: t.Iterable[object]) -> list[str]:
    """Keys of YAML that are no text: true for "on" and "yes", null for "~"."""
    return [
        f"{what} is {arguments.shown(key)}; it has to be text (put quotes around it)"
        for key in keys
        if not _is_key(key)
    ]


def _options(
    document: Document, defaults: t.Mapping[str, t.Any]
) -> tuple[dict[OptionName, str | None], list[str]]:
    problems: list[str] = []
    wanted: dict[OptionName, str | None] = {}
    spelled: dict[OptionName, str] = {}

    def want(section: str, option: str, value: object, source: str) -> None:
        key = (section, ini_edit.option_key(option))
        if key in (TITLE, DATABASE, LOGO):
            option = key[1]  # which a new environment has by this name
        try:
            text = value_text(value)
        except ValueError as e:
            problems.append(f"[{section}] {option}: {e}")
            return
        reason = ini_edit.problem(section, option, text)
        if reason:
            problems.append(f"[{section}] {option}: {reason}")
        elif key in spelled and wanted[section, spelled[key]] != text and source:
            problems.append(f"[{section}] {option}: two different values, one from {source}")
        elif key not in spelled:
            spelled[key] = option
            wanted[section, option] = text

    if document.get("title") is not None:
        # A year is a number in YAML.
        title = str(document["title"])
        if "\n" in title:
            problems.append("title: it has to be one line")
        else:
            want(*TITLE, title, "title")
    if document.get("database") is not None:
        want(*DATABASE, document["database"], "database")
    for config, source in ((document.get("config"), "config"), (defaults, "")):
        for section, options in (config or {}).items():
            if not isinstance(options, t.Mapping):
                problems.append(f"config: [{section}] has to be a dictionary of options")
                continue
            problems += _key_problems("config: a section", [section])
            problems += _key_problems(f"config: an option of [{section}]", options)
            for option, value in options.items() if _is_key(section) else ():
                if _is_key(option):
                    want(str(section), str(option), value, source)
    if DATABASE in wanted and not wanted[DATABASE]:
        problems.append("[trac] database: an environment cannot be without")
    return wanted, problems


def _permissions(document: Document) -> tuple[list[tuple[str, str]], list[str]]:
    problems: list[str] = []
    wanted: dict[tuple[str, str], None] = {}
    for subject, actions in (document.get("permissions") or {}).items():
        problems += _key_problems("permissions: the name of a user or group", [subject])
        if not _is_key(subject):
            continue
        name = str(subject)
        if name.isupper():
            problems.append(f"permissions: {name!r} is in upper case, which Trac keeps for actions")
        if not isinstance(actions, (list, tuple)):
            problems.append(f"permissions: the actions of {name!r} have to be a list")
            continue
        problems += [
            f"permissions: {name!r} has {arguments.shown(action)}; it has to be the name of an "
            "action or a group, as text"
            for action in actions
            if not arguments.is_text(action)
        ]
        for action in filter(arguments.is_text, actions):
            wanted[name, str(action)] = None
    for text in {text for pair in wanted for text in pair}:
        if not text or text != text.strip() or any(ord(c) < 32 or ord(c) == 127 for c in text):
            problems.append(
                f"permissions: {text!r} is empty, begins or ends with white space, "
                "or holds a control character"
            )
    return list(wanted), sorted(problems)


def _fields(document: Document) -> tuple[dict[str, list[field_items.Item]], list[str]]:
    fields: dict[str, list[field_items.Item]] = {}
    problems: list[str] = []
    for key in field_items.KINDS:
        if document.get(key) is not None:
            fields[key], wrong = field_items.read_items(key, document[key])
            problems += wrong
    return fields, problems


def _merged(document: Document, defaults: Document) -> dict[str, t.Any]:
    """The document with the defaults for what it does not say; those of config come later."""
    result = dict(document)
    for key in DEFAULT_KEYS:
        own, default = document.get(key), defaults.get(key)
        if key == "permissions" and isinstance(own, t.Mapping) and default:
            result[key] = {**default, **own}
        elif key != "config" and own is None:
            result[key] = default
    return result


def _is_plain_path(path: object) -> bool:
    """Whether a text is an absolute path (not the root) that can be written in one way only."""
    return (
        isinstance(path, str)
        and path.startswith("/")
        and "\0" not in path
        and "\n" not in path
        and path.rstrip("/") == os.path.normpath(path) != "/"
    )


def _enable(components: t.Iterable[str], options: dict[OptionName, str | None]) -> None:
    """Have Trac load components, unless the options say otherwise."""
    said = {ini_edit.option_key(option) for section, option in options if section == "components"}
    for component in components:
        if component not in said:
            options["components", component] = "enabled"


def read_spec(
    document: Document, defaults: Document | None = None
) -> tuple[EnvironmentSpec, list[str]]:
    """One wanted environment, and what is wrong with it.

    Defaults, which have to be right, say what it does not say itself: options of trac.ini one by
    one, permissions subject by subject, each other key as a whole.
    """
    defaults = defaults or {}
    options, problems = _options(document, defaults.get("config") or {})
    document = _merged(document, defaults)
    permissions, wrong = _permissions(document)
    problems += wrong
    fields, wrong = _fields(document)
    problems += wrong
    repositories, wrong = repository_spec.read(document.get("repositories") or [])
    problems += wrong
    _enable(repository_spec.components(repositories), options)
    exclusive = document.get("exclusive") or []
    problems += [
        f"exclusive holds {key!r}; allowed are {', '.join(environment_options.EXCLUSIVE_KEYS)}"
        for key in exclusive
        if key not in environment_options.EXCLUSIVE_KEYS
    ]
    new_database = document.get("new_database")
    reason = ini_edit.problem(*DATABASE, new_database)
    if reason:
        problems.append(f"new_database: {reason}")
    adopt_from = document.get("adopt_from")
    if adopt_from is not None and not _is_plain_path(adopt_from):
        problems.append(
            f"adopt_from is {adopt_from!r}; it has to be the absolute path of a directory, "
            "such as /var/lib/trac/project, without '..'"
        )
    adopt_database = document.get("adopt_database")
    if adopt_database is not None and adopt_from is None:
        problems.append("adopt_database is of no use without adopt_from")
    if adopt_database == OWN and DATABASE not in options:
        problems.append(
            f"adopt_database is {adopt_database}, which needs database: the connection string of "
            "the database that you have loaded a dump of the original's into"
        )
    adopt_encoding = document.get("adopt_encoding")
    if adopt_encoding is not None:
        reason = ini_text.encoding_problem(adopt_encoding)
        problems += [reason] if reason else []
    spec = EnvironmentSpec(
        document["name"],
        options,
        permissions,
        fields,
        repositories,
        # A list that was left out is no list that is complete.
        [key for key in exclusive if document.get(key) is not None],
        document.get("upgrade") is not False,
        document.get("state") or "present",
        new_database,
        adopt_from.rstrip("/") if isinstance(adopt_from, str) else None,
        adopt_database,
        adopt_encoding,
    )
    return spec, problems


def default_problems(defaults: Document) -> list[str]:
    """What is wrong with the defaults for all environments."""
    spec, problems = read_spec({"name": "", **defaults})
    if DATABASE in spec.options:
        problems.append("[trac] database: each environment needs one of its own")
    return problems


def way_out_of_capitals(name: object) -> str:
    """How an environment is adopted whose name has capitals and is all right without."""
    if not isinstance(name, str) or _NAME.match(name) or not _WITHOUT_CAPITALS.match(name):
        return ""
    return (
        f". An environment {name} that exists is adopted under another name: name: {name.lower()} "
        f"with adopt_from: /where/it/is/{name}, or, if it is in the directory of environments, "
        f"after mv {name} {name.lower()} there. Its address stays with an entry of trac_sites that "
        f"says environment: {name.lower()} and mount: /trac/{name}, or what its path was"
    )


def read_specs(
    documents: t.Iterable[Document], defaults: Document | None = None
) -> tuple[list[EnvironmentSpec], list[str]]:
    """The wanted environments, and everything that is wrong with them, in words."""
    problems = [f"defaults: {problem}" for problem in default_problems(defaults or {})]
    if problems:
        defaults = None
    specs: list[EnvironmentSpec] = []
    seen: set[str] = set()
    for document in documents:
        name = document["name"]
        way_out = way_out_of_capitals(name)
        if not _NAME.match(name):
            problems.append(f"environment {name!r}: the name has to match {NAME_RULE}{way_out}")
        if name in seen:
            problems.append(f"environment {name!r}: listed twice")
        seen.add(name)
        spec, wrong = read_spec(document, defaults)
        problems += [f"environment {name!r}: {problem}" for problem in wrong]
        specs.append(spec)
    return specs, problems
