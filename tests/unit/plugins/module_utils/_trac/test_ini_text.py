# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bytes of old files, and the text that they stand for."""

from __future__ import annotations

import codecs

import pytest

from ansible_collections.trac.mod_wsgi.plugins.module_utils._trac.ini_edit import IniError
from ansible_collections.trac.mod_wsgi.plugins.module_utils._trac.ini_text import (
    decode,
    encoding_problem,
)

TEXT = "[project]\nname = Müller\ndescr = 5 €\n"


@pytest.mark.parametrize(
    ("content", "encoding", "words"),
    [
        (codecs.BOM_UTF8 + TEXT.encode(), None, "begins with a byte order mark (BOM, "),
        (TEXT.encode("utf-16"), "cp1252", "is UTF-16"),
        (TEXT.encode("cp1252"), None, "line 2 is not UTF-8 (byte 0xFC)"),
        (TEXT.encode("cp1252"), "utf-8", "line 2 is not UTF-8 (byte 0xFC)"),
        (b"[a]\r\nb = \x81\r\n", "cp1252", "line 2 is neither UTF-8 nor cp1252 (byte 0x81)"),
        (TEXT.encode("cp1252"), "latin-1", "line 3 holds control characters"),
        (b"[a]\nb = c\0d\n", "cp1252", "line 2 holds a NUL character"),
    ],
)
def test_what_is_no_text_is_named(content: bytes, encoding: str | None, words: str) -> None:
    with pytest.raises(IniError) as failure:
        decode(content, encoding)
    assert words in str(failure.value)


@pytest.mark.parametrize(
    ("content", "encoding", "mended"),
    [
        (TEXT.encode(), None, None),
        (TEXT.encode(), "cp1252", None),
        (codecs.BOM_UTF8 + TEXT.encode(), "utf-8", "the byte order mark"),
        (codecs.BOM_UTF8 * 2 + TEXT.encode(), "cp1251", "the byte order mark"),
        (TEXT.encode("cp1252"), "cp1252", "lines in cp1252"),
        (TEXT.encode("iso8859-15"), "iso8859-15", "lines in iso8859-15"),
        # Somebody else has edited one line with another editor.
        (
            TEXT.encode("cp1252").replace("Müller".encode("cp1252"), "Müller".encode()),
            "cp1252",
            "lines in cp1252",
        ),
        (
            codecs.BOM_UTF8 + TEXT.encode("cp1252"),
            "cp1252",
            "the byte order mark and lines in cp1252",
        ),
    ],
)
def test_what_was_asked_for_is_mended(
    content: bytes, encoding: str | None, mended: str | None
) -> None:
    assert decode(content, encoding) == (TEXT, mended)


def test_other_alphabets() -> None:
    text = "[project]\nname = Привет\n"
    assert decode(text.encode("koi8-r"), "koi8-r").text == text
    assert decode(text.encode("cp1251"), "cp1251").text == text


@pytest.mark.parametrize("name", ["cp1252", "Latin-1", "utf-8", "koi8_r", "shift_jis"])
def test_encodings(name: str) -> None:
    assert encoding_problem(name) is None


@pytest.mark.parametrize("name", ["utf-16", "klingon", "base64", "rot13", "", "cp037", "idna", 5])
def test_no_encodings(name: object) -> None:
    problem = encoding_problem(name)
    assert problem is not None
    assert "adopt_encoding is" in problem
