# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lines of Apache's password files, and whether they are the ones of given passwords.

Hashes of bcrypt are made and verified by Apache's own htpasswd, which gets passwords through its
standard input. A whole file of them is recognized at once by its seal: a slow hash of all names,
passwords and lines. To try one password on the seal, somebody would have to know all others, and
it costs no less than to try it on its own line. Without a seal, each run would verify each hash,
which takes 0.9 seconds for 10 users and 17 for 300, instead of 0.1.
"""

from __future__ import annotations

import concurrent.futures
import hashlib
import hmac
import os
import re
import secrets
import shutil
import subprocess
import tempfile
import typing as t

BASIC, DIGEST = "basic", "digest"
COST = 10  # of bcrypt; 40 to 100 ms for each password

_HEAD = (
    "# Made by the Ansible module trac.mod_wsgi.apache_password_file; changes are overwritten.\n"
)
_SEAL = re.compile(r"# seal ([0-9a-f]{32}) ([0-9a-f]{64})\n")
# 16 MB of memory and the time of one hash of bcrypt.
_SCRYPT = {"n": 2**14, "r": 8, "p": 1, "dklen": 32}
_BCRYPT = re.compile(r"\$2y\$(\d\d)\$[./A-Za-z0-9]{53}\Z")
_BCRYPT_BYTES = 72
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_NO_NAME = re.compile(r"[\x00-\x1f\x7f:]")
_WORKERS = 4
_SECONDS = 60

Lines = t.List[str]


class PasswordFileError(Exception):
    """A password file that cannot be made, in words for the user."""


def refuse(passwords: t.Mapping[str, str], kind: str) -> None:
    """Raise PasswordFileError for what such a file cannot hold."""
    for name, password in passwords.items():
        if not name or name.startswith("#") or _NO_NAME.search(name):
            msg = f"{name!r} cannot be a name: no ':', no control character, no '#' in front."
            raise PasswordFileError(msg)
        size = len(password.encode("utf-8"))
        if _CONTROL.search(password) or not size or (kind == BASIC and size > _BCRYPT_BYTES):
            msg = (
                f"The password of {name!r} has {size} bytes; it has to be text of one line, for "
                f"HTTP Basic of at most {_BCRYPT_BYTES} bytes."
            )
            raise PasswordFileError(msg)


def digest_text(passwords: t.Mapping[str, str], realms: t.Sequence[str]) -> str:
    """The file for HTTP Digest: a line for each user and realm."""
    return _HEAD + "".join(
        f"{name}:{realm}:{_ha1(name, realm, password)}\n"
        for realm in sorted(realms)
        for name, password in sorted(passwords.items())
    )


def _ha1(name: str, realm: str, password: str) -> str:
    # What HTTP Digest prescribes (RFC 2617).
    text = f"{name}:{realm}:{password}".encode()
    return hashlib.md5(text, usedforsecurity=False).hexdigest()


def basic_lines(passwords: t.Mapping[str, str], text: str) -> Lines:
    """The lines for HTTP Basic: those of the file that fit, and new ones for the others."""
    there = entries(text)
    with concurrent.futures.ThreadPoolExecutor(max_workers=_WORKERS) as pool:
        names = sorted(passwords)
        hashes = pool.map(lambda name: _fitting(there.get(name, ""), passwords[name]), names)
        return [f"{name}:{value}\n" for name, value in zip(names, hashes)]


def entries(text: str) -> dict[str, str]:
    """What a file has behind the names. With HTTP Digest, the realm is a part of the name."""
    found = {}
    for line in text.splitlines():
        name, colon, value = line.rpartition(":")
        if colon and not line.startswith("#"):
            found[name] = value
    return found


def _fitting(value: str, password: str) -> str:
    """The hash that is there if it is one of the password, else a new one."""
    match = _BCRYPT.match(value)
    if match and int(match.group(1)) >= COST and _verified(value, password):
        return value
    return _hashed(password)


def _verified(value: str, password: str) -> bool:
    with tempfile.NamedTemporaryFile("w", encoding="ascii") as file:  # only its owner may read it
        file.write(f"user:{value}\n")
        file.flush()
        return _htpasswd(["-vi", file.name, "user"], password).returncode == 0


def _hashed(password: str) -> str:
    result = _htpasswd(["-niBC", str(COST), "user"], password)
    name, _colon, value = result.stdout.decode("ascii", "replace").strip().partition(":")
    if result.returncode != 0 or name != "user" or not _BCRYPT.match(value):
        msg = f"htpasswd made no hash (status {result.returncode})."
        raise PasswordFileError(msg)
    return value


def find_htpasswd() -> str | None:
    """The path of Apache's program for password files, or None where it is not installed."""
    return shutil.which("htpasswd", path=f"{os.environ.get('PATH', '')}:{os.defpath}")


def _htpasswd(options: t.Sequence[str], password: str) -> subprocess.CompletedProcess[bytes]:
    program = find_htpasswd()
    if program is None:
        msg = "htpasswd is not installed; Debian's package apache2-utils has it."
        raise PasswordFileError(msg)
    try:
        return subprocess.run(
            [program, *options],
            input=password.encode("utf-8") + b"\n",
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={"LC_ALL": "C"},
            timeout=_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as e:
        msg = f"{program} cannot be run: {e}"
        raise PasswordFileError(msg) from e


def sealed(lines: Lines, passwords: t.Mapping[str, str]) -> str:
    """The file for HTTP Basic, with these lines."""
    salt = secrets.token_hex(16)
    return f"{_HEAD}# seal {salt} {_seal(salt, lines, passwords)}\n{''.join(lines)}"


def is_sealed(text: str, passwords: t.Mapping[str, str]) -> bool:
    """Whether a file is one that was made for these names and passwords, to the last byte."""
    if not text.startswith(_HEAD):
        return False
    match = _SEAL.match(text, len(_HEAD))
    if not match:
        return False
    lines = text[match.end() :].splitlines(keepends=True)
    return hmac.compare_digest(match.group(2), _seal(match.group(1), lines, passwords))


def _seal(salt: str, lines: Lines, passwords: t.Mapping[str, str]) -> str:
    # Neither names nor passwords hold a line break.
    text = "".join(f"{name}\n{passwords[name]}\n" for name in sorted(passwords))
    known = hashlib.sha256("".join(lines).encode("utf-8")).digest()
    seal = hashlib.scrypt(
        text.encode("utf-8"), salt=bytes.fromhex(salt) + known, maxmem=64 * 2**20, **_SCRYPT
    )
    return seal.hex()
