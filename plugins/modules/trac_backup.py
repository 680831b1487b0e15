#!/usr/bin/python
# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: trac_backup
short_description: Back up Trac environments
version_added: "0.3.0"
author: "The trac.mod_wsgi maintainers (@trac-mod-wsgi)"
description:
  - Makes a compressed archive of each environment, its database included, while Trac goes on
    serving it. Database and attachments are of one moment.
  - Beside each archive lies a manifest with the rows of each table and the number and size of
    attachments, and a file with the checksums of both, which C(sha256sum --check) reads.
  - Dumps of databases on servers are read again by what would load them. What the database's login
    may not read is no part of a backup; there is a warning for each.
  - The account that owns the environments makes the archives, and sends them to the account that
    runs the module (root, as a rule), which writes them where the former cannot change or remove
    them.
  - A backup has its final name when it is complete. What a killed run left is removed by the next.
  - Old backups of an environment are removed after a new one of it has been made, see O(keep_days)
    and O(keep_last).
  - An environment that fails does not stop the others. The module fails at its end, and names each
    of them with the reason. The O(status_file) says so, too.
extends_documentation_fragment:
  - trac.mod_wsgi._attributes
  - trac.mod_wsgi._environments
attributes:
  check_mode:
    support: full
    details:
      - It is found out whether each environment can be opened, its database be reached, and whether
        there is room for its copy.
      - As long as the virtual environment or the account does not exist, nothing can be predicted,
        and there is a warning.
  diff_mode:
    support: none
  idempotent:
    support: none
    details:
      - Each run makes new backups.
