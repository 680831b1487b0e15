# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Look at the files of plugins, of which nothing is run, for what another Python has left.

Trac passes over eggs of another Python, links to nowhere and compiled files without a word.
"""

from __future__ import annotations

import functools
import os
import re
import sys
import typing as t
import zipfile

from ansible_collections.trac.mod_wsgi.plugins.module_utils._core import regular_file
from ansible_collections.trac.mod_wsgi.plugins.module_utils._trac import python2_code

_EGG = re.compile(r"-py(\d+\.\d+)(-.*)?\.egg\Z")
_PYTHON = f"{sys.version_info[0]}.{sys.version_info[1]}"
# Of one plugin; what is larger is data.
_LARGEST = 1 << 20  # bytes of a file
_FILES = 400
# The second half of what each compiled file begins with. Until 3.0 the first half was above 20000.
_MAGIC_END = b"\r\n"
_FIRST_OF_PYTHON_2 = 20000
_OTHER = "have trac_runtime_plugins install a version for this Python, and remove the file"

Found = t.Tuple[str, str, str]  # name, what is seen, remedy


def findings(directory: str) -> t.Iterator[Found]:
    """What is wrong with the plugins in a directory."""
    names = _names(directory)
    for name in names:
        path = os.path.join(directory, name)
        kind = os.path.splitext(name)[1]
        try:
            seen = None
            if kind == ".egg":
                seen = _egg(name, path)
            elif kind == ".egg-link":
                seen = _link(path)
            elif kind == ".pyc" and f"{name[:-1]}" not in names:
                seen = _compiled(path)
            elif kind == ".py":
                seen = _source(path)
        except OSError as e:
            seen = f"cannot be read: {e.strerror}"
        if seen:
            yield name, f"the plugin {path} {seen}", _OTHER


def _names(directory: str) -> list[str]:
    try:
        return sorted(os.listdir(directory))
    except OSError:
        return []


def _egg(name: str, path: str) -> str | None:
    match = _EGG.search(name)
    if match and match[1] != _PYTHON:
        return f"does not load: it is for Python {match[1]}, and this is {_PYTHON}"
    status = os.stat(path)
    return _remains_in_egg(path, status.st_mtime_ns, status.st_size)


def _link(path: str) -> str | None:
    lines = regular_file.read(path, _LARGEST, follow=True).decode("utf-8", "replace").splitlines()
    target = os.path.join(os.path.dirname(path), lines[0].strip()) if lines else ""
    if os.path.isdir(target):
        return None
    return f"does not load: it leads to {target or 'nothing'}, where there is no directory"


def _compiled(path: str) -> str:
    content = regular_file.read(path, regular_file.LARGEST, follow=True)[:4]
    magic = int.from_bytes(content[:2], "little")
    old = content[2:] == _MAGIC_END and magic >= _FIRST_OF_PYTHON_2
    return (
        "does not load: it is compiled"
        + (" for Python 2" if old else "")
        + (", and its source (.py) is not there")
    )


def _source(path: str) -> str | None:
    try:
        return _told(python2_code.remains(regular_file.read(path, _LARGEST, follow=True)))
    except python2_code.Python2Code:
        return None  # which Trac finds out, and tells, when it loads the file


def _told(found: t.Sequence[python2_code.Found], inside: str = "") -> str | None:
    if not found:
        return None
    return (
        f"loads, but is written for Python 2, and fails where it comes to these: {inside}"
        f"{python2_code.shown(found)}"
    )


@functools.lru_cache(maxsize=None)  # the same shared directory for many environments
def _remains_in_egg(path: str, _changed: int, _size: int) -> str | None:
    try:
        sources = dict(_sources(path))
    except (zipfile.BadZipFile, NotImplementedError, EOFError, ValueError) as e:
        return f"does not load: it cannot be unpacked ({e})"
    own = python2_code.defined(sources.values())
    for name, source in sources.items():
        try:
            told = _told(python2_code.remains(source, own), f"{name} ")
        except python2_code.Python2Code as e:
            return f"is written for Python 2: {name}, {e}"
        if told:
            return told
    return None


def _sources(path: str) -> t.Iterator[tuple[str, bytes]]:
    """The names and contents of the Python files in an egg, packed or not."""
    if not os.path.isdir(path):
        with regular_file.opened(path, follow=True) as file, zipfile.ZipFile(file) as egg:
            members = [each for each in egg.infolist() if _is_source(each.filename)]
            for member in members[:_FILES]:
                if member.file_size <= _LARGEST:
                    with egg.open(member) as packed:
                        yield member.filename, packed.read(_LARGEST)
        return
    number = 0
    for directory, _directories, names in os.walk(path):
        for name in sorted(names):
            file_path = os.path.join(directory, name)
            inside = os.path.relpath(file_path, path)
            if _is_source(inside) and number < _FILES and os.path.getsize(file_path) <= _LARGEST:
                number += 1
                yield inside, regular_file.read(file_path, _LARGEST, follow=False)


def _is_source(name: str) -> bool:
    """Tests and what installs a plugin do not run in Trac."""
    parts = name.replace("\\", "/").split("/")
    return name.endswith(".py") and not {"tests", "test", "setup.py", "EGG-INFO"} & set(parts)
