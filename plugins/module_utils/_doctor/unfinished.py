# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks of what runs of playbooks have left unfinished."""

from __future__ import annotations

import glob
import json
import os
import typing as t

from ansible_collections.trac.mod_wsgi.plugins.module_utils._doctor import system as doctor_system
from ansible_collections.trac.mod_wsgi.plugins.module_utils._doctor.host import Host
from ansible_collections.trac.mod_wsgi.plugins.module_utils._doctor.registry import HOST, check
from ansible_collections.trac.mod_wsgi.plugins.module_utils._doctor.result import (
    FAILED,
    OK,
    Result,
)
from ansible_collections.trac.mod_wsgi.plugins.module_utils._site import (
    out_of_service as site_out_of_service,
)


@check("transaction", "No run was broken off", HOST)
def transaction(host: Host) -> t.Iterator[Result]:
    return check_transactions(host.state_directory)


def check_transactions(directory: str) -> t.Iterator[Result]:
    """Journals of the module apache_transaction, which have a key 'before'."""
    name = "transaction"
    found = []
    for path in sorted(glob.glob(os.path.join(directory, "*.json"))):
        try:
            with open(path, encoding="utf-8") as file:
                document = json.load(file)
        except (OSError, ValueError):
            document = None
        if isinstance(document, dict) and "before" in document:
            found.append((path, sorted(document["before"] or {})))
    for path, paths in found:
        yield Result(
            name,
            FAILED,
            f"{path} holds what stood before a change of {', '.join(paths)}.",
            "A run has changed Apache's configuration and was broken off before it had seen the "
            "sites answer (or it is still at work).",
            "Run playbooks/site.yml again: it takes the change up, looks at the sites, and goes "
            "back if they do not answer.",
        )
    if not found:
        yield Result(name, OK, "no journal of one")


@check("out_of_service", "No project is out of service", HOST)
def out_of_service(host: Host) -> t.Iterator[Result]:
    return check_out_of_service(host.params["out_of_service"])


def check_out_of_service(path: str) -> t.Iterator[Result]:
    """Projects that role trac_site has taken out of service, with its reasons."""
    name = "out_of_service"
    reasons = site_out_of_service.read(doctor_system.text_of(path))
    for environment, why in sorted(reasons.items()):
        yield Result(
            name,
            FAILED,
            why,
            "Visitors get a page which says that the project is being looked after.",
            "Set right what is named here, and run playbooks/site.yml: it serves the project again "
            "when all is well with it.",
            f"environment {environment}",
        )
    if not reasons:
        yield Result(name, OK, "all of them are served")
