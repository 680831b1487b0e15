#!/usr/bin/python
# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: trac_restore
short_description: Restore Trac environments from backups
version_added: "0.3.0"
author: "The trac.mod_wsgi maintainers (@trac-mod-wsgi)"
description:
  - Restores environments from what M(trac.mod_wsgi.trac_backup) has made, on the same or on another
    host.
  - Before anything is unpacked, the checksums of the archive and of its manifest are compared.
    Before an environment takes its place, the rows of each table and the attachments are compared
    with the manifest. It appears at once, by a rename.
  - An environment or a database that is there already is refused, unless O(overwrite) says
    otherwise. A copy of it is then put into O(archive_directory) before it is replaced. One that
    cannot be opened any more is moved there as it is.
  - A dump replaces what a database on a server holds as a whole or not at all, also when the module
    is killed, and not when rows are missing. PostgreSQL does so in one transaction. On MySQL the
    tables are loaded under other names and exchanged by one statement.
  - Views, triggers, functions and events of a dump come after its tables. One that cannot be made
    there, or belonged to somebody else and belongs to the database's login now, is a warning.
  - MySQL's utf8 becomes C(utf8mb4_bin) on the way, unless the database is of an utf8 that Trac
    takes.
  - A backup of an environment on SQLite can be restored into PostgreSQL or MySQL, with Trac's own
    conversion (Trac 1.6). The tables of plugins move as well if the plugins are installed and
    enabled; otherwise the environment is refused. It is upgraded first if Trac wants it.
  - Values that the server does not take are named, all of them, before anything is made there, see
    O(mend). Views, triggers and indexes that somebody has made by hand do not move, and are named
    in a warning, as are reports that the new database refuses.
  - A run that is killed while it replaces an environment leaves a mark, because its files and its
    database may not fit together then. M(trac.mod_wsgi.trac_environments) and
    M(trac.mod_wsgi.trac_backup) refuse the environment until it has been restored once more.
  - Processes that serve an environment have its former files open. Reload Apache after it has been
    replaced, see M(trac.mod_wsgi.apache_reload).
extends_documentation_fragment:
  - trac.mod_wsgi._attributes
  - trac.mod_wsgi._environments
  - trac.mod_wsgi._environments.group
attributes:
  check_mode:
    support: full
    details:
      - The checksums are compared, and a database on a server that is given is connected to.
      - Values that the server does not take are named (in tables of plugins, only as far as SQLite
        tells; in a database that an older Trac has made, before its upgrade).
      - As long as the virtual environment or the account does not exist, only the checksums are.
  diff_mode:
    support: full
  idempotent:
    support: none
    details:
      - Without O(overwrite), the second run is refused; with it, it restores again.
options:
  environments:
    description:
      - The environments to restore.
      - If left out, every environment that there is a backup of in O(backup_directory).
    type: list
    elements: dict
    suboptions:
      name:
        description:
          - The name that it is going to have.
          - With another name than that in the backup, the environment becomes a copy. One whose
            database is on a server then needs a O(environments[].database) of its own.
        type: str
        required: true
      file:
        description:
          - The archive, on the host. Its manifest and its checksums have to lie beside it.
          - If left out, the newest in O(backup_directory).
        type: path
      database:
        description:
          - The connection string, C([trac] database), that the environment is going to have.
          - If left out, that of the backup.
          - It has to lead to a database of the kind that the backup is of, or else from SQLite to a
            server. On PostgreSQL the schema has to have the same name as in the backup.
        type: str
  databases:
    description: What an inventory says of the databases of environments.
    type: list
    elements: dict
    suboptions:
      name:
        description: The name of the environment.
        type: str
        required: true
      database:
        description: The connection string, for an environment whose O(environments[].database) is
          left out.
        type: str
      new_database:
        description:
          - The connection string to use if nothing else is given and the backup is of a database of
            this kind, or else of SQLite and O(move) is set.
        type: str
  move:
    description: Whether a backup of an environment on SQLite is restored into its
      O(databases[].new_database).
    type: bool
    default: false
  mend:
    description:
      - Whether values that a server does not take are mended on the way from SQLite, where that
        needs no guess. Empty text in a column of numbers becomes 0 (or NULL, in the table of a
        plugin), NUL characters go, bytes in UTF-8 become text.
      - RV(environments[].changes) says which column and rows. The backup stays as it is.
      - Without it, and with other values (dates as text, text in Latin-1, rows that are the same
        for the server), the environment is refused, and the values are named.
    type: bool
    default: false
  backup_directory:
    description: Where the backups are.
    type: path
    required: true
  archive_directory:
    description:
      - Where copies of what is replaced are put. Without it, nothing is replaced.
      - It has to exist and to be writable for O(user).
    type: path
  overwrite:
    description: Whether environments and databases that are there are replaced.
    type: bool
    default: false
