# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ask the database servers of environments for their limits."""

from __future__ import annotations

import pwd
import typing as t

from ansible_collections.trac.mod_wsgi.plugins.module_utils._core import worker_process
from ansible_collections.trac.mod_wsgi.plugins.module_utils._site import connection_budget
from ansible_collections.trac.mod_wsgi.plugins.module_utils._trac import database_servers


class NotReady(Exception):
    """The host lacks what is needed to ask."""


def ask(params: t.Mapping[str, t.Any]) -> list[connection_budget.Server]:
    """Let the servers be asked by the Python that has Trac, as the account."""
    try:
        entry = pwd.getpwnam(params["user"])
    except KeyError:
        raise NotReady(f"The account {params['user']} does not exist.") from None
    account = worker_process.Account(params["user"], entry.pw_uid, entry.pw_gid)
    payload = {"directory": params["directory"], "environments": params["environments"]}
    try:
        events = list(worker_process.run(params["python"], account, database_servers, payload))
    except worker_process.WorkerError as e:
        raise NotReady(str(e)) from e
    for event in events:
        if event["event"] == "no_trac":
            raise NotReady(f"{params['python']} cannot import Trac: {event['reason']}")
        if event["event"] == "broken":
            raise NotReady(event["reason"])
    return [
        connection_budget.Server(
            event["server"],
            event["environments"],
            event.get("max_connections"),
            event.get("reserved", 0),
            event.get("reason", ""),
        )
        for event in events
        if event["event"] == "server"
    ]


def as_dict(budget: connection_budget.Budget) -> dict[str, t.Any]:
    return {
        "server": budget.server.name,
        "environments": list(budget.server.environments),
        "needed": budget.needed,
        "available": budget.server.available,
        "enough": budget.enough,
        "reason": budget.server.reason,
    }
