# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Validate the events of workers, which run plugins and are not trusted."""

from __future__ import annotations

import typing as t

Check = t.Callable[[t.Any], bool]


def text(value: t.Any) -> bool:
    """A text."""
    return isinstance(value, str)


def number(value: t.Any) -> bool:
    """A whole number that is not negative."""
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def flag(value: t.Any) -> bool:
    """True or false."""
    return isinstance(value, bool)


def maybe(check: Check) -> Check:
    """Something, or nothing."""
    return lambda value: value is None or check(value)


def items(check: Check) -> Check:
    """A list."""
    return lambda value: isinstance(value, list) and all(map(check, value))


def table(check: Check) -> Check:
    """A dictionary with any keys."""
    return lambda value: isinstance(value, dict) and all(map(check, value.values()))


def record(shape: t.Mapping[str, Check]) -> Check:
    """A dictionary with at least these keys."""
    return lambda value: isinstance(value, dict) and fault(value, shape) is None


def exactly(shape: t.Mapping[str, Check]) -> Check:
    """A dictionary with these keys and no others."""
    whole = record(shape)
    return lambda value: whole(value) and set(value) == set(shape)


def fault(document: t.Mapping[str, t.Any], shape: t.Mapping[str, Check]) -> str | None:
    """The first key that is missing, or that does not hold what it should; None if all is well."""
    for key, check in shape.items():
        if key not in document:
            return f"it has no {key!r}"
        if not check(document[key]):
            return f"its {key!r} is not what it should be"
    return None


def _update(value: t.Any) -> bool:
    """Text before, text after, patterns."""
    return (
        isinstance(value, list)
        and len(value) == 3
        and all(map(maybe(text), value[:2]))
        and items(text)(value[2])
    )


_REASON: dict[str, Check] = {"reason": text}
_NAME: dict[str, Check] = {"name": text}
_REPORT = exactly(
    {
        "name": text,
        "created": flag,
        "changes": items(text),
        "before": items(text),
        "after": items(text),
        "failure": maybe(text),
        "warnings": items(text),
        "archive": maybe(text),
        "servable": maybe(flag),
    }
)
_RESULT = exactly(dict.fromkeys(("check", "status", "seen", "means", "advice", "subject"), text))
_FACTS = record(
    {
        "title": maybe(text),
        "subversion": flag,
        "no_login": items(text),
        "no_login_page": items(text),
    }
)
_SERVER: dict[str, Check] = {"server": text, "environments": items(text)}
_SERVER_SAYS: dict[str, Check] = {"max_connections": number, "reserved": number, "reason": text}

SHAPES: dict[str, dict[str, Check]] = {
    "end": {},
    "failed": _REASON,
    "no_trac": _REASON,
    "begin": _NAME,
    "report": {"report": _REPORT},
    # Of environments that are reconciled:
    "leftovers": {"names": items(text), "failures": items(text)},
    "remaining": {"names": items(text)},
    "tracignore": {"failure": maybe(text)},
    # Of backups; a manifest is looked at when it is used:
    "names": {"names": items(text)},
    "failure": {**_NAME, **_REASON},
    "archive": {**_NAME, "manifest": maybe(table(lambda _value: True))},
    "data": {"size": number},
    "sent": {},
    # Of upgrades:
    "trac": {"version": text, "prefix": text},
    "seen": {
        **_NAME,
        "components": items(text),
        "broken": table(text),
        "outdated": flag,
        "failure": maybe(text),
        "warnings": items(text),
    },
    "complaints": {"messages": items(text)},
    "done": {**_NAME, "failure": maybe(text)},
    # Of servers, and of the doctor:
    "server": _SERVER,
    "servers": {"servers": items(record(_SERVER))},
    "result": {"result": _RESULT},
    "facts": {**_NAME, "facts": _FACTS},
    "verdict": {"path": text, "verdict": text},
}
_OPTIONAL: dict[str, dict[str, Check]] = {
    "archive": {"warnings": items(text)},
    "server": _SERVER_SAYS,
    "done": {
        "copy": text,
        "rows": table(number),
        "kept": maybe(text),
        "skipped": flag,
        "said": items(text),
    },
    "tracignore": {"update": _update},
}


def problem(event: t.Any) -> str | None:
    """Why an answer cannot be understood; None if it can."""
    if not isinstance(event, dict) or not isinstance(event.get("event"), str):
        return "it is no event"
    kind = event["event"]
    if kind not in SHAPES:
        return f"{kind[:50]!r} is no event"
    optional = _OPTIONAL.get(kind, {})
    shape = {**SHAPES[kind], **{key: optional[key] for key in optional if key in event}}
    why = fault(event, shape)
    return None if why is None else f"of the event {kind!r}: {why}"
