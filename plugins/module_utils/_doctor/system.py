# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Commands with a time limit, run as root or as another account."""

from __future__ import annotations

import json
import os
import pwd
import subprocess
import sys
import time
import typing as t

from ansible_collections.trac.mod_wsgi.plugins.module_utils._core import worker_process

_SEARCH_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_LONGEST = 1 << 20  # bytes that are read of a command's output
_ENVVARS = 'if [ -r "$1/envvars" ]; then . "$1/envvars"; fi >/dev/null 2>&1; exec env -0'


class NoAnswer(Exception):
    """A command could not be run, or did not end in time. The message says which."""


def command(
    arguments: t.Sequence[str], seconds: float, user: str | None = None, locale: str = "C.UTF-8"
) -> tuple[int, str]:
    """The exit status and everything that a command has written.

    It is in a session of its own, so that another account has nothing of root's terminal.
    """
    as_user: dict[str, t.Any] = {}
    if user is not None:
        entry = account(user)
        if entry.pw_uid != os.geteuid():
            groups = os.getgrouplist(user, entry.pw_gid)
            as_user = {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": groups}
    end = time.monotonic() + seconds
    try:
        process = subprocess.Popen(
            arguments,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={"PATH": _SEARCH_PATH, "LC_ALL": locale},
            cwd="/",
            start_new_session=True,
            **as_user,
        )
    except OSError as e:
        raise NoAnswer(f"{arguments[0]} cannot be run: {e.strerror}") from e
    with process:
        try:
            output = worker_process.limited(t.cast(t.IO[bytes], process.stdout).fileno(), seconds)
            said = output.read(_LONGEST)
            status = process.wait(max(0.0, end - time.monotonic()))
        except subprocess.TimeoutExpired:
            raise NoAnswer(f"{arguments[0]} did not end within {seconds:g} seconds") from None
        finally:
            worker_process.kill_group(process)
    return status, said.decode("utf-8", "replace").strip()


def kernel_log(hours: int) -> str:
    """The journal of the kernel, and of systemd about Apache; empty where there is no journal."""
    since = f"--since=-{hours}h"
    sources = ["_TRANSPORT=kernel", "+", "UNIT=apache2.service"]
    try:
        status, output = command(
            ["journalctl", "--quiet", "--no-pager", "--lines=5000", since, *sources], 10
        )
    except NoAnswer:
        return ""
    return output if status == 0 else ""


def account(name: str) -> pwd.struct_passwd:
    """An account by its name, or by its number as in C(user=#1000)."""
    try:
        if name.startswith("#") and name[1:].isdigit():
            return pwd.getpwuid(int(name[1:]))
        return pwd.getpwnam(name)
    except KeyError:
        raise NoAnswer(f"the account {name} does not exist") from None


def ask(source: str, arguments: t.Sequence[str], seconds: float, user: str | None = None) -> t.Any:
    """What a Python program prints as JSON, run as an account by this host's own Python."""
    program = [sys.executable, "-I", "-B", "-c", source, *arguments]
    status, output = command(program, seconds, user)
    try:
        return json.loads(output)
    except ValueError:
        last = output.splitlines()[-1:] or [f"exit status {status}"]
        raise NoAnswer(f"the question was not answered: {last[0]}") from None


def envvars(server_root: str) -> dict[str, str]:
    """The variables that Debian's Apache gets from its file C(envvars)."""
    try:
        _status, output = command(["/bin/sh", "-c", _ENVVARS, "sh", server_root], 5)
    except NoAnswer:
        return {}
    pairs = (pair.partition("=") for pair in output.split("\0"))
    return {name: value for name, equals, value in pairs if equals}


def text_of(path: str) -> str:
    """The text of a file that no other account can write; empty if it cannot be read."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return ""
