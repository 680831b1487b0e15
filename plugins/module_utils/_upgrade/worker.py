# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Copy, upgrade or restore environments, under the Python that is fit for it.

This runs as the account that owns the environments, which are shared among several processes. After
the first failure nothing more is begun, but for a restoration: what can be restored is.
"""

from __future__ import annotations

import os
import typing as t

from ansible_collections.trac.mod_wsgi.plugins.module_utils._copies import hot_copy, restore_copy
from ansible_collections.trac.mod_wsgi.plugins.module_utils._copies import upgrade as copies_upgrade
from ansible_collections.trac.mod_wsgi.plugins.module_utils._core import processes
from ansible_collections.trac.mod_wsgi.plugins.module_utils._core.held_directory import (
    locked,
)
from ansible_collections.trac.mod_wsgi.plugins.module_utils._trac import mysql_charset, opening
from ansible_collections.trac.mod_wsgi.plugins.module_utils._trac.ini import IniFile
from ansible_collections.trac.mod_wsgi.plugins.module_utils._trac.worker_answers import (
    answering,
    say,
)
from ansible_collections.trac.mod_wsgi.plugins.module_utils._upgrade import (
    preflight as upgrade_preflight,
)

Document = t.Dict[str, t.Any]

UMASK = 0o007
LOCK_TIMEOUT = 60.0  # seconds


class _Work:
    """One kind of work on several environments."""

    def __init__(self, payload: t.Mapping[str, t.Any], flag: str) -> None:
        self.flag = None if payload["work"] == "restore" else flag  # a file: something has failed
        self.directory: str = payload["directory"]
        self.archive: str = payload["archive"]
        self.copies: t.Mapping[str, t.Any] = payload.get("copies") or {}
        self.function: t.Callable[[str, str], Document] = {
            "copy": self._copy,
            "upgrade": self._upgrade,
            "restore": self._restore,
        }[payload["work"]]

    def one(self, name: str) -> Document:
        """Work on one environment; a failure stands in the result."""
        if self.flag and os.path.exists(self.flag):
            return {"skipped": True, "failure": None}
        result = self._one(name)
        if self.flag and result["failure"]:
            with open(self.flag, "w", encoding="ascii"):
                pass
        return result

    def _one(self, name: str) -> Document:
        path = os.path.join(self.directory, name)
        redact: t.Callable[[str], str] = str
        try:
            # What an upgrade has left may be anything; its copy is as it was.
            there = self.copies[name]["copy"] if self.copies else path
            redact = upgrade_preflight.redactor_of(there).redact
            result = {"failure": None, "said": [], **self.function(name, path)}
            return {**result, "said": [redact(text) for text in result["said"]]}
        # Whatever a plugin or a database driver raises.
        except (Exception, SystemExit) as e:  # noqa: BLE001
            return {"failure": redact(opening.reason(e, path))}

    def _copy(self, name: str, path: str) -> Document:
        parser = IniFile(os.path.join(path, "conf", "trac.ini")).parser
        with opening.opened(opening.environment_class()(path, parser)) as environment:
            mysql_charset.check(environment)
            copy = hot_copy.hot_copy(environment, name, self.archive, "-before-upgrade")
            return {
                "copy": copy.path,
                "rows": copy.rows,
                "said": hot_copy.lacks(copy.left_out),
            }

    @staticmethod
    def _upgrade(_name: str, path: str) -> Document:
        copies_upgrade.upgrade(path)
        with opening.opened(opening.environment_class()(path)) as environment:
            if copies_upgrade.is_outdated(environment):
                return {"failure": "it needs to be upgraded even after the upgrade"}
        return {}

    def _restore(self, name: str, path: str) -> Document:
        copy = self.copies[name]
        done = restore_copy.restore(path, copy["copy"], copy["rows"], self.archive)
        return {"kept": done.kept, "said": done.said}


def run(
    payload: t.Mapping[str, t.Any], flag: str, output: int | None = None
) -> t.Iterator[Document]:
    """Work on all environments; yields what happens, as documents for JSON."""
    try:
        upgrade_preflight.use_plugins(payload["live_plugins"], payload["plugins"])
        opening.load_trac()
    # Not only ImportError: an unfit Python or setuptools shows itself in many ways.
    except (Exception, SystemExit) as e:  # noqa: BLE001
        yield {"event": "no_trac", "reason": f"{type(e).__name__}: {e}"}
        return
    work = _Work(payload, flag)
    names: list[str] = payload["names"]
    with locked(work.directory, LOCK_TIMEOUT):
        for event in processes.work(work.one, names, output):
            name = names[event.job]
            if event.death is not None:
                if work.flag:
                    with open(work.flag, "w", encoding="ascii"):
                        pass
                failure = f"the process that worked on it ended with {event.death}"
                yield {"event": "done", "name": name, "failure": failure}
                continue
            if event.result is None:
                yield {"event": "begin", "name": name}
                continue
            yield {"event": "done", "name": name, **event.result}
    yield {"event": "end"}


def serve(payload: t.Mapping[str, t.Any], output: t.TextIO) -> None:
    """Work on all environments; writes one JSON document a line."""
    os.umask(UMASK)
    with answering("upgrade", output, payload["directory"]) as scratch:
        for event in run(payload, os.path.join(scratch, "failed"), output.fileno()):
            say(output, event)
