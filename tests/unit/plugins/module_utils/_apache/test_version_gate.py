# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The rule about mod_wsgi's versions, as a table."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.trac.mod_wsgi.plugins.module_utils._apache.version_gate import (
    judge,
    parse_version,
)

ACCEPTED = [
    "1.3",
    "1.3.0",
    "1.3.1",
    "1.3-2",
    "1:1.3.1-1",
    "2.3",
    "2.3.1",
    "2.3-1",
    "2.3+b1",
    "2.3.1c1",
    "2.4",
    "2.4~rc1",
    "2.10",
    "3",
    "3.5",
    "4.5.17-1ubuntu1.1",
    "4.6.8.post1",
    "4.7.1-3+deb11u1",
    "4.9.4",
    "4.9.4-1+b2",
    "4.9.4-1~bpo11+1",
    "4.9.4+dfsg-1",
    "1:4.9.4-1",
    "5.0.0-1build2",
    "5.0.2",
    "5.0.2-1",
    "6.1.1",
    "10.0",
]

REFUSED = [
    "0.9",
    "1",
    "1.0",
    "1.2",
    "1.2.9",
    "1.3~rc1",
    "1.3c1",
    "1.4",
    "1.6",
    "1.6-1",
    "1.10",
    "1.30",
    "2",
    "2.0",
    "2.0-1",
    "2.0.9",
    "2.1",
    "2.2",
    "2.2-3+deb5u1",
    "2.2.99",
    "2.3~rc1",
    "2.3~rc1-1",
    "2.3c1",
    "2.3rc2-1",
    "5:2.0-1",  # an epoch says nothing about the release
    "9:1.4",
    "02.00",
]

NONSENSE: list[Any] = [
    "",
    " ",
    "(none)",
    "latest",
    "v4.9.4",
    "4.9.4 ",
    " 4.9.4",
    "4.9.4\n",
    "4..9",
    ".4",
    "4.",
    "4.9.4-",
    "4.9.4--1",
    "4.9.4~",
    "-1",
    ":4.9",
    "x:4.9",
    "1:2:3",
    "4,9",
    "4.9 4",
    "٤.٩",
    "4.9.4; rm -rf /",
    None,
    True,
    2.3,
    4.9,
    5,
    [4, 9, 4],
]


@pytest.mark.parametrize("version", ACCEPTED)
def test_accepts(version: str) -> None:
    verdict = judge(version)
    assert verdict.accepted
    assert verdict.message == f"mod_wsgi {version} serves Trac."


@pytest.mark.parametrize("version", REFUSED)
def test_refuses_with_what_was_found_what_is_accepted_and_why(version: str) -> None:
    verdict = judge(version)
    assert not verdict.accepted
    assert f"mod_wsgi {version} does not serve Trac" in verdict.message
    assert "1.3 (and 1.3.x) and everything from 2.3 on" in verdict.message
    assert "The 2.0 line breaks attachment downloads (Trac ticket #7205)" in verdict.message
    assert verdict.warnings == ()


@pytest.mark.parametrize("version", NONSENSE)
def test_refuses_nonsense(version: Any) -> None:
    verdict = judge(version)
    assert not verdict.accepted
    assert "cannot be read as a version" in verdict.message
    assert "1.3 (and 1.3.x) and everything from 2.3 on" in verdict.message


def test_quotes_nonsense_in_short() -> None:
    assert len(judge("x" * 10_000).message) < 250
    assert "a float, not text; put it between quotes" in judge(4.9).message


FILE_WRAPPER = "file wrapper"
CVE = "CVE-2022-2255"


@pytest.mark.parametrize(
    ("version", "expected"),
    [
        ("1.3", [FILE_WRAPPER, CVE]),
        ("2.3.1-1", [FILE_WRAPPER, CVE]),
        ("2.4~rc1", [FILE_WRAPPER, CVE]),
        ("2.4", [CVE]),
        ("3.5", [CVE]),
        ("4.9.2", [CVE]),
        ("4.9.3~rc1", [CVE]),
        ("4.9.3", []),
        ("4.9.4-1+b2", []),
        ("4.10", []),
        ("5.0.2", []),
        ("6.1.1", []),
        # A package of a distribution that has the fix, one that has not, and upstream's own.
        ("4.7.1-3+deb11u1", []),
        ("4.7.1-3+deb11u2", []),
        ("4.7.1-3+deb11u1+b1", []),
        ("4.7.1-3", [CVE]),
        ("4.7.1-3+b1", [CVE]),
        ("4.7.1", [CVE]),
        ("4.6.5-1+deb10u1", []),
        ("4.6.5-1", [CVE]),
        ("4.6.8-1ubuntu3.1", []),
        ("4.6.8-1ubuntu3", [CVE]),
        ("4.6.8-1ubuntu4", [CVE]),
        ("4.5.17-1ubuntu1.1", []),
        ("4.5.17-1ubuntu1", [CVE]),
        ("4.9.0-1ubuntu0.1", []),
        ("4.9.0-1build1", [CVE]),
        ("4.9.0-1", [CVE]),
        ("4.9.0-1.1", []),
        ("4.9.0-1.1+b1", []),
        ("4.9.0-1.0", [CVE]),
        ("4.9.1-3+deb11u1", [CVE]),
    ],
)
def test_warns(version: str, expected: list[str]) -> None:
    verdict = judge(version)
    assert verdict.accepted
    assert len(verdict.warnings) == len(expected)
    for warning, word in zip(verdict.warnings, expected):
        assert word in warning
        assert f"mod_wsgi {version} " in warning


@pytest.mark.parametrize(
    ("text", "upstream", "revision"),
    [
        ("4.9.4", "4.9.4", ""),
        ("4.9.4-1+b2", "4.9.4", "1+b2"),
        ("2:4.7.1-3+deb11u1", "4.7.1", "3+deb11u1"),
        ("4.6.8.post1", "4.6.8", ""),
        ("4.9.4+dfsg-1-2", "4.9.4", "2"),
    ],
)
def test_reads_the_parts_of_a_version(text: str, upstream: str, revision: str) -> None:
    version = parse_version(text)
    assert version is not None
    assert (version.upstream, version.revision) == (upstream, revision)
