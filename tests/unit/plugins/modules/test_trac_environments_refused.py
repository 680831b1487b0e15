# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What somebody has left in a trac.ini, and what would be open or down by it: refused by name."""

from __future__ import annotations

import os
import pathlib
import typing as t

import pytest

from ansible_collections.trac.mod_wsgi.plugins.module_utils._core import regular_file
from ansible_collections.trac.mod_wsgi.tests.unit.plugins.modules.reconciled import (
    PROJECT,
    Host,
    unpack,
)
from ansible_collections.trac.mod_wsgi.tests.unit.plugins.modules.test_trac_environments_served import (  # noqa: E501
    POLICIES,
    status,
)
from ansible_collections.trac.mod_wsgi.tests.unit.plugins.pipes import pipe_at

RESTRICTING = (
    "[components]\ntracopt.perm.authz_policy.* = enabled\n"
    f"[trac]\npermission_policies = AuthzPolicy,{POLICIES}\n"
    "[authz_policy]\nauthz_file = {authz}\n"
)
RULES = "[wiki:WikiStart]\n* =\n"
_stamps = iter(range(1, 1000))


def leave(host: Host, *lines: str, without: str = "\0") -> None:
    """Add sections to trac.ini, as somebody has long ago; Trac notices by the file's time."""
    path = host.ini_path()
    text = path.read_text(encoding="utf-8")
    kept = [line for line in text.splitlines() if not line.startswith(without)]
    sections: dict[str, list[str]] = {}
    here = ""
    for line in [*kept, *"\n".join(lines).splitlines()]:
        here = line if line.startswith("[") else here
        sections.setdefault(here, []).extend([] if line.startswith("[") else [line])
    parts = [line for name, of_it in sections.items() for line in [name, *of_it]]
    path.write_text("\n".join(parts) + "\n", encoding="utf-8")
    stamp = next(_stamps)
    os.utime(path, (stamp, stamp))


def refused(host: Host, document: dict[str, t.Any] | None = None) -> str:
    """Why an environment is refused, in check mode and in a run, which change nothing."""
    before = host.snapshot()
    predicted = host.one(document or PROJECT, check=True)
    report = host.one(document or PROJECT)
    assert report["failure"] == predicted["failure"]
    assert report["changes"] == predicted["changes"] == []
    assert host.snapshot() == before
    return str(report["failure"])


def test_restricted_page_is_not_opened_by_a_file_to_inherit_from_that_is_gone(
    created: Host, tmp_path: pathlib.Path
) -> None:
    authz = tmp_path / "authz"
    authz.write_text(RULES, encoding="utf-8")
    shared = tmp_path / "shared.ini"
    shared.write_text(RESTRICTING.format(authz=authz), encoding="utf-8")
    leave(created, f"[inherit]\nfile = {shared}", without="permission_policies")
    assert created.one(PROJECT)["failure"] is None
    assert status(created) == "403"
    shared.rename(tmp_path / "elsewhere.ini")
    leave(created)
    assert status(created) == "200"
    why = refused(created)
    assert f"open to everybody: [inherit] file names {shared}, which does not exist" in why
    assert f"Remedy: put {shared} there as it was" in why
    (tmp_path / "elsewhere.ini").rename(shared)
    leave(created)
    assert created.one(PROJECT)["failure"] is None
    assert status(created) == "403"


@pytest.mark.parametrize(
    ("value", "content", "words"),
    [
        ("../../shared.ini", None, "{place}/shared.ini, which does not exist"),
        ("{place}/there.ini, {place}/shared.ini,", None, "names {place}/shared.ini, which does"),
        ("{place}/chain.ini", None, "in {place}/chain.ini names {place}/shared.ini, which does"),
        ("{place}/shared.ini", b"[inherit]\nfile = shared.ini\n", "which leads back to itself"),
        ("{place}/shared.ini", b"no section\n", "which Trac cannot read (File contains no sect"),
        ("{place}/shared.ini", b"[a]\nb = 1\n[a]\n", "which Trac cannot read"),
        ("{place}/shared.ini", b"[a]\nb = \xe9\n", "which is not UTF-8"),
        ("{place}", None, "names {place}, which is no file (this is a directory, not a file)"),
    ],
)
def test_file_to_inherit_from_that_cannot_be_used_is_named(
    created: Host, value: str, content: bytes | None, words: str
) -> None:
    place = str(created.directory)
    (created.directory / "there.ini").write_text("[a]\nb = c\n", encoding="utf-8")
    (created.directory / "chain.ini").write_text("[inherit]\nfile = shared.ini\n", encoding="utf-8")
    if content is not None:
        (created.directory / "shared.ini").write_bytes(content)
    leave(created, f"[inherit]\nfile = {value.format(place=place)}")
    assert words.format(place=place) in os.path.normpath(refused(created)).replace(
        "conf/../../", ""
    )


def test_pipe_in_the_place_of_a_file_to_inherit_from_is_not_waited_for(created: Host) -> None:
    with pipe_at(created.directory / "shared.ini"):
        leave(created, "[inherit]\nfile = ../../shared.ini")
        assert "no file (this is a named pipe, not a file)" in str(created.one(PROJECT)["failure"])


