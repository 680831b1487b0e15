# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Examine a host: all checks, each with what it needs, in one go."""

from __future__ import annotations

import dataclasses
import functools
import os
import pwd
import re
import sys
import time
import typing as t

from ansible_collections.trac.mod_wsgi.plugins.module_utils._apache import apache_configuration
from ansible_collections.trac.mod_wsgi.plugins.module_utils._apache import host as apache_host
from ansible_collections.trac.mod_wsgi.plugins.module_utils._apache import (
    transaction as apache_transaction,
)
from ansible_collections.trac.mod_wsgi.plugins.module_utils._core import secrets, worker_process
from ansible_collections.trac.mod_wsgi.plugins.module_utils._doctor import apache as doctor_apache
from ansible_collections.trac.mod_wsgi.plugins.module_utils._doctor import (
    certificate as doctor_certificate,
)
from ansible_collections.trac.mod_wsgi.plugins.module_utils._doctor import (
    environment as doctor_environment,
)
from ansible_collections.trac.mod_wsgi.plugins.module_utils._doctor import http as doctor_http
from ansible_collections.trac.mod_wsgi.plugins.module_utils._doctor import log as doctor_log
from ansible_collections.trac.mod_wsgi.plugins.module_utils._doctor import (
    resources as doctor_resources,
)
from ansible_collections.trac.mod_wsgi.plugins.module_utils._doctor import result as doctor_result
from ansible_collections.trac.mod_wsgi.plugins.module_utils._doctor import runtime as doctor_runtime
from ansible_collections.trac.mod_wsgi.plugins.module_utils._doctor import system as doctor_system
from ansible_collections.trac.mod_wsgi.plugins.module_utils._doctor import worker as doctor_worker
from ansible_collections.trac.mod_wsgi.plugins.module_utils._doctor.result import (
    FAILED,
    OK,
    SKIPPED,
    WARNING,
    Result,
)
from ansible_collections.trac.mod_wsgi.plugins.module_utils._site import connection_budget
from ansible_collections.trac.mod_wsgi.plugins.module_utils._site import plan as site_plan

SERVER_ROOT = "/etc/apache2"
STATE_DIRECTORY = "/var/lib/trac-mod-wsgi"


# Seconds.
_CHECK_SECONDS = 60
_JOB_SECONDS = 30
_PAGE_SECONDS = 10
_LEAST_SECONDS = 5  # for what comes late

# What the worker says, and what is needed for it.
_OF_RUNTIME = (*doctor_runtime.CHECKS, "trac_import")
_OF_FILES = ("environments", "environment_files", "trac_ini")
_OF_TRAC = ("trac_ini", *doctor_environment.CHECKS)
_OF_SITES = (
    "site_access",
    "site_answers",
    "site_title",
    "site_login",
    "site_private",
    "hello_world",
)
_OF_ACCOUNT = (
    *_OF_RUNTIME,
    *_OF_FILES,
    *_OF_TRAC,
    *_OF_SITES,
    "application_group",
    "backup",
    "connections",
)

Params = t.Mapping[str, t.Any]


