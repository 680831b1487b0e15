# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Values beside an argument specification: what is wrong with their types, in words.

Ansible's own check of roles speaks of Python's types, does not convert what it has accepted, and
repeats values that may be secret. Here a value is described without what is in it where that may
hold a password, and ``converted`` makes of it what the specification says.
"""

from __future__ import annotations

import datetime
import math
import re
import typing as t

from ansible_collections.trac.mod_wsgi.plugins.module_utils._core import secrets

Option = t.Mapping[str, t.Any]
Options = t.Mapping[str, Option]
Problems = t.List[str]

_SHOWN = 80
_WHOLE = re.compile(r"\s*[-+]?[0-9]{1,19}\s*\Z")
_TRUE = frozenset(("true", "yes", "on", "y", "t", "1"))
_FALSE = frozenset(("false", "no", "off", "n", "f", "0"))
_RULES = {
    "str": "text",
    "path": "a path, as text",
    "int": "a whole number",
    "bool": "true or false",
    "list": "a list",
    "dict": "a dictionary",
}
_ELEMENTS = {"str": " of texts", "path": " of paths", "dict": " of dictionaries"}


def is_text(value: object) -> bool:
    """Whether it is text, or what stands for text that a vault holds."""
    return isinstance(value, str) or type(value).__name__ == "AnsibleVaultEncryptedUnicode"


def is_secret(name: str, option: Option) -> bool:
    """Whether a value, or something in it, is not for anybody's eyes."""
    return (
        bool(option.get("no_log"))
        or secrets.is_secret(name)
        or any(is_secret(key, each) for key, each in (option.get("options") or {}).items())
    )


def shown(value: object, secret: bool = False) -> str:
    """A value in a message. Of lists and dictionaries only that they are such."""
    if isinstance(value, t.Mapping):
        return "a dictionary"
    if isinstance(value, (list, tuple)):
        return "a list"
    if value is None:
        return "empty (null)"
    if isinstance(value, bool):
        return "true" if value else "false"
    if secret:
        return "text" if is_text(value) else _kind(value)
    if is_text(value):
        return repr(_short(secrets.shown("", str(value))))
    if isinstance(value, (int, float)):
        try:
            return _short(str(value))
        except ValueError:  # Python writes no number of many thousand digits
            return "a very large number"
    if isinstance(value, (datetime.date, datetime.datetime)):
        return f"the date {value.isoformat()}"
    return f"a {type(value).__name__}"


def _short(text: str) -> str:
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."


def _kind(value: object) -> str:
    if isinstance(value, (int, float)):
        return "a number"
    return "a date" if isinstance(value, datetime.date) else "something else"


def problems(
    where: str, value: object, option: Option, *, name: str = "", numbers: bool = True
) -> Problems:
    """What is wrong with the type of a value, and of what is in it; an empty list if nothing is.

    ``where`` is what messages call it, ``name`` the key that says whether it is a secret. With
    ``numbers``, text may be a number or a date, as YAML makes of ``title: 2024``.
    """
    kind = option.get("type", "str")
    fits = _FITS.get(kind)
    if fits is not None and not fits(value):
        secret = is_secret(name or where, option)
        textual = kind in ("str", "path")
        if textual and numbers and not secret and kind == "str" and _is_plain(value):
            return _choice(where, value, option)
        holder = value is None or isinstance(value, (t.Mapping, list, tuple))
        hint = "; put quotes around it" if textual and not holder else ""
        return [f"{where} is {shown(value, secret)}; it has to be {_rule(option)}{hint}."]
    if kind == "list":
        element = _element(option)
        return [
            problem
            for index, item in enumerate(t.cast("t.Iterable[object]", value))
            for problem in problems(
                f"{where}[{index}]", item, element, name=name or where, numbers=numbers
            )
        ]
    if kind == "dict" and option.get("options"):
        return keys(where, t.cast("t.Mapping[t.Any, t.Any]", value), option["options"])
    return _choice(where, value, option)


def _element(option: Option) -> Option:
    return {**option, "type": option.get("elements", "raw"), "elements": "raw"}


def _rule(option: Option) -> str:
    choices = option.get("choices")
    kind = option.get("type", "str")
    if choices and kind != "list":
        return "one of " + ", ".join(str(choice) for choice in choices)
    return _RULES.get(kind, "something else") + (
        _ELEMENTS.get(option.get("elements", ""), "") if kind == "list" else ""
    )


def _choice(where: str, value: object, option: Option) -> Problems:
    choices = option.get("choices")
    if not choices or option.get("type") == "list" or value in choices:
        return []
    allowed = ", ".join(str(choice) for choice in choices)
    return [f"{where} is {shown(value)}; allowed are {allowed}."]


def keys(where: str, value: t.Mapping[t.Any, t.Any], options: Options) -> Problems:
    """The same for all keys of a dictionary. One that is null is as good as left out."""
    unknown = [str(key) for key in value if key not in options]
    if unknown:
        return [
            f"{where} has the unknown key {', '.join(unknown)}; known are {', '.join(options)}."
        ]
    found: Problems = []
    for key, option in options.items():
        if value.get(key) is not None:
            found += problems(f"{where}.{key}", value[key], option, name=key)
        elif option.get("required"):
            found.append(f"{where}.{key} is missing; it has to be {_rule(option)}.")
    return found


def _is_plain(value: object) -> bool:
    """Whether there is one way only to write a number or a date as text."""
    if isinstance(value, bool):
        return False
    if isinstance(value, float):
        return math.isfinite(value)
    if isinstance(value, datetime.date):
        return not isinstance(value, datetime.datetime)
    return isinstance(value, int) and _int(value) is not None


def _int(value: object) -> int | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return value if abs(value) < 10**19 else None
    if isinstance(value, float):
        return int(value) if value.is_integer() and abs(value) < 10**19 else None
    return int(str(value)) if is_text(value) and _WHOLE.match(str(value)) else None


def _bool(value: object) -> bool | None:
    text = str(value).strip().lower() if is_text(value) else None
    if isinstance(value, bool):
        return value
    if value in (0, 1):
        return bool(value)
    return True if text in _TRUE else False if text in _FALSE else None


_FITS: dict[str, t.Callable[[object], bool]] = {
    "str": is_text,
    "path": is_text,
    "int": lambda value: _int(value) is not None,
    "bool": lambda value: _bool(value) is not None,
    "list": lambda value: isinstance(value, (list, tuple)),
    "dict": lambda value: isinstance(value, t.Mapping),
}


def converted(value: t.Any, option: Option) -> t.Any:
    """A value that has no problems, of the type that the specification says."""
    kind = option.get("type", "str")
    if kind == "str" and _is_plain(value):
        return value.isoformat() if isinstance(value, datetime.date) else str(value)
    if kind == "int":
        return _int(value)
    if kind == "bool":
        return _bool(value)
    if kind == "list":
        element = _element(option)
        return [converted(item, element) for item in value]
    if kind == "dict" and option.get("options"):
        return {
            key: converted(item, option["options"].get(key, {"type": "raw"}))
            for key, item in value.items()
            if item is not None
        }
    return value
