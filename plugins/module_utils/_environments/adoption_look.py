# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read what Trac reads of an environment first, before anything is given away or copied.

Root reads through descriptors and follows no link; what is no plain file of the environment's is
left to the service account, which looks later. Files that trac.ini inherits from are not an
environment's, so that the service account looks at them, as it will have to read them.
"""

from __future__ import annotations

import os
import typing as t

from ansible_collections.trac.mod_wsgi.plugins.module_utils._core import (
    regular_file,
    worker_process,
)
from ansible_collections.trac.mod_wsgi.plugins.module_utils._environments import adoption
from ansible_collections.trac.mod_wsgi.plugins.module_utils._trac import (
    ini_check,
    ini_edit,
    ini_text,
)

INI = os.path.join("conf", "trac.ini")
# As Trac itself has it since 0.5.
_VERSION = "Trac Environment Version 1"
_UNTOUCHED = "Nothing in the environment was changed"
_SECONDS = 60.0  # for files of a few kilobytes


def look(top: int, path: str, encoding: str | None, expected: t.Container[int]) -> list[str]:
    """Refuse an environment whose first files Trac could not read; tells what trac.ini inherits.

    :param top: the descriptor of the environment's directory
    :param path: where it is, for the words
    :param expected: whose files may be in it
    """
    content = _content(top, "VERSION", expected)
    if content is not None:
        problem = version_problem(content)
        if problem:
            raise _refusal(f"{os.path.join(path, 'VERSION')} {problem}")
    try:
        conf = os.open("conf", adoption.DIRECTORY_FLAGS, dir_fd=top)
    except OSError as e:
        if adoption.is_link(e) or isinstance(e, FileNotFoundError):
            return []
        raise
    try:
        content = _content(conf, "trac.ini", expected)
    finally:
        os.close(conf)
    if content is None:
        return []
    file = os.path.join(path, INI)
    try:
        options = ini_edit.parse(ini_text.decode(content, encoding).text)
    except ini_edit.IniError as e:
        raise _refusal(ini_text.sentence(file, e)) from e
    if not options:
        raise _refusal(
            f"{file} is empty: perhaps a full disk or a power cut has truncated it; get it back "
            "from a copy of the environment, at least its [trac] database"
        )
    return inherited(options, os.path.dirname(file))


def version_problem(content: bytes) -> str | None:
    """Why Trac would not take a directory with this file VERSION for an environment."""
    first = content.split(b"\n", 1)[0].rstrip()
    if first == _VERSION.encode():
        return None
    if first.endswith(_VERSION.encode()):
        return "begins with a byte order mark (BOM); write it anew without"
    return f"does not begin with the line {_VERSION!r}, by which Trac knows an environment"


def inherited(options: ini_edit.Options, directory: str) -> list[str]:
    """The files that a trac.ini in a directory inherits from."""
    names = options.get("inherit", {}).get("file", "").split(",")
    return [
        os.path.normpath(os.path.join(directory, name.strip())) for name in names if name.strip()
    ]


def look_at_inherited(files: t.Sequence[str], account: worker_process.Account, python: str) -> None:
    """Have the service account look at what trac.ini inherits from; one that is missing is none."""
    if not files:
        return
    try:
        for event in worker_process.run(
            python, account, ini_check, {"files": list(files)}, timeout=_SECONDS
        ):
            if event["event"] == "verdict" and event["verdict"] != ini_check.WELL:
                raise _refusal(
                    f"{event['verdict']}. Its trac.ini inherits from that by [inherit] file"
                )
    except worker_process.WorkerError:
        return  # the service account cannot work at all, which is told by what follows


def _refusal(problem: str) -> adoption.AdoptionFailure:
    return adoption.AdoptionFailure(f"{problem}. {_UNTOUCHED}")


def _content(directory: int, name: str, expected: t.Container[int]) -> bytes | None:
    """What is in a file; None where it is not there, or may not be the environment's."""
    try:
        status = os.stat(name, dir_fd=directory, follow_symlinks=False)
    except FileNotFoundError:
        return None
    device = os.fstat(directory).st_dev
    if adoption.kind_problem(status, device) or adoption.owner_problem(status, expected):
        return None
    return regular_file.read(name, follow=False, directory=directory)
