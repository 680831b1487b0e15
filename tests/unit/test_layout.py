# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The packages of module_utils import downwards only, see docs/ARCHITECTURE.md."""

from __future__ import annotations

import ast
import functools
import pathlib
import re

import pytest

PLUGINS = pathlib.Path(__file__).resolve().parents[2] / "plugins"
ROOT = "ansible_collections.trac.mod_wsgi.plugins"
UTILS = f"{ROOT}.module_utils"

# What each package may import, besides itself.
_GROUND = {"_core", "_trac"}
MAY_IMPORT = {
    "_core": set[str](),
    "_trac": {"_core"},
    "_apache": {"_core"},
    "_site": _GROUND,
    "_copies": _GROUND,
    "_environments": _GROUND | {"_copies"},
    "_backup": _GROUND | {"_copies"},
    "_upgrade": _GROUND | {"_copies", "_apache"},
    "_doctor": _GROUND | {"_copies", "_apache", "_site"},
    "_restore": _GROUND | {"_copies", "_environments", "_backup"},
}


@functools.lru_cache(maxsize=None)
def imports(path: pathlib.Path) -> frozenset[str]:
    """The names of what a file imports from the collection, wherever in it."""
    return frozenset(
        f"{node.module}.{name.name}"
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ImportFrom) and f"{node.module}.".startswith(f"{ROOT}.")
        for name in node.names
    )


def packages() -> set[str]:
    return {path.parent.name for path in (PLUGINS / "module_utils").glob("*/*.py")}


def test_every_package_is_known() -> None:
    assert packages() == set(MAY_IMPORT)
    assert not list((PLUGINS / "module_utils").glob("*.py"))


def test_the_architecture_says_the_same() -> None:
    text = (PLUGINS.parent / "docs/ARCHITECTURE.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(_\w+)` \| .* \| (.*) \|$", text, re.MULTILINE)
    assert {name: set(re.findall(r"`(_\w+)`", cell)) for name, cell in rows} == MAY_IMPORT


@pytest.mark.parametrize("package", sorted(MAY_IMPORT))
def test_a_package_imports_downwards_only(package: str) -> None:
    wrong = [
        f"{path.name} imports {name}"
        for path in sorted((PLUGINS / "module_utils" / package).glob("*.py"))
        for name in sorted(imports(path))
        if not name.startswith(f"{UTILS}.")
        or name[len(UTILS) + 1 :].split(".")[0] not in MAY_IMPORT[package] | {package}
    ]
    assert not wrong


def test_nothing_is_imported_in_a_circle() -> None:
    """Within a package, too: each module can be imported before those that need it."""
    paths = list((PLUGINS / "module_utils").glob("*/*.py"))
    modules = {f"{UTILS}.{path.parent.name}.{path.stem}": path for path in paths}
    left = {
        name: {other for other in modules if other != name and is_needed(path, other)}
        for name, path in modules.items()
    }
    while left:
        ready = {name for name, others in left.items() if not others & left.keys()}
        assert ready, f"a circle among {sorted(left)}"
        left = {name: others for name, others in left.items() if name not in ready}


def is_needed(path: pathlib.Path, module: str) -> bool:
    """Whether a file imports a module, or something in it."""
    return any(f"{name}.".startswith(f"{module}.") for name in imports(path))


def test_what_runs_on_hosts_needs_nothing_of_the_controller() -> None:
    """Ansible sends module_utils to hosts, and neither plugin_utils nor filters."""
    wrong = [
        f"{path.name} imports {name}"
        for folder in ("modules", "module_utils")
        for path in sorted((PLUGINS / folder).rglob("*.py"))
        for name in sorted(imports(path))
        if not name.startswith(f"{UTILS}.")
    ]
    assert not wrong
