# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks of the certificates that virtual hosts have."""

from __future__ import annotations

import datetime
import typing as t

from ansible_collections.trac.mod_wsgi.plugins.module_utils import _certificate
from ansible_collections.trac.mod_wsgi.plugins.module_utils._doctor_result import (
    FAILED,
    OK,
    SKIPPED,
    WARNING,
    Result,
)


def read(path: str) -> tuple[datetime.datetime, datetime.datetime]:
    """The validity of the first certificate of a file, the server's own."""
    found = _certificate.from_pem(_certificate.read(path))[0]
    return found.first, found.last


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
        except _certificate.Unreadable as e:
            yield Result(
                "certificate",
                FAILED,
                f"{path}: {e}.",
                "Apache does not start with it.",
                "Put the certificate there, or correct SSLCertificateFile.",
            )
        else:
            yield judge(path, first, last, days, now)
