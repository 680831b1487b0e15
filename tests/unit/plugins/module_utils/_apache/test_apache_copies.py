# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Copies of the role's virtual hosts: found, and named by the run and by the doctor alike."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.trac.mod_wsgi.plugins.module_utils._apache import (
    transaction as apache_transaction,
)
from ansible_collections.trac.mod_wsgi.plugins.module_utils._apache import virtual_host_copies
from ansible_collections.trac.mod_wsgi.plugins.module_utils._doctor import apache as doctor_apache

if t.TYPE_CHECKING:
    import pathlib

OWN = """\
<VirtualHost *:80>
    ServerName trac.example.org
    WSGIDaemonProcess trac-trac user=trac processes=2
    WSGIScriptAlias "/hello-world" "/srv/trac/hello-world/hello.wsgi"
    WSGIScriptAlias "/trac" "/srv/trac/sites/trac/trac.wsgi" process-group=trac-trac
</VirtualHost>
"""
CERTBOT = (
    "<IfModule mod_ssl.c>\n"
    + OWN.replace("*:80", "*:443").replace("</V", "SSLCertificateFile /etc/letsencrypt/x.pem\n</V")
    + "</IfModule>\n"
)
HELLO = """\
WSGIDaemonProcess trac-hello
WSGIScriptAlias "/hello-world" "/srv/trac/hello-world/hello.wsgi"
"""
OTHER = OWN.replace("trac-trac", "wiki").replace("/srv/trac/", "/srv/other/")
# Refuses the second process group of a name, as mod_wsgi does.
APACHE = """#!/bin/sh
cd "$3"
if [ "$(cat sites-enabled/*.conf | grep -c '^ *WSGIDaemonProcess trac-trac')" -gt 1 ]; then
  echo "Syntax error on line 3 of $3/sites-enabled/trac.conf:"
  echo "Name duplicates previous WSGI daemon definition."
  exit 1
fi
"""


class Host(t.NamedTuple):
    config: pathlib.Path
    apache: str

    def has(self, **sites: str) -> None:
        """Enable more sites."""
        for name, text in sites.items():
            path = self.config / "sites-available" / f"{name}.conf"
            path.write_text(text)
            (self.config / "sites-enabled" / path.name).symlink_to(
                f"../sites-available/{path.name}"
            )


@pytest.fixture
def host(tmp_path: pathlib.Path) -> Host:
    config = tmp_path / "apache2"
    for name in ("sites-available", "sites-enabled"):
        (config / name).mkdir(parents=True)
    (config / "apache2.conf").write_text(f"{HELLO}IncludeOptional sites-enabled/*.conf\n")
    (config / "sites-available" / "000-trac.conf").write_text(OWN)
    (config / "sites-enabled" / "trac.conf").symlink_to("../sites-available/000-trac.conf")
    program = tmp_path / "apache2-program"
    program.write_text(APACHE)
    program.chmod(0o755)
    return Host(config, str(program))


def test_a_copy_is_told_from_what_only_looks_like_one(host: Host) -> None:
    host.has(other=OTHER, zz_hello=HELLO)
    assert virtual_host_copies.files(str(host.config)) == []
    assert virtual_host_copies.advice(str(host.config)) == ""
    host.has(**{"000-trac-le-ssl": CERTBOT})
    copy = str(host.config / "sites-enabled" / "000-trac-le-ssl.conf")
    assert virtual_host_copies.files(str(host.config)) == [copy]
    # Not enabled, it does no harm.
    (host.config / "sites-enabled" / "000-trac-le-ssl.conf").unlink()
    assert virtual_host_copies.files(str(host.config)) == []


def test_the_run_and_the_doctor_name_the_copy(host: Host) -> None:
    host.has(**{"000-trac-le-ssl": CERTBOT})
    own = str(host.config / "sites-available" / "000-trac.conf")
    entry = apache_transaction.Entry.file(OWN.replace("processes=2", "processes=3").encode(), 0o644)
    with pytest.raises(apache_transaction.TransactionError) as caught:
        apache_transaction.check_candidate({own: entry}, str(host.config), host.apache)
    (result,) = doctor_apache.check_configuration(str(host.config), host.apache)
    assert result.status == "failed"
    for words in (str(caught.value), result.advice):
        assert f"{host.config}/sites-enabled/000-trac-le-ssl.conf: a copy of virtual hosts" in words
        assert "a2dissite 000-trac-le-ssl. " in words
        assert "certificate_file" in words


def test_a_copy_that_apache_takes_is_a_warning(host: Host) -> None:
    # People take out the line that Apache refuses.
    lines = [line for line in CERTBOT.splitlines(keepends=True) if "WSGIDaemon" not in line]
    host.has(**{"000-trac-le-ssl": "".join(lines)})
    (result,) = doctor_apache.check_configuration(str(host.config), host.apache)
    assert result.status == "warning"
    assert "a2dissite 000-trac-le-ssl" in result.advice
    host.has(other=OTHER)
    (host.config / "sites-enabled" / "000-trac-le-ssl.conf").unlink()
    (result,) = doctor_apache.check_configuration(str(host.config), host.apache)
    assert result.status == "ok"
