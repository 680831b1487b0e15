# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The plan of the role, from variables as Ansible gives them and what a host has answered."""

from __future__ import annotations

import json
import os
import pathlib
import subprocess
import sys
import typing as t

import pytest

TOP = pathlib.Path(__file__).resolve().parents[3]
PASSWORD = "a-password-of-anna"
KEY = "-----BEGIN PRIVATE KEY-----\nthe-text-of-the-key\n-----END PRIVATE KEY-----"
CERTIFICATE = "-----BEGIN CERTIFICATE-----\nits-text\n-----END CERTIFICATE-----"
TITLE = "{{ no.template }}"
PLAYBOOK: list[dict[str, t.Any]] = [
    {
        "hosts": "localhost",
        "connection": "local",
        "gather_facts": False,
        "vars_files": ["inventory.yml"],
        "tasks": [
            {
                "ansible.builtin.include_role": {
                    "name": "trac.mod_wsgi.trac_site",
                    "tasks_from": "plan.yml",
                }
            },
            {
                "ansible.builtin.copy": {
                    "content": "{{ __trac_site_plan | to_json }}",
                    "dest": "{{ found }}",
                    "mode": "0600",
                },
                "no_log": True,
            },
        ],
    }
]
# Tags of YAML have no form in JSON.
INVENTORY = f"""
trac_environments:
  - name: one
    title: !unsafe "{TITLE}"
  - name: broken
trac_users:
  - name: anna
    password: "{{{{ passwords.anna }}}}"
    groups: [devs]
trac_sites:
  - name: all
    threads: "7"
    request_timeout: 90
    authentication: {{type: basic}}
  - name: secure
    server_name: Trac.Example.org
    environment: one
    tls: {{certificate: "{{{{ certificate }}}}", key: "{{{{ key }}}}"}}
"""


def planned(directory: pathlib.Path, **more: t.Any) -> tuple[dict[str, t.Any], str]:
    """The plan, and all that Ansible has said on the way."""
    (directory / "inventory.yml").write_text(INVENTORY)
    (directory / "play.yml").write_text(json.dumps(PLAYBOOK))
    found = directory / "found.json"
    variables = {
        "found": str(found),
        "passwords": {"anna": PASSWORD},
        "certificate": CERTIFICATE,
        "key": KEY,
        "ansible_python_interpreter": sys.executable,
        "trac_site_venv": sys.prefix,
        "trac_site_user": "root",
        "trac_environments_dir": str(directory),
        "__trac_site_host": {
            "stdout_lines": [
                f"path {sys.prefix}/bin/python",
                "path /etc/apache2/conf-enabled/trac-hello-world.conf",
                "out_of_service eyJicm9rZW4iOiAiaXQgYnVybnMifQ==",
                "account 0",
                "apache_groups www-data trac",
            ]
        },
        "__trac_site_ports": {
            "endpoints": [{"port": 80, "url": "http://127.0.0.1"}],
            "tls_endpoints": [{"port": 8443, "url": "https://127.0.0.1:8443"}],
        },
        "__trac_site_certificates": {"stapling": [], "fingerprints": {}},
        **more,
    }
    done = subprocess.run(
        [
            pathlib.Path(sys.executable).with_name("ansible-playbook"),
            *("-vvv", "-i", "localhost,", "--extra-vars", json.dumps(variables)),
            directory / "play.yml",
        ],
        cwd=TOP,
        env={**os.environ, "ANSIBLE_CONFIG": str(TOP / "ansible.cfg")},
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(found.read_text()), done.stdout + done.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="runs Trac as another account")
def test_the_plan_follows_from_variables_and_the_host(tmp_path: pathlib.Path) -> None:
    (tmp_path / "one" / "conf").mkdir(parents=True)
    (tmp_path / "one" / "conf" / "trac.ini").write_text("[attachment]\nmax_size = 7000000\n")
    plan, said = planned(tmp_path)
    all_, secure = plan["sites"]
    # Given, of the specified type, and by default.
    assert (all_["threads"], all_["request_timeout"], all_["queue_timeout"]) == (7, 90, 30)
    assert all_["mount"] == "/trac"
    # Out of service before, and still.
    assert plan["out_of_service"] == {"broken": "it burns"}
    checks = {check["name"]: check for check in plan["checks"]}
    assert checks["site all, environment one"]["title"] == TITLE
    assert checks["site all, environment broken"]["status"] == [503]
    served = {check["name"]: check for check in plan["served_checks"]}
    assert served["site all, environment broken"]["status"] == [200, 403]
    # What Trac on the host says of sizes.
    limits = plan["hardening"]["sites"]
    assert limits["secure"]["limit_request_body"] > 7000000
    assert plan["apache_groups"] == ["www-data", "trac"]
    scripts = {each["path"]: each["content"] for each in plan["scripts"]}
    assert "'pooling': 'enabled'" in scripts["/srv/trac/sites/all/trac.wsgi"]
    # Files for what the inventory has as text; neither the text nor passwords, here or in the log.
    (text,) = plan["tls"]["texts"]
    assert text["site"] == 1
    assert text["key_file"] == secure["tls"]["key_file"]
    assert plan["authentication"]["users"] == ["anna"]
    assert plan["authentication"]["group_file"] == 'devs: "anna"\n'
    for secret in (PASSWORD, "the-text-of-the-key"):
        assert secret not in json.dumps(plan)
        assert secret not in said.replace(json.dumps(KEY), "")


def test_a_host_without_trac_is_not_asked(tmp_path: pathlib.Path) -> None:
    missing = str(tmp_path / "venv")
    plan, _said = planned(tmp_path, trac_site_venv=missing, __trac_site_host={"stdout_lines": []})
    assert plan["has_account"] is False
    assert "hello-world on the default host" not in [check["name"] for check in plan["checks"]]
    assert plan["hardening"]["sites"]["all"]["limit_request_body"] > 0
