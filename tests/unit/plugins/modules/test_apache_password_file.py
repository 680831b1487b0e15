# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Password files, made and verified by Apache's own htpasswd."""

from __future__ import annotations

import hashlib
import pathlib
import stat
import subprocess
import typing as t

import pytest

from ansible_collections.trac.mod_wsgi.plugins.module_utils._apache import password_file as logic
from ansible_collections.trac.mod_wsgi.plugins.module_utils._apache.password_file_update import (
    PasswordFile,
)

HTPASSWD = logic.find_htpasswd() or ""
needs_htpasswd = pytest.mark.skipif(not HTPASSWD, reason="htpasswd is not installed")

HOSTILE = {
    "anna": "secret",
    'joé "x\\': "ü%s {{ x }} ${HOME} \\ \"' $(id) `id` : #",
    "-vi": "-b",
    "x" * 190: "y" * 72,
    "a b": " ",
}


class File:
    def __init__(self, directory: pathlib.Path) -> None:
        self.path = directory / "users"

    def run(
        self, passwords: t.Mapping[str, str], check_mode: bool = False, **more: t.Any
    ) -> dict[str, t.Any]:
        params = {
            "path": str(self.path),
            "type": "basic",
            "passwords": passwords,
            "realms": [],
            "group": "root",
            "state": "present",
        }
        return PasswordFile({**params, **more}, check_mode).run()

    def verify(self, name: str, password: str) -> bool:
        """What htpasswd says; it reads the file as Apache does."""
        result = subprocess.run(
            [HTPASSWD, "-vi", "--", str(self.path), name],
            input=password.encode() + b"\n",
            capture_output=True,
            check=False,
        )
        return result.returncode == 0


@pytest.fixture
def file(tmp_path: pathlib.Path) -> File:
    return File(tmp_path)


@needs_htpasswd
def test_users_come_and_go(file: File) -> None:
    result = file.run(HOSTILE)
    assert result["changed"]
    assert result["added"] == sorted(HOSTILE)
    assert stat.S_IMODE(file.path.stat().st_mode) == 0o640
    for name, password in HOSTILE.items():
        assert file.verify(name, password), name
        assert not file.verify(name, "z" + password), name
    before = file.path.read_text()

    result = file.run(HOSTILE)
    assert (result["changed"], file.path.read_text()) == (False, before)

    fewer = {**HOSTILE, "anna": "other", "new": "n"}
    del fewer["a b"]
    for check_mode in (True, False):
        result = file.run(fewer, check_mode=check_mode)
        assert (result["added"], result["removed"], result["updated"]) == (
            ["new"],
            ["a b"],
            ["anna"],
        )
        assert check_mode == (file.path.read_text() == before)
    # Who stays keeps the hash.
    there, then = logic.entries(file.path.read_text()), logic.entries(before)
    assert there["-vi"] == then["-vi"]
    assert file.verify("anna", "other")
    assert not file.verify("anna", "secret")
    assert not file.verify("a b", " ")


@needs_htpasswd
@pytest.mark.parametrize(
    "edit",
    [
        lambda text: text + "eve:$2y$10$" + "x" * 53 + "\n",
        lambda text: text.replace("anna:", "anna2:"),
        lambda text: text.replace("# seal", "# heal"),
        lambda text: text[text.index("anna:") :],
    ],
)
def test_what_somebody_else_has_changed_is_put_right(
    file: File, edit: t.Callable[[str], str]
) -> None:
    file.run({"anna": "secret", "b": "x"})
    file.path.write_text(edit(file.path.read_text()))
    assert file.run({"anna": "secret", "b": "x"})["changed"]
    assert sorted(logic.entries(file.path.read_text())) == ["anna", "b"]
    assert file.verify("anna", "secret")


@needs_htpasswd
def test_weak_hashes_are_made_anew(file: File) -> None:
    file.path.write_text("anna:" + "$2y$05$" + "x" * 53 + "\n")
    file.run({"anna": "secret"})
    assert logic.entries(file.path.read_text())["anna"].startswith("$2y$10$")


@needs_htpasswd
def test_a_mode_is_put_right(file: File) -> None:
    file.run({"anna": "secret"})
    file.path.chmod(0o644)
    assert file.run({"anna": "secret"})["changed"]
    assert stat.S_IMODE(file.path.stat().st_mode) == 0o640


@needs_htpasswd
def test_passwords_are_shown_nowhere(file: File, monkeypatch: pytest.MonkeyPatch) -> None:
    commands: list[str] = []
    run = subprocess.run

    def watched(command: list[str], check: bool = False, **more: t.Any) -> object:
        commands.append(" ".join(command))
        return run(command, check=check, **more)

    monkeypatch.setattr(subprocess, "run", watched)
    results = [file.run({"anna": "hunter2"}), file.run({"anna": "hunter3"})]
    assert len(commands) >= 2
    assert "hunter" not in f"{commands} {results} {file.path.read_text()}"
    assert "$2y$" not in str(results)
    assert results[1]["diff"]["after"] == "anna (another password)\n"


def test_digest(file: File) -> None:
    users = {"joé": "ü%", "anna": "secret"}
    result = file.run(users, type="digest", realms=["Trac", "Ünï"])
    assert result["added"] == ["anna:Trac", "anna:Ünï", "joé:Trac", "joé:Ünï"]
    ha1 = hashlib.md5("joé:Ünï:ü%".encode()).hexdigest()
    assert f"joé:Ünï:{ha1}\n" in file.path.read_text()
    assert not file.run(users, type="digest", realms=["Ünï", "Trac"])["changed"]
    result = file.run({"joé": "ü%"}, type="digest", realms=["Ünï"])
    assert result["removed"] == ["anna:Trac", "anna:Ünï", "joé:Trac"]
    assert file.run({}, type="digest", state="absent")["changed"]
    assert not file.path.exists()


@pytest.mark.parametrize(
    ("name", "password"),
    [
        ("a:b", "x"),
        ("#a", "x"),
        ("", "x"),
        ("a\nb", "x"),
        ("a", ""),
        ("a", "x\n"),
        ("a", "x\0"),
        ("a", "x" * 73),
    ],
)
def test_what_cannot_be_is_refused(file: File, name: str, password: str) -> None:
    with pytest.raises(logic.PasswordFileError):
        file.run({name: password})
    assert not file.path.exists()


def test_the_seal_knows_every_byte() -> None:
    passwords = {"anna": "secret", "b": "x"}
    text = logic.sealed(["anna:1\n", "b:2\n"], passwords)
    assert logic.is_sealed(text, passwords)
    assert not logic.is_sealed(text, {**passwords, "b": "y"})
    assert not logic.is_sealed(text, {"anna": "secret"})
    assert not logic.is_sealed(text + "c:3\n", passwords)
    assert not logic.is_sealed(text.replace("b:2", "b:3"), passwords)
    assert not logic.is_sealed(text + "\n", passwords)
    assert not logic.is_sealed("", passwords)
