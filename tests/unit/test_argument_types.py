# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every variable of every role, given values of every wrong type: refused in words, or taken."""

from __future__ import annotations

import ast
import copy
import datetime
import math
import pathlib
import typing as t

import pytest
import yaml

from ansible_collections.trac.mod_wsgi.plugins.filter import databases as database_filters
from ansible_collections.trac.mod_wsgi.plugins.module_utils._core import arguments
from ansible_collections.trac.mod_wsgi.plugins.module_utils._environments import environment_input
from ansible_collections.trac.mod_wsgi.plugins.module_utils._site import plan as plan_module
from ansible_collections.trac.mod_wsgi.plugins.plugin_utils import (
    _inventory,
    _role_types,
    _role_variables,
    _specification,
)
from ansible_collections.trac.mod_wsgi.tests.unit.plugins.role_values import role_values
from ansible_collections.trac.mod_wsgi.tests.unit.plugins.site_settings import planned

ROLES = pathlib.Path(__file__).resolve().parents[2] / "roles"
Values = t.Dict[str, t.Any]

SECRET = "hunter2hunter2"
WRONG: dict[str, t.Any] = {
    "true": True,
    "false": False,
    "a number": 5,
    "a negative number": -1,
    "a huge number": 16**5000,
    "a number with a point": 1.5,
    "not a number": math.nan,
    "infinite": math.inf,
    "null": None,
    "empty text": "",
    "text": SECRET,
    "long text": "x" * 5_000,
    "text with a control character": "a\x00\nb",
    "an empty list": [],
    "a list of numbers": [1, 2.5],
    "a list of text": [SECRET],
    "a list of null": [None],
    "a list of lists": [[SECRET], []],
    "a list of dictionaries": [{"name": SECRET}],
    "a list of odd dictionaries": [{None: SECRET, 5: [], True: {}}],
    "an empty dictionary": {},
    "a dictionary": {"name": SECRET},
    "a dictionary of dictionaries": {"a": {"b": {"c": SECRET}}},
    "a dictionary of lists": {"a": [None, {"b": SECRET}, True], "b": [5]},
    "a dictionary with odd keys": {None: SECRET, 5: {True: SECRET}, True: [], 1.5: None},
    "a date": datetime.date(2027, 1, 31),
    "a time": datetime.datetime(2027, 1, 31, 18, 0),
}

