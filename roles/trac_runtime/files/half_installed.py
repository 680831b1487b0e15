# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Print what a pip that was killed has left behind: half_installed.py SITE-PACKAGES

Pip takes a package for installed, and never looks at it again, as soon as its metadata are there. It
writes RECORD, the list of the package's files, at the very end. What an upgrade replaces it moves
to names that begin with a tilde, and puts back or removes them when it is done.

Printed are directories to remove: these leftovers, and the metadata of incomplete packages, which
pip then installs again.
"""

import csv
import os
import sys


def lacks_files(site, record):
    """Whether a file is gone that the package should have."""
    with open(record, encoding="utf-8", newline="") as stream:
        names = [row[0] for row in csv.reader(stream) if row]
    return any(
        not name.endswith(".pyc") and not os.path.exists(os.path.join(site, name)) for name in names
    )


def half_installed(site):
    """The paths that should go."""
    entries = sorted(os.listdir(site)) if os.path.isdir(site) else []
    moved = [name for name in entries if name.startswith("~")]
    found = list(moved)
    for name in entries:
        if not name.endswith(".dist-info") or name in moved:
            continue
        record = os.path.join(site, name, "RECORD")
        # Files are looked at only where an upgrade has been broken off: it takes them away first.
        if not os.path.exists(record) or (moved and lacks_files(site, record)):
            found.append(name)
    return [os.path.join(site, name) for name in found]


if __name__ == "__main__":
    for path in half_installed(sys.argv[1]):
        print(path)
