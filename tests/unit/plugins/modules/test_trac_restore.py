# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Environments that are restored from backups."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import pathlib
import shutil
import sqlite3
import subprocess
import sys
import time
import typing as t

import pytest

from ansible_collections.trac.mod_wsgi.plugins.module_utils._copies import (
    hot_copy as copies_hot_copy,
)
from ansible_collections.trac.mod_wsgi.plugins.module_utils._copies import tar_environment
from ansible_collections.trac.mod_wsgi.plugins.module_utils._core import move, worker_process
from ansible_collections.trac.mod_wsgi.plugins.module_utils._restore import worker as restore_worker
from ansible_collections.trac.mod_wsgi.tests.unit.plugins import hot_journal
from ansible_collections.trac.mod_wsgi.tests.unit.plugins.modules.backed_up import (
    BackupHost,
    assert_named,
    assert_not_named,
    dump,
    restore_killed,
    restore_payload,
    station,
    tree,
    use,
)
from ansible_collections.trac.mod_wsgi.tests.unit.plugins.modules.reconciled import (
    PROJECT,
    USER,
    Document,
    Host,
    title,
)

__all__ = ["station"]


@pytest.fixture(scope="module")
def made_with_backup(made: pathlib.Path, tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """Everything of a host whose environment has a backup, to be copied."""
    root = tmp_path_factory.mktemp("made_with_backup")
    station = BackupHost(Host(root / "environments"))
    shutil.copytree(made, station.directory)
    project = station.directory / "project"
    use(project)
    station.back_up()
    (project / "files" / "pipe").unlink()  # holds no data
    return root


@pytest.fixture
def backed_up(host: Host, made_with_backup: pathlib.Path) -> BackupHost:
    """A host whose environment has a backup."""
    station = BackupHost(host)
    shutil.copytree(made_with_backup, host.directory.parent, symlinks=True, dirs_exist_ok=True)
    return station


def archive_of(station: BackupHost, name: str = "") -> str:
    (path,) = station.backups.glob(f"{name}*.tar.gz")
    return str(path)


def change(station: BackupHost, summary: str = "Written later") -> None:
    """Work on after the backup."""
    station.host.execute(f"UPDATE ticket SET summary='{summary}'")
    (station.directory / "project" / "htdocs" / "later").write_text("later")


def summaries(path: pathlib.Path) -> list[t.Any]:
    with contextlib.closing(sqlite3.connect(path / "db" / "trac.db")) as db:
        return db.execute("SELECT summary FROM ticket").fetchall()


ORIGINAL = [("Irreplaceable – ü\n'x'",)]
LATER = [("Written later",)]


def test_a_lost_environment_comes_back_as_it_was(backed_up: BackupHost) -> None:
    path = backed_up.directory / "project"
    rows, files = dump(path / "db" / "trac.db"), tree(path)
    shutil.rmtree(path)
    predicted = backed_up.restore(check=True)
    assert not path.exists()
    result = backed_up.restore()
    assert result["environments"] == predicted["environments"]
    (entry,) = result["environments"]
    assert entry["changes"] == ["restore the environment"]
    assert entry["file"] == archive_of(backed_up)
    assert entry["attachments"] == 1
    assert result["changed"]
    assert dump(path / "db" / "trac.db") == rows
    assert tree(path) == files
    assert title(backed_up.host) == "My Project"
    assert backed_up.host.hidden() == []
    # What the inventory says still holds, with nothing to upgrade.
    assert backed_up.host.one(PROJECT)["changes"] == []


def test_what_exists_is_not_touched(backed_up: BackupHost) -> None:
    change(backed_up)
    before = backed_up.host.snapshot()
    for check in (True, False):
        result = backed_up.restore(check=check)
        assert "project exists already, and was not touched" in result["msg"]
        assert not result["changed"]
    assert backed_up.host.snapshot() == before


def test_what_is_overwritten_is_kept(backed_up: BackupHost) -> None:
    path = backed_up.directory / "project"
    change(backed_up)
    predicted = backed_up.restore(check=True, overwrite=True)
    assert summaries(path) == LATER
    assert backed_up.kept() == []
    begin = time.time()
    result = backed_up.restore(overwrite=True)
    (entry,) = result["environments"]
    assert entry["changes"] == predicted["environments"][0]["changes"]
    assert entry["changes"] == [
        "copy the environment that is replaced to the archive",
        "restore the environment",
    ]
    assert summaries(path) == ORIGINAL
    assert not (path / "htdocs" / "later").exists()
    (kept,) = backed_up.kept()
    assert entry["kept"] == str(kept)
    assert kept.name.endswith("-before-restore")
    assert summaries(kept) == LATER
    assert (kept / "htdocs" / "later").read_text() == "later"
    # Trac takes an environment for changed by the time of its trac.ini.
    assert (path / "conf" / "trac.ini").stat().st_mtime > begin - 1
    assert backed_up.host.hidden() == []


def test_without_an_archive_nothing_is_overwritten(backed_up: BackupHost) -> None:
    before = backed_up.host.snapshot()
    result = backed_up.restore(overwrite=True, archive_directory=None)
    assert "archive_directory" in result["msg"]
    assert backed_up.host.snapshot() == before


@pytest.mark.parametrize("damage", ["trac.ini", "database", "VERSION"])
def test_what_cannot_be_opened_any_more_is_moved_away(backed_up: BackupHost, damage: str) -> None:
    path = backed_up.directory / "project"
    (path / "htdocs" / "later").write_text("later")
    if damage == "trac.ini":
        (path / "conf" / "trac.ini").write_text("[trac\nnonsense")
    elif damage == "database":
        (path / "db" / "trac.db").write_bytes(b"no database at all" * 1000)
    else:
        (path / "VERSION").write_text("Trac Environment Version 99\n")
    result = backed_up.restore(overwrite=True)
    assert "failed" not in result
    assert "could not be copied" in str(result["warnings"][-1])
    (kept,) = backed_up.kept()
    assert result["environments"][0]["kept"] == str(kept)
    assert (kept / "htdocs" / "later").read_text() == "later"
    assert summaries(path) == ORIGINAL
    assert title(backed_up.host) == "My Project"


def test_what_is_written_while_it_is_replaced_is_kept(
    backed_up: BackupHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    hot_copy = copies_hot_copy.hot_copy

    def busy(*arguments: t.Any) -> t.Any:
        copy = hot_copy(*arguments)
        with contextlib.closing(sqlite3.connect(database)) as db:
            db.execute("INSERT INTO ticket (summary) VALUES ('At the last moment')")
            db.commit()
        return copy

    database = backed_up.directory / "project" / "db" / "trac.db"
    monkeypatch.setattr(copies_hot_copy, "hot_copy", busy)
    report = _restored_here(backed_up, archive_of(backed_up))
    assert report["failure"] is None
    assert "somebody worked in it" in report["warnings"][0]
    assert ("At the last moment",) in summaries(pathlib.Path(report["archive"]))
    assert len(backed_up.kept()) == 2


@pytest.mark.parametrize("elsewhere", [False, True])
def test_what_cannot_be_copied_to_the_archive_is_kept_as_it_is(
    backed_up: BackupHost, monkeypatch: pytest.MonkeyPatch, elsewhere: bool
) -> None:
    """Somebody works in it while it is replaced, and the archive is full."""
    hot_copy, rename = copies_hot_copy.hot_copy, os.rename
    database = backed_up.directory / "project" / "db" / "trac.db"

    def full(*arguments: t.Any) -> t.Any:
        monkeypatch.setattr(copies_hot_copy, "hot_copy", no_space)
        copy = hot_copy(*arguments)
        with contextlib.closing(sqlite3.connect(database)) as db:
            db.execute("INSERT INTO ticket (summary) VALUES ('At the last moment')")
            db.commit()
        return copy

    def no_space(*_arguments: t.Any) -> t.Any:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def far_away(source: t.Any, target: t.Any, **more: t.Any) -> None:
        """The archive is another file system, and full."""
        into = str(target).startswith(str(backed_up.archive))
        if elsewhere and into and ".copying-" not in str(source):
            raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))
        rename(source, target, **more)

    monkeypatch.setattr(copies_hot_copy, "hot_copy", full)
    monkeypatch.setattr(os, "rename", far_away)
    if elsewhere:
        monkeypatch.setattr(move, "copy_content", no_space)
    report = _restored_here(backed_up, archive_of(backed_up))
    assert "it was restored, but what somebody may have written" in report["failure"]
    assert "No space left on device" in report["failure"]
    former = pathlib.Path(report["archive"])
    assert str(former) in report["failure"]
    assert former.parent == (backed_up.directory if elsewhere else backed_up.archive)
    assert ("At the last moment",) in summaries(former)
    assert summaries(backed_up.directory / "project") == ORIGINAL
    monkeypatch.undo()
    # No later run takes it for something that may go.
    assert "failed" not in backed_up.restore(overwrite=True)
    assert backed_up.host.one(PROJECT)["failure"] is None
    assert ("At the last moment",) in summaries(former)


