# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Look, as the service account, at files that a trac.ini inherits from."""

from __future__ import annotations

import json
import typing as t

from ansible_collections.trac.mod_wsgi.plugins.module_utils._core import regular_file
from ansible_collections.trac.mod_wsgi.plugins.module_utils._trac import ini_edit, ini_text

WELL = "ok"


def verdict(path: str) -> str:
    """`ok`, also for a file that is not there, or why Trac could not read it."""
    try:
        ini_edit.parse(ini_text.decode(regular_file.read(path, follow=True)).text)
    except FileNotFoundError:
        return WELL
    except OSError as e:
        return f"{path} cannot be read: {e.strerror}"
    except ini_edit.IniError as e:
        return ini_text.sentence(path, e)
    return WELL


def serve(payload: t.Mapping[str, t.Any], output: t.TextIO) -> None:
    """Look at each file; writes one JSON document a line."""
    for path in payload["files"]:
        event = {"event": "verdict", "path": path, "verdict": verdict(path)}
        output.write(json.dumps(event) + "\n")
    output.write(json.dumps({"event": "end"}) + "\n")
    output.flush()
