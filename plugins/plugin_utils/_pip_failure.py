# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Why pip failed, in a sentence out of its pages of output."""

from __future__ import annotations

import re

from ansible_collections.trac.mod_wsgi.plugins.module_utils._core import secrets

_NETWORK = re.compile(
    r"timed out|NewConnectionError|NameResolutionError|ConnectionResetError|ConnectTimeoutError"
    r"|IncompleteRead|Connection broken|connection broken|Connection aborted|Remote end closed"
)
_CERTIFICATE = re.compile(r"CERTIFICATE_VERIFY_FAILED")
_FULL = re.compile(r"No space left on device|Disk quota exceeded")
# The module writes ":stderr: " before the first line.
_ERROR = re.compile(r"^(?::stderr: )?ERROR: (?!Exception:)(.+)$", re.MULTILINE)
_EXCEPTION = re.compile(r"^[\w.]+(?:Error|Exception): .+$", re.MULTILINE)


def reason(output: str, venv: str, index: str | None = None) -> str:
    """One sentence about the output of a pip that failed."""
    where = index or "that pip is configured for"
    errors = _ERROR.findall(output) or _EXCEPTION.findall(output) or [output.strip()]
    last = errors[-1].strip().splitlines()[-1] if errors[-1].strip() else "it does not say why"
    if _FULL.search(output):
        cause = f"a disk is full, that of {venv} or of /tmp (see df)"
    elif _CERTIFICATE.search(output):
        cause = f"the certificate of the package index {where} is not trusted on this host"
    elif _NETWORK.search(output):
        cause = f"the network or the package index {where} did not answer, or broke off"
    else:
        cause = last
        last = ""
    words = f"pip could not install into {venv}: {cause}."
    # The index may be https://user:password@host/.
    return secrets.Redactor().redact(f"{words} Its last word: {last}" if last else words)
