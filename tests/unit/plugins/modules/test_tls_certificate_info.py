# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the module says of certificates, and what it does not say of keys."""

from __future__ import annotations

import json
import typing as t

import pytest
from ansible.module_utils.testing import patch_module_args

from ansible_collections.trac.mod_wsgi.plugins.module_utils._site import tls as site_tls
from ansible_collections.trac.mod_wsgi.plugins.modules import tls_certificate_info
from ansible_collections.trac.mod_wsgi.tests.unit.plugins import certificates

GOOD = certificates.make("trac.example.org")
OTHER = certificates.make("old.example.org", last=certificates.NOW - certificates.DAY / 2)


def run(
    sites: list[dict[str, t.Any]], capsys: pytest.CaptureFixture[str]
) -> tuple[dict[str, t.Any], str]:
    """The module's result for what the role hands to it, and all of its words."""
    parameters = {"certificates": site_tls.certificates(sites, "/etc/ssl/trac")}
    with patch_module_args(parameters), pytest.raises(SystemExit):
        tls_certificate_info.main()
    text = capsys.readouterr().out
    return json.loads(text), text


def test_all_hosts_are_looked_at_and_no_key_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    sites = [
        {"name": "a", "server_name": "trac.example.org", "tls": pair(GOOD, GOOD)},
        {"name": "b", "tls": pair(OTHER, OTHER)},
        {"name": "c", "server_name": "c.example.org", "tls": pair(GOOD, OTHER)},
    ]
    result, text = run(sites, capsys)
    assert result["changed"] is False
    assert [problem.partition(":")[0] for problem in result["problems"]] == ["c.example.org"] * 2
    (warning,) = result["warnings_found"]
    assert warning.startswith("the default virtual host: tls.certificate has expired on")
    assert sorted(result["fingerprints"].values()) == sorted(
        [GOOD.fingerprint, OTHER.fingerprint, GOOD.fingerprint]
    )
    assert all(path.startswith("/etc/ssl/trac/") for path in result["fingerprints"])
    for line in (GOOD.key() + OTHER.key()).splitlines()[1:-1]:
        assert line not in text


def pair(certificate: certificates.Pair, key: certificates.Pair) -> dict[str, str]:
    return {"certificate": certificate.pem, "key": key.key()}
