# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Owner and modes of what somebody else has made, among things that root must not touch."""

from __future__ import annotations

import contextlib
import os
import pathlib
import pwd
import socket
import sqlite3
import stat
import sys

import pytest

from ansible_collections.trac.mod_wsgi.plugins.module_utils._environments import (
    adoption,
    adoption_copy,
)
from ansible_collections.trac.mod_wsgi.plugins.module_utils._environments.adoption import (
    Owner,
    mend,
)
from ansible_collections.trac.mod_wsgi.tests.unit.plugins import hot_journal
from ansible_collections.trac.mod_wsgi.tests.unit.plugins.nobody import needs_nobody

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")

# Numbers that no account has, so that nothing here depends on the host's accounts.
TRAC = Owner(61001, 61002)
FORMER = 61003
STRANGER = 61004


@pytest.fixture
def site(tmp_path: pathlib.Path) -> pathlib.Path:
    """A directory of environments with one that a former account has left, and a secret beside."""
    secret = tmp_path / "secret"
    secret.write_text("root only")
    secret.chmod(0o600)
    directory = tmp_path / "environments"
    project = directory / "project"
    for name, content in {
        "VERSION": "Trac Environment Version 1\n",
        "conf/trac.ini": "[trac]\n",
        "db/trac.db": "rows",
        "files/attachments/ticket/1": "attached",
        "htdocs/run.sh": "#!/bin/sh\n",
    }.items():
        file = project / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content)
        file.chmod(0o644)
    (project / "htdocs" / "run.sh").chmod(0o4755)
    (project / "conf" / "trac.ini").chmod(0o400)
    (project / "db" / "trac.db").chmod(0o666)
    (project / "db").chmod(0o777)
    give(project, FORMER)
    os.chown(project / "db" / "trac.db", 0, 0)  # somebody was root once
    return directory


def give(path: pathlib.Path, uid: int, gid: int = 0) -> None:
    for each in [path, *path.rglob("*")]:
        os.chown(each, uid, gid or uid, follow_symlinks=False)


def owners(path: pathlib.Path) -> dict[str, tuple[int, int, str]]:
    return {
        str(each.relative_to(path)): (
            each.lstat().st_uid,
            each.lstat().st_gid,
            f"{stat.S_IMODE(each.lstat().st_mode):04o}",
        )
        for each in [path, *path.rglob("*")]
    }


def test_an_environment_is_given_to_the_service_account(site: pathlib.Path) -> None:
    before = owners(site)
    predicted = mend(str(site), "project", TRAC, check=True)
    assert owners(site) == before
    assert predicted.adopted
    assert mend(str(site), "project", TRAC, check=False) == predicted
    directory, file = (*TRAC, "2770"), (*TRAC, "0660")
    assert owners(site / "project") == {
        ".": directory,
        "VERSION": file,
        "conf": directory,
        "conf/trac.ini": file,
        "db": directory,
        "db/trac.db": file,
        "files": directory,
        "files/attachments": directory,
        "files/attachments/ticket": directory,
        "files/attachments/ticket/1": file,
        "htdocs": directory,
        "htdocs/run.sh": (*TRAC, "0770"),
    }
    assert predicted.left == []
    assert len(predicted.after) == 12
    assert predicted.words() == "mend owner and mode of 12 files and directories"
    assert "db/trac.db: root:root 0666" in predicted.before
    assert not mend(str(site), "project", TRAC, check=False).changed


