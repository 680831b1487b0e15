#!/usr/bin/python
# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: apache_reload
short_description: Let Apache load its configuration, and wait until it has
version_added: "0.1.0"
author: The trac.mod_wsgi maintainers (@trac-mod-wsgi)
description:
  - Asks the running Apache for a graceful restart, in which no request is lost, and waits until
    all processes that accept connections have the new configuration. What is asked for after that
    is answered by the new configuration; a plain reload returns earlier.
  - Starts Apache where it does not run, with systemd where that is the init system, otherwise
    without.
extends_documentation_fragment:
  - trac.mod_wsgi._attributes
attributes:
  check_mode:
    support: full
    details:
      - Reports whether it would reload, and does nothing.
  diff_mode:
    support: none
  idempotent:
    support: partial
    details:
      - With O(newer_than) only; otherwise it reloads whenever it runs, as handlers should.
options:
  newer_than:
    description:
      - Reload only where Apache runs with something older than what is on the host, which happens
        when a run is killed or fails between a change and its handler, and where it does not run.
      - Files, directories and links, also as patterns such as
        C(/opt/trac/lib/python3*/site-packages). One that was changed after the processes that
        accept connections were started counts, and so does a group that an account has joined
        since. Of a directory the entries count, not what is in them.
    type: list
    elements: path
  timeout:
    description:
      - Seconds to wait for the new processes. When they are over the module warns and succeeds; a
        look at the site has the last word.
    type: float
    default: 30
  config_dir:
    description: The directory of Apache's configuration, with C(envvars) in it.
    type: path
    default: /etc/apache2
"""

EXAMPLES = r"""
- name: Reload Apache
  trac.mod_wsgi.apache_reload:

- name: Reload Apache unless it has been since packages were installed
  trac.mod_wsgi.apache_reload:
    newer_than: [/opt/trac/lib/python3*/site-packages]
"""

RETURN = r"""
started:
  description: Whether Apache did not run before and was started, or would be.
  type: bool
  returned: success
pid:
  description: The process id of Apache's parent process.
  type: int
  returned: when it was reloaded or started
reasons:
  description: What has changed since Apache was started or reloaded.
  type: list
  elements: str
  returned: when O(newer_than) is given
  sample: [/opt/trac/lib/python3.11/site-packages]
"""

import os
import time
import typing as t

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.trac.mod_wsgi.plugins.module_utils._apache.reload import (
    accepting_children,
    is_apache,
    outdated,
    wait_for_successors,
)

_PID_FILE_SCRIPT = '. "$1/envvars" && printf %s "$APACHE_PID_FILE"'
_POLL_SECONDS = 0.05


def _read_pid(path: str) -> int | None:
    """The process id in Apache's file, if that is Apache's."""
    try:
        with open(path, encoding="ascii") as stream:
            pid = int(stream.read())
    except (OSError, ValueError):
        return None
    return pid if is_apache(pid) else None


def _wait_for_pid(path: str, timeout: float) -> int | None:
    end = time.monotonic() + timeout
    pid = _read_pid(path)
    while pid is None and time.monotonic() < end:
        time.sleep(_POLL_SECONDS)
        pid = _read_pid(path)
    return pid


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "timeout": {"type": "float", "default": 30},
            "config_dir": {"type": "path", "default": "/etc/apache2"},
            "newer_than": {"type": "list", "elements": "path"},
        },
        supports_check_mode=True,
    )
    timeout, config_dir = module.params["timeout"], module.params["config_dir"]
    newer_than = module.params["newer_than"]
    if module.check_mode and newer_than is None:
        module.exit_json(changed=True, started=False)
    result: dict[str, t.Any] = {}
    _rc, pid_file, _err = module.run_command(
        ["/bin/sh", "-c", _PID_FILE_SCRIPT, "sh", config_dir], check_rc=True
    )
    pid = _read_pid(pid_file)
    old = accepting_children(pid) if pid else set()
    if newer_than is not None:
        result["reasons"] = outdated(pid, old, newer_than) if pid else []
        if module.check_mode or (pid and not result["reasons"]):
            changed = not pid or bool(result["reasons"])
            module.exit_json(changed=changed, started=pid is None, **result)
    control = module.get_bin_path("apache2ctl", required=True)
    if pid:
        command = [control, "graceful"]
    elif os.path.isdir("/run/systemd/system"):
        command = [module.get_bin_path("systemctl", required=True), "start", "apache2"]
    else:
        command = [control, "start"]
    rc, out, err = module.run_command(command)
    if rc != 0:
        module.fail_json(msg=f"{' '.join(command)} failed: {(err or out).strip()}", rc=rc)
    new_pid = _wait_for_pid(pid_file, timeout)
    if new_pid is None or not wait_for_successors(new_pid, old, timeout):
        module.warn(f"Apache has not replaced all of its processes within {timeout:g} seconds.")
    module.exit_json(changed=True, started=pid is None, pid=new_pid, **result)


if __name__ == "__main__":
    main()
