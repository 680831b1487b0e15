# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What certificates say, and which pairs of certificate and key Apache can serve."""

from __future__ import annotations

import datetime
import pathlib
import typing as t

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from ansible_collections.trac.mod_wsgi.plugins.module_utils._apache import (
    apache_configuration,
    tls_certificate,
    x509,
)
from ansible_collections.trac.mod_wsgi.plugins.module_utils._doctor import (
    certificate as doctor_certificate,
)
from ansible_collections.trac.mod_wsgi.tests.unit.plugins import certificates
from ansible_collections.trac.mod_wsgi.tests.unit.plugins.certificates import DAY, NOW

AUTHORITY = certificates.make(subject="Example CA")
PAIR = certificates.make("trac.example.org", "*.pages.example.org", "192.0.2.1", issuer=AUTHORITY)


def test_a_certificate_tells_what_it_is() -> None:
    found = x509.from_der(PAIR.der)
    assert found.subject == "trac.example.org"
    assert found.issuer == "Example CA"
    assert found.names == ("trac.example.org", "*.pages.example.org", "192.0.2.1")
    assert (found.first, found.last) == (NOW - DAY, NOW + 90 * DAY)
    assert found.fingerprint == PAIR.fingerprint
    assert not found.is_self_signed
    assert found.responder == ""
    assert str(found).startswith("trac.example.org, *.pages.example.org, 192.0.2.1 (issued by")


def test_a_self_signed_one_says_so() -> None:
    found = x509.from_der(certificates.make(subject="Bär 日本").der)
    assert str(found) == f"Bär 日本 (self-signed, valid until {NOW + 90 * DAY:%Y-%m-%d})"


@pytest.mark.parametrize(
    ("host", "fits"),
    [
        ("trac.example.org", True),
        ("TRAC.example.org.", True),
        ("192.0.2.1", True),
        ("a.pages.example.org", True),
        ("a.b.pages.example.org", False),
        ("pages.example.org", False),
        ("example.org", False),
        ("xtrac.example.org", False),
    ],
)
def test_which_hosts_it_is_for(host: str, fits: bool) -> None:
    assert x509.from_der(PAIR.der).fits(host) is fits


@pytest.mark.parametrize("der", [b"", b"\x30\x00", b"\x30\x84", PAIR.der[:100], b"x" * 40])
def test_what_is_none_is_said(der: bytes) -> None:
    with pytest.raises(x509.Unreadable):
        x509.from_der(der)


class Files:
    """A directory for certificates and keys."""

    def __init__(self, directory: pathlib.Path) -> None:
        self.directory = directory

    def write(self, name: str, text: str, mode: int = 0o600) -> str:
        path = self.directory / name
        path.write_text(text, encoding="ascii")
        path.chmod(mode)
        return str(path)

    def judge(self, certificate: str, key: str, /, **more: t.Any) -> tls_certificate.Verdict:
        item = {
            "name": "x",
            "names": ["trac.example.org"],
            "aliases": [],
            "certificate_file": certificate,
            "key_file": key,
            **more,
        }
        return tls_certificate.judge(item, str(self.directory))


@pytest.fixture
def files(tmp_path: pathlib.Path) -> Files:
    return Files(tmp_path)


def test_a_good_pair(files: Files) -> None:
    chain = files.write("c.pem", PAIR.pem + AUTHORITY.pem, 0o644)
    verdict = files.judge(chain, files.write("k.pem", PAIR.key(), 0o640))
    assert (verdict.problems, verdict.warnings) == ([], [])
    assert verdict.fingerprint == PAIR.fingerprint
    assert not verdict.stapling


def test_a_good_pair_as_text_leaves_nothing_behind(files: Files) -> None:
    verdict = files.judge("/none.crt", "/none.key", certificate=PAIR.pem, key=PAIR.key())
    assert verdict.problems == []
    assert list(files.directory.iterdir()) == []


OTHER = certificates.make("trac.example.org")
RSA_KEY = (
    rsa.generate_private_key(65537, 2048)
    .private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    .decode()
)


@pytest.mark.parametrize(
    ("certificate", "key", "words"),
    [
        (PAIR.pem, OTHER.key(), "is not the key of"),
        (PAIR.pem, RSA_KEY, "is not the key of"),
        (AUTHORITY.pem + PAIR.pem, PAIR.key(), "the server's own, and its issuers' follow"),
        (PAIR.pem, PAIR.key("secret"), "has a passphrase"),
        (PAIR.pem, "", "it holds no key in PEM format"),
        (PAIR.pem, PAIR.pem, "cannot be used with"),
        ("", PAIR.key(), "it holds no certificate in PEM format"),
        (PAIR.key(), PAIR.key(), "it holds no certificate in PEM format"),
        (PAIR.pem.replace("M", "!"), PAIR.key(), "it is no certificate"),
    ],
)
def test_a_pair_that_apache_would_die_of(
    certificate: str, key: str, words: str, files: Files
) -> None:
    chain = files.write("c.pem", certificate)
    verdict = files.judge(chain, files.write("k.pem", key))
    assert any(words in problem for problem in verdict.problems), verdict.problems
    secret = PAIR.key().splitlines()[1]
    assert not any(secret in problem for problem in verdict.problems)


