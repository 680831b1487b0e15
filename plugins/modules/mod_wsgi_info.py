#!/usr/bin/python
# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The module C(trac.mod_wsgi.mod_wsgi_info)."""

from __future__ import annotations

DOCUMENTATION = r"""
module: mod_wsgi_info
short_description: Tell which mod_wsgi a host would install, has installed, and has loaded
version_added: "0.1.0"
author: "The trac.mod_wsgi maintainers (@trac-mod-wsgi)"
description:
  - Reads the version of mod_wsgi in three places on a Debian or Ubuntu host, and says for each
    whether it serves Trac. Versions 1.3, its point releases, and all from 2.3 on do; the 2.0 line
    breaks attachment downloads (Trac ticket 7205).
  - Needs neither the Python bindings of C(apt) nor an installed Apache.
  - Has to run as root to see what the running Apache has loaded. As any other user it reports what
    Apache's configuration would load.
extends_documentation_fragment:
  - trac.mod_wsgi._attributes
  - trac.mod_wsgi._attributes.read_only
options:
  package:
    description:
      - The package that brings mod_wsgi.
    type: str
    default: libapache2-mod-wsgi-py3
seealso:
  - plugin: trac.mod_wsgi.serves_trac
    plugin_type: test
"""

EXAMPLES = r"""
- name: Read the versions of mod_wsgi
  trac.mod_wsgi.mod_wsgi_info:
  register: mod_wsgi

- name: Refuse a package that breaks attachment downloads
  ansible.builtin.assert:
    that: mod_wsgi.candidate.serves_trac
    fail_msg: "{{ mod_wsgi.candidate.message }}"
"""

RETURN = r"""
candidate:
  description: What the package manager would install, from its index as it is on the host now.
  returned: always
  type: dict
  contains: &version
    version:
      description: The version, V(null) where there is none or it cannot be read.
      type: str
      returned: always
      sample: 4.9.4-1+b2
    serves_trac:
      description: Whether this version serves Trac; V(false) where there is no version.
      type: bool
      returned: always
    message:
      description: The same in a sentence, with the reason for a refusal.
      type: str
      returned: always
      sample: mod_wsgi 4.9.4-1+b2 serves Trac.
    warnings:
      description: What is wrong with a version that serves Trac nevertheless.
      type: list
      elements: str
      returned: always
    read_from:
      description: Where the version was read.
      type: str
      returned: always
      sample: apt-cache policy libapache2-mod-wsgi-py3
installed:
  description: The installed package.
  returned: always
  type: dict
  contains: *version
loaded:
  description:
    - The mod_wsgi in the memory of the running Apache. Where none runs, or the running one has not
      loaded it, the one that Apache's configuration names.
    - The version is the one inside the shared object, so it has no revision of a distribution.
      Warnings take the revision of the package into account if the object is the package's.
  returned: always
  type: dict
  contains:
    version:
      description: The version, V(null) where there is none or it cannot be read.
      type: str
      returned: always
      sample: 4.9.4
    serves_trac:
      description: Whether this version serves Trac; V(false) where there is no version.
      type: bool
      returned: always
    message:
      description: The same in a sentence, with the reason for a refusal.
      type: str
      returned: always
    warnings:
      description: What is wrong with a version that serves Trac nevertheless.
      type: list
      elements: str
      returned: always
    read_from:
      description: Where the version was read.
      type: str
      returned: always
      sample: process 1643, /usr/lib/apache2/modules/mod_wsgi.so-3.11
    path:
      description: The shared object, V(null) where there is none.
      type: str
      returned: always
      sample: /usr/lib/apache2/modules/mod_wsgi.so-3.11
    running:
      description: Whether the running Apache has it in its memory.
      type: bool
      returned: always
    stale:
      description:
        - Whether the running Apache still holds an object whose file has been replaced or removed,
          as after an upgrade of the package. It needs a restart.
      type: bool
      returned: always
"""

import os
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.trac.mod_wsgi.plugins.module_utils._apache.host import (
    candidate_from_policy,
    configured_object,
    installed_from_dpkg,
    loaded_mapping,
    mapped_content,
    version_in_object,
)
from ansible_collections.trac.mod_wsgi.plugins.module_utils._apache.version_gate import (
    judge,
    parse_version,
)


