# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What module trac_restore is asked for, and the result that it returns."""

from __future__ import annotations

import grp
import typing as t

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.trac.mod_wsgi.plugins.module_utils._backup import backup_files
from ansible_collections.trac.mod_wsgi.plugins.module_utils._backup import run as backup_run
from ansible_collections.trac.mod_wsgi.plugins.module_utils._core import secrets, worker_process
from ansible_collections.trac.mod_wsgi.plugins.module_utils._restore import run as restore_run


def account(module: AnsibleModule) -> worker_process.Account | None:
    user, group = module.params["user"], module.params["group"]
    try:
        gid = grp.getgrnam(group).gr_gid if group else None
        return backup_run.account_of(user, gid)
    except (KeyError, backup_files.BackupFailure):
        if module.check_mode:
            return None
        raise backup_files.BackupFailure(
            f"the account {user} or its group {group or ''} does not exist"
        ) from None


def settings_of(module: AnsibleModule) -> restore_run.Settings:
    params = module.params
    settings = restore_run.Settings(
        directory=params["directory"],
        python=params["python"],
        account=account(module),
        backup_directory=params["backup_directory"],
        archive_directory=params["archive_directory"],
        overwrite=params["overwrite"],
        move=params["move"],
        mend=params["mend"],
        check=module.check_mode,
    )
    if not settings.is_ready:
        if not module.check_mode:
            raise backup_files.BackupFailure(f"there is no Python with Trac at {settings.python}")
        module.warn("Only the checksums could be compared, because there is no Trac yet.")
    return settings


def result_of(outcome: restore_run.Outcome, with_diff: bool) -> dict[str, t.Any]:
    entries = []
    diff = []
    for report in outcome.reports:
        entry: dict[str, t.Any] = {"name": report.name, "changes": report.changes}
        if report.name in outcome.files:
            manifest = outcome.manifests[report.name]
            entry["file"] = outcome.files[report.name]
            entry["rows"] = sum(manifest["rows"].values())
            entry["attachments"] = manifest["attachments"]["files"]
        if report.archive is not None:
            entry["kept"] = report.archive
        if report.failure is not None:
            entry["failure"] = report.failure
        entries.append(entry)
        if report.changed:
            diff.append(
                {
                    "before_header": report.name,
                    "after_header": report.name,
                    "before": "".join(f"{line}\n" for line in report.before),
                    "after": "".join(f"{line}\n" for line in report.after),
                }
            )
    changed = any(report.changed for report in outcome.reports)
    result: dict[str, t.Any] = {"changed": changed, "environments": entries}
    if with_diff:
        result["diff"] = diff
    return result


def hide(documents: t.Iterable[dict[str, t.Any]]) -> None:
    """Mask passwords in arguments, which Ansible shows."""
    for document in documents:
        for key in ("database", "new_database"):
            if document.get(key):
                document[key] = secrets.shown(key, document[key])


def restore(params: t.Mapping[str, t.Any], module: AnsibleModule) -> restore_run.Outcome:
    settings = settings_of(module)
    if params["environments"] is None:
        wanted = restore_run.newest_of_all(settings.backup_directory)
    else:
        wanted = [restore_run.Wanted(**each) for each in params["environments"]]
    known = {each["name"]: each for each in params["databases"] or []}
    for each in wanted:
        if each.name in known:
            each.database = each.database or known[each.name]["database"]
            each.new_database = known[each.name]["new_database"]
    return restore_run.restore(settings, wanted)
