# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which certificates a host is asked about."""

from __future__ import annotations

import types
import typing as t

import pytest
from ansible.plugins.action import ActionBase

from ansible_collections.trac.mod_wsgi.plugins.action import site_certificates

FILES = {"certificate_file": "/etc/ssl/a.crt", "key_file": "/etc/ssl/a.key"}
ACME = {"acme": {"contact": "a@example.org", "accept_terms": True}}


@pytest.mark.parametrize(
    ("tls", "asked"), [(None, False), (ACME, False), (FILES, True)], ids=["none", "acme", "files"]
)
def test_a_host_is_asked_where_there_is_something_to_look_at(
    monkeypatch: pytest.MonkeyPatch, tls: dict[str, t.Any] | None, asked: bool
) -> None:
    plugin = site_certificates.ActionModule.__new__(site_certificates.ActionModule)
    calls: list[dict[str, t.Any]] = []

    def module(module_args: dict[str, t.Any], **_more: object) -> dict[str, t.Any]:
        calls.append(module_args)
        return {"problems": ["it has expired"]}

    plugin._execute_module = module
    site = {"name": "a", "server_name": "A.example.org", "tls": tls}
    plugin._task = types.SimpleNamespace(args={"sites": [site], "directory": "/etc/ssl/trac"})
    monkeypatch.setattr(ActionBase, "run", lambda *dummy: {})
    result = plugin.run(task_vars={})
    assert result["problems"] == (["it has expired"] if asked else [])
    assert [call["certificates"][0]["certificate_file"] for call in calls] == (
        ["/etc/ssl/a.crt"] if asked else []
    )
