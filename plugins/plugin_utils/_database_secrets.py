# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Passwords of database logins in the forms that servers keep.

Servers are only ever given these forms: a password in a statement could end up in a server's log.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
import secrets
import stringprep
import unicodedata

_ITERATIONS = 4096  # PostgreSQL's own number
_SCRAM = re.compile(r"SCRAM-SHA-256\$(\d+):([^$]+)\$([^:]+):(.+)\Z")

_PROHIBITED = (
    stringprep.in_table_c12,
    stringprep.in_table_c21_c22,
    stringprep.in_table_c3,
    stringprep.in_table_c4,
    stringprep.in_table_c5,
    stringprep.in_table_c6,
    stringprep.in_table_c7,
    stringprep.in_table_c8,
    stringprep.in_table_c9,
    stringprep.in_table_a1,
)


def new_password() -> str:
    """A password that nobody has to type: 256 random bits in letters, digits, - and _."""
    return secrets.token_urlsafe(32)


def saslprep(password: str) -> str:
    """The password as PostgreSQL's clients use it for SCRAM (RFC 4013).

    As PostgreSQL does, a password that the rules do not allow is used as it is.
    """
    if password.isascii():
        return password
    mapped = "".join(
        " " if stringprep.in_table_c12(char) else char
        for char in password
        if not stringprep.in_table_b1(char)
    )
    normal = unicodedata.ucd_3_2_0.normalize("NFKC", mapped)
    right_to_left = [stringprep.in_table_d1(char) for char in normal]
    if (
        not normal
        or any(test(char) for char in normal for test in _PROHIBITED)
        or (
            any(right_to_left)
            and (
                not (right_to_left[0] and right_to_left[-1])
                or any(map(stringprep.in_table_d2, normal))
            )
        )
    ):
        return password
    return normal


def _scram_keys(password: str, salt: bytes, iterations: int) -> tuple[bytes, bytes]:
    salted = hashlib.pbkdf2_hmac("sha256", saslprep(password).encode("utf-8"), salt, iterations)
    client = hmac.new(salted, b"Client Key", hashlib.sha256).digest()
    server = hmac.new(salted, b"Server Key", hashlib.sha256).digest()
    return hashlib.sha256(client).digest(), server


def scram_verifier(password: str) -> str:
    """What PostgreSQL keeps of a password, with a new salt."""
    salt = secrets.token_bytes(16)
    stored, server = (
        base64.b64encode(key).decode() for key in _scram_keys(password, salt, _ITERATIONS)
    )
    return f"SCRAM-SHA-256${_ITERATIONS}:{base64.b64encode(salt).decode()}${stored}:{server}"


def scram_matches(password: str, verifier: str | None) -> bool:
    """Whether this is the password that PostgreSQL has, in the form that is wanted."""
    found = _SCRAM.match(verifier or "")
    if not found:
        return False
    try:
        salt, stored = base64.b64decode(found.group(2)), base64.b64decode(found.group(3))
    except binascii.Error:
        return False
    return hmac.compare_digest(_scram_keys(password, salt, int(found.group(1)))[0], stored)


def native_hash(password: str) -> str:
    """What MariaDB keeps of a password (mysql_native_password, which PyMySQL speaks).

    PyMySQL sends passwords as Latin-1, so other characters are not possible.
    """
    inner = hashlib.sha1(password.encode("latin-1")).digest()  # noqa: S324 (the server's format)
    return "*" + hashlib.sha1(inner).hexdigest().upper()  # noqa: S324