# What a role may be given, with something in each option that holds others.
SETTINGS: Values = {
    "dir": "/srv/trac/sites",
    "environments_dir": "/srv/trac/environments",
    "cache_dir": "/var/cache/trac",
    "marker": ".made",
    "user": "trac",
    "apache_user": "www-data",
    "hello_world_path": "",
    "memberships": {},
    "groups_claim": "",
    "host": "host",
    "port": 80,
    "base_url": "http://127.0.0.1",
    "tls_dir": "/etc/ssl/trac",
    "tls_port": 443,
    "tls_base_url": "https://127.0.0.1",
}
USERS = [{"name": "anna", "password": "x", "groups": ["g"], "state": "present"}]
ENVIRONMENT: Values = {
    "name": "project",
    "title": "T",
    "config": {"trac": {"debug_sql": False}},
    "permissions": {"anna": ["TRAC_ADMIN"]},
    "milestones": [{"name": "m", "due": "2027-01-31", "completed": None, "description": "d"}],
    "components": [{"name": "c", "owner": "o", "description": "d"}],
    "versions": [{"name": "v", "time": "2027-01-31", "description": "d"}],
    "priorities": [{"name": "p", "description": "d"}],
    "ticket_types": ["t"],
    "severities": ["s"],
    "resolutions": ["r"],
    "exclusive": ["components"],
    "repositories": [{"name": "code", "type": "git", "dir": "/srv/git/code.git"}],
}
AUTHENTICATION = {"type": "basic", "groups": ["g"], "providers": ["file"], "realm": "r"}
TLS_FILES = {"certificate_file": "/a.crt", "key_file": "/a.key", "hsts": 5, "redirect": True}
TLS_ACME = {"acme": {"contact": "a@b.example", "accept_terms": True}}
SITE: Values = {
    "name": "trac",
    "server_name": "trac.example.org",
    "server_aliases": ["www.example.org"],
    "mount": "/trac",
    "tls": TLS_FILES,
    "authentication": AUTHENTICATION,
    "extra_site_directories": ["/usr/lib/python3/dist-packages"],
}
DEFAULTS = {key: ENVIRONMENT[key] for key in (*environment_input.DEFAULT_KEYS[:2], "priorities")}
GIVEN: dict[str, list[Values]] = {
    "trac_apache": [{"trac_apache_hello_world_path": "/hello-world"}],
    "trac_backup": [
        {
            "trac_backup_dir": "/var/backups/trac",
            "trac_backup_restic_repository": "sftp:b:/r",
            "trac_backup_restic_password": "p",
            "trac_backup_environments": ["project"],
        }
    ],
    "trac_database": [
        {
            "trac_database_type": "postgresql",
            "trac_database_layout": "database",
            "trac_database_prefix": "trac_",
            "trac_database_schema_database": "trac",
            "trac_database_environments": [{"name": "project", "state": "present"}],
            "trac_database_passwords": {"project": "geheim"},
            "trac_database_address": "192.0.2.1",
            "trac_database_clients": ["192.0.2.2"],
            "trac_database_port": 5432,
            "trac_database_max_connections": 100,
            "trac_database_socket": "/run/postgresql",
            "trac_database_tls_certificate": "",
            "trac_database_tls_key": "",
            "trac_database_tls_ca": "",
        }
    ],
    "trac_environments": [
        {
            "trac_environments_list": [ENVIRONMENT],
            "trac_environments_defaults": DEFAULTS,
            "trac_environments_dir": "/srv/trac/environments",
            "trac_environments_ignore": ["old*"],
            "trac_environments_repositories_dir": "/srv/trac/repositories",
        }
    ],
    "trac_restore": [
        {"trac_restore_environments": [{"name": "a", "file": "/f.tar.gz", "database": "sqlite:x"}]}
    ],
    "trac_runtime": [
        {
            "trac_runtime_version": "1.6",
            "trac_runtime_venv": "/opt/trac",
            "trac_runtime_user": "trac",
            "trac_runtime_group": "trac",
            "trac_runtime_home": "/srv/trac",
            "trac_runtime_extras": ["babel"],
            "trac_runtime_bindings": ["git"],
            "trac_runtime_plugins": [{"requirement": "A"}, {"wheel": "/A-1-py3-none-any.whl"}],
            "trac_runtime_pip_environment": {"PIP_CERT": "/a.pem"},
        }
    ],
    "trac_site": [
        {
            "trac_site_sites": [{**SITE, "tls": tls}],
            "trac_site_users": USERS,
            "trac_site_ldap": {"url": "ldap://l.example.org/", "bind_dn": "cn=a"},
            "trac_site_openid_connect": {"client_id": "c", "client_secret": "s"},
            "trac_site_environments": [{"name": "project", "title": "T"}],
            "trac_site_environments_defaults": {"config": {"attachment": {"max_size": 5}}},
            "trac_site_environments_dir": "/srv/trac/environments",
            "trac_site_hello_world_path": "/hello-world",
            "trac_site_security_headers": {"X-A": "b"},
            "trac_site_rate_limits": {"login": 5},
            "trac_site_writable_paths": ["/home/a"],
        }
        for tls in (TLS_FILES, TLS_ACME)
    ],
    "trac_upgrade": [{"trac_upgrade_drain_timeout": 5}],
    "trac_verify": [
        {"trac_verify_sites": [SITE], "trac_verify_environments": [{"name": "project"}]}
    ],
}


def role_problems(role: str, values: Values) -> list[str]:
    """What module validate_variables says; what is accepted has to work."""
    beside = {"trac_sites": values["trac_site_sites"]} if role == "trac_site" else {}
    given = _role_variables.variables(role, {**role_values(role), **values}, beside, hosts=["db"])
    found = _role_variables.problems(given)
    if role == "trac_site" and not found:
        plan = planned(values["trac_site_sites"], values["trac_site_environments"], SETTINGS)
        for site in plan["sites"]:
            ast.parse(plan_module.wsgi_script("SETTINGS = {}\n", site))
    return [each for each in found if each != "Nothing has been changed."]


Path = t.Tuple[t.Union[str, int], ...]


