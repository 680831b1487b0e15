# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks of one environment's files, made as the account that serves it. Trac is not needed."""

from __future__ import annotations

import os
import stat
import time
import typing as t

from ansible_collections.trac.mod_wsgi.plugins.module_utils import _restore_mark, _trac_open
from ansible_collections.trac.mod_wsgi.plugins.module_utils._doctor_result import (
    FAILED,
    OK,
    SKIPPED,
    Result,
)

INI = os.path.join("conf", "trac.ini")
# Where Trac writes; the rest of an environment may be closed to it.
_WRITTEN = ("db", "log", "files", "attachments")
_SECONDS = 10.0
_SHOWN = 3

_NEVER = (
    "Everything in an environment has to belong to the account that serves it; one trac-admin run "
    "as root is enough to make files that it cannot open."
)


def names(directory: str, expected: t.Iterable[str]) -> list[str]:
    """The environments of a directory, and those that should be there."""
    try:
        entries = sorted(os.listdir(directory))
    except OSError:
        entries = []
    found = [
        entry
        for entry in entries
        if not entry.startswith(".")
        and any(os.path.lexists(os.path.join(directory, entry, part)) for part in ("VERSION", INI))
    ]
    return found + [name for name in dict.fromkeys(expected) if name not in found]


def is_there(path: str) -> Result:
    """Whether there is an environment at a path, as Trac sees it."""
    name, subject = "environments", f"environment {os.path.basename(path)}"
    here = f"environment {path}"
    missing = (
        "Restore it from a backup, or run playbooks/site.yml, which creates what the inventory "
        "names and does not exist."
    )
    try:
        with open(os.path.join(path, "VERSION"), encoding="utf-8", errors="replace") as file:
            first = file.readline().strip()
    except PermissionError as e:
        return Result(
            name,
            FAILED,
            f"The {here} is closed to {_me()}: {e.filename}.",
            "Trac cannot serve it.",
            f"chown -R {_me()}: {path}",
            subject,
        )
    except OSError as e:
        if os.path.isdir(path):
            seen = f"The {here} is incomplete: {e.strerror}: VERSION."
        else:
            seen = f"The {here} does not exist."
        return Result(name, FAILED, seen, "Trac cannot serve it.", missing, subject)
    if not first.startswith("Trac Environment Version"):
        return Result(
            name,
            FAILED,
            f"{path}/VERSION begins with '{first[:40]}', not with 'Trac Environment Version'.",
            "Trac does not take the directory for an environment.",
            missing,
            subject,
        )
    return Result(name, OK, path, subject=subject)


def check_restored(path: str) -> list[Result]:
    """What is left of a restoration that was killed while it replaced the environment."""
    directory, name = os.path.split(path)
    holder = _restore_mark.unfinished(directory).get(name)
    if holder is None:
        return []
    seen = f"A restoration of {path} was broken off while it replaced it: {holder}."
    return [
        Result(
            "environments",
            FAILED,
            seen,
            "Its files and its database may not fit together: one from the backup, the other from "
            "before. playbooks/site.yml leaves it alone.",
            "Restore it once more: playbooks/restore.yml with trac_restore_environments and "
            f"trac_restore_overwrite. If you have set it right yourself: rm -r {holder}",
            f"environment {name}",
        )
    ]


def _me() -> str:
    return _trac_open.account_name(os.geteuid())


def closed(path: str, seconds: float = _SECONDS) -> tuple[list[str], int, bool]:
    """What this account cannot use as Trac needs to; how many entries; whether all were seen."""
    end = time.monotonic() + seconds
    bad: list[str] = []
    count = 0
    pending = [(path, False)]
    while pending:
        directory, written = pending.pop()
        if not os.access(directory, os.R_OK | os.X_OK | (os.W_OK if written else 0)):
            bad.append(directory)
        try:
            entries = list(os.scandir(directory))
        except OSError:
            continue
        count += len(entries)
        for entry in entries:
            inside = written or (directory == path and entry.name in _WRITTEN)
            if entry.is_dir(follow_symlinks=False):
                pending.append((entry.path, inside))
            elif entry.is_file(follow_symlinks=False) and not os.access(
                entry.path, os.R_OK | (os.W_OK if inside else 0)
            ):
                bad.append(entry.path)
        if time.monotonic() > end:
            return bad, count, False
    return bad, count, True


def _described(path: str) -> str:
    try:
        found = os.lstat(path)
    except OSError:
        return path
    owner = _trac_open.account_name(found.st_uid)
    return f"{path} ({owner}, mode {stat.S_IMODE(found.st_mode):04o})"


def check_files(path: str) -> Result:
    name, subject = "environment_files", f"environment {os.path.basename(path)}"
    if not os.path.isdir(path):
        return Result(name, SKIPPED, f"{path} does not exist.", subject=subject)
    bad, count, complete = closed(path)
    ini = os.path.join(path, INI)
    # It may be a link, or missing; nothing goes without it.
    if ini not in bad and not os.access(ini, os.R_OK):
        bad.insert(0, ini)
    if bad:
        shown = ", ".join(_described(each) for each in bad[:_SHOWN])
        more = f" and {len(bad) - _SHOWN} more" if len(bad) > _SHOWN else ""
        return Result(
            name,
            FAILED,
            f"{_me()} cannot read or write {shown}{more}.",
            "Pages that need it are answered with 500 ('Permission denied'). " + _NEVER,
            f"chown -R {_me()}: {path} && chmod -R u+rwX {path}; from now on: "
            f"runuser -u {_me()} -- trac-admin …",
            subject,
        )
    seen = f"{path}: {count} files and directories"
    return Result(name, OK, seen if complete else seen + ", then no time was left", subject=subject)


def check_ini(path: str) -> Result:
    """Whether trac.ini can be saved from the web. Whether Trac understands it is seen elsewhere."""
    name, subject = "trac_ini", f"environment {os.path.basename(path)}"
    ini = os.path.join(path, INI)
    if not os.access(ini, os.R_OK):
        return Result(
            name, SKIPPED, f"{ini} cannot be read (see environment_files).", subject=subject
        )
    # Trac writes a new file beside the old one and renames it.
    bad = [each for each in (ini, os.path.dirname(ini)) if not os.access(each, os.W_OK)]
    if bad:
        return Result(
            name,
            FAILED,
            f"{_me()} cannot write {', '.join(_described(each) for each in bad)}.",
            "Changes on Trac's admin pages are not saved ('trac.ini is not writable').",
            f"chown {_me()}: {' '.join(bad)} && chmod u+rw {ini} && chmod u+rwx {bad[-1]}"
            if bad[-1] != ini
            else f"chown {_me()}: {ini} && chmod u+rw {ini}",
            subject,
        )
    return Result(name, OK, f"{ini} can be written", subject=subject)
