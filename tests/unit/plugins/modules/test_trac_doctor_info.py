# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The doctor on environments; its worker under Trac's Python is a real process."""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import pwd
import re
import socket
import sqlite3
import sys
import typing as t

import pytest
from ansible.module_utils.testing import patch_module_args

from ansible_collections.trac.mod_wsgi.plugins.module_utils._copies import reports as copies_reports
from ansible_collections.trac.mod_wsgi.plugins.module_utils._doctor import checks, worker
from ansible_collections.trac.mod_wsgi.plugins.module_utils._doctor import system as doctor_system
from ansible_collections.trac.mod_wsgi.plugins.module_utils._trac import database as trac_database
from ansible_collections.trac.mod_wsgi.plugins.module_utils._trac import opening
from ansible_collections.trac.mod_wsgi.plugins.modules import trac_doctor_info
from ansible_collections.trac.mod_wsgi.tests.unit.plugins.modules.reconciled import PROJECT, Host

ME = pwd.getpwuid(os.geteuid()).pw_name
# Without those that look at the Apache of the machine that runs the tests.
CHECKS = [*checks.names(worker.CHECKS), "connections"]

Found = t.Dict[str, t.Any]


class Doctor:
    """The module, for the environments of a host."""

    def __init__(self, host: Host, capsys: pytest.CaptureFixture[str]) -> None:
        self.directory = host.directory
        self.path = host.directory / "project"
        self.capsys = capsys

    def __call__(self, **more: t.Any) -> dict[str, Found]:
        """The checks by their names."""
        parameters = {
            "checks": CHECKS,
            "environments_dir": str(self.directory),
            "python": sys.executable,
            "user": ME,
            "timeout": 60,
            **more,
        }
        self.capsys.readouterr()
        with patch_module_args(parameters), pytest.raises(SystemExit) as ended:
            trac_doctor_info.main()
        assert ended.value.code == 0
        result = json.loads(self.capsys.readouterr().out)
        assert result["changed"] is False
        assert bool(result["failures"]) is (result["counts"]["failed"] > 0)
        assert result["lines"][-1].startswith(f"{result['counts']['ok']} ok, ")
        return {check["name"]: check for check in result["checks"]}

    def bad(self, **more: t.Any) -> dict[str, str]:
        """The checks that are not well, each with all that they say."""
        return {
            name: f"{check['status']}: " + " ".join(str(each) for each in check["results"])
            for name, check in self(**more).items()
            if check["status"] in ("failed", "warning")
        }


@pytest.fixture
def doctor(created: Host, capsys: pytest.CaptureFixture[str]) -> Doctor:
    assert PROJECT["name"] == "project"
    return Doctor(created, capsys)


def everything(directory: pathlib.Path) -> list[tuple[str, float, bytes]]:
    return sorted(
        (str(path), path.lstat().st_mtime, path.read_bytes() if path.is_file() else b"")
        for path in directory.rglob("*")
    )


def test_a_healthy_environment_is_left_as_it_was(doctor: Doctor) -> None:
    before = everything(doctor.directory)
    found = doctor()
    assert {name: check["status"] for name, check in found.items()} == {
        **dict.fromkeys(CHECKS, "ok"),
        "connections": "skipped",
    }
    assert everything(doctor.directory) == before
    assert not (doctor.path / "log" / "trac.log").exists()


def test_only_what_is_asked_for(doctor: Doctor) -> None:
    assert list(doctor(checks=["database"])) == ["database"]


def test_without_the_virtual_environment(doctor: Doctor) -> None:
    found = doctor(python="/nonexistent/python")
    assert found["trac_import"]["status"] == "failed"
    assert "/nonexistent/python cannot be run" in found["trac_import"]["results"][0]["seen"]
    assert found["environment_files"]["status"] == "ok"
    assert found["database"]["status"] == "skipped"
    assert found["setuptools"]["status"] == "skipped"
    assert found["connections"]["status"] == "skipped"


def test_without_the_account(doctor: Doctor) -> None:
    found = doctor(user="nobody-there")
    assert found["environments"]["status"] == "failed"
    assert {check["status"] for check in found.values()} == {"failed", "skipped"}


def test_without_the_directory(doctor: Doctor) -> None:
    found = doctor(environments_dir="/nonexistent")
    assert found["environments"]["status"] == "warning"
    assert found["database"]["status"] == "skipped"


def append(path: pathlib.Path, text: str) -> None:
    with open(path, "a", encoding="utf-8") as file:
        file.write(text)


