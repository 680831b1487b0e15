#!/usr/bin/python
# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: trac_preflight_info
short_description: Look how Trac environments would do in a virtual environment
version_added: "0.1.0"
author: "The trac.mod_wsgi maintainers (@trac-mod-wsgi)"
description:
  - Opens every environment below a directory with the Trac and the plugins of a virtual
    environment, as the account that owns them, makes an instance of each component of a plugin, as
    the first request does, and asks whether an upgrade is needed. Nothing is written.
  - Says what is lost in comparison with another virtual environment, that which serves them now.
extends_documentation_fragment:
  - trac.mod_wsgi._attributes
  - trac.mod_wsgi._attributes.read_only
  - trac.mod_wsgi._environments
options:
  old_python:
    description:
      - The Python interpreter of the virtual environment that it is compared with.
      - Left out, everything that does not load is a problem.
    type: path
  live_plugins:
    description: The directory of single-file plugins that C(trac.ini) names.
    type: path
  plugins:
    description:
      - A directory that O(python) is to find in the place of O(live_plugins), with single-file
        plugins that are not in use yet.
    type: path
notes:
  - Variables of the task's C(environment) whose names begin with C(PG) or C(MYSQL_) reach the
    database's client library.
"""

EXAMPLES = r"""
- name: See whether all plugins load in another virtual environment
  trac.mod_wsgi.trac_preflight_info:
    directory: /srv/trac/environments
    python: /opt/trac-generations/2/bin/python
    old_python: /opt/trac/bin/python
    user: trac
  register: preflight
  failed_when: preflight.problems | length > 0
"""

RETURN = r"""
version:
  description: The release of Trac, or an empty text when it cannot be imported.
  type: str
  returned: success
  sample: "1.6"
old_version:
  description: The release of Trac of O(old_python).
  type: str
  returned: success
  sample: "1.6"
environments:
  description: What was seen with O(python).
  type: list
  elements: dict
  returned: success
  contains:
    name:
      description: The name of the environment.
      type: str
      sample: project
    outdated:
      description: Whether it has to be upgraded.
      type: bool
      sample: true
    failure:
      description: Why it could not be opened, or empty.
      type: str
      sample: ""
outdated:
  description: The names of the environments that have to be upgraded for O(python).
  type: list
  elements: str
  returned: success
  sample: [project]
old_outdated:
  description: Those of them that would have to be upgraded for O(old_python), too.
  type: list
  elements: str
  returned: success
  sample: []
problems:
  description: Why the environments cannot be served with O(python), each with its reason.
  type: list
  elements: str
  returned: success
  sample: []
warnings_found:
  description: What might be missed, but is no reason against it.
  type: list
  elements: str
  returned: success
  sample: []
"""

import pwd
import typing as t

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.trac.mod_wsgi.plugins.module_utils._core import worker_process
from ansible_collections.trac.mod_wsgi.plugins.module_utils._core.worker_process import (
    Account,
    WorkerError,
)
from ansible_collections.trac.mod_wsgi.plugins.module_utils._upgrade import (
    comparison as upgrade_comparison,
)
from ansible_collections.trac.mod_wsgi.plugins.module_utils._upgrade import (
    preflight as upgrade_preflight,
)
from ansible_collections.trac.mod_wsgi.plugins.module_utils._upgrade.comparison import Seen, View


def look(python: str, account: Account, payload: t.Mapping[str, t.Any]) -> View:
    """What is seen with some Python."""
    view = View()
    working_on = ""
    for event in worker_process.run(python, account, upgrade_preflight, payload):
        kind = event["event"]
        if kind == "trac":
            view.version, view.prefix = event["version"], event["prefix"]
        elif kind == "begin":
            working_on = event["name"]
        elif kind == "seen":
            view.environments[event["name"]] = Seen(
                event["components"],
                event["broken"],
                event["outdated"],
                event["failure"],
                event["warnings"],
            )
            working_on = ""
        elif kind == "complaints":
            view.complaints = event["messages"]
        elif kind in ("no_trac", "failed", "broken"):
            at = f" while it opened {working_on}" if working_on else ""
            view.failure = f"{python}{at}: {event['reason']}"
    return view


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "directory": {"type": "path", "required": True},
            "python": {"type": "path", "required": True},
            "old_python": {"type": "path"},
            "user": {"type": "str", "required": True},
            "live_plugins": {"type": "path"},
            "plugins": {"type": "path"},
        },
        supports_check_mode=True,
    )
    params = module.params
    try:
        entry = pwd.getpwnam(params["user"])
    except KeyError:
        module.fail_json(msg=f"The account {params['user']} does not exist.")
    account = Account(params["user"], entry.pw_uid, entry.pw_gid)
    live = {
        "directory": params["directory"],
        "live_plugins": params["live_plugins"],
        "plugins": None,
    }
    old = View()
    try:
        if params["old_python"]:
            old = look(params["old_python"], account, live)
        new = look(params["python"], account, {**live, "plugins": params["plugins"]})
    except WorkerError as e:
        module.fail_json(msg=str(e))
    module.exit_json(
        changed=False,
        version=new.version,
        old_version=old.version,
        environments=[
            {"name": name, "outdated": seen.outdated, "failure": seen.failure or ""}
            for name, seen in new.environments.items()
        ],
        outdated=[name for name, seen in new.environments.items() if seen.outdated],
        old_outdated=[name for name, seen in old.environments.items() if seen.outdated],
        problems=upgrade_comparison.problems(old, new),
        warnings_found=upgrade_comparison.warnings(old, new),
    )


if __name__ == "__main__":
    main()
