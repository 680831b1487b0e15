# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The key C(tls) of a site: what is wrong with it, and what follows from it.

Certificates and keys that are given as text never leave here but for the files that they are
written to: a plan holds the names of these files only.
"""

from __future__ import annotations

import hashlib
import re
import typing as t

from ansible.module_utils.parsing.convert_bool import boolean

Dict = t.Dict[str, t.Any]
Site = t.Mapping[str, t.Any]

# Two years, as Mozilla's guidelines say.
HSTS_SECONDS = 63072000
_LONGEST_HSTS_SECONDS = 10 * 365 * 86400

# Pairs of keys, of which one is not enough.
_FILES = ("certificate_file", "key_file")
_TEXTS = ("certificate", "key")
_PATH = re.compile(r"/[A-Za-z0-9._/+@-]+\Z")
_URL = re.compile(r"https://[A-Za-z0-9._~:/\[\]-]+\Z")
_MAIL = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]+@[A-Za-z0-9.-]+\Z")
_CERTIFICATE = re.compile(r"\s*-----BEGIN CERTIFICATE-----\s")
_KEY = re.compile(r"\s*-----BEGIN ([A-Z]+ )?PRIVATE KEY-----\s")
_ENCRYPTED_KEY = re.compile(r"-----BEGIN ENCRYPTED |Proc-Type: 4,ENCRYPTED")


def _given(tls: Site) -> Dict:
    """The keys that say something; those left out or empty do not."""
    return {key: value for key, value in tls.items() if value not in (None, "")}


def _full(tls: Site) -> Dict:
    full = {"redirect": True, "hsts": HSTS_SECONDS, **_given(tls)}
    return {**full, "redirect": boolean(full["redirect"]), "hsts": int(full["hsts"])}


# -- what is wrong ---------------------------------------------------------------------------


def problems(sites: t.Sequence[tuple[str, Site]]) -> list[str]:
    """Problems of all sites, each of which comes with the words for it."""
    found: list[str] = []
    hosts: dict[str, tuple[str, Dict]] = {}
    for where, site in sites:
        server = str(site.get("server_name") or "").lower()
        tls = site.get("tls")
        if not _is_shaped(tls):
            found.append(f"{where}.tls, and acme in it, have to be dictionaries.")
            continue
        if tls is not None:
            found += _site_problems(f"{where}.tls", tls, server)
        settings = {} if tls is None else _full(tls)
        first, wanted = hosts.setdefault(server, (where, settings))
        keys = sorted(key for key in {*settings, *wanted} if settings.get(key) != wanted.get(key))
        if keys:
            host = f"server {server!r}" if server else "the default virtual host"
            found.append(
                f"{where}.tls and {first}.tls differ in {', '.join(keys)}; all sites of one "
                f"virtual host ({host}) are served with the same."
            )
    return found


def _is_shaped(tls: object) -> bool:
    """Whether it is what it has to be; the specification takes "key=value" for a dictionary."""
    if not isinstance(tls, t.Mapping):
        return tls is None
    return isinstance(tls.get("acme") or {}, t.Mapping)


def _site_problems(where: str, tls: Site, server: str) -> list[str]:
    given = _given(tls)
    sources = [
        words
        for words, keys in (
            ("certificate_file and key_file", _FILES),
            ("certificate and key", _TEXTS),
            ("acme", ("acme",)),
        )
        if any(key in given for key in keys)
    ]
    if len(sources) != 1:
        seen = " and ".join(sources) or "no certificate"
        one_of = "certificate_file and key_file (on the host), certificate and key (text), acme"
        return [f"{where} has {seen}; it has to have one of: {one_of}."]
    found = [
        f"{where}.{key} is missing; certificate and key belong together."
        for pair in (_FILES, _TEXTS)
        for key in pair
        if any(other in given for other in pair) and key not in given
    ]
    for key in _FILES:
        if key in given:
            found += _path(f"{where}.{key}", given[key])
    if "certificate" in given and not _CERTIFICATE.match(str(given["certificate"])):
        found.append(
            f"{where}.certificate is no text in PEM format; it has to begin with "
            "'-----BEGIN CERTIFICATE-----'."
        )
    if "key" in given:
        if _ENCRYPTED_KEY.search(str(given["key"])):
            found.append(f"{where}.key has a passphrase, which nobody would tell Apache.")
        elif not _KEY.match(str(given["key"])):
            found.append(
                f"{where}.key is no text in PEM format; it has to begin with "
                "'-----BEGIN PRIVATE KEY-----'."
            )
    if "acme" in given:
        found += _acme_problems(f"{where}.acme", given["acme"], server)
    seconds = int(given.get("hsts", 0))
    if not 0 <= seconds <= _LONGEST_HSTS_SECONDS:
        found.append(
            f"{where}.hsts is {seconds}; allowed are 0 (none) to {_LONGEST_HSTS_SECONDS} seconds."
        )
    return found


def _path(where: str, path: object) -> list[str]:
    if _PATH.match(str(path)) and ".." not in str(path).split("/"):
        return []
    return [f"{where} is {path!r}; allowed are absolute paths of letters, digits and . _ - + @."]


def _acme_problems(where: str, acme: Site, server: str) -> list[str]:
    found = []
    if not server:
        found.append(f"{where} needs the server_name of the site: what the certificate is for.")
    if not _MAIL.match(str(acme.get("contact"))):
        found.append(f"{where}.contact is {acme.get('contact')!r}; allowed are addresses of mail.")
    if not boolean(acme.get("accept_terms")):
        found.append(
            f"{where}.accept_terms has to be true: the authority gives certificates to those who "
            "accept its terms of service."
        )
    if acme.get("directory_url") and not _URL.match(str(acme["directory_url"])):
        found.append(f"{where}.directory_url is {acme['directory_url']!r}; allowed are https URLs.")
    if acme.get("ca_file"):
        found += _path(f"{where}.ca_file", acme["ca_file"])
    return found


# -- what follows ----------------------------------------------------------------------------


def _paths(tls: Dict, server: str, directory: str) -> tuple[str, str]:
    """The files of certificate and key. Text goes to files named by what is in them.

    So a new certificate is a change of Apache's configuration like any other: tested, taken back
    when the site does not answer, and seen in a diff by the name.
    """
    if "certificate_file" in tls:
        return tls["certificate_file"], tls["key_file"]
    text = _text(tls["certificate"]) + _text(tls["key"])
    name = f"{directory}/{server or 'default'}-{hashlib.sha256(text.encode()).hexdigest()[:16]}"
    return f"{name}.crt", f"{name}.key"


def _text(pem: object) -> str:
    return str(pem).strip() + "\n"


def complete(tls: Site | None, server: str, settings: Site) -> Dict | None:
    """What a site's virtual host needs to know, with nothing in it that is secret."""
    if tls is None:
        return None
    full = _full(tls)
    acme = full.get("acme")
    certificate, key = ("", "") if acme else _paths(full, server, settings["tls_dir"])
    return {
        "certificate_file": certificate,
        "key_file": key,
        "acme": {"directory_url": "", "ca_file": "", **_given(acme)} if acme else None,
        "is_text": "certificate" in full,
        "redirect": full["redirect"],
        "hsts": full["hsts"],
        "stapling": certificate in settings.get("stapling", ()),
    }


