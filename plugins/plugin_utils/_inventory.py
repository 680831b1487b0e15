# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is wrong with the variables of an inventory, in words.

Each function takes the values of a role's variables and returns a list of sentences, one for
each problem, that name the variable and what it may be; an empty list means that all is well.
Shapes (types, unknown keys, choices) are read from the roles' own argument specifications, so
that they stand in one place; what a specification cannot say is written here.
"""

from __future__ import annotations

import re
import typing as t

from ansible_collections.trac.mod_wsgi.plugins.module_utils._core import arguments, directories
from ansible_collections.trac.mod_wsgi.plugins.module_utils._environments import (
    environment_input,
    tracignore,
)
from ansible_collections.trac.mod_wsgi.plugins.module_utils._site import (
    authentication as site_authentication,
)
from ansible_collections.trac.mod_wsgi.plugins.module_utils._site import plan as site_plan
from ansible_collections.trac.mod_wsgi.plugins.module_utils._site import tls as site_tls
from ansible_collections.trac.mod_wsgi.plugins.plugin_utils import _hardening, _specification

Spec = t.Dict[str, t.Any]
Problems = t.List[str]

_NAME = re.compile(r"[a-z0-9][a-z0-9_-]*\Z")
_NAME_RULE = "lower case letters, digits, '_' and '-', beginning with a letter or digit"
_MOUNT = re.compile(r"(/|(/[A-Za-z0-9._~-]+)+)\Z")
_HOST = re.compile(
    r"(?=.{1,253}\Z)[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*\Z",
    re.IGNORECASE,
)
_CONTROL = re.compile(r"[\x00-\x1f\x7f\x85\u2028\u2029]")
_DATABASE = re.compile(r"(sqlite|postgres|mysql):\S")


def _shape(where: str, item: object, options: Spec) -> Problems:
    """What the argument specification says against one dictionary of a list."""
    return arguments.problems(where, item, {"type": "dict", "options": options})


def _text(where: str, value: object) -> Problems:
    if _CONTROL.search(str(value)):
        shown = arguments.shown(value)
        return [f"{where} is {shown}; line breaks and other control characters are not allowed."]
    return []


def _match(where: str, value: object, pattern: t.Pattern[str], rule: str) -> Problems:
    if not isinstance(value, str) or not pattern.match(value):
        quotes = "" if isinstance(value, str) else " (in quotes, if they look like a number)"
        return [f"{where} is {arguments.shown(value)}; allowed are {rule}{quotes}."]
    return []


def _items(variable: str, value: object, options: Spec) -> tuple[list[tuple[str, t.Any]], Problems]:
    """The well-shaped items of a list of dictionaries with names, each with the words for it."""
    if not isinstance(value, (list, tuple)):
        shown = arguments.shown(value)
        return [], [f"{variable} is {shown}; it has to be a list of dictionaries."]
    good: list[tuple[str, t.Any]] = []
    problems: Problems = []
    seen: set[str] = set()
    for index, item in enumerate(value):
        where = f"{variable}[{index}]"
        found = _shape(where, item, options)
        if not found:
            name = item["name"]
            rule = _NAME_RULE
            if variable == "trac_environments":
                rule += environment_input.way_out_of_capitals(name)
            found = _match(f"{where}.name", name, _NAME, rule)
            if not found and name in seen:
                found.append(
                    f"{where}.name is {name!r}, which stands in {variable} already; "
                    "names are unique."
                )
            seen.add(str(name))
        if not found:
            known = {"type": "dict", "options": options}
            good.append((where, arguments.converted(item, known)))
        problems += found
    return good, problems


def environment_problems(
    environments: object, defaults: object = None, ignore: object = ()
) -> Problems:
    """Problems of `trac_environments`, `trac_environments_defaults` and `..._ignore`."""
    options = _specification.item_options("trac_environments", "trac_environments_list")
    default_options = _specification.item_options("trac_environments", "trac_environments_defaults")
    defaults = defaults or {}
    items, problems = _items("trac_environments", environments, options)
    wrong = _shape("trac_environments_defaults", defaults, default_options)
    usable = t.cast("t.Mapping[str, t.Any]", defaults if not wrong else {})
    if not wrong:
        found = environment_input.default_problems(usable)
        wrong = [f"trac_environments_defaults: {problem}." for problem in found]
    if wrong:
        problems += wrong
        usable = {}
    for where, item in items:
        if not str(item.get("title", "x")).strip():
            problems.append(f"{where}.title is empty; leave it out to use the name.")
        problems += _text(f"{where}.title", item.get("title", ""))
        if "database" in item:
            problems += _match(
                f"{where}.database",
                item["database"],
                _DATABASE,
                "connection strings of Trac: sqlite:db/trac.db, postgres://..., mysql://...",
            )
        # The rest is what the module refuses, too.
        if not any(problem.startswith(where) for problem in problems):
            _spec, wrong = environment_input.read_spec(item, usable)
            problems += [f"{where}: {problem}." for problem in wrong]
    names = [str(item["name"]) for _where, item in items if item.get("state") != "absent"]
    return problems + _ignore_problems(ignore, names)


def _ignore_problems(ignore: object, names: list[str]) -> Problems:
    if not isinstance(ignore, (list, tuple)) or not all(isinstance(each, str) for each in ignore):
        return [f"trac_environments_ignore is {ignore!r}; it has to be a list of patterns."]
    return [f"trac_environments_ignore: {found}." for found in tracignore.problems(ignore, names)]


def site_problems(
    sites: object, environments: object, environments_dir: str = "", hello_world_path: str = ""
) -> Problems:
    """Problems of `trac_sites`, given the environments that are to be served."""
    options = _specification.item_options("trac_site", "trac_site_sites")
    items, problems = _items("trac_sites", sites, options)
    names = {
        str(item.get("name"))
        for item in (environments if isinstance(environments, (list, tuple)) else [])
        if isinstance(item, t.Mapping) and (item.get("state") or "present") == "present"
    }
    taken: dict[tuple[str, str], str] = {}
    hosts: dict[str, str] = {}
    for where, site in items:
        server = str(site.get("server_name") or "").lower()
        mount = site.get("mount", "/trac")
        problems += _match(
            f"{where}.mount",
            mount,
            _MOUNT,
            "'/' or a path such as '/trac': a slash in front, none at the end",
        )
        if any(part in (".", "..") for part in str(mount).split("/")):
            problems.append(f"{where}.mount is {mount!r}; the parts '.' and '..' are not allowed.")
        if hello_world_path and mount == hello_world_path:
            problems.append(
                f"{where}.mount is {mount!r}, where trac_apache_hello_world_path is served."
            )
        other = taken.setdefault((server, mount), where)
        if other != where:
            problems.append(
                f"{where}.mount is {mount!r}, which {other} has already on "
                f"{'server ' + repr(server) if server else 'the default virtual host'}; "
                "a mount serves one site."
            )
        for host in [server, *(str(alias).lower() for alias in site.get("server_aliases") or [])]:
            if not host:
                continue
            problems += _match(f"{where}.server_name or server_aliases", host, _HOST, "host names")
            if hosts.setdefault(host, server) != server:
                problems.append(
                    f"{where} claims the host {host!r}, which another server_name has already."
                )
        if site.get("environment") and site["environment"] not in names:
            problems.append(
                f"{where}.environment is {site['environment']!r}; it has to be one of "
                f"trac_environments: {', '.join(sorted(names)) or 'which is empty'}. "
                "Leave it out to serve all of them."
            )
        problems += _out_of_range(where, site, options)
        if site.get("preload") is not None and int(site["preload"]) < 0:
            problems.append(
                f"{where}.preload is {site['preload']!r}; it has to be a number of environments, "
                "0 for none."
            )
        problems += _site_pooling(where, site)
        problems += _hardening.size_problems(where, site)
        problems += site_authentication.site_problems(where, site, names)
        if "\x00" in str(site.get("extra_directives", "")):
            problems.append(f"{where}.extra_directives holds a NUL character.")
    given = {"trac_environments_dir": environments_dir} if environments_dir else {}
    problems += [
        problem
        for problem in directories.problems({**given, "trac_sites": sites})
        if problem.startswith("trac_sites[")
    ]
    problems += site_tls.problems(items)
    embedded = [site for _where, site in items if site.get("mode") == "embedded"]
    for key, values in (
        ("pooling", {site.get("pooling", "enabled") for site in embedded}),
        (
            "pool_size",
            {site_plan.pool_size(site) for site in embedded if site.get("script") != "deployed"},
        ),
    ):
        if len(values) > 1:
            problems.append(
                "trac_sites: all sites with mode 'embedded' share one interpreter and with it the "
                f"pool; their {key} has to be the same."
            )
    return problems


def _out_of_range(where: str, item: t.Mapping[str, t.Any], options: Spec) -> Problems:
    """Numbers that the descriptions of their options do not allow."""
    problems: Problems = []
    for key, option in options.items():
        allowed = _specification.allowed_range(option)
        if allowed is None or item.get(key) is None:
            continue
        if not allowed.least <= int(item[key]) <= allowed.most:
            problems.append(
                f"{where}.{key} is {item[key]!r}; "
                f"allowed are {allowed.least} to {allowed.most}{allowed.unit}."
            )
    return problems


def _site_pooling(where: str, site: t.Mapping[str, t.Any]) -> Problems:
    if site.get("script") == "deployed":
        problems = [
            f"{where}.{key} is {site[key]!r}; the script that 'trac-admin deploy' writes knows "
            "nothing of it. Leave out one of them."
            for key, default in (("pooling", "enabled"), ("pool_size", None))
            if (site.get(key) or default) != default
        ]
        remedy = "Leave out 'script: deployed', or use more processes."
    else:
        problems = []
        remedy = "Leave pool_size out to have it follow the threads."
    size = site_plan.pool_size(site)
    if site.get("mode") != "embedded" and not problems and site_plan.threads(site) > size:
        problems.append(
            f"{where}.threads is {site_plan.threads(site)}, and the pool of database connections "
            f"that they share has {size}; a thread that finds none free waits without a time "
            f"limit or fails. {remedy}"
        )
    return problems


def runtime_problems(variables: t.Mapping[str, t.Any]) -> Problems:
    """Problems of the variables of role `trac_runtime`, by their names.

    With them may come those of other roles that name directories (see
    `_core.directories.problems`), and the group of the repositories.
    """
    accounts = ("trac_runtime_user", "trac_runtime_group", "trac_environments_repositories_group")
    problems = directories.problems(variables) + directories.account_problems(
        {name: variables[name] for name in accounts if name in variables}
    )
    version = variables["trac_runtime_version"]
    problems += _match(
        "trac_runtime_version",
        version,
        re.compile(r"1\.(6|[7-9])(\.\d+)*((a|b|rc|\.dev|\.post)\d+)?\Z"),
        'releases of Trac from "1.6" on, in quotes',
    )
    for name, known in (
        ("trac_runtime_extras", ["babel", "pygments", "docutils", "textile"]),
        ("trac_runtime_bindings", ["postgresql", "mysql", "git", "subversion"]),
    ):
        problems += [
            f"{name} holds {item!r}; allowed are {', '.join(known)}."
            for item in variables[name]
            if item not in known
        ]
    kinds = ["requirement", "wheel", "file"]
    for index, plugin in enumerate(variables["trac_runtime_plugins"]):
        key = f"trac_runtime_plugins[{index}]"
        if not isinstance(plugin, t.Mapping) or len(plugin) != 1 or next(iter(plugin)) not in kinds:
            problems.append(
                f"{key} is {plugin!r}; it has to have exactly one of the keys {', '.join(kinds)}."
            )
            continue
        kind, value = next(iter(plugin.items()))
        if kind == "requirement":
            problems += _match(
                f"{key}.requirement",
                value,
                re.compile(r"[A-Za-z0-9]\S.*\Z"),
                "requirements as pip reads them",
            )
        elif kind == "wheel":
            problems += _match(
                f"{key}.wheel",
                value,
                re.compile(r"(.*/)?[A-Za-z0-9._]+-[A-Za-z0-9._+!]+-[^/]+\.whl\Z"),
                "paths of wheels: NAME-VERSION-....whl",
            )
        else:
            problems += _match(
                f"{key}.file",
                value,
                re.compile(r"(.*/)?[A-Za-z_][A-Za-z0-9_]*\.py\Z"),
                "paths of Python files: NAME.py",
            )
    for name, value in variables["trac_runtime_pip_environment"].items():
        if not arguments.is_text(value) and (isinstance(value, bool) or not isinstance(value, int)):
            problems.append(
                f"trac_runtime_pip_environment[{name!r}] is "
                f"{arguments.shown(value, secret=True)}; it has to be text."
            )
        problems += _match(
            "trac_runtime_pip_environment",
            name,
            re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z"),
            "names of environment variables",
        )
    return problems
