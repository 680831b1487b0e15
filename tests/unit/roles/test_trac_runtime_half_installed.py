# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A real pip is killed while it installs, and the next one makes good what is found."""

from __future__ import annotations

import os
import pathlib
import shutil
import subprocess
import sys
import zipfile

import pytest

ROLE = pathlib.Path(__file__).parents[3] / "roles" / "trac_runtime"
SCRIPT = ROLE / "files" / "half_installed.py"

# Runs pip, which ends as a killed process does, without any cleaning up, when it comes to a file.
KILLED_PIP = """
import os, sys
at = sys.argv.pop(1)
def audit(event, arguments):
    if event == "open" and "w" in str(arguments[1]):
        paths = arguments[:1]
    elif event == "os.rename":
        paths = arguments[:2]
    else:
        return
    if any(str(path).endswith(at) for path in paths):
        os._exit(137)
sys.addaudithook(audit)
from pip._internal.cli.main import main
sys.exit(main(sys.argv[1:]))
"""


def wheel(directory: pathlib.Path, version: str) -> pathlib.Path:
    """A package of two modules and a command."""
    path = directory / f"some-{version}-py3-none-any.whl"
    info = f"some-{version}.dist-info"
    files = {
        "some/__init__.py": f"VERSION = '{version}'\n",
        "some/main.py": "def main():\n    print('works')\n",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: some\nVersion: {version}\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/entry_points.txt": "[console_scripts]\nsome = some.main:main\n",
    }
    record = "".join(f"{name},,\n" for name in [*files, f"{info}/RECORD"])
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in {**files, f"{info}/RECORD": record}.items():
            archive.writestr(name, text)
    return path


class Venv:
    def __init__(self, path: pathlib.Path) -> None:
        self.path = path
        (self.site,) = path.glob("lib/python3*/site-packages")

    def pip(self, wheels: pathlib.Path, version: str, killed_at: str = "") -> int:
        program = ["-c", KILLED_PIP, killed_at] if killed_at else ["-m", "pip"]
        environment = {**os.environ, "PIP_FIND_LINKS": str(wheels), "PIP_NO_INDEX": "1"}
        command = [str(self.path / "bin" / "python"), *program, "install", "-q", f"some=={version}"]
        return subprocess.run(command, env=environment, check=False).returncode

    def found(self) -> list[pathlib.Path]:
        """What the script names, for any Python of a host."""
        output = subprocess.check_output([sys.executable, "-I", SCRIPT, self.site], text=True)
        return [pathlib.Path(line) for line in output.splitlines()]

    def repair(self) -> None:
        for path in self.found():
            subprocess.run(["rm", "-r", path], check=True)

    def works(self, version: str) -> bool:
        program = "import some, some.main; print(some.VERSION)"
        output = subprocess.run(
            [self.path / "bin" / "python", "-c", program],
            capture_output=True,
            text=True,
            check=False,
        )
        command = self.path / "bin" / "some"
        return (
            output.stdout == f"{version}\n"
            and command.exists()
            and subprocess.check_output([command], text=True) == "works\n"
        )


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    directory = tmp_path_factory.mktemp("wheels")
    wheel(directory, "1.0")
    wheel(directory, "2.0")
    return directory


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    path = tmp_path_factory.mktemp("venv") / "fresh"
    subprocess.run([sys.executable, "-m", "venv", path], check=True)
    return path


@pytest.fixture
def venv(fresh: pathlib.Path, tmp_path: pathlib.Path) -> Venv:
    return Venv(pathlib.Path(shutil.copytree(fresh, tmp_path / "venv", symlinks=True)))


def test_nothing_is_found_where_nothing_was_killed(venv: Venv, wheels: pathlib.Path) -> None:
    assert venv.pip(wheels, "1.0") == 0
    assert venv.found() == []
    assert venv.pip(wheels, "2.0") == 0
    assert venv.found() == []
    assert venv.works("2.0")


@pytest.mark.parametrize("moment", ["some/main.py", "METADATA", "bin/some", "INSTALLER", "RECORD"])
def test_a_killed_installation_is_made_again(venv: Venv, wheels: pathlib.Path, moment: str) -> None:
    assert venv.pip(wheels, "1.0", killed_at=moment) == 137
    assert not venv.works("1.0") or moment in ("INSTALLER", "RECORD")
    venv.repair()
    assert venv.pip(wheels, "1.0") == 0
    assert venv.works("1.0")
    assert venv.found() == []


@pytest.mark.parametrize("moment", ["site-packages/some/", "some/main.py", "RECORD"])
@pytest.mark.parametrize("wanted", ["1.0", "2.0"])
def test_a_killed_upgrade_is_made_again_or_back(
    venv: Venv, wheels: pathlib.Path, moment: str, wanted: str
) -> None:
    assert venv.pip(wheels, "1.0") == 0
    assert venv.pip(wheels, "2.0", killed_at=moment) == 137
    venv.repair()
    assert venv.pip(wheels, wanted) == 0
    assert venv.works(wanted)
    assert venv.found() == []


def test_without_a_virtual_environment_there_is_nothing(tmp_path: pathlib.Path) -> None:
    output = subprocess.check_output([sys.executable, "-I", SCRIPT, tmp_path / "none"], text=True)
    assert output == ""
