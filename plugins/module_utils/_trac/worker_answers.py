# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How a worker answers: events, a JSON document on each line. It runs under Trac's Python."""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
import typing as t

from ansible_collections.trac.mod_wsgi.plugins.module_utils._core import processes
from ansible_collections.trac.mod_wsgi.plugins.module_utils._core.held_directory import (
    Busy,
    abandoned,
    held_directory,
    pattern_of,
)
from ansible_collections.trac.mod_wsgi.plugins.module_utils._trac import opening


def say(output: t.TextIO, event: t.Mapping[str, t.Any]) -> None:
    """Send one event."""
    output.write(json.dumps(event) + "\n")
    output.flush()


@contextlib.contextmanager
def answering(work: str, output: t.TextIO, directory: str) -> t.Iterator[str]:
    """A temporary directory for plugins' files, for as long as the work takes.

    What stops all of it becomes the event `failed`. When the reader is gone the process ends.

    :param work: for the name of the directory
    :param directory: where the environments are, for the words
    """
    parent, prefix = tempfile.gettempdir(), f"trac-{work}-"
    abandoned(parent, pattern_of(prefix))
    with held_directory(parent, prefix) as scratch:
        os.environ["PYTHON_EGG_CACHE"] = os.environ["HOME"] = scratch
        try:
            yield scratch
        except (BrokenPipeError, processes.ReaderGone):
            raise SystemExit(1) from None
        except (Busy, OSError) as e:
            reason = str(e) if isinstance(e, Busy) else opening.reason(e, directory)
            say(output, {"event": "failed", "reason": reason})
