# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Warnings about an environment, the same in a run, a restore, the preflight of an upgrade, and
the doctor."""

from __future__ import annotations

import contextlib
import os
import typing as t

from ansible_collections.trac.mod_wsgi.plugins.module_utils._trac import faults as trac_faults
from ansible_collections.trac.mod_wsgi.plugins.module_utils._trac import needs as trac_needs
from ansible_collections.trac.mod_wsgi.plugins.module_utils._trac import plugins as trac_plugins
from ansible_collections.trac.mod_wsgi.plugins.module_utils._trac import templates as trac_templates
from ansible_collections.trac.mod_wsgi.plugins.module_utils._trac import upgrade_options
from ansible_collections.trac.mod_wsgi.plugins.module_utils._trac.environment_spec import (
    EnvironmentFailure,
)
from ansible_collections.trac.mod_wsgi.plugins.module_utils._trac.finding import Finding
from ansible_collections.trac.mod_wsgi.plugins.module_utils._trac.ini import IniFile, Wanted
from ansible_collections.trac.mod_wsgi.plugins.module_utils._trac.opening import (
    environment_class,
    opened,
    reason,
)

_POLICIES = ("trac", "permission_policies")
_FORMER_POLICY = "ReadonlyWikiPolicy"
_ITS_SUCCESSORS = ("DefaultWikiPolicy", "DefaultTicketPolicy")
_FIRST_WITH_AUTHZ_POLICY = 22  # versions of databases: Trac 0.11 has 21


def words(
    environment: t.Any, ini: IniFile, wanted: Wanted | None = None, managed: t.Container[str] = ()
) -> list[str]:
    """Return all warnings; for an outdated environment, those that hold after its upgrade.

    :param wanted: options that are going to be written
    :param managed: names of repositories that the inventory takes care of
    """
    with _as_upgraded(environment, ini, wanted, ask=True) as (upgraded, version):
        found = [each.words for each in _found(upgraded, version, managed, ask=True)]
        return [*found, *trac_faults.unused_rules(upgraded)]


def findings(environment: t.Any, ini: IniFile, ask: bool = True) -> list[Finding]:
    """The same for the doctor, which looks for unused rules by itself.

    :param ask: whether its database can be asked
    """
    with _as_upgraded(environment, ini, None, ask) as (upgraded, version):
        return list(_found(upgraded, version, (), ask))


@contextlib.contextmanager
def _as_upgraded(
    environment: t.Any, ini: IniFile, wanted: Wanted | None, ask: bool
) -> t.Iterator[tuple[t.Any, int]]:
    """An environment, or what it will be with the trac.ini that its upgrade is going to write."""
    version = upgrade_options.LATEST
    if ask:
        version = upgrade_options.database_version(environment)
    coming = upgrade_options.predicted(environment, version)
    if not coming:
        yield environment, version
        return
    parser = ini.proposed({**(wanted or {}), **coming})
    with opened(environment_class()(environment.path, parser)) as upgraded:
        yield upgraded, upgrade_options.LATEST


def _found(
    environment: t.Any, version: int, managed: t.Container[str], ask: bool
) -> t.Iterator[Finding]:
    parts: tuple[t.Callable[[], t.Iterator[Finding]], ...] = (
        lambda: trac_plugins.findings(environment),
        lambda: _templates(environment),
        lambda: trac_needs.findings(environment, version, managed, ask),
    )
    for part in parts:
        # What plugins and old options bring must not stop the others from being looked at.
        try:
            yield from part()
        except Exception as e:  # noqa: BLE001
            why = reason(e, environment.path)
            yield Finding("plugins", f"not everything could be looked at ({why})", "correct that")


def _templates(environment: t.Any) -> t.Iterator[Finding]:
    for template in trac_templates.unfit(environment):
        if template.on_all_pages:
            continue  # which is a fault, and no warning
        yield Finding("plugins", template.seen, template.remedy)


def refuse_upgrade(environment: t.Any) -> None:
    """Refuse an upgrade after which pages would be errors, or open to everybody."""
    version = upgrade_options.database_version(environment)
    if version < upgrade_options.LATEST:
        _refuse_former_policy(environment, version)
    if version < _FIRST_WITH_AUTHZ_POLICY:
        _refuse_opening(environment)


def _refuse_former_policy(environment: t.Any, version: int) -> None:
    """Trac's upgrade puts others in the place of this policy only where no other is chosen."""
    now = environment.config.getlist(*_POLICIES)
    coming = upgrade_options.predicted(environment, version).get(_POLICIES)
    if _FORMER_POLICY not in now or coming is not None:
        return
    place = now.index(_FORMER_POLICY)
    others = [each for each in _ITS_SUCCESSORS if each not in now]
    better = ", ".join([*now[:place], *others, *now[place + 1 :]])
    raise EnvironmentFailure(
        f"[trac] permission_policies names {_FORMER_POLICY}, which Trac has no more, and which "
        "its upgrade replaces only where no other policy is chosen; with it each page would be an "
        f"error (status 500). Remedy: config: {{trac: {{permission_policies: '{better}'}}}}"
    )


def _refuse_opening(environment: t.Any) -> None:
    """Trac 0.11 applies [trac] authz_file by itself; every later one needs a policy for it, which
    no upgrade adds.
    """
    policies = environment.config.getlist(*_POLICIES)
    if not trac_needs.is_authz_ignored(environment, policies):
        return
    file = environment.config.get("trac", "authz_file")
    raise EnvironmentFailure(
        f"[trac] authz_file keeps parts of its repository from people ({os.path.basename(file)}), "
        "which Trac 0.11 did by itself; after the upgrade nothing would read that file, and "
        "whoever has BROWSER_VIEW and FILE_VIEW would see everything. Remedy: config: {trac: "
        "{permission_policies: 'AuthzSourcePolicy, DefaultWikiPolicy, DefaultTicketPolicy, "
        "DefaultPermissionPolicy, LegacyAttachmentPolicy'}}, or, where that is not needed any "
        "more, config: {trac: {authz_file: null}}"
    )
