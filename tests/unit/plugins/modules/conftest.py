# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fixtures for the tests of the reconciler."""

from __future__ import annotations

import pathlib
import shutil

import pytest

from ansible_collections.trac.mod_wsgi.tests.unit.plugins.modules.reconciled import (
    PROJECT,
    Host,
    Module,
)


@pytest.fixture
def host(tmp_path: pathlib.Path) -> Host:
    """Room for environments."""
    pytest.importorskip("trac.env")
    directory = tmp_path / "environments"
    directory.mkdir()
    return Host(directory)


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """A directory with one environment, to be copied."""
    pytest.importorskip("trac.env")
    directory = tmp_path_factory.mktemp("made") / "environments"
    directory.mkdir()
    assert Host(directory).one(PROJECT)["failure"] is None
    return directory


@pytest.fixture
def created(host: Host, made: pathlib.Path) -> Host:
    """One environment."""
    shutil.copytree(made, host.directory, dirs_exist_ok=True)
    return host


@pytest.fixture
def module(host: Host, capsys: pytest.CaptureFixture[str]) -> Module:
    """The module, run in this process."""
    return Module(host, capsys)
