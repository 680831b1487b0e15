# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Transactions on real directories, with a stand-in for Apache."""

from __future__ import annotations

import os
import pathlib
import stat
import sys
from typing import Any

import pytest

from ansible_collections.trac.mod_wsgi.plugins.module_utils._apache import transaction as logic
from ansible_collections.trac.mod_wsgi.plugins.module_utils._apache import transaction_step
from ansible_collections.trac.mod_wsgi.plugins.module_utils._apache.transaction_step import (
    Transaction,
)
from ansible_collections.trac.mod_wsgi.tests.unit.plugins.power_cut import Names

# Reads every enabled site of the directory that it is given, as Apache would.
FAKE_APACHE = r"""#!/bin/sh
[ "$1" = -t ] && [ "$2" = -d ] && [ "$4" = -f ] || exit 9
[ "$LOADED" = yes ] || { echo "envvars were not loaded"; exit 9; }
[ -d "$APACHE_RUN_DIR" ] || { echo "no run directory"; exit 9; }
echo "$3" >> "$CALLS"
for site in "$3"/sites-enabled/*; do
  if grep -q Bogus "$site"; then
    echo "AH00526: Syntax error on line 1 of $site:"; echo "Invalid command 'Bogus'"; exit 1
  fi
done
echo "Syntax OK" >&2
"""


class Host:
    """A configuration of Apache in a directory."""

    def __init__(self, root: pathlib.Path) -> None:
        self.root = root
        self.config = root / "apache2"
        self.journal = root / "journal"
        self.calls = root / "calls"
        for name in ("sites-available", "sites-enabled"):
            (self.config / name).mkdir(parents=True)
        (self.config / "apache2.conf").write_text(
            f"IncludeOptional {self.config}/sites-enabled/*\n"
        )
        (self.config / "envvars").write_text(f"export LOADED=yes CALLS={self.calls}\n")
        self.available = self.config / "sites-available" / "a.conf"
        self.enabled = self.config / "sites-enabled" / "a.conf"
        self.apache = root / "fake-apache2"
        self.apache.write_text(FAKE_APACHE)
        self.apache.chmod(0o755)

    def run(self, check_mode: bool = False, **changed: Any) -> dict[str, Any]:
        params: dict[str, Any] = {
            "name": "test",
            "state": "present",
            "files": [],
            "secret_files": {},
            "links": [],
            "absent": [],
            "absent_links": [],
            "python": sys.executable,
            "skip_test": False,
            "config_dir": str(self.config),
            "apache": str(self.apache),
            "journal_dir": str(self.journal),
            "token": None,
        }
        return Transaction({**params, **changed}, check_mode).run()

    def site(self, content: str, mode: str = "0644", **more: Any) -> dict[str, Any]:
        """The parameters that put a site with this content live."""
        return {
            "files": [self.file(self.available, content, mode=mode)],
            "links": [{"path": str(self.enabled), "target": "../sites-available/a.conf"}],
            **more,
        }

    @staticmethod
    def file(path: pathlib.Path, content: str, mode: str = "0644", check: str = "none") -> Any:
        return {"path": str(path), "content": content, "mode": mode, "check": check}

    def tree(self) -> dict[str, str]:
        """Everything below the root but the records of the calls, with its content."""
        found = {}
        for path in sorted(self.root.rglob("*")):
            if path.is_symlink():
                found[str(path)] = "-> " + os.readlink(path)
            elif path.is_file() and path != self.calls:
                found[str(path)] = f"{stat.S_IMODE(path.stat().st_mode):o} {path.read_text()}"
        return found


@pytest.fixture
def host(tmp_path: pathlib.Path) -> Host:
    return Host(tmp_path)


def test_it_installs_files_and_links_and_then_reports_no_change(host: Host) -> None:
    result = host.run(**host.site("Good\n"))
    assert result["changed"]
    assert result["tested"]
    assert not result["resumed"]
    assert result["paths"] == [str(host.available), str(host.enabled)]
    assert host.enabled.read_text() == "Good\n"
    assert os.readlink(host.enabled) == "../sites-available/a.conf"
    host.run(state="committed")
    again = host.run(**host.site("Good\n"))
    assert not again["changed"]
    assert again["paths"] == []
    assert again["diff"] == []


def test_no_temporary_file_stays(host: Host) -> None:
    host.run(**host.site("Good\n"))
    host.run(state="committed")
    assert [path for path in host.tree() if ".trac-" in path or "candidate" in path] == []


def test_the_diff_shows_each_file_before_and_after(host: Host) -> None:
    host.run(**host.site("Old\n"))
    diff = host.run(**host.site("New\n"))["diff"]
    assert [(part["before"], part["after"]) for part in diff] == [("Old\n", "New\n")]