options:
  environments:
    description:
      - Names of the environments.
      - If left out, all that are in O(directory).
    type: list
    elements: str
  backup_directory:
    description:
      - Where the backups are put.
      - It has to exist, to belong to the account that runs the module, and to be closed to others.
    type: path
    required: true
  staging_directory:
    description:
      - Where O(user) may write, and makes a copy of each environment and its archive, both of which
        are removed as soon as the archive has been sent.
      - Twice the size of the largest environment has to be free there, for each core of the host.
    type: path
    required: true
  keep_days:
    description:
      - For how many days backups are kept.
      - V(0) keeps the newest O(keep_last) only.
    type: int
    default: 30
  keep_last:
    description: How many of the newest backups of each environment are kept, however old they are;
      1 or more.
    type: int
    default: 7
  status_file:
    description:
      - Where it is noted how the backups of each environment went last, in JSON.
      - It has the keys C(environments), with C(last_success) (seconds since 1970 or null),
        C(last_error) (text or null) and C(file) for each environment, and C(last_run) and
        C(last_error) for the whole.
    type: path
    default: /var/lib/trac-mod-wsgi/backup.json
  timeout:
    description:
      - How many seconds making all archives may take, and each of C(rsync) and C(restic)
        afterwards; 60 or more.
      - What is still at work then is ended with everything that it has started, the module fails
        and says so, and the next run finds nothing locked. Backups that are complete stay.
    type: int
    default: 43200
  rsync_target:
    description:
      - Where all backups are copied to afterwards, as C(rsync) writes it, such as
        V(backup@example.com:trac/). Nothing is removed there.
      - C(rsync) has to be installed, and root be able to log in there without a password.
    type: str
  restic_repository:
    description:
      - The repository of C(restic) that all backups are copied to afterwards, such as
        V(sftp:backup@example.com:/srv/restic). It is made if it is missing.
      - A password in it, as in V(rest:https://user:password@example.com/), is not shown.
      - O(keep_days) and O(keep_last) hold there as well.
    type: str
  restic_password_file:
    description: The file with the password of O(restic_repository).
    type: path
notes:
  - Variables of the task's C(environment) whose names begin with C(PG) or C(MYSQL_) reach the
    database's client tools.
"""

EXAMPLES = r"""
- name: Back up one project before something risky
  trac.mod_wsgi.trac_backup:
    environments: [project]
    directory: /srv/trac/environments
    python: /opt/trac/bin/python
    user: trac
    backup_directory: /var/backups/trac
    staging_directory: /srv/trac/archive
  register: backup
"""

RETURN = r"""
backups:
  description: The backups that were made, or could be made in check mode.
  returned: always
  type: list
  elements: dict
  contains:
    name:
      description: The name of the environment.
      type: str
      returned: always
      sample: project
    file:
      description: The archive.
      type: str
      returned: when it was made
      sample: /var/backups/trac/project-20270131T120000Z.tar.gz
    size:
      description: Its size in bytes.
      type: int
      returned: when it was made
      sample: 183042
removed:
  description: The archives that had become old.
  returned: always
  type: list
  elements: str
  sample: []
failures:
  description: Why environments could not be backed up, by their names.
  returned: always
  type: dict
  sample: {}
"""

import typing as t

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.trac.mod_wsgi.plugins.module_utils._backup import backup_files
from ansible_collections.trac.mod_wsgi.plugins.module_utils._backup import program as backup_program
from ansible_collections.trac.mod_wsgi.plugins.module_utils._backup import run as backup_run
from ansible_collections.trac.mod_wsgi.plugins.module_utils._backup import status as backup_status
from ansible_collections.trac.mod_wsgi.plugins.module_utils._core import secrets, worker_process


def _result(outcome: backup_run.Outcome) -> dict[str, t.Any]:
    backups: list[dict[str, t.Any]] = [
        {"name": name, "file": backup.path, "size": outcome.sizes[name]}
        for name, backup in sorted(outcome.made.items())
    ]
    backups += [{"name": name} for name in sorted(outcome.possible)]
    return {
        "changed": bool(backups or outcome.removed),
        "backups": backups,
        "removed": outcome.removed,
        "failures": outcome.failures,
    }


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "environments": {"type": "list", "elements": "str"},
            "directory": {"type": "path", "required": True},
            "python": {"type": "path", "required": True},
            "user": {"type": "str", "required": True},
            "backup_directory": {"type": "path", "required": True},
            "staging_directory": {"type": "path", "required": True},
            "keep_days": {"type": "int", "default": 30},
            "keep_last": {"type": "int", "default": 7},
            "status_file": {"type": "path", "default": backup_status.PATH},
            "timeout": {"type": "int", "default": backup_run.TIMEOUT},
            "rsync_target": {"type": "str"},
            "restic_repository": {"type": "str"},
            "restic_password_file": {"type": "path", "no_log": False},
        },
        required_by={"restic_repository": "restic_password_file"},
        supports_check_mode=True,
    )
    arguments = dict(module.params)
    names = arguments.pop("environments")
    if arguments["keep_days"] < 0 or arguments["keep_last"] < 1:
        module.fail_json(msg="keep_days has to be 0 or more, keep_last 1 or more")
    if arguments["timeout"] < 60:
        module.fail_json(msg=f"timeout is {arguments['timeout']}, and has to be 60 seconds or more")
    settings = backup_program.settings(arguments)
    redactor = secrets.Redactor()
    for option in ("rsync_target", "restic_repository"):
        value = module.params[option]
        redactor.learn(option, value)
        if value:
            module.params[option] = secrets.shown(option, value)  # which is returned
    module.no_log_values.update(redactor.secrets)
    if not module.check_mode:
        outcome = backup_run.back_up(settings, names)
    else:
        try:
            outcome = backup_run.predict(settings, names)
        except (backup_files.BackupFailure, worker_process.WorkerError) as e:
            module.warn(f"What would be backed up cannot be predicted: {e}")
            outcome = backup_run.Outcome()
    for warning in outcome.warnings:
        module.warn(warning)
    message = outcome.message()
    if message:
        module.fail_json(msg=message, **_result(outcome))
    module.exit_json(**_result(outcome))


if __name__ == "__main__":
    main()
