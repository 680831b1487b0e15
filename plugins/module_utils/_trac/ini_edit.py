# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Change options of a trac.ini in place.

Trac reads trac.ini with :class:`configparser.ConfigParser` without interpolation and writes it
sorted and without comments. :func:`apply` changes nothing but the lines of the options it is
given: comments, order, blank lines, spelling and line endings of everything else stay.

:func:`apply` checks its own work: the new text, read by the rules Trac reads it with, has to
hold exactly the wanted values and otherwise what the old text held. If it does not, the result
is an :class:`IniError` and never a wrong file.
"""

from __future__ import annotations

import configparser
import io
import re
import typing as t

# (section, option) -> value, None to remove the option
Changes = t.Mapping[t.Tuple[str, str], t.Optional[str]]
Options = t.Dict[str, t.Dict[str, str]]

_LINE = re.compile(r"[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+")
_COMMENT = ("#", ";")
_LATER = " (for Trac before 1.6, what stood later in the file counted)"


class IniError(ValueError):
    """The file cannot be read, or cannot hold what it should hold."""


class _Option:
    """Where one option stands: the numbers of its lines, and how its first line is spelled."""

    def __init__(self, line: int, indent: str, spelling: str) -> None:
        self.lines = [line]  # without comments between continuation lines
        self.indent = indent
        self.spelling = spelling  # everything up to the value


class _Section:
    def __init__(self, line: int) -> None:
        self.last_line = line  # of its header or of the last line of its last option
        self.indent = ""
        self.options: dict[str, _Option] = {}


def option_key(option: str) -> str:
    """The form under which Trac finds an option: case does not matter."""
    return option.lower()


def _parser() -> configparser.ConfigParser:
    """A parser with the rules of trac.config.UnicodeConfigParser."""
    return configparser.ConfigParser(interpolation=None)


def _fault(error: configparser.Error) -> str:
    """Which line is wrong, without its text, which may be half of a password."""
    if isinstance(error, configparser.MissingSectionHeaderError):
        return f"line {error.lineno} stands before the first [section]"
    if isinstance(error, configparser.ParsingError):
        numbers = ", ".join(str(number) for number, _line in error.errors)
        lines = "lines" if len(error.errors) > 1 else "line"
        return f"{lines} {numbers}: neither a [section] nor an option (name = value)"
    if isinstance(error, configparser.DuplicateSectionError):
        return (
            f"line {error.lineno}: the section [{error.section}] stands there a second time; put "
            f"the two together{_LATER}"
        )
    if isinstance(error, configparser.DuplicateOptionError):
        where = f"[{error.section}] {error.option}"
        return (
            f"line {error.lineno}: {where} stands there a second time; take one of them out{_LATER}"
        )
    return type(error).__name__


def parse(text: str, parser: configparser.ConfigParser | None = None) -> Options:
    """The options of each section, as Trac reads them; a parser of Trac's may be filled, too."""
    if parser is None:
        parser = _parser()
    try:
        # As a file opened in text mode, which turns each kind of line ending into \n.
        parser.read_file(io.StringIO(text, newline=None), source="trac.ini")
    except configparser.Error as e:
        raise IniError(_fault(e)) from e
    return {section: dict(parser.items(section)) for section in parser.sections()}


def _split(text: str) -> list[str]:
    return _LINE.findall(text)


def _scan(lines: list[str]) -> dict[str, _Section]:
    """Find the lines of each option, following configparser's own reading of a file."""
    parser = _parser()
    sections: dict[str, _Section] = {}
    section: _Section | None = None
    option: _Option | None = None
    level = 0
    blank: list[int] = []  # part of the value if more of it follows
    for number, line in enumerate(lines):
        value = line.strip()
        if not value:
            blank.append(number)
            continue
        if value.startswith(_COMMENT):
            continue
        indent = line[: len(line) - len(line.lstrip())]
        if section is not None and option is not None and len(indent) > level:
            option.lines += [*blank, number]
            blank = []
            section.last_line = number
            continue
        blank = []
        level = len(indent)
        header = parser.SECTCRE.match(value)
        if header:
            section = sections.setdefault(header.group("header"), _Section(number))
            section.last_line = number
            option = None
            continue
        found = parser.OPTCRE.match(value)
        if section is None or found is None:
            raise IniError(f"line {number + 1} is neither a section nor an option: {value!r}")
        spelling = indent + value[: found.end("vi")]
        rest = value[found.end("vi") :]
        spelling += rest[: len(rest) - len(rest.lstrip())] or ("" if rest else " ")
        option = _Option(number, indent, spelling)
        section.options[option_key(found.group("option").rstrip())] = option
        section.last_line = number
        section.indent = indent
    return sections


def _render(spelling: str, indent: str, value: str, newline: str) -> list[str]:
    """The lines of an option; those after the first are indented deeper than it."""
    first, *more = value.split("\n")
    lines = [(spelling + first).rstrip(" ") + newline]
    lines += [(indent + "\t" + line if line else "") + newline for line in more]
    return lines


