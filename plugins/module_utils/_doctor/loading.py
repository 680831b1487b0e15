# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Load Trac and plugins, and collect the messages about plugins that did not load."""

from __future__ import annotations

import functools
import logging
import os
import re
import typing as t

from ansible_collections.trac.mod_wsgi.plugins.module_utils._doctor.result import FAILED, Result
from ansible_collections.trac.mod_wsgi.plugins.module_utils._trac import opening


class _FailedPlugins(logging.Handler):
    """Collects Trac's messages about plugins that it could not load."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.messages: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        message = record.getMessage()
        if not message.startswith(("Skipping ", "Failed to load plugin")):
            return
        # An optional library of Trac's own components is missing: no fault.
        if record.levelno < logging.WARNING and re.match(r'Skipping "trac(opt)?\.', message):
            return
        # The first line names the plugin, the last one the error.
        lines = [line.strip() for line in message.splitlines() if line.strip()]
        text = lines[0] if len(lines) == 1 else f"{lines[0].rstrip(':')}: {lines[-1]}"
        if text not in self.messages:
            self.messages.append(text)


@functools.lru_cache(maxsize=None)
def environment_class() -> t.Any:
    base = opening.environment_class()

    class ExaminedEnvironment(base):  # type: ignore[misc,valid-type]
        """An environment that collects messages about plugins. It does not write into its log."""

        abstract = True
        required = False
        failed_plugins: t.ClassVar[_FailedPlugins] = _FailedPlugins()

        def setup_log(self) -> None:
            super().setup_log()
            self.log.setLevel(logging.DEBUG)
            self.log.addHandler(self.failed_plugins)

    return ExaminedEnvironment


def load_trac() -> tuple[str, list[str]]:
    """Load Trac and this Python's plugins; the version, and messages about plugins."""
    import trac
    import trac.web.main  # what the script of a site imports
    from trac.config import UnicodeConfigParser

    with opening.opened(environment_class()("/nonexistent", UnicodeConfigParser(), new=True)):
        pass
    return str(trac.__version__), list(environment_class().failed_plugins.messages)


def is_shared(message: str, directory: str) -> bool:
    """Whether a message is about a file of the directory that environments share."""
    match = re.match(r'Skipping "(\w+)"', message)
    file = os.path.join(directory, f"{match.group(1)}.py" if match else "")
    return bool(directory) and (f" from {file}" in message or os.path.isfile(file))


def plugin_result(message: str, subject: str = "") -> Result:
    return Result(
        "plugins",
        FAILED,
        message,
        "Trac runs without the plugin: what it adds (permissions, fields, macros) is missing.",
        "Install what is named as missing into the virtual environment (trac_runtime_plugins), or "
        "a version of the plugin for this Trac and Python; then: systemctl restart apache2",
        subject,
    )
