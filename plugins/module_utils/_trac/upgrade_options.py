# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which options Trac's own upgrade is going to change, of those that name what may be missing.

An environment that waits for its upgrade is judged by what its trac.ini will say then: that it
names `ReadonlyWikiPolicy` of Trac 1.2, or `[trac] repository_dir`, is nobody's fault. The numbers
are those of the steps in trac/upgrades, which are followed in their order.
"""

from __future__ import annotations

import typing as t

from ansible_collections.trac.mod_wsgi.plugins.module_utils._trac.ini import Wanted

_POLICIES = ("trac", "permission_policies")
_BASE = ["DefaultPermissionPolicy", "LegacyAttachmentPolicy"]
_POLICY_STEPS = (
    (30, _BASE, ["ReadonlyWikiPolicy", *_BASE]),
    (43, ["ReadonlyWikiPolicy", *_BASE], ["DefaultWikiPolicy", "DefaultTicketPolicy", *_BASE]),
)
_SUBVERSION = (
    "svn_fs.SubversionConnector",
    "svn_prop.SubversionMergePropertyDiffRenderer",
    "svn_prop.SubversionMergePropertyRenderer",
    "svn_prop.SubversionPropertyRenderer",
)
_GITWEB = ("projects_base", "projects_list", "projects_url")
_TO_SVN = ("authz_file", "authz_module_name")
LATEST = 45  # the step that was looked at last


def database_version(environment: t.Any) -> int:
    """How far the upgrades have come; as far as there are any where that cannot be told."""
    from trac.db.api import DatabaseManager

    # A server that is silent, a table that is not there: told elsewhere.
    try:
        return int(DatabaseManager(environment).get_database_version() or LATEST)
    except Exception:  # noqa: BLE001
        return LATEST


def predicted(environment: t.Any, version: int) -> Wanted:
    """What an upgrade from this version is going to write into trac.ini; None where it removes."""
    config = environment.config
    changes: Wanted = {}
    if version < 29:
        for name in _SUBVERSION:
            new = f"tracopt.versioncontrol.svn.{name}"
            if environment.is_component_enabled(
                f"trac.versioncontrol.{name}"
            ) and not environment.is_component_enabled(new):
                changes["components", new] = "enabled"
    policies = config.getlist(*_POLICIES)
    for step, old, new_policies in _POLICY_STEPS:
        if version < step and policies == old:
            policies = new_policies
            changes[_POLICIES] = ", ".join(policies)
    if version < 31 and config.get("trac", "repository_dir"):
        if not config.get("repositories", ".dir") and not config.get("repositories", ".alias"):
            changes["repositories", ".dir"] = config.get("trac", "repository_dir")
        changes["trac", "repository_dir"] = None
    if version < 32:
        for option in _GITWEB:
            _move(config, changes, ("git", option), ("gitweb-repositories", option))
        changes["trac", "repository_sync_per_request"] = None
    if version < 39:
        for option in _TO_SVN:
            _move(config, changes, ("trac", option), ("svn", option))
        kind = ("versioncontrol", "default_repository_type")
        _move(config, changes, ("trac", "repository_type"), kind)
    return {
        name: value
        for name, value in changes.items()
        if value is not None or config.has_option(*name, defaults=False)
    }


def _move(config: t.Any, changes: Wanted, old: tuple[str, str], new: tuple[str, str]) -> None:
    if config.has_option(*old, defaults=False):
        changes[new] = config.get(*old)
        changes[old] = None
