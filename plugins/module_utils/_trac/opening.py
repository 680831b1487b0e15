# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Open Trac environments cheaply, without writing anything, and say what is wrong with them.

Trac is imported when the work begins, so that this file can be imported without it.
"""

from __future__ import annotations

import contextlib
import functools
import logging
import os
import pwd
import re
import stat
import tempfile
import typing as t

from ansible_collections.trac.mod_wsgi.plugins.module_utils._core import full_disk, regular_file
from ansible_collections.trac.mod_wsgi.plugins.module_utils._trac.environment_spec import (
    EnvironmentFailure,
)


class _Remember(logging.Handler):
    """Collects the errors of Trac's log, which explain later failures."""

    def __init__(self, messages: t.Iterable[str] = ()) -> None:
        super().__init__(logging.ERROR)
        self.messages = list(messages)

    def emit(self, record: logging.LogRecord) -> None:
        message = record.getMessage().split("\n", 1)[0]
        if message not in self.messages:
            self.messages.append(message)


class _Skipped(logging.Handler):
    """Collects which plugins Trac did not load, and why, at any log level."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.plugins: list[tuple[str, str]] = []

    def emit(self, record: logging.LogRecord) -> None:
        arguments = record.args
        if not isinstance(arguments, tuple) or len(arguments) != 2:
            return
        if not str(record.msg).startswith(("Skipping ", "Failed to load plugin")):
            return
        plugin, why = arguments
        if getattr(getattr(plugin, "dist", None), "project_name", "") == "Trac":
            return  # parts of Trac that need what is not there
        lines = [line for line in str(why).splitlines() if line.strip()]
        self.plugins.append((str(plugin), lines[-1].strip() if lines else "?"))


@functools.lru_cache(maxsize=None)
def environment_class() -> t.Any:
    """Trac's Environment, also with a trac.ini that has not been written yet."""
    from trac.config import Configuration
    from trac.env import Environment
    from trac.loader import load_components

    class ProposedConfiguration(Configuration):  # type: ignore[misc]
        """A trac.ini in memory; its relative paths are those of the file."""

        def __init__(self, filename: str, parser: t.Any) -> None:
            self._proposed = parser
            super().__init__(filename)

        def parse_if_needed(self, force: bool = False) -> bool:
            if not force:
                return False
            self.parser = self._proposed
            self.parents = self._get_parents()
            self._sections: dict[str, t.Any] = {}
            return True

        def save(self) -> None:
            """Do nothing: a plugin that saves while it is loaded must not write the file."""

    class ReconciledEnvironment(Environment):  # type: ignore[misc]
        """An environment that does not write into its log."""

        abstract = True
        required = False
        # What was logged while plugins were loaded, by the shared directory of which, "" for none:
        # it explains failures of all environments with these plugins, and of no others.
        plugins_loaded: t.ClassVar[dict[str, list[str]]] = {}

        def __init__(
            self, path: str, proposed: t.Any = None, new: bool = False, **arguments: t.Any
        ) -> None:
            self._proposed = proposed
            self._new = new
            self.skipped = _Skipped()
            super().__init__(path, **arguments)

        def verify(self) -> None:
            """Allow an environment that is only proposed."""
            if not self._new:
                with contextlib.suppress(FileNotFoundError):
                    regular_file.look(os.path.join(self.path, "VERSION"))
                super().verify()

        def setup_log(self) -> None:
            self.log = logging.Logger("Trac", logging.ERROR)  # noqa: LOG001  (one of its own)
            directories = dict.fromkeys(["", self.shared_plugins_dir])
            loaded = (self.plugins_loaded.get(directory, []) for directory in directories)
            self.complaints = _Remember(message for messages in loaded for message in messages)
            self.log.addHandler(self.complaints)

        def setup_config(self) -> None:
            if self._proposed is None:
                self.config = Configuration(self.config_file_path)
            else:
                self.config = ProposedConfiguration(self.config_file_path, self._proposed)
            self.setup_log()
            shared = self.shared_plugins_dir
            # Plugins register themselves in the process; only those of an environment's own
            # directory have to be looked at again. Looking is what takes Trac most of its time.
            own = _entries(self.plugins_dir)
            for name in own:
                _refuse_pipe(os.path.join(self.plugins_dir, name))
            if shared not in self.plugins_loaded or own:
                self.log.setLevel(logging.DEBUG)
                self.log.addHandler(self.skipped)
                load_components(self, shared and (shared,))
                self.log.removeHandler(self.skipped)
                self.log.setLevel(logging.ERROR)
                if not own:
                    self.plugins_loaded[shared] = list(self.complaints.messages)

    return ReconciledEnvironment


def load_trac() -> None:
    """Load Trac with the plugins of this Python, once for all environments."""
    from trac.config import UnicodeConfigParser

    with opened(environment_class()("/nonexistent", UnicodeConfigParser(), new=True)):
        pass


def _entries(directory: str) -> list[str]:
    try:
        return os.listdir(directory)
    except FileNotFoundError:
        return []


def _refuse_pipe(path: str) -> None:
    """Raise OSError for a named pipe, which Python would block on, and the like."""
    with contextlib.suppress(FileNotFoundError):  # a link to nowhere
        if not os.path.isdir(path):
            regular_file.look(path)


@contextlib.contextmanager
def opened(environment: t.Any) -> t.Iterator[t.Any]:
    """Close an environment at the end."""
    try:
        yield environment
    finally:
        environment.shutdown()


def _cause(error: BaseException) -> BaseException:
    """Return why Trac's pool could not connect; its own exception tells of a timeout only."""
    found: BaseException | None = error
    while found is not None:
        if type(found).__module__ == "trac.db.pool" and found.__cause__ is not None:
            return found.__cause__
        found = found.__cause__ or found.__context__
    return error


def reason(error: BaseException, path: str) -> str:
    """Return a message for users about an error with the environment or directory at a path."""
    from trac.core import TracBaseError
    from trac.util.text import to_unicode

    error = _cause(error)
    if full_disk.is_full(error):
        # SQLite sorts in the directory of temporary files.
        return full_disk.explain(error, [path, tempfile.gettempdir()])
    if isinstance(error, (EnvironmentFailure, TracBaseError)):
        return re.sub(r"<[^>]*>", "", str(to_unicode(error))).strip()
    if isinstance(error, PermissionError) and error.filename:
        return no_access(os.fsdecode(error.filename), path)
    if isinstance(error, OSError) and error.strerror:
        return f"{error.strerror}: {os.fsdecode(error.filename or '')}".rstrip(": ")
    return f"{type(error).__name__}: {error}"


def account_name(uid: int) -> str:
    """The name of an account, or its number."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def no_access(path: str, environment: str) -> str:
    """Return a message that this account may not read or write a file, with the remedy."""
    account = account_name(os.geteuid())
    try:
        status = os.stat(path)
    except OSError:
        return f"{path}: the account {account} is not allowed to read it"
    return (
        f"{path}: the account {account} is not allowed to read or write it "
        f"(it belongs to {account_name(status.st_uid)}, mode {stat.S_IMODE(status.st_mode):04o}); "
        "everything in an environment has to belong to the account that serves it, "
        "so never run trac-admin as another one; "
        f"set it right with: chown -R {account}: {environment}"
    )
