# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The plan of role trac_site: from its variables and what a host has answered to its files."""

from __future__ import annotations

import base64
import re
import typing as t

from ansible_collections.trac.mod_wsgi.plugins.module_utils._site import (
    authentication as site_authentication,
)
from ansible_collections.trac.mod_wsgi.plugins.module_utils._site import (
    out_of_service,
    plan,
)
from ansible_collections.trac.mod_wsgi.plugins.module_utils._site import tls as site_tls
from ansible_collections.trac.mod_wsgi.plugins.plugin_utils import _hardening, _specification

Dict = t.Dict[str, t.Any]
Arguments = t.Mapping[str, t.Any]

SCRIPT = "trac.wsgi"
# What stands beside each script, and is imported by it.
MODULES = ("trac_connections", "trac_out_of_service", "trac_packages", "trac_pages", "trac_serving")

# Where systemd keeps from Apache what Trac has to write, unless it is told otherwise.
_PROTECTED = re.compile(r"/(home|root|run/user|usr|boot|efi|etc)(/|$)")


class Facts(t.NamedTuple):
    """What the first command of the role has found on the host (tasks/host.yml)."""

    existing_paths: list[str]
    environments_on_servers: list[str]
    out_of_service: str  # the file's text
    apache_groups: list[str]  # the first is the primary one
    has_account: bool
    # 0 where it is not known
    cores: int
    memory_mb: int
    apache_workers: int


def read_facts(lines: t.Iterable[str]) -> Facts:
    """Lines of a keyword and a value; of those that stand for one value, the last one counts."""
    found: dict[str, list[str]] = {}
    for line in lines:
        key, _blank, value = line.partition(" ")
        found.setdefault(key, []).append(value)

    def number(key: str) -> int:
        return int(found.get(key, ["0"])[-1])

    configurations = found.get("environment_on_server", [])
    return Facts(
        existing_paths=found.get("path", []),
        environments_on_servers=[path.split("/")[-3] for path in configurations],
        out_of_service=base64.b64decode(found.get("out_of_service", [""])[-1]).decode(),
        apache_groups=found.get("apache_groups", [""])[-1].split(),
        has_account="account" in found,
        cores=number("cores"),
        memory_mb=number("memory_kb") // 1024,
        apache_workers=number("apache_workers"),
    )


def plan_sites(arguments: Arguments) -> Dict:
    """The plan without what depends on the sizes of requests, see `complete`."""
    facts = read_facts(arguments["host_facts"])
    options = _specification.item_options("trac_site", "trac_site_sites")
    sites = [_specification.completed(site, options) for site in arguments["sites"]]
    kept_out = {
        **out_of_service.refused(
            facts.out_of_service,
            arguments["environments"],
            arguments["reconciled"],
            arguments["answering"],
        ),
        **arguments["broken"],
    }
    found = plan.site_plan(sites, arguments["environments"], _settings(arguments, facts, kept_out))
    paths = arguments["paths"]
    found["tls"]["texts"] = site_tls.certificate_texts(sites, paths["tls"])
    found["tls"]["module_files"] = _module_files(found["tls"]["modules"])
    authentication = found["authentication"]
    authentication["module_files"] = _module_files(authentication["modules"])
    authentication["group_file"] = site_authentication.group_file(arguments["users"])
    authentication["users"] = [
        str(user["name"]) for user in site_authentication.present(arguments["users"])
    ]
    return {
        **found,
        "out_of_service": kept_out,
        "existing_paths": facts.existing_paths,
        "environments_on_servers": [
            name for name in facts.environments_on_servers if name not in kept_out
        ],
        "apache_groups": facts.apache_groups,
        "has_account": facts.has_account,
        "writable_paths": _writable_paths(found["sites"], paths),
    }


def served_environments(found: t.Mapping[str, t.Any]) -> list[str]:
    """The environments that visitors get to see, each once."""
    names = [name for site in found["sites"] for name in site["served"]]
    return [name for name in dict.fromkeys(names) if name not in found["out_of_service"]]


def complete(
    found: Dict, arguments: Arguments, sizes: t.Mapping[str, t.Any], sources: t.Mapping[str, str]
) -> Dict:
    """Add what keeps the sites out of trouble, and the texts of the scripts.

    :param sizes: options of the environments that say how large a request may be
    :param sources: the text of each of the role's Python files, by its name
    """
    hardening = _hardening.site_hardening(
        found["sites"],
        arguments["environments"],
        {
            "headers": arguments["security_headers"],
            "rate_limits": arguments["rate_limits"],
            "robots": arguments["robots"],
            "defaults": arguments["environments_defaults"],
            "found": sizes,
        },
    )
    return {**found, "hardening": hardening, "scripts": _scripts(found["sites"], sources)}


def _settings(arguments: Arguments, facts: Facts, kept_out: t.Mapping[str, str]) -> Dict:
    paths, ports = arguments["paths"], arguments["ports"]
    certificates = arguments["certificates"]
    hello_world = paths["hello_world_link"] in facts.existing_paths
    return {
        "dir": paths["sites"],
        "marker": paths["marker"],
        "cache_dir": paths["cache"],
        "environments_dir": paths["environments"],
        "user": arguments["user"],
        "apache_user": arguments["apache_user"],
        "hello_world_path": paths["hello_world_url"] if hello_world else "",
        "memberships": site_authentication.memberships(arguments["users"]),
        "groups_claim": arguments["groups_claim"],
        "host": arguments["host"],
        "port": ports["endpoints"][0]["port"],
        "base_url": ports["endpoints"][0]["url"],
        "cores": facts.cores,
        "memory_mb": facts.memory_mb,
        "apache_workers": facts.apache_workers,
        "out_of_service": list(kept_out),
        "tls_dir": paths["tls"],
        "tls_port": ports["tls_endpoints"][0]["port"],
        "tls_base_url": ports["tls_endpoints"][0]["url"],
        "stapling": certificates["stapling"],
        "fingerprints": certificates["fingerprints"],
    }


def _module_files(names: t.Iterable[str]) -> list[str]:
    """The links by which Debian's Apache loads modules."""
    return [f"/etc/apache2/mods-enabled/{name}.load" for name in names]


def _writable_paths(sites: t.Iterable[t.Mapping[str, t.Any]], paths: Arguments) -> list[str]:
    """What Trac has to write below directories that systemd protects."""
    wanted = [
        paths["environments"],
        *(site["egg_cache"] for site in sites),
        paths["repositories"],
        *paths["writable"],
    ]
    return [path for path in dict.fromkeys(wanted) if _PROTECTED.match(path)]


def _scripts(
    sites: t.Sequence[t.Mapping[str, t.Any]], sources: t.Mapping[str, str]
) -> list[dict[str, str]]:
    """The files of generated scripts, for module apache_transaction."""
    generated = [site for site in sites if site["script"] == "generated"]
    files = {
        f"{site['directory']}/{name}.py": sources[f"{name}.py"]
        for site in generated
        for name in MODULES
    }
    for site in generated:
        files[site["script_path"]] = plan.wsgi_script(sources[SCRIPT], site)
    return [{"path": path, "content": text, "check": "python"} for path, text in files.items()]
