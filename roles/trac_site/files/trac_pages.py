# Made by the Ansible role trac.mod_wsgi.trac_site; changes are overwritten.
"""Make once what Trac makes anew for each page, and what comes out the same each time.

Nothing that a visitor sees is kept: pages depend on permissions, on what exists, on the time.
"""

from __future__ import annotations

import copy
import fnmatch
import functools
import importlib
import os
import re
import sys
import typing as t

# How many matches of wiki syntax, and lines, are kept; a match takes about a kilobyte.
WIKI_MATCHES = 8000
# The wiki's own expression has some sixty groups; Trac's others have few.
WIKI_GROUPS = 30
DATES = 5000
# What a template finds in a dictionary before the dictionary's own keys.
DICT_NAMES = frozenset(dir(dict))

Line = t.Tuple[str, int, str]  # expression, its flags, and a line of wiki text
Matches = t.Tuple[t.Match[str], ...]


def keep(directory: str) -> None:
    """Switch all of it on for this process. Sites of a process share it.

    :param directory: for compiled templates, which later processes use, too
    """
    keep_templates(directory)
    keep_languages()
    keep_wiki_syntax()
    keep_dates()
    keep_from_looking_twice()
    list_projects_at_once()
    # Pages are handed over in pieces of 64 KiB instead of 4.
    importlib.import_module("trac.web.api").Request.CHUNK_SIZE = 65536


def keep_templates(directory: str) -> None:
    """Keep compiled templates in a directory of the account, for all environments and processes."""
    try:
        os.makedirs(directory, mode=0o700, exist_ok=True)
    except OSError as error:
        print(f"Compiled templates are not kept: {error}", file=sys.stderr, flush=True)
        return
    cache = kept_code(importlib.import_module("jinja2").FileSystemBytecodeCache)(directory)
    for module in map(importlib.import_module, ("trac.web.chrome", "trac.web.main")):
        module.jinja2env = functools.partial(module.jinja2env, bytecode_cache=cache)


def kept_code(base: t.Any) -> t.Any:
    """Jinja's cache of compiled templates, which reads each once for all environments."""

    class KeptCode(base):
        _kept: t.ClassVar[dict[str, tuple[str, t.Any]]] = {}

        def get_bucket(self, environment: t.Any, name: str, *source: t.Any) -> t.Any:
            # Trac loads templates of mails as text; what is escaped is a part of the compiled code.
            if environment.autoescape is not True:
                name = f"{name} as text"
            return super().get_bucket(environment, name, *source)

        def load_bytecode(self, bucket: t.Any) -> None:
            checksum, code = self._kept.get(bucket.key, ("", None))
            if checksum == bucket.checksum:
                bucket.code = code
                return
            super().load_bytecode(bucket)
            self._kept[bucket.key] = (bucket.checksum, bucket.code)

        def dump_bytecode(self, bucket: t.Any) -> None:
            super().dump_bytecode(bucket)
            self._kept[bucket.key] = (bucket.checksum, bucket.code)

    return KeptCode


@functools.lru_cache(maxsize=None)
def keep_languages() -> None:
    """Look for the languages that Trac speaks once, in its 40 directories, and read each once."""
    translation = importlib.import_module("trac.util.translation")
    if not translation.has_babel:
        return
    locales = tuple(translation.get_available_locales())
    translation.get_available_locales = lambda: list(locales)  # callers add to it
    translation.Translations = kept_translations(translation.Translations)


def kept_translations(base: t.Any) -> t.Any:
    """Babel's translations, which read each file once."""

    class KeptTranslations(base):
        _read: t.ClassVar[dict[tuple[t.Any, ...], t.Any]] = {}

        @classmethod
        def load(cls, dirname: t.Any = None, locales: t.Any = None, domain: t.Any = None) -> t.Any:
            key = (dirname, str(locales), domain)
            if key not in cls._read:
                cls._read[key] = super().load(dirname, locales, domain)
            found = cls._read[key]
            # What is added to it, other domains or (for a plugin with Trac's own domain) texts,
            # must not reach other environments: each has containers of its own.
            copied = found.__class__.__new__(found.__class__)
            for name, value in vars(found).items():
                is_container = isinstance(value, (dict, list))
                setattr(copied, name, copy.copy(value) if is_container else value)
            return copied

    return KeptTranslations


