# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What keeps sites out of trouble: headers, sizes and rates of requests, robots."""

from __future__ import annotations

import re
import typing as t

from ansible_collections.trac.mod_wsgi.plugins.module_utils._core import arguments

Dict = t.Dict[str, t.Any]
Problems = t.List[str]

# What Trac 1.6's own pages work with. They have scripts and styles in them; the texts of other
# languages than English come with a function made from text (js/babel.js); wiki pages may show
# pictures from anywhere.
_POLICY = "; ".join(
    (
        "default-src 'self'",
        "script-src 'self' 'unsafe-inline' 'unsafe-eval'",
        "style-src 'self' 'unsafe-inline'",
        "img-src * data:",
        "object-src 'none'",
        "base-uri 'self'",
        "form-action 'self'",
        "frame-ancestors 'self'",
    )
)
HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "SAMEORIGIN",
    "Referrer-Policy": "same-origin",
    "Content-Security-Policy": _POLICY,
}

# Requests a minute from one address, for pages that are dear or can be guessed at.
RATES = {"login": 60, "search": 120}
# mod_qos counts in 16 bits: one more would be less than nothing, and everybody be refused.
_MOST_RATE = 32766
_NEVER = 32767

# Paths at which modules show, or change, the state of the whole server.
_OF_SERVER = (
    *("server-status", "server-info", "ldap-status", "balancer-manager", "md-status", "qos"),
    ".httpd",
)

# Trac's options that say how much a visitor may send in one request, and their defaults. A text
# counts in characters, of which a form makes up to 12 bytes (%F0%9F%98%80).
_ATTACHMENT = ("attachment", "max_size")
_WIKI = ("wiki", "max_size")
_DESCRIPTION = ("ticket", "max_description_size")
_COMMENT = ("ticket", "max_comment_size")
_TRAC_SIZE = 262144
_BYTES_OF_CHARACTER = 12
# For the other fields of a form.
_ROOM = 1048576
# Apache reads no larger number.
_MOST_BYTES = 2**63 - 1

# Fewer than HTTP allows: a name may not mean something to Apache.
_HEADER_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*\Z")
_PATH = re.compile(r"/[A-Za-z0-9._/+@-]+\Z")
_HEADER_VALUE = re.compile(r"([!-~]([ -~]*[!-~])?)?\Z")

# Pages that are made anew for each visitor, and each in many ways.
_NOT_FOR_ROBOTS = (
    *("query", "timeline", "search", "log", "changeset", "export", "login"),
    *("raw-attachment", "zip-attachment"),
    *(f"*?*{argument}=" for argument in ("action", "annotate", "format", "rev", "sort", "version")),
)


def header_problems(headers: object) -> Problems:
    """Problems of `trac_site_security_headers`."""
    variable = "trac_site_security_headers"
    if not isinstance(headers, t.Mapping):
        return [f"{variable} is {headers!r}; it has to be a dictionary of headers."]
    problems: Problems = []
    for name, value in headers.items():
        if not isinstance(name, str) or not _HEADER_NAME.match(name):
            problems.append(
                f"{variable} has the key {name!r}; allowed are letters, digits, '_' and '-'."
            )
        elif not isinstance(value, str) or not _HEADER_VALUE.match(value):
            problems.append(
                f"{variable}[{name!r}] is {arguments.shown(value)}; allowed are texts of one line "
                'in ASCII, without blanks at the ends, and "" for a header that is not sent.'
            )
        elif value.startswith("expr="):
            problems.append(
                f"{variable}[{name!r}] is {value!r}; Apache would take it for an expression."
            )
        elif "${" in value:
            problems.append(f"{variable}[{name!r}] is {value!r}; it cannot hold '${{'.")
    return problems