def paths(value: object, path: Path = ()) -> t.Iterator[Path]:
    """Where in a value another can be put: everywhere."""
    if path:
        yield path
    items: t.Iterable[tuple[t.Any, object]] = ()
    if isinstance(value, dict):
        items = value.items()
    elif isinstance(value, list):
        items = enumerate(value)
    for key, item in items:
        yield from paths(item, (*path, key))


def put(values: Values, path: Path, value: object) -> Values:
    changed = copy.deepcopy(values)
    where: t.Any = changed
    for key in path[:-1]:
        where = where[key]
    where[path[-1]] = value
    return changed


def specified(options: t.Mapping[str, t.Any], path: Path = ()) -> t.Iterator[Path]:
    """Every option of a specification, in the first item of each list."""
    for name, option in options.items():
        yield (*path, name)
        deeper = (*path, name, 0) if option.get("type") == "list" else (*path, name)
        yield from specified(option.get("options") or {}, deeper)


def all_paths(role: str, values: Values) -> list[Path]:
    found = dict.fromkeys(paths(values))
    for path in specified(_specification.role_options(role)):
        try:
            put(values, path, None)
        except (KeyError, IndexError):
            continue  # in an option that this example leaves out
        found[path] = None
    return list(found)


CASES = [
    pytest.param(role, values, path, id=f"{role}-{number}-{'.'.join(map(str, path))}")
    for role, examples in GIVEN.items()
    for number, values in enumerate(examples)
    for path in all_paths(role, values)
]


@pytest.mark.parametrize(("role", "values"), [(role, each[0]) for role, each in GIVEN.items()])
def test_the_examples_have_the_right_types(role: str, values: Values) -> None:
    assert _role_types.problems({**role_values(role), **values}, role) == []


@pytest.mark.parametrize(("role", "values", "path"), CASES)
def test_a_wrong_type_is_named_or_taken(role: str, values: Values, path: Path) -> None:
    before = role_problems(role, values)
    for words, wrong in WRONG.items():
        problems = role_problems(role, put(values, path, wrong))
        for problem in problems:
            said = f"{words}: {problem}"
            assert isinstance(problem, str)
            assert "trac_" in problem or role == "trac_backup", said  # cron_problem stands alone
            for internal in ("Traceback", "<class", "NoneType", "not iterable", "has no attribute"):
                assert internal not in problem, said
            if "password" in str(path[-1]) or "secret" in str(path[-1]) or path[-1] == "key":
                assert SECRET not in problem, said
        if problems and not before and len(path) > 1 and isinstance(path[-1], str):
            # Options of trac.ini are named as there.
            named = (path[-1], *(["["] if path[-1] == "config" else []))
            assert any(name in problem for problem in problems for name in named), (words, problems)


def specified_roles() -> list[str]:
    return sorted(path.parents[1].name for path in ROLES.glob("*/tasks/main.yml"))


def test_every_role_is_tried() -> None:
    assert specified_roles() == sorted(GIVEN)


@pytest.mark.parametrize("role", specified_roles())
def test_a_role_checks_its_variables_first(role: str) -> None:
    """Before it does anything."""
    tasks = yaml.safe_load((ROLES / role / "tasks" / "inputs.yml").read_text(encoding="utf-8"))
    assert tasks[0]["trac.mod_wsgi.validate_variables"]["role"] == role
    main = yaml.safe_load((ROLES / role / "tasks" / "main.yml").read_text(encoding="utf-8"))
    assert main[0]["ansible.builtin.include_tasks"] == "inputs.yml"


@pytest.mark.parametrize(
    ("value", "option", "taken"),
    [
        (2024, {}, "2024"),
        (1.5, {}, "1.5"),
        (datetime.date(2027, 1, 31), {}, "2027-01-31"),
        ("no", {"type": "bool"}, False),
        ("Yes", {"type": "bool"}, True),
        (1, {"type": "bool"}, True),
        (" 7 ", {"type": "int"}, 7),
        (5.0, {"type": "int"}, 5),
        ([1], {"type": "list", "elements": "str"}, ["1"]),
        (
            {"a": "off", "b": None},
            {"type": "dict", "options": {"a": {"type": "bool"}, "b": {}}},
            {"a": False},
        ),
        ({"a": {5: None}}, {"type": "dict"}, {"a": {5: None}}),
    ],
)
def test_what_is_taken_becomes_what_is_specified(
    value: object, option: dict[str, t.Any], taken: object
) -> None:
    assert arguments.problems("x", value, option) == []
    assert arguments.converted(value, option) == taken


