# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether Apache can serve a host with a certificate and its key.

Apache's own test of its configuration does not say so: it finds a key that does not belong to the
certificate when it is reloaded, and ends.
"""

from __future__ import annotations

import dataclasses
import datetime
import os
import ssl
import stat
import tempfile
import typing as t

from ansible_collections.trac.mod_wsgi.plugins.module_utils._apache import x509


@dataclasses.dataclass
class Verdict:
    """What is wrong with a pair (problems), or not as it should be (warnings), in sentences."""

    name: str
    certificate_file: str
    problems: list[str] = dataclasses.field(default_factory=list)
    warnings: list[str] = dataclasses.field(default_factory=list)
    certificate: str | None = None
    fingerprint: str | None = None
    stapling: bool = False


def judge(
    item: t.Mapping[str, t.Any], directory: str | None = None, now: datetime.datetime | None = None
) -> Verdict:
    """Look at a certificate and its key, in files of the host or as text.

    Text is written to a file of the directory for a moment, because Python reads keys from there.
    """
    place = "tls.certificate" if item.get("certificate") else item["certificate_file"]
    verdict = Verdict(item["name"], item["certificate_file"])
    try:
        text = item.get("certificate") or x509.read(item["certificate_file"])
        chain = x509.from_pem(text)
    except x509.Unreadable as e:
        verdict.problems.append(f"{place}: {e}.")
        return verdict
    own = chain[0]
    verdict.certificate, verdict.fingerprint = str(own), own.fingerprint
    verdict.stapling = can_be_stapled(chain)
    verdict.problems += _key_problems(item, place, directory)
    for host in item["names"]:
        if not own.fits(host):
            verdict.problems.append(f"{place} is for {own}, not for the server name {host}.")
    verdict.warnings += [
        f"{place} is for {own}, not for the alias {host}: browsers refuse that."
        for host in item["aliases"]
        if not own.fits(host)
    ]
    state = x509.state(own, now)
    if state:
        verdict.warnings.append(f"{place} {state}: browsers refuse the site.")
    return verdict


def can_be_stapled(chain: t.Sequence[x509.Certificate]) -> bool:
    """Whether Apache can ask for the state of the first one: at whom, and of whose certificate."""
    own = chain[0]
    return bool(own.responder) and any(own.issuer_der == one.subject_der for one in chain[1:])


def _key_problems(
    item: t.Mapping[str, t.Any], place: str, directory: str | None
) -> t.Iterator[str]:
    if item.get("key"):
        try:
            # Readable for this account only, and gone at the end.
            with tempfile.NamedTemporaryFile("w", dir=directory, suffix=".pem") as file:
                file.write(item["key"] + item["certificate"])
                file.flush()
                yield from _load(file.name, file.name, place, "tls.key")
        except OSError as e:
            yield f"tls.key cannot be looked at: {e.strerror}."
        return
    key = item["key_file"]
    try:
        mode = os.stat(key).st_mode
        with open(key, "rb"):
            pass
    except OSError as e:
        yield f"{key}: it cannot be read: {e.strerror}."
        return
    if mode & (stat.S_IROTH | stat.S_IWOTH):
        yield (
            f"{key} can be read or written by every account of the host (mode "
            f"{stat.S_IMODE(mode):04o}); a key is for root only: chmod 0600 {key}"
        )
    yield from _load(item["certificate_file"], key, place, key)


def _load(certificate: str, key: str, place: str, key_place: str) -> t.Iterator[str]:
    """What OpenSSL says to the pair, as Apache would hear it."""
    asked = []

    def passphrase() -> str:
        asked.append(True)
        return ""

    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key, passphrase)
    except (ssl.SSLError, OSError, ValueError) as e:
        reason = getattr(e, "reason", None) or ""
        if asked:
            yield f"{key_place} has a passphrase, which nobody would tell Apache."
        # The second where the key is of another kind.
        elif "MISMATCH" in reason or reason == "NO_CERTIFICATE_ASSIGNED":
            yield (
                f"{key_place} is not the key of {place}. The first certificate of the file has to "
                "be the server's own, and its issuers' follow."
            )
        else:
            words = reason.replace("_", " ").lower() or "it holds no key in PEM format"
            yield f"{key_place} cannot be used with {place}: {words}."
