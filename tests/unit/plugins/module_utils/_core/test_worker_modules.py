# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a worker is sent is complete: there is no collection where it runs."""

from __future__ import annotations

import json
import subprocess
import sys
import types

import pytest

from ansible_collections.trac.mod_wsgi.plugins.module_utils._backup import worker as backup_worker
from ansible_collections.trac.mod_wsgi.plugins.module_utils._core import (
    answer_shapes,
    sqlite_check,
    worker_process,
)
from ansible_collections.trac.mod_wsgi.plugins.module_utils._doctor import result as doctor_result
from ansible_collections.trac.mod_wsgi.plugins.module_utils._doctor import worker as doctor_worker
from ansible_collections.trac.mod_wsgi.plugins.module_utils._environments import tracignore
from ansible_collections.trac.mod_wsgi.plugins.module_utils._environments import (
    worker as environment_worker,
)
from ansible_collections.trac.mod_wsgi.plugins.module_utils._restore import worker as restore_worker
from ansible_collections.trac.mod_wsgi.plugins.module_utils._trac import (
    database_servers,
    environment_spec,
)
from ansible_collections.trac.mod_wsgi.plugins.module_utils._upgrade import (
    preflight as upgrade_preflight,
)
from ansible_collections.trac.mod_wsgi.plugins.module_utils._upgrade import worker as upgrade_worker

# Stands behind what is sent, in the place of the module that would begin to work.
LAST = types.ModuleType("last.last")
SOURCE = "def serve(payload, output):\n    output.write(payload['word'])\n    output.flush()\n"


@pytest.mark.parametrize(
    "worker",
    [
        pytest.param(module, id=module.__name__.rpartition(".")[2])
        for module in (
            database_servers,
            doctor_worker,
            sqlite_check,
            backup_worker,
            upgrade_preflight,
            restore_worker,
            upgrade_worker,
            environment_worker,
        )
    ],
)
def test_every_module_finds_those_that_it_imports(worker: types.ModuleType) -> None:
    task = json.loads(worker_process.request(worker, {"word": "complete"}))
    assert task["modules"][-1][0] == worker.__name__  # the loader has the last one serve
    task["modules"].append([LAST.__name__, SOURCE])
    result = subprocess.run(
        worker_process.command(sys.executable),
        input=json.dumps(task),
        capture_output=True,
        text=True,
        cwd="/",
        check=False,
    )
    assert result.stdout == "complete", result.stderr


def test_modules_out_of_packages_are_sent_once_and_packages_never() -> None:
    """`from package import module` sends the module, `from package.module import name`, too."""
    task = json.loads(worker_process.request(environment_worker, {}))
    names = [name for name, dummy in task["modules"]]
    root = worker_process.__name__.rpartition("._core.")[0]
    for needed in ("_trac.ini", "_trac.environment_spec", "_copies.hot_copy", "_core.sync"):
        assert names.count(f"{root}.{needed}") == 1
    assert not {name for name in names if name.count(".") <= root.count(".") + 1}


def test_reports_and_results_are_understood() -> None:
    """What workers send is what is looked for in it."""
    report = environment_spec.Report("project").to_json()
    assert answer_shapes.problem({"event": "report", "report": report}) is None
    result = doctor_result.Result("disk_space", "ok", "seen").to_json()
    assert answer_shapes.problem({"event": "result", "result": result}) is None
    update = tracignore.Update(None, "text", ["*"])
    event = json.loads(json.dumps({"event": "tracignore", "failure": None, "update": update}))
    assert answer_shapes.problem(event) is None
    assert answer_shapes.problem({"event": "report", "report": {**report, "changes": 5}})
    assert answer_shapes.problem({"event": "report", "report": {"name": "project"}})
