# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The program that backs up the environments of a host on a schedule.

    trac-backup [--config FILE] [ENVIRONMENT ...]

It does what the module trac_backup does, with the settings in a file. Its exit status is 0 when all
is well, 1 when an environment could not be backed up, and 2 when it could not begin.
"""

from __future__ import annotations

import argparse
import json
import sys
import typing as t

from ansible_collections.trac.mod_wsgi.plugins.module_utils._backup import push as backup_push
from ansible_collections.trac.mod_wsgi.plugins.module_utils._backup import run as backup_run

CONFIG = "/etc/trac-mod-wsgi/backup.json"


def settings(document: t.Mapping[str, t.Any]) -> backup_run.Settings:
    """The settings that a file, or the arguments of the module, hold."""
    others = dict(document)
    target = backup_push.Target(
        others.pop("rsync_target", None),
        others.pop("restic_repository", None),
        others.pop("restic_password_file", None),
    )
    for name in ("keep_days", "keep_last", "timeout"):  # templates make texts of numbers
        if name in others:
            others[name] = int(others[name])
    return backup_run.Settings(**others, target=target)


def main(arguments: t.Sequence[str] | None = None) -> int:
    """Run the program."""
    parser = argparse.ArgumentParser(description="Back up Trac environments.")
    parser.add_argument("--config", default=CONFIG, metavar="FILE")
    parser.add_argument("environments", nargs="*", metavar="ENVIRONMENT", help="default: all")
    options = parser.parse_args(arguments)
    try:
        with open(options.config, "rb") as file:
            wanted = settings(json.loads(file.read()))
    except (OSError, ValueError, TypeError) as e:
        sys.stderr.write(f"{options.config} cannot be used: {e}\n")
        return 2
    outcome = backup_run.back_up(wanted, options.environments or None)
    for name, backup in sorted(outcome.made.items()):
        sys.stdout.write(f"{name}: {backup.path} ({outcome.sizes[name]} bytes)\n")
    for warning in outcome.warnings:
        sys.stdout.write(f"warning: {warning}\n")
    for path in outcome.removed:
        sys.stdout.write(f"removed {path}\n")
    message = outcome.message()
    if message is None:
        return 0
    sys.stderr.write(f"{message}\n")
    return 1
