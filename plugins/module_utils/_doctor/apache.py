# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks of Apache: its configuration, whether it runs, and which mod_wsgi it has."""

from __future__ import annotations

import http.client
import os
import tempfile
import typing as t

from ansible_collections.trac.mod_wsgi.plugins.module_utils._apache import host as apache_host
from ansible_collections.trac.mod_wsgi.plugins.module_utils._apache import (
    http_check,
    version_gate,
    virtual_host_copies,
)
from ansible_collections.trac.mod_wsgi.plugins.module_utils._apache import (
    transaction as apache_transaction,
)
from ansible_collections.trac.mod_wsgi.plugins.module_utils._doctor import system as doctor_system
from ansible_collections.trac.mod_wsgi.plugins.module_utils._doctor.host import Host
from ansible_collections.trac.mod_wsgi.plugins.module_utils._doctor.registry import APACHE, check
from ansible_collections.trac.mod_wsgi.plugins.module_utils._doctor.result import (
    FAILED,
    OK,
    WARNING,
    Result,
)

_CONFIGURATION_SECONDS = 20
_ANSWER_SECONDS = 10
_LONGEST_ANSWER = 1 << 16  # bytes

# The test leaves the running server alone: it has a directory of its own for its locks.
_TEST = """
if [ -r "$2/envvars" ]; then . "$2/envvars"; fi
export APACHE_RUN_DIR="$1" APACHE_LOCK_DIR="$1" APACHE_PID_FILE="$1/apache2.pid"
exec "$3" -t -d "$2" -f "$2/apache2.conf"
"""


@check("apache_configuration", "Apache accepts its configuration", APACHE)
def apache_configuration(host: Host) -> t.Iterator[Result]:
    return check_configuration(host.server_root, apache_transaction.find_apache())


def check_configuration(server_root: str, program: str | None) -> t.Iterator[Result]:
    name = "apache_configuration"
    if program is None:
        yield Result(
            name,
            FAILED,
            "Apache is not installed.",
            "Nothing can be served.",
            "Run playbooks/site.yml for this host, or install the package apache2.",
        )
        return
    with tempfile.TemporaryDirectory(prefix="trac-doctor-") as directory:
        status, output = doctor_system.command(
            ["/bin/sh", "-c", _TEST, "sh", directory, server_root, program], _CONFIGURATION_SECONDS
        )
    copies = virtual_host_copies.advice(server_root)
    if status == 0 and copies:
        yield Result(
            name,
            WARNING,
            "Syntax OK, but virtual hosts stand there twice.",
            "Visitors get the one or the other, by the order of the files' names.",
            copies,
        )
        return
    if status == 0:
        yield Result(name, OK, "Syntax OK")
        return
    told = " ".join(line for line in output.splitlines() if "AH00558" not in line)
    yield Result(
        name,
        FAILED,
        f"apache2 -t says: {told}",
        "A running Apache goes on with its old configuration, but will not start again, and no "
        "change is loaded.",
        copies
        or "Correct what is named, or run playbooks/site.yml if the file is one of the "
        "collection's; then: apache2ctl configtest && systemctl reload apache2",
    )


@check("apache_running", "Apache runs and answers", APACHE)
def apache_running(host: Host) -> t.Iterator[Result]:
    endpoints = apache_host.apache_endpoints(host.server_root)
    return check_running(host.pids, endpoints, _ANSWER_SECONDS)


def _options_answer(endpoint: apache_host.Endpoint, seconds: float) -> str:
    """The error of a request to Apache itself, not to a site; empty if it answers."""
    connection = http.client.HTTPConnection(
        endpoint.address or "127.0.0.1", endpoint.port, timeout=seconds
    )
    try:
        with http_check.time_limit(connection, seconds):
            connection.request("OPTIONS", "*", headers={"Connection": "close"})
            connection.getresponse().read(_LONGEST_ANSWER)
    except (OSError, http.client.HTTPException) as e:
        return str(e) or type(e).__name__
    finally:
        connection.close()
    return ""


