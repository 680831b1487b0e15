# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Mask secrets in messages, diffs and results.

A secret is recognised by its name (``[notification] smtp_password``, ``bind_pw``) or its place (the
password in ``postgres://trac:password@host/db`` or ``rest:https://user:password@host/``). Both are
shown as ``********``. Nothing in ``[components]`` is a secret, where options are the names of
classes such as ``acct_mgr.htfile.HtPasswdStore``, nor is a boolean, whatever its name, or an option
about how passwords are kept (``htpasswd_file``, ``password_store``).
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
# Options about the storage or the form of secrets, not secrets themselves.
_ABOUT_SECRETS = re.compile(
    r"[._-](file|path|dir|directory|store|stores|length|format|method|policy|expiry|realm|chars)$",
    re.IGNORECASE,
)
_COMPONENTS = "components"
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

# Masking these everywhere would make messages unreadable ("/srv/********/environments") and
# disclose the secret to readers who know the path. They are masked in URLs and by the name of
# their option only.
_SHORTEST = 4
_COMMON = re.compile(
    r"[0-9]{1,5}|trac|tracuser|admin|administrator|root|user|users|test|guest|demo|project|projects"
    r"|postgres|postgresql|mysql|mariadb|sqlite|database|localhost|password|passwd|secret|token"
    r"|default|anonymous|authenticated|auto|file|path|home|none|null|enable|disable|always|never",
    re.IGNORECASE,
)


@functools.lru_cache(maxsize=4096)
def is_secret(option: str) -> bool:
    """Whether the value of an option of this name is a secret."""
    return bool(_SECRET_NAME.search(option)) and not _ABOUT_SECRETS.search(option)


def _is_secret_value(option: str, value: str, section: str) -> bool:
    return (
        bool(value)
        and section.strip().lower() != _COMPONENTS
        and is_secret(option)
        and value.strip().lower() not in _SWITCHES
    )


def _mask_places(text: str) -> str:
    for pattern in (_URL_PASSWORD, _QUERY_PASSWORD):
        text = pattern.sub(lambda found: found.group("head") + MASK, text)
    return text


def shown(option: str, value: str, section: str = "") -> str:
    """Return the value of an option, in a section of trac.ini perhaps, with its secrets masked."""
    if _is_secret_value(option, value, section):
        return MASK
    return _mask_places(value)


def secrets_in(option: str, value: str, section: str = "") -> list[str]:
    """The secrets in the value of an option."""
    found = [value] if _is_secret_value(option, value, section) else []
    if ":" in value or "=" in value:  # most values have neither
        for pattern in (_URL_PASSWORD, _QUERY_PASSWORD):
            found += [match.group("secret") for match in pattern.finditer(value)]
    return found


class Redactor:
    """Masks known secrets in free text, such as the messages of a database driver."""

    def __init__(self) -> None:
        self._secrets: set[str] = set()

    def learn(self, option: str, value: str | None, section: str = "") -> None:
        """Remember the secrets in the value of an option."""
        if not value:
            return
        for secret in secrets_in(option, value, section):
            self._secrets.update({secret, unquote(secret)})

    @property
    def secrets(self) -> t.AbstractSet[str]:
        """The secrets that can be masked in free text."""
        return {
            secret
            for secret in self._secrets
            if len(secret) >= _SHORTEST and not _COMMON.fullmatch(secret)
        }

    def redact(self, text: str) -> str:
        """The text without the secrets."""
        for secret in sorted(self.secrets, key=len, reverse=True):
            text = text.replace(secret, MASK)
        return _mask_places(text)