def test_what_might_be_somebody_elses_is_named_and_left_alone(
    site: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    project = site / "project"
    secret = tmp_path / "secret"
    (project / "link").symlink_to(secret)
    (project / "conf" / "directory").symlink_to(tmp_path)
    os.link(secret, project / "files" / "hard")
    os.mkfifo(project / "pipe")
    os.mknod(project / "device", stat.S_IFCHR | 0o666, os.makedev(1, 3))
    strange = project / "strange"
    strange.mkdir()
    (strange / "inside").touch()
    give(strange, STRANGER)
    (project / "note").touch()
    os.chown(project / "note", STRANGER, STRANGER)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(project / "socket"))
        before = owners(project)
        found = mend(str(site), "project", TRAC, check=False)
    assert sorted(found.left) == [
        f"conf/directory is a symbolic link to {tmp_path}",
        "device is neither file nor directory",
        "files/hard has 2 names (hard links)",
        f"link is a symbolic link to {secret}",
        f"note belongs to {STRANGER}",
        "pipe is neither file nor directory",
        "socket is neither file nor directory",
        f"strange belongs to {STRANGER}",
    ]
    now = owners(project)
    for line in found.left:
        name = line.split()[0]
        assert now[name] == before[name], name
    assert now["strange/inside"] == before["strange/inside"]
    assert (secret.stat().st_uid, stat.S_IMODE(secret.stat().st_mode)) == (0, 0o600)
    assert tmp_path.stat().st_uid == 0
    assert now["."] == (*TRAC, "2770")


