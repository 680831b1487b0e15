#!/usr/bin/python
# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: tls_certificate_info
short_description: Tell whether Apache can serve hosts with their certificates and keys
version_added: "0.3.0"
author: The trac.mod_wsgi maintainers (@trac-mod-wsgi)
description:
  - Looks at certificates and their private keys, whether they belong together, and whether they are
    for the names of the hosts that are served with them.
  - C(apache2ctl configtest) does not look at that, and Apache ends when it is reloaded with a key
    that does not belong to its certificate.
  - Succeeds whatever is found. Keys are not shown. Needs nothing but Python.
extends_documentation_fragment:
  - trac.mod_wsgi._attributes
  - trac.mod_wsgi._attributes.read_only
options:
  certificates:
    description:
      - What to look at, one item for each virtual host.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description: What it is called in results.
        type: str
        required: true
      names:
        description: Host names that the certificate has to be for.
        type: list
        elements: str
        default: []
      aliases:
        description: Host names that it should be for; others are a warning.
        type: list
        elements: str
        default: []
      certificate_file:
        description:
          - The file of the certificate in PEM format, the server's own first, those of its issuers
            behind it.
        type: path
        required: true
      key_file:
        description: The file of the private key in PEM format, without a passphrase.
        type: path
        required: true
      certificate:
        description: The certificates as text, which is looked at instead of the file.
        type: str
      key:
        description: The private key as text, which is looked at instead of the file.
        type: str
"""

EXAMPLES = r"""
- name: Look at a certificate
  trac.mod_wsgi.tls_certificate_info:
    certificates:
      - name: the site
        names: [trac.example.org]
        certificate_file: /etc/ssl/certs/trac.example.org.pem
        key_file: /etc/ssl/private/trac.example.org.key
  register: certificates

- name: Refuse one that does not work
  ansible.builtin.assert:
    that: certificates.problems | length == 0
    fail_msg: "{{ certificates.problems | join('\n') }}"
"""

RETURN = r"""
problems:
  description: Why Apache, or every browser, would refuse them, one sentence each.
  type: list
  elements: str
  returned: always
  sample:
    - "the site: /etc/ssl/private/trac.example.org.key is not the key of the certificate."
warnings_found:
  description: What else is wrong, such as a certificate that has expired.
  type: list
  elements: str
  returned: always
stapling:
  description: The files of those that name an OCSP responder and come with their issuer's.
  type: list
  elements: str
  returned: always
fingerprints:
  description: SHA-256 of each certificate, hexadecimal, by its file.
  type: dict
  returned: always
certificates:
  description: Names, issuer and last day of each, or null when it cannot be read, by its name.
  type: dict
  returned: always
  sample:
    the site: trac.example.org (issued by Example CA, valid until 2030-01-31)
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.trac.mod_wsgi.plugins.module_utils._apache.tls_certificate import judge


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "certificates": {
                "type": "list",
                "elements": "dict",
                "required": True,
                "options": {
                    "name": {"type": "str", "required": True},
                    "names": {"type": "list", "elements": "str", "default": []},
                    "aliases": {"type": "list", "elements": "str", "default": []},
                    "certificate_file": {"type": "path", "required": True},
                    "key_file": {"type": "path", "required": True, "no_log": False},
                    "certificate": {"type": "str"},
                    "key": {"type": "str", "no_log": True},
                },
            },
        },
        supports_check_mode=True,
    )
    verdicts = [judge(item, module.tmpdir) for item in module.params["certificates"]]
    module.exit_json(
        changed=False,
        problems=[f"{one.name}: {words}" for one in verdicts for words in one.problems],
        warnings_found=[f"{one.name}: {words}" for one in verdicts for words in one.warnings],
        stapling=[one.certificate_file for one in verdicts if one.stapling],
        fingerprints={one.certificate_file: one.fingerprint for one in verdicts if one.fingerprint},
        certificates={one.name: one.certificate for one in verdicts},
    )


if __name__ == "__main__":
    main()
