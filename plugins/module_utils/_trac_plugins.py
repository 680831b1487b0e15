# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Name what an environment was extended with and what Trac does not load.

Trac opens such an environment all the same, only without. That is for people to know, and no
failure.
"""

from __future__ import annotations

import os
import re
import sys
import typing as t

from ansible_collections.trac.mod_wsgi.plugins.module_utils._trac_faults import NAMING

_EGG = re.compile(r"-py(\d+\.\d+)(-.*)?\.egg\Z")
_GENSHI = b"http://genshi.edgewall.org/"
_READ = 100_000  # bytes of a template


def complaints(environment: t.Any) -> list[str]:
    """What is not loaded, in words."""
    return [
        *_failed(environment),
        *_old_eggs(environment),
        *_missing_components(environment),
        *_missing_choices(environment),
        *_old_templates(environment),
    ]


def _failed(environment: t.Any) -> t.Iterator[str]:
    for plugin, why in environment.skipped.plugins:
        file = os.path.join(environment.plugins_dir, f"{plugin}.py")
        yield f"the plugin {file if os.path.exists(file) else plugin} does not load: {why}"


def _names(directory: str) -> list[str]:
    try:
        return sorted(os.listdir(directory))
    except OSError:
        return []


def _old_eggs(environment: t.Any) -> t.Iterator[str]:
    """Eggs of another Python, which are passed over without a word."""
    python = f"{sys.version_info[0]}.{sys.version_info[1]}"
    for name in _names(environment.plugins_dir):
        match = _EGG.search(name)
        if match and match[1] != python:
            yield (
                f"the plugin {os.path.join(environment.plugins_dir, name)} does not load: it is "
                f"for Python {match[1]}, and this is {python}"
            )


def _missing_components(environment: t.Any) -> t.Iterator[str]:
    """Lines of [components] that enable what is not there."""
    from trac.core import ComponentMeta
    from trac.util import as_bool

    known = {f"{each.__module__}.{each.__name__}".lower() for each in ComponentMeta._components}
    for option, value in environment.components_section.options():
        rule = option.rstrip(".*").lower()
        if not as_bool(value):
            continue
        if not any(name == rule or name.startswith(f"{rule}.") for name in known):
            yield (
                f"[components] {option} = {value} enables nothing: no component of that name is "
                "installed"
            )


def _missing_choices(environment: t.Any) -> t.Iterator[str]:
    """Options that name a component which is not there; Trac finds out with a visitor's request."""
    from trac.config import ExtensionOption, Option, OrderedExtensionsOption
    from trac.core import ComponentMeta

    enabled = {each.__name__ for each in ComponentMeta._components if environment.is_enabled(each)}
    for (section, name), option in sorted(Option.registry.items()):
        if not isinstance(option, (ExtensionOption, OrderedExtensionsOption)):
            continue
        if (section, name) in NAMING:  # which is no complaint, but a failure
            continue
        if not environment.config.has_option(section, name, defaults=False):
            continue
        chosen = environment.config.getlist(section, name)
        missing = [each for each in chosen if each not in enabled]
        if missing:
            yield (
                f"[{section}] {name} names {', '.join(missing)}, which is not installed or not "
                "enabled; pages that need it show an error"
            )


def _old_templates(environment: t.Any) -> t.Iterator[str]:
    """Templates for Genshi, which Trac has not read since 1.4."""
    for name in _names(environment.templates_dir):
        if not name.endswith(".html"):
            continue
        path = os.path.join(environment.templates_dir, name)
        try:
            with open(path, "rb") as file:
                if _GENSHI in file.read(_READ):
                    yield (
                        f"the template {path} is not used: it is written for Genshi, and Trac's "
                        "are for Jinja2 now (site_head.html, site_header.html, site_footer.html)"
                    )
        except OSError:
            continue
