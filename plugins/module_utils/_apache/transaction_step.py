# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One step of a transaction: present, committed or rolled back."""

from __future__ import annotations

import os
import re
import typing as t

from ansible_collections.trac.mod_wsgi.plugins.module_utils._apache.transaction import (
    ABSENT,
    Change,
    Entries,
    Entry,
    Journal,
    PartlyWritten,
    TransactionError,
    apply,
    check_candidate,
    check_python,
    find_apache,
    locked,
    plan,
)

Result = dict[str, t.Any]


_SECRET_MODE = 0o600


class Transaction:
    """The module's work, from its parameters to its result."""

    def __init__(self, params: t.Mapping[str, t.Any], check_mode: bool) -> None:
        self.params = params
        self.check_mode = check_mode
        if not re.match(r"[A-Za-z0-9_-]+\Z", params["name"]):
            msg = "name may hold letters, digits, '_' and '-' only."
            raise TransactionError(msg)
        self.journal = Journal(params["journal_dir"], params["name"])
        self.token = ""
        self.is_ours = True

    def run(self) -> Result:
        state = self.params["state"]
        work = {"committed": self._commit, "rolled_back": self._roll_back}.get(state, self._present)
        # Without changes, and in check mode, nothing need be made for the lock.
        if self.check_mode:
            return work()
        with locked(self.params["journal_dir"]):
            return work()

    def _wanted(self) -> Entries:
        root = os.geteuid() == 0
        owner = {"uid": 0, "gid": 0} if root else {"uid": os.geteuid()}
        wanted: Entries = {}
        for item in self.params["files"]:
            if not re.match(r"0?[0-7]{3}\Z", item["mode"]):
                msg = f"{item['path']}: mode {item['mode']!r} is no octal number."
                raise TransactionError(msg)
            content = item["content"].encode("utf-8", "surrogateescape")
            self._add(wanted, item["path"], Entry.file(content, int(item["mode"], 8), **owner))
        for path, content in self.params["secret_files"].items():
            secret = content.encode("utf-8", "surrogateescape")
            self._add(wanted, path, Entry.file(secret, _SECRET_MODE, **owner))
        for item in self.params["links"]:
            self._add(wanted, item["path"], Entry.link(item["target"]))
            if not Entry.read(item["path"]).is_ours(item["target"]):
                msg = (
                    f"{item['path']} is there already, and no role of this collection has made it. "
                    "Move it away, or give it another name. Nothing was changed."
                )
                raise TransactionError(msg)
        for item in self.params["absent_links"]:
            if Entry.read(item["path"]).satisfies(Entry.link(item["target"])):
                self._add(wanted, item["path"], ABSENT)
        for path in self.params["absent"]:
            self._add(wanted, path, ABSENT)
        return wanted

    @staticmethod
    def _add(wanted: Entries, path: str, entry: Entry) -> None:
        if not os.path.isabs(path) or os.path.normpath(path) != path:
            msg = f"{path!r} is not a plain absolute path."
            raise TransactionError(msg)
        if path in wanted:
            msg = f"{path} is named twice."
            raise TransactionError(msg)
        wanted[path] = entry

    def _present(self) -> Result:
        wanted = self._wanted()
        changes = plan(wanted)
        resumed = self.journal.exists()
        if resumed and not self.check_mode:
            self.token = self.journal.record([])
        tested = self._test(wanted, changes)
        if not self.check_mode and changes:
            self.token = self.journal.record(changes)
            try:
                apply(changes)
            except TransactionError as error:
                if not resumed and not isinstance(error, PartlyWritten):
                    self.journal.remove()
                    self.token = ""
                raise
        return _result(
            changes,
            changed=bool(changes) or resumed,
            tested=tested,
            resumed=resumed,
            token=self.token,
        )

    def _test(self, wanted: Entries, changes: t.Sequence[Change]) -> bool:
        if self.check_mode and self.params["skip_test"]:
            return False
        changed = {change.path for change in changes}
        for item in self.params["files"]:
            if item["check"] == "python" and item["path"] in changed:
                if not self.params["python"]:
                    msg = "python is required for files with check: python."
                    raise TransactionError(msg)
                check_python(item["path"], wanted[item["path"]].content, self.params["python"])
        apache = find_apache(self.params["apache"])
        if apache is None:
            if self.check_mode:
                return False
            msg = f"Apache ({self.params['apache']}) is not installed; nothing was changed."
            raise TransactionError(msg)
        check_candidate(wanted, self.params["config_dir"], apache)
        return True

    def _refuse_if_taken_over(self) -> None:
        token = self.params["token"]
        between = None if token is None else self.journal.taken_over(token)
        # Who has changed nothing has nothing to commit or to put back.
        if between and token:
            msg = (
                f"Apache's configuration is not what this run has made it: {between} "
                f"(transaction {self.params['name']}). Nothing was touched; run again when that "
                "run has ended."
            )
            raise TransactionError(msg)
        self.is_ours = not between

    def _commit(self) -> Result:
        if not self.check_mode:
            self._refuse_if_taken_over()
            if self.is_ours:
                self.journal.remove()
        return _result([], changed=False)

    def _roll_back(self) -> Result:
        self._refuse_if_taken_over()
        if not self.is_ours:
            return _result([], changed=False)
        changes = plan(self.journal.read())
        changed = self.journal.exists()
        if not self.check_mode:
            apply(changes)
            self.journal.remove()
        return _result(changes, changed=changed)


def _result(changes: t.Sequence[Change], **more: object) -> Result:
    return {
        "paths": [change.path for change in changes],
        "diff": [change.diff() for change in changes],
        **more,
    }
