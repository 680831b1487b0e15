# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the doctor says of certificates."""

from __future__ import annotations

import datetime
import pathlib

import pytest

from ansible_collections.trac.mod_wsgi.plugins.module_utils._doctor import (
    certificate as doctor_certificate,
)

EXPIRED = pathlib.Path(__file__).parents[5] / "molecule" / "doctor" / "files" / "expired.pem"
UTC = datetime.timezone.utc


def test_the_dates_of_a_certificate() -> None:
    assert doctor_certificate.read(str(EXPIRED)) == (
        datetime.datetime(2024, 1, 1, tzinfo=UTC),
        datetime.datetime(2024, 6, 1, tzinfo=UTC),
    )


@pytest.mark.parametrize(
    ("now", "status", "words"),
    [
        (datetime.datetime(2023, 12, 31, tzinfo=UTC), "failed", "valid from 2024-01-01 only"),
        (datetime.datetime(2024, 2, 1, tzinfo=UTC), "ok", "121 days left"),
        (datetime.datetime(2024, 5, 20, tzinfo=UTC), "warning", "in 12 days"),
        (datetime.datetime(2024, 6, 11, tzinfo=UTC), "failed", "on 2024-06-01, 10 days ago"),
    ],
)
def test_certificates(now: datetime.datetime, status: str, words: str) -> None:
    (result,) = doctor_certificate.judge([str(EXPIRED), str(EXPIRED)], 21, now)
    assert result.status == status
    assert words in result.seen


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "cannot be read: No such file"),
        ("", "no certificate in PEM format"),
        ("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "it is no certificate"),
        ("-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n", "it is no certificate"),
        ("cut", "it is cut off"),
    ],
)
def test_what_is_no_certificate(content: str | None, words: str, tmp_path: pathlib.Path) -> None:
    path = tmp_path / "x.pem"
    if content == "cut":
        lines = EXPIRED.read_text(encoding="ascii").splitlines()
        content = "\n".join([*lines[:3], lines[-1]])
    if content is not None:
        path.write_text(content, encoding="ascii")
    (result,) = doctor_certificate.judge([str(path)], 21)
    assert result.status == "failed"
    assert words in result.seen


def test_no_certificates() -> None:
    (result,) = doctor_certificate.judge([], 21)
    assert result.status == "skipped"
    assert "Not applicable" in result.seen
