# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Keep secrets out of everything that is shown.

What is a secret is known by its name (``[notification] smtp_password``, ``bind_pw``) or its place
(the password in ``postgres://trac:password@host/db`` or ``rest:https://user:password@host/``). Both
are shown as ``********``. A switch is no secret, whatever its name: ``[components]`` names classes
such as ``acct_mgr.htfile.HtPasswdStore``.
"""

from __future__ import annotations

import functools
import re
import typing as t
from urllib.parse import unquote

MASK = "********"

_SECRET_NAME = re.compile(
    r"passw|passphrase|passcode|secret|token|credential"
    r"|(api|access|private|license|_)_?key$"
    # `smtp_pass`, `bind_pw` and `dbpwd`, but not `bypass`.
    r"|(^|[._-]|smtp|imap|ldap|bind|db|sql|root|admin|user|login|auth|proxy|http)(pass|pw|pwd|psk)$",
    re.IGNORECASE,
)
_SWITCHES = frozenset(
    {
        "enabled",
        "disabled",
        "required",
        "optional",
        "true",
        "false",
        "yes",
        "no",
        "on",
        "off",
        "none",
    }
)
# The password of a URL reaches up to the last @ before white space or the next //. Without looking
# back, each character of a long word would be tried as the first one.
_URL_PASSWORD = re.compile(
    r"(?P<head>(?<![a-z0-9+.-])[a-z0-9+.-]+://[^/\s:@]*:)(?P<secret>\S+)(?=@)", re.IGNORECASE
)
_QUERY_PASSWORD = re.compile(
    r"(?P<head>[?&;]([a-z_]*(passw|secret|token|api_?key)[a-z_]*|([a-z]+_)?(pass|pw|pwd))=)"
    r"(?P<secret>[^&;\s]+)",
    re.IGNORECASE,
)

# Shorter ones would mask half of an unrelated message.
_SHORTEST = 4


@functools.lru_cache(maxsize=4096)
def is_secret(option: str) -> bool:
    """Whether the value of an option of this name is a secret."""
    return bool(_SECRET_NAME.search(option))


def _is_secret_value(option: str, value: str) -> bool:
    return bool(value) and is_secret(option) and value.strip().lower() not in _SWITCHES


def _mask_places(text: str) -> str:
    for pattern in (_URL_PASSWORD, _QUERY_PASSWORD):
        text = pattern.sub(lambda found: found.group("head") + MASK, text)
    return text


def shown(option: str, value: str) -> str:
    """The value of an option as it may be shown."""
    if _is_secret_value(option, value):
        return MASK
    return _mask_places(value)


def secrets_in(option: str, value: str) -> list[str]:
    """The secrets in the value of an option."""
    found = [value] if _is_secret_value(option, value) else []
    if ":" in value or "=" in value:  # most values have neither
        for pattern in (_URL_PASSWORD, _QUERY_PASSWORD):
            found += [match.group("secret") for match in pattern.finditer(value)]
    return found


class Redactor:
    """Masks known secrets in free text, such as the messages of a database driver."""

    def __init__(self) -> None:
        self._secrets: set[str] = set()

    def learn(self, option: str, value: str | None) -> None:
        """Remember the secrets in the value of an option."""
        if not value:
            return
        for secret in secrets_in(option, value):
            self._secrets.update({secret, unquote(secret)})

    @property
    def secrets(self) -> t.AbstractSet[str]:
        """The secrets that can be masked in free text."""
        return {secret for secret in self._secrets if len(secret) >= _SHORTEST}

    def redact(self, text: str) -> str:
        """The text without the secrets."""
        for secret in sorted(self.secrets, key=len, reverse=True):
            text = text.replace(secret, MASK)
        return _mask_places(text)
