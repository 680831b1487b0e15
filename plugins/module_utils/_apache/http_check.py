# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Requests whose answers are compared with what a visitor should see.

Connections go straight to the address in the URL: no proxy, no redirect, no cookie. Over TLS the
certificate is that of the host that is asked for, and is told, not verified: it is not for the
address, and who vouches for it is not known here.
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import dataclasses
import html
import http.client
import re
import socket
import ssl
import threading
import time
import typing as t
import urllib.parse

from ansible_collections.trac.mod_wsgi.plugins.module_utils._apache import x509

_TITLE = re.compile(r"<title(?:\s[^>]*)?>(.*?)</title\s*>", re.IGNORECASE | re.DOTALL)
_WORKERS = 4
_SHOWN_CHARACTERS = 80
# Who has asked too often is answered again when the minute is over.
_TOO_MANY, _MINUTE_SECONDS = 429, 61
_LONGEST_BODY_BYTES = 4 * 1024 * 1024
# The certificate that mod_md makes for itself until it gets one, and what is answered then.
_MANAGED_FALLBACK, _NOT_READY = "Apache Managed Domain Fallback", 503


@dataclasses.dataclass(frozen=True)
class Check:
    """What to ask for, and what the answer has to be. None, or no status: not looked at."""

    name: str
    url: str
    host: str | None = None
    status: tuple[int, ...] = (200,)
    body: str | None = None
    exact_body: str | None = None
    title: str | None = None
    accept: tuple[int, ...] = ()
    location: str | None = None
    certificate: str | None = None
    managed_certificate: bool = False
    headers: t.Mapping[str, str] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class Answer:
    status: int
    body: bytes
    charset: str = "utf-8"
    location: str = ""
    certificate: x509.Certificate | None = None

    @property
    def text(self) -> str:
        try:
            return self.body.decode(self.charset, "replace")
        except LookupError:
            return self.body.decode("utf-8", "replace")


@dataclasses.dataclass(frozen=True)
class Result:
    """The outcome of a check; C(reason) is empty when all was as it should be."""

    name: str
    url: str
    reason: str
    status: int | None = None
    title: str | None = None
    certificate: str | None = None

    @property
    def ok(self) -> bool:
        return not self.reason


def squeeze(text: str) -> str:
    """Text with every run of white space made one blank, as a browser shows it."""
    return " ".join(text.split())


def page_title(text: str) -> str | None:
    """The title of an HTML page as a reader sees it, or None where there is none."""
    found = _TITLE.search(text)
    return squeeze(html.unescape(found.group(1))) if found else None


def has_phrase(text: str, phrase: str) -> bool:
    """Whether a phrase stands in a text as whole words, so that "One" is not in "Onega"."""
    phrase = squeeze(phrase)
    before = r"(?<!\w)" if re.match(r"\w", phrase) else ""
    after = r"(?!\w)" if re.search(r"\w\Z", phrase) else ""
    return re.search(before + re.escape(phrase) + after, text) is not None


def connection(url: urllib.parse.SplitResult, host: str, timeout: float) -> t.Any:
    """A connection to the address in a URL, for a host that may have another name."""
    address = url.hostname or "127.0.0.1"
    if url.scheme != "https":
        return http.client.HTTPConnection(address, url.port, timeout=timeout)
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    secure = http.client.HTTPSConnection(address, url.port, timeout=timeout, context=context)
    plain = socket.create_connection((address, url.port or 443), timeout=timeout)
    try:
        secure.sock = context.wrap_socket(plain, server_hostname=host)
    except OSError:
        plain.close()
        raise
    return secure


@contextlib.contextmanager
def time_limit(opened: t.Any, seconds: float) -> t.Iterator[None]:
    """Give up a connection after these seconds, although something may come all the time.

    Raises TimeoutError then.
    """
    if opened.sock is None:
        opened.connect()
    over = threading.Event()

    def end() -> None:
        over.set()
        with contextlib.suppress(OSError):
            socket.socket.shutdown(sock, socket.SHUT_RDWR)

    sock = opened.sock
    timer = threading.Timer(seconds, end)
    timer.daemon = True
    timer.start()
    try:
        yield
    except (OSError, http.client.HTTPException):
        if not over.is_set():
            raise
    finally:
        timer.cancel()
    if over.is_set():
        raise TimeoutError("timed out")  # as the socket says of a server that is silent


def _seen_certificate(opened: t.Any) -> x509.Certificate | None:
    if not isinstance(opened.sock, ssl.SSLSocket):
        return None
    try:
        return x509.from_der(opened.sock.getpeercert(binary_form=True) or b"")
    except x509.Unreadable:
        return None


