# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The releases that the roles work on: the one table of them."""

from __future__ import annotations

import typing as t

# Version -> code name, by the name of the distribution.
RELEASES = {
    "Debian": {"11": "bullseye", "12": "bookworm", "13": "trixie"},
    "Ubuntu": {"22.04": "jammy", "24.04": "noble"},
}


def words() -> str:
    """The releases as a text: C(Debian 11, 12 and 13, and Ubuntu 22.04 and 24.04 LTS)."""
    names = []
    for distribution, releases in RELEASES.items():
        *first, last = releases
        versions = f"{', '.join(first)} and {last}" if first else last
        names.append(f"{distribution} {versions}{' LTS' if distribution == 'Ubuntu' else ''}")
    return ", and ".join(names)


def problem(facts: t.Mapping[str, t.Any]) -> str:
    """Why the roles do not work on a host with these facts; empty if they do."""
    distribution, version = facts["distribution"], str(facts["distribution_version"])
    known = RELEASES.get(distribution, {})
    if version in known or str(facts["distribution_major_version"]) in known:
        return ""
    return (
        f"{distribution} {version} is not supported. Supported are {words()}. "
        "Nothing has been changed."
    )
