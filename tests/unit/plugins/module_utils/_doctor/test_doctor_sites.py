# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the doctor makes of pages, which a small server of ours gives it."""

from __future__ import annotations

import http.server
import threading
import time
import typing as t

import pytest

from ansible_collections.trac.mod_wsgi.plugins.module_utils._doctor import logins as doctor_logins
from ansible_collections.trac.mod_wsgi.plugins.module_utils._doctor import pages as doctor_pages
from ansible_collections.trac.mod_wsgi.plugins.module_utils._doctor import sites as doctor_sites
from ansible_collections.trac.mod_wsgi.plugins.module_utils._doctor.pages import Answer, Page
from ansible_collections.trac.mod_wsgi.plugins.module_utils._doctor.result import Result

PAGE = Page("http://127.0.0.1/trac", "127.0.0.1", "trac", "one")


def page(title: str, body: str = "") -> str:
    return f"<html><head><title>\n {title}\n</title></head><body>{body}</body></html>"


def only(results: list[Result]) -> Result:
    (result,) = results
    return result


TRAC = Answer(200, page("One"))
TRAC_FORBIDDEN = Answer(403, page("Forbidden – One"))
APACHE_FORBIDDEN = Answer(403, page("403 Forbidden"))
LOGIN_WANTED = Answer(401, page("401 Unauthorized"))
UPGRADE = Answer(500, page("TracError – One", "The Trac Environment needs to be upgraded. Run:"))
NO_LOGIN = Answer(500, page("x", "<p>Authentication information not available. Please</p>"))
CRASHED = Answer(502, page("502 Proxy Error"))
NOTHING = Answer(reason="timed out")
NO_TURN = Answer(asked=False, reason="60 seconds were over before")
ELSEWHERE = Answer(302, "", "https://login.example.org/")

# answer -> statuses of site_access, site_answers, site_title, site_login
JUDGED = [
    (TRAC, "ok", "ok", "ok", "ok"),
    (TRAC_FORBIDDEN, "ok", "ok", "ok", "ok"),
    (APACHE_FORBIDDEN, "failed", "skipped", "skipped", "ok"),
    (LOGIN_WANTED, "ok", "ok", "skipped", "ok"),
    (ELSEWHERE, "ok", "ok", "skipped", "ok"),
    (UPGRADE, "ok", "failed", "skipped", "skipped"),
    (NO_LOGIN, "ok", "failed", "skipped", "warning"),
    (CRASHED, "ok", "failed", "skipped", "skipped"),
    (NOTHING, "ok", "failed", "skipped", "skipped"),
    (NO_TURN, "ok", "skipped", "skipped", "skipped"),
]


@pytest.mark.parametrize(("answer", "access", "answers", "title", "login"), JUDGED)
def test_answers(answer: Answer, access: str, answers: str, title: str, login: str) -> None:
    pages = {PAGE: answer}
    assert only(doctor_sites.judge_access(pages)).status == access
    assert only(doctor_sites.judge_answers(pages)).status == answers
    assert only(doctor_sites.judge_titles(pages, {"one": "One"})).status == title
    assert only(doctor_logins.judge_login(pages)).status == login


@pytest.mark.parametrize("start", [TRAC, TRAC_FORBIDDEN, APACHE_FORBIDDEN])
@pytest.mark.parametrize(
    ("about", "words"),
    [
        (UPGRADE, "/trac/about is answered with 500 (TracError"),
        (NOTHING, "/trac/about does not answer: timed out. That does not show at"),
        (TRAC, None),
        (TRAC_FORBIDDEN, None),
        (APACHE_FORBIDDEN, None),
        (NO_TURN, None),
    ],
)
def test_what_a_start_page_hides(start: Answer, about: Answer, words: str | None) -> None:
    second = doctor_pages.second_page(PAGE)
    results = doctor_sites.judge_second({PAGE: start}, {PAGE: start, second: about})
    if words is None:
        assert results == []
    else:
        result = only(results)
        assert (result.check, result.status) == ("site_answers", "failed")
        assert words in result.seen
        assert result.subject == "site trac, environment one"


