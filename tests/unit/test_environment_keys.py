# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The keys of an environment stand in environment_options.py; documents say the same of them."""

from __future__ import annotations

import pathlib
import re
import typing as t

import pytest
import yaml

from ansible_collections.trac.mod_wsgi.plugins.module_utils._environments import environment_options
from ansible_collections.trac.mod_wsgi.plugins.modules import trac_environments

ROLE = pathlib.Path(__file__).resolve().parents[2] / "roles" / "trac_environments"
Options = t.Mapping[str, t.Mapping[str, t.Any]]

DOCUMENTED = yaml.safe_load(trac_environments.DOCUMENTATION)["options"]
SPECIFIED = yaml.safe_load((ROLE / "meta" / "argument_specs.yml").read_text(encoding="utf-8"))
ROLE_OPTIONS = SPECIFIED["argument_specs"]["main"]["options"]
INVENTORY = {
    key: option
    for key, option in environment_options.ENVIRONMENT.items()
    if key not in environment_options.NOT_OF_THE_INVENTORY
}


def shapes(options: Options) -> dict[str, t.Any]:
    """What is comparable of options: all but their descriptions."""
    return {
        name: {
            "type": option.get("type", "str"),
            "elements": option.get("elements"),
            "required": bool(option.get("required")),
            "default": option.get("default"),
            "choices": sorted(option.get("choices") or []),
            "options": shapes(option.get("options") or option.get("suboptions") or {}),
        }
        for name, option in options.items()
    }


def test_the_module_documents_the_keys() -> None:
    documented = DOCUMENTED["environments"]["suboptions"]
    assert shapes(documented) == shapes(environment_options.ENVIRONMENT)
    assert shapes(DOCUMENTED["defaults"]["suboptions"]) == shapes(environment_options.SHARED)


def test_the_role_specifies_the_keys() -> None:
    wanted = shapes(INVENTORY)
    # The role knows where a repository is whose directory the inventory does not name.
    wanted["repositories"]["options"]["dir"]["required"] = False
    assert shapes(ROLE_OPTIONS["trac_environments_list"]["options"]) == wanted
    defaults = ROLE_OPTIONS["trac_environments_defaults"]["options"]
    assert shapes(defaults) == shapes(environment_options.SHARED)


@pytest.mark.parametrize("key", [*INVENTORY, *environment_options.REPOSITORY])
def test_the_readme_knows_the_key(key: str) -> None:
    text = (ROLE / "README.md").read_text(encoding="utf-8")
    code = " ".join(re.findall(r"```yaml\n.*?```|`[^`\n]+`", text, re.DOTALL))
    assert re.search(rf"\b{key}\b", code)
