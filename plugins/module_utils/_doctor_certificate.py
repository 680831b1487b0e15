# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks of the certificates that virtual hosts have."""

from __future__ import annotations

import datetime
import re
import ssl
import typing as t

from ansible_collections.trac.mod_wsgi.plugins.module_utils._doctor_result import (
    FAILED,
    OK,
    SKIPPED,
    WARNING,
    Result,
)

_PEM = re.compile(
    r"-----BEGIN (?:TRUSTED )?CERTIFICATE-----.*?-----END (?:TRUSTED )?CERTIFICATE-----", re.DOTALL
)
_UTC_TIME, _GENERALIZED_TIME, _SEQUENCE, _VERSION = 0x17, 0x18, 0x30, 0xA0
_BEFORE_VALIDITY = 3  # serial number, signature, issuer


class Unreadable(Exception):
    """A file is no certificate, in words."""


def _element(data: bytes, at: int) -> tuple[int, bytes, int]:
    """Tag and content of the DER element at a place, and where the next one is."""
    tag, length, at = data[at], data[at + 1], at + 2
    if length & 0x80:
        width = length & 0x7F
        length, at = int.from_bytes(data[at : at + width], "big"), at + width
    if at + length > len(data):
        raise Unreadable("it is cut off")
    return tag, data[at : at + length], at + length


def _time(tag: int, content: bytes) -> datetime.datetime:
    text = content.decode("ascii")
    if tag == _UTC_TIME:  # two digits of the year: 1950 to 2049
        text = ("19" if int(text[:2]) >= 50 else "20") + text
    elif tag != _GENERALIZED_TIME:
        raise Unreadable("its dates cannot be read")
    found = datetime.datetime.strptime(text, "%Y%m%d%H%M%SZ")
    return found.replace(tzinfo=datetime.timezone.utc)


def validity(der: bytes) -> tuple[datetime.datetime, datetime.datetime]:
    """From when to when a certificate is valid (RFC 5280, 4.1)."""
    try:
        content = _element(_element(der, 0)[1], 0)[1]
        at = 0
        if content[0] == _VERSION:
            at = _element(content, at)[2]
        for _step in range(_BEFORE_VALIDITY):
            at = _element(content, at)[2]
        tag, dates, _next = _element(content, at)
        if tag != _SEQUENCE:
            raise Unreadable("it is no certificate")
        first, first_date, at = _element(dates, 0)
        second, second_date, _next = _element(dates, at)
        return _time(first, first_date), _time(second, second_date)
    except (IndexError, ValueError) as e:
        raise Unreadable("it is no certificate") from e


def read(path: str) -> tuple[datetime.datetime, datetime.datetime]:
    """The validity of the first certificate of a file, the server's own."""
    try:
        with open(path, encoding="ascii", errors="replace") as file:
            match = _PEM.search(file.read(1 << 20))
    except OSError as e:
        raise Unreadable(f"it cannot be read: {e.strerror}") from e
    if match is None:
        raise Unreadable("it holds no certificate in PEM format")
    try:
        return validity(ssl.PEM_cert_to_DER_cert(match.group().replace("TRUSTED ", "")))
    except ValueError as e:
        raise Unreadable("it is no certificate") from e


def judge(
    path: str, first: datetime.datetime, last: datetime.datetime, days: int, now: datetime.datetime
) -> Result:
    """What there is to say about a certificate's dates."""
    name = "certificate"
    left = (last - now).days
    renew = "Renew it (with certbot: certbot renew), then: systemctl reload apache2"
    if now < first:
        return Result(
            name,
            FAILED,
            f"{path} is valid from {first:%Y-%m-%d} only.",
            "Browsers refuse the site.",
            "See whether the clock of this host is right; else use another certificate.",
        )
    if last <= now:
        return Result(
            name,
            FAILED,
            f"{path} has expired on {last:%Y-%m-%d}, {-left} days ago.",
            "Browsers refuse the site.",
            renew,
        )
    if left < days:
        return Result(
            name,
            WARNING,
            f"{path} expires on {last:%Y-%m-%d}, in {left} days.",
            "Browsers refuse the site from then on. What renews it has not done so.",
            renew,
        )
    return Result(name, OK, f"{path}: {left} days left")


def check(
    paths: t.Iterable[str], days: int, now: datetime.datetime | None = None
) -> t.Iterator[Result]:
    now = now or datetime.datetime.now(datetime.timezone.utc)
    paths = list(dict.fromkeys(paths))
    if not paths:
        yield Result("certificate", SKIPPED, "Not applicable: no virtual host has a certificate.")
    for path in paths:
        try:
            first, last = read(path)
        except Unreadable as e:
            yield Result(
                "certificate",
                FAILED,
                f"{path}: {e}.",
                "Apache does not start with it.",
                "Put the certificate there, or correct SSLCertificateFile.",
            )
        else:
            yield judge(path, first, last, days, now)
