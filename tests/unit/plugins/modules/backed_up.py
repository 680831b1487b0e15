# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the tests of backups share: a host with environments, and its modules."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import pathlib
import signal
import sqlite3
import sys
import types
import typing as t

import pytest
from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.testing import patch_module_args

from ansible_collections.trac.mod_wsgi.plugins.module_utils._doctor import files as doctor_files
from ansible_collections.trac.mod_wsgi.plugins.module_utils._restore import worker as restore_worker
from ansible_collections.trac.mod_wsgi.plugins.module_utils._upgrade import (
    preflight as upgrade_preflight,
)
from ansible_collections.trac.mod_wsgi.plugins.modules import trac_backup, trac_restore
from ansible_collections.trac.mod_wsgi.tests.unit.plugins.modules.reconciled import (
    PROJECT,
    USER,
    Document,
    Host,
)

PHOTO = bytes(range(256)) * 4000


class BackupHost:
    """Environments and the modules that back them up and restore them."""

    def __init__(self, host: Host) -> None:
        self.host = host
        self.directory = host.directory
        self.archive = host.archive
        self.backups = host.directory.parent / "backups"
        self.backups.mkdir(0o700)
        self.staging = host.directory.parent / "staging"
        self.staging.mkdir(0o700)
        self.status_file = host.directory.parent / "status" / "backup.json"
        self.output = ""

    def _run(self, module: types.ModuleType, arguments: Document, check: bool) -> Document:
        parameters = {
            "directory": str(self.directory),
            "python": sys.executable,
            "user": USER,
            "backup_directory": str(self.backups),
            "_ansible_check_mode": check,
            "_ansible_diff": True,
            **arguments,
        }
        warnings: list[str] = []
        with pytest.MonkeyPatch.context() as patch, patch_module_args(parameters):
            # Ansible's own memory of warnings lasts as long as the process, and is another one when
            # an earlier test has loaded Ansible's controller.
            patch.setattr(AnsibleModule, "warn", lambda _self, text: warnings.append(text))
            printed = io.StringIO()
            with pytest.raises(SystemExit), contextlib.redirect_stdout(printed):
                module.main()
        self.output = "\n".join([printed.getvalue(), *warnings])
        result: Document = {**json.loads(printed.getvalue()), "warnings": warnings}
        assert result.get("failed", False) == ("msg" in result)
        return result

    def backup_arguments(self, **arguments: t.Any) -> Document:
        return {
            "staging_directory": str(self.staging),
            "status_file": str(self.status_file),
            **arguments,
        }

    def back_up(self, *names: str, check: bool = False, **arguments: t.Any) -> Document:
        """Back up these environments, or all."""
        if names:
            arguments["environments"] = list(names)
        return self._run(trac_backup, self.backup_arguments(**arguments), check)

    def restore(self, *items: Document | str, check: bool = False, **arguments: t.Any) -> Document:
        """Restore these environments, or all."""
        if items:
            arguments["environments"] = [
                {"name": item} if isinstance(item, str) else item for item in items
            ]
        defaults = {"archive_directory": str(self.archive)}
        return self._run(trac_restore, {**defaults, **arguments}, check)

    def status(self) -> Document:
        return t.cast("Document", json.loads(self.status_file.read_text()))

    def files(self) -> list[str]:
        return sorted(os.listdir(self.backups))

    def kept(self) -> list[pathlib.Path]:
        return sorted(self.archive.iterdir())

    def rewrite(self, archive: str, **changes: t.Any) -> None:
        """Change a manifest and make its checksum right again."""
        path = pathlib.Path(archive.replace(".tar.gz", ".json"))
        manifest = {**json.loads(path.read_text()), **changes}
        path.write_text(json.dumps(manifest))
        sums = ""
        for each in (pathlib.Path(archive), path):
            sums += f"{hashlib.sha256(each.read_bytes()).hexdigest()}  {each.name}\n"
        pathlib.Path(archive.replace(".tar.gz", ".sha256")).write_text(sums)