def test_a_mode_that_differs_is_a_change(host: Host) -> None:
    host.run(**host.site("Good\n"))
    host.available.chmod(0o666)
    assert host.run(**host.site("Good\n"))["paths"] == [str(host.available)]
    assert stat.S_IMODE(host.available.stat().st_mode) == 0o644


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
@pytest.mark.parametrize("owner", [(1234, 0), (0, 1234)])
def test_an_owner_that_differs_is_a_change(host: Host, owner: tuple[int, int]) -> None:
    host.run(**host.site("Good\n"))
    os.chown(host.available, *owner)
    assert host.run(**host.site("Good\n"))["changed"]
    assert (host.available.stat().st_uid, host.available.stat().st_gid) == (0, 0)


def test_check_mode_tells_the_same_and_writes_nothing(host: Host) -> None:
    before = host.tree()
    predicted = host.run(check_mode=True, **host.site("Good\n"))
    assert host.tree() == before
    assert predicted["tested"]
    real = host.run(**host.site("Good\n"))
    assert predicted.pop("token") == ""
    assert real.pop("token")
    assert predicted == real


def test_a_refused_candidate_leaves_the_host_as_it_was(host: Host) -> None:
    host.run(**host.site("Good\n"))
    host.run(state="committed")
    before = host.tree()
    for check_mode in (True, False):
        with pytest.raises(logic.TransactionError) as caught:
            host.run(check_mode=check_mode, **host.site("Bogus\n"))
        assert f"Syntax error on line 1 of {host.enabled}:\nInvalid command 'Bogus'" in str(
            caught.value
        )
        assert host.tree() == before


def test_the_candidate_is_a_copy_and_goes_away(host: Host) -> None:
    host.run(**host.site("Good\n"))
    (candidate,) = host.calls.read_text().split()
    assert not candidate.startswith(str(host.root))
    assert not os.path.exists(candidate)


def test_removals_are_part_of_the_candidate(host: Host) -> None:
    host.available.write_text("Bogus\n")
    host.enabled.symlink_to("../sites-available/a.conf")
    result = host.run(absent=[str(host.enabled)])
    assert result["changed"]
    assert not host.enabled.is_symlink()
    host.run(state="rolled_back")
    assert os.readlink(host.enabled) == "../sites-available/a.conf"


def test_absolute_paths_into_the_configuration_lead_into_the_candidate(host: Host) -> None:
    # The link, as it would be after an upgrade from an old a2ensite.
    host.enabled.symlink_to(host.available)
    host.available.write_text("Good\n")
    host.apache.write_text(
        '#!/bin/sh\ncd "$3"\ncat sites-enabled/a.conf apache2.conf\n'
        "readlink sites-enabled/a.conf\nexit 1\n"
    )
    with pytest.raises(logic.TransactionError) as caught:
        host.run(files=[host.file(host.available, "Newer\n")])
    assert "Newer" in str(caught.value)
    # In the words for the user the candidate's path has become the real one again.
    assert f"IncludeOptional {host.config}/sites-enabled/*" in str(caught.value)
    assert str(host.available) in str(caught.value)


LINK = "../sites-available/a.conf"


@pytest.mark.parametrize("theirs", ["file", "../sites-available/theirs.conf"])
def test_somebody_else_s_site_of_that_name_is_neither_replaced_nor_removed(
    host: Host, theirs: str
) -> None:
    (host.config / "sites-available" / "theirs.conf").write_text("Theirs\n")
    if theirs == "file":
        host.enabled.write_text("Theirs\n")
    else:
        host.enabled.symlink_to(theirs)
    before = host.tree()
    with pytest.raises(logic.TransactionError, match=r"sites-enabled/a\.conf is there already"):
        host.run(**host.site("Site\n"))
    result = host.run(absent_links=[{"path": str(host.enabled), "target": LINK}])
    assert not result["changed"]
    assert host.tree() == before


def test_a_copy_of_a_role_s_own_file_is_replaced_by_the_link(host: Host) -> None:
    host.enabled.write_text("# Made by the Ansible role trac.mod_wsgi.trac_site; ...\n")
    assert host.run(**host.site("Site\n"))["changed"]
    assert os.readlink(host.enabled) == LINK


def test_a_role_s_own_link_is_removed(host: Host) -> None:
    host.run(**host.site("Site\n"))
    absent = [{"path": str(host.enabled), "target": LINK}]
    assert host.run(absent_links=absent)["changed"]
    assert not host.enabled.is_symlink()
    host.run(state="committed")
    assert not host.run(absent_links=absent)["changed"]