def test_the_same_as_text_names_the_variables(files: Files) -> None:
    verdict = files.judge("/none.crt", "/none.key", certificate=PAIR.pem, key=OTHER.key())
    (problem,) = verdict.problems
    assert problem.startswith("tls.key is not the key of tls.certificate.")


def test_missing_files_are_named(files: Files) -> None:
    chain = files.write("c.pem", PAIR.pem)
    (problem,) = files.judge(chain, "/none.key").problems
    assert problem == "/none.key: it cannot be read: No such file or directory."
    (problem,) = files.judge("/none.crt", "/none.key").problems
    assert problem == "/none.crt: it cannot be read: No such file or directory."


@pytest.mark.parametrize(("mode", "count"), [(0o600, 0), (0o640, 0), (0o644, 1), (0o602, 1)])
def test_a_key_is_not_for_everybody(mode: int, count: int, files: Files) -> None:
    key = files.write("k.pem", PAIR.key(), mode)
    problems = files.judge(files.write("c.pem", PAIR.pem), key).problems
    assert len(problems) == count
    assert all(f"chmod 0600 {key}" in problem for problem in problems)


def test_names(files: Files) -> None:
    pair = files.write("c.pem", PAIR.pem), files.write("k.pem", PAIR.key())
    names, aliases = ["wiki.example.org"], ["a.pages.example.org", "old.example.org"]
    verdict = files.judge(*pair, names=names, aliases=aliases)
    (problem,) = verdict.problems
    assert "not for the server name wiki.example.org" in problem
    (warning,) = verdict.warnings
    assert "not for the alias old.example.org" in warning
    assert files.judge(*pair, names=[]).problems == []


@pytest.mark.parametrize(
    ("first", "last", "words"),
    [
        (NOW - 9 * DAY, NOW - 2 * DAY, "2 days ago: browsers refuse the site."),
        (NOW + DAY, NOW + 9 * DAY, "only: browsers refuse the site."),
    ],
)
def test_dates_are_a_warning(
    first: datetime.datetime, last: datetime.datetime, words: str, files: Files
) -> None:
    pair = certificates.make("trac.example.org", first=first, last=last)
    verdict = files.judge(files.write("c.pem", pair.pem), files.write("k.pem", pair.key()))
    assert verdict.problems == []
    (warning,) = verdict.warnings
    assert words in warning


@pytest.mark.parametrize(
    ("responder", "chain", "stapling"),
    [
        ("http://ocsp.example.org", AUTHORITY.pem, True),
        ("http://ocsp.example.org", "", False),
        ("http://ocsp.example.org", OTHER.pem, False),
        ("", AUTHORITY.pem, False),
    ],
)
def test_what_can_be_stapled(responder: str, chain: str, stapling: bool, files: Files) -> None:
    pair = certificates.make("trac.example.org", issuer=AUTHORITY, responder=responder)
    certificate = files.write("c.pem", pair.pem + chain)
    verdict = files.judge(certificate, files.write("k.pem", pair.key()))
    assert verdict.problems == []
    assert verdict.stapling is stapling


def test_the_doctor_reads_it(files: Files) -> None:
    path = files.write("c.pem", PAIR.pem + AUTHORITY.pem)
    (result,) = doctor_certificate.judge([path], 21)
    assert result.status == "ok"


def test_the_doctor_looks_after_what_mod_md_has_and_has_not(tmp_path: pathlib.Path) -> None:
    (tmp_path / "apache2.conf").write_text(
        "MDStoreDir kept\n"
        "MDomain a.example.org b.example.org\n"
        '<MDomainSet "trac.example.org">\nMDContactEmail anna@example.org\n'
        "MDMember t.example.org\n</MDomainSet>\n",
        encoding="utf-8",
    )
    configuration = apache_configuration.read(str(tmp_path), {})
    hosts = doctor_certificate.managed(configuration, str(tmp_path))
    store = tmp_path / "kept"
    assert hosts == {"a.example.org": str(store), "trac.example.org": str(store)}
    (store / "domains" / "a.example.org").mkdir(parents=True)
    (store / "domains" / "a.example.org" / "pubcert.pem").write_text(PAIR.pem, encoding="ascii")
    (store / "staging" / "trac.example.org").mkdir(parents=True)
    (store / "staging" / "trac.example.org" / "job.json").write_text(
        '{"finished": false, "errors": 1, "last": {"detail": "Connection refused"}}',
        encoding="utf-8",
    )
    missing, there = doctor_certificate.judge([], 21, hosts=hosts)
    assert missing.status == "failed"
    assert "no certificate for trac.example.org: Connection refused" in missing.seen
    assert there.status == "ok"
    assert "a.example.org" in there.seen