def test_what_start_pages_tell_themselves_is_not_told_twice() -> None:
    answers = {PAGE: UPGRADE, doctor_pages.second_page(PAGE): UPGRADE}
    assert doctor_sites.judge_second({PAGE: UPGRADE}, answers) == []


@pytest.mark.parametrize(
    ("answer", "advice"),
    [
        (UPGRADE, "database_version"),
        (CRASHED, "error_log"),
        (NOTHING, "hangs"),
        (Answer(500, page("x", "locale.Error: unsupported locale setting")), "locale"),
        (Answer(404, page("404 Not Found")), "mount"),
        (Answer(418, page("Teapot")), "trac.log"),
    ],
)
def test_what_to_do(answer: Answer, advice: str) -> None:
    assert advice in only(doctor_sites.judge_answers({PAGE: answer})).advice


@pytest.mark.parametrize(
    ("shown", "wanted", "status"),
    [
        ("One", "One", "ok"),
        ("WikiStart – One", " One ", "ok"),
        ("Onega", "One", "failed"),
        ("Two", "One", "failed"),
        ("A &amp; B", "A & B", "ok"),
        ("", "One", "failed"),
        ("One", None, "skipped"),
        ("One", "", "skipped"),
    ],
)
def test_titles(shown: str, wanted: str | None, status: str) -> None:
    result = only(doctor_sites.judge_titles({PAGE: Answer(200, page(shown))}, {"one": wanted}))
    assert result.status == status
    if status == "failed":
        assert "os.environ" in result.means


TO_PROVIDER = Answer(302, "", "https://id.example.org/?redirect_uri=x%2F.openid-connect&y")
PRIVATE = {"name": "trac", "authentication": {"type": "basic", "scope": "site"}}
PARTLY = {"name": "trac", "authentication": {"type": "basic", "private_environments": ["one"]}}
OTHER = {"name": "trac", "authentication": {"type": "basic", "private_environments": ["two"]}}


@pytest.mark.parametrize(
    ("site", "answer", "status"),
    [
        (PRIVATE, LOGIN_WANTED, "ok"),
        (PRIVATE, TO_PROVIDER, "ok"),
        (PRIVATE, TRAC, "failed"),
        (PRIVATE, TRAC_FORBIDDEN, "failed"),
        (PARTLY, TRAC, "failed"),
        (PRIVATE, ELSEWHERE, "skipped"),
        (PRIVATE, APACHE_FORBIDDEN, "skipped"),
        (PRIVATE, CRASHED, "skipped"),
        (PRIVATE, NOTHING, "skipped"),
        (OTHER, TRAC, "skipped"),
        ({"name": "trac", "authentication": None}, TRAC, "skipped"),
        ({"name": "trac"}, TRAC, "skipped"),
    ],
)
def test_private(site: dict[str, t.Any], answer: Answer, status: str) -> None:
    result = only(doctor_logins.judge_private({PAGE: answer}, [site]))
    assert result.status == status
    assert status != "failed" or (
        "private" in result.seen and "Require all granted" in result.advice
    )


HELLO = [
    (Answer(200, "Hello World!\n"), "ok"),
    (Answer(200, "Hello"), "failed"),
    (LOGIN_WANTED, "skipped"),
    (NOTHING, "failed"),
]


@pytest.mark.parametrize(("answer", "status"), HELLO)
def test_hello_world(answer: Answer, status: str) -> None:
    assert doctor_sites.judge_hello_world(PAGE, answer).status == status


SITES: list[dict[str, t.Any]] = [
    {"name": "a", "mount": "/", "environment": "one", "server_name": "a.example.org"},
    {"name": "b", "mount": "/all", "environment": ""},
]


LOGINS = [
    Page("http://127.0.0.1/a/login", "x", "a"),
    Page("http://127.0.0.1/b/login", "x", "b"),
]
REFUSED = Answer(429, page("Too many requests"))


