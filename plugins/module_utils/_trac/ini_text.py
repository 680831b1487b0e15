# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The text of a trac.ini, out of its bytes.

Trac for Python 2 took what was not UTF-8 for Latin-1, so that files of old sites may hold lines of
both kinds, as several people have edited them. Trac for Python 3 reads UTF-8 without a byte order
mark and nothing else. Nothing is guessed: another encoding is one that somebody has named.
"""

from __future__ import annotations

import codecs
import re
import typing as t

from ansible_collections.trac.mod_wsgi.plugins.module_utils._trac.ini_edit import IniError

# The inventory's key for an encoding that is to be mended.
KEY = "adopt_encoding"
_ASCII = "".join(map(chr, range(128)))
_CONTROL = re.compile("[\x80-\x9f]")
_WIDE = {codecs.BOM_UTF16_LE: "FF FE", codecs.BOM_UTF16_BE: "FE FF"}
_ASK = (
    f"save it as UTF-8 (by iconv, say), or have that done, the original kept beside it: {KEY}: "
    "cp1252, or whichever encoding it was written in"
)


class Text(t.NamedTuple):
    """What a file holds, and what had to be mended for that."""

    text: str
    mended: str | None = None


def encoding_problem(name: object) -> str | None:
    """Why this is no encoding that a trac.ini of Trac for Python 2 can have been written in."""
    try:
        if codecs.lookup(str(name)).encode(_ASCII)[0] == _ASCII.encode():
            return None
    # Also of codecs that take no text, or give none.
    except (LookupError, ValueError, TypeError, AttributeError):
        pass
    return (
        f"{KEY} is {name!r}; it has to be an encoding that Python knows and that holds ASCII as it "
        "is, such as cp1252, iso8859-15, cp1251, koi8-r, or utf-8 for taking a byte order mark away"
    )


def decode(content: bytes, encoding: str | None = None) -> Text:
    """The text; IniError, with the line and the remedy, where it is none.

    :param encoding: what lines that are not UTF-8 are to be read as; a byte order mark is taken
        away then, too
    """
    if content[:2] in _WIDE:
        raise IniError(
            f"is UTF-16 (it begins with the bytes {_WIDE[content[:2]]}); save it as UTF-8, which "
            "Trac has always wanted"
        )
    mended = []
    if content.startswith(codecs.BOM_UTF8):
        if encoding is None:
            raise IniError(
                "begins with a byte order mark (BOM, the bytes EF BB BF), with which Trac cannot "
                "read it; save it as UTF-8 without BOM, or have that done, the original kept "
                f"beside it: {KEY}: utf-8"
            )
        mended.append("the byte order mark")
        while content.startswith(codecs.BOM_UTF8):
            content = content[len(codecs.BOM_UTF8) :]
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as e:
        if encoding is None or _is_utf_8(encoding):
            line = content.count(b"\n", 0, e.start) + 1
            raise IniError(
                f"line {line} is not UTF-8 (byte 0x{content[e.start]:02X}); {_ASK}"
            ) from None
        text = "".join(_lines(content, encoding))
        mended.append(f"lines in {encoding}")
    at = text.find("\0")
    if at >= 0:  # what a power cut leaves where data were not written yet
        line = text.count("\n", 0, at) + 1
        raise IniError(
            f"line {line} holds a NUL character, as a power cut leaves it; get the file back from "
            "a copy, or take the character away"
        )
    return Text(text, " and ".join(mended) or None)


def sentence(path: str, error: IniError) -> str:
    """What is wrong, with the file's name in front."""
    words = str(error)
    return f"{path} {words}" if words.startswith(("is ", "begins ")) else f"{path}: {words}"


def _is_utf_8(encoding: str) -> bool:
    return codecs.lookup(encoding).name in ("utf-8", "utf-8-sig")


def _lines(content: bytes, encoding: str) -> t.Iterator[str]:
    """Each line as UTF-8 if it is that, or else as in the encoding."""
    for number, line in enumerate(content.splitlines(keepends=True), 1):
        try:
            yield line.decode("utf-8")
            continue
        except UnicodeDecodeError:
            pass
        try:
            text = line.decode(encoding)
        except UnicodeDecodeError as e:
            raise IniError(
                f"line {number} is neither UTF-8 nor {encoding} (byte 0x{line[e.start]:02X}), "
                f"which {KEY} names"
            ) from None
        if _CONTROL.search(text):
            raise IniError(
                f"line {number} holds control characters when it is read as {encoding}, which "
                f"{KEY} names; perhaps it is cp1252"
            )
        yield text
