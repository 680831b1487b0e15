# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ask a host: commands that end in time, and questions put as another account."""

from __future__ import annotations

import json
import os
import pwd
import subprocess
import sys
import typing as t

_SEARCH_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_ENVVARS = 'if [ -r "$1/envvars" ]; then . "$1/envvars"; fi >/dev/null 2>&1; exec env -0'


class NoAnswer(Exception):
    """A command could not be run, or did not end in time; in words."""


def command(
    arguments: t.Sequence[str], seconds: float, user: str | None = None, locale: str = "C.UTF-8"
) -> tuple[int, str]:
    """The exit status and everything that a command has written."""
    as_user: dict[str, t.Any] = {}
    if user is not None:
        entry = account(user)
        if entry.pw_uid != os.geteuid():
            groups = os.getgrouplist(user, entry.pw_gid)
            as_user = {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": groups}
    try:
        ended = subprocess.run(
            arguments,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={"PATH": _SEARCH_PATH, "LC_ALL": locale},
            cwd="/",
            timeout=seconds,
            check=False,
            **as_user,
        )
    except subprocess.TimeoutExpired:
        raise NoAnswer(f"{arguments[0]} did not end within {seconds:g} seconds") from None
    except OSError as e:
        raise NoAnswer(f"{arguments[0]} cannot be run: {e.strerror}") from e
    return ended.returncode, ended.stdout.decode("utf-8", "replace").strip()


def kernel_log(hours: int) -> str:
    """What the kernel, and systemd of Apache, have written; empty where there is no journal."""
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
    """What a few lines of Python print as JSON, run as an account by this host's own Python."""
    program = [sys.executable, "-I", "-B", "-c", source, *arguments]
    status, output = command(program, seconds, user)
    try:
        return json.loads(output)
    except ValueError:
        last = output.splitlines()[-1:] or [f"exit status {status}"]
        raise NoAnswer(f"the question was not answered: {last[0]}") from None


def envvars(server_root: str) -> dict[str, str]:
    """What Debian's Apache has in its environment by its file C(envvars)."""
    try:
        _status, output = command(["/bin/sh", "-c", _ENVVARS, "sh", server_root], 5)
    except NoAnswer:
        return {}
    pairs = (pair.partition("=") for pair in output.split("\0"))
    return {name: value for name, equals, value in pairs if equals}
