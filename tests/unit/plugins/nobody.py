# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tests that have the account nobody run the Python of these tests."""

from __future__ import annotations

import os
import pathlib
import sys

import pytest


def _is_open(path: pathlib.Path) -> bool:
    return all(parent.stat().st_mode & 0o001 for parent in path.parents)


# A checkout below /root, say, is closed to it.
needs_nobody = pytest.mark.skipif(
    os.geteuid() != 0
    or not _is_open(pathlib.Path(sys.executable))
    or not _is_open(pathlib.Path(sys.executable).resolve()),
    reason="root has to run the tests, with a Python that the account nobody can reach",
)
