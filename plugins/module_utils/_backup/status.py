# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How the backups of each environment went last: a file for people and monitoring.

::

    {"environments": {"project": {"last_success": 1801310400, "last_error": null,
                                  "file": "/var/backups/trac/project-20270131T120000Z.tar.gz"}},
     "last_run": 1801310400, "last_error": null}

Times are seconds since 1970. An error is `null` after a success. The outer `last_error` is that of
what concerns no single environment, such as a second place that cannot be reached.
"""

from __future__ import annotations

import contextlib
import json
import os
import typing as t

from ansible_collections.trac.mod_wsgi.plugins.module_utils._backup import backup_files
from ansible_collections.trac.mod_wsgi.plugins.module_utils._core import paths
from ansible_collections.trac.mod_wsgi.plugins.module_utils._core.sync import (
    make_directory,
    sync_directory,
)

PATH = f"{paths.STATE_DIR}/backup.json"

Document = t.Dict[str, t.Any]


def read(path: str) -> Document:
    """The file; an empty one if it is missing or damaged."""
    with contextlib.suppress(OSError, ValueError), open(path, "rb") as file:
        document = json.loads(file.read())
        if isinstance(document, dict) and isinstance(document.get("environments"), dict):
            found = document["environments"].items()
            document["environments"] = {k: v for k, v in found if isinstance(v, dict)}
            return document
    return {"environments": {}}


def update(
    path: str,
    now: float,
    made: t.Mapping[str, backup_files.Backup],
    failures: t.Mapping[str, str],
    existing: t.Collection[str] | None,
    error: str | None,
) -> None:
    """Note how a run went.

    What is said of environments that exist no more is dropped, unless nobody knows which exist.
    """
    document = read(path)
    environments: dict[str, Document] = document["environments"]
    for name, backup in made.items():
        environments[name] = {
            "last_success": int(backup.made),
            "last_error": None,
            "file": backup.path,
        }
    for name, failure in failures.items():
        entry = environments.setdefault(name, {"last_success": None, "file": None})
        entry["last_error"] = failure
    if existing is not None:
        kept = {*existing, *failures}
        environments = {name: entry for name, entry in environments.items() if name in kept}
    _write(path, {"environments": environments, "last_run": int(now), "last_error": error})


def _write(path: str, document: Document) -> None:
    directory = os.path.dirname(path)
    make_directory(directory, 0o755)
    temporary = f"{path}.new"
    with contextlib.suppress(FileNotFoundError):
        os.unlink(temporary)
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
    with open(descriptor, "w", encoding="utf-8") as file:
        os.fchmod(descriptor, 0o644)
        file.write(json.dumps(document, indent=2, sort_keys=True, ensure_ascii=False) + "\n")
        file.flush()
        os.fsync(descriptor)
    os.replace(temporary, path)
    sync_directory(directory)
