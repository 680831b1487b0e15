# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read Apache's configuration as far as checks of a host need it: directives and where they stand.

This is no substitute for Apache's own reading. Sections that depend on a module are taken as if
it were there, those that depend on its absence or on a definition as if they were not.
"""

from __future__ import annotations

import dataclasses
import fnmatch
import glob
import os
import re
import typing as t

_WORD = re.compile(r'"((?:[^"\\]|\\.)*)"|\'((?:[^\'\\]|\\.)*)\'|(\S+)')
_VARIABLE = re.compile(r"\$\{(\w+)\}")
_DEEPEST = 20  # files that include each other

Section = t.Tuple[str, str]


@dataclasses.dataclass(frozen=True)
class Directive:
    """One directive; name and sections' names in lower case."""

    name: str
    arguments: tuple[str, ...]
    sections: tuple[Section, ...]
    file: str
    line: int

    @property
    def place(self) -> str:
        return f"{self.file}, line {self.line}"

    @property
    def host(self) -> int:
        """Which virtual host it is in, as a number that is unique; 0 for none."""
        numbers = [int(words) for name, words in self.sections if name == "#virtualhost"]
        return numbers[0] if numbers else 0


def words(text: str) -> tuple[str, ...]:
    """The arguments of a directive, without their quotation marks."""
    found = []
    for double, single, plain in _WORD.findall(text):
        found.append(re.sub(r"\\(.)", r"\1", double or single) if double or single else plain)
    return tuple(found)


class Configuration:
    """The directives of a server, in the order in which Apache reads them."""

    def __init__(self, directives: t.Sequence[Directive]) -> None:
        self.directives = directives

    def all(self, *names: str) -> list[Directive]:
        wanted = {name.lower() for name in names}
        return [directive for directive in self.directives if directive.name in wanted]

    def last(self, name: str) -> str:
        """The argument that counts where a directive is given for the whole server."""
        found = [each for each in self.all(name) if not each.sections and each.arguments]
        return found[-1].arguments[0] if found else ""


class _Reader:
    def __init__(self, server_root: str, variables: t.Mapping[str, str]) -> None:
        self.server_root = server_root
        self.variables = dict(variables)
        self.directives: list[Directive] = []
        self.sections: list[Section] = []
        self.hosts = 0

    def file(self, path: str, depth: int = 0) -> None:
        try:
            with open(path, encoding="utf-8", errors="replace") as stream:
                text = stream.read()
        except OSError:
            return
        for number, line in _lines(text):
            self._line(line, path, number, depth)

    def _line(self, line: str, path: str, number: int, depth: int) -> None:
        if line.startswith("</"):
            # A virtual host stands there with its number.
            if self.sections and self.sections.pop()[0] == "#virtualhost":
                self.sections.pop()
            return
        text = _VARIABLE.sub(lambda found: self.variables.get(found.group(1), found.group()), line)
        if text.startswith("<"):
            name, _dummy, rest = text[1:].rstrip().rstrip(">").partition(" ")
            self.sections.append((name.lower(), rest.strip()))
            if name.lower() == "virtualhost":
                self.hosts += 1
                self.sections.append(("#virtualhost", str(self.hosts)))
            return
        if not self._counts():
            return
        name, _dummy, rest = text.partition(" ")
        arguments = words(rest)
        if name.lower() in ("include", "includeoptional") and arguments and depth < _DEEPEST:
            for included in _matching(self.server_root, arguments[0]):
                self.file(included, depth + 1)
        elif name.lower() == "define" and arguments:
            self.variables[arguments[0]] = arguments[1] if len(arguments) > 1 else ""
        else:
            sections = tuple(each for each in self.sections if each[0] != "ifmodule")
            self.directives.append(Directive(name.lower(), arguments, sections, path, number))

    def _counts(self) -> bool:
        for name, rest in self.sections:
            absent = rest.startswith("!")
            if (name == "ifmodule" and absent) or (
                name == "ifdefine" and absent == (rest.lstrip("!") in self.variables)
            ):
                return False
        return True


