# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which mod_wsgi a host has installed, could install, and has loaded."""

from __future__ import annotations

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
