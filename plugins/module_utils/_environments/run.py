# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reconcile the environments of a host: what root does, and what it has the worker do."""

from __future__ import annotations

import contextlib
import grp
import os
import pwd
import time
import typing as t

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.trac.mod_wsgi.plugins.module_utils._core import secrets, worker_process
from ansible_collections.trac.mod_wsgi.plugins.module_utils._core.worker_process import Account
from ansible_collections.trac.mod_wsgi.plugins.module_utils._environments import (
    adoption_copy,
    adoption_run,
    environment_input,
    repositories,
    tracignore,
)
from ansible_collections.trac.mod_wsgi.plugins.module_utils._environments import (
    remove as environment_remove,
)
from ansible_collections.trac.mod_wsgi.plugins.module_utils._environments import (
    worker as environment_worker,
)
from ansible_collections.trac.mod_wsgi.plugins.module_utils._environments.outcome import Outcome
from ansible_collections.trac.mod_wsgi.plugins.module_utils._trac import environment_spec
from ansible_collections.trac.mod_wsgi.plugins.module_utils._trac.environment_spec import (
    EnvironmentFailure,
    Report,
)


class NotReady(Exception):
    """The host lacks what is needed to work on environments."""


class Environments:
    """All environments of the task."""

    def __init__(self, module: AnsibleModule) -> None:
        self.module = module
        self.directory: str = module.params["directory"]
        self.python: str = module.params["python"]
        documents = module.params["environments"]
        self.specs, self.problems = environment_input.read_specs(
            documents, module.params["defaults"]
        )
        self.archive: str | None = module.params["archive_directory"]
        if self.archive and _is_below(self.archive, self.directory):
            self.problems.append(f"archive_directory: it must not be below {self.directory}")
        self.ignore: list[str] = module.params["ignore"]
        names = [spec.name for spec in self.specs if spec.state != "absent"]
        self.problems += [
            f"ignore: {problem}" for problem in tracignore.problems(self.ignore, names)
        ]
        self.outcome = Outcome(self.directory, self.archive)
        for document in documents:
            self.outcome.redactor.learn("database", document["database"])
            self.outcome.redactor.learn("database", document["new_database"])
        for spec in self.specs:
            for (section, option), value in spec.options.items():
                self.outcome.redactor.learn(option, value, section)
        for spec in self.specs:
            if spec.adopt_from and (
                _is_below(spec.adopt_from, self.directory)
                or _is_below(self.directory, spec.adopt_from)
            ):
                self.problems.append(
                    f"environment {spec.name!r}: adopt_from is {spec.adopt_from}, which must be "
                    f"neither in {self.directory} nor around it"
                )

    def account(self) -> Account:
        """The account that owns the environments."""
        user, group = self.module.params["user"], self.module.params["group"]
        try:
            entry = pwd.getpwnam(user)
            gid = grp.getgrnam(group).gr_gid if group else entry.pw_gid
        except KeyError as e:
            raise NotReady(f"The account {user} or its group {group or ''} does not exist.") from e
        return Account(user, entry.pw_uid, gid)

    def reconcile(self) -> None:
        """Let the worker do, or predict, everything."""
        account = self.account()
        if not os.path.exists(self.python):
            raise NotReady(f"There is no Python with Trac at {self.python}.")
        if not self.module.check_mode and not os.path.isdir(self.directory):
            raise NotReady(f"There is no directory {self.directory}.")
        if self.archive and not os.path.lexists(self.archive):
            self.make_archive(self.archive, account)
        with contextlib.ExitStack() as stack:
            adoptions = self.adopt(account, stack)
            self.work(account, adoptions)
        done = {report.name: report for report in self.outcome.reports}
        self.outcome.reports = [
            adoption.joined(done.get(name), self.module.check_mode)
            for name, adoption in adoptions.items()
            if name in done
            or not adoption.is_there
            # The next call tells of what is left, but not of what has been done for it now.
            or (adoption.report.changed and not self.module.check_mode)
        ]
        for report in self.outcome.reports:
            for warning in report.warnings:
                self.module.warn(f"{report.name}: {self.outcome.redactor.redact(warning)}")

    def adopt(
        self, account: Account, stack: contextlib.ExitStack
    ) -> dict[str, adoption_run.Adoption]:
        """Do what takes root's rights; in check mode make copies, which the stack removes."""
        check = self.module.check_mode
        self.outcome.leftovers = adoption_copy.leftovers(self.directory, remove=not check)
        adopter = adoption_run.Adopter(
            self.directory, account, self.python, stack if check else None
        )
        limit = self.module.params["time_limit"]
        deadline = time.monotonic() + limit
        adoptions: dict[str, adoption_run.Adoption] = {}
        for spec in self.specs:
            # Copies that the worker has no time for would be made again by each call.
            if check and limit and time.monotonic() > deadline:
                self.outcome.remaining.append(spec.name)
            else:
                adoptions[spec.name] = adopter.adopt(spec)
        return adoptions

    def work(self, account: Account, adoptions: dict[str, adoption_run.Adoption]) -> None:
        """Have the worker do its part, and collect what it says."""
        there = {name: each for name, each in adoptions.items() if each.is_there}
        payload = {
            "directory": self.directory,
            "archive": self.archive,
            "check": self.module.check_mode,
            "environments": [spec.to_json() for spec in self.specs if spec.name in there],
            "copies": {name: each.copy for name, each in there.items() if each.copy is not None},
            "ignore": self.ignore,
            "logins": self.module.params["logins"],
            "time_limit": self.module.params["time_limit"],
        }
        working_on: list[str] = []
        for event in worker_process.run(self.python, account, environment_worker, payload):
            if event["event"] == "no_trac":
                raise NotReady(f"{self.python} cannot import Trac: {event['reason']}")
            if event["event"] == "failed":
                self.outcome.broken = event["reason"]
            if event["event"] == "leftovers":
                self.outcome.leftovers += event["names"]
                self.outcome.kept = event["failures"]
            if event["event"] == "tracignore":
                self.outcome.ignore_failure = event["failure"]
                if self.outcome.ignore_failure is None:
                    self.outcome.ignored = tracignore.Update(*event["update"])
            if event["event"] == "begin":
                working_on.append(event["name"])
            if event["event"] == "report":
                report = Report.from_json(event["report"])
                if report.name in working_on:
                    working_on.remove(report.name)
                self.outcome.reports.append(report)
            if event["event"] == "remaining":
                self.outcome.remaining += event["names"]
            if event["event"] == "broken":
                at = f" while it worked on {' and '.join(working_on)}" if working_on else ""
                self.outcome.broken = f"The work was broken off{at}: {event['reason']}"

    def make_archive(self, path: str, account: Account) -> None:
        """Make the archive directory, for nobody but the account."""
        parent = os.path.dirname(path)
        if not os.path.isdir(parent):
            if self.module.check_mode:
                return
            raise NotReady(f"There is no directory {parent} for the archive.")
        self.outcome.made_archive = True
        if not self.module.check_mode:
            os.mkdir(path, 0o700)
            os.chmod(path, 0o700)
            os.chown(path, account.uid, account.gid)

    def predict(self) -> None:
        """Predict what can be known before there is a Trac: which environments are missing."""
        self.outcome.leftovers = environment_spec.leftovers(self.directory)
        names = [spec.name for spec in self.specs if spec.state != "absent"]
        try:
            self.outcome.ignored = tracignore.update(self.directory, self.ignore, names, check=True)
        except tracignore.IgnoreFailure as e:
            self.outcome.ignore_failure = str(e)
        for spec in self.specs:
            report = Report(spec.name)
            path = os.path.join(self.directory, spec.name)
            try:
                if spec.state == "absent":
                    if environment_remove.is_there(path, self.archive):
                        report.change(*environment_remove.ARCHIVED)
                        report.change(*environment_remove.REMOVED)
                elif environment_spec.exists(path):
                    self.module.warn(f"What would change in {spec.name} cannot be predicted yet.")
                elif spec.adopt_from:
                    report.change(*adoption_run.copied(spec.adopt_from))
                else:
                    report.create(spec, repositories.for_new_environment(spec))
            except EnvironmentFailure as e:
                report.failure = str(e)
            self.outcome.reports.append(report)

    def hide_secrets(self) -> None:
        """Keep secrets out of everything that the module returns, its own arguments included."""
        self.module.no_log_values.update(self.outcome.redactor.secrets)
        _hide_options((self.module.params["defaults"] or {}).get("config"))
        for document in self.module.params["environments"]:
            _hide_options({"database": document})
            _hide_options(document["config"])


def _is_below(path: str, directory: str) -> bool:
    path, directory = os.path.realpath(path), os.path.realpath(directory)
    return os.path.commonpath([path, directory]) == directory


def _hide_options(config: dict[str, t.Any] | None) -> None:
    for section, options in (config or {}).items():
        if isinstance(options, dict):
            for option, value in options.items():
                if isinstance(value, str):
                    options[option] = secrets.shown(str(option), value, str(section))
