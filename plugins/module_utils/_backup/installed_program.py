# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The files of the program trac-backup on a host."""

from __future__ import annotations

import os
import sys

from ansible_collections.trac.mod_wsgi.plugins.module_utils._backup import program as backup_program
from ansible_collections.trac.mod_wsgi.plugins.module_utils._core import worker_process

PROGRAM = "trac-backup"


START = """\
#!{python} -IB
# Made by the Ansible collection trac.mod_wsgi; changes are overwritten.
import sys

sys.path.insert(0, {path!r})
from ansible_collections.trac.mod_wsgi.plugins.module_utils._backup import program

raise SystemExit(program.main())
"""


def program_files(path: str) -> dict[str, str]:
    """The program's files, by their paths below a directory."""
    # Not the interpreter of this run, which may be gone after an upgrade of the host.
    python = "/usr/bin/python3" if os.path.exists("/usr/bin/python3") else sys.executable
    files = {PROGRAM: START.format(python=python, path=path)}
    for module in worker_process.with_imports(backup_program):
        *packages, name = module.__name__.split(".")
        files[os.path.join(*packages, f"{name}.py")] = worker_process.source(module)
        for end in range(1, len(packages) + 1):
            # A package of the same name elsewhere must not win over these.
            files.setdefault(os.path.join(*packages[:end], "__init__.py"), "")
    return files


def existing(path: str) -> list[str]:
    found = []
    for directory, _directories, names in os.walk(path):
        found += [os.path.relpath(os.path.join(directory, name), path) for name in names]
    return found


def is_current(path: str, text: str, mode: int) -> bool:
    try:
        with open(path, encoding="utf-8") as file:
            same = file.read() == text
        status = os.lstat(path)
    except (OSError, ValueError):
        return False
    return same and status.st_mode & 0o7777 == mode and status.st_uid == os.geteuid()


def write(path: str, text: str, mode: int) -> None:
    directory = os.path.dirname(path)
    missing = []
    while not os.path.isdir(directory):
        missing.append(directory)
        directory = os.path.dirname(directory)
    for each in reversed(missing):
        os.mkdir(each)
        os.chmod(each, 0o755)  # noqa: S103  (a program that everybody may read)
    temporary = f"{path}.new"
    with open(temporary, "w", encoding="utf-8") as file:
        os.fchmod(file.fileno(), mode)
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, path)
