# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the doctor says of backups, and of what runs have left unfinished."""

from __future__ import annotations

import json
import os
import pathlib
import typing as t

import pytest

from ansible_collections.trac.mod_wsgi.plugins.module_utils._doctor import backups, unfinished

HOUR = 3600
BACKUPS = [
    ({"last_success": -3 * HOUR, "last_error": None, "file": "/b"}, "ok", "3 hours ago"),
    ({"last_success": -3 * HOUR, "last_error": None}, "ok", "3 hours ago"),
    ({"last_success": -50 * HOUR, "last_error": None, "file": "/b"}, "failed", "50 hours old"),
    ({"last_success": -50 * HOUR, "last_error": "no space"}, "failed", "no space"),
    ({"last_success": -3 * HOUR, "last_error": "no space"}, "failed", "failed: no space"),
    ({"last_success": None, "last_error": "no space"}, "failed", "never been backed up with"),
    ({"last_success": -3 * HOUR, "last_error": None, "file": "/gone"}, "failed", "not there"),
    (None, "warning", "has not been backed up yet"),
]


@pytest.mark.parametrize(("entry", "status", "words"), BACKUPS)
def test_backups(entry: dict[str, t.Any] | None, status: str, words: str) -> None:
    now = 2_000_000_000
    entries = {}
    if entry is not None:
        last = entry["last_success"]
        entries["one"] = {**entry, "last_success": None if last is None else now + last}
    text = json.dumps({"environments": entries})
    (result,) = backups.check_backups(text, "/status", ["one"], 26, now, lambda path: path == "/b")
    assert result.status == status
    assert words in result.seen


@pytest.mark.parametrize(
    ("text", "status"),
    [
        (None, "warning"),
        ("{", "failed"),
        ("[]", "failed"),
        ('{"environments": {"one": 1}}', "failed"),
    ],
)
def test_no_status_of_backups(text: str | None, status: str) -> None:
    (result,) = backups.check_backups(text, "/status", ["one"], 26)
    assert result.status == status
    assert "/status" in result.seen


def test_what_concerns_no_single_environment() -> None:
    text = json.dumps({"environments": {"one": {"last_success": 7200}}, "last_error": "no route"})
    general, one = backups.check_backups(text, "/status", ["one"], 26, 7200)
    assert (general.status, one.status) == ("failed", "ok")
    assert "no route" in general.seen


# -- journals


@pytest.mark.parametrize(
    ("content", "status"),
    [
        ('{"version": 1, "before": {"/etc/x": {}}}', "failed"),
        ('{"environments": {}}', "ok"),
        ("[]", "ok"),
        ("{", "ok"),
        (None, "ok"),
    ],
)
def test_journals(content: str | None, status: str, tmp_path: pathlib.Path) -> None:
    if content is not None:
        (tmp_path / "x.json").write_text(content, encoding="ascii")
    (result,) = unfinished.check_transactions(str(tmp_path))
    assert result.status == status
    if status == "failed":
        assert "/etc/x" in result.seen
        assert os.path.join(str(tmp_path), "x.json") in result.seen


@pytest.mark.parametrize("content", [None, "{}", "half wri"])
def test_nothing_is_out_of_service(content: str | None, tmp_path: pathlib.Path) -> None:
    path = tmp_path / ".out-of-service"
    if content is not None:
        path.write_text(content, encoding="ascii")
    (result,) = unfinished.check_out_of_service(str(path))
    assert result.status == "ok"


def test_what_is_out_of_service_is_named_with_its_reason(tmp_path: pathlib.Path) -> None:
    path = tmp_path / ".out-of-service"
    path.write_text('{"two": "half upgraded", "one": "crashed"}', encoding="ascii")
    found = list(unfinished.check_out_of_service(str(path)))
    assert [(each.status, each.subject, each.seen) for each in found] == [
        ("failed", "environment one", "crashed"),
        ("failed", "environment two", "half upgraded"),
    ]
