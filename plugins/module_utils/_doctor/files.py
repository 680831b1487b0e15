# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks of one environment's files, made as the account that serves it. Trac is not needed."""

from __future__ import annotations

import os
import typing as t

from ansible_collections.trac.mod_wsgi.plugins.module_utils._doctor import paths
from ansible_collections.trac.mod_wsgi.plugins.module_utils._doctor.registry import (
    ENVIRONMENT,
    FILES,
    check,
)
from ansible_collections.trac.mod_wsgi.plugins.module_utils._doctor.result import (
    FAILED,
    OK,
    SKIPPED,
    WARNING,
    Result,
)
from ansible_collections.trac.mod_wsgi.plugins.module_utils._doctor.walk import WRITTEN, walk
from ansible_collections.trac.mod_wsgi.plugins.module_utils._trac import (
    environment_links,
    restore_mark,
)

INI = os.path.join("conf", "trac.ini")
_SHOWN = 3

_NEVER = (
    "Everything in an environment has to belong to the account that serves it; one trac-admin run "
    "as root is enough to make files that it cannot open."
)


def names(directory: str, expected: t.Iterable[str]) -> list[str]:
    """The names of the environments of a directory, and of those that should be there."""
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


@check("environments", "The environments are there", FILES)
def environments(path: str) -> list[Result]:
    return [check_existence(path), *check_restored(path)]


