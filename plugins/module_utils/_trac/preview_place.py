# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a copy for a preview is, and what it stands for.

What trac.ini names in the environment itself has to be that of the copy, or the preview would work
on the original; what it names relative to its place outside of it has to stay what it is. Nothing
of that is shown: `outward` is the reverse of `inward`, and `words` speaks of the original.
"""

from __future__ import annotations

import os
import re

from ansible_collections.trac.mod_wsgi.plugins.module_utils._trac import ini_edit
from ansible_collections.trac.mod_wsgi.plugins.module_utils._trac.environment_spec import OptionName

_INHERIT = ("inherit", "file")


class Place:
    """A copy, and the place that it is looked at for."""

    def __init__(self, copy: str, original: str) -> None:
        self.copy = copy
        self.original = original
        self.tried = False  # the upgrade
        places = sorted({original, os.path.realpath(original)}, key=len, reverse=True)
        self._inside = re.compile("(?:" + "|".join(map(re.escape, places)) + r")(?![^/?,;\s])")
        self._moved: dict[tuple[OptionName, str], str] = {}

    def inward(self, text: str) -> str:
        """The text of a trac.ini as the copy needs it."""
        changes = {}
        for section, options in ini_edit.parse(text).items():
            for option, value in options.items():
                name = (section, option)
                moved = self._located(name, value)
                if moved != value and not ini_edit.problem(section, option, moved):
                    changes[name] = moved
                    self._moved[name, moved] = value
        return ini_edit.apply(text, changes)

    def outward(self, text: str) -> str:
        """What stands for the original in the text of the copy's trac.ini."""
        changes = {}
        for section, options in ini_edit.parse(text).items():
            for option, value in options.items():
                changes[section, option] = self.value((section, option), value)
        return ini_edit.apply(text, changes)

    def value(self, name: OptionName, value: str) -> str:
        """What an option would hold in the original."""
        key = (name[0], ini_edit.option_key(name[1]))
        return self._moved.get((key, value), self.words(value))

    def words(self, text: str) -> str:
        """A text, such as a message, about the original."""
        return text.replace(self.copy, self.original)

    def _located(self, name: OptionName, value: str) -> str:
        value = self._inside.sub(lambda _found: self.copy, value)
        if name == _INHERIT:
            return ", ".join(map(self._path, filter(None, map(str.strip, value.split(",")))))
        return self._path(value) if _is_path(name) else value

    def _path(self, value: str) -> str:
        """A path that counts from where trac.ini is, and leads out of the environment."""
        if not value or os.path.isabs(value):
            return value
        path = os.path.normpath(os.path.join(self.original, "conf", value))
        return value if path.startswith(self.original + os.sep) else path


def _is_path(name: OptionName) -> bool:
    from trac.config import Option, PathOption

    return any(
        section == name[0]
        and ini_edit.option_key(option) == name[1]
        and isinstance(definition, PathOption)
        for (section, option), definition in Option.registry.items()
    )
