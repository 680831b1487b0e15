# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From the sites of an inventory to what a web host needs: scripts, virtual hosts, checks, URLs."""

from __future__ import annotations

import re
import typing as t

from ansible_collections.trac.mod_wsgi.plugins.module_utils._site import (
    authentication as site_authentication,
)
from ansible_collections.trac.mod_wsgi.plugins.module_utils._site import out_of_service
from ansible_collections.trac.mod_wsgi.plugins.module_utils._site import size as site_size
from ansible_collections.trac.mod_wsgi.plugins.module_utils._site import tls as site_tls

Dict = t.Dict[str, t.Any]

# Trac's own size of its pool of database connections, which is one for each process.
TRAC_POOL_SIZE = 10
# The least that mod_wsgi waits for a part of a response.
_SOCKET_TIMEOUT = 60

# What decides how many connections the processes of a site can open.
_POOL_KEYS = ("name", "mode", "processes", "pool_size", "pooling", "environment")

# A private environment answers 403 to a visitor without a login, under its own title.
_ENVIRONMENT_ANSWERS = [200, 403]
# What the script of a site says of one that is out of service.
_OUT_OF_SERVICE = {"status": [503], "title": out_of_service.TITLE}
# "About Trac" needs no permission, and each page's navigation asks all policies: what a start page
# with 403 hides shows there. Somebody may have closed it, or switched it off.
_ABOUT, _ABOUT_ANSWERS = "/about", [200, 403, 404]
_SECOND = ", about Trac"
# A whole site behind Apache's authentication answers 401 in Apache's own words.
_LOGIN_WANTED = [401]

_PLACEHOLDER = re.compile(r"^SETTINGS\b[^=\n]*= \{\}.*$", re.MULTILINE)
_NO_SYNTAX = re.compile(r"[\x00-\x1f\x7f]|\$\{")


_MARKER_TEXT = (
    "Made by the Ansible role trac.mod_wsgi.trac_site, which removes this directory "
    "together with its site.\n"
)

# As mod_asis sends it, whatever status has led to it.
_BUSY_PAGE = """\
Status: 503 Service Unavailable
Retry-After: 10
Cache-Control: no-store
Content-Type: text/html; charset=utf-8

<!DOCTYPE html>
<html lang="en">
<head><title>Busy</title></head>
<body>
<p>This site has more to do than it can at the moment, or is being upgraded. Please try again in a
few seconds.</p>
</body>
</html>
"""


class PlanError(ValueError):
    """Values that cannot be put into a file, in words for the user."""


def python_literal(value: object) -> str:
    """A value as a Python literal in ASCII, whatever it holds and whoever made its type."""
    if value is None or isinstance(value, bool):
        return repr(value)
    if isinstance(value, str):
        return ascii(str(value))
    if isinstance(value, int):
        return repr(int(value))
    if isinstance(value, t.Mapping):
        pairs = (f"{python_literal(key)}: {python_literal(item)}" for key, item in value.items())
        return "{" + ", ".join(pairs) + "}"
    if isinstance(value, t.Sequence):
        return "[" + ", ".join(python_literal(item) for item in value) + "]"
    msg = f"{value!r} cannot be written as a Python literal."
    raise PlanError(msg)


def apache_argument(value: object) -> str:
    """A value as one quoted argument of a directive of Apache's configuration."""
    text = str(value)
    if _NO_SYNTAX.search(text):
        msg = f"{text!r} holds a control character or '${{', which Apache cannot take."
        raise PlanError(msg)
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def wsgi_script(source: str, site: t.Mapping[str, t.Any]) -> str:
    """The script of a site: the source with the site's values in its settings."""
    settings = {
        "directory": site["directory"],
        "environment": site["environment_path"],
        "parent_directory": site["parent_directory"],
        "egg_cache": site["egg_cache"],
        "site_directories": site["extra_site_directories"],
        "pooling": site["pooling"],
        "pool_size": site["pool_size"],
        "preload": site["preload"],
        "freeze": site["freeze"],
        "reuse": site["reuse"],
        "private_environments": (site["authentication"] or {}).get("private_environments", []),
        "groups": (site["authentication"] or {}).get("memberships", {}),
        # The daemon process has its umask from Apache's configuration.
        "umask": 0o007 if site["mode"] == "embedded" else None,
    }
    lines = "".join(
        f"    {python_literal(key)}: {python_literal(item)},\n" for key, item in settings.items()
    )
    script, count = _PLACEHOLDER.subn(lambda _match: f"SETTINGS = {{\n{lines}}}", source)
    if count != 1:
        msg = "The source of the script has no place for its settings."
        raise PlanError(msg)
    return script


def pool_size(site: t.Mapping[str, t.Any]) -> int:
    """How many database connections a process of a site may have open.

    A thread that finds none free waits without a time limit, or gives up with an error when
    others wait, too. So there is one for each thread, unless the inventory says otherwise.
    """
    if site.get("script") == "deployed":
        return TRAC_POOL_SIZE
    given = int(site.get("pool_size") or 0)
    return given or max(TRAC_POOL_SIZE, threads(site))


