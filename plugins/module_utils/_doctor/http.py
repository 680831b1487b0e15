# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks over HTTP: what a visitor of the sites gets.

Each address is asked once; several checks look at the answer. Which project has answered shows
in the title of the page, not in its status.
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
from ansible_collections.trac.mod_wsgi.plugins.module_utils._site import out_of_service

_WORKERS = 4
_REDIRECTS = (301, 302, 303, 307, 308)
_LONGEST_BODY_BYTES = 2 * 1024 * 1024
_SHOWN = 200

_MINUTE_SECONDS = 61  # of the limit of logins

_NO_LOGIN = "Authentication information not available"

# What pages of errors say, and what to do. The first that fits is taken.
_KNOWN = (
    (
        "needs to be upgraded",
        "See the check database_version.",
    ),
    (out_of_service.TITLE, "See the check out_of_service."),
    ("unsupported locale setting", "See the check locale."),
    (
        "readonly database",
        (
            "The file system is read-only, or the database belongs to somebody else: see the "
            "checks environment_files and database."
        ),
    ),
    ("Read-only file system", "See the check environment_files."),
    ("unable to open database file", "See the checks environment_files and database."),
    ("Permission denied", "See the check environment_files."),
    ("database is locked", "Something holds SQLite's file for long: a backup, or a broken disk."),
    ("sequence of byte string values expected", "The script returns str; Python 3 wants bytes."),
)
_STATUSES = {
    401: "The whole site wants a login.",
    404: "Apache or Trac knows no such path: see mount and server_name of the site, and the check "
    "environments.",
    500: "See the check trac_ini. The reason stands in Apache's error log, or in log/trac.log of "
    "the environment.",
    502: "The daemon process ended before it had answered: see the check error_log.",
    503: "The site has too much to do, or its processes do not start: see error_log, memory.",
    504: "The daemon process did not answer in time: see the checks error_log and database.",
}


@dataclasses.dataclass(frozen=True)
class Page:
    """Something to ask for."""

    url: str
    host: str
    site: str
    environment: str = ""  # whose start page it is


@dataclasses.dataclass(frozen=True)
class Answer:
    """What came; without a status nothing did, for a reason. Not asked: no time was left."""

    status: int = 0
    text: str = ""
    location: str = ""
    reason: str = ""
    asked: bool = True

    @property
    def title(self) -> str:
        return http_check.page_title(self.text) or ""

    @property
    def from_apache(self) -> bool:
        """Whether it is one of Apache's own pages of errors, whose titles are always the same."""
        return bool(re.match(rf"{self.status} [A-Z]", self.title))


def fetch(url: str, host: str, seconds: float) -> Answer:
    """One GET, without following redirects but the one from a site to itself over TLS."""
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
        response.status in _REDIRECTS
        and parts.scheme == "http"
        and onward.scheme == "https"
        and onward.hostname == host
    ):
        port = f":{onward.port}" if onward.port else ""
        address = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
        return fetch(onward._replace(netloc=f"{address}{port}").geturl(), host, seconds)
    return Answer(response.status, text, location)


def ask(pages: t.Sequence[Page], seconds: float, budget: float) -> dict[Page, Answer]:
    """All answers. What has no turn within the budget, in seconds, is not asked."""
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
    """The answers of the logins once more, if the first was refused for too many requests.

    They may have been those of earlier checks. Nothing, where that is not so or no time is left.
    """
    refused = bool(logins) and answers[logins[0]].status == site_authentication.TOO_MANY
    if not refused or left < _MINUTE_SECONDS:
        return {}
    sleep(_MINUTE_SECONDS)
    return ask(logins, seconds, left - _MINUTE_SECONDS)


# -- what to ask for -------------------------------------------------------------------------


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
    """A page for which nobody needs a permission, and which asks for all of them."""
    return dataclasses.replace(page, url=page.url.rstrip("/") + "/about")


def login_pages(
    sites: t.Sequence[t.Mapping[str, t.Any]], environments: t.Sequence[str], base_url: str
) -> list[Page]:
    """The login of each site, in the first of its environments."""
    return [
        page_of(site, served(site, environments)[0], base_url, "/login")
        for site in sites
        if served(site, environments)
    ]


# -- what the answers tell -------------------------------------------------------------------


def _of(page: Page) -> str:
    environment = f", environment {page.environment}" if page.environment else ""
    return f"site {page.site}{environment}"


def judge_hello_world(page: Page, answer: Answer) -> Result:
    name = "hello_world"
    if answer.text == "Hello World!\n":
        return Result(name, OK, f"{page.url} answers")
    if answer.status == 401:
        return Result(name, SKIPPED, f"{page.url} wants a login.")
    seen = f"status {answer.status}" if answer.status else f"no answer ({answer.reason})"
    return Result(
        name,
        FAILED,
        f"{page.url}: {seen}.",
        "Apache, mod_wsgi and Python do not work together, whatever is the matter with Trac.",
        "See the checks apache_running, mod_wsgi_version and python_home, and Apache's error log; "
        "playbooks/site.yml sets it up again.",
    )


def judge_access(pages: t.Mapping[Page, Answer]) -> list[Result]:
    """Pages that Apache itself keeps from visitors."""
    name = "site_access"
    results = [
        Result(
            name,
            FAILED,
            f"{page.url} is answered with 403 by Apache, not by Trac.",
            "Apache is not allowed to run the script: no 'Require all granted' for its directory "
            "(AH01630 in the error log), or a directory above it is closed to Apache's account.",
            "Put 'Require all granted' into a <Directory> section for the directory of the script, "
            "or run playbooks/site.yml; then: systemctl reload apache2",
            _of(page),
        )
        for page, answer in pages.items()
        if answer.status == 403 and answer.from_apache
    ]
    return results or [Result(name, OK, "no page is kept from visitors by Apache")]