def seen_by_apache(host: Host, text: str, *commands: str) -> str:
    """What a configuration has become in the candidate, with DIR for the host's directory."""
    host.available.write_text("Good\n")
    (host.config / "x.conf").write_text(text.replace("DIR", str(host.config)))
    # Written so that the words for the user do not turn it back.
    host.apache.write_text(
        '#!/bin/sh\ncd "$3"\nexec 2>&1\n'
        f'sed "s#$3#CANDIDATE#g" x.conf\n{" ".join(commands)}\nexit 1\n'
    )
    with pytest.raises(logic.TransactionError) as caught:
        host.run(files=[host.file(host.available, "Newer\n")])
    return str(caught.value).replace(str(host.config), "DIR")


@pytest.mark.parametrize(
    "line",
    [
        'Include "DIR/a.conf"',
        "IncludeOptional 'DIR/a/*.conf'",
        "ServerRoot DIR",
        'ServerRoot "DIR"',
        "Define THERE DIR",
        "<Directory DIR>",
        "LoadModule x_module DIR/x.so",
        "WSGIDaemonProcess x python-home=DIR/venv",
        "SSLPassPhraseDialog exec:DIR/pass",
        'CustomLog "|DIR/log -x" combined',
        "Include\tDIR/a.conf",
        "<If \"-f 'DIR/x' && file('DIR/y') == 'z'\">",
    ],
)
def test_paths_of_the_configuration_lead_into_the_candidate(host: Host, line: str) -> None:
    assert line.replace("DIR", "CANDIDATE") in seen_by_apache(host, line + "\n")


@pytest.mark.parametrize(
    "line",
    [
        "Include /usr/localDIR/x.conf",
        'Include "/mnt.x/DIR/x.conf"',
        "Include ${ROOT}DIR/x.conf",
        "Include DIR2/x.conf",
        "Include DIR-old/x.conf",
        "Include DIR.bak",
        "Include ~DIR/x.conf",
        "Redirect /x https://example.orgDIR/x",
    ],
)
def test_paths_that_only_look_like_it_stay(host: Host, line: str) -> None:
    seen = seen_by_apache(host, line + "\n")
    assert line in seen
    assert "CANDIDATE" not in seen


def test_links_out_of_the_configuration_lead_where_they_led(host: Host) -> None:
    outside = host.root / "phpmyadmin"
    outside.mkdir()
    (outside / "apache.conf").write_text("Outside\n")
    same_name = host.root / "usr" / str(host.config).lstrip("/")
    same_name.mkdir(parents=True)
    (same_name / "b.conf").write_text("Same name\n")
    (host.config / "sites-enabled" / "p.conf").symlink_to("../../phpmyadmin/apache.conf")
    (host.config / "sites-enabled" / "q.conf").symlink_to(same_name / "b.conf")
    (host.config / "sites-enabled" / "r.conf").symlink_to("../x.conf")
    seen = seen_by_apache(host, "Own\n", "cat sites-enabled/[pqr].conf")
    assert "Outside\nSame name\nOwn" in seen


def test_a_rollback_restores_contents_modes_links_and_absence(host: Host) -> None:
    host.run(**host.site("Old\n", mode="0600"))
    host.run(state="committed")
    before = host.tree()
    script = host.root / "sites" / "x" / "trac.wsgi"
    host.run(
        files=[
            host.file(host.available, "New\n"),
            host.file(script, "pass\n", check="python"),
        ],
        absent=[str(host.enabled)],
    )
    assert script.exists()
    result = host.run(state="rolled_back")
    assert result["changed"]
    assert sorted(result["paths"]) == sorted([str(host.available), str(script), str(host.enabled)])
    assert host.tree() == before
    assert not host.run(state="rolled_back")["changed"]


def test_a_rollback_in_check_mode_only_says_so(host: Host) -> None:
    host.run(**host.site("Good\n"))
    before = host.tree()
    assert host.run(check_mode=True, state="rolled_back")["changed"]
    assert not host.run(check_mode=True, state="committed")["changed"]
    assert host.tree() == before


def test_an_interrupted_run_is_taken_up_again(host: Host) -> None:
    host.run(**host.site("Works\n"))
    host.run(state="committed")
    before = host.tree()
    host.run(**host.site("Unseen\n"))  # killed before it was verified
    again = host.run(**host.site("Unseen\n"))
    assert again["changed"]
    assert again["resumed"]
    assert again["paths"] == []
    host.run(**host.site("Unseen, too\n"))
    host.run(state="rolled_back")
    assert host.tree() == before


