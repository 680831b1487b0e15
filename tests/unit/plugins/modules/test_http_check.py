# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Checks against a real HTTP server on this machine."""

from __future__ import annotations

import contextlib
import http.server
import socket
import ssl
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from ansible_collections.trac.mod_wsgi.plugins.module_utils._apache.http_check import (
    Check,
    Result,
    has_phrase,
    page_title,
    run_checks,
)
from ansible_collections.trac.mod_wsgi.tests.unit.plugins import certificates

if TYPE_CHECKING:
    import pathlib
    from collections.abc import Iterator

PAGES: dict[str, tuple[int, str, str]] = {
    "/trac": (
        200,
        "text/html",
        "<head><title>\n  WikiStart –\n  One &amp; &#34;Two&#34; 100% {{x}}\n</title>",
    ),
    "/private": (
        403,
        "text/html;charset=utf-8",
        "<title>Forbidden – My Project</title>",
    ),
    "/hello": (200, "text/plain", "Hello World!"),
    "/away": (302, "text/html", "<title>My Project</title>"),
    "/broken": (500, "text/html", "<title>Oops</title>"),
}


class Site(http.server.ThreadingHTTPServer):
    failures_left = 0
    limited = False

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.paths: list[str] = []


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        assert isinstance(self.server, Site)
        self.server.paths.append(self.path)
        status, kind, text = PAGES.get(self.path, (404, "text/plain", ""))
        if self.path == "/trickle":
            self.send_response(200)
            self.end_headers()
            with contextlib.suppress(OSError):
                while True:
                    time.sleep(0.1)
                    self.wfile.write(b" ")
            return
        if self.path == "/host":
            status, text = 200, self.headers["Host"]
        if self.path == "/word":
            status, text = 200, self.headers.get("X-Word", "none")
        if self.path == "/busy":
            status = 503
        if self.path == "/limited":
            status = 429 if self.server.limited else 401
        if self.path == "/slow-start":
            status, text = (503, "") if self.server.failures_left else (200, "up")
            self.server.failures_left = max(0, self.server.failures_left - 1)
        body = text.encode("utf-8")
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Location", "/trac")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_args: Any) -> None:
        pass


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    # A proxy of the environment must not come between.
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    with Site(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        yield server
        server.shutdown()


def ask(site: Site, path: str, retries: int = 0, **expected: Any) -> Result:
    url = f"http://127.0.0.1:{site.server_port}{path}"
    (result,) = run_checks([Check("it", url, **expected)], 5, retries=retries, delay=0)
    return result


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/trac", {}),
        ("/trac", {"title": 'One & "Two"  100% {{x}}'}),
        ("/trac", {"title": "One"}),
        ("/trac", {"body": "WikiStart"}),
        ("/private", {"status": (200, 403), "title": "My Project"}),
        ("/hello", {"exact_body": "Hello World!"}),
        ("/host", {"host": "trac.example.org", "exact_body": "trac.example.org"}),
        ("/word", {"headers": {"X-Word": "let me in"}, "exact_body": "let me in"}),
        ("/word", {"exact_body": "none"}),
        ("/away", {"status": (302,)}),
        ("/away", {"status": (302,), "location": "/tr"}),
        ("/missing", {"status": ()}),
        ("/broken", {"title": "My Project", "accept": (500,)}),
    ],
)
def test_what_is_as_expected_passes(site: Site, path: str, expected: dict[str, Any]) -> None:
    result = ask(site, path, **expected)
    assert result.ok, result.reason


@pytest.mark.parametrize(
    ("path", "expected", "reason"),
    [
        (
            "/trac",
            {"title": "Two Hundred"},
            "has the title 'WikiStart – One & \"Two\" 100% {{x}}'; expected 'Two Hundred' in it",
        ),
        ("/trac", {"title": "On"}, "expected 'On' in it"),
        ("/hello", {"title": "My Project"}, "without a title"),
        (
            "/hello",
            {"exact_body": "Hello"},
            "answered 'Hello World!'; expected exactly 'Hello'",
        ),
        (
            "/away",
            {"status": (302,), "location": "/login"},
            "leads to '/trac', in which '/login' does not occur",
        ),
        ("/hello", {"body": "hello"}, "in which 'hello' does not occur"),
        ("/broken", {"title": "Oops"}, "status 500, titled 'Oops'; expected 200"),
        ("/missing", {"status": (200, 403)}, "status 404; expected 200 or 403"),
        ("/away", {"title": "My Project"}, "status 302"),
        ("/hello", {"certificate": "f0"}, "answered without a certificate"),
        ("/busy", {"managed_certificate": True}, "status 503"),
    ],
)
def test_what_is_not_is_said(site: Site, path: str, expected: dict[str, Any], reason: str) -> None:
    result = ask(site, path, **expected)
    assert not result.ok
    assert reason in result.reason


def test_a_closed_port_is_said() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}/"
        (result,) = run_checks([Check("it", url)], 5, retries=0, delay=0)
    assert "did not answer: [Errno 111]" in result.reason


def test_a_url_of_another_kind_is_said() -> None:
    (result,) = run_checks([Check("it", "ftp://localhost/")], 5, retries=0, delay=0)
    assert "no http or https URL" in result.reason


def test_a_server_that_is_silent_is_given_up() -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/"
        (result,) = run_checks([Check("it", url)], 0.2, retries=0, delay=0)
    assert "timed out" in result.reason


def test_a_page_that_does_not_end_is_given_up(site: Site) -> None:
    url = f"http://127.0.0.1:{site.server_port}/trickle"
    (result,) = run_checks([Check("it", url)], 1, retries=0, delay=0)
    assert "timed out" in result.reason


