# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an upgrade finds of single-file plugins, before it says that there is nothing to do."""

from __future__ import annotations

import json
import os
import pathlib
import subprocess
import sys
import typing as t

TOP = pathlib.Path(__file__).resolve().parents[3]
PLAYBOOK: list[dict[str, t.Any]] = [
    {
        "hosts": "localhost",
        "connection": "local",
        "gather_facts": False,
        "tasks": [
            {
                "ansible.builtin.include_role": {
                    "name": "trac.mod_wsgi.trac_runtime",
                    "tasks_from": "look.yml",
                }
            },
            {
                "ansible.builtin.copy": {
                    "content": "{{ __trac_runtime_missing_files | to_json }}",
                    "dest": "{{ found }}",
                    "mode": "0600",
                }
            },
        ],
    }
]


def test_missing_and_differing_single_file_plugins_are_found(tmp_path: pathlib.Path) -> None:
    listed, installed = tmp_path / "listed", tmp_path / "home" / "plugins"
    installed.mkdir(parents=True)
    listed.mkdir()
    for name in ("same.py", "differs.py", "missing.py"):
        (listed / name).write_text(f"# {name}\n")
    (installed / "same.py").write_text("# same.py\n")
    (installed / "differs.py").write_text("# of last year\n")
    playbook, found = tmp_path / "look.yml", tmp_path / "found.json"
    playbook.write_text(json.dumps(PLAYBOOK))
    variables = {
        "found": str(found),
        "trac_runtime_venv": sys.prefix,
        "trac_runtime_home": str(tmp_path / "home"),
        "trac_runtime_plugins": [{"file": str(path)} for path in sorted(listed.iterdir())],
        "ansible_python_interpreter": sys.executable,
    }
    program = pathlib.Path(sys.executable).with_name("ansible-playbook")
    subprocess.run(
        [program, "-i", "localhost,", "--extra-vars", json.dumps(variables), playbook],
        cwd=TOP,
        env={**os.environ, "ANSIBLE_CONFIG": str(TOP / "ansible.cfg")},
        check=True,
        capture_output=True,
    )
    assert json.loads(found.read_text()) == ["differs.py", "missing.py"]