notes:
  - Variables of the task's C(environment) whose names begin with C(PG) or C(MYSQL_) reach the
    database's client tools.
  - Modes of files come from the backup; others than owner and group lose access.
  - Run M(trac.mod_wsgi.trac_environments) afterwards, which upgrades an environment that an older
    Trac has made and configures it as the inventory says.
"""

EXAMPLES = r"""
- name: Go back to the newest backup of a project
  trac.mod_wsgi.trac_restore:
    environments:
      - name: project
    directory: /srv/trac/environments
    python: /opt/trac/bin/python
    user: trac
    backup_directory: /var/backups/trac
    archive_directory: /srv/trac/archive
    overwrite: true

- name: Move a project to PostgreSQL
  trac.mod_wsgi.trac_restore:
    environments:
      - name: project
        file: /root/project-20270131T120000Z.tar.gz
        database: postgres://trac:{{ trac_password | urlencode }}@db.example.com/project
    directory: /srv/trac/environments
    python: /opt/trac/bin/python
    user: trac
    backup_directory: /var/backups/trac
"""

RETURN = r"""
environments:
  description: The environments, in the order in which they were given.
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
      description: The archive that it was restored from.
      type: str
      returned: when it is a good one
      sample: /var/backups/trac/project-20270131T120000Z.tar.gz
    changes:
      description: What was done, in words.
      type: list
      elements: str
      returned: always
      sample:
        - restore the environment
    rows:
      description: How many rows all tables together have, by the manifest.
      type: int
      returned: when the archive is a good one
      sample: 412
    attachments:
      description: How many attachments there are, by the manifest.
      type: int
      returned: when the archive is a good one
      sample: 17
    kept:
      description: What was replaced.
      type: str
      returned: when something was
      sample: /srv/trac/archive/project-20270131T120000Z-before-restore
    failure:
      description: Why it could not be restored.
      type: str
      returned: when it could not
"""

import copy

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.trac.mod_wsgi.plugins.module_utils._backup import backup_files
from ansible_collections.trac.mod_wsgi.plugins.module_utils._backup import run as backup_run
from ansible_collections.trac.mod_wsgi.plugins.module_utils._core import secrets, worker_process
from ansible_collections.trac.mod_wsgi.plugins.module_utils._restore.request import (
    hide,
    restore,
    result_of,
)


class RestoreModule(AnsibleModule):  # type: ignore[misc]
    """An Ansible module that logs no connection strings, because only it can tell secrets."""

    def _log_invocation(self) -> None:
        names = [each["name"] for each in self.params["environments"] or []]
        self.log(f"Invoked with directory={self.params['directory']} environments={names}")


def main() -> None:
    """Run the module."""
    module = RestoreModule(
        argument_spec={
            "environments": {
                "type": "list",
                "elements": "dict",
                "options": {
                    "name": {"type": "str", "required": True},
                    "file": {"type": "path"},
                    "database": {"type": "str"},
                },
            },
            "databases": {
                "type": "list",
                "elements": "dict",
                "options": {
                    "name": {"type": "str", "required": True},
                    "database": {"type": "str"},
                    "new_database": {"type": "str"},
                },
            },
            "move": {"type": "bool", "default": False},
            "mend": {"type": "bool", "default": False},
            "directory": {"type": "path", "required": True},
            "python": {"type": "path", "required": True},
            "user": {"type": "str", "required": True},
            "group": {"type": "str"},
            "backup_directory": {"type": "path", "required": True},
            "archive_directory": {"type": "path"},
            "overwrite": {"type": "bool", "default": False},
        },
        supports_check_mode=True,
    )
    redactor = secrets.Redactor()
    params = copy.deepcopy(module.params)
    documents = params["environments"] or []
    for document in documents + (params["databases"] or []):
        for key in ("database", "new_database"):
            redactor.learn("database", document.get(key))
    module.no_log_values.update(redactor.secrets)
    hide([*(module.params["environments"] or []), *(module.params["databases"] or [])])
    names = [document["name"] for document in documents]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        module.fail_json(msg=f"environments: listed twice: {', '.join(twice)}")
    try:
        outcome = restore(params, module)
    except (OSError, backup_files.BackupFailure, worker_process.WorkerError) as e:
        module.fail_json(msg=redactor.redact(backup_run.words(e)))
    for report in outcome.reports:
        for warning in report.warnings:
            module.warn(f"{report.name}: {warning}")
    result = result_of(outcome, module._diff)
    message = outcome.message()
    if message:
        module.fail_json(msg=redactor.redact(message), **result)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
