# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Trac's connection strings, quoted so that Trac reads back what went in.

``trac.db.api.parse_connection_uri`` cuts at the first ``/``, ``@``, ``:``, ``?`` and ``&`` that it
finds and removes percent signs from login, password and parameters only. Those are quoted without
exception; what is read as it stands (host, port and path) may hold none of these characters.
"""

from __future__ import annotations

import ipaddress
import re
import typing as t
from urllib.parse import quote

SCHEMES = ("postgres", "mysql")

# What is not unquoted by Trac. Hosts with colons (IPv6) go elsewhere, see below.
_VERBATIM = re.compile(r"[A-Za-z0-9._-]+\Z")


class UrlError(ValueError):
    """The values cannot be put into a connection string."""


def _is_ipv6(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).version == 6
    except ValueError:
        return False


def _verbatim(what: str, value: str) -> str:
    if not _VERBATIM.match(value):
        raise UrlError(f"The {what} {value!r} cannot stand in a connection string of Trac.")
    return value


def database_url(
    scheme: str,
    *,
    login: str,
    password: str,
    database: str,
    host: str = "",
    port: int | None = None,
    parameters: t.Mapping[str, str] | None = None,
) -> str:
    """The connection string.

    Without a host, ``parameters`` have to say where the server is: ``host``, the directory of the
    socket, for PostgreSQL, and ``unix_socket`` for MySQL.
    """
    if scheme not in SCHEMES:
        raise UrlError(f"The scheme {scheme!r} is none of {', '.join(SCHEMES)}.")
    if not login or not password:
        raise UrlError("A connection string needs a login and a password.")
    wanted = dict(parameters or {})
    if host and _is_ipv6(host):
        # Trac takes what follows the first colon for the port; PostgreSQL has a parameter.
        if scheme != "postgres":
            raise UrlError(
                f"Trac cannot reach a MySQL server by the address {host}; use the server's name."
            )
        wanted["host"], host = host, ""
    place = _verbatim("host", host) if host else ""
    if port is not None:
        place += f":{int(port)}"
    url = f"{scheme}://{quote(login, safe='')}:{quote(password, safe='')}@{place}/"
    url += _verbatim("database", database)
    query = "&".join(
        f"{_verbatim('parameter', name)}={quote(value, safe='/')}" for name, value in wanted.items()
    )
    return f"{url}?{query}" if query else url
