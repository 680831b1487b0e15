#!/usr/bin/python
# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: trac_doctor_info
short_description: See what is wrong with a host that serves Trac
version_added: "0.3.0"
author: The trac.mod_wsgi maintainers (@trac-mod-wsgi)
description:
  - Looks for each cause that is known to make Trac fail under Apache and mod_wsgi, and says what
    was seen, what that means and what to do.
  - Changes nothing. Environments are looked at as the account that owns them, in the Python that
    has Trac, and without writing into their logs. Root opens no file that this account could have
    put there.
  - Copes with a host on which much is missing or broken. What cannot be looked at is V(skipped),
    with the reason, and a check that crashes or does not end is a failed one.
  - Succeeds whatever is found. See role P(trac.mod_wsgi.trac_verify#role) for a run that fails
    when a check does.
extends_documentation_fragment:
  - trac.mod_wsgi._attributes
  - trac.mod_wsgi._attributes.read_only
options:
  checks:
    description:
      - The checks to report. Left out or empty, all of them.
    type: list
    elements: str
    default: []
    choices:
      [apache_configuration, apache_running, mod_wsgi_version, python_home, application_group,
       locale, error_log, python_version, setuptools, multipart, psycopg2, trac_import,
       environments, environment_files, trac_ini, database, database_integrity,
       database_version, reports, attachments, plugins, repositories, connections,
       hello_world, site_access, site_answers, site_title, site_login, site_private,
       certificate, disk_space, memory, backup, transaction, out_of_service]
  environments_dir:
    description: The directory that the environments are in.
    type: path
    default: /srv/trac/environments
  environments:
    description:
      - The names of environments that have to be there. All that are there are looked at.
    type: list
    elements: str
    default: []
  python:
    description: The Python interpreter that has Trac, that of the virtual environment.
    type: path
    default: /opt/trac/bin/python
  user:
    description: The account that owns the environments and runs Trac.
    type: str
    default: trac
  sites:
    description: The sites that serve the environments.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: What the site is called in messages.
        type: str
        required: true
      server_name:
        description: The name of its virtual host. Empty for the default one.
        type: str
        default: ""
      mount:
        description: The path that it is served at.
        type: str
        default: /trac
      environment:
        description: The one environment that it serves. Empty for all of them.
        type: str
        default: ""
      mode:
        description: Whether it runs in processes of its own, or inside of Apache's.
        type: str
        choices: [daemon, embedded]
        default: daemon
      processes:
        description: The number of its processes, where Apache's configuration does not say it.
        type: int
      threads:
        description: The number of threads in each, where Apache's configuration does not say it.
        type: int
      pool_size:
        description:
          - The size of Trac's pool in each. Left out, what role P(trac.mod_wsgi.trac_site#role)
            gives it.
        type: int
      pooling:
        description: How long connections to database servers stay open.
        type: str
        choices: [enabled, disabled, per_request]
        default: enabled
      authentication:
        description:
          - How Apache asks for logins there, as role P(trac.mod_wsgi.trac_site#role) takes it. Only
            what is private is looked at.
        type: dict
      script:
        description: Which script serves it.
        type: str
        choices: [generated, deployed]
        default: generated
  base_url:
    description:
      - Where Apache is asked for the sites, such as C(https://127.0.0.1). Empty for the first
        address that it listens at with plain HTTP.
    type: str
    default: ""
  hello_world_path:
    description: The path of the hello-world. Empty for none.
    type: str
    default: ""
  backup_dir:
    description: The directory of the backups. Empty when it is not known.
    type: str
    default: ""
  backup_status:
    description: The file in which backups say how they went.
    type: path
    default: /var/lib/trac-mod-wsgi/backup.json
  out_of_service:
    description: The file in which role P(trac.mod_wsgi.trac_site#role) says what is out of service.
    type: path
    default: /srv/trac/sites/.out-of-service
    version_added: "0.3.0"
  backup_hours:
    description: How old the last good backup of an environment may be, in hours.
    type: int
    default: 26
  certificate_days:
    description: For how many days more a certificate has to be valid. Fewer are a warning.
    type: int
    default: 21
  free_mb:
    description:
      - How many megabytes have to be free where environments, backups and logs are. Fewer are a
        failure.
    type: int
    default: 200
  free_percent:
    description: How many percent of space and inodes have to be free there. Fewer are a warning.
    type: int
    default: 10
  memory_percent:
    description:
      - How many percent of the memory Apache and its daemon processes may have. More are a warning.
    type: int
    default: 75
  log_hours:
    description: How many hours back Apache's error log is searched for crashes.
    type: int
    default: 24
  timeout:
    description:
      - Seconds for all checks together, save the last one that has begun. What has no turn by then
        is skipped, and says so.
    type: int
    default: 120
"""

EXAMPLES = r"""
- name: See what is wrong
  trac.mod_wsgi.trac_doctor_info:
    sites:
      - name: trac
        environment: project
  register: doctor

- name: See whether Trac can be imported, and why not
  trac.mod_wsgi.trac_doctor_info:
    checks: [python_version, setuptools, multipart, trac_import]
    python: /usr/local/trac/bin/python
"""

RETURN = r"""
checks:
  description: The checks, in a fixed order.
  type: list
  elements: dict
  returned: always
  contains:
    name:
      description: The name of the check.
      type: str
      sample: environment_files
    title:
      description: What it shows when all is well.
      type: str
    status:
      description: The worst status of its results, C(failed), C(warning), C(ok) or C(skipped).
      type: str
    results:
      description: One for each thing that was looked at.
      type: list
      elements: dict
      contains:
        check:
          description: The name of the check.
          type: str
        status:
          description: C(failed), C(warning), C(ok) or C(skipped).
          type: str
        subject:
          description: What it is about, empty for the whole host.
          type: str
          sample: environment project
        seen:
          description: What was seen, or why the check was skipped. Passwords are masked.
          type: str
        means:
          description: What that means; empty when all is well.
          type: str
        advice:
          description: What to do; empty when all is well.
          type: str
counts:
  description: How many checks have which status.
  type: dict
  returned: always
  sample: {"failed": 0, "ok": 26, "skipped": 3, "warning": 1}
lines:
  description:
    - The same for a terminal. A check that calls for nothing has one line, a problem one each for
      what was seen, what it means and what to do. The last line has the counts.
  type: list
  elements: str
  returned: always
failures:
  description: A line for each failure with what was seen and what to do; empty when none failed.
  type: str
  returned: always
"""

import typing as t

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.trac.mod_wsgi.plugins.module_utils._core import paths
from ansible_collections.trac.mod_wsgi.plugins.module_utils._doctor import checks
from ansible_collections.trac.mod_wsgi.plugins.module_utils._doctor.run import Examination
from ansible_collections.trac.mod_wsgi.plugins.module_utils._site import out_of_service

SITE_OPTIONS: dict[str, t.Any] = {
    "name": {"type": "str", "required": True},
    "server_name": {"type": "str", "default": ""},
    "mount": {"type": "str", "default": "/trac"},
    "environment": {"type": "str", "default": ""},
    "mode": {"type": "str", "choices": ["daemon", "embedded"], "default": "daemon"},
    "processes": {"type": "int"},
    "threads": {"type": "int"},
    "pool_size": {"type": "int"},
    "pooling": {
        "type": "str",
        "choices": ["enabled", "disabled", "per_request"],
        "default": "enabled",
    },
    "authentication": {"type": "dict"},
    "script": {"type": "str", "choices": ["generated", "deployed"], "default": "generated"},
}


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "checks": {
                "type": "list",
                "elements": "str",
                "default": [],
                "choices": list(checks.TITLES),
            },
            "environments_dir": {"type": "path", "default": paths.ENVIRONMENTS_DIR},
            "environments": {"type": "list", "elements": "str", "default": []},
            "python": {"type": "path", "default": f"{paths.VENV}/bin/python"},
            "user": {"type": "str", "default": "trac"},
            "sites": {
                "type": "list",
                "elements": "dict",
                "default": [],
                "options": SITE_OPTIONS,
            },
            "base_url": {"type": "str", "default": ""},
            "hello_world_path": {"type": "str", "default": ""},
            "backup_dir": {"type": "str", "default": ""},
            "backup_status": {"type": "path", "default": f"{paths.STATE_DIR}/backup.json"},
            "out_of_service": {"type": "path", "default": out_of_service.FILE},
            "backup_hours": {"type": "int", "default": 26},
            "certificate_days": {"type": "int", "default": 21},
            "free_mb": {"type": "int", "default": 200},
            "free_percent": {"type": "int", "default": 10},
            "memory_percent": {"type": "int", "default": 75},
            "log_hours": {"type": "int", "default": 24},
            "timeout": {"type": "int", "default": 120},
        },
        supports_check_mode=True,
    )
    module.exit_json(changed=False, **Examination(module.params).run())


if __name__ == "__main__":
    main()
