# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks of an environment's plugins and repositories. A run of site.yml warns of the same."""

from __future__ import annotations

import typing as t

from ansible_collections.trac.mod_wsgi.plugins.module_utils._doctor import loading
from ansible_collections.trac.mod_wsgi.plugins.module_utils._doctor.opened import OpenedEnvironment
from ansible_collections.trac.mod_wsgi.plugins.module_utils._doctor.registry import TRAC, check
from ansible_collections.trac.mod_wsgi.plugins.module_utils._doctor.result import (
    OK,
    WARNING,
    Result,
)


@check("plugins", "All plugins load", TRAC)
def plugins(opened: OpenedEnvironment) -> t.Iterator[Result]:
    for message in opened.failed_plugins:
        shared = loading.is_shared(message, opened.environment.shared_plugins_dir)
        yield loading.plugin_result(message, "" if shared else opened.subject)
    means = "Something that was there once, or is meant to be, is missing or will fail."
    warnings = _warnings(opened, "plugins", means)
    yield from warnings
    if not opened.failed_plugins and not warnings:
        yield opened.result("plugins", OK, "all load")


@check("repositories", "The repositories are there, and can be read", TRAC)
def repositories(opened: OpenedEnvironment) -> list[Result]:
    means = "Trac shows less of its repositories than it is meant to, or an error."
    warnings = _warnings(opened, "repositories", means)
    return warnings or [opened.result("repositories", OK, "all can be read")]


def _warnings(opened: OpenedEnvironment, check_name: str, means: str) -> list[Result]:
    return [
        opened.result(check_name, WARNING, f"{each.seen}.", means, each.remedy)
        for each in opened.findings
        if each.check == check_name
    ]
