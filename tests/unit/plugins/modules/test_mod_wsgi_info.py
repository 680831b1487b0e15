# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the information modules return, from programs and processes that are made up."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.trac.mod_wsgi.plugins.module_utils._apache import mod_wsgi
from ansible_collections.trac.mod_wsgi.plugins.module_utils._apache.host import (
    Endpoint,
    Listener,
    Mapping,
)
from ansible_collections.trac.mod_wsgi.plugins.modules import apache_ports_info

PACKAGE = "libapache2-mod-wsgi-py3"
OBJECT = "/usr/lib/apache2/modules/mod_wsgi.so-3.9"


class FakeModule:
    """An AnsibleModule whose programs write what the test says."""

    def __init__(self, outputs: dict[str, str]) -> None:
        self.params = {"package": PACKAGE}
        self.outputs = outputs

    def get_bin_path(self, program: str) -> str:
        return f"/usr/bin/{program}"

    def run_command(
        self, command: list[str], environ_update: dict[str, str]
    ) -> tuple[int, str, str]:
        assert environ_update == {"LC_ALL": "C"}
        key = " ".join([command[0].rpartition("/")[2], *command[1:2]])
        return (0, self.outputs[key], "") if key in self.outputs else (1, "junk", "no such package")


def info(**outputs: str) -> mod_wsgi.ModWsgiInfo:
    names = {
        "policy": "apt-cache policy",
        "show": "dpkg-query --show",
        "search": "dpkg-query --search",
    }
    module: Any = FakeModule({names[key]: output for key, output in outputs.items()})
    return mod_wsgi.ModWsgiInfo(module)


def test_reports_the_candidate() -> None:
    assert info(policy="x:\n  Candidate: 2.0-1\n").candidate() == {
        "version": "2.0-1",
        "serves_trac": False,
        "message": "mod_wsgi 2.0-1 does not serve Trac. Accepted are 1.3 (and 1.3.x) and everything"
        " from 2.3 on. The 2.0 line breaks attachment downloads (Trac ticket #7205), and of the"
        " versions before 2.3 only 1.3 is known to work.",
        "warnings": [],
        "read_from": f"apt-cache policy {PACKAGE}",
    }


def test_reports_that_there_is_no_candidate_and_no_package() -> None:
    candidate, installed = info().candidate(), info().installed()
    assert candidate["version"] is installed["version"] is None
    assert candidate["serves_trac"] is installed["serves_trac"] is False
    assert candidate["message"].startswith(f"No package {PACKAGE} is on offer")
    assert installed["message"] == f"The package {PACKAGE} is not installed."


@pytest.fixture
def loaded(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Load an object into a made-up Apache and return what the module says of it."""

    def load(
        content: bytes | None,
        package_version: str | None,
        owner: str = PACKAGE,
        deleted: bool = False,
    ) -> dict[str, Any]:
        mapping = Mapping(7, OBJECT, deleted, ())
        monkeypatch.setattr(mod_wsgi, "loaded_mapping", lambda: mapping)
        monkeypatch.setattr(mod_wsgi, "mapped_content", lambda _mapping: content)
        return info(search=f"{owner}: {OBJECT}\n").loaded(package_version)

    return load


LOADED = b"\x004.7.1\0mod_wsgi/%s\0"


def test_reports_what_is_loaded(loaded: Any) -> None:
    assert loaded(LOADED, "4.7.1-3+deb11u1") == {
        "version": "4.7.1",
        "serves_trac": True,
        "message": "mod_wsgi 4.7.1 serves Trac.",
        "warnings": [],
        "read_from": f"process 7, {OBJECT}",
        "path": OBJECT,
        "running": True,
        "stale": False,
    }


@pytest.mark.parametrize(
    ("package_version", "owner", "deleted"),
    [
        ("4.7.1-3", PACKAGE, False),  # without the fix
        ("4.7.1-3+deb11u1", "another-package", False),
        ("4.7.1-3+deb11u1", PACKAGE, True),  # the fixed one is installed, the old one runs
        ("4.9.4-1", PACKAGE, False),  # somebody has overwritten the package's file
        (None, "another-package", False),
    ],
)
def test_trusts_a_package_only_about_its_own_object(
    loaded: Any, package_version: str | None, owner: str, deleted: bool
) -> None:
    result = loaded(LOADED, package_version, owner, deleted)
    assert "CVE-2022-2255" in " ".join(result["warnings"])
    assert result["stale"] is deleted
    assert ("since replaced or removed" in result["read_from"]) is deleted


@pytest.mark.parametrize("content", [None, b"no version at all"])
def test_falls_back_on_the_version_of_the_objects_own_package(
    loaded: Any, content: bytes | None
) -> None:
    result = loaded(content, "4.9.4-1")
    assert (result["version"], result["serves_trac"]) == ("4.9.4-1", True)
    assert result["read_from"].endswith("(the version of its package)")
    other = loaded(content, "4.9.4-1", owner="another-package")
    assert (other["version"], other["serves_trac"]) == (None, False)
    assert other["message"] == f"The version of mod_wsgi in {OBJECT} cannot be read."


def test_reports_what_the_configuration_would_load(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    path = tmp_path / "mod_wsgi.so"
    path.write_bytes(b"mod_wsgi/2.0\0")
    monkeypatch.setattr(mod_wsgi, "loaded_mapping", lambda: None)
    monkeypatch.setattr(mod_wsgi, "configured_object", lambda: (str(path), "wsgi.load"))
    result = info().loaded(None)
    assert (result["version"], result["serves_trac"], result["running"]) == ("2.0", False, False)
    assert result["read_from"] == f"{path}, wsgi.load"
    monkeypatch.setattr(mod_wsgi, "configured_object", lambda: None)
    result = info().loaded(None)
    assert (result["path"], result["serves_trac"], result["running"]) == (None, False, False)


def test_names_the_server_that_has_the_port() -> None:
    everywhere = Endpoint("", 80)
    found = [Listener(everywhere, 30, "apache2"), Listener(everywhere, 31, "nginx")]
    assert apache_ports_info.taken(found) == [
        {
            "address": "",
            "port": 80,
            "pid": 31,
            "command": "nginx",
            "message": "Port 80 is taken by nginx (process 31).",
        }
    ]
    hidden = apache_ports_info.sentence(Listener(everywhere, 0, ""))
    assert hidden == "Port 80 is taken by a process that cannot be seen from here."
