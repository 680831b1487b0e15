# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Name plugins and components of an environment that Trac does not load.

Trac opens such an environment all the same, only without. That is for people to know, and no
failure.
"""

from __future__ import annotations

import os
import typing as t

from ansible_collections.trac.mod_wsgi.plugins.module_utils._trac import faults as trac_faults
from ansible_collections.trac.mod_wsgi.plugins.module_utils._trac import plugin_files
from ansible_collections.trac.mod_wsgi.plugins.module_utils._trac.finding import Finding

# Components that have moved, by the first words of their names.
_RENAMED = {
    "tracext.git": "tracopt.versioncontrol.git.*",
    "gitplugin": "tracopt.versioncontrol.git.*",
    "trac.versioncontrol.svn_fs": "tracopt.versioncontrol.svn.*",
    "trac.versioncontrol.svn_prop": "tracopt.versioncontrol.svn.*",
}


def failed(environment: t.Any) -> t.Iterator[str]:
    """Yield the plugins that Trac has failed to load."""
    for plugin, why in environment.skipped.plugins:
        file = os.path.join(environment.plugins_dir, f"{plugin}.py")
        yield f"the plugin {file if os.path.exists(file) else plugin} does not load: {why}"


def findings(environment: t.Any) -> t.Iterator[Finding]:
    """Yield what Trac ignores silently, or what may fail later."""
    known = {plugin for plugin, _why in environment.skipped.plugins}
    shared = environment.shared_plugins_dir
    for directory in dict.fromkeys(filter(None, [environment.plugins_dir, shared])):
        for name, seen, remedy in plugin_files.findings(directory):
            if os.path.splitext(name)[0] not in known:
                yield Finding("plugins", seen, remedy)
    yield from _missing_components(environment)
    yield from _missing_choices(environment)


def _missing_components(environment: t.Any) -> t.Iterator[Finding]:
    """Yield the lines of [components] that enable missing components."""
    from trac.core import ComponentMeta
    from trac.util import as_bool

    known = {f"{each.__module__}.{each.__name__}".lower() for each in ComponentMeta._components}
    for option, value in environment.components_section.options():
        rule = option.rstrip(".*").lower()
        if not as_bool(value):
            continue
        if not any(name == rule or name.startswith(f"{rule}.") for name in known):
            yield Finding(
                "plugins",
                f"[components] {option} = {value} enables nothing: no component of that name is "
                "installed",
                _instead(environment, option, rule),
            )


def _instead(environment: t.Any, option: str, rule: str) -> str:
    away = f"{option}: null"
    for former, now in _RENAMED.items():
        if rule == former or rule.startswith(f"{former}."):
            if environment.is_component_enabled(now.rstrip(".*")):
                return f"it is {now} now, which is enabled; config: {{components: {{{away}}}}}"
            return f"config: {{components: {{{now}: enabled, {away}}}}}"
    return f"have trac_runtime_plugins install it, or config: {{components: {{{away}}}}}"


def _missing_choices(environment: t.Any) -> t.Iterator[Finding]:
    """Options that name a component which is not there; Trac finds out with a visitor's request."""
    from trac.config import ExtensionOption, Option, OrderedExtensionsOption
    from trac.core import ComponentMeta

    enabled = {each.__name__ for each in ComponentMeta._components if environment.is_enabled(each)}
    for (section, name), option in sorted(Option.registry.items()):
        if not isinstance(option, (ExtensionOption, OrderedExtensionsOption)):
            continue
        if not environment.config.has_option(section, name, defaults=False):
            continue
        if (section, name) in trac_faults.NAMING:
            continue  # which is a fault, and no warning
        chosen = environment.config.getlist(section, name)
        missing = [each for each in chosen if each not in enabled]
        if missing:
            yield Finding(
                "plugins",
                f"[{section}] {name} names {', '.join(missing)}, which is not installed or not "
                "enabled; pages that need it show an error",
                "install or enable it, or correct the option",
            )