def ini(doctor: Doctor, text: str) -> None:
    append(doctor.path / "conf" / "trac.ini", text)


def write(doctor: Doctor, name: str, text: str) -> None:
    (doctor.path / name).write_text(text, encoding="utf-8")


def damage(doctor: Doctor) -> None:
    with open(doctor.path / "db" / "trac.db", "r+b") as file:
        file.seek(60 * 4096)
        file.write(b"\0" * 8 * 4096)


def unreachable(doctor: Doctor, port: int = 1) -> None:
    path = doctor.path / "conf" / "trac.ini"
    url = f"mysql://trac:geh%40eim@127.0.0.1:{port}/x"
    text = path.read_text(encoding="utf-8").replace("sqlite:db/trac.db", url)
    path.write_text(text, encoding="utf-8")


def shared_plugin(doctor: Doctor) -> None:
    directory = doctor.directory.parent / "shared"
    directory.mkdir()
    (directory / "shared_one.py").write_text("import not_installed\n", encoding="utf-8")
    path = doctor.path / "conf" / "trac.ini"
    lines = path.read_text(encoding="utf-8").splitlines()
    lines[lines.index("plugins_dir = ")] = f"plugins_dir = {directory}"
    path.write_text("\n".join(lines), encoding="utf-8")


def dangling(doctor: Doctor) -> None:
    path = doctor.path / "conf" / "trac.ini"
    path.unlink()
    path.symlink_to("/nonexistent")


def change(doctor: Doctor, option: str, value: str) -> None:
    path = doctor.path / "conf" / "trac.ini"
    text = path.read_text(encoding="utf-8")
    assert f"\n{option} = " in text
    text = re.sub(rf"(?m)^{option} = .*", f"{option} = {value}", text)
    path.write_text(text, encoding="utf-8")


def inherit(doctor: Doctor, file: str) -> None:
    path = doctor.path / "conf" / "trac.ini"
    text = path.read_text(encoding="utf-8")
    assert "[inherit]\n" in text
    path.write_text(text.replace("[inherit]\n", f"[inherit]\nfile = {file}\n"), encoding="utf-8")


def with_log(doctor: Doctor) -> None:
    change(doctor, "log_type", "file")


def without_log(doctor: Doctor) -> None:
    with_log(doctor)
    for file in (doctor.path / "log").iterdir():
        file.unlink()
    (doctor.path / "log").rmdir()


def log_elsewhere(doctor: Doctor) -> None:
    with_log(doctor)
    path = doctor.path / "conf" / "trac.ini"
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace("log_file = ", "log_file = /nonexistent/"), encoding="utf-8")


def killed_plugin(doctor: Doctor) -> None:
    text = "import os, signal\nos.kill(os.getpid(), signal.SIGKILL)\n"
    write(doctor, "plugins/e_plugin.py", text)


def fifo(doctor: Doctor, name: str) -> None:
    (doctor.path / name).unlink()
    os.mkfifo(doctor.path / name)


def lost_attachment(doctor: Doctor) -> None:
    with contextlib.closing(sqlite3.connect(doctor.path / "db" / "trac.db")) as db:
        db.execute(
            "INSERT INTO attachment (type, id, filename, size, time) "
            "VALUES ('wiki', 'Start', 'lost.png', 1, 1)"
        )
        db.commit()


def test_a_file_that_no_attachment_has_is_only_noted(doctor: Doctor) -> None:
    spare = doctor.path / "files" / "attachments" / "wiki" / "spare.png"
    spare.parent.mkdir(parents=True)
    spare.touch()
    found = doctor(checks=["attachments"])["attachments"]
    assert found["status"] == "ok"
    assert "files without a row in the database: files/attachments/wiki/spare.png" in str(found)


