# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which versions of mod_wsgi serve Trac.

Accepted are 1.3 with its point releases, and everything from 2.3 on. The 2.0 line breaks
attachment downloads (Trac ticket #7205).

Two things are worth a warning on a version that is accepted:

* below 2.4 the file wrapper returns empty responses in some configurations;
* below 4.9.3 CVE-2022-2255 is open (an untrusted client's C(X-Client-IP) header reaches the
  application), unless the distribution has backported the fix. The backports known here, each
  read in the advisory named and, save buster's, in the package's own changelog:

  * Debian 10 buster: 4.6.5-1+deb10u1 (https://www.debian.org/lts/security/2022/dla-3111)
  * Debian 11 bullseye: 4.7.1-3+deb11u1 (https://bugs.debian.org/1016476)
  * Debian unstable, before 4.9.4: 4.9.0-1.1 (https://bugs.debian.org/1016476)
  * Ubuntu 18.04 bionic: 4.5.17-1ubuntu1.1 (https://ubuntu.com/security/notices/USN-5551-1)
  * Ubuntu 20.04 focal: 4.6.8-1ubuntu3.1 (the same notice)
  * Ubuntu 22.04 jammy: 4.9.0-1ubuntu0.1 (the same notice)
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

ACCEPTED = "Accepted are 1.3 (and 1.3.x) and everything from 2.3 on"
REASON = (
    "The 2.0 line breaks attachment downloads (Trac ticket #7205), and of the versions before 2.3"
    " only 1.3 is known to work"
)

WARN_FILE_WRAPPER = (
    "mod_wsgi {version} is older than 2.4: its file wrapper returns empty responses in some"
    " configurations. Upgrade it."
)
WARN_CVE_2022_2255 = (
    "mod_wsgi {version} is older than 4.9.3 and not known to carry a distribution's fix for"
    " CVE-2022-2255 (the X-Client-IP header of an untrusted client reaches the application)."
    " Upgrade it, or do not trust that header."
)

# [epoch:]upstream[-revision], as in deb-version(7); upstream has to start with its numbers.
_VERSION = re.compile(
    r"""
    (?: (?P<epoch> [0-9]+ ) : )?
    (?P<release> [0-9]+ (?: \. [0-9]+ )* )
    (?P<suffix> (?: (?: \.? [A-Za-z] | [~+] [A-Za-z0-9] ) [A-Za-z0-9.+~]* )? )
    (?: - [A-Za-z0-9.+~]+ )*?
    (?: - (?P<revision> [A-Za-z0-9.+~]+ ) )?
    """,
    re.VERBOSE | re.ASCII,
)
# 2.3c1, 3.0rc2, 2.3~anything come before the release they are named after.
_PRE_RELEASE = re.compile(r"~|\.?(?:a|b|c|rc|alpha|beta|pre|dev)(?![a-z])", re.ASCII)

# Upstream release -> revisions that carry the fix: what the revision starts with, and from
# which number on. A later build of the same line ("+b1", "+deb11u2", "ubuntu3.2") has it too.
_CVE_2022_2255_BACKPORTS: dict[tuple[int, ...], tuple[tuple[str, int], ...]] = {
    (4, 5, 17): (("1ubuntu1.", 1),),
    (4, 6, 5): (("1+deb10u", 1),),
    (4, 6, 8): (("1ubuntu3.", 1),),
    (4, 7, 1): (("3+deb11u", 1),),
    (4, 9, 0): (("1.", 1), ("1ubuntu0.", 1)),
}


@dataclass(frozen=True)
class Version:
    """A version of mod_wsgi as a package manager or mod_wsgi itself writes it."""

    text: str
    release: tuple[int, ...]
    pre_release: bool
    revision: str

    @property
    def upstream(self) -> str:
        """The release in upstream's own writing, without epoch and revision."""
        return ".".join(str(number) for number in self.release)

    def at_least(self, *wanted: int) -> bool:
        """Whether this is the wanted release or a later one; 2.3~rc1 comes before 2.3."""
        width = max(len(self.release), len(wanted))
        own, other = _padded(self.release, width), _padded(wanted, width)
        return own > other or (own == other and not self.pre_release)


@dataclass(frozen=True)
class Verdict:
    """Whether a version serves Trac, in words for the person who has to act."""

    accepted: bool
    message: str
    warnings: tuple[str, ...] = ()


def _padded(numbers: tuple[int, ...], width: int) -> tuple[int, ...]:
    return numbers + (0,) * (width - len(numbers))


def parse_version(text: str) -> Version | None:
    """Read a version; C(None) when it cannot be read as one."""
    match = _VERSION.fullmatch(text)
    if match is None:
        return None
    return Version(
        text=text,
        release=tuple(int(number) for number in match.group("release").split(".")),
        pre_release=_PRE_RELEASE.match(match.group("suffix")) is not None,
        revision=match.group("revision") or "",
    )


def judge(text: Any) -> Verdict:
    """Say whether this version of mod_wsgi serves Trac, and what to know about it."""
    version = parse_version(text) if isinstance(text, str) else None
    if version is None:
        return Verdict(
            False, f"{_shown(text)} cannot be read as a version of mod_wsgi. {ACCEPTED}."
        )
    if not _accepted(version):
        return Verdict(False, f"mod_wsgi {version.text} does not serve Trac. {ACCEPTED}. {REASON}.")
    return Verdict(True, f"mod_wsgi {version.text} serves Trac.", _warnings(version))


def _shown(text: Any) -> str:
    if isinstance(text, str):
        return repr(text if len(text) <= 60 else text[:60] + "…")
    return f"{str(text)[:60]!r} (a {type(text).__name__}, not text; put it between quotes)"


def _accepted(version: Version) -> bool:
    if version.at_least(2, 3):
        return True
    return version.release[:2] == (1, 3) and version.at_least(1, 3)


def _warnings(version: Version) -> tuple[str, ...]:
    warnings = []
    if not version.at_least(2, 4):
        warnings.append(WARN_FILE_WRAPPER.format(version=version.text))
    if not version.at_least(4, 9, 3) and not _has_backport(version):
        warnings.append(WARN_CVE_2022_2255.format(version=version.text))
    return tuple(warnings)


def _has_backport(version: Version) -> bool:
    for prefix, first in _CVE_2022_2255_BACKPORTS.get(version.release, ()):
        if version.revision.startswith(prefix):
            number = re.match(r"[0-9]+", version.revision[len(prefix) :])
            if number is not None and int(number.group()) >= first:
                return True
    return False