class WikiLines:
    """Python's module re for Trac's wiki formatter, which remembers where syntax is in a line.

    The wiki looks for all of its syntax in each line of a text with one large expression, which
    takes more than half of the time of a page with much text. Where it matches follows from the
    line alone; what becomes of a match is made anew for each visitor.
    """

    def __init__(self, most: int = WIKI_MATCHES) -> None:
        self.most = most
        self._size = 0
        # When the new are many they become the old, and the old that nobody has asked for
        # meanwhile are forgotten.
        self._new: dict[Line, Matches] = {}
        self._old: dict[Line, Matches] = {}

    def __getattr__(self, name: str) -> t.Any:
        return getattr(re, name)

    def sub(self, pattern: t.Any, repl: t.Any, string: str, count: int = 0, flags: int = 0) -> str:
        """What re.sub returns."""
        is_syntax = getattr(pattern, "groups", 0) >= WIKI_GROUPS and callable(repl)
        if count or flags or not is_syntax or string.__class__ is not str:
            return re.sub(pattern, repl, string, count=count, flags=flags)
        parts, end = [], 0
        for match in self.matches(pattern, string):
            parts += [string[end : match.start()], repl(match) or ""]
            end = match.end()
        return "".join([*parts, string[end:]])

    def matches(self, pattern: t.Pattern[str], line: str) -> Matches:
        """Those of the expression in a line, from left to right."""
        key = (pattern.pattern, pattern.flags, line)  # the pattern itself is slow as a key
        found = self._new.get(key)
        if found is None:
            found = self._old.get(key)
            if found is None:
                found = tuple(pattern.finditer(line))
            self._add(key, found)
        return found

    def _add(self, key: Line, found: Matches) -> None:
        # Threads may come between each other here: then a little more or less is kept.
        if self._size > self.most // 2:
            self._old, self._new, self._size = self._new, {}, 0
        self._new[key] = found
        self._size += 1 + len(found) + len(key[2]) // 1000


@functools.lru_cache(maxsize=None)
def keep_wiki_syntax() -> None:
    """Look for wiki syntax once in each line."""
    importlib.import_module("trac.wiki.formatter").re = WikiLines()


@functools.lru_cache(maxsize=None)
def keep_dates() -> None:
    """Write each date once for each time zone, language and format."""
    datefmt = importlib.import_module("trac.util.datefmt")
    write = datefmt._format_datetime
    kept = functools.lru_cache(maxsize=DATES)(write)

    def format_datetime(date: t.Any, *how: t.Any) -> str:
        # Dates that are equal may be written in other zones; those of the database are all in UTC.
        if getattr(date, "tzinfo", None) is datefmt.utc:
            return kept(date, *how)
        return write(date, *how)

    datefmt._format_datetime = format_datetime


@functools.lru_cache(maxsize=None)
def keep_from_looking_twice() -> None:
    """Have templates take a dictionary's item at once, not after looking for an attribute."""
    environment = importlib.import_module("jinja2").Environment
    look = environment.getattr

    def attribute_or_item(self: t.Any, obj: t.Any, attribute: str) -> t.Any:
        if obj.__class__ is dict and attribute in obj and attribute not in DICT_NAMES:
            return obj[attribute]
        return look(self, obj, attribute)

    environment.getattr = attribute_or_item


@functools.lru_cache(maxsize=None)
def list_projects_at_once() -> None:
    """Read what lies in the parent directory in one go; Trac asks twice about each project."""
    main = importlib.import_module("trac.web.main")
    one_by_one = main.get_environments

    def get_environments(environ: dict[str, t.Any], warn: bool = False) -> dict[str, str]:
        parent = environ.get("trac.env_parent_dir")
        if not parent or environ.get("trac.env_paths"):
            return t.cast("dict[str, str]", one_by_one(environ, warn))
        parent = os.path.normpath(parent)
        ignored = main.get_tracignore_patterns(parent)
        with os.scandir(parent) as entries:
            return {
                entry.name: entry.path
                for entry in entries
                if entry.is_dir()
                and not any(fnmatch.fnmatch(entry.name, pattern) for pattern in ignored)
            }

    main.get_environments = get_environments
