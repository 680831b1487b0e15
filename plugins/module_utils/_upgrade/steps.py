# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The steps of an upgrade, each with its entry in the journal."""

from __future__ import annotations

import os
import pwd
import typing as t

from ansible_collections.trac.mod_wsgi.plugins.module_utils._apache import old_processes
from ansible_collections.trac.mod_wsgi.plugins.module_utils._core import worker_process
from ansible_collections.trac.mod_wsgi.plugins.module_utils._core.worker_process import (
    Account,
)
from ansible_collections.trac.mod_wsgi.plugins.module_utils._upgrade import (
    journal as upgrade_journal,
)
from ansible_collections.trac.mod_wsgi.plugins.module_utils._upgrade import worker as upgrade_worker
from ansible_collections.trac.mod_wsgi.plugins.module_utils._upgrade.generations import (
    Generations,
)
from ansible_collections.trac.mod_wsgi.plugins.module_utils._upgrade.journal import (
    Entry,
    Journal,
)

Result = t.Dict[str, t.Any]


# What the worker has to say, by what it works on.
_ANSWERS = {"copy": {"copy", "rows"}, "restore": {"kept"}}


class UpgradeError(Exception):
    """Why a step could not be taken, in words for the user."""


class Upgrade:
    """One step, from the module's parameters to its result."""

    def __init__(self, params: t.Mapping[str, t.Any], check_mode: bool) -> None:
        self.params = params
        self.check_mode = check_mode
        self.generations = Generations(params["venv"], params["plugins_dir"])
        self.path = os.path.join(params["journal_dir"], "upgrade.json")
        self.removed: list[str] = []
        self.warnings: list[str] = []

    def take(self) -> Result:
        """Take the step."""
        state = self.params["state"]
        journal = upgrade_journal.read(self.path)
        if state in ("looked", "prepared"):
            return self._look(journal, make_room=state == "prepared" and not self.check_mode)
        if self.check_mode:
            return {"changed": False}
        if state == "begun":
            if journal is not None:
                raise UpgradeError(f"{self.path} is there already.")
            os.sync()  # the new virtual environment
            self._write(
                Journal(
                    run=self.params["run"],
                    old=self.generations.home_of_current(),
                    new=self.generations.next(),
                    ticks=old_processes.started(),
                )
            )
            return self._result()
        if journal is None:
            raise UpgradeError(f"No upgrade is under way: there is no {self.path}.")
        if state == "resumed":
            self._refuse_living(journal)
            journal.run = self.params["run"]
            self._write(journal)
            self.generations.repair()
            return self._result(journal, **self._places(journal))
        if journal.run != self.params["run"]:
            raise UpgradeError(f"{self.path} belongs to another run.")
        step: t.Callable[[Journal], None] = getattr(self, f"_{state}")
        step(journal)
        return self._result(journal)

    def _result(self, journal: Journal | None = None, **more: object) -> Result:
        entries = journal.environments if journal else {}
        return {
            "changed": True,
            "removed": self.removed,
            "environments": [
                {"name": name, "state": entry.state, "copy": entry.copy, "kept": entry.kept}
                for name, entry in entries.items()
            ],
            **more,
        }

    def _write(self, journal: Journal) -> None:
        upgrade_journal.write(self.path, journal)

    # The steps

    def _look(self, journal: Journal | None, make_room: bool) -> Result:
        if journal is not None and journal.run != self.params["run"]:
            self._refuse_living(journal)
        elif journal is None and make_room:
            self.removed = self.generations.prepare()
        # The directory alone is no change that somebody would want to hear of.
        return {**self._result(journal, **self._places(journal)), "changed": bool(self.removed)}

    def _places(self, journal: Journal | None) -> Result:
        if journal is not None:
            current, following = journal.old, journal.new
        else:
            current, following = self.generations.current(), self.generations.next()
        return {
            "phase": journal.phase if journal else "",
            "current": current,
            "next": following,
            "next_plugins": self.generations.plugins_of(following),
        }

    def _refuse_living(self, journal: Journal) -> None:
        left = self.params["patience"] - journal.age()
        if left > 0:
            raise UpgradeError(
                "An upgrade by another run is under way: its last sign of life was "
                f"{journal.age():.0f} seconds ago. Nothing has been changed. If that run was "
                f"killed, run upgrade.yml again in {left:.0f} seconds; it then takes over."
            )

    def _copied(self, journal: Journal) -> None:
        accounts = self.params["accounts"] or [self.params["user"]]
        uids = {self._account(name).uid for name in accounts}
        left = old_processes.wait_until_gone(journal.ticks, uids, self.params["timeout"])
        if left:
            raise UpgradeError(
                f"Processes of Apache ({', '.join(map(str, left))}) still serve requests that "
                f"began more than {self.params['timeout']} seconds ago."
            )
        self._make_archive()
        for event in self._work("copy", self.params["environments"], self._python()):
            journal.environments[event["name"]] = Entry(event["copy"], event["rows"])
            self._write(journal)

    def _upgraded(self, journal: Journal) -> None:
        names = list(journal.environments)
        journal.phase = "upgrading"
        for entry in journal.environments.values():
            entry.state = "upgrading"
        self._write(journal)
        skipped: set[str] = set()
        try:
            python = os.path.join(journal.new, "bin", "python")
            plugins = self.generations.plugins_of(journal.new)
            for dummy in self._work("upgrade", names, python, plugins=plugins, skipped=skipped):
                pass
        except UpgradeError:
            for name in skipped:  # not begun for certain
                journal.environments[name].state = "copied"
            self._write(journal)
            raise

    def _switched(self, journal: Journal) -> None:
        journal.phase = "upgrading"
        self._write(journal)
        self.generations.take_over()
        self.generations.save_plugins(journal.old)
        self.generations.switch(journal.new)

    def _verified(self, journal: Journal) -> None:
        journal.phase = "verified"
        self._write(journal)

    def _rolled_back(self, journal: Journal) -> None:
        if journal.phase == "verified":
            raise UpgradeError("The upgrade has been verified; there is no way back from there.")
        journal.reason = self.params["reason"] or journal.reason
        self._write(journal)
        # Those of a run that was killed, with the code that is about to go; they have no visitors.
        uids = {self._account(self.params["user"]).uid}
        old_processes.wait_until_gone(old_processes.started(), uids, self.params["timeout"])
        if self.generations.current() == journal.new:
            self.generations.switch(journal.old, back_from=journal.new)
        failures: list[str] = []
        copies = {
            name: {"copy": journal.environments[name].copy, "rows": journal.environments[name].rows}
            for name in journal.to_restore()
        }
        done = self._work("restore", list(copies), self._python(), copies=copies, failures=failures)
        for event in done:
            entry = journal.environments[event["name"]]
            entry.state, entry.kept = "restored", event["kept"]
            self._write(journal)
        if failures:
            raise UpgradeError(" ".join(failures))
        journal.phase = "rolled_back"
        self._write(journal)

    def _committed(self, journal: Journal) -> None:
        if journal.phase not in ("verified", "rolled_back"):
            raise UpgradeError(f"The upgrade is in the phase {journal.phase}, and not over.")
        if journal.phase == "verified":
            self.removed = self.generations.prune([journal.old, journal.new])
        else:
            self.removed = self.generations.remove(journal.new)
        upgrade_journal.remove(self.path)

    # What they are made of

    def _python(self) -> str:
        return os.path.join(self.params["venv"], "bin", "python")

    def _account(self, name: str) -> Account:
        try:
            entry = pwd.getpwnam(name)
        except KeyError as e:
            raise UpgradeError(f"The account {name} does not exist.") from e
        return Account(name, entry.pw_uid, entry.pw_gid)

    def _make_archive(self) -> None:
        path = self.params["archive_directory"]
        account = self._account(self.params["user"])
        if not os.path.lexists(path):
            os.mkdir(path, 0o700)
            os.chown(path, account.uid, account.gid)

    def _work(
        self,
        work: str,
        names: t.Sequence[str],
        python: str,
        plugins: str | None = None,
        copies: t.Mapping[str, t.Any] | None = None,
        skipped: set[str] | None = None,
        failures: list[str] | None = None,
    ) -> t.Iterator[Result]:
        """Have the worker work; yields what is done well, and raises at the end what is not."""
        if not names:
            return
        payload = {
            "work": work,
            "names": list(names),
            "directory": self.params["directory"],
            "archive": self.params["archive_directory"],
            "live_plugins": self.params["plugins_dir"],
            "plugins": plugins,
            "copies": dict(copies or {}),
        }
        wrong: list[str] = [] if failures is None else failures
        working_on: list[str] = []
        account = self._account(self.params["user"])
        for event in worker_process.run(python, account, upgrade_worker, payload):
            kind = event["event"]
            if kind == "begin":
                working_on.append(event["name"])
            elif kind == "done":
                if event["name"] not in working_on:
                    wrong.append(f"{event['name']}: nobody has asked for it")
                    continue
                working_on.remove(event["name"])
                if event.get("skipped"):
                    if skipped is not None:
                        skipped.add(event["name"])
                elif event["failure"]:
                    wrong.append(f"{event['name']}: {event['failure']}")
                elif not _ANSWERS.get(work, set()) <= set(event):
                    wrong.append(f"{event['name']}: the answer is not complete")
                else:
                    said = [f"{event['name']}: {text}" for text in event.get("said", [])]
                    self.warnings += map(worker_process.printable, said)
                    yield event
            elif kind in ("no_trac", "failed", "broken"):
                at = f" ({' and '.join(working_on)})" if working_on else ""
                wrong.append(f"To {work} environments failed{at}: {event['reason']}")
        if wrong and failures is None:
            raise UpgradeError(f"To {work} environments failed: {'; '.join(wrong)}")
