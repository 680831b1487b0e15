# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pipes in the place of files: whoever reads one waits until somebody writes into it."""

from __future__ import annotations

import contextlib
import os
import pathlib
import threading
import typing as t

PATIENCE = 15.0  # seconds


@contextlib.contextmanager
def pipe_at(path: pathlib.Path) -> t.Iterator[None]:
    """A pipe where a file has been; fails when it is waited for."""
    with contextlib.suppress(FileNotFoundError):
        path.unlink()
    os.mkfifo(path)
    done = threading.Event()
    waited = []

    def free() -> None:
        if not done.wait(PATIENCE):
            waited.append(path)
        while not done.wait(0.1):  # whoever waits reads an end, or has a reader
            os.close(os.open(path, os.O_RDWR | os.O_NONBLOCK))

    thread = threading.Thread(target=free, daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
    assert not waited, f"{path} was waited for"