def endpoints(tls: Dict | None, settings: Site) -> list[Dict]:
    """The ports of a virtual host; the first one has the processes."""
    plain = {"port": settings["port"], "tls": False, "redirect": False}
    if tls is None:
        return [{**plain, "first": True}]
    return [
        {"port": settings["tls_port"], "tls": True, "redirect": False, "first": True},
        {**plain, "redirect": tls["redirect"], "first": False},
    ]


def base_url(tls: Dict | None, settings: Site) -> str:
    """Where a program on the host reaches a virtual host."""
    return str(settings["tls_base_url" if tls else "base_url"])


def public_url(tls: Dict | None, host: str, settings: Site) -> str:
    """Where visitors do."""
    scheme, port, usual = (
        ("https", settings["tls_port"], 443) if tls else ("http", settings["port"], 80)
    )
    return f"{scheme}://{host}" + ("" if int(port) == usual else f":{port}")


def checks(hosts: t.Sequence[Dict], settings: Site) -> list[Dict]:
    """What has to hold beside the pages: plain HTTP leads to TLS."""
    found = []
    for host in hosts:
        if host["tls"] and host["tls"]["redirect"]:
            name = host["server_name"] or "127.0.0.1"
            target = f"{host['sites'][0]['mount']}?a=%2Fb"
            found.append(
                {
                    "name": f"redirect of {host['server_name'] or 'the default host'}",
                    "url": settings["base_url"] + target,
                    "host": name,
                    "status": [308],
                    "location": public_url(host["tls"], name, settings) + target,
                }
            )
    return found