def test_of_two_runs_the_later_one_owns_the_transaction(host: Host) -> None:
    host.run(**host.site("Works\n"))
    host.run(state="committed")
    first = host.run(**host.site("First\n"))
    second = host.run(**host.site("Second\n"))
    assert second["resumed"]
    for state in ("committed", "rolled_back"):
        with pytest.raises(logic.TransactionError, match="another run has been changing it since"):
            host.run(state=state, token=first["token"])
    assert host.available.read_text() == "Second\n"
    # What the second has not verified is taken back to what was seen to work.
    host.run(state="rolled_back", token=second["token"])
    assert host.available.read_text() == "Works\n"
    with pytest.raises(logic.TransactionError, match="another run has changed it"):
        host.run(state="committed", token=first["token"])


def test_the_later_of_two_equal_runs_ends_well(host: Host) -> None:
    host.run(**host.site("Works\n"))
    host.run(state="committed")
    first = host.run(**host.site("New\n"))
    second = host.run(**host.site("New\n"))
    assert second["changed"]
    host.run(state="committed", token=second["token"])
    with pytest.raises(logic.TransactionError, match="another run"):
        host.run(state="committed", token=first["token"])
    assert host.available.read_text() == "New\n"


def test_a_run_without_changes_leaves_the_journal_of_another_alone(host: Host) -> None:
    idle = host.run(**host.site("Works\n"))
    host.run(state="committed", token=idle["token"])
    idle = host.run(**host.site("Works\n"))
    assert not idle["changed"]
    assert idle["token"] == ""
    other = host.run(**host.site("Other\n"))
    for state in ("committed", "rolled_back"):
        assert not host.run(state=state, token=idle["token"])["changed"]
    assert host.available.read_text() == "Other\n"
    assert host.run(state="rolled_back", token=other["token"])["changed"]
    assert host.available.read_text() == "Works\n"


def test_a_run_waits_for_another_that_is_changing_something(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logic, "_LOCK_SECONDS", 0)
    with logic.locked(str(host.journal)), pytest.raises(
        logic.TransactionError, match="Another run is changing Apache's configuration"
    ):
        host.run(**host.site("Good\n"))
    assert host.run(**host.site("Good\n"))["changed"]


def test_what_was_wrong_before_is_told_from_what_is_new(host: Host) -> None:
    host.run(**host.site("Good\n"))
    host.run(state="committed")
    other = host.config / "sites-enabled" / "0-other.conf"
    other.write_text("Bogus\n")
    before = host.tree()
    for content in ("Good\n", "Good, too\n"):
        with pytest.raises(
            logic.TransactionError, match=r"as it is on the host.*sites-enabled/0-other\.conf"
        ):
            host.run(**host.site(content))
    assert host.tree() == before


