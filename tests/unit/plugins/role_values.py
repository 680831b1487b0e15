# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the variables of a role are where an inventory says nothing."""

from __future__ import annotations

import functools
import pathlib
import typing as t

from ansible import template
from ansible.parsing.dataloader import DataLoader

ROLES = pathlib.Path(__file__).resolve().parents[3] / "roles"
Values = t.Dict[str, t.Any]

# ansible-core 2.19 and later want to be told so.
_TRUSTED = {"trusted_as_template": True} if hasattr(template, "trust_as_template") else {}

# What filters of the collection find out, which Ansible does not find under pytest.
_FOUND: Values = {
    "trac_environments_database_host": "",
    "trac_database_environments": [],
    "trac_database_clients": [],
}


@functools.cache
def _defaults(role: str) -> Values:
    loader = DataLoader()
    files = ("trac_common/vars", f"{role}/vars", f"{role}/defaults")
    common, variables, defaults = (
        dict(loader.load_from_file(str(ROLES / file / "main.yml"), **_TRUSTED)) for file in files
    )
    known = {"inventory_hostname": "web", **common, **variables, **defaults, **_FOUND}
    templar = template.Templar(loader=loader, variables=known)
    return {name: templar.template(known[name]) for name in defaults}


def role_values(role: str) -> Values:
    """The defaults of a role, templated."""
    return dict(_defaults(role))
