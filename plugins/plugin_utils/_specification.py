# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the argument specifications of the roles say: keys, types, defaults, ranges."""

from __future__ import annotations

import functools
import pathlib
import re
import typing as t

import yaml

from ansible_collections.trac.mod_wsgi.plugins.module_utils._core import arguments

Options = t.Dict[str, t.Any]

_ROLES = pathlib.Path(__file__).resolve().parents[2] / "roles"

# Specifications have no key for it, so the description says it: "From 1 to 3600 seconds."
_RANGE = re.compile(r"\bFrom ([0-9]+) to ([0-9]+)( [a-z]+)?\.")


@functools.cache
def role_options(role: str) -> Options:
    """The options of a role, by the names of its variables."""
    text = (_ROLES / role / "meta" / "argument_specs.yml").read_text(encoding="utf-8")
    return t.cast(Options, yaml.safe_load(text)["argument_specs"]["main"]["options"])


@functools.cache
def role_defaults(role: str) -> Options:
    """The texts of a role's defaults, not templated, by the names of its variables."""
    text = (_ROLES / role / "defaults" / "main.yml").read_text(encoding="utf-8")
    return t.cast(Options, yaml.safe_load(text))


def item_options(role: str, variable: str) -> Options:
    """The keys that a role allows in a variable that is a dictionary, or in one item of a list."""
    return t.cast(Options, role_options(role)[variable]["options"])


class Range(t.NamedTuple):
    """Which numbers an option may be."""

    least: int
    most: int
    unit: str  # such as " seconds"


def allowed_range(option: t.Mapping[str, t.Any]) -> Range | None:
    """The range that an option's description names, if any."""
    description = option["description"]
    text = description if isinstance(description, str) else " ".join(description)
    found = _RANGE.search(text)
    return Range(int(found[1]), int(found[2]), found[3] or "") if found else None


def completed(item: t.Mapping[str, t.Any], options: Options) -> Options:
    """An item without problems: its values in the types that are specified, and all defaults.

    A key that has no default and is left out is None.
    """
    defaults = {key: option.get("default") for key, option in options.items()}
    # Without the keys that are null.
    return {**defaults, **arguments.converted(item, {"type": "dict", "options": options})}