def test_a_limit_that_lets_nobody_log_in_is_a_failure() -> None:
    first, second = doctor_logins.judge_login({LOGINS[0]: REFUSED, LOGINS[1]: REFUSED})
    assert first.status == "failed"
    assert "429" in first.seen
    assert "trac_site_rate_limits" in first.advice
    # The doctor's own requests may have been too many by then.
    first, second = doctor_logins.judge_login({LOGINS[0]: LOGIN_WANTED, LOGINS[1]: REFUSED})
    assert (first.status, second.status) == ("ok", "skipped")


@pytest.mark.parametrize(
    ("first", "left", "pauses"),
    [(REFUSED, 90, [61]), (REFUSED, 60, []), (LOGIN_WANTED, 90, [])],
)
def test_a_limit_may_be_that_of_the_minute(
    first: Answer, left: float, pauses: list[float], address: str
) -> None:
    logins = [Page(f"{address}/login", "x", "a"), Page(f"{address}/b/login", "x", "b")]
    slept: list[float] = []
    answers = {logins[0]: first, logins[1]: REFUSED}
    again = doctor_pages.after_a_minute(logins, answers, 5, left, slept.append)
    assert slept == pauses
    assert [answer.status for answer in again.values()] == ([200, 200] if pauses else [])


def test_what_is_asked() -> None:
    starts = doctor_pages.start_pages(SITES, ["one", "two"], "http://127.0.0.1:8080")
    assert [(each.url, each.host, each.environment) for each in starts] == [
        ("http://127.0.0.1:8080", "a.example.org", "one"),
        ("http://127.0.0.1:8080/all/one", "127.0.0.1", "one"),
        ("http://127.0.0.1:8080/all/two", "127.0.0.1", "two"),
    ]
    logins = doctor_pages.login_pages(SITES, ["one", "two"], "http://127.0.0.1:8080")
    assert [each.url for each in logins] == [
        "http://127.0.0.1:8080/login",
        "http://127.0.0.1:8080/all/one/login",
    ]
    assert doctor_pages.login_pages(SITES[1:], [], "http://127.0.0.1") == []


class Handler(http.server.BaseHTTPRequestHandler):
    """Answers as the path says."""

    def do_GET(self) -> None:
        if self.path == "/slow":
            time.sleep(1)
        status = 302 if self.path == "/away" else 200
        body = f"{self.headers['Host']} {self.path}".encode()
        self.send_response(status)
        if status == 302:
            self.send_header("Location", "http://example.org/")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_arguments: object) -> None:
        """Say nothing."""


@pytest.fixture
def address() -> t.Iterator[str]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


def test_fetch(address: str) -> None:
    assert doctor_pages.fetch(f"{address}/a?b=c", "one.example.org", 5) == Answer(
        200, "one.example.org /a?b=c"
    )
    assert doctor_pages.fetch(f"{address}/away", "x", 5).location == "http://example.org/"


def test_a_page_that_does_not_come_in_time(address: str) -> None:
    pages = [Page(f"{address}/slow", "x", "a"), Page(f"{address}/fast", "x", "a")]
    answers = doctor_pages.ask(pages, 0.2, 5)
    assert answers[pages[0]].reason == "timed out"
    assert answers[pages[1]].status == 200


def test_when_the_time_is_over_nothing_more_is_asked(address: str) -> None:
    answers = doctor_pages.ask([PAGE, Page(f"{address}/a", "x", "a")], 5, -1)
    assert [answer.asked for answer in answers.values()] == [False, False]


def test_nobody_listens() -> None:
    assert "refused" in doctor_pages.fetch("http://127.0.0.1:1/", "x", 5).reason


def test_a_server_that_speaks_no_tls(address: str) -> None:
    answer = doctor_pages.fetch(address.replace("http:", "https:"), "x", 5)
    assert answer.status == 0
    assert answer.reason