def rate_problems(rates: object) -> Problems:
    """Problems of `trac_site_rate_limits`."""
    variable = "trac_site_rate_limits"
    if not isinstance(rates, t.Mapping):
        return [f"{variable} is {rates!r}; it has to be a dictionary."]
    known = ", ".join(RATES)
    problems = [
        f"{variable} has the unknown key {key!r}; known are {known}."
        for key in rates
        if key not in RATES
    ]
    problems += [
        f"{variable}[{key!r}] is {arguments.shown(value)}; allowed are 0 (no limit) to "
        f"{_MOST_RATE} requests a minute."
        for key, value in rates.items()
        if key in RATES and not (_is_number(value) and 0 <= int(value) <= _MOST_RATE)
    ]
    return problems


def writable_problems(paths: object) -> Problems:
    """Problems of `trac_site_writable_paths`."""
    variable = "trac_site_writable_paths"
    if not isinstance(paths, (list, tuple)):
        return [f"{variable} is {paths!r}; it has to be a list of paths."]
    return [
        f"{variable} holds {path!r}; allowed are absolute paths of letters, digits and . _ - + @."
        for path in paths
        if not isinstance(path, str) or not _PATH.match(path) or ".." in path.split("/")
    ]


def size_problems(where: str, site: t.Mapping[str, t.Any]) -> Problems:
    """Problems of a site's `limit_request_body`."""
    value = site.get("limit_request_body")
    if value is None or (_is_number(value) and 0 <= int(value) <= _MOST_BYTES):
        return []
    return [
        (
            f"{where}.limit_request_body is {value!r}; it has to be a number of bytes, 0 for no "
            f"limit, to {_MOST_BYTES}."
        )
    ]


def _is_number(value: object) -> bool:
    if isinstance(value, int):
        return not isinstance(value, bool) and 0 <= value < 10**19
    return bool(re.match(r"[0-9]{1,19}\Z", str(value)))


def sent_headers(given: t.Mapping[str, str], forms_lead_elsewhere: bool = False) -> list[Dict]:
    """The headers to send, with the values as mod_headers wants them; names know no case.

    Browsers hold the policy for forms against redirects, too, by which they are answered.
    """
    wanted = dict(HEADERS)
    if forms_lead_elsewhere:
        wanted["Content-Security-Policy"] = _POLICY.replace("; form-action 'self'", "")
    names = {name.lower(): name for name in wanted}
    for name, value in given.items():
        wanted[names.setdefault(name.lower(), name)] = value
    return [
        {"name": name, "value": value.replace("%", "%%")} for name, value in wanted.items() if value
    ]


def request_bytes(options: t.Mapping[str, t.Mapping[str, t.Any]]) -> int:
    """The most bytes that an environment's visitors need in one request; 0 means no limit.

    The options are what differs from Trac's defaults, section -> option -> value.
    """
    file, page, description, comment = (
        _option(options, *option) for option in (_ATTACHMENT, _WIKI, _DESCRIPTION, _COMMENT)
    )
    if file < 0:
        return 0
    text = max(0, page, description + comment)
    wanted = max(file, text * _BYTES_OF_CHARACTER) + _ROOM
    return wanted if wanted <= _MOST_BYTES else 0


def _option(options: t.Mapping[str, t.Mapping[str, t.Any]], section: str, name: str) -> int:
    value = (options.get(section) or {}).get(name)
    try:
        return int(str(value))
    except ValueError:
        # Trac refuses the request, or takes its default; neither needs more.
        return _TRAC_SIZE