def report(
    version: str | None, absent: str, read_from: str, package_version: str | None = None
) -> dict[str, Any]:
    """Put a version and the judgement about it into the form that is returned."""
    if version is None:
        return {
            "version": None,
            "serves_trac": False,
            "message": absent,
            "warnings": [],
            "read_from": read_from,
        }
    verdict = judge(version)
    warnings = verdict.warnings if package_version is None else judge(package_version).warnings
    return {
        "version": version,
        "serves_trac": verdict.accepted,
        "message": verdict.message,
        "warnings": list(warnings),
        "read_from": read_from,
    }


def same_release(one: str | None, other: str | None) -> bool:
    """Whether two versions come from the same release of upstream."""
    if one is None or other is None:
        return False
    first, second = parse_version(one), parse_version(other)
    return first is not None and second is not None and first.upstream == second.upstream


class ModWsgiInfo:
    """Reads the three versions."""

    def __init__(self, module: AnsibleModule) -> None:
        self.module = module
        self.package: str = module.params["package"]

    def candidate(self) -> dict[str, Any]:
        """What would be installed."""
        output = self._output("apt-cache", "policy", self.package)
        return report(
            candidate_from_policy(output),
            f"No package {self.package} is on offer: the host's package sources do not have it,"
            " or their index has not been fetched.",
            f"apt-cache policy {self.package}",
        )

    def installed(self) -> dict[str, Any]:
        """What is installed."""
        output = self._output(
            "dpkg-query", "--show", "--showformat=${db:Status-Status} ${Version}", self.package
        )
        return report(
            installed_from_dpkg(output),
            f"The package {self.package} is not installed.",
            f"dpkg-query --show {self.package}",
        )

    def loaded(self, package_version: str | None) -> dict[str, Any]:
        """What the running Apache has loaded, or what its configuration would load."""
        mapping = loaded_mapping()
        if mapping is not None:
            content = mapped_content(mapping)
            path, read_from = mapping.path, f"process {mapping.pid}, {mapping.path}"
            if mapping.deleted:
                read_from += " (since replaced or removed)"
        else:
            configured = configured_object()
            if configured is None:
                return self._loaded_nothing()
            path, read_from = os.path.realpath(configured[0]), f"{configured[0]}, {configured[1]}"
            content = self._content(path)
        version = version_in_object(content) if content is not None else None
        stale = mapping is not None and mapping.deleted
        ours = not stale and self._owned(path)
        if version is None and ours and package_version is not None:
            version, read_from = package_version, f"{read_from} (the version of its package)"
        return {
            **report(
                version,
                f"The version of mod_wsgi in {path} cannot be read.",
                read_from,
                package_version if ours and same_release(version, package_version) else None,
            ),
            "path": path,
            "running": mapping is not None,
            "stale": stale,
        }

    @staticmethod
    def _loaded_nothing() -> dict[str, Any]:
        absent = "Neither has a running Apache loaded mod_wsgi, nor does Apache's configuration."
        return {
            **report(None, absent, "/proc, /etc/apache2"),
            "path": None,
            "running": False,
            "stale": False,
        }

    @staticmethod
    def _content(path: str) -> bytes | None:
        try:
            with open(path, "rb") as shared_object:
                return shared_object.read()
        except OSError:
            return None

    def _owned(self, path: str) -> bool:
        owners = self._output("dpkg-query", "--search", path)
        return any(line.split(":")[0] == self.package for line in owners.splitlines())

    def _output(self, program: str, *arguments: str) -> str:
        """What a program writes; nothing where it fails, as it does for an unknown package."""
        path = self.module.get_bin_path(program)
        if path is None:
            self.module.fail_json(
                msg=f"{program} is missing: this module reads Debian's and Ubuntu's packages."
            )
        environment = {"LC_ALL": "C"}
        code, output, _dummy = self.module.run_command(
            [path, *arguments], environ_update=environment
        )
        return output if code == 0 else ""


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={"package": {"type": "str", "default": "libapache2-mod-wsgi-py3"}},
        supports_check_mode=True,
    )
    info = ModWsgiInfo(module)
    installed = info.installed()
    module.exit_json(
        changed=False,
        candidate=info.candidate(),
        installed=installed,
        loaded=info.loaded(installed["version"]),
    )


if __name__ == "__main__":
    main()