def test_only_what_failed_is_asked_again_until_it_passes(site: Site) -> None:
    site.failures_left = 2
    pauses: list[float] = []
    base = f"http://127.0.0.1:{site.server_port}"
    checks = [Check("a", f"{base}/slow-start"), Check("b", f"{base}/hello")]
    results = run_checks(checks, 5, retries=5, delay=3, sleep=pauses.append)
    assert [(result.name, result.ok) for result in results] == [
        ("a", True),
        ("b", True),
    ]
    assert pauses == [3, 3]
    assert sorted(site.paths) == ["/hello", "/slow-start", "/slow-start", "/slow-start"]


def test_a_limit_of_requests_is_over_after_a_minute(site: Site) -> None:
    pauses: list[float] = []
    base = f"http://127.0.0.1:{site.server_port}"
    checks = [Check("login", f"{base}/limited", status=(401,)), Check("b", f"{base}/hello")]

    def sleep(seconds: float) -> None:
        pauses.append(seconds)
        site.limited = sum(pauses) < 60

    site.limited = True
    results = run_checks(checks, 5, retries=2, delay=1, sleep=sleep)
    assert [(result.name, result.ok, result.status) for result in results] == [
        ("login", True, 401),
        ("b", True, 200),
    ]
    assert pauses == [1, 1, 61]
    # What is refused for good is said.
    site.limited = True
    (result,) = run_checks(checks[:1], 5, retries=0, delay=1, sleep=pauses.append)
    assert "status 429" in result.reason
    assert site.paths.count("/hello") == 1


def test_retries_end(site: Site) -> None:
    site.failures_left = 9
    assert "status 503" in ask(site, "/slow-start", retries=2).reason
    assert site.failures_left == 6


@pytest.mark.parametrize(
    ("text", "title"),
    [
        ("<TITLE lang=en>a</TITLE >", "a"),
        ("<title></title>", ""),
        ("no title", None),
        ("<title>a<b></title> <title>c</title>", "a<b>"),
        ("<title>&lt;b&gt; &#233; é</title>", "<b> é é"),
    ],
)
def test_titles(text: str, title: str | None) -> None:
    assert page_title(text) == title


@pytest.mark.parametrize(
    ("text", "phrase", "found"),
    [
        ("WikiStart – One", "One", True),
        ("WikiStart – Onega", "One", False),
        ("WikiStart – Zone", "one", False),
        ("C++", "C++", True),
        ("x – (a) [b] .*", "(a)  [b] .*", True),
        ("x – ab", ".*", False),
        ("Ünï – Çodé", "Çodé", True),
        ("Ünï – Çodéa", "Çodé", False),
    ],
)
def test_phrases(text: str, phrase: str, found: bool) -> None:
    assert has_phrase(text, phrase) is found


# -- over TLS


class SecureSite(Site):
    """The same over TLS; it keeps the names that it is asked for."""

    def __init__(self, pair: certificates.Pair, directory: pathlib.Path) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.names: list[str | None] = []
        file = directory / "pair.pem"
        file.write_text(pair.pem + pair.key(), encoding="ascii")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(file)
        context.sni_callback = lambda _socket, name, _context: self.names.append(name)
        self.socket = context.wrap_socket(self.socket, server_side=True)

    def ask(self, path: str, **expected: Any) -> Result:
        thread = threading.Thread(target=self.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        url = f"https://127.0.0.1:{self.server_port}{path}"
        (result,) = run_checks([Check("it", url, **expected)], 5, retries=0, delay=0)
        self.shutdown()
        self.server_close()
        return result


PAIR = certificates.make("trac.example.org")
FALLBACK = certificates.make("trac.example.org", subject="Apache Managed Domain Fallback")


@pytest.mark.parametrize(
    ("host", "name"),
    [("trac.example.org", "trac.example.org"), ("127.0.0.1", None), (None, None)],
)
def test_the_certificate_of_the_host_is_told_and_not_verified(
    host: str | None, name: str | None, tmp_path: pathlib.Path
) -> None:
    site = SecureSite(PAIR, tmp_path)
    result = site.ask("/hello", host=host, exact_body="Hello World!")
    assert result.ok, result.reason
    last = f"{certificates.NOW + 90 * certificates.DAY:%Y-%m-%d}"
    assert result.certificate == f"trac.example.org (self-signed, valid until {last})"
    assert site.names == [name]


def test_the_certificate_has_to_be_the_right_one(tmp_path: pathlib.Path) -> None:
    good = SecureSite(PAIR, tmp_path).ask("/missing", status=(), certificate=PAIR.fingerprint)
    assert good.ok, good.reason
    bad = SecureSite(FALLBACK, tmp_path).ask("/hello", certificate=PAIR.fingerprint)
    assert "has the certificate of trac.example.org (self-signed" in bad.reason
    assert bad.reason.endswith(f"expected is the one with SHA-256 {PAIR.fingerprint}")


@pytest.mark.parametrize(
    ("pair", "path", "passes"),
    [
        (FALLBACK, "/busy", True),
        (FALLBACK, "/hello", True),
        (FALLBACK, "/broken", False),
        (PAIR, "/busy", False),
    ],
)
def test_mod_md_may_have_no_certificate_yet(
    pair: certificates.Pair, path: str, passes: bool, tmp_path: pathlib.Path
) -> None:
    assert SecureSite(pair, tmp_path).ask(path, managed_certificate=True).ok is passes
    if path == "/busy":
        assert not SecureSite(pair, tmp_path).ask(path).ok


def test_plain_http_at_the_port_of_tls_is_said(site: Site) -> None:
    url = f"https://127.0.0.1:{site.server_port}/hello"
    (result,) = run_checks([Check("it", url)], 5, retries=0, delay=0)
    assert "did not answer: [SSL" in result.reason