Break = t.Callable[[Doctor], object]
# What is broken -> the checks that are not well, with words that they say.
BROKEN: list[tuple[str, Break, dict[str, list[str]]]] = [
    ("corrupt trac.ini", lambda d: ini(d, "\n[[[ x\n"), {"trac_ini": ["Trac cannot read"]}),
    (
        "trac.ini that is no UTF-8",
        lambda d: (d.path / "conf" / "trac.ini").write_bytes(b"[trac]\nx = \xff\n"),
        {"trac_ini": ["is not UTF-8"]},
    ),
    (
        "no trac.ini",
        lambda d: (d.path / "conf" / "trac.ini").unlink(),
        {"environment_files": ["conf/trac.ini"]},
    ),
    (
        "trac.ini that leads nowhere",
        dangling,
        {"environment_files": ["conf/trac.ini"]},
    ),
    (
        "VERSION of something else",
        lambda d: write(d, "VERSION", "1\n"),
        {"environments": ["begins with '1'"]},
    ),
    (
        "no database",
        lambda d: (d.path / "db" / "trac.db").unlink(),
        {"database": ["trac.db is not found", "last good backup"]},
    ),
    (
        "database of 0 bytes",
        lambda d: write(d, "db/trac.db", ""),
        {"database": ["trac.db is empty (0 bytes)", "power cut", "trac.db-journal"]},
    ),
    (
        "database that is a FIFO",
        lambda d: fifo(d, "db/trac.db"),
        {"database": ["trac.db is a FIFO"]},
    ),
    (
        "trac.ini of 0 bytes",
        lambda d: write(d, "conf/trac.ini", ""),
        {"trac_ini": ["trac.ini is empty (0 bytes)", "power cut", "last backup"]},
    ),
    (
        "trac.ini without options",
        lambda d: write(d, "conf/trac.ini", "# nothing\n\n[trac]\n"),
        {"trac_ini": ["trac.ini holds no option"]},
    ),
    (
        "trac.ini that is a FIFO",
        lambda d: fifo(d, "conf/trac.ini"),
        {"environment_files": ["trac.ini is a FIFO"]},
    ),
    (
        "no directory for the log",
        without_log,
        {"environment_files": ["there is no directory", "project/log)", "-- mkdir -p"]},
    ),
    (
        "a log in a directory that is not there",
        log_elsewhere,
        {"environment_files": ["log_file is /nonexistent/trac.log, and there is no directory"]},
    ),
    (
        "plugin that is killed",
        killed_plugin,
        {"database": ["the process was killed (signal SIGKILL", "journalctl -k"]},
    ),
    (
        "attachment without a file",
        lost_attachment,
        {"attachments": ["warning", "1 attachment has no file", "wiki Start: lost.png"]},
    ),
    ("damaged database", damage, {"database_integrity": ["quick_check", "Restore"]}),
    (
        "database that is none",
        lambda d: write(d, "db/trac.db", "x" * 5000),
        {"database": ["file is not a database"]},
    ),
    (
        "plugin with a missing library",
        lambda d: write(d, "plugins/a_plugin.py", "import not_installed\n"),
        {"plugins": ["failed", "not_installed", "environment project"]},
    ),
    (
        "plugin with a fault",
        lambda d: write(d, "plugins/b_plugin.py", "1 / 0\n"),
        {"plugins": ["failed", "b_plugin.py", "division by zero"]},
    ),
    (
        "plugin that ends the process",
        lambda d: write(d, "plugins/c_plugin.py", "import os\nos._exit(3)\n"),
        {"database": ["exit status 3"]},
    ),
    (
        "shared plugin with a fault",
        shared_plugin,
        {"plugins": ["failed", "not_installed", "'subject': ''"]},
    ),
    (
        "plugin that is not there",
        lambda d: ini(d, "\n[components]\ngone.* = enabled\nother.gone = disabled\n"),
        {"plugins": ["warning", "[components] gone.* = enabled enables nothing"]},
    ),
    (
        "a file to inherit from that is not there",
        lambda d: inherit(d, "../../shared.ini"),
        {
            "trac_ini": [
                "environments/shared.ini, which does not exist",
                "everybody may read",
                "Put",
            ]
        },
    ),
    (
        "a file to inherit from that cannot be read",
        lambda d: inherit(d, "../VERSION"),
        {"trac_ini": ["project/VERSION, which Trac cannot read", "with 500", "Correct"]},
    ),
    (
        "a workflow that is not installed",
        lambda d: change(d, "workflow", "NoSuch"),
        {"trac_ini": ["[ticket] workflow names NoSuch, which is not installed", "with 500"]},
    ),
    (
        "a log of no known level",
        lambda d: change(d, "log_level", "LOUD"),
        {"trac_ini": ["[logging] log_level: expected one of", "loud"]},
    ),
    (
        "rules for the repository that nothing reads",
        lambda d: change(d, "authz_file", "/etc/authz"),
        {"trac_ini": ["warning", "/etc/authz, and nothing reads it"]},
    ),
    ("database server that is down", unreachable, {"database": ["does not answer"]}),
]


