# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Request pages of the sites, as a visitor would.

Each URL is requested once; several checks look at the answer.
"""

from __future__ import annotations

import concurrent.futures
import dataclasses
import http.client
import re
import time
import typing as t
import urllib.parse

from ansible_collections.trac.mod_wsgi.plugins.module_utils._apache import http_check
from ansible_collections.trac.mod_wsgi.plugins.module_utils._site import (
    authentication as site_authentication,
)

_WORKERS = 4
REDIRECTS = (301, 302, 303, 307, 308)
_LONGEST_BODY_BYTES = 2 * 1024 * 1024
_TITLE_SHOWN = 200  # characters
_MINUTE_SECONDS = 61  # the limit of logins counts those of a minute


@dataclasses.dataclass(frozen=True)
class Page:
    """A page to request."""

    url: str
    host: str
    site: str
    environment: str = ""  # of a start page

    @property
    def subject(self) -> str:
        """The subject of results about it."""
        environment = f", environment {self.environment}" if self.environment else ""
        return f"site {self.site}{environment}"


@dataclasses.dataclass(frozen=True)
class Answer:
    """The answer to a request. Without a status there was none, for a reason.

    If it was not asked, no time was left.
    """

    status: int = 0
    text: str = ""
    location: str = ""
    reason: str = ""
    asked: bool = True

    @property
    def title(self) -> str:
        return http_check.page_title(self.text) or ""

    @property
    def short_title(self) -> str:
        """The title for messages: anybody may have written it."""
        return self.title[:_TITLE_SHOWN]

    @property
    def from_apache(self) -> bool:
        """Whether it is one of Apache's own error pages, which have fixed titles."""
        return bool(re.match(rf"{self.status} [A-Z]", self.title))


def fetch(url: str, host: str, seconds: float) -> Answer:
    """One GET. The only redirect that is followed is that of a site to HTTPS."""
    parts = urllib.parse.urlsplit(url)
    connection = None
    try:
        connection = http_check.connection(parts, host, seconds)
        target = urllib.parse.urlunsplit(("", "", parts.path or "/", parts.query, ""))
        with http_check.time_limit(connection, seconds):
            connection.request("GET", target, headers={"Host": host, "Connection": "close"})
            response = connection.getresponse()
            text = response.read(_LONGEST_BODY_BYTES).decode("utf-8", "replace")
        location = response.headers.get("Location", "")
    except (OSError, http.client.HTTPException, ValueError) as e:
        return Answer(reason=str(e) or type(e).__name__)
    finally:
        if connection is not None:
            connection.close()
    onward = urllib.parse.urlsplit(location)
    if (
        response.status in REDIRECTS
        and parts.scheme == "http"
        and onward.scheme == "https"
        and onward.hostname == host
    ):
        port = f":{onward.port}" if onward.port else ""
        address = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
        return fetch(onward._replace(netloc=f"{address}{port}").geturl(), host, seconds)
    return Answer(response.status, text, location)


def ask(pages: t.Sequence[Page], seconds: float, budget: float) -> dict[Page, Answer]:
    """All answers. After the budget, in seconds, nothing more is requested."""
    end = time.monotonic() + budget

    def one(page: Page) -> Answer:
        if time.monotonic() > end:
            return Answer(asked=False, reason=f"{budget:g} seconds were over before")
        return fetch(page.url, page.host, seconds)

    pages = list(dict.fromkeys(pages))
    with concurrent.futures.ThreadPoolExecutor(max_workers=_WORKERS) as pool:
        return dict(zip(pages, pool.map(one, pages)))


def after_a_minute(
    logins: t.Sequence[Page],
    answers: t.Mapping[Page, Answer],
    seconds: float,
    left: float,
    sleep: t.Callable[[float], None] = time.sleep,
) -> dict[Page, Answer]:
    """Request the logins once more, if the first was refused for too many requests.

    Earlier checks may have made those. Nothing, if that is not so or no time is left.
    """
    refused = bool(logins) and answers[logins[0]].status == site_authentication.TOO_MANY
    if not refused or left < _MINUTE_SECONDS:
        return {}
    sleep(_MINUTE_SECONDS)
    return ask(logins, seconds, left - _MINUTE_SECONDS)


def served(site: t.Mapping[str, t.Any], environments: t.Sequence[str]) -> list[str]:
    """The environments that a site serves."""
    return [site["environment"]] if site.get("environment") else list(environments)


def page_of(site: t.Mapping[str, t.Any], environment: str, base_url: str, path: str = "") -> Page:
    """The start page of an environment, or a path below it."""
    mount = site["mount"].rstrip("/")
    if not site.get("environment"):
        mount += f"/{environment}"
    host = site.get("server_name") or "127.0.0.1"
    return Page(f"{base_url}{mount}{path}" or "/", host, site["name"], "" if path else environment)


def start_pages(
    sites: t.Sequence[t.Mapping[str, t.Any]], environments: t.Sequence[str], base_url: str
) -> list[Page]:
    return [page_of(site, name, base_url) for site in sites for name in served(site, environments)]


def second_page(page: Page) -> Page:
    """The page /about, which needs no permission, and has Trac work out all of a visitor's."""
    return dataclasses.replace(page, url=page.url.rstrip("/") + "/about")


def login_pages(
    sites: t.Sequence[t.Mapping[str, t.Any]], environments: t.Sequence[str], base_url: str
) -> list[Page]:
    """The login page of each site, in the first of its environments."""
    return [
        page_of(site, served(site, environments)[0], base_url, "/login")
        for site in sites
        if served(site, environments)
    ]


# -- all of a host ---------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Visit:
    """The pages that were requested, by kind, and all answers."""

    hellos: tuple[Page, ...] = ()
    logins: tuple[Page, ...] = ()
    starts: tuple[Page, ...] = ()
    answers: t.Mapping[Page, Answer] = dataclasses.field(default_factory=dict)

    def of(self, pages: t.Iterable[Page]) -> dict[Page, Answer]:
        """The answers for some pages."""
        return {page: self.answers[page] for page in pages}


def visit(
    base_url: str,
    sites: t.Sequence[t.Mapping[str, t.Any]],
    environments: t.Sequence[str],
    hello_world_path: str,
    seconds: float,
    seconds_left: t.Callable[[], float],
) -> Visit:
    """Request all pages.

    :param seconds: the most for one page
    :param seconds_left: what is left for all of them
    """
    hellos = []
    if hello_world_path:
        hellos.append(Page(base_url + hello_world_path, "127.0.0.1", "hello-world"))
    starts = start_pages(sites, environments, base_url)
    logins = login_pages(sites, environments, base_url)
    second_pages = [second_page(page) for page in starts]
    answers = ask([*hellos, *logins, *starts, *second_pages], seconds, seconds_left())
    answers.update(after_a_minute(logins, answers, seconds, seconds_left()))
    return Visit(tuple(hellos), tuple(logins), tuple(starts), answers)