@pytest.mark.parametrize(
    ("role", "values", "sentence"),
    [
        ("trac_site", {"trac_site_sites": [{"name": "a", "tls": True}]},
         "trac_sites[0].tls is true; it has to be a dictionary."),
        ("trac_site", {"trac_site_sites": {"name": "a"}},
         "trac_sites is a dictionary; it has to be a list of dictionaries."),
        ("trac_site", {"trac_site_sites": [{"name": "a", "server_aliases": "www.example.org"}]},
         "trac_sites[0].server_aliases is 'www.example.org'; it has to be a list of texts."),
        ("trac_site", {"trac_site_sites": [{"name": "a", "mode": "deamon"}]},
         "trac_sites[0].mode is 'deamon'; allowed are daemon, embedded."),
        ("trac_site", {"trac_site_sites": [{"name": "a", "threads": True}]},
         "trac_sites[0].threads is true; it has to be a whole number."),
        ("trac_site", {"trac_site_sandbox": "maybe"},
         "trac_site_sandbox is 'maybe'; it has to be true or false."),
        ("trac_site", {"trac_site_user": 5},
         "trac_site_user (or trac_runtime_user) is 5; it has to be text; put quotes around it."),
        ("trac_environments", {"trac_environments_list": [{"name": "a", "title": True}]},
         "trac_environments[0].title is true; it has to be text; put quotes around it."),
        ("trac_environments", {"trac_environments_list": [{"title": "a"}]},
         "trac_environments[0].name is missing; it has to be text."),
        ("trac_runtime", {"trac_runtime_version": 1.10},
         "trac_runtime_version is 1.1; it has to be text; put quotes around it."),
        ("trac_runtime", {"trac_runtime_plugins": None},
         "trac_runtime_plugins is empty (null); it has to be a list of dictionaries."),
        ("trac_backup", {"trac_backup_restic_password": 1234},
         "trac_backup_restic_password is a number; it has to be text; put quotes around it."),
        ("trac_database", {"trac_database_passwords": [SECRET]},
         "trac_database_passwords is a list; it has to be a dictionary."),
        ("trac_verify", {"trac_verify_checks": ["nonsense"]},
         "trac_verify_checks[0] is 'nonsense'; allowed are apache_configuration, "),
    ],
)  # fmt: skip
def test_the_sentence(role: str, values: Values, sentence: str) -> None:
    if "trac_site_sites" in values and not isinstance(values["trac_site_sites"], dict):
        (problem,) = _inventory.site_problems(values["trac_site_sites"], [])
    elif "trac_environments_list" in values:
        (problem,) = _inventory.environment_problems(values["trac_environments_list"])
    else:
        (problem,) = _role_types.problems(values, role)
    assert problem.startswith(sentence)


def test_a_list_may_be_given_as_text_where_modules_take_it() -> None:
    assert _role_types.problems({"trac_verify_checks": "database, plugins"}, "trac_verify") == []
    assert _role_types.problems({"trac_backup_environments": "a"}, "trac_backup") == []


def test_a_year_is_a_title() -> None:
    options, problems = environment_input.read_spec({"name": "a", "title": 2024})
    assert problems == []
    assert options.options["project", "name"] == "2024"


def test_a_switch_in_words_is_a_switch_in_the_script() -> None:
    """Extra variables and inventories in INI have texts only."""
    values = {**GIVEN["trac_site"][0]}
    options = _specification.item_options("trac_site", "trac_site_sites")
    site = _specification.completed({"name": "a", "freeze": "no", "threads": "7"}, options)
    assert site["freeze"] is False
    assert site["threads"] == 7
    assert values["trac_site_sites"][0] == SITE


def test_an_environment_of_a_wrong_shape_breaks_no_database_host() -> None:
    """Its own host refuses it; the database host is checked before."""
    for wrong in (*WRONG.values(), [5], [{"name": None}], [[]]):
        hostvars = {
            "web": {"trac_environments": wrong, "trac_environments_defaults": wrong},
            "db": {"trac_environments_database_host": wrong},
        }
        groups = {"trac_web": ["web", "db"], "trac_database": ["db"], "all": ["web", "db"]}
        needs = database_filters.database_needs("db", hostvars, groups)
        assert isinstance(needs["environments"], list)