class Examination:
    """A host, and what has been found out about it."""

    def __init__(self, params: Params) -> None:
        self.params = params
        self.end: float = time.monotonic() + params["timeout"]
        self.results: list[Result] = []
        self.names: list[str] = []
        self.facts: dict[str, dict[str, t.Any]] = {}
        self.servers: list[dict[str, t.Any]] | None = None
        self.wanted = set(doctor_result.chosen(params["checks"]))

    def run(self) -> dict[str, t.Any]:
        """Make all checks that are wanted."""
        if self.wanted.intersection(_OF_ACCOUNT):
            self._part("environments", self._as_account)
        self._part("apache_configuration", self._apache)
        self._part("disk_space", self._resources)
        if self.wanted.intersection(_OF_SITES):
            self._part("site_answers", self._sites)
        masked = secrets.Redactor().redact  # passwords in connection strings, wherever they are
        wanted = [
            dataclasses.replace(result, seen=masked(result.seen))
            for result in self.results
            if result.check in self.wanted
        ]
        return doctor_result.summary(wanted)

    def _part(self, check: str, function: t.Callable[[], None]) -> None:
        """A part of the examination, which must not hide the others either."""
        try:
            function()
        except Exception as e:  # noqa: BLE001
            seen = f"The examination ended with {type(e).__name__}: {e}"
            self.results.append(doctor_result.broken(check, seen))

    def _check(self, name: str, function: doctor_result.Check) -> None:
        if name in self.wanted:
            self.results += doctor_result.guarded(name, function, _CHECK_SECONDS)

    def _left(self) -> float:
        """Seconds that are left for everything; never none at all."""
        return max(float(_LEAST_SECONDS), self.end - time.monotonic())

    def _skip(self, names: t.Iterable[str], why: str) -> None:
        there = {result.check for result in self.results}
        self.results += [Result(name, SKIPPED, why) for name in names if name not in there]

    # -- what is seen as the service account

    def _as_account(self) -> None:
        """Let the worker look, with Trac's Python, else with this host's own."""
        user, python = self.params["user"], self.params["python"]
        try:
            entry = pwd.getpwnam(user)
        except KeyError:
            self.results.append(
                Result(
                    "environments",
                    FAILED,
                    f"The account {user} does not exist.",
                    "Nobody can run Trac or own its environments.",
                    "Run playbooks/site.yml, which makes it, or name the right one in "
                    "trac_runtime_user.",
                )
            )
            why = f"There is no account {user}."
            self._skip((*_OF_RUNTIME, *_OF_FILES, *_OF_TRAC, "connections"), why)
            return
        account = worker_process.Account(user, entry.pw_uid, entry.pw_gid)
        reason = self._ask_worker(python, account, with_trac=True)
        if reason and not self.names and re.search(r"signal (9|15)\b", reason):
            self.results.append(doctor_runtime.killed(reason, python))
            self._skip((*_OF_RUNTIME, *_OF_FILES, *_OF_TRAC, "connections"), "It was killed.")
            return
        if reason and not self.names:
            self.results.append(doctor_runtime.cannot_import(reason, python))
            self._skip(_OF_RUNTIME, f"{python} cannot be run.")
            reason = self._ask_worker(sys.executable, account, with_trac=False)
        if reason:
            self.results.append(doctor_result.broken("environments", reason))
        if not self.names:
            self.results.append(self._no_environments())
        self._skip((*_OF_FILES, *_OF_TRAC), self._why_not())
        if self.servers is None:
            self._skip(["connections"], self._why_not())

    def _ask_worker(self, python: str, account: worker_process.Account, with_trac: bool) -> str:
        """Take in what the worker says; why it broke off, if it did."""
        payload = {
            "directory": self.params["environments_dir"],
            "environments": self.params["environments"],
            "seconds": self._left(),
            "job_seconds": min(_JOB_SECONDS, int(self._left())),
            "with_trac": with_trac,
        }
        # A job that has begun may take its time.
        limit = self._left() + payload["job_seconds"]
        try:
            for event in worker_process.run(python, account, doctor_worker, payload, timeout=limit):
                kind = event["event"]
                if kind == "result":
                    self.results.append(Result.from_json(event["result"]))
                elif kind == "names":
                    self.names = event["names"]
                elif kind == "facts":
                    self.facts[event["name"]] = event["facts"]
                elif kind == "servers":
                    self.servers = event["servers"]
                elif kind == "broken":
                    return str(event["reason"])
        except worker_process.WorkerError as e:
            return str(e)
        return ""

    def _no_environments(self) -> Result:
        directory = self.params["environments_dir"]
        return Result(
            "environments",
            WARNING,
            f"There is no environment in {directory}.",
            "There is nothing to serve.",
            "If they lie elsewhere, name the directory in trac_environments_dir. Else run "
            "playbooks/site.yml.",
        )

    def _why_not(self) -> str:
        return "There is no environment to look at." if not self.names else "Trac is missing."

    # -- Apache

    @functools.cached_property
    def environment(self) -> dict[str, str]:
        return doctor_system.envvars(SERVER_ROOT)

    @functools.cached_property
    def configuration(self) -> apache_configuration.Configuration:
        return apache_configuration.read(SERVER_ROOT, self.environment)

    @functools.cached_property
    def pids(self) -> list[int]:
        return apache_host.running_apaches()

    @functools.cached_property
    def mod_wsgi_path(self) -> str:
        configured = apache_host.configured_object(SERVER_ROOT)
        return os.path.realpath(configured[0]) if configured else ""

    def _apache(self) -> None:
        apache_user = self.environment.get("APACHE_RUN_USER", "www-data")
        program = apache_transaction.find_apache()
        self._check(
            "apache_configuration",
            lambda: doctor_apache.check_configuration(SERVER_ROOT, program),
        )
        self._check(
            "apache_running",
            lambda: doctor_apache.check_running(
                self.pids, apache_host.apache_endpoints(SERVER_ROOT), _PAGE_SECONDS
            ),
        )
        self._check("mod_wsgi_version", lambda: doctor_apache.check_mod_wsgi(SERVER_ROOT))
        self._check(
            "python_home",
            lambda: doctor_apache.check_homes(
                doctor_apache.homes(self.configuration, apache_user),
                doctor_apache.python_of(self.mod_wsgi_path),
            ),
        )
        self._check(
            "locale",
            lambda: doctor_apache.check_locales(
                doctor_apache.wanted_locales(self.configuration, self.environment)
            ),
        )
        self._check(
            "application_group",
            lambda: doctor_apache.check_application_group(
                self._scripts(),
                [name for name, facts in self.facts.items() if facts["subversion"]],
            ),
        )
        self._check("error_log", self._error_log)
        self._check(
            "certificate",
            lambda: doctor_certificate.check(
                doctor_certificate.configured(self.configuration, SERVER_ROOT),
                self.params["certificate_days"],
                hosts=doctor_certificate.managed(self.configuration, SERVER_ROOT),
            ),
        )

    def _error_log(self) -> t.Iterable[Result]:
        paths = [each.arguments[0] for each in self.configuration.all("ErrorLog") if each.arguments]
        hours = self.params["log_hours"]
        evidence = doctor_log.Evidence(self._suspects(), doctor_system.kernel_log(hours))
        return doctor_log.check(
            doctor_log.logs(dict.fromkeys(paths), SERVER_ROOT), hours, evidence=evidence
        )

    def _suspects(self) -> list[str] | None:
        """What is known to crash daemon processes and is there; None where nobody has looked."""
        looked = {result.check for result in self.results}
        if not {"psycopg2", "application_group"} <= looked:
            return None
        return [
            f"{result.seen.rstrip('.')} (check {result.check})"
            for result in self.results
            if (result.check == "psycopg2" and result.status == WARNING)
            or (result.check == "application_group" and result.status == FAILED)
        ]

    # -- the host

    def _resources(self) -> None:
        params = self.params
        directories = {params["environments_dir"]: "environments"}
        if params["backup_dir"]:
            directories[params["backup_dir"]] = "backups"
        directories[self.environment.get("APACHE_LOG_DIR", "/var/log")] = "logs"
        self._check(
            "disk_space",
            lambda: doctor_resources.check_disks(
                directories, params["free_mb"], params["free_percent"]
            ),
        )
        self._check(
            "memory",
            lambda: [
                doctor_resources.check_memory(
                    doctor_resources.processes(self.pids),
                    doctor_resources.text_of("/proc/meminfo"),
                    params["memory_percent"],
                )
            ],
        )
        self._check("backup", self._backups)
        self._check("transaction", lambda: doctor_resources.check_transactions(STATE_DIRECTORY))
        self._check(
            "out_of_service",
            lambda: doctor_resources.check_out_of_service(params["out_of_service"]),
        )
        self._check("connections", self._connections)

    def _backups(self) -> t.Iterable[Result]:
        path = self.params["backup_status"]
        text = doctor_resources.text_of(path) if os.path.exists(path) else None
        hours = self.params["backup_hours"]
        return doctor_resources.check_backups(text, path, self._there(), hours)

    def _there(self) -> list[str]:
        """The environments that exist."""
        missing = {
            result.subject
            for result in self.results
            if result.check == "environments" and result.status == FAILED
        }
        return [name for name in self.names if f"environment {name}" not in missing]

    def _connections(self) -> t.Iterable[Result]:
        if self.servers is None:
            return []  # why stands there already
        return budget_results(self.servers, self._pools())

    def _pools(self) -> list[connection_budget.Pool]:
        """The pools of the sites, with as many processes as Apache's configuration gives them."""
        groups = {
            group.name: group for group in apache_configuration.daemon_groups(self.configuration)
        }
        sites = []
        for site in self.params["sites"]:
            group = groups.get(f"trac-{site['name']}")
            processes, threads = site["processes"] or 1, site_plan.threads(site)
            if group is not None:
                processes = group.number("processes", 1)
                threads = group.number("threads", 15)
            size = site_plan.pool_size(site)
            sites.append({**site, "processes": processes, "threads": threads, "pool_size": size})
        return connection_budget.pools(sites, self.names)

    # -- the sites

    def _scripts(self) -> list[apache_configuration.Script]:
        """The scripts of the sites; a host may have others, which are none of our business."""
        mounts = {site["mount"].rstrip("/") for site in self.params["sites"]}
        return [
            script
            for script in apache_configuration.scripts(self.configuration)
            if script.mount.rstrip("/") in mounts
        ]

    def _sites(self) -> None:
        self._check(
            "site_access",
            lambda: doctor_apache.embedded_results(self.configuration, self._scripts()),
        )
        base = self.params["base_url"] or apache_host.apache_endpoints(SERVER_ROOT)[0].url
        base = base.rstrip("/")
        sites = self.params["sites"]
        if not self.pids:
            self._skip(_OF_SITES, "Apache does not run.")
            return
        hello = self.params["hello_world_path"]
        hellos = [doctor_http.Page(base + hello, "127.0.0.1", "hello-world")] if hello else []
        pages = doctor_http.start_pages(sites, self._there(), base)
        logins = doctor_http.login_pages(sites, self._there(), base)
        seconds = [doctor_http.second_page(page) for page in pages]
        asked = [*hellos, *logins, *pages, *seconds]
        answers = doctor_http.ask(asked, _PAGE_SECONDS, self._left())
        again = doctor_http.after_a_minute(logins, answers, _PAGE_SECONDS, self._left())
        answers.update(again)
        starts = {page: answers[page] for page in pages}
        titles = {name: facts["title"] for name, facts in self.facts.items()}
        self._check(
            "hello_world",
            lambda: [doctor_http.judge_hello_world(page, answers[page]) for page in hellos],
        )
        if not pages:
            why = "No site serves an environment: trac_sites, or trac_environments_dir, is empty."
            self._skip(_OF_SITES, why)
            return
        self._check("site_access", lambda: doctor_http.judge_access(starts))
        self._check("site_answers", lambda: doctor_http.judge_answers(starts))
        self._check("site_answers", lambda: doctor_http.judge_second(starts, answers))
        self._check("site_title", lambda: doctor_http.judge_titles(starts, titles))
        self._check(
            "site_login",
            lambda: doctor_http.judge_login({page: answers[page] for page in logins}),
        )
        self._check("site_login", lambda: doctor_http.judge_logins_taken(sites, self.facts))
        self._check("site_private", lambda: doctor_http.judge_private(starts, sites))


def budget_results(
    servers: t.Sequence[t.Mapping[str, t.Any]], pools: t.Sequence[connection_budget.Pool]
) -> t.Iterator[Result]:
    """Whether each database server has as many connections as the sites can open."""
    name = "connections"
    if not servers:
        yield Result(name, SKIPPED, "No environment has its database on a server.")
    for found in servers:
        server = connection_budget.Server(
            found["server"],
            found["environments"],
            found.get("max_connections"),
            found.get("reserved", 0),
            found.get("reason", ""),
        )
        budget = connection_budget.budget(server, pools)
        if budget.enough is None:
            # The check database says what is the matter.
            yield Result(name, SKIPPED, f"{server.name}: {server.reason}", subject=server.name)
        elif budget.enough:
            seen = f"{server.name} takes {server.available}, the sites can open {budget.needed}"
            yield Result(name, OK, seen, subject=server.name)
        else:
            yield Result(
                name,
                FAILED,
                budget.warning() or "",
                "With many visitors, pages fail with 'too many connections'.",
                "Raise max_connections, or give the sites fewer processes or a smaller pool_size, "
                "or pooling: per_request.",
                server.name,
            )