def threads(site: t.Mapping[str, t.Any]) -> int:
    """How many requests a process of a site serves at the same time."""
    if site.get("mode") == "embedded":
        return site_size.APACHE_THREADS
    return int(site.get("threads") or site_size.THREADS)


def site_plan(
    sites: t.Sequence[t.Mapping[str, t.Any]],
    environments: t.Sequence[t.Mapping[str, t.Any]],
    settings: t.Mapping[str, t.Any],
) -> Dict:
    """Everything that follows from the inventory, in the order in which it is written.

    :param sites: with all keys of the role's argument specification; without a default None
    :param environments: as the inventory has them
    :param settings: paths and accounts of the role, and what was found on the host
    """
    present = [item for item in environments if (item.get("state") or "present") == "present"]
    # What is not known of the host is 0.
    cores, memory_mb, workers = (
        int(settings.get(key) or 0) for key in ("cores", "memory_mb", "apache_workers")
    )
    daemons = sum(site.get("mode") != "embedded" for site in sites)
    size = site_size.processes(daemons, cores, memory_mb)
    completed = [_complete(site, present, settings, size) for site in sites]
    apache = _apache(completed, workers or site_size.APACHE_WORKERS)
    hosts = _virtual_hosts(completed, settings)
    return {
        "sites": completed,
        "virtual_hosts": hosts,
        "markers": [
            {"path": f"{site['directory']}/{settings['marker']}", "content": _MARKER_TEXT}
            for site in completed
        ],
        "busy_pages": [{"path": site["busy_page"], "content": _BUSY_PAGE} for site in completed],
        "embedded": any(site["mode"] == "embedded" for site in completed),
        "default_host": any(not host["server_name"] for host in hosts),
        "apache": apache,
        "tls": {**site_tls.plan(hosts), "port": settings["tls_port"]},
        "authentication": site_authentication.needs(completed),
        "pools": [_pool(site, apache) for site in completed],
        "checks": _checks(completed, hosts, present, settings),
        # As if none of them were out of service.
        "served_checks": _checks(completed, hosts, present, {**settings, "out_of_service": ()}),
        "environment_checks": {
            _check_name(site, name) + page: name
            for site in completed
            for name in site["served"]
            for page in ("", _SECOND)
        },
        "certificate_checks": site_tls.certificate_checks(hosts, settings),
        "urls": {site["name"]: _urls(site, settings) for site in completed},
    }


