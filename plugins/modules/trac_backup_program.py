#!/usr/bin/python
# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: trac_backup_program
short_description: Install the program that backs up Trac environments
version_added: "0.3.0"
author: "The trac.mod_wsgi maintainers (@trac-mod-wsgi)"
description:
  - Installs a program that does what M(trac.mod_wsgi.trac_backup) does, for a timer to run. It is
    the same code, and needs nothing of Ansible on the host.
  - The program reads its settings from a JSON file. That has the options of
    M(trac.mod_wsgi.trac_backup) as keys, but for C(environments), which are its arguments.
extends_documentation_fragment:
  - trac.mod_wsgi._attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: partial
    details:
      - The names of the files that change are shown, not what is in them.
  idempotent:
    support: full
options:
  path:
    description:
      - The directory that belongs to the program alone. The program is the file C(trac-backup) in
        it.
      - The directory that it is in has to exist.
    type: path
    default: /usr/local/lib/trac-mod-wsgi/backup
"""

EXAMPLES = r"""
- name: Install the program that makes backups
  trac.mod_wsgi.trac_backup_program:
"""

RETURN = r"""
program:
  description: The path of the program.
  returned: always
  type: str
  sample: /usr/local/lib/trac-mod-wsgi/backup/trac-backup
files:
  description: The files that were written or removed, or would be.
  returned: always
  type: list
  elements: str
  sample: []
"""

import os
import typing as t

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.trac.mod_wsgi.plugins.module_utils._backup.installed_program import (
    PROGRAM,
    existing,
    is_current,
    program_files,
    write,
)


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "path": {"type": "path", "default": "/usr/local/lib/trac-mod-wsgi/backup"},
        },
        supports_check_mode=True,
    )
    path = module.params["path"]
    parent = os.path.dirname(path)
    if not os.path.isdir(parent) and not module.check_mode:
        module.fail_json(msg=f"There is no directory {parent} for the program.")
    files = program_files(path)
    modes = {name: 0o755 if name == PROGRAM else 0o644 for name in files}
    changed = [
        name
        for name, text in sorted(files.items())
        if not is_current(os.path.join(path, name), text, modes[name])
    ]
    removed = sorted(set(existing(path)) - set(files))
    if not module.check_mode:
        # The program itself last, so that it never finds less than it needs.
        for name in sorted(changed, key=lambda name: name == PROGRAM):
            write(os.path.join(path, name), files[name], modes[name])
        for name in removed:
            os.unlink(os.path.join(path, name))
    result: dict[str, t.Any] = {
        "changed": bool(changed or removed),
        "program": os.path.join(path, PROGRAM),
        "files": [os.path.join(path, name) for name in sorted(changed + removed)],
    }
    if module._diff:
        result["diff"] = {
            "before_header": path,
            "after_header": path,
            "before": "".join(f"{name}\n" for name in removed),
            "after": "".join(f"{name}\n" for name in changed),
        }
    module.exit_json(**result)


if __name__ == "__main__":
    main()