def problem(section: str, option: str, value: str | None) -> str | None:
    """Why a trac.ini cannot hold this, or None if it can."""
    if not section:
        return "the name of the section is empty"
    if section == configparser.DEFAULTSECT:
        return "[DEFAULT] would set the option in every section"
    if not option:
        return "the name of the option is empty"
    names = {"section": section, "option": option}
    for what, name in names.items():
        if name != name.strip():
            return f"the name of the {what} begins or ends with white space"
        if any(ord(c) < 32 or ord(c) == 127 for c in name):
            return f"the name of the {what} holds a control character"
    if value is None:
        value = ""
    if "\0" in value:
        return "the value holds a NUL character"
    if "\r" in value:
        return "the value holds a carriage return, which would be read as a line break"
    if value != value.strip():
        return "the value begins or ends with white space, which would be lost"
    for number, line in enumerate(value.split("\n")):
        if line != line.strip():
            return "a line of the value begins or ends with white space, which would be lost"
        if number and line.startswith(_COMMENT):
            return f"a line of the value begins with {line[0]!r} and would be read as a comment"
    try:
        (section + option + value).encode("utf-8")
    except UnicodeEncodeError:
        return "it cannot be written in UTF-8"
    text = f"[{section}]\n" + "".join(_render(f"{option} = ", "", value, "\n"))
    try:
        read = parse(text)
    except IniError:
        read = {}
    if read != {section: {option_key(option): value}}:
        return "trac.ini has no way to write it that would be read back the same"
    return None


def _delete(lines: list[str | None], option: _Option) -> None:
    for number in option.lines:
        lines[number] = None


def _wanted(old: Options, changes: Changes, everywhere: t.Mapping[str, str]) -> Options:
    """What the new text has to hold; what [DEFAULT] sets, it sets in new sections, too."""
    new = {section: dict(options) for section, options in old.items()}
    for (section, option), value in changes.items():
        if value is not None:
            new.setdefault(section, dict(everywhere))[option_key(option)] = value
        elif option_key(option) in everywhere:
            raise IniError(
                f"[{section}] {option} cannot be taken out, because [{configparser.DEFAULTSECT}] "
                "sets it in every section; move what stands there to the sections that need it"
            )
        else:
            new.get(section, {}).pop(option_key(option), None)
    return new


def defaults(text: str) -> dict[str, str]:
    """What a text sets in every section, by [DEFAULT]."""
    parser = _parser()
    parse(text, parser)
    return dict(parser.defaults())


def apply(text: str, changes: Changes) -> str:
    """The text with these options set, or removed where the value is None.

    Raises IniError when the text is no trac.ini, or cannot hold a value.
    """
    for name, value in changes.items():
        reason = problem(*name, value)
        if reason:
            raise IniError(f"[{name[0]}] {name[1]}: {reason}")
    old = parse(text)
    changes = {
        name: value
        for name, value in changes.items()
        if old.get(name[0], {}).get(option_key(name[1])) != value
    }
    source = _split(text)
    newline = "\r\n" if source and source[0].endswith("\r\n") else "\n"
    if source and not source[-1].endswith(("\n", "\r")):
        source[-1] += newline
    sections = _scan(source)
    lines: list[str | None] = list(source)
    added: dict[int, list[str]] = {}  # after which line
    appended: dict[str, list[str]] = {}  # sections that are new
    for (section_name, option_name), value in changes.items():
        section = sections.get(section_name)
        option = section.options.get(option_key(option_name)) if section else None
        if value is None:
            if option:
                _delete(lines, option)
        elif option:
            _delete(lines, option)
            new = _render(option.spelling, option.indent, value, newline)
            lines[option.lines[0]] = "".join(new)
        elif section:
            indent = section.indent
            new = _render(f"{indent}{option_name} = ", indent, value, newline)
            added.setdefault(section.last_line, []).extend(new)
        else:
            new = _render(f"{option_name} = ", "", value, newline)
            appended.setdefault(section_name, []).extend(new)
    result: list[str] = []
    for number, line in enumerate(lines):
        if line is not None:
            result.append(line)
        result += added.get(number, [])
    for section_name, new in appended.items():
        if result and result[-1].strip():
            result.append(newline)
        result += [f"[{section_name}]{newline}", *new]
    edited = "".join(result)
    _check(edited, _wanted(old, changes, defaults(text)), changes)
    return edited


def _check(edited: str, wanted: Options, changes: Changes) -> None:
    """Read the edited text as Trac will, and compare."""
    read = parse(edited)
    if read == wanted:
        return
    for (section, option), value in changes.items():
        if read.get(section, {}).get(option_key(option)) != value:
            raise IniError(f"[{section}] {option} cannot be set without spoiling the file")
    raise IniError(
        "the options cannot be set without changing others: "
        + ", ".join(f"[{section}] {option}" for section, option in changes)
    )
