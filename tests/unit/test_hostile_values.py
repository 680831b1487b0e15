# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Values of an inventory are data: each arrives as it was given, or is refused by its name.

From the variables through the checks of the first play to what is written, and back again by what
reads it: Python, Trac, and a reading of Apache's rules (Apache itself does in scenario hardening).
TRAC_TEST_EXAMPLES says how many values each test tries.
"""

from __future__ import annotations

import ast
import contextlib
import ipaddress
import os
import pathlib
import re
import typing as t

import jinja2
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from trac.config import Configuration
from trac.db.api import parse_connection_uri

from ansible_collections.trac.mod_wsgi.plugins.module_utils._environments import environment_input
from ansible_collections.trac.mod_wsgi.plugins.module_utils._site import plan as site_plan
from ansible_collections.trac.mod_wsgi.plugins.module_utils._trac import ini_edit
from ansible_collections.trac.mod_wsgi.plugins.plugin_utils import (
    _database_url,
    _hardening,
    _inventory,
)
from ansible_collections.trac.mod_wsgi.tests.unit.plugins.site_settings import (
    SETTINGS,
    planned,
)

ROLE = pathlib.Path(__file__).parents[2] / "roles" / "trac_site"
SOURCE = (ROLE / "files" / "trac.wsgi").read_text(encoding="utf-8")

EXAMPLES = settings(
    max_examples=int(os.environ.get("TRAC_TEST_EXAMPLES", "150")),
    # The same ones each time, unless somebody asks for more: a test that fails is to fail again.
    derandomize="TRAC_TEST_EXAMPLES" not in os.environ,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)

PIECES = [
    *"aZ0 ~-_./:@,;#=?&+*^$|<>[](){}!%'\"\\`\t\n\r\0\x7f",
    *("é", "日本", "😀", "\u2028", "\x85", "\xa0"),
    *("${HOME}", "%{GLOBAL}", "%(here)s", "{{ x }}", "{% x %}", "$(id)", "`id`", "\\\n", '\\"'),
    *(
        '"""',
        "\n</VirtualHost>\n",
        "\n[trac]\ndatabase = x\n",
        "\nInclude /etc/passwd",
        "../",
        "expr=",
    ),
]
HOSTILE = st.lists(st.sampled_from(PIECES), max_size=6).map("".join) | st.text(max_size=8)
# Without surrogates, which no inventory can hold.
HOSTILE = HOSTILE.filter(lambda value: not re.search("[\ud800-\udfff]", value))


def perhaps(*good: t.Any) -> st.SearchStrategy[t.Any]:
    """Mostly what is allowed: where all values are hostile, one alone never gets far."""
    return st.sampled_from(good) | st.sampled_from(good) | st.sampled_from(good) | HOSTILE


# -- Apache's rules --------------------------------------------------------------------------


def word(text: str) -> tuple[str, str]:
    """The first argument of a directive, and the rest, as ap_getword_conf finds them."""
    text = text.lstrip()
    if text[:1] in ('"', "'"):
        quote, end = text[0], 1
        while end < len(text) and text[end] != quote:
            end += 2 if text[end] == "\\" and text[end + 1 : end + 2] in ("\\", quote) else 1
        assert end < len(text), f"an argument without an end: {text}"
        return re.sub(rf"\\([\\{quote}])", r"\1", text[1:end]), text[end + 1 :].lstrip()
    first, _blank, rest = text.partition(" ")
    return first, rest.lstrip()


def directives(text: str) -> list[tuple[str, list[str]]]:
    """The directives of a configuration in their sections, each with its arguments."""
    found: list[tuple[str, list[str]]] = []
    sections: list[str] = []
    for line in re.sub(r"\\\n", " ", text).split("\n"):
        content = line.strip()
        if not content or content.startswith("#"):
            continue
        if content.startswith("</"):
            assert content == f"</{sections.pop()}>"
            continue
        opens = content.startswith("<")
        name, rest = word(content[1:-1] if opens else content)
        assert re.fullmatch("[A-Za-z_][A-Za-z0-9_]*", name), line
        arguments = []
        while rest:
            argument, rest = word(rest)
            arguments.append(argument)
        found.append(("/".join([*sections, name]), arguments))
        if opens:
            sections.append(name)
    assert not sections
    return found


