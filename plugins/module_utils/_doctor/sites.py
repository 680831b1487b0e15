# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks of the sites: what a visitor gets.

Which project has answered shows in the title of the page, not in its status.
"""

from __future__ import annotations

import dataclasses
import re
import typing as t

from ansible_collections.trac.mod_wsgi.plugins.module_utils._apache import http_check
from ansible_collections.trac.mod_wsgi.plugins.module_utils._doctor.host import Host
from ansible_collections.trac.mod_wsgi.plugins.module_utils._doctor.pages import (
    REDIRECTS,
    Answer,
    Page,
    second_page,
)
from ansible_collections.trac.mod_wsgi.plugins.module_utils._doctor.registry import (
    FOR_START_PAGES,
    PAGES,
    RUNNING_APACHE,
    SITES,
    WORKER,
    check,
    part,
)
from ansible_collections.trac.mod_wsgi.plugins.module_utils._doctor.result import (
    FAILED,
    OK,
    SKIPPED,
    Result,
)
from ansible_collections.trac.mod_wsgi.plugins.module_utils._site import out_of_service

# Phrases of error pages, and what to do. The first that is found counts.
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


@check("hello_world", "The hello-world answers", SITES, (WORKER, RUNNING_APACHE, PAGES))
def hello_world(host: Host) -> list[Result]:
    return [judge_hello_world(*each) for each in host.visit.of(host.visit.hellos).items()]


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


@check("site_access", "Apache lets requests reach the scripts", SITES, FOR_START_PAGES)
def site_access(host: Host) -> list[Result]:
    return judge_access(host.visit.of(host.visit.starts))


def judge_access(pages: t.Mapping[Page, Answer]) -> list[Result]:
    """Pages that Apache itself answers with 403."""
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
            page.subject,
        )
        for page, answer in pages.items()
        if answer.status == 403 and answer.from_apache
    ]
    return results or [Result(name, OK, "no page is kept from visitors by Apache")]


@check("site_answers", "The sites answer", SITES, FOR_START_PAGES)
def site_answers(host: Host) -> list[Result]:
    return judge_answers(host.visit.of(host.visit.starts))


def judge_answers(pages: t.Mapping[Page, Answer]) -> list[Result]:
    """Judge each start page by its answer."""
    results = []
    for page, answer in pages.items():
        if answer.status == 403 and answer.from_apache:
            seen = f"{page.url} is kept from visitors by Apache (see site_access)."
            results.append(Result("site_answers", SKIPPED, seen, subject=page.subject))
        elif answer.status in (200, 403):
            results.append(Result("site_answers", OK, page.url, subject=page.subject))
        elif answer.status == 401 or answer.status in REDIRECTS:
            how = f"leads to {answer.location}" if answer.location else "wants a login"
            results.append(Result("site_answers", OK, f"{page.url} {how}", subject=page.subject))
        else:
            results.append(_no_page(page, answer))
    return results


@part("site_answers", SITES, FOR_START_PAGES)
def second_pages_answer(host: Host) -> list[Result]:
    return judge_second(host.visit.of(host.visit.starts), host.visit.answers)


def judge_second(first: t.Mapping[Page, Answer], answers: t.Mapping[Page, Answer]) -> list[Result]:
    """Errors that start pages hide, such as those that are closed to visitors."""
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
            subject=page.subject,
        )
    if not answer.status:
        return Result(
            "site_answers",
            FAILED,
            f"{page.url} does not answer: {answer.reason}.",
            "Visitors see an error or wait.",
            "If Apache answers otherwise (check apache_running), the daemon process hangs: see the "
            "checks error_log, database and python_home; then: systemctl restart apache2",
            page.subject,
        )
    text = re.sub(r"<[^>]*>", " ", answer.text)
    advice = next((advice for phrase, advice in _KNOWN if phrase in text), None)
    return Result(
        "site_answers",
        FAILED,
        f"{page.url} is answered with {answer.status} ({answer.title or 'no title'}).",
        "Visitors see an error.",
        advice or _STATUSES.get(answer.status, _STATUSES[500]),
        page.subject,
    )


@check("site_title", "Each URL shows its own project", SITES, FOR_START_PAGES)
def site_title(host: Host) -> list[Result]:
    titles = {name: facts["title"] for name, facts in host.facts.items()}
    return judge_titles(host.visit.of(host.visit.starts), titles)


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
        results.append(Result(name, SKIPPED, f"{page.url}: {why}.", subject=page.subject))
    return results


def _judge_title(page: Page, answer: Answer, wanted: str) -> Result:
    wanted = http_check.squeeze(wanted)
    if http_check.has_phrase(answer.title, wanted):
        return Result("site_title", OK, f"{page.url}: '{wanted}'", subject=page.subject)
    return Result(
        "site_title",
        FAILED,
        f"{page.url} shows '{answer.short_title}'; the trac.ini of {page.environment} says "
        f"'{wanted}'.",
        "Another project answers there: visitors read and write the wrong tickets. Scripts that "
        "share a process and put TRAC_ENV into os.environ do that, or a script names another "
        "environment.",
        "Run playbooks/site.yml, whose scripts say with each request which environment is meant; "
        "in a script of your own set environ['trac.env_path'], and give each site a process group "
        "of its own.",
        page.subject,
    )