def test_what_a_killed_run_had_replaced_is_never_removed(backed_up: BackupHost) -> None:
    """Killed while it looks whether somebody worked in the former environment."""
    change(backed_up)
    file = archive_of(backed_up, "project")
    restore_killed(backed_up, "project", file, (copies_hot_copy.Copy, "is_current"))
    assert summaries(backed_up.directory / "project") == ORIGINAL
    (hidden,) = backed_up.host.hidden()
    (backed_up.directory / hidden / "former" / "htdocs" / "late").write_text("late")
    report = backed_up.restore(overwrite=True)
    assert "what an earlier run had replaced before it was killed is kept in" in str(
        report["warnings"]
    )
    assert backed_up.host.hidden() == []
    assert [copy for copy in backed_up.kept() if (copy / "htdocs" / "late").exists()]


def test_a_move_that_breaks_off_leaves_nothing_that_looks_complete(
    backed_up: BackupHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The archive is another file system, and becomes full while the environment is moved there."""
    path = backed_up.directory / "project"
    (path / "conf" / "trac.ini").write_text("[trac\n")  # so that it cannot be copied as usual
    before = tree(path)
    rename, copystat = os.rename, shutil.copystat
    left = [3]

    def far_away(source: t.Any, target: t.Any, **more: t.Any) -> None:
        if str(target).startswith(str(backed_up.archive)) and str(source) == str(path):
            raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))
        rename(source, target, **more)

    def full(*arguments: t.Any, **more: t.Any) -> None:
        left[0] -= 1
        if not left[0]:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        copystat(*arguments, **more)

    monkeypatch.setattr(os, "rename", far_away)
    with monkeypatch.context() as patch:
        patch.setattr(shutil, "copystat", full)
        report = _restored_here(backed_up, archive_of(backed_up))
    assert "No space left on device" in report["failure"]
    assert backed_up.kept() == []
    assert tree(path) == before
    # With room enough it is kept, and only then not in its place any more.
    report = _restored_here(backed_up, archive_of(backed_up))
    assert report["failure"] is None
    (kept,) = backed_up.kept()
    assert tree(kept) == before
    assert summaries(path) == ORIGINAL


def _restored_here(station: BackupHost, file: str, overwrite: bool = True) -> Document:
    """Restore in this process."""
    payload = restore_payload(station, "project", file, overwrite)
    (event,) = [event for event in restore_worker.run(payload) if event["event"] == "report"]
    return t.cast("Document", event["report"])


@pytest.mark.parametrize(
    ("damage", "why"),
    [
        ("flip", "damaged or has been changed"),
        ("truncate", "damaged or has been changed"),
        ("manifest", "json is wrong"),
        ("checksums", "cannot be read"),
    ],
)
def test_a_damaged_backup_changes_nothing(backed_up: BackupHost, damage: str, why: str) -> None:
    file = pathlib.Path(archive_of(backed_up))
    if damage == "flip":
        content = bytearray(file.read_bytes())
        content[len(content) // 2] ^= 1
        file.write_bytes(content)
    elif damage == "truncate":
        os.truncate(file, file.stat().st_size // 2)
    elif damage == "manifest":
        manifest = file.with_name(file.name.replace(".tar.gz", ".json"))
        manifest.write_text(manifest.read_text().replace("1", "2"))
    else:
        file.with_name(file.name.replace(".tar.gz", ".sha256")).unlink()
    before = backed_up.host.snapshot()
    for check in (True, False):
        item = {"name": "project", "file": str(file)}
        assert why in backed_up.restore(item, overwrite=True, check=check)["msg"]
    assert backed_up.host.snapshot() == before
    assert backed_up.kept() == []


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"rows": {"ticket": 2}}, "the table ticket should hold 2 rows, and holds 1"),
        ({"rows": {"missing": 2}}, "the table missing should hold 2 rows, and holds none"),
        ({"attachments": {"files": 2, "bytes": 1}}, "other attachments"),
        ({"name": "other"}, "not in the directory 'other'"),
        ({"bytes": 1 << 60}, "are free there"),
        (
            {"database": {"kind": "sqlite", "file": "../../etc/passwd", "schema": None}},
            "outside of the environment",
        ),
        (
            {"database": {"kind": "sqlite", "file": "files/link", "schema": None}},
            "holds no database",
        ),
        (
            {"database": {"kind": "postgres", "file": "db/trac.db", "schema": "public"}},
            "names another database",
        ),
        ({"database": None}, "is no manifest of a backup"),
    ],
)
def test_a_manifest_that_does_not_fit_changes_nothing(
    backed_up: BackupHost, changes: Document, why: str
) -> None:
    backed_up.rewrite(archive_of(backed_up), **changes)
    before = backed_up.host.snapshot()
    item = {"name": "project", "file": archive_of(backed_up)}
    result = backed_up.restore(item, overwrite=True)
    assert why in result["msg"]
    assert backed_up.host.snapshot() == before
    assert backed_up.kept() == []


def test_a_journal_beside_the_database_is_refused(
    backed_up: BackupHost, tmp_path: pathlib.Path
) -> None:
    """The service account would remove a file of another environment that it names."""
    archive, place = pathlib.Path(archive_of(backed_up)), tmp_path / "made-up"
    with archive.open("rb") as file:
        tar_environment.unpack(file, "project", str(place), 1 << 30)
    victim = tmp_path / "victim"
    victim.write_text("precious")
    hot_journal.write(place / "db" / "trac.db", victim)
    archive.unlink()
    packed = tar_environment.pack(str(place), "project", str(archive))
    backed_up.rewrite(str(archive), bytes=packed.bytes)
    assert "trac.db-journal beside the database" in backed_up.restore(overwrite=True)["msg"]
    assert victim.read_text() == "precious"


def test_a_copy_under_another_name(backed_up: BackupHost) -> None:
    result = backed_up.restore({"name": "copy", "file": archive_of(backed_up)})
    assert "failed" not in result
    one, other = (backed_up.directory / name for name in ("project", "copy"))
    assert dump(one / "db" / "trac.db") == dump(other / "db" / "trac.db")


@pytest.mark.parametrize(
    ("item", "why"),
    [
        ({"name": "missing"}, "there is no backup of it"),
        ({"name": "../x"}, "no name of an environment"),
        ({"name": "x", "file": "/etc/passwd"}, "is no backup"),
        ({"name": "x", "file": "/nonexistent/x-20270131T120000Z.tar.gz"}, "cannot be read"),
        ({"name": "x", "database": "nonsense"}, "there is no backup"),
    ],
)
def test_what_cannot_be_restored_is_named(backed_up: BackupHost, item: Document, why: str) -> None:
    change(backed_up)
    assert why in backed_up.restore(item, "project", overwrite=True)["msg"]
    assert summaries(backed_up.directory / "project") == ORIGINAL  # it stopped no other


@pytest.mark.parametrize(
    "missing",
    [{"python": "/nonexistent"}, {"user": "no-such-account"}, {"group": "no-such-group"}],
)
def test_a_host_without_trac(backed_up: BackupHost, missing: Document) -> None:
    place = {**missing, "directory": "/nonexistent"}
    result = backed_up.restore(check=True, **place)
    assert "there is no Trac yet" in str(result["warnings"][-1])
    assert result["environments"][0]["changes"] == ["restore the environment"]
    assert "no" in backed_up.restore(**place)["msg"]
    os.truncate(archive_of(backed_up), 5)
    assert "damaged" in backed_up.restore(check=True, **place)["msg"]


def test_a_name_that_is_given_twice(backed_up: BackupHost) -> None:
    assert "listed twice: project" in backed_up.restore("project", "project")["msg"]


def test_a_link_in_its_place_is_not_followed(backed_up: BackupHost, tmp_path: pathlib.Path) -> None:
    place, elsewhere = backed_up.directory / "project", tmp_path / "elsewhere"
    place.rename(elsewhere)
    place.symlink_to(elsewhere)
    before = dump(elsewhere / "db" / "trac.db")
    assert "is a symbolic link" in backed_up.restore(overwrite=True)["msg"]
    assert dump(elsewhere / "db" / "trac.db") == before


@pytest.mark.parametrize("database", ["sqlite:db/other.db", "sqlite:data/deep/trac.db"])
def test_a_database_of_another_name(backed_up: BackupHost, database: str) -> None:
    shutil.rmtree(backed_up.directory / "project")
    item = {"name": "project", "file": archive_of(backed_up), "database": database}
    assert "failed" not in backed_up.restore(item)
    assert backed_up.host.ini()["trac"]["database"] == database
    assert title(backed_up.host) == "My Project"
    assert not (backed_up.directory / "project" / "db" / "trac.db").exists()


def test_a_database_that_was_elsewhere_comes_into_the_environment(
    station: BackupHost, tmp_path: pathlib.Path
) -> None:
    path = station.directory / "project"
    (path / "files" / "pipe").unlink()
    elsewhere = tmp_path / "elsewhere.db"
    (path / "db" / "trac.db").rename(elsewhere)
    ini = path / "conf" / "trac.ini"
    ini.write_text(ini.read_text().replace("sqlite:db/trac.db", f"sqlite:{elsewhere}"))
    station.back_up()
    before = dump(elsewhere)
    shutil.rmtree(path)
    result = station.restore()
    assert "was outside of the environment" in str(result["warnings"][-1])
    assert station.host.ini()["trac"]["database"] == "sqlite:db/elsewhere.db"
    assert dump(path / "db" / "elsewhere.db") == dump(elsewhere) == before


def test_a_backup_of_an_older_trac_is_upgraded_by_the_reconciler(station: BackupHost) -> None:
    station.host.execute("UPDATE system SET value='44' WHERE name='database_version'")
    station.back_up()
    shutil.rmtree(station.directory / "project")
    assert "failed" not in station.restore()
    version = "SELECT value FROM system WHERE name='database_version'"
    assert station.host.rows(version) == [("44",)]
    assert station.host.one(PROJECT)["failure"] is None
    assert station.host.rows(version) == [("45",)]
    assert summaries(station.directory / "project") == ORIGINAL


def test_all_are_restored(backed_up: BackupHost) -> None:
    shutil.copytree(backed_up.directory / "project", backed_up.directory / "Other", symlinks=True)
    backed_up.back_up()
    for name in ("project", "Other"):
        shutil.rmtree(backed_up.directory / name)
    result = backed_up.restore()
    assert [entry["name"] for entry in result["environments"]] == ["Other", "project"]
    for name in ("project", "Other"):
        assert summaries(backed_up.directory / name) == ORIGINAL


_MODULE = """
import json, sys
from ansible.module_utils.testing import patch_module_args
from ansible_collections.trac.mod_wsgi.plugins.modules import trac_restore
with patch_module_args(json.load(sys.stdin)):
    trac_restore.main()
"""


@pytest.mark.parametrize("moment", [0.0, 0.05, 0.2, 0.5])
def test_a_killed_run_is_made_good_by_the_next(station: BackupHost, moment: float) -> None:
    path = station.directory / "project"
    (path / "files" / "large").write_bytes(os.urandom(20_000_000))
    station.back_up()
    change(station)
    process = subprocess.Popen(
        [sys.executable, "-c", _MODULE],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        start_new_session=True,
    )
    arguments = {
        "directory": str(station.directory),
        "python": sys.executable,
        "user": USER,
        "backup_directory": str(station.backups),
        "archive_directory": str(station.archive),
        "overwrite": True,
    }
    assert process.stdin
    process.stdin.write(json.dumps(arguments).encode())
    process.stdin.close()
    deadline = time.monotonic() + 60
    while not station.host.hidden() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.002)
    time.sleep(moment)
    os.killpg(process.pid, 9)
    process.wait()
    # What was there is there, or in the archive.
    visible = summaries(path) if path.exists() else []
    kept = [summaries(copy) for copy in station.kept() if not copy.name.startswith(".")]
    assert visible == LATER or LATER in kept
    assert "failed" not in station.restore(overwrite=True)
    assert summaries(path) == ORIGINAL
    assert station.host.hidden() == []
    assert LATER in [summaries(copy) for copy in station.kept() if not copy.name.startswith(".")]


def test_a_run_that_is_killed_between_two_renames_is_named(backed_up: BackupHost) -> None:
    """Nothing is in its place then, and no new environment may come there."""
    path = backed_up.directory / "project"
    backed_up.host.one({**PROJECT, "name": "other"})
    backed_up.back_up("other")
    change(backed_up)
    file = archive_of(backed_up, "project")
    restore_killed(backed_up, "project", file, (restore_worker, "move_directory"), os.replace)
    assert not path.exists()
    assert_named(backed_up, "project")
    # Another environment has nothing to do with it.
    assert backed_up.host.one({**PROJECT, "name": "other"})["failure"] is None
    assert "failed" not in backed_up.restore("other", overwrite=True)
    assert_named(backed_up, "project")
    assert "failed" not in backed_up.restore("project")
    assert summaries(path) == ORIGINAL
    assert_not_named(backed_up, "project")
    assert backed_up.host.one(PROJECT)["failure"] is None
    assert LATER in [summaries(copy) for copy in backed_up.kept() if "project" in copy.name]


def test_no_connection_string_is_shown_or_logged(
    backed_up: BackupHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ansible.module_utils import basic

    messages: list[str] = []
    monkeypatch.setattr(basic, "has_journal", False)
    monkeypatch.setattr(basic.syslog, "syslog", lambda _priority, message: messages.append(message))
    url = "postgres://trac:correct%40horse@127.0.0.1:1/trac"
    for check in (True, False):
        item = {"name": "new", "file": archive_of(backed_up), "database": url}
        assert backed_up.restore(item, check=check)["failed"]
        for secret in ("correct%40horse", "correct@horse"):
            assert secret not in backed_up.output
            assert secret not in "".join(messages)
    # One that cannot be masked everywhere, because half of each path would be.
    item["database"] = "postgres://trac:trac@127.0.0.1:1/trac"
    backed_up.restore(item, check=True)
    assert "postgres://trac:********@127.0.0.1:1/trac" in backed_up.output
    assert "trac:trac@" not in backed_up.output
    assert messages
    assert not (backed_up.directory / "new").exists()


def test_the_account_reads_the_archive_and_cannot_write_it(
    backed_up: BackupHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It gets an open file, not a path."""
    run = worker_process.run
    seen = []

    def watched(*arguments: t.Any, pass_fds: t.Any) -> t.Any:
        payload, files = arguments[3], pass_fds
        assert str(backed_up.backups) not in json.dumps(payload)
        for descriptor in files:
            with pytest.raises(OSError, match="Bad file descriptor"):
                os.write(descriptor, b"x")
            seen.append(descriptor)
        return run(*arguments, pass_fds=pass_fds)

    monkeypatch.setattr(worker_process, "run", watched)
    assert "failed" not in backed_up.restore(overwrite=True)
    assert len(seen) == 1


def leave(station: BackupHost, **options: str) -> str:
    """Set options in trac.ini, back the environment up, and lose it; its archive."""
    path = station.host.ini_path()
    ini = station.host.ini()
    for name, value in options.items():
        section, option = name.split("__")
        ini.read_dict({section: {option: value}})
    with path.open("w", encoding="utf-8") as file:
        ini.write(file)
    station.back_up()
    return max(map(str, station.backups.glob("*.tar.gz")))


def test_restored_trac_ini_does_not_inherit_from_what_is_not_there(
    backed_up: BackupHost, tmp_path: pathlib.Path
) -> None:
    path = backed_up.directory / "project"
    shared = backed_up.directory.parent / "shared.ini"
    shared.write_text("[a]\nb = c\n", encoding="utf-8")
    (path / "conf" / "base.ini").write_text("[a]\nc = d\n", encoding="utf-8")
    file = leave(backed_up, inherit__file="base.ini, ../../../shared.ini")
    shared.rename(tmp_path / "elsewhere.ini")
    for check, there in ((True, True), (False, True), (True, False), (False, False)):
        if not there:
            shutil.rmtree(path, ignore_errors=True)
        before = backed_up.host.snapshot()
        result = backed_up.restore({"name": "project", "file": file}, check=check, overwrite=True)
        assert f"could be open to everybody: [inherit] file names {shared}, which" in result["msg"]
        assert "Nothing was restored, and what is there was not touched" in result["msg"]
        assert f"Remedy: put {shared} there as it was (from the former host" in result["msg"]
        assert backed_up.host.snapshot() == before
    (tmp_path / "elsewhere.ini").rename(shared)
    item = {"name": "project", "file": file}
    result = backed_up.restore(item, check=True)
    assert result["changed"], result
    assert backed_up.restore(item)["changed"]
    assert summaries(path) == ORIGINAL


def test_restored_environment_that_would_be_down_does_not_replace_one_that_works(
    backed_up: BackupHost,
) -> None:
    path = backed_up.directory / "project"
    item = {
        "name": "project",
        "file": leave(backed_up, logging__log_type="file", logging__log_file="/nowhere/trac.log"),
    }
    before = backed_up.host.snapshot()
    words = "[logging] log_file is /nowhere/trac.log, and there is no directory /nowhere"
    result = backed_up.restore(item, overwrite=True)
    assert f"status 500): {words}. Nothing was restored, and what is there was" in result["msg"]
    assert backed_up.host.snapshot() == before
    shutil.rmtree(path)
    result = backed_up.restore(item)
    assert f"{words}. It was restored all the same" in result["msg"]
    assert summaries(path) == ORIGINAL


def test_restored_environment_is_looked_at_where_it_is_going_to_be(backed_up: BackupHost) -> None:
    path = backed_up.directory / "project"
    log = path / "log" / "trac.log"
    plugin = path / "plugins" / "owned.py"
    plugin.write_text(
        "from trac.core import Component, implements\n"
        "from trac.perm import IPermissionPolicy\n"
        "class OwnedPolicy(Component):\n"
        "    implements(IPermissionPolicy)\n"
        "    def check_permission(self, *arguments):\n"
        "        return None\n"
    )
    (path / "conf" / "base.ini").write_text("[components]\nowned.* = enabled\n", encoding="utf-8")
    file = leave(
        backed_up,
        inherit__file=f"{path}/conf/base.ini",
        logging__log_type="file",
        logging__log_file=str(log),
        trac__permission_policies="OwnedPolicy,DefaultPermissionPolicy",
    )
    item = {"name": "project", "file": file}
    assert backed_up.restore(item, overwrite=True)["changed"]
    shutil.rmtree(path)
    assert backed_up.restore(item)["changed"]
    plugin.unlink()
    file = leave(backed_up)
    shutil.rmtree(path)
    item["file"] = file
    result = backed_up.restore(item)
    assert "permission_policies names OwnedPolicy, which is not installed" in result["msg"]
    assert summaries(path) == ORIGINAL