def test_the_reader_of_apaches_rules() -> None:
    text = '<A "x y">\n  B "a\\"b\\\\" c \\\n  d\n</A>\n# e\n'
    assert directives(text) == [("A", ["x y"]), ("A/B", ['a"b\\', "c", "d"])]


# -- sites -------------------------------------------------------------------------------------

ENVIRONMENTS = [{"name": "one"}, {"name": "two"}]
VARIABLES = {
    "trac_site_venv": "/opt/trac",
    "trac_site_user": "trac",
    "trac_site_group": "trac",
    "trac_site_home": "/srv/trac",
    "trac_site_document_root": "/var/www/html",
    "trac_site_hello_world_path": "/hello-world",
    "__trac_site_hello_world_script": "/srv/trac/hello-world/hello.wsgi",
    "__trac_site_gate": "/srv/trac/sites/.closed",
    "__trac_site_gate_header": "X-Trac-Upgrade",
}

SITE = st.fixed_dictionaries(
    {"name": perhaps("trac", "a-b_2")},
    optional={
        "server_name": perhaps("", "a.example.org"),
        "server_aliases": st.lists(perhaps("b.example.org"), max_size=2),
        "mount": perhaps("/", "/trac", "/a.b/~c"),
        "environment": perhaps("one", "two"),
        "egg_cache": perhaps("/var/cache/x"),
        "extra_site_directories": st.lists(perhaps("/usr/lib/python3/dist-packages"), max_size=2),
    },
)


def virtual_hosts(
    site: dict[str, t.Any], headers: t.Mapping[str, str] | None = None
) -> list[tuple[str, list[str]]]:
    plan = planned([site], ENVIRONMENTS, SETTINGS)
    hardening = _hardening.site_hardening(
        plan["sites"],
        ENVIRONMENTS,
        {"headers": headers or {}, "rate_limits": {}, "robots": True, "found": {}},
    )
    # As Ansible's templates are read.
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(ROLE / "templates"),
        trim_blocks=True,
        undefined=jinja2.StrictUndefined,
        autoescape=False,
    )
    environment.filters["trac.mod_wsgi.apache_argument"] = site_plan.apache_argument
    text = environment.get_template("000-trac.conf.j2").render(
        VARIABLES,
        __trac_site_plan={**plan, "hardening": hardening, "existing_paths": []},
    )
    return directives(text)


@EXAMPLES
@given(SITE)
def test_sites_are_refused_by_name_or_served_as_they_are(site: dict[str, t.Any]) -> None:
    problems = _inventory.site_problems(
        [site], ENVIRONMENTS, "/srv/trac/environments", "/hello-world"
    )
    assert all(problem.startswith("trac_sites[0]") for problem in problems), problems
    if problems:
        return
    (full,) = planned([site], ENVIRONMENTS, SETTINGS)["sites"]
    hosts = virtual_hosts(site)
    found = dict(hosts)
    assert (["/robots.txt", f"/srv/trac/sites/{site['name']}/robots.txt"]) in [
        arguments for name, arguments in hosts if name == "VirtualHost/Alias"
    ]
    assert found["VirtualHost/WSGIScriptAlias"][0] == site.get("mount", "/trac")
    assert found["VirtualHost/WSGIScriptAlias"][1] == f"/srv/trac/sites/{site['name']}/trac.wsgi"
    assert found["VirtualHost/WSGIDaemonProcess"][0] == f"trac-{site['name']}"
    names = [arguments for name, arguments in hosts if name == "VirtualHost/ServerName"]
    assert names == ([[site["server_name"]]] if site.get("server_name") else [])
    aliases = [arguments[0] for name, arguments in hosts if name == "VirtualHost/ServerAlias"]
    assert aliases == site.get("server_aliases", [])
    script = script_settings(full)
    assert script["egg_cache"] == (site.get("egg_cache") or f"/var/cache/trac/{site['name']}")


