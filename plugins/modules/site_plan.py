# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: site_plan
short_description: Plan the files, virtual hosts and checks of Trac sites
version_added: "0.3.0"
author: The trac.mod_wsgi maintainers (@trac-mod-wsgi)
description:
  - From the variables of role P(trac.mod_wsgi.trac_site#role) and what its first tasks have found
    on the host to everything that the role writes and checks. Changes nothing.
  - The values have been checked before, and have no problems. Defaults of sites are those of the
    role's argument specification.
  - Works on the controller. On the host, Trac is asked, as the service account, how large requests
    may be, where Trac and the account are there.
  - The result holds no password and no key. It is not printed, however much Ansible is to say.
extends_documentation_fragment:
  - trac.mod_wsgi._attributes
  - trac.mod_wsgi._attributes.read_only
options:
  sites:
    description: The sites, as in C(trac_sites).
    type: list
    elements: dict
    required: true
  environments:
    description: The environments, as in C(trac_environments).
    type: list
    elements: dict
    required: true
  environments_defaults:
    description: What all environments have in common, as in C(trac_environments_defaults).
    type: dict
    default: {}
  users:
    description: The users, as in C(trac_users).
    type: list
    elements: dict
    default: []
  groups_claim:
    description: The claim of OpenID Connect that names a user's groups; empty for none.
    type: str
    default: ""
  security_headers:
    description: Headers of answers that differ from the role's own, value by name.
    type: dict
    default: {}
  rate_limits:
    description: Requests a minute that differ from the role's own limits, number by name.
    type: dict
    default: {}
  robots:
    description: Whether robots are told which pages to leave alone.
    type: bool
    default: true
  paths:
    description:
      - Absolute paths of the role by what they are for, which are C(sites), C(cache),
        C(environments), C(venv), C(tls), C(hello_world_link), C(repositories) (or empty),
        and the list C(writable). C(marker) is the name of a file, C(hello_world_url) a path of a
        URL.
    type: dict
    required: true
  user:
    description: The service account.
    type: str
    required: true
  apache_user:
    description: Apache's account.
    type: str
    required: true
  as_account:
    description: The words in front of a command that runs it as the service account.
    type: list
    elements: str
    required: true
  host:
    description: The name by which visitors reach the host, for sites without one of their own.
    type: str
    required: true
  host_facts:
    description:
      - What was found on the host, lines of a keyword and its value. The keywords are C(path),
        C(environment_on_server), C(out_of_service) (Base64), C(cores), C(memory_kb),
        C(apache_groups), C(account) and C(apache_workers).
    type: list
    elements: str
    required: true
  ports:
    description: The result of M(trac.mod_wsgi.apache_ports_info).
    type: dict
    required: true
  certificates:
    description: The result of M(trac.mod_wsgi.tls_certificate_info).
    type: dict
    required: true
  reconciled:
    description: The environments in the result of M(trac.mod_wsgi.trac_environments), if it ran.
    type: list
    elements: dict
    default: []
  answering:
    description: Names of those that have failed and answer visitors all the same.
    type: list
    elements: str
    default: []
  broken:
    description: Environments that cannot be served, the reason by name.
    type: dict
    default: {}
"""

EXAMPLES = r"""
- name: Plan the sites
  trac.mod_wsgi.site_plan:
    sites: "{{ trac_sites }}"
    environments: "{{ trac_environments }}"
    paths: "{{ paths }}"
    user: trac
    apache_user: www-data
    as_account: [runuser, --user, trac, --]
    host: "{{ inventory_hostname }}"
    host_facts: "{{ facts.stdout_lines }}"
    ports: "{{ ports }}"
    certificates: "{{ certificates }}"
  register: plan
"""

RETURN = r"""
sites:
  description: The sites with all keys and what follows from them.
  type: list
  elements: dict
  returned: always
virtual_hosts:
  description: One for each server name, with its sites; the default one first.
  type: list
  elements: dict
  returned: always
scripts:
  description: The files of the WSGI scripts, for M(trac.mod_wsgi.apache_transaction).
  type: list
  elements: dict
  returned: always
markers:
  description: Files by which the role knows its own directories.
  type: list
  elements: dict
  returned: always
busy_pages:
  description: The pages for visitors of sites that have too much to do.
  type: list
  elements: dict
  returned: always
hardening:
  description: Headers, limits, rules and C(robots.txt) by site and virtual host.
  type: dict
  returned: always
embedded:
  description: Whether a site runs in Apache's own processes.
  type: bool
  returned: always
default_host:
  description: Whether a site is on the default virtual host.
  type: bool
  returned: always
apache:
  description: Apache's own workers.
  type: dict
  returned: always
tls:
  description: Apache's modules, files and settings for TLS.
  type: dict
  returned: always
authentication:
  description: Apache's modules, packages and files for logins.
  type: dict
  returned: always
pools:
  description: What decides how many database connections each site can open.
  type: list
  elements: dict
  returned: always
checks:
  description: What has to be answered, for M(trac.mod_wsgi.http_check).
  type: list
  elements: dict
  returned: always
served_checks:
  description: The same as if no environment were out of service.
  type: list
  elements: dict
  returned: always
environment_checks:
  description: Of the checks that ask for an environment's pages, its name by the check's.
  type: dict
  returned: always
certificate_checks:
  description: Which certificate each virtual host has to show.
  type: list
  elements: dict
  returned: always
urls:
  description: Addresses for visitors, a list by the site's name.
  type: dict
  returned: always
out_of_service:
  description: Environments that visitors are kept from, the reason by name.
  type: dict
  returned: always
existing_paths:
  description: Paths of O(host_facts).
  type: list
  elements: str
  returned: always
environments_on_servers:
  description: Environments that may have their database on a server.
  type: list
  elements: str
  returned: always
apache_groups:
  description: The groups of Apache's account, the primary one first.
  type: list
  elements: str
  returned: always
has_account:
  description: Whether the service account is there.
  type: bool
  returned: always
writable_paths:
  description: Directories that systemd has to let Trac write to.
  type: list
  elements: str
  returned: always
"""
