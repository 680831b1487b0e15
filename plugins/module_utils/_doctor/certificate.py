# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks of the certificates that virtual hosts have."""

from __future__ import annotations

import datetime
import json
import os
import typing as t

from ansible_collections.trac.mod_wsgi.plugins.module_utils._apache import (
    apache_configuration,
    x509,
)
from ansible_collections.trac.mod_wsgi.plugins.module_utils._core import regular_file
from ansible_collections.trac.mod_wsgi.plugins.module_utils._doctor.host import Host
from ansible_collections.trac.mod_wsgi.plugins.module_utils._doctor.registry import APACHE, check
from ansible_collections.trac.mod_wsgi.plugins.module_utils._doctor.result import (
    FAILED,
    OK,
    SKIPPED,
    WARNING,
    Result,
)


def read(path: str) -> tuple[datetime.datetime, datetime.datetime]:
    """The validity of the first certificate of a file, the server's own."""
    found = x509.from_pem(x509.read(path))[0]
    return found.first, found.last


def judge_dates(
    path: str, first: datetime.datetime, last: datetime.datetime, days: int, now: datetime.datetime
) -> Result:
    """Judge a certificate by its dates."""
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


def configured(configuration: apache_configuration.Configuration, server_root: str) -> list[str]:
    """The files of certificates that the configuration names."""
    return [
        os.path.join(server_root, each.arguments[0])
        for each in configuration.all("SSLCertificateFile")
        if each.arguments
    ]


def managed(configuration: apache_configuration.Configuration, server_root: str) -> dict[str, str]:
    """The host names whose certificates mod_md gets, each with mod_md's directory."""
    names = [each.arguments[0] for each in configuration.all("MDomain") if each.arguments]
    for each in configuration.directives:
        names += [
            apache_configuration.words(rest)[0]
            for name, rest in each.sections
            if name == "mdomainset" and rest
        ]
    store = os.path.join(server_root, configuration.last("MDStoreDir") or "md")
    return dict.fromkeys(names, store)


def _managed_path(name: str, store: str) -> str:
    return os.path.join(store, "domains", name, "pubcert.pem")


def _why_missing(name: str, store: str) -> str:
    """The error of mod_md's last attempt; empty if there is none."""
    try:
        # Apache's account may write there, so links are not followed.
        path = os.path.join(store, "staging", name, "job.json")
        text = regular_file.read(path, 1 << 20, follow=False)
        return str(json.loads(text)["last"]["detail"])
    except (OSError, ValueError, KeyError, TypeError):
        return ""


def check_managed(hosts: t.Mapping[str, str]) -> t.Iterator[Result]:
    """Host names that mod_md has no certificate for."""
    for name, store in hosts.items():
        if not os.path.exists(_managed_path(name, store)):
            why = _why_missing(name, store)
            yield Result(
                "certificate",
                FAILED,
                f"mod_md has no certificate for {name}" + (f": {why}" if why else "."),
                "Apache answers with 503, and with a certificate that no browser trusts.",
                "The authority has to reach this host at port 80 under that name. See the error "
                "log; once the certificate has come: systemctl reload apache2",
            )


@check("certificate", "The certificates are valid", APACHE)
def certificate(host: Host) -> t.Iterator[Result]:
    return judge(
        configured(host.configuration, host.server_root),
        host.params["certificate_days"],
        hosts=managed(host.configuration, host.server_root),
    )


def judge(
    paths: t.Iterable[str],
    days: int,
    now: datetime.datetime | None = None,
    hosts: t.Mapping[str, str] | None = None,
) -> t.Iterator[Result]:
    """The certificates in files, and those that mod_md gets for host names."""
    now = now or datetime.datetime.now(datetime.timezone.utc)
    hosts = hosts or {}
    yield from check_managed(hosts)
    kept = [_managed_path(name, store) for name, store in hosts.items()]
    paths = list(dict.fromkeys([*paths, *filter(os.path.exists, kept)]))
    if not paths and not hosts:
        yield Result("certificate", SKIPPED, "Not applicable: no virtual host has a certificate.")
    for path in paths:
        try:
            first, last = read(path)
        except x509.Unreadable as e:
            yield Result(
                "certificate",
                FAILED,
                f"{path}: {e}.",
                "Apache does not start with it.",
                "Put the certificate there, or correct SSLCertificateFile.",
            )
        else:
            yield judge_dates(path, first, last, days, now)
