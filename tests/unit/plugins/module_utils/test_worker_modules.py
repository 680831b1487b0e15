# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a worker is sent is complete: there is no collection where it runs."""

from __future__ import annotations

import json
import subprocess
import sys
import types
import typing as t

import pytest

from ansible_collections.trac.mod_wsgi.plugins.module_utils import (
    _backup_run,
    _doctor,
    _restore_run,
    _worker_process,
)
from ansible_collections.trac.mod_wsgi.plugins.modules import (
    trac_environments,
    trac_preflight_info,
    trac_upgrade,
)

# Stands behind what is sent, in the place of the module that would begin to work.
LAST = types.ModuleType("last.last")
SOURCE = "def serve(payload, output):\n    output.write(payload['word'])\n    output.flush()\n"


@pytest.mark.parametrize(
    "modules",
    [
        pytest.param(module.WORKER_MODULES, id=module.__name__.rpartition(".")[2])
        for module in (
            trac_environments,
            trac_preflight_info,
            trac_upgrade,
            _backup_run,
            _doctor,
            _restore_run,
        )
    ],
)
def test_every_module_finds_those_that_it_imports(modules: t.Sequence[types.ModuleType]) -> None:
    task = json.loads(_worker_process.request(modules, {"word": "complete"}))
    task["modules"].append([LAST.__name__, SOURCE])
    result = subprocess.run(
        _worker_process.command(sys.executable),
        input=json.dumps(task),
        capture_output=True,
        text=True,
        cwd="/",
        check=False,
    )
    assert result.stdout == "complete", result.stderr