def certificate_checks(hosts: t.Sequence[Dict], settings: Site) -> list[Dict]:
    """Each virtual host shows its own certificate, as it is on the host now."""
    fingerprints = settings.get("fingerprints", {})
    return [
        {
            "name": f"certificate of {host['server_name'] or 'the default host'}",
            # Apache's own words to a path that nobody has: what counts is who speaks.
            "url": settings["tls_base_url"] + "/.well-known/trac",
            "host": host["server_name"] or "127.0.0.1",
            "status": [],
            "certificate": fingerprints[host["tls"]["certificate_file"]],
        }
        for host in hosts
        if host["tls"] and host["tls"]["certificate_file"] in fingerprints
    ]


def plan(hosts: t.Sequence[Dict]) -> Dict:
    """What Apache needs for all virtual hosts together."""
    served = [host["tls"] for host in hosts if host["tls"]]
    managed = [
        {
            "name": host["server_name"],
            "aliases": host["server_aliases"],
            **host["tls"]["acme"],
        }
        for host in hosts
        if host["tls"] and host["tls"]["acme"]
    ]
    return {
        "modules": (["ssl", "headers", "http2"] if served else [])
        + (["rewrite"] if any(tls["redirect"] for tls in served) else [])
        + (["md"] if managed else []),
        "stapling": any(tls["stapling"] for tls in served),
        "managed": managed,
        # Whoever renews a certificate need not know of Apache.
        "files": sorted({tls[key] for tls in served for key in _FILES if tls[key]}),
        "written": sorted({tls[key] for tls in served for key in _FILES if tls["is_text"]}),
    }


def certificate_texts(sites: t.Sequence[Site], directory: str) -> list[Dict]:
    """Which site has the text of a certificate, and which files it goes to; each file once."""
    found: dict[str, Dict] = {}
    for index, site in enumerate(sites):
        if site.get("tls") is None or "certificate" not in _given(site["tls"]):
            continue
        server = str(site.get("server_name") or "").lower()
        certificate, key = _paths(_full(site["tls"]), server, directory)
        found.setdefault(server, {"site": index, "certificate_file": certificate, "key_file": key})
    return list(found.values())


def certificates(sites: t.Sequence[Site], directory: str) -> list[Dict]:
    """The certificates of all virtual hosts, with their keys: only for what logs none of it."""
    found: dict[str, Dict] = {}
    for site in sites:
        server = str(site.get("server_name") or "").lower()
        if site.get("tls") is None or "acme" in _given(site["tls"]):
            continue
        tls = _full(site["tls"])
        certificate, key = _paths(tls, server, directory)
        item = found.setdefault(
            server,
            {
                "name": server or "the default virtual host",
                "names": [server] if server else [],
                "aliases": [],
                "certificate_file": certificate,
                "key_file": key,
                "certificate": None,
                "key": None,
            },
        )
        item["aliases"] += [
            str(alias).lower()
            for alias in site.get("server_aliases") or []
            if str(alias).lower() not in item["aliases"]
        ]
        if "certificate" in tls:
            item.update(certificate=_text(tls["certificate"]), key=_text(tls["key"]))
    return list(found.values())
