# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What people should know about an environment that opens all the same."""

from __future__ import annotations

import typing as t


class Finding(t.NamedTuple):
    """One thing that is not as it was, or as it was meant."""

    check: str  # the doctor's check that it belongs to
    seen: str
    remedy: str

    @property
    def words(self) -> str:
        """All of it, for a list of warnings."""
        return f"{self.seen}. Remedy: {self.remedy}"
