# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What Trac and its plugins would make of environments under some Python. Nothing is written.

The first half runs under that Python, as the account that owns the environments: it opens each
of them, makes an instance of every component of a plugin, as the first request does, and asks
whether an upgrade is needed. The second half compares what was seen under two Pythons.
"""

from __future__ import annotations

import functools
import logging
import os
import re
import sys
import typing as t

from ansible_collections.trac.mod_wsgi.plugins.module_utils._copies import upgrade as copies_upgrade
from ansible_collections.trac.mod_wsgi.plugins.module_utils._core import secrets
from ansible_collections.trac.mod_wsgi.plugins.module_utils._trac import database as trac_database
from ansible_collections.trac.mod_wsgi.plugins.module_utils._trac import (
    environment_links,
    named_files,
    opening,
    restore_mark,
)
from ansible_collections.trac.mod_wsgi.plugins.module_utils._trac import fault as trac_fault
from ansible_collections.trac.mod_wsgi.plugins.module_utils._trac import faults as trac_faults
from ansible_collections.trac.mod_wsgi.plugins.module_utils._trac import findings as trac_findings
from ansible_collections.trac.mod_wsgi.plugins.module_utils._trac.ini import IniFile
from ansible_collections.trac.mod_wsgi.plugins.module_utils._trac.worker_answers import (
    answering,
    say,
)

Document = t.Dict[str, t.Any]

# How Trac begins what it logs about a plugin that it cannot load.
_COMPLAINT = re.compile(r'(?:Skipping "|Failed to load plugin from )')
_TRACS_OWN = ("trac.", "tracopt.")


# Under the Python that is looked at


class _Complaints(logging.Handler):
    """Keeps why plugins are not loaded, of which Trac tells some to the log for debugging only."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.messages: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        message = record.getMessage()
        if _COMPLAINT.match(message):
            lines = [line for line in message.splitlines() if line.strip()]
            # What was raised stands at the end of a traceback.
            short = lines[0] if len(lines) < 2 else f"{lines[0]} {lines[-1].strip()}"
            if short not in self.messages:
                self.messages.append(short)


@functools.lru_cache(maxsize=None)
def _looking_class() -> t.Any:
    """An environment that is only looked at."""

    class LookingEnvironment(opening.environment_class()):  # type: ignore[misc]
        abstract = True
        required = False
        plugins_loaded: t.ClassVar[dict[str, list[str]]] = {}
        complaints: t.ClassVar[_Complaints] = _Complaints()

        def setup_log(self) -> None:
            self.log = logging.Logger("Trac", logging.DEBUG)  # noqa: LOG001  (one of its own)
            self.log.addHandler(self.complaints)

    return LookingEnvironment


def use_plugins(live: str | None, candidate: str | None) -> None:
    """Have environments that are opened from now on take single-file plugins from elsewhere."""
    if candidate is None:
        return
    kind = opening.environment_class()
    own = kind.shared_plugins_dir

    def directory(environment: t.Any) -> str:
        configured = str(own.__get__(environment, type(environment)))
        return candidate if configured == live else configured

    kind.shared_plugins_dir = property(directory)


def redactor_of(path: str) -> secrets.Redactor:
    """Keeps the secrets of an environment out of the messages of its database's driver."""
    redactor = secrets.Redactor()
    for option, value in IniFile(os.path.join(path, "conf", "trac.ini")).secrets():
        redactor.learn(option, value)
    return redactor


def found_environments(directory: str) -> list[str]:
    """The names of what looks like an environment below a directory."""
    return sorted(
        entry.name
        for entry in os.scandir(directory)
        if not entry.name.startswith(".")
        and entry.is_dir()
        and os.path.isfile(os.path.join(entry.path, "VERSION"))
    )


def _look(path: str, kind: t.Any, holder: str | None) -> Document:
    """One environment. Trac reads trac.ini into memory only, so that nothing can save it."""
    seen: Document = {
        "components": [],
        "broken": {},
        "outdated": False,
        "failure": None,
        "warnings": [],
    }
    if holder is not None:  # nothing may upgrade what does not fit together
        seen["failure"] = restore_mark.problem(path, holder)
        return seen
    redact: t.Callable[[str], str] = str
    try:
        redact = redactor_of(path).redact
        ini = IniFile(os.path.join(path, "conf", "trac.ini"))
        trac_fault.refuse(named_files.inherited(ini.parser, ini.path), "")
        with opening.opened(kind(path, ini.parser)) as environment:
            _look_at_components(environment, path, seen)
            trac_database.check_driver(environment)
            seen["outdated"] = copies_upgrade.is_outdated(environment)
            seen["warnings"] = [redact(words) for words in trac_findings.words(environment, ini)]
            trac_findings.refuse_upgrade(environment)
            trac_fault.refuse(trac_faults.faults(environment, seen["outdated"]), "")
        environment_links.check(path)  # which the copy before the upgrade would refuse
    # Whatever a plugin or a database driver raises is the answer.
    except (Exception, SystemExit) as e:  # noqa: BLE001
        seen["failure"] = redact(opening.reason(e, path))
    return seen


def _look_at_components(environment: t.Any, path: str, seen: Document) -> None:
    from trac.core import ComponentMeta

    for component in list(ComponentMeta._components):
        if not environment.is_enabled(component) or issubclass(component, type(environment)):
            continue
        name = f"{component.__module__}.{component.__name__}"
        seen["components"].append(name)
        if name.startswith(_TRACS_OWN):
            continue
        try:
            component(environment)
        except (Exception, SystemExit) as e:  # noqa: BLE001
            seen["broken"][name] = opening.reason(e, path)
    seen["components"].sort()


def look(payload: t.Mapping[str, t.Any]) -> t.Iterator[Document]:
    """Look at all environments; yields what was seen, as documents for JSON."""
    try:
        import trac
        from trac.config import UnicodeConfigParser

        use_plugins(payload["live_plugins"], payload["plugins"])
        kind = _looking_class()
        with opening.opened(kind("/nonexistent", UnicodeConfigParser(), new=True)):
            pass
    # Not only ImportError: an unfit Python or setuptools shows itself in many ways.
    except (Exception, SystemExit) as e:  # noqa: BLE001
        yield {"event": "no_trac", "reason": f"{type(e).__name__}: {e}"}
        return
    yield {"event": "trac", "version": str(trac.__version__), "prefix": sys.prefix}
    directory = payload["directory"]
    names = found_environments(directory) if os.path.isdir(directory) else []
    half_restored = restore_mark.unfinished(directory)
    for name in names:
        yield {"event": "begin", "name": name}
        seen = _look(os.path.join(directory, name), kind, half_restored.get(name))
        yield {"event": "seen", "name": name, **seen}
    yield {"event": "complaints", "messages": kind.complaints.messages}
    yield {"event": "end"}


def serve(payload: t.Mapping[str, t.Any], output: t.TextIO) -> None:
    """Look at all environments; writes one JSON document a line."""
    sys.dont_write_bytecode = True
    with answering("preflight", output, payload["directory"]):
        for event in look(payload):
            say(output, event)
