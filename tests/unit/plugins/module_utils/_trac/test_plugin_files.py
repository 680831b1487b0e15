# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files of plugins that Trac passes over, or loads although they are for Python 2."""

from __future__ import annotations

import os
import pathlib
import sys
import typing as t
import zipfile

import pytest

from ansible_collections.trac.mod_wsgi.plugins.module_utils._trac import plugin_files

PYTHON = f"{sys.version_info[0]}.{sys.version_info[1]}"
OLD_PYC = b"\x03\xf3\r\n" + bytes(40)  # of Python 2.7


def egg(files: dict[str, str]) -> t.Callable[[pathlib.Path], None]:
    def write(path: pathlib.Path) -> None:
        with zipfile.ZipFile(path, "w") as packed:
            for name, text in files.items():
                packed.writestr(name, text)

    return write


def directory(files: dict[str, str]) -> t.Callable[[pathlib.Path], None]:
    def write(path: pathlib.Path) -> None:
        for name, text in files.items():
            (path / name).parent.mkdir(parents=True, exist_ok=True)
            (path / name).write_text(text)

    return write


def content(data: bytes) -> t.Callable[[pathlib.Path], None]:
    return lambda path: t.cast("None", path.write_bytes(data))


CASES: dict[str, tuple[t.Callable[[pathlib.Path], None], str]] = {
    "Old-0.3-py2.7.egg": (egg({}), f"does not load: it is for Python 2.7, and this is {PYTHON}"),
    "Old-1-py2.6-linux-x86_64.egg": (directory({"a.py": ""}), "it is for Python 2.6"),
    "Plain-1.egg": (egg({"p/a.py": "print 'x'"}), "is written for Python 2: p/a.py, line 1"),
    "Other-1.egg": (
        directory({"p/b.py": "x = 1\nd.has_key(1)"}),
        "fails where it comes to these: p/b.py line 2 calls .has_key()",
    ),
    "Broken-1.egg": (content(b"PK no more"), "does not load: it cannot be unpacked"),
    "Gone.egg-link": (content(b"/nowhere/at/all\n.\n"), "it leads to /nowhere/at/all, where"),
    "Empty.egg-link": (content(b""), "it leads to nothing"),
    "old.pyc": (content(OLD_PYC), "it is compiled for Python 2, and its source (.py) is not there"),
    "new.pyc": (content(b"\xa7\r\r\n" + bytes(40)), "does not load: it is compiled, and its"),
    "late.py": (content(b"def f(d):\n    return d.iteritems()"), "line 2 calls .iteritems()"),
    "pipe.py": (os.mkfifo, "cannot be read: this is a named pipe, not a file"),
}


@pytest.mark.parametrize("name", CASES)
def test_what_does_not_work_is_named(tmp_path: pathlib.Path, name: str) -> None:
    write, words = CASES[name]
    write(tmp_path / name)
    ((found, seen, remedy),) = plugin_files.findings(str(tmp_path))
    assert found == name
    assert f"the plugin {tmp_path / name} " in seen
    assert words in seen
    assert "trac_runtime_plugins" in remedy


FINE: dict[str, t.Callable[[pathlib.Path], None]] = {
    f"Ours-1-py{PYTHON}.egg": egg({"p/a.py": "x = 1", "p/tests/t.py": "print 'x'", "p/x.txt": "'"}),
    "Ours-2.egg": egg({"a.py": "class C:\n    def iteritems(self): pass", "b.py": "c.iteritems()"}),
    "hello.py": content(b"x = 1\n"),
    "not_parsed.py": content(b"print 'x'\n"),  # Trac tells this itself
    "readme.txt": content(b"print 'x'\n"),
}


@pytest.mark.parametrize("name", FINE)
def test_what_works_is_not_named(tmp_path: pathlib.Path, name: str) -> None:
    FINE[name](tmp_path / name)
    assert list(plugin_files.findings(str(tmp_path))) == []


def test_links_and_compiled_files_that_are_in_order(tmp_path: pathlib.Path) -> None:
    (tmp_path / "Ours.egg-link").write_text(f"{tmp_path}\n.\n")
    (tmp_path / "hello.py").write_text("x = 1\n")
    (tmp_path / "hello.pyc").write_bytes(OLD_PYC)
    assert list(plugin_files.findings(str(tmp_path))) == []
    assert list(plugin_files.findings(str(tmp_path / "gone"))) == []