def _lines(text: str) -> t.Iterator[tuple[int, str]]:
    """The lines with something in them, continued ones joined, with their numbers."""
    joined, first = "", 0
    for number, line in enumerate(text.splitlines(), 1):
        first = first or number
        if line.endswith("\\"):
            joined += line[:-1]
            continue
        complete = (joined + line).strip()
        if complete and not complete.startswith("#"):
            yield first, complete.replace("\t", " ")
        joined, first = "", 0


def _matching(server_root: str, pattern: str) -> list[str]:
    """The files that an Include means, in Apache's order."""
    full = os.path.join(server_root, pattern)
    found = sorted(glob.glob(full)) if glob.has_magic(full) else [full]
    files = []
    for path in found:
        if os.path.isdir(path):
            names = sorted(os.listdir(path))
            files += [os.path.join(path, name) for name in fnmatch.filter(names, "*")]
        else:
            files.append(path)
    return files


def read(server_root: str, variables: t.Mapping[str, str]) -> Configuration:
    """The configuration in a directory, with the values of envvars in it."""
    reader = _Reader(server_root, variables)
    reader.file(os.path.join(server_root, "apache2.conf"))
    return Configuration(reader.directives)


# -- mod_wsgi ------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class DaemonGroup:
    """A group of daemon processes, with the options of its directive."""

    name: str
    options: t.Mapping[str, str]
    place: str

    def number(self, option: str, default: int) -> int:
        value = self.options.get(option, "")
        return int(value) if value.isdigit() else default


@dataclasses.dataclass(frozen=True)
class Script:
    """A script that serves a path; no process group: within Apache's own processes."""

    mount: str
    path: str
    process_group: str
    application_group: str
    place: str


def _options(arguments: t.Iterable[str]) -> dict[str, str]:
    pairs = (argument.partition("=") for argument in arguments)
    return {name: value for name, equals, value in pairs if equals}


def daemon_groups(configuration: Configuration) -> list[DaemonGroup]:
    return [
        DaemonGroup(each.arguments[0], _options(each.arguments[1:]), each.place)
        for each in configuration.all("WSGIDaemonProcess")
        if each.arguments
    ]


def scripts(configuration: Configuration) -> list[Script]:
    """All scripts, with the groups that their own options or the directives around them say."""
    found = []
    for alias in configuration.all("WSGIScriptAlias", "WSGIScriptAliasMatch"):
        if len(alias.arguments) < 2:
            continue
        options = _options(alias.arguments[2:])
        path = alias.arguments[1]
        process = options.get("process-group") or _around(configuration, alias, "WSGIProcessGroup")
        application = options.get("application-group") or _around(
            configuration, alias, "WSGIApplicationGroup"
        )
        found.append(
            Script(
                alias.arguments[0],
                path,
                "" if process in ("", "%{GLOBAL}") else process,
                application,
                alias.place,
            )
        )
    return found


def _around(configuration: Configuration, alias: Directive, name: str) -> str:
    """What a directive says for a script: in a section that may hold it, its host, or the server.

    The inner ones count more. Sections are compared by their paths' beginnings only.
    """
    value, rank = "", -1
    for each in configuration.all(name):
        if each.host not in (0, alias.host) or not each.arguments:
            continue
        inner = [section for section in each.sections if not section[0].endswith("virtualhost")]
        if not all(_holds(section, alias) for section in inner):
            continue
        own = (2 if inner else 0) + (1 if each.host else 0)
        if own >= rank:
            value, rank = each.arguments[0], own
    return value


def _holds(section: Section, alias: Directive) -> bool:
    kind, rest = section
    parts = words(rest)
    if not parts:
        return False
    beginning = parts[0].rstrip("/") + "/"
    if kind == "directory":
        return (alias.arguments[1] + "/").startswith(beginning)
    if kind == "location":
        return (alias.arguments[0].rstrip("/") + "/").startswith(beginning)
    return kind == "files" and fnmatch.fnmatch(os.path.basename(alias.arguments[1]), parts[0])


def restricts_embedded(configuration: Configuration) -> bool:
    """Whether Apache's own processes run no scripts."""
    return configuration.last("WSGIRestrictEmbedded").lower() == "on"
