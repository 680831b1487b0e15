# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The role's shell commands, where an account has put something else in the place of a file."""

from __future__ import annotations

import os
import pathlib
import subprocess
import tempfile
import typing as t

import pytest
import yaml

from ansible_collections.trac.mod_wsgi.plugins.plugin_utils import _site_role
from ansible_collections.trac.mod_wsgi.tests.unit.plugins.pipes import pipe_at

ROLE = pathlib.Path(__file__).parents[3] / "roles" / "trac_site"
SERVER = "[trac]\ndatabase = postgres://trac@/trac\n"


def task(file: str, name: str) -> dict[str, t.Any]:
    tasks = yaml.safe_load((ROLE / "tasks" / file).read_text(encoding="utf-8"))
    return next(each for each in tasks if each["name"] == name)


@pytest.fixture
def environments() -> t.Iterator[pathlib.Path]:
    """A directory of nobody's."""
    with tempfile.TemporaryDirectory() as name:
        directory = pathlib.Path(name) / "environments"
        for each in ("first", "second"):
            (directory / each / "conf").mkdir(parents=True)
            (directory / each / "conf" / "trac.ini").write_text(SERVER)
        for path in (pathlib.Path(name), *pathlib.Path(name).rglob("*")):
            os.chown(path, 65534, 65534)
        yield directory


def on_servers(directory: pathlib.Path) -> list[str]:
    command = task(
        "host.yml", "Host | Look for files of the other roles, accounts, processors and memory"
    )
    shell, option, script, zero, pattern, *_others = command["ansible.builtin.command"]["argv"]
    variables = yaml.safe_load((ROLE / "vars" / "main.yml").read_text(encoding="utf-8"))
    as_account = variables["__trac_site_as_account"][4]
    out_of_service = str(directory.parent / "none")
    arguments = [pattern, str(directory), "nobody", as_account, "root", out_of_service]
    done = subprocess.run(
        [shell, option, script, zero, *arguments, "/bin/sh", "/missing"],
        stdout=subprocess.PIPE,
        cwd="/",
        text=True,
        check=True,
    )
    facts = _site_role.read_facts(done.stdout.splitlines())
    assert [path for path in facts.existing_paths if "/mods-enabled/" not in path] == ["/bin/sh"]
    assert facts.has_account
    assert facts.apache_groups == ["root"]
    assert facts.cores >= 1
    assert facts.memory_mb >= 1
    return facts.environments_on_servers


@pytest.mark.skipif(os.geteuid() != 0, reason="takes another account")
def test_the_look_for_databases_waits_for_no_pipe_and_follows_no_link_as_root(
    environments: pathlib.Path,
) -> None:
    assert on_servers(environments) == ["first", "second"]
    with pipe_at(environments / "first" / "conf" / "trac.ini"):
        assert on_servers(environments) == ["second"]
    with tempfile.NamedTemporaryFile("w") as of_root:
        of_root.write(SERVER)
        of_root.flush()
        (environments / "first" / "conf" / "trac.ini").unlink()
        (environments / "first" / "conf" / "trac.ini").symlink_to(of_root.name)
        assert on_servers(environments) == ["second"]


@pytest.mark.skipif(os.geteuid() != 0, reason="takes another account")
def test_a_name_with_a_line_break_answers_for_nothing_else(environments: pathlib.Path) -> None:
    (environments / "a\naccount 0" / "conf").mkdir(parents=True)
    (environments / "a\naccount 0" / "conf" / "trac.ini").write_text(SERVER)
    assert on_servers(environments) == ["a?account 0", "first", "second"]


def certificates(store: pathlib.Path, *names: str) -> list[str]:
    wait = task("acme.yml", "ACME | Wait for mod_md to obtain the certificates")
    script = wait["vars"]["__trac_site_md_wait"].replace("$(seq 45)", "1")
    command = ["sh", "-c", script, "sh", str(store), *names]
    return subprocess.check_output(command, text=True).splitlines()


def test_the_wait_for_certificates_reads_files_of_apaches_account_only(
    tmp_path: pathlib.Path,
) -> None:
    texts = {
        "staged": '{\n  "finished": true\n}\n',
        "failed": '{\n  "errors": 3,\n  "last": {\n    "detail": "no route",\n    "a": 1\n  }\n}\n',
        "linked": '{\n  "finished": true\n}\n',
    }
    for name in (*texts, "pipe", "missing"):
        (tmp_path / "staging" / name).mkdir(parents=True)
    for name, text in texts.items():
        (tmp_path / "staging" / name / "job.json").write_text(text)
    linked = tmp_path / "staging" / "linked" / "job.json"
    linked.rename(tmp_path / "of-root")
    linked.symlink_to(tmp_path / "of-root")
    with pipe_at(tmp_path / "staging" / "pipe" / "job.json"):
        said = certificates(tmp_path, "staged", "failed", "linked", "pipe", "missing")
    waiting = "the authority has not answered yet"
    assert said == [
        "staged staged",
        "failed failed: no route",
        f"waiting linked: {waiting}",
        f"waiting pipe: {waiting}",
        f"waiting missing: {waiting}",
    ]
