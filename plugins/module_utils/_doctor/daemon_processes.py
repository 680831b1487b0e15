# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks of what the configuration gives mod_wsgi's processes: Python, interpreter, locale."""

from __future__ import annotations

import glob
import os
import re
import typing as t

from ansible_collections.trac.mod_wsgi.plugins.module_utils._apache import apache_configuration
from ansible_collections.trac.mod_wsgi.plugins.module_utils._doctor import system as doctor_system
from ansible_collections.trac.mod_wsgi.plugins.module_utils._doctor.host import Host
from ansible_collections.trac.mod_wsgi.plugins.module_utils._doctor.registry import (
    APACHE,
    WORKER,
    check,
    part,
)
from ansible_collections.trac.mod_wsgi.plugins.module_utils._doctor.result import (
    FAILED,
    OK,
    SKIPPED,
    WARNING,
    Result,
)

# Run as the daemon's account: what it can read of a python-home.
_READ_HOME = """
import glob, json, os, sys
home = sys.argv[1]
seen = {"exists": os.path.isdir(home), "closed": [], "versions": [], "base": ""}
needed = [home, os.path.join(home, "lib")] + glob.glob(os.path.join(home, "lib", "python3.*"))
if os.path.exists(os.path.join(home, "pyvenv.cfg")):
    needed.append(os.path.join(home, "pyvenv.cfg"))
for path in needed + glob.glob(os.path.join(home, "lib", "python3.*", "site-packages")):
    mode = os.R_OK | (os.X_OK if os.path.isdir(path) else 0)
    if os.path.lexists(path) and not os.access(path, mode):
        seen["closed"].append(path)
for path in glob.glob(os.path.join(home, "lib", "python3.*")):
    seen["versions"].append(os.path.basename(path)[len("python"):])
try:
    with open(os.path.join(home, "pyvenv.cfg")) as file:
        for line in file:
            name, equals, value = line.partition("=")
            if name.strip() == "home" and not os.path.isdir(value.strip()):
                seen["base"] = value.strip()
except OSError:
    pass
parent = os.path.dirname(home)
while not os.path.isdir(parent) and parent != "/":
    parent = os.path.dirname(parent)
seen["parent_closed"] = "" if os.access(parent, os.X_OK) else parent
print(json.dumps(seen))
"""

_TRY_LOCALES = """
import json, locale, sys
bad = []
for name in sys.argv[1:]:
    try:
        locale.setlocale(locale.LC_ALL, name)
    except locale.Error:
        bad.append(name)
print(json.dumps(bad))
"""


@check("python_home", "Daemon processes can read the Python that they are given", APACHE)
def python_home(host: Host) -> t.Iterator[Result]:
    apache_user = host.envvars.get("APACHE_RUN_USER", "www-data")
    return check_homes(homes(host.configuration, apache_user), python_of(host.mod_wsgi_path()))


def python_of(path: str) -> str:
    """The version of Python that Debian's mod_wsgi is built for, from its file's name."""
    match = re.search(r"mod_wsgi\.so-(\d+\.\d+)$", path)
    if match is None:
        # Debian has one Python, and the link says which.
        names = glob.glob(os.path.join(os.path.dirname(path) or "/", "mod_wsgi.so-3.*"))
        match = re.search(r"-(\d+\.\d+)$", names[0]) if len(names) == 1 else None
    return match.group(1) if match else ""


class Home(t.NamedTuple):
    """A python-home, and the account that has to read it."""

    path: str
    user: str
    who: str  # whose it is: "process group trac"
    place: str  # of the directive: file and line


def homes(configuration: apache_configuration.Configuration, apache_user: str) -> list[Home]:
    """Each python-home that the configuration names."""
    found = [
        Home(
            group.options["python-home"],
            group.options.get("user", apache_user),
            f"process group {group.name}",
            group.place,
        )
        for group in apache_configuration.daemon_groups(configuration)
        if group.options.get("python-home")
    ]
    for each in configuration.all("WSGIPythonHome"):
        if each.arguments:
            found.append(Home(each.arguments[0], apache_user, "Apache's own processes", each.place))
    return found


def judge_home(home: Home, seen: t.Mapping[str, t.Any], version: str) -> Result:
    """Judge a python-home by what its account can read of it."""
    name = "python_home"
    crash = (
        "The processes cannot start their Python ('Failed to import encodings module' in the error "
        "log): they end and start again in a loop, and visitors wait."
    )
    correct = f"Correct python-home in {home.place}, or make it what it has to be: "
    again = "run playbooks/site.yml, then: systemctl restart apache2"
    if seen["parent_closed"]:
        what = f"{seen['parent_closed']} is closed to {home.user}, so {home.path} is, too"
        advice = f"Open it: chmod o+x {seen['parent_closed']}"
    elif not seen["exists"]:
        what = f"{home.path} does not exist"
        advice = correct + again
    elif seen["closed"]:
        what = f"{home.user} cannot read {', '.join(seen['closed'])}"
        advice = f"Open it: chmod -R o+rX {home.path}"
    elif not seen["versions"]:
        what = f"{home.path} holds no Python (no lib/python3.*)"
        advice = correct + again
    elif seen["base"]:
        what = f"{home.path} was made from a Python in {seen['base']}, which is not there"
        advice = f"Make it anew: mv {home.path} {home.path}.old, then {again}"
    elif version and version not in seen["versions"]:
        versions = ", ".join(seen["versions"])
        what = f"{home.path} is for Python {versions}, and mod_wsgi is built for {version}"
        advice = f"Make it anew with that Python: mv {home.path} {home.path}.old, then {again}"
    else:
        return Result(name, OK, f"{home.path}, Python {version or seen['versions'][0]}", "", "")
    return Result(name, FAILED, f"{what} ({home.who}, {home.place}).", crash, advice, home.who)


