# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the doctor makes of the Python that is to run Trac."""

from __future__ import annotations

import types
import typing as t

import pytest

from ansible_collections.trac.mod_wsgi.plugins.module_utils._doctor import runtime as doctor_runtime

SQLITE = types.SimpleNamespace(version_info=(2, 6, 0))
RIGHT = types.SimpleNamespace(parse_form_data=1, parse_options_header=1)
# What python-multipart has.
WRONG = types.SimpleNamespace(FormParser=1, parse_options_header=1, __file__="/x/multipart.py")


def loader(module: t.Any) -> doctor_runtime.Import:
    def load(_name: str) -> t.Any:
        if isinstance(module, Exception):
            raise module
        return module

    return load


def versions(**known: str) -> doctor_runtime.Version:
    return lambda name: known.get(name.replace("-", "_"))


@pytest.mark.parametrize(
    ("version", "sqlite", "status", "words"),
    [
        ((3, 8, 10), SQLITE, "warning", "3.8.10 gets no security fixes"),
        ((3, 9, 2), SQLITE, "ok", "3.9.2"),
        ((3, 13, 5), SQLITE, "ok", "3.13.5"),
        ((3, 14, 0), SQLITE, "failed", "3.14.0 is too new"),
        ((3, 14, 0), object(), "failed", "sqlite3.version_info is gone"),
        ((3, 13, 5), object(), "failed", "sqlite3.version_info is gone"),
    ],
)
def test_versions_of_python(
    version: tuple[int, ...], sqlite: t.Any, status: str, words: str
) -> None:
    (result,) = doctor_runtime.python_version(version, sqlite)
    assert result.status == status
    assert words in result.seen


@pytest.mark.parametrize(
    ("module", "known", "status", "words"),
    [
        (RIGHT, {"setuptools": "80.9.0"}, "ok", "80.9.0"),
        (ImportError("gone"), {"setuptools": "82.0.0"}, "failed", "setuptools is 82.0.0"),
        (ImportError("gone"), {}, "failed", "setuptools is not installed"),
        (AttributeError("x"), {"setuptools": "60"}, "failed", "AttributeError: x"),
    ],
)
def test_setuptools(module: t.Any, known: dict[str, str], status: str, words: str) -> None:
    (result,) = doctor_runtime.setuptools(loader(module), versions(**known))
    assert result.status == status
    assert words in result.seen
    assert (status == "ok") or "pip install 'setuptools<81'" in result.advice


@pytest.mark.parametrize(
    ("module", "python", "known", "status", "words"),
    [
        (ImportError(), (3, 11), {}, "ok", "cgi"),
        (ImportError(), (3, 13), {}, "failed", "not installed"),
        (RIGHT, (3, 13), {"multipart": "1.2.1"}, "ok", "multipart 1.2.1"),
        (WRONG, (3, 13), {"python_multipart": "0.0.20"}, "failed", "(python-multipart 0.0.20)"),
        (WRONG, (3, 11), {}, "failed", "/x/multipart.py is another package"),
    ],
)
def test_multipart(
    module: t.Any, python: tuple[int, ...], known: dict[str, str], status: str, words: str
) -> None:
    (result,) = doctor_runtime.multipart(loader(module), versions(**known), python)
    assert result.status == status
    assert words in result.seen
    assert (status == "ok") == (not result.advice)


@pytest.mark.parametrize(
    ("known", "status", "words"),
    [
        ({"psycopg2_binary": "2.9.9"}, "warning", "psycopg2-binary 2.9.9"),
        ({"psycopg2": "2.9.9"}, "ok", "psycopg2 2.9.9"),
        ({}, "ok", "no psycopg2-binary"),
    ],
)
def test_psycopg2(known: dict[str, str], status: str, words: str) -> None:
    (result,) = doctor_runtime.psycopg2(versions(**known))
    assert result.status == status
    assert words in result.seen