def site_hardening(
    sites: t.Sequence[t.Mapping[str, t.Any]],
    environments: t.Sequence[t.Mapping[str, t.Any]],
    settings: t.Mapping[str, t.Any],
) -> Dict:
    """Everything that the role writes for it, given the sites of `site_plan`."""
    sizes = _sizes(environments, settings)
    rates = {**RATES, **{key: int(value) for key, value in settings["rate_limits"].items()}}
    limited = [name for name, rate in rates.items() if rate]
    hosts: dict[str, list[t.Mapping[str, t.Any]]] = {}
    for site in sites:
        hosts.setdefault(site["server_name"], []).append(site)
    robots = {
        name: {"path": f"{members[0]['directory']}/robots.txt", "content": _robots(members)}
        for name, members in hosts.items()
        if settings["robots"]
    }
    used = [robot["path"] for robot in robots.values()]
    return {
        "headers": sent_headers(settings["headers"], any(map(_has_provider, sites))),
        "rates": _rules(rates) if limited else [],
        "passwords": rates["login"] > 0,
        "sites": {
            site["name"]: {
                "limit_request_body": _limit(site, sizes),
                "limited": [
                    {"name": name, "pattern": f"^{_pages(site)}/{name}(/|$)"} for name in limited
                ],
            }
            for site in sites
        },
        "robots": robots,
        "closed": {name: _closed(members) for name, members in hosts.items()},
        "absent": [
            path
            for path in (f"{site['directory']}/robots.txt" for site in sites)
            if path not in used
        ],
    }


def _rules(rates: t.Mapping[str, int]) -> list[Dict]:
    """The rules of mod_qos: what they count, and the number at which they refuse.

    A reload adds none to those that Apache was started with, so that all are always there. What
    counts for a rule without a limit is not marked, and the number never reached.
    """
    # A page counts when it is asked for; a password when it has been refused.
    numbers = {name: rate and rate + 1 for name, rate in rates.items()}
    numbers["password"] = rates["login"]
    return [{"name": name, "refused": number or _NEVER} for name, number in numbers.items()]


def _sizes(
    environments: t.Sequence[t.Mapping[str, t.Any]], settings: t.Mapping[str, t.Any]
) -> dict[str, int]:
    """By environment. What the inventory says is on the host after this run at the latest."""
    common = settings.get("defaults") or {}
    sizes = {}
    for item in environments:
        merged: dict[str, dict[str, t.Any]] = {}
        for options in (
            settings["found"].get(item["name"]),
            common.get("config"),
            item.get("config"),
        ):
            for section, values in (options or {}).items():
                if isinstance(values, t.Mapping):
                    merged.setdefault(section, {}).update(values)
        sizes[item["name"]] = request_bytes(merged)
    return sizes


def _limit(site: t.Mapping[str, t.Any], sizes: t.Mapping[str, int]) -> int:
    given = site.get("limit_request_body")
    if given is not None:
        return int(given)
    wanted = [sizes[name] for name in site["served"] if name in sizes] or [request_bytes({})]
    return 0 if 0 in wanted else max(wanted)


def _closed(sites: t.Sequence[t.Mapping[str, t.Any]]) -> str:
    """An expression for the server's state in a virtual host; what its sites serve is not in it."""
    own = {site["mount"].split("/")[1] for site in sites}
    for site in sites:
        if site["mount"] == "/" and site["parent_directory"]:
            own.update(site["served"])
    paths = "|".join(re.escape(path) for path in _OF_SERVER if path not in own)
    return f"^/({paths})(/|$)"


def _has_provider(site: t.Mapping[str, t.Any]) -> bool:
    """Whether a log-out, or a form of who is logged out meanwhile, leads to another host."""
    return (site.get("authentication") or {}).get("type") == "openid_connect"


def _pages(site: t.Mapping[str, t.Any]) -> str:
    """An expression for what stands in front of the pages of a site's environments."""
    base = re.escape(site["mount"].rstrip("/"))
    return f"{base}/[^/]+" if site["parent_directory"] else base


def _robots(sites: t.Sequence[t.Mapping[str, t.Any]]) -> str:
    lines = ["User-agent: *"]
    for site in sites:
        base = site["mount"].rstrip("/") + ("/*" if site["parent_directory"] else "")
        lines += [f"Disallow: {base}/{page}" for page in _NOT_FOR_ROBOTS]
    return "\n".join(lines) + "\n"