def check_homes(found: t.Sequence[Home], version: str) -> t.Iterator[Result]:
    if not found:
        yield Result(
            "python_home", SKIPPED, "The configuration names no python-home: nothing to look at."
        )
    answers: dict[tuple[str, str], t.Any] = {}
    for home in found:
        key = home.path, home.user
        if key not in answers:
            answers[key] = doctor_system.ask(_READ_HOME, [home.path], 10, home.user)
        yield judge_home(home, answers[key], version)


@check("application_group", "C extensions run in the first interpreter", APACHE, (WORKER,))
def application_group(host: Host) -> t.Iterator[Result]:
    subversion = [name for name, facts in host.facts.items() if facts["subversion"]]
    return check_application_group(host.site_scripts(), subversion)


def check_application_group(
    scripts: t.Sequence[apache_configuration.Script], subversion: t.Sequence[str]
) -> t.Iterator[Result]:
    """Scripts outside of the first interpreter, where Subversion's bindings crash."""
    name = "application_group"
    outside = [script for script in scripts if script.application_group != "%{GLOBAL}"]
    for script in outside:
        yield Result(
            name,
            FAILED if subversion else WARNING,
            f"{script.path} (mount {script.mount}) runs outside of the first interpreter "
            f"({script.place})"
            + (
                f", and Subversion is enabled in {', '.join(subversion[:5])}."
                if subversion
                else "."
            ),
            "Subversion's bindings crash the process there, or hang it: 'Truncated or oversized "
            "response headers'. Other C extensions may."
            if subversion
            else "C extensions that are not made for it (Subversion's bindings, some database "
            "drivers) crash or hang there.",
            "Add application-group=%{GLOBAL} to the WSGIScriptAlias; then: "
            "systemctl reload apache2",
            script.mount,
        )
    if not scripts:
        yield Result(name, SKIPPED, "Apache's configuration has no script at the mount of a site.")
    elif not outside:
        yield Result(name, OK, "the scripts run in the first interpreter")


@check("locale", "The locales that are asked for exist", APACHE)
def locale(host: Host) -> t.Iterator[Result]:
    return check_locales(wanted_locales(host.configuration, host.envvars))


def wanted_locales(
    configuration: apache_configuration.Configuration, environment: t.Mapping[str, str]
) -> dict[str, str]:
    """Each locale that processes of mod_wsgi use, and where that is configured."""
    own = environment.get("LC_ALL") or environment.get("LANG") or "C"
    wanted: dict[str, str] = {}
    groups = apache_configuration.daemon_groups(configuration)
    for group in groups:
        named = [group.options[key] for key in ("locale", "lang") if group.options.get(key)]
        for locale in named:
            wanted.setdefault(locale, group.place)
        if not named:
            wanted.setdefault(own, f"the file envvars, for process group {group.name}")
    if any(not script.process_group for script in apache_configuration.scripts(configuration)):
        wanted.setdefault(own, "the file envvars, for Apache's own processes")
    return wanted


def check_locales(wanted: t.Mapping[str, str]) -> t.Iterator[Result]:
    name = "locale"
    missing = doctor_system.ask(_TRY_LOCALES, list(wanted), 10) if wanted else []
    for locale in missing:
        yield Result(
            name,
            FAILED,
            f"The locale {locale} does not exist on this host ({wanted[locale]}).",
            "Trac sets the locale on every request: each is answered with 500, 'unsupported locale "
            "setting', unless the script itself names another.",
            f"Use C.UTF-8 there, or generate it: apt install locales && localedef -i "
            f"{locale.partition('.')[0]} -f UTF-8 {locale}; then: systemctl restart apache2",
            locale,
        )
    if not missing:
        yield Result(name, OK, ", ".join(wanted) or "none is asked for")


@part("site_access", APACHE)
def embedded_mode(host: Host) -> t.Iterator[Result]:
    return embedded_results(host.configuration, host.site_scripts())


def embedded_results(
    configuration: apache_configuration.Configuration,
    scripts: t.Sequence[apache_configuration.Script],
) -> t.Iterator[Result]:
    """Scripts in embedded mode, or without their process group, where embedded mode is off."""
    if not apache_configuration.restricts_embedded(configuration):
        return
    groups = {group.name for group in apache_configuration.daemon_groups(configuration)}
    for script in scripts:
        if not script.process_group:
            seen = f"{script.path} (mount {script.mount}) has no process group ({script.place})"
            means = (
                "WSGIRestrictEmbedded is On: each request is answered with 500, 'Embedded mode of "
                "mod_wsgi disabled by runtime configuration'."
            )
        elif script.process_group not in groups and not script.process_group.startswith("%"):
            seen = (
                f"{script.path} (mount {script.mount}) is for the process group "
                f"{script.process_group}, which no WSGIDaemonProcess makes ({script.place})"
            )
            means = "Each request is answered with 500."
        else:
            continue
        yield Result(
            "site_access",
            FAILED,
            seen + ".",
            means,
            "Add process-group=NAME to the WSGIScriptAlias, with the name of a WSGIDaemonProcess; "
            "then: systemctl reload apache2",
            script.mount,
        )