def fetch(check: Check, timeout: float) -> Answer:
    """One GET. Raises OSError or http.client.HTTPException when there is no answer."""
    parts = urllib.parse.urlsplit(check.url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        msg = f"{check.url!r} is no http or https URL."
        raise ValueError(msg)
    host = check.host or parts.netloc.rpartition("@")[2]
    opened = connection(parts, urllib.parse.urlsplit(f"//{host}").hostname or host, timeout)
    target = urllib.parse.urlunsplit(("", "", parts.path or "/", parts.query, ""))
    try:
        certificate = _seen_certificate(opened)
        headers = {"Host": host, "Connection": "close", **check.headers}
        with time_limit(opened, timeout):
            opened.request("GET", target, headers=headers)
            response = opened.getresponse()
            charset = response.headers.get_content_charset("utf-8")
            body = response.read(_LONGEST_BODY_BYTES)
        location = response.headers.get("Location", "")
        return Answer(response.status, body, charset, location, certificate)
    finally:
        opened.close()


def judge(check: Check, answer: Answer) -> str:
    """What is wrong with an answer, in words; empty when nothing is."""
    if check.certificate is not None:
        wrong = _judge_certificate(check.certificate, answer.certificate)
        if wrong:
            return wrong
    if answer.status in check.accept or (check.managed_certificate and has_fallback(answer)):
        return ""
    if check.status and answer.status not in check.status:
        wanted = " or ".join(str(status) for status in check.status)
        title = page_title(answer.text)
        seen = f", titled {title!r}" if title else ""
        return f"answered with status {answer.status}{seen}; expected {wanted}"
    if check.location is not None and check.location not in answer.location:
        seen = _shorten(answer.location)
        return f"leads to {seen}, in which {_shorten(check.location)} does not occur"
    text = answer.text
    if check.exact_body is not None and text != check.exact_body:
        return f"answered {_shorten(text)}; expected exactly {_shorten(check.exact_body)}"
    if check.body is not None and check.body not in text:
        return f"answered {_shorten(text)}, in which {_shorten(check.body)} does not occur"
    if check.title is not None:
        title = page_title(text)
        if title is None:
            return f"answered without a title; expected {squeeze(check.title)!r} in it"
        if not has_phrase(title, check.title):
            return f"has the title {title!r}; expected {squeeze(check.title)!r} in it"
    return ""


def has_fallback(answer: Answer) -> bool:
    """Whether mod_md has no certificate yet, and therefore answers nothing."""
    found = answer.certificate
    return found is not None and found.subject == _MANAGED_FALLBACK and answer.status == _NOT_READY


def _judge_certificate(fingerprint: str, found: x509.Certificate | None) -> str:
    if found is None:
        return "answered without a certificate"
    if found.fingerprint == fingerprint:
        return ""
    return (
        f"has the certificate of {found}, SHA-256 {found.fingerprint}; expected is the one with "
        f"SHA-256 {fingerprint}"
    )


def _shorten(text: str) -> str:
    return repr(text if len(text) <= _SHOWN_CHARACTERS else text[:_SHOWN_CHARACTERS] + "…")


def run_check(check: Check, timeout: float) -> Result:
    try:
        answer = fetch(check, timeout)
    except (OSError, http.client.HTTPException, ValueError) as error:
        words = str(error) or type(error).__name__
        return Result(check.name, check.url, f"did not answer: {words}")
    return Result(
        check.name,
        check.url,
        judge(check, answer),
        answer.status,
        page_title(answer.text),
        str(answer.certificate) if answer.certificate else None,
    )


def run_checks(
    checks: t.Sequence[Check],
    timeout: float,
    retries: int,
    delay: float,
    sleep: t.Callable[[float], None] = time.sleep,
) -> list[Result]:
    """Run all checks, then those that failed again, until all pass or the retries are used up.

    What is refused for too many requests after that may be so for what others, or earlier runs,
    have asked within the minute; it is asked once more when that is over.
    """
    results: dict[int, Result] = {}

    def run(todo: t.Sequence[int]) -> None:
        found = pool.map(lambda index: run_check(checks[index], timeout), todo)
        results.update(zip(todo, found))

    def failed() -> list[int]:
        return [index for index in range(len(checks)) if not results[index].ok]

    with concurrent.futures.ThreadPoolExecutor(max_workers=_WORKERS) as pool:
        run(range(len(checks)))
        for _attempt in range(retries):
            if not failed():
                break
            sleep(delay)
            run(failed())
        refused = [index for index in failed() if results[index].status == _TOO_MANY]
        if refused:
            sleep(_MINUTE_SECONDS)
            run(refused)
    return [results[index] for index in range(len(checks))]
