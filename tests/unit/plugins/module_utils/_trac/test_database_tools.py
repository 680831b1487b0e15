# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tools of database servers that do not end."""

from __future__ import annotations

import contextlib
import os
import tempfile
import typing as t

import pytest

from ansible_collections.trac.mod_wsgi.plugins.module_utils._trac import database_tools
from ansible_collections.trac.mod_wsgi.plugins.module_utils._trac.environment_spec import (
    EnvironmentFailure,
)


def test_a_tool_that_does_not_end_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database_tools, "LONGEST", 1)
    with pytest.raises(EnvironmentFailure, match="sleep was killed; it may take 1 seconds"):
        database_tools.run(["sleep", "600"], os.environ)


def test_a_tool_that_reads_no_more_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database_tools, "LONGEST", 1)
    with tempfile.TemporaryFile() as errors, database_tools.started(
        ["sleep", "600"], os.environ, errors
    ) as process:
        with contextlib.suppress(BrokenPipeError), t.cast(t.IO[bytes], process.stdin) as stream:
            stream.write(b"x" * 10_000_000)
        with pytest.raises(EnvironmentFailure, match="sleep was killed"):
            database_tools.finish(process, "sleep", errors)
