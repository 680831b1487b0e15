#!/usr/bin/python
# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: virtualenv_info
short_description: Compare what a virtual environment holds with requirements
version_added: "0.1.0"
author: "The trac.mod_wsgi maintainers (@trac-mod-wsgi)"
description:
  - Says which of some requirements a virtual environment does not meet, without asking a package
    index and without running any of its packages but pip.
extends_documentation_fragment:
  - trac.mod_wsgi._attributes
  - trac.mod_wsgi._attributes.read_only
options:
  path:
    description: The virtual environment.
    type: path
    required: true
  requirements:
    description:
      - Requirements as pip reads them. One that names a URL or a file counts as met, because only
        pip can tell.
    type: list
    elements: str
    required: true
"""

EXAMPLES = r"""
- name: See whether Trac would be upgraded
  trac.mod_wsgi.virtualenv_info:
    path: /opt/trac
    requirements: ["Trac==1.6"]
  register: virtualenv
"""

RETURN = r"""
exists:
  description: Whether there is a virtual environment with pip.
  type: bool
  returned: success
unmet:
  description: The requirements that it does not meet; all of them when there is none.
  type: list
  elements: dict
  returned: success
  contains:
    requirement:
      description: The requirement.
      type: str
      sample: Trac==1.6
    name:
      description: The name in it, in lower case.
      type: str
      sample: trac
    installed:
      description: The version that is there, or null.
      type: str
      sample: "1.5"
"""

import json
import os
import subprocess

from ansible.module_utils.basic import AnsibleModule

# Under the Python of the virtual environment, whose pip knows how requirements are read.
_PROGRAM = """\
import json, sys
from importlib.metadata import PackageNotFoundError, version
from pip._vendor.packaging.requirements import InvalidRequirement, Requirement
unmet = []
for text in json.load(sys.stdin):
    try:
        wanted = Requirement(text)
    except InvalidRequirement:
        continue
    if wanted.url or (wanted.marker and not wanted.marker.evaluate()):
        continue
    try:
        there = version(wanted.name)
    except PackageNotFoundError:
        there = None
    if there is None or not wanted.specifier.contains(there, prereleases=True):
        unmet.append({"requirement": text, "name": wanted.name.lower(), "installed": there})
json.dump(unmet, sys.stdout)
"""


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "path": {"type": "path", "required": True},
            "requirements": {"type": "list", "elements": "str", "required": True},
        },
        supports_check_mode=True,
    )
    requirements = module.params["requirements"]
    python = os.path.join(module.params["path"], "bin", "python")
    if not os.path.exists(os.path.join(module.params["path"], "bin", "pip")):
        unmet = [{"requirement": text, "name": "", "installed": None} for text in requirements]
        module.exit_json(changed=False, exists=False, unmet=unmet)
    # Not run_command: it says no more than that writing failed when a broken one ends unread.
    try:
        asked = subprocess.run(
            [python, "-I", "-B", "-c", _PROGRAM],
            input=json.dumps(requirements),
            capture_output=True,
            text=True,
            check=False,
        )
    except OSError as error:
        module.fail_json(msg=f"{python} could not be asked: {error.strerror}")
    if asked.returncode != 0:
        module.fail_json(
            msg=f"{python} could not be asked: {asked.stderr.strip()}", rc=asked.returncode
        )
    module.exit_json(changed=False, exists=True, unmet=json.loads(asked.stdout))


if __name__ == "__main__":
    main()