def script_settings(site: dict[str, t.Any]) -> dict[str, t.Any]:
    """The settings in the script of a site, as Python reads them."""
    script = site_plan.wsgi_script(SOURCE, site)
    # Nothing but the settings differs from the source.
    assert ast.dump(rest_of(script)) == ast.dump(rest_of(SOURCE))
    for statement in ast.parse(script).body:
        if isinstance(statement, ast.Assign) and ast.unparse(statement.targets[0]) == "SETTINGS":
            return t.cast("dict[str, t.Any]", ast.literal_eval(statement.value))
    pytest.fail("The script has no settings.")


def rest_of(source: str) -> ast.Module:
    module = ast.parse(source)
    module.body = [
        statement
        for statement in module.body
        if not (
            isinstance(statement, (ast.Assign, ast.AnnAssign))
            and ast.unparse(statement).startswith("SETTINGS")
        )
    ]
    return module


@EXAMPLES
@given(HOSTILE, HOSTILE, st.lists(HOSTILE, max_size=3))
def test_whatever_reaches_the_script_is_text(one: str, two: str, more: list[str]) -> None:
    (site,) = planned([{"name": "trac"}], ENVIRONMENTS, SETTINGS)["sites"]
    found = script_settings(
        {**site, "environment_path": one, "egg_cache": two, "extra_site_directories": more}
    )
    assert (found["environment"], found["egg_cache"], found["site_directories"]) == (one, two, more)


@EXAMPLES
@given(st.lists(HOSTILE, min_size=1, max_size=4))
def test_whatever_is_quoted_for_apache_is_one_argument(values: list[str]) -> None:
    quoted = []
    for value in values:
        with contextlib.suppress(site_plan.PlanError):
            quoted.append((value, site_plan.apache_argument(value)))
    refused = [value for value in values if value not in dict(quoted)]
    assert all(re.search(r"[\x00-\x1f\x7f]|\$\{", value) for value in refused)
    line = "Name " + " ".join(argument for _value, argument in quoted)
    assert directives(line) == [("Name", [value for value, _argument in quoted])]


@EXAMPLES
@given(
    st.dictionaries(
        perhaps("X-A", "Referrer-Policy", "x-frame-options") | st.text("a'\"#%$\\<", max_size=2),
        st.sampled_from(["a", "5%"]) | HOSTILE,
        max_size=3,
    )
)
def test_headers_are_refused_by_name_or_sent_as_they_are(headers: dict[str, str]) -> None:
    problems = _hardening.header_problems(headers)
    assert all(problem.startswith("trac_site_security_headers") for problem in problems)
    if problems:
        return
    sent = {
        arguments[0].lower(): arguments[1].replace("%%", "%")
        for name, arguments in virtual_hosts({"name": "trac"}, headers)
        if name.endswith("/Header") and arguments[0] != "always"
        for arguments in [arguments[1:]]
        if arguments[0] != "Cache-Control"
    }
    # The last spelling of a name counts.
    wanted = {name.lower(): value for name, value in headers.items()}
    assert {name: sent.get(name, "") for name in wanted} == wanted


# -- environments --------------------------------------------------------------------------------