def test_what_cannot_be_put_back_at_once_is_put_back_later(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    host.run(**host.site("Old\n"))
    host.run(state="committed")
    before = host.tree()
    wanted = host.site("New\n")
    wanted["files"].append({"path": f"{host.config}/z", "content": "", "mode": "0644", "check": ""})
    real = os.replace
    written: list[str] = []

    def full(source: str, target: str) -> None:
        if target.startswith(str(host.config)):
            if written:
                raise OSError(28, "No space left on device")
            written.append(target)
        real(source, target)

    with monkeypatch.context() as patched:
        patched.setattr(os, "replace", full)
        patched.setattr(logic, "check_candidate", lambda *_arguments: None)
        with pytest.raises(
            logic.PartlyWritten, match=r"/z could not.*a\.conf could not be put back"
        ):
            host.run(**wanted)
    assert host.available.read_text() == "New\n"
    host.run(state="rolled_back")
    assert host.tree() == before


def test_a_journal_that_cannot_be_written_changes_nothing(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.fsync

    def full(descriptor: int) -> None:
        if os.readlink(f"/proc/self/fd/{descriptor}").startswith(str(host.journal)):
            raise OSError(28, "No space left on device")
        real(descriptor)

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(
        logic.TransactionError, match=r"test\.json could not be written \(No space.*nothing was"
    ):
        host.run(**host.site("Good\n"))
    assert not host.available.exists()
    assert list(host.journal.iterdir()) == []


def test_the_journal_is_for_root_only(host: Host) -> None:
    host.run(**host.site("Good\n"))
    assert stat.S_IMODE(host.journal.stat().st_mode) == 0o700
    assert stat.S_IMODE((host.journal / "test.json").stat().st_mode) == 0o600


def test_a_power_cut_leaves_either_the_journal_or_what_it_would_put_back(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The journal is on the disk before anything changes, and all changes before it goes."""
    names = Names(monkeypatch)
    pending: list[tuple[str, set[str]]] = []

    def look(what: str) -> None:
        places = {host.root, host.journal, host.available.parent, host.enabled.parent}
        pending.append((what, names.pending & {str(place) for place in places}))

    apply, remove = logic.apply, logic.Journal.remove

    def watched_apply(changes: Any) -> None:
        look("change")
        apply(changes)

    def watched_remove(journal: logic.Journal) -> None:
        look("remove the journal")
        remove(journal)

    monkeypatch.setattr(transaction_step, "apply", watched_apply)
    monkeypatch.setattr(logic.Journal, "remove", watched_remove)
    host.run(**host.site("new"))
    host.run(state="committed")
    host.run(**host.site("newer"))
    host.run(state="rolled_back")
    look("end")
    assert [what for what, _names in pending] == [
        "change", "remove the journal", "change", "change", "remove the journal", "end"
    ]  # fmt: skip
    assert {name for _what, found in pending for name in found} == set()


def test_a_damaged_journal_is_named(host: Host) -> None:
    host.journal.mkdir()
    (host.journal / "test.json").write_text("{")
    with pytest.raises(logic.TransactionError, match=r"test\.json is damaged"):
        host.run(state="rolled_back")


def test_a_write_that_fails_leaves_everything_as_it_was(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    host.run(**host.site("Old\n"))
    host.run(state="committed")
    before = host.tree()
    other = host.config / "sites-available" / "b.conf"
    real = os.replace

    def full(source: str, target: str) -> None:
        if target == str(other):
            raise OSError(28, "No space left on device")
        real(source, target)

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(logic.TransactionError, match=r"b\.conf could not be written.*No space"):
        host.run(files=[host.file(host.available, "New\n"), host.file(other, "New\n")])
    assert host.tree() == before


@pytest.mark.parametrize("check_mode", [True, False])
def test_python_that_does_not_compile_is_not_installed(host: Host, check_mode: bool) -> None:
    before = host.tree()
    script = host.root / "trac.wsgi"
    with pytest.raises(logic.TransactionError, match=r"(?s)trac\.wsgi is no valid Python.*line 2"):
        host.run(check_mode, files=[host.file(script, "x = 1\ny = (\n", check="python")])
    assert host.tree() == before


def test_python_is_compiled_but_not_run(host: Host) -> None:
    script, trace = host.root / "trac.wsgi", host.root / "trace"
    host.run(files=[host.file(script, f"open({str(trace)!r}, 'w')\n", check="python")])
    assert script.exists()
    assert not trace.exists()


def test_without_apache_check_mode_predicts_and_a_real_run_fails(host: Host) -> None:
    host.apache.unlink()
    predicted = host.run(check_mode=True, **host.site("Good\n"))
    assert predicted["changed"]
    assert not predicted["tested"]
    with pytest.raises(logic.TransactionError, match="is not installed; nothing was changed"):
        host.run(**host.site("Good\n"))


def test_skip_test_counts_in_check_mode_only(host: Host) -> None:
    bad = host.site("Bogus\n", skip_test=True)
    assert host.run(check_mode=True, **bad)["changed"]
    with pytest.raises(logic.TransactionError, match="Invalid command"):
        host.run(**bad)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"name": "../x"}, "name may hold"),
        ({"absent": ["relative"]}, "not a plain absolute path"),
        ({"absent": ["/a/../b"]}, "not a plain absolute path"),
        ({"absent": ["/nowhere/a", "/nowhere/a"]}, "named twice"),
        (
            {"files": [Host.file(pathlib.Path("/nowhere/a"), "", mode="rw")]},
            "no octal number",
        ),
        ({"absent": ["/etc"]}, "neither a regular file nor a symbolic link"),
    ],
)
def test_bad_parameters_are_named(host: Host, params: dict[str, Any], message: str) -> None:
    with pytest.raises(logic.TransactionError, match=message):
        host.run(**params)


def test_secrets_are_tight_and_not_shown(host: Host) -> None:
    path = host.config / "secret.conf"
    results = [host.run(secret_files={str(path): text}) for text in ("Bind one\n", "Bind two\n")]
    assert path.read_text() == "Bind two\n"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert not host.run(check_mode=True, secret_files={str(path): "Bind two\n"})["paths"]
    results.append(host.run(state="rolled_back"))
    assert not path.exists()
    for result in results:
        (diff,) = result["diff"]
        assert diff["before"] != diff["after"]
        assert "Bind" not in str(result)
    for file in host.journal.iterdir():
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