def test_new_environment_is_not_made_with_a_missing_file_to_inherit_from(host: Host) -> None:
    document = {**PROJECT, "config": {"inherit": {"file": "/nowhere/shared.ini"}}}
    assert "names /nowhere/shared.ini, which does not exist" in refused(host, document)
    assert host.one({**PROJECT, "config": {"inherit": {"file": ""}}})["failure"] is None


@pytest.mark.parametrize(
    ("content", "served", "words"),
    [
        (None, "500", "status 500): [authz_policy] authz_file, which AuthzPolicy reads its rules"),
        (b"[wiki:\n", "500", "/conf/authz Trac cannot read (File contains no section headers"),
        (b"[wiki:\xe9]\n", "500", "/conf/authz is not UTF-8"),
        ("directory", "200", "open to everybody: [authz_policy] authz_file, which AuthzPolicy"),
    ],
)
def test_file_of_rules_that_cannot_be_used_is_refused(
    created: Host, content: bytes | str | None, served: str, words: str
) -> None:
    authz = created.directory / "project" / "conf" / "authz"
    authz.write_text(RULES, encoding="utf-8")
    leave(created, RESTRICTING.format(authz="authz"), without="permission_policies")
    assert created.one(PROJECT)["failure"] is None
    assert status(created) == "403"
    authz.unlink()
    if isinstance(content, bytes):
        authz.write_bytes(content)
    elif content:
        authz.mkdir()
    leave(created)
    # Of what it may not read, Trac says as little as of a directory.
    assert status(created) == served
    assert words in refused(created)


def test_file_of_rules_that_is_closed_to_the_account_is_refused(
    created: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    authz = created.directory / "project" / "conf" / "authz"
    authz.write_text(RULES, encoding="utf-8")
    leave(created, RESTRICTING.format(authz=authz), without="permission_policies")
    read = regular_file.read

    def closed(path: str, *arguments: t.Any, **more: t.Any) -> bytes:
        if path == str(authz):
            raise PermissionError(13, "Permission denied", path)
        return read(path, *arguments, **more)

    monkeypatch.setattr(regular_file, "read", closed)
    why = refused(created)
    assert "open to everybody: [authz_policy] authz_file, which AuthzPolicy reads its" in why
    assert f"{authz}, which the account" in why
    assert "is not allowed to read. trac.ini is as it was. Remedy: let" in why


def test_file_of_rules_that_nothing_reads_is_told(created: Host) -> None:
    leave(created, "[svn]\nauthz_file = /etc/svn.authz", without="authz_file")
    report = created.one(PROJECT)
    assert report["failure"] is None
    assert any(
        "[svn] authz_file names /etc/svn.authz, and nothing reads it: its rules hold only with "
        "AuthzSourcePolicy in front in [trac] permission_policies" in each
        for each in report["warnings"]
    )


LEFT = [
    (
        "[trac]\npermission_policies = NoSuch",
        "[trac] permission_policies names NoSuch, which is not",
    ),
    ("[ticket]\nworkflow = NoSuch", "[ticket] workflow names NoSuch, which is not installed"),
    ("[logging]\nlog_file = /nowhere/trac.log", "there is no directory /nowhere. trac.ini is as"),
    ("[logging]\nlog_level = LOUD", "[logging] log_level: expected one of"),
    ("[logging]\nlog_type = files", "[logging] log_type: expected one of"),
]


@pytest.mark.parametrize(("lines", "words"), LEFT)
@pytest.mark.parametrize("series", ["1.0", "1.6"])
def test_old_environment_is_refused_before_it_is_upgraded(
    host: Host, tmp_path: pathlib.Path, series: str, lines: str, words: str
) -> None:
    unpack(series, tmp_path).rename(host.directory / "project")
    option = lines.splitlines()[1].split(" ")[0]
    leave(host, "[logging]\nlog_type = file", without="log_type")
    leave(host, lines, without=option)
    document = {"name": "project"}
    assert words in refused(host, document)
    assert not list(host.archive.iterdir())
    other = host.directory / "other"
    unpack("1.6", tmp_path).rename(other)
    reports = host.run(document, {"name": "other"})
    assert words in str(reports["project"]["failure"])
    assert reports["other"]["failure"] is None


def test_what_the_upgrade_itself_sets_right_is_not_refused(
    host: Host, tmp_path: pathlib.Path
) -> None:
    unpack("1.0", tmp_path).rename(host.directory / "project")
    policies = "AuthzPolicy, DefaultPermissionPolicy, LegacyAttachmentPolicy"
    rules = RESTRICTING.format(authz="conf/authz").replace("AuthzPolicy,", f"{policies}\n#", 1)
    leave(host, rules, without="permission_policies")
    why = str(host.one({"name": "project"}, check=True)["failure"])
    assert "authz does not exist" in why  # the upgrade leads it to conf/authz, not conf/conf/authz
    assert "conf/conf" not in why
    (host.directory / "project" / "conf" / "authz").write_text(RULES, encoding="utf-8")
    assert host.one({"name": "project"}, check=True)["failure"] is None


def test_log_that_goes_nowhere_is_no_fault(created: Host) -> None:
    leave(created, "[logging]\nlog_type = file\nlog_file = /dev/null", without="log_")
    assert created.one(PROJECT)["failure"] is None
    assert status(created) == "200"
