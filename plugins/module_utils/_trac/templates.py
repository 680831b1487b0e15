# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Find templates that Trac's own template engine cannot use.

Trac had Genshi until 1.2 and has Jinja2 alone now. What lies in an environment's `templates` goes
before Trac's own, whatever it is written for. Trac's engine is asked; only where it takes a
template of Genshi's for text is it told by Genshi's own words, which no template of Jinja2 has.
"""

from __future__ import annotations

import os
import re
import typing as t

from ansible_collections.trac.mod_wsgi.plugins.module_utils._core import regular_file

_ENDINGS = (".html", ".rss", ".xml", ".txt")
_MARKUP = re.compile(
    rb"http://genshi\.edgewall\.org/"
    rb"|<py:(?:if|for|def|with|match|choose|when|otherwise|replace)[\s>]"
    rb"|\spy:(?:if|for|def|with|match|choose|when|otherwise|replace|content|attrs|strip)\s*="
    rb"|<xi:include\s"
)
# In texts: how Genshi ends all that it begins, and variables without braces.
_TEXT = re.compile(
    rb"\{%-?\s*(?:end|choose|when|otherwise)\b"
    rb"|^[ \t]*#(?:end|choose|when|otherwise)\b"
    rb"|\$(?:ticket_|ticket\.|change\.|changes_|project\.|email\.)",
    re.MULTILINE,
)
# Without these there is no page as it should be.
_OF_ALL_PAGES = ("layout.html", "theme.html")
_INCLUDED = ("site_head.html", "site_header.html", "site_footer.html")
_INSTEAD = ", ".join(_INCLUDED)


class Unfit(t.NamedTuple):
    """A template that Trac cannot use."""

    path: str
    why: str
    used: bool  # it goes before one of Trac's or a plugin's, or is included by each page
    on_all_pages: bool

    @property
    def seen(self) -> str:
        """What is the matter."""
        return f"the template {self.path} {self._verb}: {self.why}"

    @property
    def _verb(self) -> str:
        if not self.used:
            return "is not used"
        what = "the mails" if self.path.endswith(".txt") else "the pages"
        return f"goes before the one that Trac has, and spoils {what} that are made with it"

    @property
    def remedy(self) -> str:
        """What to do about it."""
        if self.used:
            return "write it anew for Jinja2, from Trac's own of that name, or take it away"
        return f"Trac's are for Jinja2 now ({_INSTEAD}); write what is needed there, and remove it"


def is_genshi(name: str, content: bytes) -> bool:
    """Whether a template is written for Genshi."""
    return bool((_TEXT if name.endswith(".txt") else _MARKUP).search(content))


def unfit(environment: t.Any) -> t.Iterator[Unfit]:
    """The templates of an environment, and those it shares with others, that Trac cannot use."""
    directories = [environment.templates_dir, _shared(environment)]
    found = [(d, name) for d in dict.fromkeys(filter(None, directories)) for name in _names(d)]
    if not found:
        return
    own = _own_names(environment, directories)
    for directory, name in found:
        path = os.path.join(directory, name)
        used = name in own or name in _INCLUDED
        why = _fault(path, name, used)
        if why is None:
            continue
        # What is only included stays a part of the page as long as it can be read at all.
        everywhere = name in _OF_ALL_PAGES or (name in _INCLUDED and why != _GENSHI)
        yield Unfit(path, why, used, everywhere)


_GENSHI = "it is written for Genshi"


def _fault(path: str, name: str, used: bool) -> str | None:
    from jinja2 import TemplateSyntaxError
    from trac.util.text import jinja2env

    try:
        content = regular_file.read(path, follow=True)
    except OSError as e:
        return f"it cannot be read ({e.strerror})" if used else None
    if is_genshi(name, content):
        return _GENSHI
    if not used:
        return None
    try:
        jinja2env().parse(content.decode("utf-8"), name)
    except UnicodeDecodeError as e:
        return f"line {content.count(10, 0, e.start) + 1} is not UTF-8"
    except TemplateSyntaxError as e:
        return f"line {e.lineno}: {(e.message or '').rstrip('.')}"
    return None


def _names(directory: str) -> list[str]:
    try:
        return sorted(name for name in os.listdir(directory) if name.endswith(_ENDINGS))
    except OSError:
        return []


def _shared(environment: t.Any) -> str:
    from trac.web.chrome import Chrome

    return str(Chrome.shared_templates_dir.__get__(Chrome(environment), Chrome) or "")


def _own_names(environment: t.Any, others: t.Container[str]) -> set[str]:
    """The names of the templates of Trac and of plugins."""
    from trac.web.chrome import Chrome

    directories = [d for d in Chrome(environment).get_all_templates_dirs() if d not in others]
    return {name for directory in directories for name in _names(directory)}
