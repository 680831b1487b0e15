# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks of logging in: whether visitors can, and who gets in without."""

from __future__ import annotations

import typing as t

from ansible_collections.trac.mod_wsgi.plugins.module_utils._doctor.host import Host
from ansible_collections.trac.mod_wsgi.plugins.module_utils._doctor.pages import (
    REDIRECTS,
    Answer,
    Page,
    served,
)
from ansible_collections.trac.mod_wsgi.plugins.module_utils._doctor.registry import (
    FOR_START_PAGES,
    SITES,
    check,
    part,
)
from ansible_collections.trac.mod_wsgi.plugins.module_utils._doctor.result import (
    FAILED,
    OK,
    SKIPPED,
    WARNING,
    Result,
)
from ansible_collections.trac.mod_wsgi.plugins.module_utils._site import (
    authentication as site_authentication,
)

_NO_LOGIN = "Authentication information not available"


@check("site_login", "Visitors can log in", SITES, FOR_START_PAGES)
def site_login(host: Host) -> list[Result]:
    return judge_login(host.visit.of(host.visit.logins))


def judge_login(pages: t.Mapping[Page, Answer]) -> list[Result]:
    name = "site_login"
    results = []
    for page, answer in pages.items():
        if answer.status == 401 or answer.status in (*REDIRECTS, 200, 403):
            how = "asks for a name" if answer.status == 401 else f"answers with {answer.status}"
            results.append(Result(name, OK, f"{page.url} {how}", subject=page.subject))
        elif _NO_LOGIN in answer.text:
            results.append(
                Result(
                    name,
                    WARNING,
                    f"{page.url} is answered with {answer.status}: '{_NO_LOGIN}'.",
                    "Apache asks nobody for a name there, and Trac leaves logging in to Apache: "
                    "nobody can log in.",
                    "Give the site the key authentication in trac_sites (or extra_directives with "
                    "AuthType, AuthUserFile and Require valid-user for <mount>/login), and run "
                    "playbooks/site.yml; or install a plugin for it.",
                    page.subject,
                )
            )
        elif answer.status == site_authentication.TOO_MANY and not results:
            results.append(
                Result(
                    name,
                    FAILED,
                    f"{page.url}, the first login that was asked for, is answered with 429.",
                    "A limit of requests keeps visitors from logging in.",
                    "If others on this host (or the doctor, or playbooks/site.yml) have just asked "
                    "for many logins, ask again in a minute. Otherwise look at "
                    "trac_site_rate_limits, and for other limits in Apache's configuration "
                    "(QS_..., mod_evasive).",
                    page.subject,
                )
            )
        else:
            results.append(
                Result(
                    name,
                    SKIPPED,
                    f"{page.url}: {answer.status or answer.reason} tells nothing about the login.",
                    subject=page.subject,
                )
            )
    return results


@part("site_login", SITES, FOR_START_PAGES)
def logins_are_taken(host: Host) -> list[Result]:
    return judge_logins_taken(host.params["sites"], host.facts)


def judge_logins_taken(
    sites: t.Sequence[t.Mapping[str, t.Any]], facts: t.Mapping[str, t.Mapping[str, t.Any]]
) -> list[Result]:
    """Whether Trac takes the logins that Apache asks for, which no answer of Apache's tells."""
    results = []
    for site in sites:
        authentication = site.get("authentication") or {}
        for name in served(site, list(facts)) if authentication else ():
            known = facts.get(name, {})
            found = known.get("no_login") or []
            if authentication.get("scope") != "site":
                found = found or known.get("no_login_page") or []
            for words, advice in zip(found[::2], found[1::2]):
                results.append(
                    Result(
                        "site_login",
                        FAILED,
                        f"Site {site['name']} asks for a login, and environment {name} does not "
                        f"take it: {words}.",
                        "Nobody can log in, although the password is right.",
                        f"{advice[0].upper()}{advice[1:]}.",
                        f"site {site['name']}, environment {name}",
                    )
                )
    return results


@check("site_private", "Private projects are closed without a login", SITES, FOR_START_PAGES)
def site_private(host: Host) -> list[Result]:
    return judge_private(host.visit.of(host.visit.starts), host.params["sites"])


def judge_private(
    pages: t.Mapping[Page, Answer], sites: t.Sequence[t.Mapping[str, t.Any]]
) -> list[Result]:
    """Whether what the inventory calls private is closed to a visitor without a login."""
    name = "site_private"
    by_name = {site["name"]: site for site in sites}
    results = [
        _judge_private(page, answer)
        for page, answer in pages.items()
        if site_authentication.is_private(by_name[page.site], page.environment)
    ]
    return results or [Result(name, SKIPPED, "Not applicable: no site is private.")]


def _judge_private(page: Page, answer: Answer) -> Result:
    name = "site_private"
    if site_authentication.asks(answer.status, answer.location):
        return Result(name, OK, f"{page.url} wants a login", subject=page.subject)
    if answer.status in (200, 403) and not answer.from_apache:
        return Result(
            name,
            FAILED,
            f"{page.url} is answered with {answer.status} ('{answer.short_title}') without a "
            "login; trac_sites says that it is private.",
            "Everybody can read what is meant for those who may log in.",
            "Run playbooks/site.yml. If the site's extra_directives, or other files of Apache's "
            "configuration, have a 'Require all granted' for it, take that out.",
            page.subject,
        )
    seen = f"{page.url}: {answer.status or answer.reason} tells nothing about who gets in."
    return Result(name, SKIPPED, seen, subject=page.subject)