@EXAMPLES
@given(
    st.fixed_dictionaries(
        {"name": perhaps("one")},
        optional={
            "title": HOSTILE,
            "database": perhaps("sqlite:db/trac.db", "postgres://u:p@h/d"),
            "config": st.dictionaries(
                perhaps("project", "a b"),
                st.dictionaries(perhaps("url", "x.y"), HOSTILE, max_size=2),
                max_size=2,
            ),
            "permissions": st.dictionaries(
                perhaps("anna"), st.lists(perhaps("WIKI_VIEW"), max_size=2), max_size=2
            ),
        },
    )
)
def test_environments_are_refused_by_name_or_made_as_they_are(
    tmp_path: pathlib.Path, environment: dict[str, t.Any]
) -> None:
    problems = _inventory.environment_problems([environment])
    assert all(problem.startswith("trac_environments[0]") for problem in problems), problems
    if problems:
        return
    spec, _problems = environment_input.read_spec(environment)
    wanted = {name: value for name, value in spec.options.items() if value is not None}
    config = trac_ini(tmp_path, wanted)
    assert {name: config.get(*name) for name in wanted} == wanted
    assert set(config.parser.sections()) == {section for section, _option in wanted}
    assert spec.permissions == [
        (name, action)
        for name, actions in environment.get("permissions", {}).items()
        for action in dict.fromkeys(actions)
    ]


def trac_ini(directory: pathlib.Path, options: dict[tuple[str, str], str]) -> Configuration:
    path = directory / "trac.ini"
    path.write_text(ini_edit.apply("", options), encoding="utf-8", newline="")
    return Configuration(str(path))


# What means something in a connection string, more often than the rest.
OF_URLS = st.text("@:/%?&=#+ a", min_size=1, max_size=4) | HOSTILE


@EXAMPLES
@given(OF_URLS, OF_URLS, perhaps("db.example.org"), perhaps("trac_one"), OF_URLS)
def test_connection_strings_are_refused_or_read_by_trac_as_they_are(
    tmp_path: pathlib.Path, login: str, password: str, host: str, database: str, schema: str
) -> None:
    values: dict[str, t.Any] = {
        "login": login,
        "password": password,
        "host": host,
        "database": database,
    }
    plain = re.compile(r"[A-Za-z0-9._-]+\Z")
    parameters = {"schema": schema}
    if is_ipv6(host):
        # It stands among the parameters.
        parameters["host"], host = host, ""
    if not (login and password and (not host or plain.match(host)) and plain.match(database)):
        # A password's text is never the reason, and never told.
        with pytest.raises(_database_url.UrlError, match="login|password|host|database"):
            _database_url.database_url("postgres", **values, parameters={"schema": schema})
        return
    url = _database_url.database_url("postgres", **values, parameters={"schema": schema})
    config = trac_ini(tmp_path, {("trac", "database"): url})
    _scheme, parts = parse_connection_uri(config.get("trac", "database"))
    found = [parts.get(key) for key in ("user", "password", "host", "path", "params")]
    assert found == [login, password, host or None, f"/{database}", parameters]


def is_ipv6(host: str) -> bool:
    with contextlib.suppress(ValueError):
        return ipaddress.ip_address(host).version == 6
    return False


# -- the virtual environment --------------------------------------------------------------------


@EXAMPLES
@given(
    st.fixed_dictionaries(
        {
            "trac_runtime_venv": perhaps("/opt/trac"),
            "trac_runtime_home": perhaps("/srv/trac"),
            "trac_runtime_user": perhaps("trac"),
            "trac_runtime_group": perhaps("trac"),
            "trac_runtime_version": perhaps("1.6"),
        }
    )
)
def test_the_runtime_takes_plain_names_only(variables: dict[str, t.Any]) -> None:
    lists: dict[str, t.Any] = {
        "trac_runtime_extras": [],
        "trac_runtime_bindings": [],
        "trac_runtime_plugins": [],
        "trac_runtime_pip_environment": {},
    }
    problems = _inventory.runtime_problems({**variables, **lists})
    named = {problem.partition(" ")[0] for problem in problems}
    assert named <= set(variables)
    for name, value in variables.items():
        # These stand in shell scripts and in Apache's configuration without quotes.
        assert name in named or re.fullmatch(r"[A-Za-z0-9._/+@-]+", value)
