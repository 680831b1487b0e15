# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Milestones, components and what else a ticket may be given: what they look like in an inventory.

An item is a name, or a dictionary with a name and attributes. Read, it is a dictionary of the
name and the attributes that were given: texts, or for dates microseconds since 1970 as in
Trac's tables (None for no date).
"""

from __future__ import annotations

import datetime
import re
import typing as t

from ansible_collections.trac.mod_wsgi.plugins.module_utils._core import arguments

Item = t.Dict[str, t.Any]

DATE_RULE = (
    "dates such as '2027-01-31' (midnight UTC) and times such as '2027-01-31T18:00:00+01:00' "
    "(UTC when there is no zone), after 1970"
)
_DATE = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)"
    r"(?:[T ](\d\d):(\d\d)(?::(\d\d)(?:\.(\d{1,6}))?)?\s?(?:(Z)|([+-])(\d\d):?(\d\d)?)?)?\Z",
    re.ASCII,
)
_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)
_MICROSECOND = datetime.timedelta(microseconds=1)
_CONTROL = re.compile(r"[\x00-\x1f\x7f\x85\u2028\u2029]")
_CONTROL_IN_TEXT = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")


class Kind(t.NamedTuple):
    """One key of the inventory."""

    singular: str
    column: str  # of the table of tickets
    default: str  # option of [ticket] that names the value of a new ticket
    attributes: dict[str, str]  # name -> date, line, or text (of several lines)


_ENUM = {"description": "text"}
KINDS: dict[str, Kind] = {
    "milestones": Kind(
        "milestone",
        "milestone",
        "default_milestone",
        {"due": "date", "completed": "date", "description": "text"},
    ),
    "components": Kind(
        "component", "component", "default_component", {"owner": "line", "description": "text"}
    ),
    "versions": Kind(
        "version", "version", "default_version", {"time": "date", "description": "text"}
    ),
    "priorities": Kind("priority", "priority", "default_priority", _ENUM),
    "ticket_types": Kind("ticket type", "type", "default_type", _ENUM),
    "severities": Kind("severity", "severity", "default_severity", _ENUM),
    "resolutions": Kind("resolution", "resolution", "default_resolution", _ENUM),
}


def _date(value: object) -> int | None:
    if value is None or value == "":
        return None
    if isinstance(value, (datetime.date, datetime.datetime)):
        value = value.isoformat()
    found = _DATE.match(value.strip()) if isinstance(value, str) else None
    if found is None:
        raise ValueError(DATE_RULE)
    day, fraction, sign = found.group(1, 2, 3), found.group(7), found.group(9)
    time, shift = found.group(4, 5, 6), found.group(10, 11)
    year, month, date, hour, minute, second, hours, minutes = (
        int(number or 0) for number in day + time + shift
    )
    offset = datetime.timedelta(hours=hours, minutes=minutes)
    try:
        moment = datetime.datetime(
            year,
            month,
            date,
            hour,
            minute,
            second,
            int((fraction or "").ljust(6, "0")),
            datetime.timezone(-offset if sign == "-" else offset),
        )
    except ValueError:
        raise ValueError(DATE_RULE) from None
    result = (moment - _EPOCH) // _MICROSECOND
    if result <= 0:  # nought stands for no date
        raise ValueError(DATE_RULE)
    return result


def _line(value: object) -> str:
    text = "" if value is None else value
    if not isinstance(text, str) or text != " ".join(text.split()) or _CONTROL.search(text):
        raise ValueError("texts of one line, without white space at their ends or doubled in them")
    return text


def _text(value: object) -> str:
    text = "" if value is None else value
    if not isinstance(text, str) or _CONTROL_IN_TEXT.search(text):
        raise ValueError("texts without control characters")
    return text


_READ: dict[str, t.Callable[[object], object]] = {"date": _date, "line": _line, "text": _text}


def _name(value: object) -> str:
    if isinstance(value, datetime.date) and not isinstance(value, datetime.datetime):
        value = value.isoformat()
    if isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < 10**18:
        value = str(value)
    if not isinstance(value, str) or not value:
        raise ValueError("texts that are not empty")
    return _line(value)


def _item(kind: Kind, where: str, value: object) -> tuple[Item, list[str]]:
    given: t.Mapping[t.Any, object] = value if isinstance(value, t.Mapping) else {"name": value}
    unknown = [str(key) for key in given if key != "name" and key not in kind.attributes]
    if unknown:
        known = ", ".join(["name", *kind.attributes])
        return {}, [f"{where} has the unknown key {', '.join(unknown)}; known are {known}"]
    item: Item = {}
    problems = []
    for key in ("name", *kind.attributes):
        if key != "name" and key not in given:
            continue
        read = _name if key == "name" else _READ[kind.attributes[key]]
        try:
            item[key] = read(given.get(key))
        except ValueError as e:
            spot = f"{where}.{key}" if isinstance(value, t.Mapping) else where
            problems.append(f"{spot} is {arguments.shown(given.get(key))}; allowed are {e}")
    return item, problems


def read_items(key: str, value: object) -> tuple[list[Item], list[str]]:
    """The items of one key of the inventory, and what is wrong with them."""
    if not isinstance(value, (list, tuple)):
        return [], [f"{key} is {arguments.shown(value)}; it has to be a list"]
    items: list[Item] = []
    problems: list[str] = []
    seen: set[str] = set()
    for index, element in enumerate(value):
        item, wrong = _item(KINDS[key], f"{key}[{index}]", element)
        problems += wrong
        if item.get("name") in seen:
            problems.append(f"{key}[{index}] is {item['name']!r}, which the list has already")
        seen.add(item.get("name", ""))
        items.append(item)
    return items, problems


def shown(kind: Kind, item: Item) -> list[str]:
    """The lines of a diff for an item's attributes; those without a value are left out."""
    lines = []
    for attribute, value in item.items():
        if attribute == "name" or not value:
            continue
        if kind.attributes[attribute] == "date":
            value = (_EPOCH + value * _MICROSECOND).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
            value = value.replace(".000000", "")
        lines.append(f"{kind.singular} {item['name']}: {attribute} = {value}")
    return lines


def added(key: str, item: Item) -> tuple[str, list[str], list[str]]:
    """A new item: in words, and the lines of the diff before and after."""
    kind = KINDS[key]
    title = f"{kind.singular} {item['name']}"
    return f"add {title}", [], [title, *shown(kind, item)]


def removed(key: str, item: Item) -> tuple[str, list[str], list[str]]:
    """An item that goes, likewise."""
    words, before, after = added(key, item)
    return words.replace("add", "remove", 1), after, before


def changed(key: str, old: Item, new: Item) -> tuple[str, list[str], list[str]]:
    """An item with other attributes, likewise; both name the same attributes."""
    kind = KINDS[key]
    attributes = ", ".join(name for name in new if name != "name")
    words = f"set {attributes} of {kind.singular} {new['name']}"
    return words, shown(kind, old), shown(kind, new)
