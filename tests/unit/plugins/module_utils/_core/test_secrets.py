# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Secrets are masked by name and by place, and what is no secret stays readable."""

from __future__ import annotations

import pytest

from ansible_collections.trac.mod_wsgi.plugins.module_utils._core import secrets


@pytest.mark.parametrize(
    ("option", "value", "shown"),
    [
        ("smtp_password", "hunter2", "********"),
        ("SMTP_PassWd", "hunter2", "********"),
        ("client_secret", "x", "********"),
        ("akismet_api_key", "x", "********"),
        ("access_token", "x", "********"),
        ("smtp_password", "", ""),
        ("smtp_pass", "hunter2", "********"),
        ("ldap.bind_pw", "hunter2", "********"),
        ("bindpw", "hunter2", "********"),
        ("DbPwd", "hunter2", "********"),
        ("pass", "hunter2", "********"),
        ("bypass", "hunter2", "hunter2"),
        ("compass", "north", "north"),
        ("acct_mgr.htfile.HtPasswdStore", "enabled", "enabled"),
        ("reset_password", " True", " True"),
        ("password_store", "none", "none"),
        ("password_store", "HtPasswdStore, SessionStore", "HtPasswdStore, SessionStore"),
        ("htpasswd_file", "conf/trac.htpasswd", "conf/trac.htpasswd"),
        ("generated_password_length", "12", "12"),
        (
            "repository",
            "rest:https://anna:p@ss-word@example.com:8000/trac",
            "rest:https://anna:********@example.com:8000/trac",
        ),
        ("repository", "rest:http://:p4ss@example.com/", "rest:http://:********@example.com/"),
        (
            "repository",
            "sftp:backup@example.com:/srv/restic",
            "sftp:backup@example.com:/srv/restic",
        ),
        ("url", "https://x/?user=a&smtp_pw=s3cret&b=c", "https://x/?user=a&smtp_pw=********&b=c"),
        ("url", "https://x/?auth_token=s3cret", "https://x/?auth_token=********"),
        ("database", "sqlite:db/trac.db", "sqlite:db/trac.db"),
        ("database", "postgres://trac@/db?host=/run", "postgres://trac@/db?host=/run"),
        ("database", "postgres://trac:p%40ss@db/x", "postgres://trac:********@db/x"),
        ("database", "postgres://trac:p@s/s@db/x", "postgres://trac:********@db/x"),
        ("database", "mysql://trac:s@db/x?read=y", "mysql://trac:********@db/x?read=y"),
        ("database", "postgres://db/x?password=s&a=b", "postgres://db/x?password=********&a=b"),
        ("url", "https://example.com/a:b@c", "https://example.com/a:b@c"),
        ("name", "Keys & locks", "Keys & locks"),
        ("log_type", "file", "file"),
    ],
)
def test_shown(option: str, value: str, shown: str) -> None:
    assert secrets.shown(option, value) == shown


def test_messages_of_others_lose_the_secrets_that_are_known() -> None:
    redactor = secrets.Redactor()
    redactor.learn("database", "postgres://trac:p%40ss%2Fword@db/x")
    redactor.learn("smtp_password", "hunter2")
    redactor.learn("name", "connection")
    message = "connection failed: p@ss/word, p%40ss%2Fword, hunter2, mysql://u:new@h/x"
    assert (
        redactor.redact(message)
        == "connection failed: ********, ********, ********, mysql://u:********@h/x"
    )


@pytest.mark.parametrize("section", ["components", "Components"])
@pytest.mark.parametrize("value", ["enabled", "disabled", "on # since 2009"])
def test_nothing_among_the_components_is_a_secret(section: str, value: str) -> None:
    option = "acct_mgr.htfile.HtPasswdStore"
    assert secrets.shown(option, value, section) == value
    assert secrets.secrets_in(option, value, section) == []
    redactor = secrets.Redactor()
    redactor.learn(option, value, section)
    assert redactor.secrets == set()
    assert secrets.shown(option, "hunter2", "account-manager") == "********"


@pytest.mark.parametrize("value", ["trac", "Admin", "password", "12345", "abc"])
def test_common_words_are_masked_in_their_places_only(value: str) -> None:
    """Else "/srv/trac/environments" would lose a word, and tell the password by that."""
    redactor = secrets.Redactor()
    redactor.learn("smtp_password", value)
    redactor.learn("database", f"postgres://trac:{value}@db/x")
    text = f"/srv/{value}/environments, postgres://trac:{value}@db/x"
    assert redactor.redact(text) == f"/srv/{value}/environments, postgres://trac:********@db/x"
    assert secrets.shown("smtp_password", value) == "********"
    assert secrets.secrets_in("smtp_password", value) == [value]


def test_switches_are_no_secrets() -> None:
    """Else each "enabled" in a message would be masked."""
    redactor = secrets.Redactor()
    for value in ("enabled", "true", "None"):
        redactor.learn("acct_mgr.htfile.HtPasswdStore", value)
    assert redactor.redact("true, None, is enabled") == "true, None, is enabled"
