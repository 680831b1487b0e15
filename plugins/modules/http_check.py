#!/usr/bin/python
# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: http_check
short_description: See whether URLs answer with what a visitor should see
version_added: "0.1.0"
author: The trac.mod_wsgi maintainers (@trac-mod-wsgi)
description:
  - Sends one GET request for each check and compares status, body and title with what is expected.
    A status alone does not show that the right Trac environment has answered; its title does.
  - Connects to the address in the URL itself. Proxies, redirects and cookies play no part.
  - Over TLS the certificate for O(checks[].host) is asked for. It is told in the result; whether
    somebody trusts in it is not looked at.
  - All checks run before the module fails, so that its message names every one that did not pass.
extends_documentation_fragment:
  - trac.mod_wsgi._attributes
  - trac.mod_wsgi._attributes.read_only
options:
  checks:
    description:
      - What to ask for. Nothing is looked at but what is given.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description: What the check is called in messages and results.
        type: str
        required: true
      url:
        description: The URL, beginning with C(http://) or C(https://).
        type: str
        required: true
      host:
        description:
          - The C(Host) header, for a virtual host that is reached by its address.
        type: str
      status:
        description: The accepted status codes. With none, the status is not looked at.
        type: list
        elements: int
        default: [200]
      body:
        description: Text that occurs in the body.
        type: str
      exact_body:
        description: Text that is the body.
        type: str
      title:
        description:
          - Text that occurs in the page's title as whole words, after character references are
            resolved and runs of white space have become one blank.
        type: str
      accept:
        description:
          - Status codes that pass whatever the page says, such as 401 from a site behind a login.
        type: list
        elements: int
        default: []
      location:
        description: Text that occurs in the header C(Location), where the answer leads elsewhere.
        type: str
        version_added: "0.3.0"
      certificate:
        description:
          - The certificate that the server has to show, by its SHA-256 fingerprint in hexadecimal
            digits.
        type: str
        version_added: "0.3.0"
      managed_certificate:
        description:
          - Whether Apache's mod_md gets the certificate. Until it has it, mod_md shows one of its
            own and answers with 503; that passes then.
        type: bool
        default: false
        version_added: "0.3.0"
      headers:
        description: More headers of this request. O(headers) comes first.
        type: dict
        default: {}
        version_added: "0.3.0"
  headers:
    description: More headers of each request. Their values are not shown.
    type: dict
    default: {}
    version_added: "0.2.0"
  retries:
    description:
      - How often a check that did not pass is repeated. What is answered with 429 (too many
        requests) after that is asked once more when a minute is over.
    type: int
    default: 5
  delay:
    description: Seconds between two attempts.
    type: float
    default: 1
  timeout:
    description: Seconds after which a request without an answer has failed.
    type: float
    default: 30
"""

EXAMPLES = r"""
- name: Verify that the project answers with its own title
  trac.mod_wsgi.http_check:
    checks:
      - name: project
        url: http://127.0.0.1/trac
        host: trac.example.org
        # A private project answers 403, under its own title.
        status: [200, 403]
        title: My Project
"""

RETURN = r"""
results:
  description: The outcome of each check, in their order.
  type: list
  elements: dict
  returned: always
  contains:
    name:
      description: The name of the check.
      type: str
    url:
      description: The URL that was asked for.
      type: str
    ok:
      description: Whether all was as expected.
      type: bool
    reason:
      description: What was not, empty if O(ignore:ok=true).
      type: str
    status:
      description: The status code, or null when there was no answer.
      type: int
    title:
      description: The title of the page, or null when there was none.
      type: str
    certificate:
      description: What certificate the server has shown, or null without TLS.
      type: str
      sample: trac.example.org (self-signed, valid until 2030-01-31)
  sample:
    - name: project
      url: http://127.0.0.1/trac
      ok: true
      reason: ""
      status: 200
      title: WikiStart – My Project
      certificate: null
"""

import typing as t

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.trac.mod_wsgi.plugins.module_utils._apache.http_check import (
    Check,
    Result,
    run_checks,
)


def _as_dict(result: Result) -> dict[str, t.Any]:
    return {
        "name": result.name,
        "url": result.url,
        "ok": result.ok,
        "reason": result.reason,
        "status": result.status,
        "title": result.title,
        "certificate": result.certificate,
    }


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "checks": {
                "type": "list",
                "elements": "dict",
                "required": True,
                "options": {
                    "name": {"type": "str", "required": True},
                    "url": {"type": "str", "required": True},
                    "host": {"type": "str"},
                    "status": {"type": "list", "elements": "int", "default": [200]},
                    "body": {"type": "str"},
                    "exact_body": {"type": "str"},
                    "title": {"type": "str"},
                    "accept": {"type": "list", "elements": "int", "default": []},
                    "location": {"type": "str"},
                    "certificate": {"type": "str"},
                    "managed_certificate": {"type": "bool", "default": False},
                    "headers": {"type": "dict", "default": {}},
                },
            },
            "headers": {"type": "dict", "default": {}, "no_log": True},
            "retries": {"type": "int", "default": 5},
            "delay": {"type": "float", "default": 1},
            "timeout": {"type": "float", "default": 30},
        },
        supports_check_mode=True,
    )
    params = module.params
    checks = [
        Check(
            **{
                **item,
                "status": tuple(item["status"]),
                "accept": tuple(item["accept"]),
                "headers": {**item["headers"], **params["headers"]},
            }
        )
        for item in params["checks"]
    ]
    results = run_checks(
        checks,
        params["timeout"],
        retries=max(params["retries"], 0),
        delay=params["delay"],
    )
    failed = [result for result in results if not result.ok]
    output = [_as_dict(result) for result in results]
    if failed:
        words = "; ".join(f"{result.name} ({result.url}) {result.reason}" for result in failed)
        module.fail_json(
            msg=f"{len(failed)} of {len(results)} checks did not pass: {words}.",
            results=output,
        )
    module.exit_json(changed=False, results=output)


if __name__ == "__main__":
    main()