@pytest.mark.parametrize(
    ("breaking", "wanted"),
    [(each[1], each[2]) for each in BROKEN],
    ids=[each[0] for each in BROKEN],
)
def test_broken(breaking: Break, wanted: dict[str, list[str]], doctor: Doctor) -> None:
    breaking(doctor)
    bad = doctor.bad()
    assert list(bad) == list(wanted)
    assert "crashes" not in bad.get("database", "") or "exit status" in bad["database"]
    for name, words in wanted.items():
        assert [each for each in words if each not in bad[name]] == []
    assert "geh@eim" not in str(bad)
    assert "geh%40eim" not in str(bad)


def test_an_upgrade_is_needed(created: Host, doctor: Doctor) -> None:
    created.execute("UPDATE system SET value = '44' WHERE name = 'database_version'")
    bad = doctor.bad()
    assert list(bad) == ["database_version"]
    assert "needs to be upgraded: version 44" in bad["database_version"]


def test_reports_that_the_database_refuses_are_named(created: Host, doctor: Doctor) -> None:
    """And not those that it takes, with or without variables."""
    created.execute(
        "INSERT INTO report (id, title, query) VALUES"
        " (91, 'By year', 'SELECT to_char(time) FROM ticket WHERE owner=$USER'),"
        " (92, 'Of one', 'SELECT id FROM ticket WHERE id=$NUMBER'), (93, 'Kept', 'query:a=b'),"
        " (94, 'Broken', 'SELECT 1; DELETE FROM ticket')"
    )
    bad = doctor.bad()
    assert list(bad) == ["reports"]
    assert "report 91 (By year): " in bad["reports"]
    assert "to_char" in bad["reports"]
    assert "report 94 (Broken)" in bad["reports"]
    assert "warning" in bad["reports"]
    assert not any(f"report {number}" in bad["reports"] for number in (1, 7, 92, 93))


def test_a_report_changes_nothing_and_ends(created: Host) -> None:
    created.execute(
        "INSERT INTO report (id, title, query) VALUES (91, 'Endless', 'WITH RECURSIVE n(x) AS"
        " (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT sum(x) FROM n')"
    )
    path = created.directory / "project"
    with opening.opened(opening.environment_class()(str(path))) as environment:
        # What only takes its time is no fault.
        assert copies_reports.failing(environment, each=1) == []
        with trac_database.connected(environment) as connection:
            runner = copies_reports._SQLite(connection, 1)
            with pytest.raises(Exception, match="readonly"):
                runner.run("UPDATE ticket SET summary=''", [])


def test_a_database_newer_than_trac(created: Host, doctor: Doctor) -> None:
    created.execute("UPDATE system SET value = '99' WHERE name = 'database_version'")
    bad = doctor.bad()
    assert list(bad) == ["database_version"]
    assert "trac_runtime_version" in bad["database_version"]


def test_what_hangs_is_stopped_and_hides_nothing(doctor: Doctor) -> None:
    write(doctor, "plugins/d_plugin.py", "import time\ntime.sleep(600)\n")
    found = doctor(timeout=5)
    assert found["database"]["status"] == "failed"
    assert "did not end within 5 seconds" in found["database"]["results"][0]["seen"]
    assert found["environment_files"]["status"] == "ok"
    assert found["trac_import"]["status"] == "ok"


def test_a_database_server_that_never_answers(doctor: Doctor) -> None:
    pytest.importorskip("pymysql")
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        unreachable(doctor, server.getsockname()[1])
        found = doctor(timeout=5)
    assert found["database"]["status"] == "failed"
    assert "did not end within 5 seconds" in found["database"]["results"][0]["seen"]
    assert found["connections"]["status"] == "skipped"
    assert found["environment_files"]["status"] == "ok"


def test_a_fault_of_the_doctor_hides_nothing(
    doctor: Doctor, monkeypatch: pytest.MonkeyPatch
) -> None:
    def crash(*_arguments: object) -> None:
        raise RuntimeError("no more")

    monkeypatch.setattr(doctor_system, "envvars", crash)
    found = doctor(checks=["database", "locale", "disk_space", "site_answers"])
    assert found["database"]["status"] == "ok"
    assert "RuntimeError: no more" in found["disk_space"]["results"][0]["seen"]


def test_one_that_is_missing_does_not_hide_the_others(doctor: Doctor) -> None:
    found = doctor(environments=["project", "gone"])
    assert [(each["subject"], each["status"]) for each in found["environments"]["results"]] == [
        ("environment project", "ok"),
        ("environment gone", "failed"),
    ]
    assert found["database"]["status"] == "ok"
