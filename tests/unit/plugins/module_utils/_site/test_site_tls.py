# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The key tls of a site: what is refused, and what Apache gets."""

from __future__ import annotations

import json
import pathlib
import re
import typing as t

import jinja2
import pytest

from ansible_collections.trac.mod_wsgi.plugins.module_utils._apache import apache_configuration
from ansible_collections.trac.mod_wsgi.plugins.module_utils._site import plan as site_plan
from ansible_collections.trac.mod_wsgi.plugins.module_utils._site import tls as site_tls
from ansible_collections.trac.mod_wsgi.plugins.plugin_utils import _hardening, _inventory
from ansible_collections.trac.mod_wsgi.tests.unit.plugins import certificates
from ansible_collections.trac.mod_wsgi.tests.unit.plugins.site_settings import (
    SETTINGS,
    planned,
)

PAIR = certificates.make("trac.example.org")
FILES = {"certificate_file": "/etc/ssl/trac.pem", "key_file": "/etc/ssl/private/trac.key"}
TEXT = {"certificate": PAIR.pem, "key": PAIR.key()}
HARDENING = {"headers": {}, "rate_limits": {}, "robots": True, "defaults": {}, "found": {}}
ACME = {"acme": {"contact": "anna@example.org", "accept_terms": True}}


def site(tls: object, **keys: t.Any) -> dict[str, t.Any]:
    return {"name": "trac", "server_name": "trac.example.org", "tls": tls, **keys}


# -- what is refused -------------------------------------------------------------------------


@pytest.mark.parametrize(
    "sites",
    [
        [site(None)],
        [site(FILES)],
        [site({**TEXT, "hsts": 0, "redirect": False})],
        [site({**ACME})],
        [
            site(
                {"acme": {**ACME["acme"], "directory_url": "https://ca:14000/dir", "ca_file": "/a"}}
            )
        ],
        [site(FILES), site({**FILES, "redirect": True, "key": None}, name="b", mount="/b")],
        [site(FILES), site(None, name="b", server_name="b.example.org")],
        [site(FILES, server_name="")],
    ],
)
def test_what_works(sites: object) -> None:
    assert _inventory.site_problems(sites, []) == []


@pytest.mark.parametrize(
    ("tls", "words"),
    [
        ({}, ["trac_sites[0].tls has no certificate", "certificate_file and key_file", "acme"]),
        ({**FILES, **ACME}, ["certificate_file and key_file and acme", "has to have one of"]),
        ({**TEXT, **FILES}, ["has to have one of"]),
        ({"certificate_file": "/a"}, ["trac_sites[0].tls.key_file is missing"]),
        ({"key": TEXT["key"]}, ["trac_sites[0].tls.certificate is missing"]),
        ({**FILES, "key_file": "trac.key"}, ["tls.key_file is 'trac.key'", "absolute paths"]),
        ({**FILES, "certificate_file": '/a"b'}, ["tls.certificate_file", "absolute paths"]),
        ({**FILES, "certificate_file": "/a/../b"}, ["tls.certificate_file", "absolute paths"]),
        ({**TEXT, "certificate": "x"}, ["tls.certificate is no text in PEM format"]),
        ({**TEXT, "key": TEXT["certificate"]}, ["tls.key is no text in PEM format"]),
        ({**TEXT, "key": PAIR.key("secret")}, ["tls.key has a passphrase"]),
        ({**FILES, "hsts": -1}, ["tls.hsts is -1", "0 (none) to 315360000 seconds"]),
        ({**FILES, "hsts": "long"}, ["trac_sites[0]", "hsts", "whole number"]),
        ({**FILES, "redirects": True}, ["trac_sites[0]", "redirects"]),
        ("hsts=5", ["trac_sites[0].tls is text", "dictionary"]),
        ({"acme": "contact=a@b accept_terms=true"}, ["trac_sites[0].tls.acme", "dictionary"]),
        ({"acme": {"accept_terms": True}}, ["trac_sites[0]", "contact"]),
        ({"acme": {"contact": "anna", "accept_terms": True}}, ["acme.contact is 'anna'"]),
        ({"acme": {**ACME["acme"], "accept_terms": False}}, ["accept_terms has to be true"]),
        ({"acme": {**ACME["acme"], "directory_url": "http://ca"}}, ["directory_url", "https URLs"]),
        ({"acme": {**ACME["acme"], "ca_file": "ca.pem"}}, ["acme.ca_file is 'ca.pem'"]),
    ],
)
def test_what_does_not_is_said(tls: object, words: list[str]) -> None:
    (problem,) = _inventory.site_problems([site(tls)], [])
    for word in words:
        assert word in problem
    for secret in PAIR.key().splitlines()[1:-1]:
        assert secret not in problem


