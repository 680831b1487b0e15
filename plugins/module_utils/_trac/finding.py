# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A warning about an environment that can be opened."""

from __future__ import annotations

import typing as t


class Finding(t.NamedTuple):
    """One warning."""

    check: str  # the doctor's check that it belongs to
    seen: str
    remedy: str

    @property
    def words(self) -> str:
        """Return the whole warning as one text."""
        return f"{self.seen}. Remedy: {self.remedy}"
