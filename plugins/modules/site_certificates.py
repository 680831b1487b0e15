# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: site_certificates
short_description: Tell whether Apache can serve Trac sites with their certificates
version_added: "0.3.0"
author: The trac.mod_wsgi maintainers (@trac-mod-wsgi)
description:
  - Has M(trac.mod_wsgi.tls_certificate_info) look at the certificates and keys of sites, whether
    they are files of the host or texts of the inventory.
  - Those that C(mod_md) manages are left out. Where none is left, the host is not asked.
  - The arguments hold keys, so a task needs C(no_log).
extends_documentation_fragment:
  - trac.mod_wsgi._attributes
  - trac.mod_wsgi._attributes.read_only
options:
  sites:
    description: The sites, as in C(trac_sites).
    type: list
    elements: dict
    required: true
  directory:
    description: Absolute path of the directory on the host that certificates given as text go to.
    type: str
    required: true
seealso:
  - module: trac.mod_wsgi.tls_certificate_info
"""

EXAMPLES = r"""
- name: Read the certificates and keys of the sites
  trac.mod_wsgi.site_certificates:
    sites: "{{ trac_sites }}"
    directory: /etc/ssl/trac
  register: certificates
  no_log: true
"""

RETURN = r"""
problems:
  description: Why Apache, or every browser, would refuse them, one sentence each.
  type: list
  elements: str
  returned: always
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
"""