def test_acme_needs_a_name() -> None:
    (problem,) = _inventory.site_problems([site(ACME, server_name="")], [])
    assert "trac_sites[0].tls.acme needs the server_name" in problem


@pytest.mark.parametrize(
    ("other", "words"),
    [
        (None, "certificate, hsts, key, redirect"),
        ({**TEXT, "hsts": 5}, "hsts"),
        ({**TEXT, "key": certificates.make("x").key()}, "key"),
    ],
)
def test_sites_of_a_virtual_host_agree(other: object, words: str) -> None:
    sites = [site(TEXT), site(other, name="b", mount="/b", server_name="Trac.example.org")]
    (problem,) = _inventory.site_problems(sites, [])
    assert problem.startswith(f"trac_sites[1].tls and trac_sites[0].tls differ in {words}; all")
    assert PAIR.key().splitlines()[1] not in problem


# -- what Apache gets ------------------------------------------------------------------------


def plan(*sites: dict[str, t.Any], **settings: t.Any) -> dict[str, t.Any]:
    environments = [{"name": "one", "title": "One"}]
    return planned(sites, environments, {**SETTINGS, **settings})


def test_no_key_is_in_the_plan() -> None:
    text = json.dumps(plan(site(TEXT)))
    for secret in (TEXT["key"], TEXT["certificate"]):
        for line in secret.splitlines()[1:-1]:
            assert line not in text


def test_text_is_written_to_files_named_by_what_is_in_them() -> None:
    (one,) = site_tls.certificates([site(TEXT)], "/etc/ssl/trac")
    (again,) = site_tls.certificates([site({k: f"\n{v}\n\n" for k, v in TEXT.items()})], "/x")
    (other,) = site_tls.certificates([site({**TEXT, "key": "another"})], "/etc/ssl/trac")
    name = re.compile(r"/etc/ssl/trac/trac\.example\.org-([0-9a-f]{16})\.(crt|key)")
    assert name.fullmatch(one["certificate_file"])
    assert name.fullmatch(one["key_file"])
    assert again["key_file"].rpartition("/")[2] == one["key_file"].rpartition("/")[2]
    assert other["key_file"] != one["key_file"]
    assert plan(site(TEXT))["tls"]["written"] == [one["certificate_file"], one["key_file"]]
    assert (again["certificate"], again["key"]) == (TEXT["certificate"], TEXT["key"])


def test_the_certificates_of_all_virtual_hosts() -> None:
    found = site_tls.certificates(
        [
            site(FILES, server_name=""),
            site(TEXT, name="b", server_aliases=["b"]),
            site(TEXT, name="c", mount="/c", server_aliases=["C", "B"]),
            site(ACME, name="d", server_name="d.example.org"),
            site(None, name="e", server_name="e.example.org"),
        ],
        "/etc/ssl/trac",
    )
    assert [item["name"] for item in found] == ["the default virtual host", "trac.example.org"]
    assert [item["names"] for item in found] == [[], ["trac.example.org"]]
    assert found[0]["certificate_file"] == FILES["certificate_file"]
    assert found[0]["certificate"] is None
    assert found[1]["aliases"] == ["b", "c"]


def test_urls_and_checks_are_over_tls() -> None:
    found = plan(
        site(FILES, mount="/", environment="one"), fingerprints={FILES["certificate_file"]: "f"}
    )
    assert found["urls"] == {"trac": ["https://trac.example.org/"]}
    pages = [check for check in found["checks"] if not check["name"].startswith("redirect")]
    assert pages
    assert all(check["url"].startswith("https://127.0.0.1/") for check in pages)
    (redirect,) = [check for check in found["checks"] if check["name"].startswith("redirect")]
    assert redirect["url"] == "http://127.0.0.1/?a=%2Fb"
    assert (redirect["status"], redirect["location"]) == (
        [308],
        "https://trac.example.org/?a=%2Fb",
    )
    (shown,) = found["certificate_checks"]
    assert (shown["host"], shown["certificate"]) == ("trac.example.org", "f")


