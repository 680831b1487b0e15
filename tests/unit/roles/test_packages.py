# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""There is one way to install packages, which copes with an index of apt that knows none."""

from __future__ import annotations

import pathlib
import re

ROOT = pathlib.Path(__file__).parents[3]
OTHER_WAYS = re.compile(r"\b(ansible\.builtin\.(apt|package)|apt-get|aptitude)\b")


def test_all_roles_install_packages_the_same_way() -> None:
    found = [
        f"{path.relative_to(ROOT)}: {match[0]}"
        for pattern in ("roles/*/tasks/*.yml", "roles/*/handlers/*.yml", "playbooks/**/*.yml")
        for path in sorted(ROOT.glob(pattern))
        for match in OTHER_WAYS.finditer(re.sub(r"#.*", "", path.read_text("utf-8")))
    ]
    assert found == []
