# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Have the worker make the checks of its groups, as the service account."""

from __future__ import annotations

import pwd
import re
import sys

from ansible_collections.trac.mod_wsgi.plugins.module_utils._core import worker_process
from ansible_collections.trac.mod_wsgi.plugins.module_utils._doctor import (
    checks,
    registry,
    runtime,
    worker,
)
from ansible_collections.trac.mod_wsgi.plugins.module_utils._doctor.host import Host
from ansible_collections.trac.mod_wsgi.plugins.module_utils._doctor.result import (
    FAILED,
    WARNING,
    Result,
    broken,
)

_JOB_SECONDS = 30


def examine(host: Host) -> None:
    """Run the worker with Trac's Python; if that fails, with the host's own, without Trac."""
    user, python = host.params["user"], host.params["python"]
    try:
        entry = pwd.getpwnam(user)
    except KeyError:
        host.results.append(_no_account(user))
        _skip_all(host, f"There is no account {user}.")
        return
    account = worker_process.Account(user, entry.pw_uid, entry.pw_gid)
    reason = _ask_worker(host, python, account, with_trac=True)
    if reason and not host.names and re.search(r"signal (9|15)\b", reason):
        host.results.append(runtime.killed(reason, python))
        _skip_all(host, "It was killed.")
        return
    if reason and not host.names:
        host.results.append(runtime.cannot_import(reason, python))
        runtime_checks = checks.in_group(registry.RUNTIME)
        host.skip(checks.names(runtime_checks), f"{python} cannot be run.")
        reason = _ask_worker(host, sys.executable, account, with_trac=False)
    if reason:
        host.results.append(broken("environments", reason))
    if not host.names:
        host.results.append(_no_environments(host.params["environments_dir"]))
    why = "Trac is missing." if host.names else "There is no environment to look at."
    host.skip(checks.names(checks.in_group(registry.FILES, registry.TRAC)), why)
    if registry.SERVERS in host.absent:
        host.absent[registry.SERVERS] = why


def _ask_worker(host: Host, python: str, account: worker_process.Account, with_trac: bool) -> str:
    """Take in the worker's events; why it broke off, empty if it did not."""
    payload = {
        "directory": host.params["environments_dir"],
        "environments": host.params["environments"],
        "seconds": host.seconds_left(),
        "job_seconds": min(_JOB_SECONDS, int(host.seconds_left())),
        "with_trac": with_trac,
    }
    # A job that has begun may use all of its time.
    limit = host.seconds_left() + payload["job_seconds"]
    try:
        for event in worker_process.run(python, account, worker, payload, timeout=limit):
            kind = event["event"]
            if kind == "result":
                host.results.append(Result.from_json(event["result"]))
            elif kind == "names":
                host.names = event["names"]
            elif kind == "facts":
                host.facts[event["name"]] = event["facts"]
            elif kind == "servers":
                host.servers = event["servers"]
                host.absent.pop(registry.SERVERS, None)
            elif kind == "broken":
                return str(event["reason"])
    except worker_process.WorkerError as e:
        return str(e)
    return ""


def _skip_all(host: Host, why: str) -> None:
    host.skip(checks.names(checks.in_group(*registry.WORKER_GROUPS)), why)
    host.absent[registry.SERVERS] = why


def _no_account(user: str) -> Result:
    return Result(
        "environments",
        FAILED,
        f"The account {user} does not exist.",
        "Nobody can run Trac or own its environments.",
        "Run playbooks/site.yml, which makes it, or name the right one in trac_runtime_user.",
    )


def _no_environments(directory: str) -> Result:
    return Result(
        "environments",
        WARNING,
        f"There is no environment in {directory}.",
        "There is nothing to serve.",
        "If they lie elsewhere, name the directory in trac_environments_dir. Else run "
        "playbooks/site.yml.",
    )