def judge_answers(pages: t.Mapping[Page, Answer]) -> list[Result]:
    """Whether there is an answer at all, and which."""
    results = []
    for page, answer in pages.items():
        if answer.status == 403 and answer.from_apache:
            seen = f"{page.url} is kept from visitors by Apache (see site_access)."
            results.append(Result("site_answers", SKIPPED, seen, subject=_of(page)))
        elif answer.status in (200, 403):
            results.append(Result("site_answers", OK, page.url, subject=_of(page)))
        elif answer.status == 401 or answer.status in _REDIRECTS:
            how = f"leads to {answer.location}" if answer.location else "wants a login"
            results.append(Result("site_answers", OK, f"{page.url} {how}", subject=_of(page)))
        else:
            results.append(_no_page(page, answer))
    return results


def judge_second(first: t.Mapping[Page, Answer], answers: t.Mapping[Page, Answer]) -> list[Result]:
    """What start pages do not tell, such as those that are closed to visitors."""
    results = []
    for start, answer in first.items():
        page = second_page(start)
        if answer.status and answer.status < 500 and _is_down(answers[page]):
            hidden = _no_page(page, answers[page])
            seen = f"{hidden.seen} That does not show at {start.url} ({answer.status})."
            results.append(dataclasses.replace(hidden, seen=seen))
    return results


def _is_down(answer: Answer) -> bool:
    return answer.asked and (not answer.status or answer.status >= 500)


def _no_page(page: Page, answer: Answer) -> Result:
    if not answer.asked:
        return Result(
            "site_answers",
            SKIPPED,
            f"{page.url} was not asked: {answer.reason}.",
            subject=_of(page),
        )
    if not answer.status:
        return Result(
            "site_answers",
            FAILED,
            f"{page.url} does not answer: {answer.reason}.",
            "Visitors see an error or wait.",
            "If Apache answers otherwise (check apache_running), the daemon process hangs: see the "
            "checks error_log, database and python_home; then: systemctl restart apache2",
            _of(page),
        )
    text = re.sub(r"<[^>]*>", " ", answer.text)
    advice = next((advice for phrase, advice in _KNOWN if phrase in text), None)
    return Result(
        "site_answers",
        FAILED,
        f"{page.url} is answered with {answer.status} ({answer.title or 'no title'}).",
        "Visitors see an error.",
        advice or _STATUSES.get(answer.status, _STATUSES[500]),
        _of(page),
    )


def judge_titles(
    pages: t.Mapping[Page, Answer], titles: t.Mapping[str, str | None]
) -> list[Result]:
    """Compare each page's title with the project's name in the environment's own trac.ini."""
    name = "site_title"
    results = []
    for page, answer in pages.items():
        if answer.status not in (200, 403) or answer.from_apache:
            why = "no page of Trac has come (see site_answers, site_access)"
        elif not titles.get(page.environment):
            why = f"the trac.ini of {page.environment} tells no name of the project"
        else:
            results.append(_judge_title(page, answer, t.cast(str, titles[page.environment])))
            continue
        results.append(Result(name, SKIPPED, f"{page.url}: {why}.", subject=_of(page)))
    return results


def _judge_title(page: Page, answer: Answer, wanted: str) -> Result:
    wanted = http_check.squeeze(wanted)
    if http_check.has_phrase(answer.title, wanted):
        return Result("site_title", OK, f"{page.url}: '{wanted}'", subject=_of(page))
    return Result(
        "site_title",
        FAILED,
        f"{page.url} shows '{answer.title[:_SHOWN]}'; the trac.ini of {page.environment} says "
        f"'{wanted}'.",
        "Another project answers there: visitors read and write the wrong tickets. Scripts that "
        "share a process and put TRAC_ENV into os.environ do that, or a script names another "
        "environment.",
        "Run playbooks/site.yml, whose scripts say with each request which environment is meant; "
        "in a script of your own set environ['trac.env_path'], and give each site a process group "
        "of its own.",
        _of(page),
    )


def judge_login(pages: t.Mapping[Page, Answer]) -> list[Result]:
    name = "site_login"
    results = []
    for page, answer in pages.items():
        if answer.status == 401 or answer.status in (*_REDIRECTS, 200, 403):
            how = "asks for a name" if answer.status == 401 else f"answers with {answer.status}"
            results.append(Result(name, OK, f"{page.url} {how}", subject=_of(page)))
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
                    _of(page),
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
                    _of(page),
                )
            )
        else:
            results.append(
                Result(
                    name,
                    SKIPPED,
                    f"{page.url}: {answer.status or answer.reason} tells nothing about the login.",
                    subject=_of(page),
                )
            )
    return results


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
        return Result(name, OK, f"{page.url} wants a login", subject=_of(page))
    if answer.status in (200, 403) and not answer.from_apache:
        return Result(
            name,
            FAILED,
            f"{page.url} is answered with {answer.status} ('{answer.title[:_SHOWN]}') without a "
            "login; trac_sites says that it is private.",
            "Everybody can read what is meant for those who may log in.",
            "Run playbooks/site.yml. If the site's extra_directives, or other files of Apache's "
            "configuration, have a 'Require all granted' for it, take that out.",
            _of(page),
        )
    seen = f"{page.url}: {answer.status or answer.reason} tells nothing about who gets in."
    return Result(name, SKIPPED, seen, subject=_of(page))
