# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Symbolic links in environments, and attachments without files: backups, copies, restores."""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import pwd
import shutil
import sqlite3
import tarfile
import typing as t

import pytest

from ansible_collections.trac.mod_wsgi.plugins.module_utils._backup import worker as backup_worker
from ansible_collections.trac.mod_wsgi.plugins.module_utils._copies import hot_copy, tar_environment
from ansible_collections.trac.mod_wsgi.plugins.module_utils._trac import environment_links, opening
from ansible_collections.trac.mod_wsgi.plugins.module_utils._trac.environment_spec import (
    EnvironmentFailure,
)
from ansible_collections.trac.mod_wsgi.plugins.module_utils._upgrade import (
    preflight as upgrade_preflight,
)
from ansible_collections.trac.mod_wsgi.plugins.module_utils._upgrade import worker as upgrade_worker
from ansible_collections.trac.mod_wsgi.tests.unit.plugins.modules.backed_up import (
    PHOTO,
    BackupHost,
    dump,
    station,
    tree,
)
from ansible_collections.trac.mod_wsgi.tests.unit.plugins.modules.reconciled import PROJECT, Host

__all__ = ["station"]

KEPT = "project/files/link"  # leads to what is in the environment


def manifest_of(backup: dict[str, t.Any]) -> dict[str, t.Any]:
    path = pathlib.Path(backup["file"].replace(".tar.gz", ".json"))
    return t.cast("dict[str, t.Any]", json.loads(path.read_text()))


def attachment(environment: pathlib.Path) -> pathlib.Path:
    """The only attachment."""
    (found,) = environment.glob("files/attachments/ticket/*/*/*.bin")
    return found


def part_of(environment: pathlib.Path, part: str) -> pathlib.Path:
    if part == "attachment":
        return attachment(environment)
    return environment / part


def state(path: pathlib.Path) -> list[tuple[str, bytes]]:
    """The content of a file, or of all files in a directory."""
    files = [path] if path.is_file() else sorted(each for each in path.rglob("*") if each.is_file())
    return [(str(each), each.read_bytes()) for each in files]


def link(path: pathlib.Path, elsewhere: pathlib.Path) -> None:
    """Put a link in the place of something."""
    os.rename(path, elsewhere)
    path.symlink_to(elsewhere)


@pytest.mark.parametrize(
    "parts",
    [
        ["files", "db", "conf"],
        ["files/attachments", "db/trac.db", "conf/trac.ini", "log", "VERSION"],
        ["attachment", "htdocs", "plugins", "templates"],
    ],
    ids=["directories", "files", "deeper"],
)
def test_what_links_lead_to_is_in_the_backup(
    station: BackupHost, tmp_path: pathlib.Path, parts: list[str]
) -> None:
    environment = station.directory / "project"
    for directory in ("htdocs", "plugins", "templates"):
        (environment / directory / "own.txt").write_text("mine")
    before = tree(environment), dump(environment / "db" / "trac.db")
    places = {}
    for number, part in enumerate(parts):
        path, elsewhere = part_of(environment, part), tmp_path / f"elsewhere-{number}"
        link(path, elsewhere)
        places[str(path.relative_to(environment))] = str(elsewhere)
    result = station.back_up()
    (backup,) = result["backups"]
    assert result["warnings"] == []
    with tarfile.open(backup["file"]) as tar:
        assert [each.name for each in tar if each.issym()] == [KEPT]
    assert manifest_of(backup)["links"] == places
    assert manifest_of(backup)["attachments"] == {"files": 1, "bytes": len(PHOTO)}
    shutil.rmtree(environment)
    for elsewhere in tmp_path.glob("elsewhere-*"):
        elsewhere.rename(elsewhere.with_name(f"gone-{elsewhere.name}"))
    restored = station.restore()
    assert (tree(environment), dump(environment / "db" / "trac.db")) == before
    assert all(place in station.output for place in places.values())
    assert "failed" not in restored


