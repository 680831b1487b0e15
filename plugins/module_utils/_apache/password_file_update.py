# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bring a password file of Apache into its wanted state."""

from __future__ import annotations

import grp
import os
import typing as t

from ansible_collections.trac.mod_wsgi.plugins.module_utils._apache import password_file
from ansible_collections.trac.mod_wsgi.plugins.module_utils._apache import (
    transaction as apache_transaction,
)

_MODE = 0o640


_UNKNOWN = "unknown"


class PasswordFile:
    """The module's work, from its parameters to its result."""

    def __init__(self, params: t.Mapping[str, t.Any], check_mode: bool) -> None:
        self.params = params
        self.check_mode = check_mode
        self.path = str(params["path"])
        self.before = apache_transaction.Entry.read(self.path)
        self.text = self.before.content.decode("utf-8", "replace")
        self.passwords = {str(name): str(word) for name, word in params["passwords"].items()}
        password_file.refuse(self.passwords, params["type"])

    def run(self) -> dict[str, t.Any]:
        absent = self.params["state"] == "absent"
        after = apache_transaction.ABSENT if absent else self._present()
        changes = apache_transaction.plan({self.path: after})
        if not self.check_mode:
            apache_transaction.apply(changes)
        return {"changed": bool(changes), **self._result(after)}

    def _present(self) -> apache_transaction.Entry:
        if self.params["type"] == password_file.DIGEST:
            text = password_file.digest_text(self.passwords, self.params["realms"])
        elif password_file.is_sealed(self.text, self.passwords):
            text = self.text
        else:
            text = password_file.sealed(self._lines(), self.passwords)
        root = os.geteuid() == 0
        return apache_transaction.Entry.file(
            text.encode("utf-8"), _MODE, uid=0 if root else -1, gid=self._gid() if root else -1
        )

    def _lines(self) -> list[str]:
        if self.check_mode and not password_file.find_htpasswd():
            return [f"{name}:{_UNKNOWN}\n" for name in sorted(self.passwords)]
        return password_file.basic_lines(self.passwords, self.text)

    def _gid(self) -> int:
        try:
            return grp.getgrnam(self.params["group"]).gr_gid
        except KeyError as e:
            if self.check_mode:
                return -1  # Apache is not installed yet
            msg = f"There is no group {self.params['group']}."
            raise password_file.PasswordFileError(msg) from e

    def _result(self, after: apache_transaction.Entry) -> dict[str, t.Any]:
        old = password_file.entries(self.text)
        new = password_file.entries(after.content.decode("utf-8", "replace"))
        updated = sorted(name for name in new if name in old and new[name] != old[name])
        shown = {name: "(another password)" if name in updated else "" for name in new}
        return {
            "added": sorted(set(new) - set(old)),
            "removed": sorted(set(old) - set(new)),
            "updated": updated,
            "diff": {
                "before_header": self.path,
                "after_header": self.path,
                "before": "".join(f"{name}\n" for name in sorted(old)),
                "after": "".join(f"{name} {shown[name]}".rstrip() + "\n" for name in sorted(new)),
            },
        }
