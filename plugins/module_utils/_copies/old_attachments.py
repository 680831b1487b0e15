# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Attached files of Trac before 1.0, which its upgrade moves to where they are since then.

Trac 0.12 and older kept an attachment in `attachments`, under its quoted name. Trac's upgrade looks
for that name, quotes it as Python 3 does, and leaves a file that it does not find where it is,
without a word: nobody can read it any more. Python 2 quoted a tilde, which Python 3 does not.
"""

from __future__ import annotations

import os
import typing as t

from ansible_collections.trac.mod_wsgi.plugins.module_utils._trac.attachments import (
    TILDE,
    TILDE_OF_PYTHON_2,
)
from ansible_collections.trac.mod_wsgi.plugins.module_utils._trac.environment_spec import (
    EnvironmentFailure,
)

_MOVED_BY = 28  # the version of the database of which the upgrade moves them


def _directory(environment: t.Any) -> str | None:
    """The old directory, if there is one, and its files are going to be moved."""
    from trac.db.api import DatabaseManager

    path = os.path.join(environment.path, "attachments")
    if not os.path.isdir(path):
        return None
    version = int(DatabaseManager(environment).get_database_version())
    return path if version < _MOVED_BY else None


def check(environment: t.Any) -> None:
    """Refuse what Trac's upgrade cannot move: it renames, which ends at a file system's border."""
    path = _directory(environment)
    if path is not None and _device(path) != _device(environment.path):
        raise EnvironmentFailure(
            f"{path} is on another file system than the environment, and Trac's upgrade moves its "
            f"files to {environment.path}/files/attachments by renaming them, which fails; move "
            "the directory into the environment first"
        )


def _device(path: str) -> int:
    return os.stat(path).st_dev


def prepare(environment: t.Any) -> None:
    """Give the files the names under which Trac's upgrade looks for them."""
    path = _directory(environment)
    if path is None:
        return
    for directory, directories, files in os.walk(path, topdown=False):
        for name in directories + files:
            wanted = os.path.join(directory, name.replace(TILDE_OF_PYTHON_2, TILDE))
            if not wanted.endswith(os.sep + name) and not os.path.lexists(wanted):
                os.rename(os.path.join(directory, name), wanted)