# What the link is called among the attachments, what it leads to, and what is said of it.
BAD = {
    "directory": ("{strange}", "leads to {strange}, which belongs to nobody"),
    "file": ("{strange}/file", "leads to {strange}/file, which belongs to nobody"),
    "nothing": ("/nonexistent/x", "leads to /nonexistent/x (No such file or directory)"),
    "within": ("gone", "leads to {environment}/files/attachments/gone (No such file or directory)"),
    "circle": ("circle", "(Too many levels of symbolic links)"),
    "itself": ("{environment}", "leads to {environment}, which it is in itself"),
    "above": ("/", "leads to /, which it is in itself"),
    "device": ("/dev/null", "leads to /dev/null, which is neither file nor directory"),
    "again": ("{own}", "again/again leads to {own}, which it is in itself"),
}


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a directory away")
def test_a_link_that_cannot_be_followed_fails_its_environment_by_name(
    created: Host, tmp_path: pathlib.Path
) -> None:
    host, sound = BackupHost(created), created.directory / "project"
    own, strange = tmp_path / "own", tmp_path / "strange"
    own.mkdir()
    (own / "again").symlink_to(own)
    strange.mkdir()
    (strange / "file").write_text("not ours")
    for path in (strange, strange / "file"):
        os.chown(path, pwd.getpwnam("nobody").pw_uid, -1)
    said = {}
    for name, (target, words) in BAD.items():
        environment = host.directory / name
        shutil.copytree(sound, environment)
        names = {"environment": environment, "strange": strange, "own": own}
        place = environment / "files" / "attachments" / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.symlink_to(target.format(**names))
        said[name] = str(place), words.format(**names)
    for check in (True, False):
        result = host.back_up(check=check)
        assert [each["name"] for each in result["backups"]] == ["project"]
        assert sorted(result["failures"]) == sorted(BAD)
        for name, failure in result["failures"].items():
            assert all(each in failure for each in said[name])
            assert "rm LINK; cp -a TARGET LINK" in failure
    assert all(name.startswith("project-") for name in host.files())
    # Nothing is removed, and nothing upgraded, of which there can be no copy.
    for name, (_path, words) in said.items():
        document = {**PROJECT, "name": name, "state": "absent"}
        for check in (True, False):
            assert words in created.one(document, check=check)["failure"]
        assert (host.directory / name / "VERSION").exists()
    payload = {"directory": str(host.directory), "live_plugins": None, "plugins": None}
    seen = {
        each["name"]: each for each in upgrade_preflight.look(payload) if each["event"] == "seen"
    }
    assert seen.pop("project")["failure"] is None
    assert all(said[name][1] in each["failure"] for name, each in seen.items())


def test_a_link_that_is_no_part_of_the_data_is_kept_and_named(station: BackupHost) -> None:
    environment = station.directory / "project"
    (environment / "htdocs" / "logo.png").symlink_to("/nonexistent/logo.png")
    words = (
        f"what is behind the link {environment}/htdocs/logo.png, which leads to "
        "/nonexistent/logo.png (No such file or directory)"
    )
    for check in (True, False):
        result = station.back_up(check=check)
        assert "failed" not in result
        assert [each for each in result["warnings"] if words in each]
    shutil.rmtree(environment)
    assert "failed" not in station.restore()
    assert os.readlink(environment / "htdocs" / "logo.png") == "/nonexistent/logo.png"
    report = station.host.one({**PROJECT, "state": "absent"})
    assert report["failure"] is None
    assert [each for each in report["warnings"] if words in each]


def test_a_link_within_stays_one_wherever_it_is_restored(station: BackupHost) -> None:
    environment = station.directory / "project"
    (environment / "htdocs" / "a").write_text("a")
    (environment / "htdocs" / "absolute").symlink_to(environment / "htdocs" / "a")
    (environment / "storage").mkdir()
    os.rename(environment / "files", environment / "storage" / "files")
    (environment / "files").symlink_to("storage/files")
    assert station.back_up()["warnings"] == []
    shutil.move(environment, environment.with_name("moved"))
    assert station.restore()["warnings"] == []
    assert os.readlink(environment / "htdocs" / "absolute") == "a"
    assert os.readlink(environment / "files") == "storage/files"
    assert attachment(environment).read_bytes() == PHOTO


