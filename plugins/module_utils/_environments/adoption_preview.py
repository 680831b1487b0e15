# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""In check mode: copies of environments that are not the service account's yet, for it to look at.

Root only reads the originals, as _environments.adoption_copy does, and gives the copies away;
SQLite and Trac are run by the service account. A copy is in a directory of root's, which that
account can pass through.
"""

from __future__ import annotations

import contextlib
import os

from ansible_collections.trac.mod_wsgi.plugins.module_utils._core.held_directory import (
    abandoned,
    held_directory,
)
from ansible_collections.trac.mod_wsgi.plugins.module_utils._environments import (
    adoption_copy,
    adoption_database,
    preview_room,
)
from ansible_collections.trac.mod_wsgi.plugins.module_utils._environments.adoption import (
    DIRECTORY_FLAGS,
    Owner,
    opened,
    shown,
)
from ansible_collections.trac.mod_wsgi.plugins.module_utils._environments.preview_room import (
    NotTried,
)
from ansible_collections.trac.mod_wsgi.plugins.module_utils._trac.environment_spec import (
    EnvironmentSpec,
)


def made(
    stack: contextlib.ExitStack,
    source: str,
    spec: EnvironmentSpec,
    owner: Owner,
    python: str,
    database: str | None = None,
) -> str:
    """Copy an environment for a preview; NotTried where that is not possible.

    :param stack: removes the copy
    :param python: an interpreter that the service account can run
    :param database: another [trac] database for the copy
    """
    try:
        return _made(stack, source, spec, owner, python, database)
    except OSError as e:
        raise NotTried(f"it could not be copied: {e.strerror}: {e.filename or source}") from e


def _made(
    stack: contextlib.ExitStack,
    source: str,
    spec: EnvironmentSpec,
    owner: Owner,
    python: str,
    database: str | None,
) -> str:
    room = preview_room.DIRECTORY
    abandoned(room, preview_room.LEFT_BEHIND)
    original = _surveyed(source, spec, owner)
    preview_room.check({path: each.st_size for path, each in original.files.items()}, room)
    held = stack.enter_context(held_directory(room, preview_room.PREFIX))
    copy = os.path.join(held, spec.name)
    os.mkdir(copy, 0o700)
    os.chown(held, -1, owner.gid)
    os.chmod(held, 0o710)  # noqa: S103
    with opened(copy, DIRECTORY_FLAGS) as target:
        with opened(source, DIRECTORY_FLAGS) as top:
            adoption_copy.fill(top, target, original, owner, preview_room.is_hollow)
        changed = adoption_copy.changed(original, _surveyed(source, spec, owner))
        if changed:
            raise NotTried(
                f"{source} was written to while it was copied (stop its site first): "
                + ", ".join(shown(changed))
            )
        if database is not None:
            adoption_copy.set_database(target, database, spec.adopt_encoding, owner)
        if spec.adopt_from is not None:  # a run does so, too
            adoption_copy.check_databases(copy, target, original, owner, python)
        os.fchown(target, *owner)
        os.fchmod(target, 0o700)
    return copy


def _surveyed(source: str, spec: EnvironmentSpec, owner: Owner) -> adoption_copy.Original:
    """What is to be copied: of an environment in its place, what would not be left alone."""
    if spec.adopt_from is not None:
        original = adoption_copy.survey(source, owner, spec.adopt_encoding)
    else:
        found = adoption_copy.survey_in_place(source, owner, spec.adopt_encoding)
        if found is None:
            raise NotTried(f"{adoption_copy.INI} is no plain file of the environment")
        original = found
        elsewhere = adoption_database.outside(source, original.database)
        if elsewhere is not None:
            raise NotTried(f"its database {elsewhere} is outside of it, and is not copied")
    files = {k: v for k, v in original.files.items() if not preview_room.is_left_out(k)}
    return original._replace(files=files)
