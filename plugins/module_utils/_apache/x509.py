# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an X.509 certificate says about itself (RFC 5280), read with Python's own means.

Managed hosts have no library for that, and a server's certificate that no authority vouches for is
shown by Python's C(ssl) as bytes only. All users of this run on the managed host: the controller,
which could have community.crypto's filters, never reads a certificate.
"""

from __future__ import annotations

import dataclasses
import datetime
import hashlib
import ipaddress
import re
import ssl

from ansible_collections.trac.mod_wsgi.plugins.module_utils._core import regular_file

_PEM = re.compile(
    r"-----BEGIN (?:TRUSTED )?CERTIFICATE-----.*?-----END (?:TRUSTED )?CERTIFICATE-----", re.DOTALL
)
_UTC_TIME, _GENERALIZED_TIME, _SEQUENCE = 0x17, 0x18, 0x30
_VERSION, _EXTENSIONS = 0xA0, 0xA3
_DNS_NAME, _URI, _ADDRESS = 0x82, 0x86, 0x87
_UTF8, _BMP = 0x0C, 0x1E
_COMMON_NAME = b"\x55\x04\x03"
_ALTERNATIVE_NAMES = b"\x55\x1d\x11"
_INFORMATION_ACCESS = b"\x2b\x06\x01\x05\x05\x07\x01\x01"
_OCSP = b"\x2b\x06\x01\x05\x05\x07\x30\x01"


class Unreadable(Exception):
    """Something is no certificate, in words."""


@dataclasses.dataclass(frozen=True)
class Certificate:
    """A certificate; C(subject) and C(issuer) are common names, or what there is instead."""

    subject: str
    issuer: str
    names: tuple[str, ...]
    first: datetime.datetime
    last: datetime.datetime
    responder: str  # the address of its OCSP responder, often empty
    fingerprint: str  # SHA-256, hexadecimal
    is_self_signed: bool
    issuer_der: bytes = b""
    subject_der: bytes = b""

    def fits(self, host: str) -> bool:
        """Whether a browser takes it for a host (RFC 6125: one wildcard, one label)."""
        host = host.lower().rstrip(".")
        return any(
            host == name or (name.startswith("*.") and host.partition(".")[2] == name[2:] != "")
            for name in self.names
        )

    def __str__(self) -> str:
        by = "self-signed" if self.is_self_signed else f"issued by {self.issuer}"
        names = ", ".join(self.names) or self.subject
        return f"{names} ({by}, valid until {self.last:%Y-%m-%d})"


def _element(data: bytes, at: int) -> tuple[int, bytes, int]:
    """Tag and content of the DER element at a place, and where the next one is."""
    tag, length, at = data[at], data[at + 1], at + 2
    if length & 0x80:
        width = length & 0x7F
        length, at = int.from_bytes(data[at : at + width], "big"), at + width
    if at + length > len(data):
        raise Unreadable("it is cut off")
    return tag, data[at : at + length], at + length


def _elements(data: bytes) -> list[tuple[int, bytes]]:
    found, at = [], 0
    while at < len(data):
        tag, content, at = _element(data, at)
        found.append((tag, content))
    return found


def _time(tag: int, content: bytes) -> datetime.datetime:
    text = content.decode("ascii")
    if tag == _UTC_TIME:  # two digits of the year: 1950 to 2049
        text = ("19" if int(text[:2]) >= 50 else "20") + text
    elif tag != _GENERALIZED_TIME:
        raise Unreadable("its dates cannot be read")
    found = datetime.datetime.strptime(text, "%Y%m%d%H%M%SZ")
    return found.replace(tzinfo=datetime.timezone.utc)


def _common_name(name: bytes) -> str:
    """The common name of a distinguished name, or else its last part."""
    shown = ""
    for _tag, part in _elements(name):
        for _tag, pair in _elements(part):
            (_tag, kind), (tag, value) = _elements(pair)[:2]
            encoding = {_UTF8: "utf-8", _BMP: "utf-16-be"}.get(tag, "latin-1")
            shown = value.decode(encoding, "replace")
            if kind == _COMMON_NAME:
                return shown
    return shown


def _extensions(content: bytes) -> dict[bytes, bytes]:
    """The extensions by their object identifiers."""
    found = {}
    for _tag, extension in _elements(_element(content, 0)[1]):
        parts = _elements(extension)
        found[parts[0][1]] = parts[-1][1]
    return found


def _names(extension: bytes) -> tuple[str, ...]:
    names = []
    for tag, value in _elements(_element(extension, 0)[1]):
        if tag == _DNS_NAME:
            names.append(value.decode("ascii", "replace").lower())
        elif tag == _ADDRESS:
            names.append(str(ipaddress.ip_address(value)))
    return tuple(names)


def _responder(extension: bytes) -> str:
    for _tag, access in _elements(_element(extension, 0)[1]):
        (_tag, method), (tag, place) = _elements(access)[:2]
        if method == _OCSP and tag == _URI:
            return place.decode("ascii", "replace")
    return ""


def from_der(der: bytes) -> Certificate:
    """Read a certificate."""
    try:
        parts = _elements(_element(_element(der, 0)[1], 0)[1])
        if parts[0][0] == _VERSION:
            del parts[0]
        # Serial number and signature stand in front.
        (_tag, issuer), (kind, dates), (_tag, subject) = parts[2:5]
        if kind != _SEQUENCE:
            raise Unreadable("it is no certificate")
        extensions = next((_extensions(value) for tag, value in parts if tag == _EXTENSIONS), {})
        first, last = (_time(*each) for each in _elements(dates)[:2])
        return Certificate(
            subject=_common_name(subject),
            issuer=_common_name(issuer),
            names=_names(extensions.get(_ALTERNATIVE_NAMES, b"\x30\x00")),
            first=first,
            last=last,
            responder=_responder(extensions.get(_INFORMATION_ACCESS, b"\x30\x00")),
            fingerprint=hashlib.sha256(der).hexdigest(),
            is_self_signed=issuer == subject,
            issuer_der=issuer,
            subject_der=subject,
        )
    except (IndexError, ValueError) as e:
        raise Unreadable("it is no certificate") from e


def from_pem(text: str) -> list[Certificate]:
    """The certificates of a text, the server's own first."""
    found = []
    for match in _PEM.finditer(text):
        try:
            found.append(from_der(ssl.PEM_cert_to_DER_cert(match.group().replace("TRUSTED ", ""))))
        except ValueError as e:
            raise Unreadable("it is no certificate") from e
    if not found:
        raise Unreadable("it holds no certificate in PEM format")
    return found


def read(path: str) -> str:
    """The text of a file of certificates or keys."""
    try:
        with regular_file.opened(path, follow=True) as file:
            return file.read(1 << 20).decode("ascii", "replace")
    except OSError as e:
        raise Unreadable(f"it cannot be read: {e.strerror}") from e


def state(certificate: Certificate, now: datetime.datetime | None = None) -> str:
    """Why browsers refuse it because of its dates, in words; empty when they do not."""
    now = now or datetime.datetime.now(datetime.timezone.utc)
    if now < certificate.first:
        return f"is valid from {certificate.first:%Y-%m-%d} only"
    if certificate.last <= now:
        days = (now - certificate.last).days
        return f"has expired on {certificate.last:%Y-%m-%d}, {days} days ago"
    return ""
