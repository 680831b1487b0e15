# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is made of the output of real pips."""

from __future__ import annotations

import pytest

from ansible_collections.trac.mod_wsgi.plugins.plugin_utils._pip_failure import reason

REFUSED = """stdout: Looking in indexes: http://127.0.0.1:1/simple/

:stderr: WARNING: Retrying (Retry(total=0, connect=None, read=None, redirect=None)) after \
connection broken by 'NewConnectionError('<pip._vendor.urllib3.connection.HTTPConnection object at \
0x7fb74013a190>: Failed to establish a new connection: [Errno 111] Connection refused')': /simple/x/
ERROR: Could not find a version that satisfies the requirement fault-plugin==1.0
ERROR: No matching distribution found for fault-plugin==1.0
"""
SILENT = """stdout: Collecting fault-plugin==1.0
  Downloading http://127.0.0.1:8765/fault_plugin-1.0-py3-none-any.whl (100 kB)

:stderr: ERROR: Exception:
Traceback (most recent call last):
  File "/opt/trac/lib/python3.11/site-packages/pip/_vendor/urllib3/response.py", line 443, in x
    raise ReadTimeoutError(self._pool, None, "Read timed out.")
pip._vendor.urllib3.exceptions.ReadTimeoutError: HTTPConnectionPool(host='127.0.0.1', port=8765): \
Read timed out.
"""
UNKNOWN = """stdout: Looking in indexes: http://index/simple

:stderr: ERROR: Could not find a version that satisfies the requirement Trac==1.99
ERROR: No matching distribution found for Trac==1.99

[notice] A new release of pip is available: 23.0.1 -> 26.1
"""
FULL = """stdout: Installing collected packages: Trac

:stderr: ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device

"""


@pytest.mark.parametrize(
    ("output", "words"),
    [
        (
            REFUSED,
            "the package index http://index did not answer, or broke off. Its last word: No ",
        ),
        (
            SILENT,
            "the package index http://index did not answer, or broke off. Its last word: pip._",
        ),
        (UNKNOWN, "into /opt/trac: No matching distribution found for Trac==1.99."),
        (FULL, "that of /opt/trac or of /tmp (see df). Its last word: Could not install packages"),
        ("", "it does not say why"),
        ("something else", "into /opt/trac: something else."),
    ],
)
def test_the_reason_is_found(output: str, words: str) -> None:
    found = reason(output, "/opt/trac", "http://index")
    assert words in found
    assert "\n" not in found


def test_without_an_index_in_the_inventory_the_hosts_own_counts() -> None:
    words = "the package index that pip is configured for did not answer"
    assert words in reason(REFUSED, "/opt/trac")


def test_a_password_of_the_index_is_not_shown() -> None:
    found = reason(REFUSED, "/opt/trac", "https://anna:pass-word@index/simple")
    assert "https://anna:********@index/simple" in found
    assert "pass-word" not in found