def dump(database: pathlib.Path) -> list[str]:
    """Every statement that makes an SQLite database."""
    with contextlib.closing(sqlite3.connect(database)) as db:
        return list(db.iterdump())


def tree(root: pathlib.Path) -> dict[str, t.Any]:
    """Names, types, modes and contents of everything in an environment but database and log."""
    found: dict[str, t.Any] = {}
    for path in sorted(root.rglob("*")):
        name = str(path.relative_to(root))
        if path.is_symlink():
            found[name] = os.readlink(path)
        elif path.name not in ("trac.db", "trac.log") and not path.is_fifo():
            mode = path.stat().st_mode & 0o7770
            found[name] = (mode, path.read_bytes() if path.is_file() else None)
    return found


def use(path: pathlib.Path) -> None:
    """Work in an environment: a ticket, an attachment, a wiki page, and things Trac knows not."""
    from trac.attachment import Attachment
    from trac.env import Environment
    from trac.ticket.model import Ticket
    from trac.wiki.model import WikiPage

    environment = Environment(str(path))
    ticket = Ticket(environment)
    ticket.populate({"summary": "Irreplaceable – ü\n'x'", "reporter": "anna", "status": "new"})
    ticket.insert()
    ticket["owner"] = "berta"
    ticket.save_changes("berta", "I take it")
    page = WikiPage(environment, "Größe")
    page.text = "CREATE TABLE is a statement;\n\\. is no end\n\tINSERT INTO ticket;"
    page.save("anna", "new")
    attachment = Attachment(environment, "ticket", "1")
    source = path.parent.parent / "photo"
    source.write_bytes(PHOTO)
    with source.open("rb") as file:
        attachment.insert("größe.bin", file, len(PHOTO))
    environment.shutdown()
    (path / "files" / "link").symlink_to("attachments")
    os.mkfifo(path / "files" / "pipe")


@pytest.fixture
def station(created: Host) -> BackupHost:
    """One environment, in use."""
    use(created.directory / "project")
    return BackupHost(created)


def restore_payload(station: BackupHost, name: str, file: str, overwrite: bool = True) -> Document:
    """What the worker is told that restores one environment."""
    manifest = json.loads(pathlib.Path(file.replace(".tar.gz", ".json")).read_text())
    return {
        "directory": str(station.directory),
        "archive": str(station.archive),
        "overwrite": overwrite,
        "mend": False,
        "check": False,
        "items": [[name, os.open(file, os.O_RDONLY), manifest, None]],
    }


def restore_killed(
    station: BackupHost,
    name: str,
    file: str,
    place: tuple[object, str],
    last: t.Callable[..., object] = lambda *_: None,
) -> None:
    """Restore an environment; the process is killed in the place of a function, or behind it."""

    def killed(*arguments: t.Any) -> None:
        last(*arguments)
        os.kill(os.getpid(), signal.SIGKILL)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(*place, killed)
        events = list(restore_worker.run(restore_payload(station, name, file)))
    assert "ended with" in events[0]["report"]["failure"]


def assert_named(station: BackupHost, name: str) -> None:
    """A half replaced environment is left alone, and named by everything that looks at it."""
    before = station.host.snapshot()
    document = {**PROJECT, "name": name}
    for check in (True, False):
        failure = station.host.one(document, check=check)["failure"]
        assert "was killed while it replaced" in failure
        assert "restore it once more" in failure
    (found,) = doctor_files.check_restored(str(station.directory / name))
    assert found.status == "failed"
    assert "broken off while it replaced it" in found.seen
    payload = {"directory": str(station.directory), "live_plugins": None, "plugins": None}
    looks = [event for event in upgrade_preflight.look(payload) if event.get("name") == name]
    if (station.directory / name).exists():
        assert "was killed while it replaced" in looks[-1]["failure"]
    assert station.host.snapshot() == before


def assert_not_named(station: BackupHost, name: str) -> None:
    """All is well."""
    assert station.host.hidden() == []
    assert doctor_files.check_restored(str(station.directory / name)) == []