def test_other_ports_are_in_the_urls() -> None:
    ports = {"tls_port": "8443", "tls_base_url": "https://127.0.0.1:8443"}
    found = plan(site(FILES, server_name="", mount="/t"), **ports)
    assert found["urls"]["trac"][0] == "https://localhost:8443/t/"
    (redirect,) = [check for check in found["checks"] if check["name"].startswith("redirect")]
    assert redirect["location"] == "https://127.0.0.1:8443/t?a=%2Fb"


def test_pages_may_have_to_wait_for_acme() -> None:
    found = plan(site(ACME))
    assert found["certificate_checks"] == []
    for check in found["checks"]:
        assert check.get("managed_certificate", False) == check["url"].startswith("https")


@pytest.mark.parametrize(
    ("tls", "modules"),
    [
        (None, []),
        ({**FILES, "redirect": False}, ["ssl", "headers", "http2"]),
        (FILES, ["ssl", "headers", "http2", "rewrite"]),
        (ACME, ["ssl", "headers", "http2", "rewrite", "md"]),
    ],
)
def test_only_the_modules_that_are_needed(tls: object, modules: list[str]) -> None:
    assert plan(site(tls))["tls"]["modules"] == modules


class Rendered:
    """The role's template as Apache's configuration, read by the doctor's means."""

    def __init__(self, directory: pathlib.Path) -> None:
        self.directory = directory
        templates = pathlib.Path(__file__).parents[5] / "roles" / "trac_site" / "templates"
        self.environment = jinja2.Environment(
            loader=jinja2.FileSystemLoader(templates),
            trim_blocks=True,
            undefined=jinja2.StrictUndefined,
            autoescape=False,
        )
        self.environment.filters.update(
            {
                "trac.mod_wsgi.apache_argument": site_plan.apache_argument,
                "regex_escape": re.escape,
                "ternary": lambda value, yes, no: yes if value else no,
            }
        )

    def __call__(self, found: dict[str, t.Any], name: str = "000-trac.conf.j2") -> str:
        return self.environment.get_template(name).render(
            __trac_site_plan={
                **found,
                "hardening": _hardening.site_hardening(found["sites"], [], HARDENING),
                "existing_paths": [],
            },
            __trac_site_gate="/srv/trac/sites/.closed",
            __trac_site_gate_header="X-Trac-Upgrade",
            __trac_site_hello_world_script="/srv/trac/hello-world/hello.wsgi",
            __trac_site_ciphers=["A", "B"],
            __trac_site_md_store="/var/lib/apache2/md",
            trac_site_document_root="/var/www/html",
            trac_site_hello_world_path="/hello-world",
            trac_site_user="trac",
            trac_site_group="trac",
            trac_site_venv="/opt/trac",
            trac_site_home="/srv/trac",
        )

    def read(self, text: str) -> apache_configuration.Configuration:
        (self.directory / "apache2.conf").write_text(text, encoding="utf-8")
        return apache_configuration.read(str(self.directory), {})


@pytest.fixture
def rendered(tmp_path: pathlib.Path) -> Rendered:
    return Rendered(tmp_path)


def host_of(
    configuration: apache_configuration.Configuration, port: int
) -> dict[str, tuple[str, ...]]:
    """The directives of the only virtual host at a port."""
    return {
        each.name: each.arguments
        for each in configuration.directives
        if ("virtualhost", f"*:{port}") in each.sections
    }


def test_plain_sites_stay_what_they_were(rendered: Rendered) -> None:
    text = rendered(plan(site(None)))
    for word in ("SSL", "MD", "Rewrite", "443", "Strict", "Protocols h2"):
        assert word not in text
    assert "\n\n\n" not in text
    assert text.count("<VirtualHost *:80>") == 1


