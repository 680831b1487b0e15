# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the doctor makes of Apache, mod_wsgi and their configuration."""

from __future__ import annotations

import getpass
import pathlib
import socket
import typing as t

import pytest

from ansible_collections.trac.mod_wsgi.plugins.module_utils._apache.apache_configuration import (
    Script,
    read,
    scripts,
)
from ansible_collections.trac.mod_wsgi.plugins.module_utils._apache.host import Endpoint
from ansible_collections.trac.mod_wsgi.plugins.module_utils._doctor import apache as doctor_apache
from ansible_collections.trac.mod_wsgi.plugins.module_utils._doctor import daemon_processes
from ansible_collections.trac.mod_wsgi.plugins.module_utils._doctor import system as doctor_system
from ansible_collections.trac.mod_wsgi.plugins.module_utils._doctor.daemon_processes import Home
from ansible_collections.trac.mod_wsgi.plugins.module_utils._doctor.result import Result
from ansible_collections.trac.mod_wsgi.tests.unit.plugins.nobody import needs_nobody

Results = t.List[Result]


def statuses(results: t.Iterable[Result]) -> list[str]:
    return [result.status for result in results]


@pytest.fixture
def silent() -> t.Iterator[int]:
    """A port that takes connections and never says a word."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        yield server.getsockname()[1]


def test_apache_that_hangs(silent: int) -> None:
    (result,) = doctor_apache.check_running([7], [Endpoint("127.0.0.1", silent)], 0.2)
    assert result.status == "failed"
    assert "runs (process 7) and does not answer" in result.seen
    assert "timed out" in result.seen
    assert "MaxRequestWorkers" in result.advice


def test_apache_that_does_not_run() -> None:
    (result,) = doctor_apache.check_running([], [Endpoint("", 80)], 0.2)
    assert result.status == "failed"
    assert "systemctl start apache2" in result.advice


def test_no_apache_at_all() -> None:
    (result,) = doctor_apache.check_configuration("/etc/apache2", None)
    assert (result.status, result.seen) == ("failed", "Apache is not installed.")


SO = "/usr/lib/apache2/modules/mod_wsgi.so-3.11"
# version, package, running, there -> statuses, words
MOD_WSGI = [
    ("4.9.4", "4.9.4-1+b2", True, True, ["ok"], "serves Trac"),
    ("2.0", None, True, True, ["failed"], "#7205"),
    ("2.3", None, True, True, ["warning", "warning"], "older than 2.4"),
    ("4.7.1", "4.7.1-3", True, True, ["warning"], "CVE-2022-2255"),
    ("4.7.1", "4.7.1-3+deb11u1", True, True, ["ok"], "serves Trac"),
    # Another release is installed than the one that runs.
    ("4.7.1", "4.9.4-1", True, True, ["warning"], "CVE-2022-2255"),
    (None, "4.9.4-1", True, True, ["ok"], "serves Trac"),
    (None, None, True, True, ["failed"], "cannot be read"),
    ("4.9.4", None, True, False, ["warning"], "systemctl restart apache2"),
    ("4.9.4", None, False, False, ["failed"], "--reinstall"),
]


@pytest.mark.parametrize(("version", "package", "running", "there", "wanted", "words"), MOD_WSGI)
def test_versions_of_mod_wsgi(
    version: str | None,
    package: str | None,
    running: bool,
    there: bool,
    wanted: list[str],
    words: str,
) -> None:
    results = list(doctor_apache.judge_mod_wsgi(SO, version, package, running, there))
    assert statuses(results) == wanted
    assert words in " ".join(result.seen + result.advice for result in results)


def test_python_of_mod_wsgi(tmp_path: pathlib.Path) -> None:
    assert daemon_processes.python_of(SO) == "3.11"
    assert daemon_processes.python_of("/x/mod_wsgi.so") == ""
    (tmp_path / "mod_wsgi.so-3.13").touch()
    assert daemon_processes.python_of(str(tmp_path / "mod_wsgi.so")) == "3.13"


def a_home(path: pathlib.Path) -> None:
    (path / "lib" / "python3.11" / "site-packages").mkdir(parents=True)
    (path / "pyvenv.cfg").write_text("home = /usr/bin\n", encoding="utf-8")


def no_lib(path: pathlib.Path) -> None:
    path.mkdir()


def another(path: pathlib.Path) -> None:
    (path / "lib" / "python3.9").mkdir(parents=True)


def orphaned(path: pathlib.Path) -> None:
    a_home(path)
    (path / "pyvenv.cfg").write_text("home = /usr/local/gone/bin\n", encoding="utf-8")


HOMES = [
    (a_home, "ok", "Python 3.11"),
    (no_lib, "failed", "holds no Python"),
    (another, "failed", "is for Python 3.9, and mod_wsgi is built for 3.11"),
    (orphaned, "failed", "was made from a Python in /usr/local/gone/bin, which is not there"),
    (lambda _path: None, "failed", "does not exist"),
]


@pytest.mark.parametrize(("make", "status", "words"), HOMES)
def test_python_homes(
    make: t.Callable[[pathlib.Path], None], status: str, words: str, tmp_path: pathlib.Path
) -> None:
    make(tmp_path / "venv")
    home = Home(str(tmp_path / "venv"), getpass.getuser(), "process group trac", "x.conf, line 3")
    (result,) = daemon_processes.check_homes([home], "3.11")
    assert result.status == status
    assert words in result.seen
    if status == "failed":
        assert "x.conf, line 3" in result.seen
        assert "systemctl restart apache2" in result.advice


@needs_nobody
def test_python_home_that_is_closed(tmp_path: pathlib.Path) -> None:
    # The directory of the test is closed to everybody but its owner.
    tmp_path.chmod(0o700)
    a_home(tmp_path / "venv")
    (result,) = daemon_processes.check_homes([Home(str(tmp_path / "venv"), "nobody", "g", "p")], "")
    assert result.status == "failed"
    assert "is closed to nobody" in result.seen
    assert "chmod o+x" in result.advice


def test_python_home_of_an_account_that_does_not_exist() -> None:
    with pytest.raises(doctor_system.NoAnswer, match="the account nobody-there does not exist"):
        list(daemon_processes.check_homes([Home("/x", "nobody-there", "g", "p")], ""))


def test_no_python_home() -> None:
    (result,) = daemon_processes.check_homes([], "3.11")
    assert result.status == "skipped"


CONFIGURATION = """\
WSGIRestrictEmbedded On
WSGIPythonHome /opt/embedded
WSGIDaemonProcess plain python-home=/opt/trac user=trac
WSGIDaemonProcess local locale=xx_YY.UTF-8 lang=C.UTF-8
WSGIScriptAlias /a /x/a.wsgi process-group=plain application-group=%{GLOBAL}
WSGIScriptAlias /b /x/b.wsgi application-group=%{GLOBAL}
WSGIScriptAlias /c /x/c.wsgi process-group=gone application-group=%{GLOBAL}
"""


def test_what_a_configuration_asks_for(tmp_path: pathlib.Path) -> None:
    (tmp_path / "apache2.conf").write_text(CONFIGURATION, encoding="utf-8")
    found = read(str(tmp_path), {})
    homes = daemon_processes.homes(found, "www-data")
    assert [(home.path, home.user) for home in homes] == [
        ("/opt/trac", "trac"),
        ("/opt/embedded", "www-data"),
    ]
    wanted = daemon_processes.wanted_locales(found, {"LANG": "C"})
    assert list(wanted) == ["C", "xx_YY.UTF-8", "C.UTF-8"]
    assert "de_DE" in daemon_processes.wanted_locales(found, {"LANG": "C", "LC_ALL": "de_DE"})
    embedded = list(daemon_processes.embedded_results(found, scripts(found)))
    assert statuses(embedded) == ["failed", "failed"]
    assert "/x/b.wsgi (mount /b) has no process group" in embedded[0].seen
    assert "gone, which no WSGIDaemonProcess makes" in embedded[1].seen


def test_locales() -> None:
    (good,) = daemon_processes.check_locales({"C.UTF-8": "a", "C": "b"})
    assert (good.status, good.seen) == ("ok", "C.UTF-8, C")
    (bad,) = daemon_processes.check_locales({"C": "a", "xx_YY.UTF-8": "the file envvars"})
    assert bad.status == "failed"
    assert "xx_YY.UTF-8 does not exist on this host (the file envvars)" in bad.seen
    assert "Use C.UTF-8" in bad.advice


GLOBAL = Script("/a", "/x/a.wsgi", "p", "%{GLOBAL}", "p")
OUTSIDE = Script("/b", "/x/b.wsgi", "p", "", "p")


@pytest.mark.parametrize(
    ("found", "subversion", "status"),
    [
        ([GLOBAL], ["one"], "ok"),
        ([GLOBAL, OUTSIDE], [], "warning"),
        ([GLOBAL, OUTSIDE], ["one"], "failed"),
        ([], ["one"], "skipped"),
    ],
)
def test_first_interpreter(found: list[Script], subversion: list[str], status: str) -> None:
    (result,) = daemon_processes.check_application_group(found, subversion)
    assert result.status == status
    if status in ("warning", "failed"):
        assert "application-group=%{GLOBAL}" in result.advice


def test_commands_that_do_not_end() -> None:
    with pytest.raises(doctor_system.NoAnswer, match="did not end within 0.2 seconds"):
        doctor_system.command(["sleep", "60"], 0.2)


def test_commands_that_are_not_there() -> None:
    with pytest.raises(doctor_system.NoAnswer, match="/gone cannot be run"):
        doctor_system.command(["/gone"], 1)


def test_envvars(tmp_path: pathlib.Path) -> None:
    (tmp_path / "envvars").write_text(
        'unset HOME\nexport APACHE_LOG_DIR="/var/log/my apache"\necho noise\n', encoding="utf-8"
    )
    assert doctor_system.envvars(str(tmp_path))["APACHE_LOG_DIR"] == "/var/log/my apache"
    assert "APACHE_LOG_DIR" not in doctor_system.envvars(str(tmp_path / "gone"))
