# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the tests of the reconciler share: real Trac environments in temporary directories."""

from __future__ import annotations

import configparser
import contextlib
import grp
import json
import os
import pathlib
import pwd
import sqlite3
import subprocess
import sys
import tarfile
import typing as t

import pytest
from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.testing import patch_module_args

from ansible_collections.trac.mod_wsgi.plugins.module_utils._core import worker_process
from ansible_collections.trac.mod_wsgi.plugins.module_utils._environments import environment_input
from ansible_collections.trac.mod_wsgi.plugins.module_utils._environments import (
    worker as environment_worker,
)
from ansible_collections.trac.mod_wsgi.plugins.modules import trac_environments

Document = dict[str, t.Any]
USER = pwd.getpwuid(os.geteuid()).pw_name
PROJECT: Document = {
    "name": "project",
    "title": "My Project",
    "config": {"ticket": {"default_type": "task"}, "notification": {"smtp_enabled": True}},
    "permissions": {"admin": ["TRAC_ADMIN"], "anna": ["developers"], "developers": ["WIKI_ADMIN"]},
}


OLD_ENVIRONMENTS = pathlib.Path(__file__).parents[3] / "fixtures" / "environments"
SERIES = ("1.0", "1.2", "1.4", "1.6")


def old_name(series: str) -> str:
    return "trac-" + series.replace(".", "-")


def unpack(series: str, directory: pathlib.Path) -> pathlib.Path:
    """An environment that a Trac of that series has made."""
    with tarfile.open(OLD_ENVIRONMENTS / f"{old_name(series)}.tar.xz") as archive:
        archive.extractall(directory)
    return directory / old_name(series)


def specs(documents: list[Document], defaults: Document | None = None) -> list[Document]:
    read, problems = environment_input.read_specs(documents, defaults)
    assert problems == []
    return [spec.to_json() for spec in read]


class Host:
    """A directory of environments, looked at with means other than the reconciler's."""

    def __init__(self, directory: pathlib.Path) -> None:
        self.directory = directory
        self.archive = directory.parent / "archive"
        self.archive.mkdir(exist_ok=True)

    def payload(self, documents: list[Document], check: bool = False) -> Document:
        return {
            "directory": str(self.directory),
            "check": check,
            "archive": str(self.archive),
            "environments": specs(documents),
        }

    def run(
        self, *documents: Document, check: bool = False, defaults: Document | None = None
    ) -> dict[str, Document]:
        """Reconcile in this process; returns the reports by name."""
        payload = self.payload([], check)
        payload["environments"] = specs(list(documents), defaults)
        umask = os.umask(environment_worker.UMASK)
        try:
            events = list(environment_worker.run(payload))
        finally:
            os.umask(umask)
        assert events[-1] == {"event": "end"}
        return {e["report"]["name"]: e["report"] for e in events if e["event"] == "report"}

    def one(self, document: Document, **arguments: t.Any) -> Document:
        return self.run(document, **arguments)[document["name"]]

    def ini_path(self, name: str = "project") -> pathlib.Path:
        return self.directory / name / "conf" / "trac.ini"

    def ini(self, name: str = "project") -> configparser.ConfigParser:
        parser = configparser.ConfigParser(interpolation=None)
        parser.read(self.ini_path(name), encoding="utf-8")
        return parser

    def rows(self, query: str, name: str = "project") -> list[t.Any]:
        with contextlib.closing(sqlite3.connect(self.directory / name / "db" / "trac.db")) as db:
            return db.execute(query).fetchall()

    def execute(self, statement: str, name: str = "project") -> None:
        with contextlib.closing(sqlite3.connect(self.directory / name / "db" / "trac.db")) as db:
            db.execute(statement)
            db.commit()

    def permissions(self, name: str = "project") -> set[tuple[str, str]]:
        return set(self.rows("SELECT username, action FROM permission", name))

    def snapshot(self) -> dict[str, t.Any]:
        """Everything on disk: types, modes, times of change, contents."""
        return {
            str(path): (
                path.lstat().st_mode,
                path.lstat().st_mtime_ns,
                path.read_bytes() if path.is_file() else b"",
            )
            for path in sorted(self.directory.rglob("*"))
        }

    def hidden(self) -> list[str]:
        """What runs leave behind, and what else is hidden, but for .tracignore."""
        entries = os.listdir(self.directory)
        return [entry for entry in entries if entry.startswith(".") and entry != ".tracignore"]


def title(host: Host, name: str = "project") -> str:
    from trac.env import Environment

    return t.cast("str", Environment(str(host.directory / name)).project_name)


class Child:
    """A worker of its own process, as the module starts it."""

    def __init__(self, payload: Document) -> None:
        self.process = subprocess.Popen(
            worker_process.command(sys.executable),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        assert self.process.stdin
        self.process.stdin.write(worker_process.request(environment_worker, payload))
        self.process.stdin.close()

    def events(self) -> t.Iterator[Document]:
        assert self.process.stdout
        return (json.loads(line) for line in self.process.stdout)

    def wait_for(self, event: str, name: str) -> None:
        for document in self.events():
            if (document["event"], document.get("name")) == (event, name):
                return
        raise AssertionError("the worker ended early")


class Module:
    """Runs the module as Ansible does, apart from carrying it to a host."""

    def __init__(self, host: Host, capsys: pytest.CaptureFixture[str]) -> None:
        self.host = host
        self.capsys = capsys
        self.output = ""

    def parameters(self, *documents: Document, check: bool = False, **arguments: t.Any) -> Document:
        """What Ansible hands to the module."""
        return {
            "environments": list(documents),
            "directory": str(self.host.directory),
            "archive_directory": str(self.host.archive),
            "python": sys.executable,
            "user": USER,
            "group": grp.getgrgid(os.getegid()).gr_name,
            "_ansible_check_mode": check,
            "_ansible_diff": True,
            "_ansible_no_log": False,
            "_ansible_module_name": "trac_environments",
            **arguments,
        }

    def __call__(
        self, *documents: Document, check: bool = False, **arguments: t.Any
    ) -> dict[str, t.Any]:
        parameters = self.parameters(*documents, check=check, **arguments)
        warnings: list[str] = []
        with pytest.MonkeyPatch.context() as patch, patch_module_args(parameters):
            # Ansible's own memory of warnings lasts as long as the process.
            patch.setattr(AnsibleModule, "warn", lambda _self, text: warnings.append(text))
            with pytest.raises(SystemExit):
                trac_environments.main()
        printed = self.capsys.readouterr().out
        self.output = "\n".join([printed, *warnings])
        result: dict[str, t.Any] = {**json.loads(printed), "warnings": warnings}
        assert result.get("failed", False) == ("msg" in result)
        return result