@pytest.mark.parametrize("name", ["000-trac.conf.j2", "closed.conf.j2"])
def test_a_site_with_a_certificate(name: str, rendered: Rendered) -> None:
    configuration = rendered.read(rendered(plan(site(FILES)), name))
    secure, plain = host_of(configuration, 443), host_of(configuration, 80)
    assert secure["sslengine"] == ("on",)
    assert secure["sslcertificatefile"] == (FILES["certificate_file"],)
    assert secure["sslcertificatekeyfile"] == (FILES["key_file"],)
    assert secure["sslprotocol"] == ("-all", "+TLSv1.2", "+TLSv1.3")
    assert secure["protocols"] == ("h2", "http/1.1")
    assert ("setenvifexpr" in secure) == (name == "000-trac.conf.j2")
    assert "setenvifexpr" not in plain
    assert "sslusestapling" not in secure
    assert plain["rewriterule"] == ("^", "https://%{SERVER_NAME}%1", "[R=308,NE,L]")
    assert plain["servername"] == ("trac.example.org",)
    assert plain["protocols"] == ("http/1.1",)
    assert "wsgiscriptalias" not in plain
    assert "sslengine" not in plain
    assert ("wsgiscriptalias" in secure) == (name == "000-trac.conf.j2")


def test_hsts_and_cookies(rendered: Rendered) -> None:
    def headers(**keys: t.Any) -> list[str]:
        text = rendered(plan(site({**FILES, **keys})))
        return re.findall(r"^    Header (.*)", text, re.MULTILINE)

    assert headers()[0] == 'always set Strict-Transport-Security "max-age=63072000"'
    assert len(headers()) == 2
    assert "max-age=300" in headers(hsts=300)[0]
    assert len(headers(hsts=0)) == 1
    # Browsers would not take a cookie over plain HTTP any more.
    assert len(headers(redirect=False)) == 1


def test_without_redirect_both_are_served_by_the_same_processes(rendered: Rendered) -> None:
    configuration = rendered.read(rendered(plan(site({**FILES, "redirect": False}))))
    (group,) = apache_configuration.daemon_groups(configuration)
    scripts = apache_configuration.scripts(configuration)
    assert [script.process_group for script in scripts] == [group.name] * 2
    assert "rewriterule" not in host_of(configuration, 80)


def test_words_are_taken_for_what_they_mean(rendered: Rendered) -> None:
    text = rendered(plan(site({**FILES, "redirect": "no", "hsts": "0"})))
    assert "Rewrite" not in text
    assert "Strict" not in text


def test_stapling_where_it_can_be(rendered: Rendered) -> None:
    text = rendered(plan(site(FILES), stapling=[FILES["certificate_file"]]))
    configuration = rendered.read(text)
    assert host_of(configuration, 443)["sslusestapling"] == ("on",)
    assert configuration.last("SSLStaplingCache").startswith("shmcb:")


@pytest.mark.parametrize("name", ["000-trac.conf.j2", "closed.conf.j2"])
def test_acme(name: str, rendered: Rendered) -> None:
    acme = {**ACME["acme"], "directory_url": "https://ca:14000/dir", "ca_file": "/etc/ca.pem"}
    found = plan(site({"acme": acme}, server_aliases=["t.example.org"]))
    configuration = rendered.read(rendered(found, name))
    managed = {
        each.name: each.arguments[0]
        for each in configuration.directives
        if ("mdomainset", '"trac.example.org"') in each.sections
    }
    assert managed == {
        "mdmembers": "manual",
        "mdmember": "t.example.org",
        "mdcontactemail": "anna@example.org",
        "mdcertificateauthority": "https://ca:14000/dir",
        "mdcacertificatefile": "/etc/ca.pem",
    }
    assert configuration.last("MDCertificateAgreement") == "accepted"
    secure = host_of(configuration, 443)
    assert "sslcertificatefile" not in secure
    assert "expr=%{REQUEST_STATUS} -ne 503" in rendered(found, name)


def test_only_texts_are_written_and_each_once() -> None:
    text = {"certificate": "-----BEGIN CERTIFICATE-----", "key": "-----BEGIN PRIVATE KEY-----"}
    files = {"certificate_file": "/etc/ssl/a.crt", "key_file": "/etc/ssl/a.key"}
    sites: list[dict[str, t.Any]] = [
        {"server_name": "files", "tls": files},
        {"server_name": "plain"},
        {"server_name": "Text", "tls": text},
        {"server_name": "text", "tls": text},
    ]
    (found,) = site_tls.certificate_texts(sites, "/etc/ssl/trac")
    assert found["site"] == 2
    assert found["certificate_file"].startswith("/etc/ssl/trac/text-")
    assert found["key_file"] == found["certificate_file"][:-4] + ".key"
