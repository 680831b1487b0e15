# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Parts of the check of trac.ini: whether Trac can read it, and what its options do."""

from __future__ import annotations

import os
import typing as t

from ansible_collections.trac.mod_wsgi.plugins.module_utils._doctor.opened import OpenedEnvironment
from ansible_collections.trac.mod_wsgi.plugins.module_utils._doctor.registry import (
    DATABASE,
    TRAC,
    part,
)
from ansible_collections.trac.mod_wsgi.plugins.module_utils._doctor.result import (
    FAILED,
    WARNING,
    Result,
)
from ansible_collections.trac.mod_wsgi.plugins.module_utils._trac import fault as trac_fault
from ansible_collections.trac.mod_wsgi.plugins.module_utils._trac import faults as trac_faults
from ansible_collections.trac.mod_wsgi.plugins.module_utils._trac import log as trac_log
from ansible_collections.trac.mod_wsgi.plugins.module_utils._trac import opening
from ansible_collections.trac.mod_wsgi.plugins.module_utils._trac.ini import IniFile

_MEANS = {
    trac_fault.DOWN: "Pages of the environment are answered with 500, and so may all of them be.",
    trac_fault.OPEN: "Trac says nothing of it, and everybody may read what is meant for some.",
    trac_fault.SHUT: "Nobody can log in to the environment, whatever Apache asks for.",
}


def corrupt(why: str, subject: str) -> Result:
    return Result(
        "trac_ini",
        FAILED,
        f"Trac cannot read trac.ini: {why}",
        "Every page of the environment is answered with 500.",
        f"Correct what is named, or take the file from the last backup; it belongs to "
        f"{opening.account_name(os.geteuid())}.",
        subject,
    )


def empty(ini: IniFile, subject: str) -> Result:
    what = "is empty (0 bytes)" if not ini.text else "holds no option"
    return Result(
        "trac_ini",
        FAILED,
        f"{ini.path} {what}.",
        "A full disk, or a power cut, has truncated it. Trac goes on with its own defaults: "
        "another title and other rights, and not the database that the environment has.",
        "Put the file back from the last backup (playbooks/restore.yml), at least its [trac] "
        "database; before, see the check disk_space.",
        subject,
    )


def fault_results(
    faults: t.Iterable[trac_fault.Fault], path: str, subject: str
) -> t.Iterator[Result]:
    """Options that break pages or open them to everybody, although Trac opens the environment."""
    for fault in faults:
        is_log = fault.what.startswith(trac_log.LOG_FILE)
        file = fault.what[len(trac_log.LOG_FILE) + 1 :]
        inside = trac_log.is_inside(os.path.dirname(file), path)
        if is_log and inside and os.path.lexists(file) and not os.access(file, os.W_OK):
            continue  # environment_files tells who may write there
        yield Result(
            "environment_files" if is_log else "trac_ini",
            FAILED,
            f"{path}: {fault.words}.",
            _MEANS[fault.effect],
            f"{fault.advice[0].upper()}{fault.advice[1:]}.",
            subject,
        )


@part("trac_ini", TRAC)
def options(opened: OpenedEnvironment) -> t.Iterator[Result]:
    """Options that can only be judged when Trac has opened the environment."""
    faults = trac_faults.faults(opened.environment, opened.outdated, ask=opened.has(DATABASE))
    return fault_results(faults, opened.path, opened.subject)


@part("trac_ini", TRAC)
def unused_rules(opened: OpenedEnvironment) -> t.Iterator[Result]:
    for seen in trac_faults.unused_rules(opened.environment, opened.outdated):
        yield opened.result(
            "trac_ini",
            WARNING,
            f"{opened.path}: {seen}.",
            "What the rules close is open to whoever has Trac's own permissions.",
            "Decide which of the two is meant.",
        )
