# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks of the Python that runs Trac, made in it, as the service account.

Each asks the interpreter itself. What they need of it is passed in, so that they can be tested.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import sqlite3
import sys
import types
import typing as t

from ansible_collections.trac.mod_wsgi.plugins.module_utils._doctor import loading
from ansible_collections.trac.mod_wsgi.plugins.module_utils._doctor.registry import RUNTIME, check
from ansible_collections.trac.mod_wsgi.plugins.module_utils._doctor.result import (
    FAILED,
    OK,
    WARNING,
    Result,
)

Import = t.Callable[[str], types.ModuleType]
Version = t.Callable[[str], t.Optional[str]]

_VERSION: tuple[int, ...] = tuple(sys.version_info[:3])
_OLDEST, _TOO_NEW = (3, 9), (3, 14)


def installed(name: str) -> str | None:
    """The version of an installed package; None where it is not."""
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _pip(what: str) -> str:
    """How to install something into this virtual environment."""
    return f"{sys.prefix}/bin/python -m pip install {what}; then: systemctl restart apache2"


@check("python_version", "Trac runs on this version of Python", RUNTIME)
def python_version(
    version: tuple[int, ...] = _VERSION, sqlite: t.Any = sqlite3
) -> t.Iterator[Result]:
    name = "python_version"
    shown = ".".join(str(number) for number in version[:3])
    if version >= _TOO_NEW or not hasattr(sqlite, "version_info"):
        yield Result(
            name,
            FAILED,
            f"Python {shown}: sqlite3.version_info is gone."
            if not hasattr(sqlite, "version_info")
            else f"Python {shown} is too new.",
            "Trac 1.6 reads sqlite3.version_info: with Python 3.14 or later it cannot be imported.",
            "Make the virtual environment of a Python from 3.9 to 3.13 for which mod_wsgi is "
            "built, as Debian 11 to 13 have; the role trac_runtime does.",
        )
    elif version < _OLDEST:
        yield Result(
            name,
            WARNING,
            f"Python {shown} gets no security fixes any more.",
            "Trac runs, but the collection supports Python 3.9 to 3.13.",
            "Upgrade the distribution, and make the virtual environment anew.",
        )
    else:
        yield Result(name, OK, f"Python {shown} ({sys.prefix})")


@check("setuptools", "pkg_resources is there", RUNTIME)
def setuptools(
    load: Import = importlib.import_module, version: Version = installed
) -> t.Iterator[Result]:
    name = "setuptools"
    found = version("setuptools")
    try:
        load("pkg_resources")
    # A broken installation may raise any exception.
    except Exception as e:  # noqa: BLE001
        yield Result(
            name,
            FAILED,
            f"pkg_resources cannot be imported ({type(e).__name__}: {e}); "
            + (f"setuptools is {found}." if found else "setuptools is not installed."),
            "Trac finds its plugins, and itself, with pkg_resources, which setuptools has dropped "
            "with version 82: Trac cannot be imported.",
            _pip("'setuptools<81'"),
        )
    else:
        yield Result(name, OK, f"setuptools {found}")


@check("multipart", "The package multipart is the right one", RUNTIME)
def multipart(
    load: Import = importlib.import_module,
    version: Version = installed,
    python: tuple[int, ...] = _VERSION,
) -> t.Iterator[Result]:
    name = "multipart"
    right = "Forms with files (attachments) are read with the package multipart"
    try:
        module: t.Any = load("multipart")
    except ImportError:
        if python < (3, 13):
            yield Result(name, OK, "not installed; Python's own cgi does it")
            return
        yield Result(
            name,
            FAILED,
            "The package multipart is not installed.",
            f"{right}, because Python 3.13 has no cgi any more: Trac cannot be imported.",
            _pip("multipart"),
        )
        return
    if hasattr(module, "parse_form_data") and hasattr(module, "parse_options_header"):
        yield Result(name, OK, f"multipart {version('multipart') or '(version unknown)'}")
        return
    other = version("python-multipart")
    yield Result(
        name,
        FAILED,
        f"{getattr(module, '__file__', None) or 'multipart'} is another package of that name"
        + (f" (python-multipart {other})." if other else "."),
        f"{right}, not with python-multipart, which has the same name: attaching a file fails.",
        _pip("--force-reinstall multipart")
        + f" (before: {sys.prefix}/bin/python -m pip uninstall python-multipart, or remove "
        "Debian's python3-multipart from what the virtual environment sees)",
    )


@check("psycopg2", "The PostgreSQL driver shares its libraries with Apache", RUNTIME)
def psycopg2(version: Version = installed) -> t.Iterator[Result]:
    name = "psycopg2"
    binary = version("psycopg2-binary")
    if binary:
        yield Result(
            name,
            WARNING,
            f"psycopg2-binary {binary} is installed.",
            "It brings a libssl of its own, which can clash with Apache's and crash the daemon "
            "process ('Truncated or oversized response headers').",
            f"Take Debian's python3-psycopg2 (trac_runtime_bindings: [postgresql]): "
            f"{sys.prefix}/bin/python -m pip uninstall psycopg2-binary, run playbooks/site.yml, "
            "then: systemctl restart apache2",
        )
    else:
        found = version("psycopg2")
        yield Result(name, OK, f"psycopg2 {found}" if found else "no psycopg2-binary")


@check("trac_import", "Trac can be imported", RUNTIME)
def trac_import() -> t.Iterator[Result]:
    """Load Trac, which the checks of environments need."""
    try:
        version, messages = loading.load_trac()
    # Not only ImportError: an unfit Python or setuptools raises other exceptions, too.
    except Exception as e:  # noqa: BLE001
        yield cannot_import(f"{type(e).__name__}: {e}", sys.executable)
        return
    yield Result("trac_import", OK, f"Trac {version} ({sys.prefix})")
    yield from map(loading.plugin_result, messages)


def cannot_import(reason: str, python: str) -> Result:
    """The result when Trac cannot be imported."""
    return Result(
        "trac_import",
        FAILED,
        f"{python} cannot import Trac: {reason}",
        "Every page is answered with 500.",
        "If one of python_version, setuptools or multipart has failed, that is the cause. Else run "
        "playbooks/site.yml, which installs Trac and what it needs.",
    )


def killed(reason: str, python: str) -> Result:
    """The result when Trac's Python was killed before it could report anything."""
    return Result(
        "trac_import",
        FAILED,
        f"{python} was killed while it looked at Trac: {reason}",
        "Whether Trac can be imported could not be found out. Who kills is the kernel, when memory "
        "runs out, this check itself after trac_verify_timeout, or somebody else.",
        "See the check memory, and journalctl -k | grep -i 'killed process'; then ask again.",
    )