def check_running(
    pids: t.Sequence[int], endpoints: t.Sequence[apache_host.Endpoint], seconds: float
) -> t.Iterator[Result]:
    name = "apache_running"
    if not pids:
        yield Result(
            name,
            FAILED,
            "No process of Apache runs.",
            "No site can be reached.",
            "Start it: systemctl start apache2 (why it ended: journalctl -u apache2, and the "
            "error log). If it does not start, see the check apache_configuration.",
        )
        return
    silent = []
    for endpoint in endpoints:
        why = _options_answer(endpoint, seconds)
        if not why:
            yield Result(name, OK, f"process {pids[0]} answers at {endpoint.url}")
            return
        silent.append(f"{endpoint.url}: {why}")
    yield Result(
        name,
        FAILED,
        f"Apache runs (process {pids[0]}) and does not answer: {'; '.join(silent)}.",
        "All its workers are busy or it hangs, or it listens elsewhere.",
        "See what it is doing in the error log (MaxRequestWorkers). "
        "Then: systemctl restart apache2",
    )


# -- mod_wsgi ------------------------------------------------------------------------------


@check("mod_wsgi_version", "The version of mod_wsgi serves Trac", APACHE)
def mod_wsgi_version(host: Host) -> t.Iterator[Result]:
    return check_mod_wsgi(host.server_root)


def _package_version(path: str) -> str | None:
    """The version of the package that a shared object belongs to."""
    status, output = doctor_system.command(["dpkg-query", "--search", path], 10)
    if status != 0 or ":" not in output:
        return None
    package = output.split(":")[0]
    _status, output = doctor_system.command(
        ["dpkg-query", "--show", "--showformat=${db:Status-Status} ${Version}", package], 10
    )
    return apache_host.installed_from_dpkg(output)


def mod_wsgi_object(server_root: str) -> tuple[str, bytes | None, bool, bool] | None:
    """Path and content of mod_wsgi; whether a running Apache has it; whether the file exists."""
    mapping = apache_host.loaded_mapping()
    if mapping is not None:
        return mapping.path, apache_host.mapped_content(mapping), True, not mapping.deleted
    configured = apache_host.configured_object(server_root)
    if configured is None:
        return None
    path = os.path.realpath(configured[0])
    try:
        with open(path, "rb") as file:
            return path, file.read(), False, True
    except OSError:
        return path, None, False, False


def check_mod_wsgi(server_root: str) -> t.Iterator[Result]:
    name = "mod_wsgi_version"
    found = mod_wsgi_object(server_root)
    if found is None:
        yield Result(
            name,
            FAILED,
            "Neither a running Apache nor its configuration has mod_wsgi.",
            "Apache can run no Python.",
            "Run playbooks/site.yml for this host, or: apt install libapache2-mod-wsgi-py3 && "
            "a2enmod wsgi && systemctl restart apache2",
        )
        return
    path, content, running, exists = found
    version = apache_host.version_in_object(content) if content is not None else None
    package = _package_version(path) if exists else None
    yield from judge_mod_wsgi(path, version, package, running, exists)


def judge_mod_wsgi(
    path: str, version: str | None, package: str | None, running: bool, exists: bool
) -> t.Iterator[Result]:
    """Judge a version of mod_wsgi."""
    name = "mod_wsgi_version"
    upgrade = "Install another version: apt install --only-upgrade libapache2-mod-wsgi-py3"
    if not exists:
        yield Result(
            name,
            WARNING if running else FAILED,
            f"{path} has been replaced or removed{' since Apache started' if running else ''}.",
            "Apache runs the old one until it is restarted; after that it may be another version."
            if running
            else "Apache cannot start.",
            "Restart Apache: systemctl restart apache2"
            if running
            else "Install it again: apt install --reinstall libapache2-mod-wsgi-py3",
        )
    verdict = version_gate.judge(version or package)
    # The package's version names security fixes, if the package is of the same release.
    if package and (version is None or package.split(":")[-1].startswith(version)):
        verdict = version_gate.judge(package)
    if not verdict.accepted:
        yield Result(name, FAILED, verdict.message, "Trac does not work with it.", upgrade)
    for warning in verdict.warnings:
        yield Result(name, WARNING, warning, "Trac works, with that fault.", upgrade)
    if verdict.accepted and not verdict.warnings and exists:
        yield Result(name, OK, f"{verdict.message} ({path})")
