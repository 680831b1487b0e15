# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The package that stands before the distribution's binding of Subversion."""

from __future__ import annotations

import pathlib
import shutil
import subprocess
import sys

import pytest

PACKAGE = pathlib.Path(__file__).parents[3] / "roles" / "trac_runtime" / "files" / "svn"


@pytest.fixture
def packages(tmp_path: pathlib.Path) -> pathlib.Path:
    """A binding with the fault of 1.14.5, in the form of the distribution's, and ours before it."""
    distribution = tmp_path / "dist-packages"
    (distribution / "libsvn").mkdir(parents=True)
    (distribution / "libsvn" / "__init__.py").touch()
    (distribution / "libsvn" / "fs.py").write_text(
        "answers = {b'never': [None, None], b'none': None, b'copied': ['root', b'/from']}\n"
        "def svn_fs_closest_copy(root, path):\n"
        "    if path not in answers:\n"
        "        raise KeyError(path)\n"
        "    return answers[path]\n"
    )
    (distribution / "svn").mkdir()
    (distribution / "svn" / "__init__.py").touch()
    (distribution / "svn" / "fs.py").write_text(
        "from libsvn.fs import *\nclosest_copy = svn_fs_closest_copy\n"
    )
    packages = tmp_path / "system-packages"
    packages.mkdir()
    (packages / "libsvn").symlink_to(distribution / "libsvn")
    shutil.copytree(PACKAGE, packages / "svn", ignore=shutil.ignore_patterns("__pycache__"))
    return packages


@pytest.mark.parametrize(
    ("path", "answer"),
    [("never", "None"), ("none", "None"), ("copied", "['root', b'/from']"), ("gone", "KeyError")],
)
def test_only_the_wrong_answer_is_set_right(packages: pathlib.Path, path: str, answer: str) -> None:
    program = (
        f"import sys; sys.path.insert(0, {str(packages)!r})\n"
        "from svn import fs\n"
        f"try: print(fs.closest_copy('root', b{path!r}))\n"
        "except KeyError: print('KeyError')\n"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == answer