@pytest.mark.parametrize(
    ("part", "relative"), [("files", True), ("db", False), ("db/trac.db", True)]
)
def test_nothing_is_removed_through_a_link(
    station: BackupHost, tmp_path: pathlib.Path, part: str, relative: bool
) -> None:
    environment = station.directory / "project"
    before = tree(environment), dump(environment / "db" / "trac.db")
    elsewhere = tmp_path / "elsewhere"
    link(environment / part, elsewhere)
    if relative:
        (environment / part).unlink()
        (environment / part).symlink_to(os.path.relpath(elsewhere, (environment / part).parent))
    content = state(elsewhere)
    report = station.host.one({**PROJECT, "state": "absent"})
    assert report["failure"] is None
    assert not environment.exists()
    assert state(elsewhere) == content
    (warning,) = report["warnings"]
    assert f"{environment / part} was a link to {elsewhere}, which was left as it is" in warning
    (copy,) = station.kept()
    elsewhere.rename(tmp_path / "gone")
    assert (tree(copy), dump(copy / "db" / "trac.db")) == before


def test_what_a_restore_replaces_is_kept_whole_and_its_links_are_not_followed(
    station: BackupHost, tmp_path: pathlib.Path
) -> None:
    environment = station.directory / "project"
    before = tree(environment), dump(environment / "db" / "trac.db")
    assert "failed" not in station.back_up()
    for part in ("files", "db"):
        link(environment / part, tmp_path / f"{part}-elsewhere")
    content = state(tmp_path / "files-elsewhere"), state(tmp_path / "db-elsewhere")
    result = station.restore(overwrite=True)
    assert "failed" not in result
    assert (tree(environment), dump(environment / "db" / "trac.db")) == before
    assert (state(tmp_path / "files-elsewhere"), state(tmp_path / "db-elsewhere")) == content
    for part in ("files", "db"):
        assert not (environment / part).is_symlink()
        words = f"{environment / part} was a link to {tmp_path / part}-elsewhere, which was left"
        assert words in station.output
        shutil.rmtree(tmp_path / f"{part}-elsewhere")
    (copy,) = station.kept()
    assert (tree(copy), dump(copy / "db" / "trac.db")) == before


def test_an_upgrade_that_is_undone_leaves_what_links_lead_to(
    station: BackupHost, tmp_path: pathlib.Path
) -> None:
    environment = station.directory / "project"
    before = tree(environment), dump(environment / "db" / "trac.db")
    for part in ("files", "db"):
        link(environment / part, tmp_path / f"elsewhere-{part}")
    payload: dict[str, t.Any] = {
        "work": "copy",
        "names": ["project"],
        "directory": str(station.directory),
        "archive": str(station.archive),
        "live_plugins": None,
        "plugins": None,
    }
    flag = str(tmp_path / "flag")
    (done,) = [e for e in upgrade_worker.run(payload, flag) if e["event"] == "done"]
    assert done["failure"] is None
    content = state(tmp_path / "elsewhere-files"), state(tmp_path / "elsewhere-db")
    copies = {"project": {"copy": done["copy"], "rows": done["rows"]}}
    payload = {**payload, "work": "restore", "copies": copies}
    (done,) = [e for e in upgrade_worker.run(payload, flag) if e["event"] == "done"]
    assert done["failure"] is None
    assert (tree(environment), dump(environment / "db" / "trac.db")) == before
    assert content == (state(tmp_path / "elsewhere-files"), state(tmp_path / "elsewhere-db"))


def in_process(station: BackupHost) -> dict[str, t.Any]:
    """What the worker says of a backup."""
    payload = {"directory": str(station.directory), "check": False}
    return backup_worker._Backup(payload, str(station.staging)).back_up("project")


def put(station: BackupHost, archive: dict[str, t.Any]) -> None:
    """Keep what the worker has made, as an earlier version did."""
    path = station.backups / "project-20200101T000000Z.tar.gz"
    shutil.move(archive["file"], path)
    new = ("attachments_without_file", "links")
    manifest = {key: value for key, value in archive["manifest"].items() if key not in new}
    path.with_name(path.name.replace(".tar.gz", ".json")).write_text(json.dumps(manifest))
    station.rewrite(str(path))


def test_a_backup_of_an_earlier_version_is_restored(station: BackupHost) -> None:
    put(station, in_process(station)["archive"])
    shutil.rmtree(station.directory / "project")
    assert station.restore()["warnings"] == []
    assert attachment(station.directory / "project").read_bytes() == PHOTO


