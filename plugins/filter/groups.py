# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter that says which hosts a playbook is for."""

from __future__ import annotations

import typing as t


def existing_groups(names: t.Iterable[str], groups: t.Container[str]) -> str:
    return ":".join(name for name in names if name in groups) or "all:!all"


class FilterModule:
    """The filter, by name."""

    def filters(self) -> dict[str, t.Callable[..., str]]:
        return {"existing_groups": existing_groups}