def _apache(sites: t.Sequence[Dict], workers: int) -> Dict:
    """Apache's own workers, given how many its configuration has without this role."""
    groups = [
        site_size.Group(int(site["processes"]), int(site["threads"]))
        for site in sites
        if site["mode"] == "daemon"
    ]
    wanted = max(workers, site_size.apache_workers(groups))
    return {
        "workers": wanted,
        "more_workers": wanted > workers,
        "processes": -(-wanted // site_size.APACHE_THREADS),
        "waiting": site_size.waiting(groups),
    }


def _pool(site: t.Mapping[str, t.Any], apache: t.Mapping[str, t.Any]) -> Dict:
    """What decides how many connections a site can open, in its processes or in Apache's."""
    pool = {**{key: site[key] for key in _POOL_KEYS}, "threads": threads(site)}
    if site["mode"] == "embedded":
        pool["processes"] = apache["processes"]
    return pool


def _complete(
    site: t.Mapping[str, t.Any],
    present: t.Sequence[t.Mapping[str, t.Any]],
    settings: t.Mapping[str, t.Any],
    processes: int,
) -> Dict:
    full: Dict = {**site, "processes": site["processes"] or processes}
    directory = f"{settings['dir']}/{full['name']}"
    parent = settings["environments_dir"].rstrip("/")
    one = full["environment"]
    base = full["mount"].rstrip("/")
    served = [one] if one else [item["name"] for item in present]
    full.update(
        server_name=full["server_name"].lower(),
        tls=site_tls.complete(full["tls"], full["server_name"].lower(), settings),
        egg_cache=full["egg_cache"] or f"{settings['cache_dir']}/{full['name']}",
        directory=directory,
        script_path=f"{directory}/trac.wsgi",
        static_path=f"{directory}/htdocs/common",
        busy_page=f"{directory}/busy.asis",
        environment_path=f"{parent}/{one}" if one else None,
        parent_directory=None if one else parent,
        served=served,
        pool_size=pool_size(full),
        # Otherwise Apache would give up before the time of a long request is over.
        socket_timeout=max(_SOCKET_TIMEOUT, int(full["request_timeout"])),
        account=settings["apache_user"] if full["mode"] == "embedded" else settings["user"],
        process_group="%{GLOBAL}" if full["mode"] == "embedded" else f"trac-{full['name']}",
        # For AliasMatch where the environment's name stands between mount and chrome.
        static_url=f"{base}/chrome/common/"
        if one
        else f"^{re.escape(base)}/[^/]+/chrome/common/(.*)$",
        authentication=site_authentication.completed(full, settings),
    )
    return full


def _virtual_hosts(sites: t.Sequence[Dict], settings: t.Mapping[str, t.Any]) -> list[Dict]:
    """One for each server name, the default one first, because Apache takes the first."""
    hosts: dict[str, Dict] = {}
    for site in sorted(sites, key=lambda site: bool(site["server_name"])):
        name = site["server_name"]
        host = hosts.setdefault(name, {"server_name": name, "server_aliases": [], "sites": []})
        aliases = host["server_aliases"]
        aliases += [alias for alias in site["server_aliases"] if alias not in aliases]
        host["sites"].append(site)
    for host in hosts.values():
        # The first alias that matches wins: longer mounts stand in front of shorter ones.
        host["sites"].sort(key=lambda site: (-len(site["mount"]), site["mount"]))
        host["tls"] = host["sites"][0]["tls"]
        host["endpoints"] = site_tls.endpoints(host["tls"], settings)
        # A script at the root would take the path of the hello-world, which every virtual host has.
        host["hello_world"] = bool(settings["hello_world_path"]) and any(
            site["mount"] == "/" for site in host["sites"]
        )
        host["openid_connect"] = site_authentication.redirect_of_host(host["sites"])
    return list(hosts.values())


def _expected_title(environment: t.Mapping[str, t.Any]) -> str | None:
    """The project's name as Trac shows it in every title, if the inventory says it."""
    project = (environment.get("config") or {}).get("project") or {}
    title = project.get("name") or environment.get("title")
    return str(title) if title else None


def _checks(
    sites: t.Sequence[Dict],
    hosts: t.Sequence[Dict],
    present: t.Sequence[t.Mapping[str, t.Any]],
    settings: t.Mapping[str, t.Any],
) -> list[Dict]:
    checks = site_tls.checks(hosts, settings)
    if settings["hello_world_path"]:
        checks += [
            {
                "name": f"hello-world on {host['server_name'] or 'the default host'}",
                "url": site_tls.base_url(host["tls"], settings) + settings["hello_world_path"],
                "body": "Hello World!",
                **_common(host),
            }
            for host in hosts
        ]
    titles = {item["name"]: _expected_title(item) for item in present}
    out = settings.get("out_of_service") or ()
    for site in sites:
        common = _common(site)
        address = site_tls.base_url(site["tls"], settings)
        base = address + site["mount"].rstrip("/")
        if site["parent_directory"]:
            check = {"name": f"site {site['name']}, index", "url": f"{base}/", **common}
            checks.append(site_authentication.checked(check, site, None))
        for name in site["served"]:
            if name in out and site["script"] == "deployed":
                continue  # Trac's own script says what it likes
            check = {
                "name": _check_name(site, name),
                "url": f"{base}/{name}" if site["parent_directory"] else address + site["mount"],
                "status": _ENVIRONMENT_ANSWERS,
                **common,
            }
            about = {
                **check,
                "name": _check_name(site, name) + _SECOND,
                "url": check["url"].rstrip("/") + _ABOUT,
                "status": _ABOUT_ANSWERS,
            }
            if name in out:
                check.update(_OUT_OF_SERVICE)
            elif titles.get(name):
                check["title"] = titles[name]
            checks.append(site_authentication.checked(check, site, name))
            # Where Apache asks everybody for a login, one page says as much as two.
            if name not in out and not site_authentication.is_private(site, name):
                checks.append(site_authentication.checked(about, site, name))
        for name in site["served"][:1]:
            under = f"{base}/{name}" if site["parent_directory"] else base
            check = {
                "name": f"site {site['name']}, static files",
                "url": f"{under}/chrome/common/css/trac.css",
                **common,
            }
            checks.append(site_authentication.checked(check, site, name))
            checks += site_authentication.login_checks(site, common, under)
    site_authentication.first_answered(checks)
    return checks


def _check_name(site: t.Mapping[str, t.Any], environment: str) -> str:
    return f"site {site['name']}, environment {environment}"


def _common(served: t.Mapping[str, t.Any]) -> Dict:
    """What all checks of a site, or of a virtual host, have in common."""
    common: Dict = {"host": served["server_name"] or "127.0.0.1", "accept": _LOGIN_WANTED}
    if served["tls"] and served["tls"]["acme"]:
        common["managed_certificate"] = True
    return common


def _urls(site: t.Mapping[str, t.Any], settings: t.Mapping[str, t.Any]) -> list[str]:
    """Where a visitor finds the site."""
    host = site_tls.public_url(site["tls"], site["server_name"] or settings["host"], settings)
    base = f"{host}{site['mount']}".rstrip("/")
    if not site["parent_directory"]:
        return [base if site["mount"] != "/" else f"{base}/"]
    return [f"{base}/", *(f"{base}/{name}" for name in site["served"])]
