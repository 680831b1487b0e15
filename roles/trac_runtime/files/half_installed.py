# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Print what a pip that was killed has left behind: half_installed.py SITE-PACKAGES

Pip takes a package for installed, and never looks at it again, as soon as its metadata are there.
The last thing that it writes is RECORD, the list of the package's files; the one that comes with
the package is there before, but does not list INSTALLER, which pip adds. What an upgrade replaces
is moved to names that begin with a tilde, and put back or removed when it is done.

Printed are directories to remove: these leftovers, and the metadata of incomplete packages, which
pip then installs again.
"""

from __future__ import annotations

import csv
import os
import sys


def recorded(site: str, info: str) -> list[str]:
    """The files of a package; none where they are not written down."""
    try:
        with open(os.path.join(site, info, "RECORD"), encoding="utf-8", newline="") as stream:
            return [row[0] for row in csv.reader(stream) if row]
    except FileNotFoundError:
        return []


def lacks_files(site: str, names: list[str]) -> bool:
    """Whether a file is gone that the package should have."""
    paths = [os.path.join(site, name) for name in names if not name.endswith(".pyc")]
    return not all(os.path.lexists(path) for path in paths)


def half_installed(site: str) -> list[str]:
    """The paths that should go."""
    entries = sorted(os.listdir(site)) if os.path.isdir(site) else []
    moved = [name for name in entries if name.startswith("~")]
    found = list(moved)
    for name in entries:
        if not name.endswith(".dist-info") or name in moved:
            continue
        files = recorded(site, name)
        complete = f"{name}/INSTALLER" in files
        # Files are looked at only where an upgrade has been broken off: it takes them away first.
        if not complete or (moved and lacks_files(site, files)):
            found.append(name)
    return [os.path.join(site, name) for name in found]


if __name__ == "__main__":
    for path in half_installed(sys.argv[1]):
        print(path)
