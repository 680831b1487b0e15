# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tell why Trac could not begin its log, which it does before anything else.

Without its log Trac opens no environment: each page is an error then, and no log says why.
"""

from __future__ import annotations

import logging.handlers
import os
import typing as t

from ansible_collections.trac.mod_wsgi.plugins.module_utils._core import regular_file
from ansible_collections.trac.mod_wsgi.plugins.module_utils._trac.fault import Fault
from ansible_collections.trac.mod_wsgi.plugins.module_utils._trac.named_files import Place
from ansible_collections.trac.mod_wsgi.plugins.module_utils._trac.opening import (
    account_name,
    no_access,
    reason,
)

LOG_FILE = "[logging] log_file is"
_OWN = "name a file in the environment's own directory log ([logging] log_file = trac.log)"


def faults(environment: t.Any, mended: bool = False, place: Place | None = None) -> list[Fault]:
    """What is wrong with the log.

    :param mended: whether missing directories in the environment are going to be made
    :param place: where the environment is going to be, if elsewhere
    """
    found = list(_choices(environment))
    if found:  # what else there is to know cannot be asked
        return found
    found += _format(environment)
    if environment.log_type in ("syslog", "unix"):
        found += _system_log(environment)
    if environment.log_type == "file":
        found += _file(environment, mended, place)
    return found


def _choices(environment: t.Any) -> t.Iterator[Fault]:
    from trac.config import ConfigurationError

    for name, usual in (("log_type", "file"), ("log_level", "INFO")):
        try:
            getattr(environment, name)
        except ConfigurationError as e:
            what = reason(e, environment.path)
            yield Fault(what, "", f"set [logging] {name} to one of these, such as {usual}")


def _format(environment: t.Any) -> t.Iterator[Fault]:
    try:
        # Nothing is written: that this kind of log needs no file is all that differs.
        environment.create_logger("none", "", environment.log_level, environment.log_format)
    except ValueError as e:
        yield Fault(
            "[logging] log_format cannot be used",
            f" ({e})",
            "set [logging] log_format to a format with fields such as $(message)s",
        )


def _system_log(environment: t.Any) -> t.Iterator[Fault]:
    try:
        logging.handlers.SysLogHandler("/dev/log").close()
    except OSError as e:
        yield Fault(
            f"[logging] log_type is {environment.log_type}",
            f", and nothing listens at /dev/log ({e.strerror})",
            "set [logging] log_type to file",
            "have a system log",
        )


def _file(environment: t.Any, mended: bool, place: Place | None) -> t.Iterator[Fault]:
    path = now = os.path.normpath(environment.log_file_path)
    if place:
        path, now = place.shown(path), place.found(path)
    account = account_name(os.geteuid())
    what, directory = f"{LOG_FILE} {path}", os.path.dirname(path)
    if os.path.realpath(now) == os.devnull:
        return
    if os.path.isdir(now):
        yield Fault(what, ", which is a directory", _OWN)
    elif os.path.exists(now):
        try:
            regular_file.look(now)  # a page would wait for somebody to read a pipe
        except OSError as e:
            yield Fault(what, f": {e.strerror}", f"remove {path}", _OWN)
            return
        if not os.access(now, os.W_OK):
            yield Fault(what, f": {no_access(now, environment.path)}", f"let {account} write it")
    elif os.path.isdir(os.path.dirname(now)):
        if not os.access(os.path.dirname(now), os.W_OK | os.X_OK):
            why = f": {no_access(os.path.dirname(now), environment.path)}"
            yield Fault(what, why, f"let {account} make files in {directory}", _OWN)
    elif not (mended and is_inside(os.path.dirname(now), environment.path)):
        inside = is_inside(os.path.dirname(now), environment.path)
        # Root makes nothing where the account could lead it elsewhere.
        how = f"runuser -u {account} -- mkdir -p" if inside else f"install -d -o {account}"
        remedy = f"make the directory {directory} for the account {account} ({how} {directory})"
        yield Fault(what, f", and there is no directory {directory}", remedy, _OWN)


def is_inside(path: str, directory: str) -> bool:
    """Links followed, as Trac does with the directories of an environment."""
    return os.path.realpath(path).startswith(os.path.join(os.path.realpath(directory), ""))
