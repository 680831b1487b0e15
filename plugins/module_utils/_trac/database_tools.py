# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where databases on servers are, and the servers' own client tools.

Passwords travel in the tools' environment, never on their command lines.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import threading
import typing as t

from ansible_collections.trac.mod_wsgi.plugins.module_utils._trac.environment_spec import (
    EnvironmentFailure,
)

_LINES_SHOWN = 5
# Seconds for one dump, or for loading one. A server that has fallen silent would be waited for, and
# locks be held, for ever.
LONGEST = 43200


class Server(t.NamedTuple):
    """Where the database of an environment is."""

    scheme: str
    database: str
    user: str | None
    password: str | None
    host: str | None
    port: int | None
    parameters: dict[str, str]

    @property
    def schema(self) -> str:
        """PostgreSQL's schema."""
        return self.parameters.get("schema", "public")


def server(environment: t.Any) -> Server:
    """Where the database is that trac.ini names."""
    from trac.db.api import DatabaseManager, parse_connection_uri

    scheme, parts = parse_connection_uri(DatabaseManager(environment).connection_uri)
    password = parts.get("password")
    return Server(
        scheme,
        os.path.basename(parts["path"]),
        parts.get("user"),
        None if password is None else str(password),
        parts.get("host"),
        parts.get("port"),
        parts.get("params", {}),
    )


def tool(environment: t.Any, dump_tool: str, *names: str) -> str:
    """A client tool, which lies beside the tool that Trac dumps with."""
    from trac.db.api import DatabaseManager

    connector = DatabaseManager(environment).get_connector()[0]
    place = os.path.dirname(getattr(connector, f"{dump_tool}_path", ""))
    for name in names:
        for candidate in (os.path.join(place, name), name):
            found = shutil.which(candidate)
            if found:
                return found
    raise EnvironmentFailure(
        f"its database cannot be restored, because there is no {names[0]}; "
        "install the database's client tools"
    )


@contextlib.contextmanager
def started(
    command: t.Sequence[str], variables: t.Mapping[str, str], errors: t.IO[bytes]
) -> t.Iterator[subprocess.Popen[bytes]]:
    """A tool that is killed when it is at work for too long."""
    with subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=errors,
        env=dict(variables),
    ) as process:
        timer = threading.Timer(LONGEST, process.kill)
        timer.start()
        try:
            yield process
        finally:
            timer.cancel()


def finish(process: subprocess.Popen[bytes], tool: str, errors: t.IO[bytes]) -> None:
    if process.wait() != 0:
        errors.seek(0)
        if process.returncode == -signal.SIGKILL:
            raise EnvironmentFailure(_too_long(tool))
        raise EnvironmentFailure(_said(tool, errors.read()))


def _too_long(tool: str) -> str:
    return f"{os.path.basename(tool)} was killed; it may take {LONGEST} seconds at most"


def run(command: t.Sequence[str], variables: t.Mapping[str, str]) -> None:
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            env=dict(variables),
            check=False,
            timeout=LONGEST,
        )
    except subprocess.TimeoutExpired:
        raise EnvironmentFailure(_too_long(command[0])) from None
    if done.returncode != 0:
        raise EnvironmentFailure(_said(command[0], done.stderr))


def _said(tool: str, errors: bytes) -> str:
    lines = errors.decode("utf-8", "replace").strip().splitlines()
    return f"{os.path.basename(tool)} failed: {'; '.join(lines[-_LINES_SHOWN:])}"