def test_a_bare_link_in_a_backup_of_an_earlier_version_is_named(
    station: BackupHost, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    environment = station.directory / "project"
    elsewhere = tmp_path / "elsewhere"
    link(environment / "files", elsewhere)
    monkeypatch.setattr(environment_links, "led", lambda *_: ("kept", str(elsewhere)))
    # What that version did not look at.
    monkeypatch.setattr(backup_worker, "_check_attachments", lambda *_: None)
    put(station, in_process(station)["archive"])
    monkeypatch.undo()
    shutil.rmtree(environment)
    elsewhere.rename(tmp_path / "gone")
    message = station.restore()["msg"]
    assert f"files leads to {elsewhere} (No such file or directory)" in message
    assert not environment.exists()
    (tmp_path / "gone").rename(elsewhere)  # which is what the message advises
    assert "failed" not in station.restore()
    assert attachment(environment).read_bytes() == PHOTO


# Attachments without files


def lose(environment: pathlib.Path, number: int) -> None:
    """Rows of attachments that have no file."""
    with contextlib.closing(sqlite3.connect(environment / "db" / "trac.db")) as db:
        for each in range(number):
            row = ("wiki", "Größe", f"lost {each:02} \udc80.png".encode(errors="surrogateescape"))
            db.execute(
                "INSERT INTO attachment (type, id, filename, size, time) "
                "VALUES (?, ?, CAST(? AS TEXT), 1, 1)",
                row,
            )
        db.commit()


def test_attachments_that_were_lost_before_are_named_and_stop_nothing(
    station: BackupHost,
) -> None:
    environment, number = station.directory / "project", 30
    lose(environment, number)
    predicted = station.back_up(check=True)
    result = station.back_up()
    (warning,) = result["warnings"]
    assert predicted["warnings"] == [warning]
    assert warning.startswith(f"project: {number} attachment")
    assert "no file, only a row in the database" in warning
    assert "wiki Größe: lost 00 \\udc80.png" in warning
    assert "and 10 more" in warning
    (backup,) = result["backups"]
    lost = manifest_of(backup)["attachments_without_file"]
    assert (lost["number"], len(lost["names"])) == (number, 20)
    shutil.rmtree(environment)
    restored = station.restore()
    assert "failed" not in restored
    assert "wiki Größe: lost 00" in "\n".join(restored["warnings"])
    with contextlib.closing(sqlite3.connect(environment / "db" / "trac.db")) as db:
        assert db.execute("SELECT count(*) FROM attachment").fetchone() == (number + 1,)


def test_attachments_of_trac_0_12_are_where_it_kept_them(station: BackupHost) -> None:
    environment = station.directory / "project"
    old = environment / "attachments" / "ticket" / "1" / "gr%C3%B6%C3%9Fe.bin"
    old.parent.mkdir(parents=True)
    attachment(environment).rename(old)
    result = in_process(station)
    assert result["warnings"] == []
    os.unlink(result["archive"]["file"])
    old.unlink()
    assert "ticket 1: größe.bin" in "".join(in_process(station)["warnings"])


def test_a_backup_without_a_file_that_there_is_is_none(
    station: BackupHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:  # the copy lacks it
        copy_file = hot_copy._copy_file

        def forgetful(source: str, target: str, grows: bool) -> None:
            if not source.endswith(".bin"):
                copy_file(source, target, grows)

        patch.setattr(hot_copy, "_copy_file", forgetful)
        assert "the copy lacks 1 attachments: ticket 1: größe.bin" in in_process(station)["failure"]
        archive = str(station.archive)
        environment = opening.environment_class()(str(station.directory / "project"))
        with opening.opened(environment), pytest.raises(EnvironmentFailure, match="lacks 1"):
            hot_copy.hot_copy(environment, "project", archive)
    member = tar_environment._member  # the archive lacks it

    def linked(tar: tarfile.TarFile, path: str, name: str) -> tarfile.TarInfo:
        made = member(tar, path, name)
        if name.endswith(".bin"):
            made.type, made.linkname, made.size = tarfile.SYMTYPE, "/elsewhere", 0
        return made

    monkeypatch.setattr(tar_environment, "_member", linked)
    failure = in_process(station)["failure"]
    assert "the archive lacks 1 of 1 attachments: ticket 1: größe.bin" in failure