def test_an_environment_that_is_a_link_is_not_entered(
    site: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    elsewhere = tmp_path / "elsewhere"
    (site / "project").rename(elsewhere)
    (site / "project").symlink_to(elsewhere)
    before = owners(elsewhere)
    found = mend(str(site), "project", TRAC, check=False)
    assert found.left == ["the environment itself is a symbolic link"]
    assert not found.changed
    assert owners(elsewhere) == before


@pytest.mark.parametrize("name", ["none", "empty"])
def test_what_is_no_environment_is_left_alone(site: pathlib.Path, name: str) -> None:
    (site / "empty").mkdir()
    before = owners(site)
    assert mend(str(site), name, TRAC, check=False) == adoption.Mending()
    assert owners(site) == before


def test_what_root_has_done_to_an_adopted_environment_is_mended(site: pathlib.Path) -> None:
    project = site / "project"
    mend(str(site), "project", TRAC, check=False)
    # By the service account itself, and by Apache where it serves in embedded mode.
    (project / "conf" / "trac.ini").chmod(0o440)
    (project / "log").mkdir()
    (project / "log" / "apache").touch()
    (project / "log" / "apache").chmod(0o660)
    os.chown(project / "log" / "apache", STRANGER, TRAC.gid)
    os.chown(project / "log", *TRAC)
    expected = owners(project)
    assert not mend(str(site), "project", TRAC, check=False).changed
    # trac-admin as root
    os.chown(project / "conf" / "trac.ini", 0, 0)
    (project / "log" / "trac.log").touch()
    found = mend(str(site), "project", TRAC, check=False)
    assert found.after == [
        "conf/trac.ini: 61001:61002 0660",
        "log/trac.log: 61001:61002 0660",
    ]
    assert owners(project) == expected | {
        "conf/trac.ini": (*TRAC, "0660"),
        "log/trac.log": (*TRAC, "0660"),
    }
    (project / "log" / "note").touch()
    (project / "log" / "note").chmod(0o600)
    os.chown(project / "log" / "note", STRANGER, STRANGER)
    found = mend(str(site), "project", TRAC, check=False)
    assert (found.changed, found.left) == (False, [f"log/note belongs to {STRANGER}"])


def test_a_run_that_was_killed_is_continued(
    site: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        pass

    fchown = os.fchown
    number = 0

    def kill(*arguments: int) -> None:
        nonlocal number
        number += 1
        if number > 7:
            raise Killed
        fchown(*arguments)

    monkeypatch.setattr(os, "fchown", kill)
    with pytest.raises(Killed):
        mend(str(site), "project", TRAC, check=False)
    monkeypatch.undo()
    assert (site / "project").stat().st_uid == FORMER
    found = mend(str(site), "project", TRAC, check=False)
    assert found.adopted
    assert len(found.after) == 5
    assert {owner[:2] for owner in owners(site / "project").values()} == {TRAC}


def test_a_copy_belongs_to_the_service_account_and_the_original_stays(
    site: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    source = site / "project"
    (source / "conf" / "trac.ini").chmod(0o600)
    (source / "conf" / "trac.ini").write_text("[trac]\ndatabase = sqlite:db/trac.db\n")
    (source / "link").symlink_to("conf")
    (source / "empty").mkdir(0o700)
    give(source, FORMER)
    before = owners(source)
    target = tmp_path / "copies"
    target.mkdir(0o755)
    original = adoption_copy.survey(str(source), TRAC)
    adoption_copy.copy(str(source), str(target), "mine", TRAC, original, sys.executable)
    assert owners(source) == before
    now = owners(target / "mine")
    assert {owner[:2] for owner in now.values()} == {TRAC}
    assert now["."][2] == now["empty"][2] == "2770"
    assert now["conf/trac.ini"][2] == now["db/trac.db"][2] == "0660"
    assert now["htdocs/run.sh"][2] == "0770"
    assert os.readlink(target / "mine" / "link") == "conf"
    assert (target / "mine" / "files/attachments/ticket/1").read_text() == "attached"
    assert set(now) == set(before) | {adoption_copy.ORIGIN}
    assert os.listdir(target) == ["mine"]
    assert not mend(str(target), "mine", TRAC, check=False).changed


def test_what_might_be_somebody_elses_is_not_copied(
    site: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    source = site / "project"

    def refused() -> str:
        with pytest.raises(adoption.AdoptionFailure) as failure:
            adoption_copy.survey(str(source), TRAC)
        return str(failure.value)

    os.link(tmp_path / "secret", source / "files" / "hard")
    assert "files/hard has 2 names (hard links)" in refused()
    (source / "files" / "hard").unlink()
    (source / "note").touch()
    os.chown(source / "note", STRANGER, STRANGER)
    assert f"note belongs to {STRANGER}" in refused()
    (source / "note").unlink()
    os.mknod(source / "device", stat.S_IFBLK | 0o666, os.makedev(7, 0))
    assert "device is neither file nor directory" in refused()
    (source / "device").unlink()
    # A backup that shares files with another: all is the same account's.
    os.link(source / "conf" / "trac.ini", tmp_path / "yesterday.ini")
    assert "conf/trac.ini" in adoption_copy.survey(str(source), TRAC).files
    (source / "conf").chmod(0o777)
    assert "conf/trac.ini has 2 names" in refused()


def database(path: pathlib.Path) -> None:
    path.unlink(missing_ok=True)
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE ticket (id integer)")
        connection.commit()


@needs_nobody
def test_the_database_is_looked_at_by_the_service_account(
    site: pathlib.Path, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What SQLite does to other files for the sake of a journal, it does not do as root."""
    nobody = pwd.getpwnam("nobody")
    owner = Owner(nobody.pw_uid, nobody.pw_gid)
    for parent in (tmp_path, tmp_path.parent, tmp_path.parent.parent):
        parent.chmod(0o711)
    source, target = site / "project", tmp_path / "copies"
    target.mkdir(0o755)
    (source / "conf" / "trac.ini").chmod(0o600)
    database(source / "db" / "trac.db")
    with contextlib.closing(sqlite3.connect(source / "db" / "other.db")) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
    journal = hot_journal.write(source / "db" / "trac.db", tmp_path / "secret")
    give(source, FORMER)

    def copy() -> None:
        original = adoption_copy.survey(str(source), owner)
        adoption_copy.copy(str(source), str(target), "mine", owner, original, sys.executable)

    # As if another kind of journal were not known.
    with monkeypatch.context() as patch:
        patch.setattr(adoption_copy, "super_journal", lambda _file: None, raising=False)
        with pytest.raises(adoption.AdoptionFailure, match="broken"):
            copy()
    assert (tmp_path / "secret").read_text() == "root only"
    assert os.listdir(target) == []
    journal.unlink()
    copy()
    assert {found[:2] for found in owners(target / "mine").values()} == {tuple(owner)}
    assert owners(target)["mine"][2] == "2770"
    assert os.listdir(target) == ["mine"]


def test_an_environment_whose_journal_names_another_file_is_not_given_away(
    site: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    """The service account would remove that file, which may be of another environment."""
    file = site / "project" / "db" / "trac.db"
    database(file)
    hot_journal.write(file, tmp_path / "secret")
    give(site / "project", FORMER)
    before = owners(site)
    for check in (True, False):
        with pytest.raises(adoption.AdoptionFailure, match="trac.db-journal names another file"):
            mend(str(site), "project", TRAC, check=check)
    assert owners(site) == before