def check_existence(path: str) -> Result:
    """Whether a path is an environment for Trac."""
    name, subject = "environments", f"environment {os.path.basename(path)}"
    here = f"environment {path}"
    missing = (
        "Restore it from a backup, or run playbooks/site.yml, which creates what the inventory "
        "names and does not exist."
    )
    version = os.path.join(path, "VERSION")
    what = paths.no_file(version) if os.path.exists(version) else ""
    if what and "closed" not in what:
        seen = f"{version} {what}."
        return Result(name, FAILED, seen, "Trac cannot serve it.", missing, subject)
    try:
        with open(version, encoding="utf-8", errors="replace") as file:
            first = file.readline().strip()
    except PermissionError as e:
        return Result(
            name,
            FAILED,
            f"The {here} is closed to {paths.account()}: {e.filename}.",
            "Trac cannot serve it.",
            f"chown -R {paths.account()}: {path}",
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
    """Whether a restoration was killed while it replaced the environment."""
    directory, name = os.path.split(path)
    holder = restore_mark.unfinished(directory).get(name)
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


@check(
    "environment_files",
    "The service account can read and write what is in the environments",
    FILES,
    (ENVIRONMENT,),
)
def environment_files(path: str) -> list[Result]:
    return check_files(path)


def check_files(path: str) -> list[Result]:
    name, subject = "environment_files", f"environment {os.path.basename(path)}"
    if not os.path.isdir(path):
        return [Result(name, SKIPPED, f"{path} does not exist.", subject=subject)]
    places = [path, *(os.path.join(path, each) for each in ("conf", *WRITTEN))]
    frozen = next(filter(paths.is_read_only, places), None)
    if frozen:
        return [paths.read_only(name, frozen, subject)]
    contents = walk(path)
    results = [*_closed(path, contents.closed), *_links(path, contents.links)]
    fault = ini_fault(path)
    ini = os.path.join(path, INI)
    if fault and not any(ini in result.seen for result in results if result.status == FAILED):
        results.append(fault)
    if results:
        return results
    words = f"{path}: {contents.entries} files and directories"
    words += "" if contents.complete else ", then no time was left"
    followed = (environment_links.DIRECTORY, environment_links.FILE)
    away = [
        f"{each} leads to {led.text}"
        for each, led in contents.links.items()
        if led.kind in followed
    ]
    if away:
        more = f"; and {len(away) - _SHOWN} more" if len(away) > _SHOWN else ""
        words += f"; links that copies and backups follow: {'; '.join(away[:_SHOWN])}{more}"
    return [Result(name, OK, words, subject=subject)]


def ini_fault(path: str) -> Result | None:
    """Why trac.ini cannot be read; nothing if it can."""
    ini = os.path.join(path, INI)
    why = paths.no_file(ini)
    if not why:
        return None
    return Result(
        "environment_files",
        FAILED,
        f"{ini} {why}.",
        "Trac has no configuration: every page of the environment is answered with 500, or waits.",
        f"Put the file back from the last backup (playbooks/restore.yml); it belongs to "
        f"{paths.account()}.",
        f"environment {os.path.basename(path)}",
    )


def _closed(path: str, closed: t.Sequence[str]) -> list[Result]:
    """Files whose owner or mode keeps this account out."""
    if not closed:
        return []
    account = paths.account()
    shown = ", ".join(paths.described(each) for each in closed[:_SHOWN])
    more = f" and {len(closed) - _SHOWN} more" if len(closed) > _SHOWN else ""
    return [
        Result(
            "environment_files",
            FAILED,
            f"{account} cannot read or write {shown}{more}.",
            "Pages that need it are answered with 500 ('Permission denied'). " + _NEVER,
            f"chown -R {account}: {path} && chmod -R u+rwX {path}; from now on: "
            f"runuser --pty -u {account} -- trac-admin …",
            f"environment {os.path.basename(path)}",
        )
    ]


def _links(path: str, links: t.Mapping[str, environment_links.Led]) -> list[Result]:
    """Links to nothing, or to files of other accounts: copies hold the link without its content."""
    broken: list[str] = []
    foreign: list[str] = []
    for link, led in links.items():
        if led.kind != environment_links.BAD:
            continue
        part = os.path.relpath(link, path).split(os.sep)[0]
        usable = os.access(link, os.R_OK | (os.W_OK if part in WRITTEN else 0))
        (foreign if usable else broken).append(environment_links.printable(f"{link} {led.text}"))
    refused = (
        "Backups, and the copy before an upgrade, refuse the environment where that should be its "
        "attachments, its database or its configuration, and elsewhere hold the link alone."
    )
    return [
        *_link_results(
            path,
            broken,
            FAILED,
            "Trac cannot use what it needs there: pages are answered with 500 ('Permission "
            f"denied', 'No such file or directory'). {refused}",
            "Remove the link (rm, not chown, which would change what it leads to), and put back "
            "from a backup what stood in its place.",
        ),
        *_link_results(
            path,
            foreign,
            WARNING,
            "Trac reads, and may show visitors or run, what is not the environment's own. "
            + refused,
            "Put what is needed in the place of the link (rm it, and cp -a what it leads to), or "
            "remove the link if nobody has made it on purpose (rm, not chown, which would change "
            "what it leads to).",
        ),
    ]


def _link_results(
    path: str, found: t.Sequence[str], status: str, means: str, advice: str
) -> list[Result]:
    if not found:
        return []
    more = f"; and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
    seen = "; ".join(found[:_SHOWN]) + more + "."
    subject = f"environment {os.path.basename(path)}"
    return [Result("environment_files", status, seen, means, advice, subject)]


@check("trac_ini", "trac.ini can be read, and changed from the web", FILES, (ENVIRONMENT,))
def trac_ini(path: str) -> list[Result]:
    return [check_ini(path)]


def check_ini(path: str) -> Result:
    """Whether trac.ini can be saved from the web. Trac parses it in the group TRAC."""
    name, subject = "trac_ini", f"environment {os.path.basename(path)}"
    ini, account = os.path.join(path, INI), paths.account()
    if paths.no_file(ini) or paths.is_read_only(ini):
        why = f"{ini} cannot be read or written (see environment_files)."
        return Result(name, SKIPPED, why, subject=subject)
    # Trac writes a new file beside the old one and renames it.
    bad = [each for each in (ini, os.path.dirname(ini)) if not os.access(each, os.W_OK)]
    if ini in bad and os.path.islink(ini):
        return Result(
            name,
            FAILED,
            f"{ini} is a link to {os.path.realpath(ini)}, which {account} cannot write.",
            "Changes on Trac's admin pages are not saved ('trac.ini is not writable').",
            f"Put a file of {account}'s in the place of the link (rm, not chown, which would "
            "change what it leads to); what is to be shared goes into a file that [inherit] file "
            "names.",
            subject,
        )
    if bad:
        return Result(
            name,
            FAILED,
            f"{account} cannot write {', '.join(paths.described(each) for each in bad)}.",
            "Changes on Trac's admin pages are not saved ('trac.ini is not writable').",
            f"chown -h {account}: {' '.join(bad)} && chmod u+rw {ini} && chmod u+rwx {bad[-1]}"
            if bad[-1] != ini
            else f"chown -h {account}: {ini} && chmod u+rw {ini}",
            subject,
        )
    return Result(name, OK, f"{ini} can be written", subject=subject)
