# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Milestones, components, versions, choices of tickets: an aspect, see _trac.environment_spec.

Everything is read and written with the classes of trac.ticket.model, which keep Trac's caches
and the plugins that listen informed.
"""

from __future__ import annotations

import functools
import typing as t

from ansible_collections.trac.mod_wsgi.plugins.module_utils._trac.environment_spec import (
    Change,
    Context,
    EnvironmentFailure,
    EnvironmentSpec,
)
from ansible_collections.trac.mod_wsgi.plugins.module_utils._trac.field_items import (
    KINDS,
    Item,
    added,
    changed,
    removed,
)


def check(environment: t.Any, spec: EnvironmentSpec, context: Context) -> None:
    """Warn of defaults that name what a new environment is not going to have."""
    for key, items in spec.fields.items():
        if key in spec.exclusive:
            _warn_of_default(environment, key, items, context)


def plan(environment: t.Any, spec: EnvironmentSpec, context: Context) -> list[Change]:
    """What has to be added, changed, put in order and, where a list is complete, removed."""
    changes = []
    for key, items in spec.fields.items():
        exclusive = key in spec.exclusive
        found = (_plan_enum if key in _enums() else _plan_table)(environment, key, items, exclusive)
        if found and exclusive:
            _warn_of_default(environment, key, items, context)
        changes += found
    return changes


def _plan_table(environment: t.Any, key: str, items: list[Item], exclusive: bool) -> list[Change]:
    """Milestones, components and versions, which Trac sorts itself."""
    model = _tables()[key]
    current = {entry.name: entry for entry in model.select(environment)}
    changes = []
    for item in items:
        if item["name"] in current:
            changes += _differing(key, item, current[item["name"]])
        else:
            changes.append(_addition(key, item, model(environment)))
    if exclusive:
        names = {item["name"] for item in items}
        unwanted = [entry for name, entry in current.items() if name not in names]
        changes += _removals(environment, key, unwanted)
    return changes


def _plan_enum(environment: t.Any, key: str, items: list[Item], exclusive: bool) -> list[Change]:
    """Priorities and the like, whose order is theirs: the listed first, the others after them."""
    model = _enums()[key]
    entries = list(model.select(environment))
    current = {entry.name: entry for entry in entries}
    listed = [item["name"] for item in items]
    others = [name for name in current if name not in listed]
    unwanted = [current[name] for name in others] if exclusive else []
    final = listed if exclusive else listed + others
    staying = [name for name in current if not exclusive or name in listed]
    new = [name for name in listed if name not in current]

    changes = []
    sorting = staying + new != final or not _positions_rise(entries)
    if sorting:
        line = f"{KINDS[key].singular} order: "
        changes.append(
            Change(
                f"put the {_plural(key)} in order",
                [line + ", ".join(current)],
                [line + ", ".join(final)],
                functools.partial(_sort, environment, current, final),
            )
        )
    for item in items:
        if item["name"] in current:
            changes += _differing(key, item, current[item["name"]])
    # After the others, whose positions Trac changes to close a gap; the last first, so that it
    # changes none of those that are still to be removed.
    changes += _removals(environment, key, unwanted[::-1])
    for item in items:
        if item["name"] not in current:
            entry = model(environment)
            entry.value = str(final.index(item["name"]) + 1) if sorting else None
            changes.append(_addition(key, item, entry))
    return changes


def _positions_rise(entries: list[t.Any]) -> bool:
    """Whether the order is certain, and Trac can delete one by its position."""
    try:
        positions = [int(entry.value) for entry in entries]
    except ValueError:
        return False
    return all(one < other for one, other in zip(positions, positions[1:]))


def _sort(environment: t.Any, current: dict[str, t.Any], final: list[str]) -> None:
    from trac.ticket.api import TicketSystem

    unwanted = [name for name in current if name not in final]
    for position, name in enumerate(final + unwanted, 1):
        if name in current and current[name].value != str(position):
            current[name].value = str(position)
            current[name].update()
    TicketSystem(environment).reset_ticket_fields()


def _addition(key: str, item: Item, entry: t.Any) -> Change:
    def apply() -> None:
        entry.name = item["name"]
        _set(key, entry, item)
        entry.insert()

    return Change(*added(key, item), apply)


def _differing(key: str, item: Item, entry: t.Any) -> list[Change]:
    current = _item(key, entry)
    names = ["name"] + [
        name
        for name in KINDS[key].attributes
        if name in item and not _same(current[name], item[name])
    ]
    if names == ["name"]:
        return []

    def apply() -> None:
        _set(key, entry, item)
        entry.update()

    old, new = ({name: source[name] for name in names} for source in (current, item))
    return [Change(*changed(key, old, new), apply)]


def _removals(environment: t.Any, key: str, entries: list[t.Any]) -> list[Change]:
    names = [entry.name for entry in entries]
    _refuse_used(environment, key, names)

    def apply(entry: t.Any) -> None:
        _refuse_used(environment, key, [entry.name])  # by now
        entry.delete()

    return [
        Change(*removed(key, _item(key, entry)), functools.partial(apply, entry))
        for entry in entries
    ]


def _refuse_used(environment: t.Any, key: str, names: list[str]) -> None:
    """Refuse to remove what tickets use, or milestones with attachments."""
    if not names:
        return
    kind = KINDS[key]
    with environment.db_query as db:
        counts = {"ticket": _counts(db, "ticket", kind.column, "")}
        if key == "milestones":
            counts["attachment"] = _counts(db, "attachment", "id", "WHERE type='milestone'")
    used = []
    for name in names:
        uses = [
            f"{count[name]} {what}{'' if count[name] == 1 else 's'}"
            for what, count in counts.items()
            if name in count
        ]
        if uses:
            used.append(f"{name!r} (used by {' and '.join(uses)})")
    if used:
        raise EnvironmentFailure(
            f"{key}: the list is said to be complete, but these are still in use: "
            f"{', '.join(used)}; list them, or give their tickets another {kind.singular} first"
        )


def _counts(db: t.Any, table: str, column: str, where: str) -> dict[str, int]:
    column = db.quote(column)
    query = f"SELECT {column}, count(*) FROM {table} {where} GROUP BY {column}"  # noqa: S608
    return {name: int(count) for name, count in db(query)}


def _warn_of_default(environment: t.Any, key: str, items: list[Item], context: Context) -> None:
    option = KINDS[key].default
    default = environment.config.get("ticket", option)
    names = [item["name"] for item in items]
    if default and names and default not in names:
        context.warn(f"[ticket] {option} is {default!r}, which is not among the {_plural(key)}")


def _plural(key: str) -> str:
    return key.replace("_", " ")


def _item(key: str, entry: t.Any) -> Item:
    """What Trac has of an item, in the form of an inventory's."""
    from trac.util.datefmt import to_utimestamp

    item = {"name": entry.name}
    for name, form in KINDS[key].attributes.items():
        value = getattr(entry, name)
        item[name] = to_utimestamp(value) or None if form == "date" else value or ""
    return item


def _set(key: str, entry: t.Any, item: Item) -> None:
    from trac.util.datefmt import from_utimestamp

    for name, form in KINDS[key].attributes.items():
        if name in item:
            value = item[name]
            setattr(entry, name, from_utimestamp(value) if form == "date" and value else value)


def _same(one: t.Any, other: t.Any) -> bool:
    """Whether two values are the same, apart from line ends, which browsers send their own way."""
    if isinstance(one, str) and isinstance(other, str):
        return one.replace("\r\n", "\n") == other.replace("\r\n", "\n")
    return bool(one == other)


@functools.lru_cache(maxsize=None)
def _tables() -> dict[str, t.Any]:
    from trac.ticket import model

    return {
        "milestones": model.Milestone,
        "components": model.Component,
        "versions": model.Version,
    }


@functools.lru_cache(maxsize=None)
def _enums() -> dict[str, t.Any]:
    from trac.ticket import model

    return {
        "priorities": model.Priority,
        "ticket_types": model.Type,
        "severities": model.Severity,
        "resolutions": model.Resolution,
    }
