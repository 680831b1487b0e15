"""What is refused before a host is touched, and what is not: tables of cases."""

from __future__ import annotations

import datetime
import typing as t

import pytest

from ansible_collections.trac.mod_wsgi.plugins.plugin_utils import _inventory


def environment(**keys: t.Any) -> list[dict[str, t.Any]]:
    return [{"name": "project", **keys}]


@pytest.mark.parametrize(
    "environments",
    [
        [],
        environment(),
        environment(
            title="A \"title\" with 'quotes', 100 %, {{ braces }}, ${dollar} and Ünïcödé ☃"
        ),
        environment(database="postgres://trac:p%40ss@db/project?schema=x"),
        environment(config={"trac": {"debug_sql": False, "repository_sync_per_request": ""}}),
        environment(config={"components": {"tracopt.versioncontrol.*": "enabled"}}),
        environment(config={"trac": {"permission_policies": ["A", "B"], "old": None}}),
        environment(permissions={"admin": ["TRAC_ADMIN"], "authenticated": ["developers"]}),
        environment(milestones=["m", {"name": "n", "due": datetime.date(2027, 1, 31)}]),
        environment(versions=["1.0", 2.0], exclusive=["versions", "permissions"], upgrade=True),
        environment(priorities=[], ticket_types=["a"], severities=["b"], resolutions=["c"]),
        environment(components=[{"name": "c", "owner": "anna", "description": "x"}]),
        [{"name": "a"}, {"name": "b-2_x"}, {"name": "0"}],
    ],
)
def test_good_environments(environments: object) -> None:
    assert _inventory.environment_problems(environments) == []


@pytest.mark.parametrize(
    ("environments", "words"),
    [
        ("project", ["trac_environments is 'project'", "list"]),
        (["project"], ["trac_environments[0] is 'project'", "dictionary"]),
        ([{}], ["trac_environments[0]", "name"]),
        ([{"name": "../x"}], ["trac_environments[0].name is '../x'", "lower case letters"]),
        (
            [{"name": "MyProject"}],
            ["name: myproject with adopt_from: /where/it/is/MyProject", "mount: /trac/MyProject"],
        ),
        ([{"name": "a b"}], ["trac_environments[0].name is 'a b'", "lower case letters"]),
        ([{"name": '"; import os'}], ["trac_environments[0].name", "lower case letters"]),
        ([{"name": ""}], ["trac_environments[0].name is ''", "lower case letters"]),
        ([{"name": "project\n"}], ["trac_environments[0].name", "lower case letters"]),
        ([{"name": "_x"}], ["trac_environments[0].name is '_x'"]),
        ([{"name": "a"}, {"name": "a"}], ["trac_environments[1].name is 'a'", "unique"]),
        (environment(titel="x"), ["unknown key titel", "title"]),
        (environment(title="two\nlines"), ["trac_environments[0].title", "line breaks"]),
        (environment(title=" "), ["trac_environments[0].title is empty"]),
        (environment(database="oracle:x"), ["trac_environments[0].database", "sqlite:db/trac.db"]),
        (environment(config=["x"]), ["trac_environments[0]", "config"]),
        (environment(config={"a\nb": {"x": "y"}}), ["trac_environments[0]: [a", "control"]),
        (environment(config={"trac": "x"}), ["[trac] has to be a dictionary"]),
        (environment(config={"trac": {"a=b": "x"}}), ["[trac] a=b"]),
        (environment(config={"trac": {"a": {"x": 1}}}), ["[trac] a", "dict"]),
        (environment(config={"trac": {"a": "x\x00"}}), ["[trac] a", "NUL"]),
        (environment(config={"trac": {"a": " x"}}), ["[trac] a", "white space"]),
        (environment(permissions={"joe": "TRAC_ADMIN"}), ["permissions", "'joe'", "list"]),
        (environment(permissions={"": ["TRAC_ADMIN"]}), ["permissions: '' is empty"]),
        (environment(permissions={"JOE": ["TRAC_ADMIN"]}), ["'JOE' is in upper case"]),
        (environment(milestones="m"), ["trac_environments[0].milestones is 'm'", "list"]),
        (
            environment(milestones=[{"name": "m", "due": "soon"}]),
            ["trac_environments[0]: milestones[0].due is 'soon'; allowed are dates such as"],
        ),
        (
            environment(components=[{"name": "c", "due": "x"}]),
            ["components[0] has the unknown key due; known are name, owner, description"],
        ),
        (environment(priorities=["a", "a"]), ["priorities[1] is 'a'", "already"]),
        (environment(resolutions=[" x"]), ["resolutions[0] is ' x'", "white space"]),
        (environment(exclusive=["config"]), ["trac_environments[0]", "exclusive", "permissions"]),
        (environment(state="gone"), ["trac_environments[0]", "state", "present"]),
    ],
)
def test_bad_environments(environments: object, words: list[str]) -> None:
    problems = _inventory.environment_problems(environments)
    assert len(problems) == 1, problems
    for word in words:
        assert word in problems[0]


@pytest.mark.parametrize(
    ("defaults", "words"),
    [
        ([], []),
        ({"config": {"ticket": {"default_type": "task"}}, "upgrade": False}, []),
        ({"title": "x"}, ["trac_environments_defaults has the unknown key title", "config"]),
        ({"milestones": [""]}, ["trac_environments_defaults: milestones[0] is ''"]),
        ({"permissions": {"": ["X"]}}, ["trac_environments_defaults: permissions: '' is empty"]),
        ({"config": {"a": 1}}, ["trac_environments_defaults: config: [a] has to be"]),
        ({"config": {"trac": {"database": "x"}}}, ["[trac] database", "one of its own"]),
        ({"exclusive": ["title"]}, ["trac_environments_defaults", "exclusive"]),
        ("x", ["trac_environments_defaults is 'x'", "dictionary"]),
    ],
)
def test_defaults(defaults: t.Any, words: list[str]) -> None:
    """A bad default is told once, not for each environment."""
    problems = _inventory.environment_problems([{"name": "a"}, {"name": "b"}], defaults)
    assert len(problems) == (1 if words else 0), problems
    for word in words:
        assert word in problems[0]


@pytest.mark.parametrize(
    ("ignore", "words"),
    [
        (["old-*", "gone", "[!a-z]*"], []),
        ("old-*", ["trac_environments_ignore is 'old-*'", "list"]),
        ([5], ["trac_environments_ignore is [5]", "list"]),
        ([" x"], ["trac_environments_ignore: ' x' is no pattern", "names of directories"]),
        (["p*"], ["trac_environments_ignore: 'p*' would hide the environment project"]),
    ],
)
def test_ignore(ignore: object, words: list[str]) -> None:
    environments = [{"name": "project"}, {"name": "gone", "state": "absent"}]
    problems = _inventory.environment_problems(environments, {}, ignore)
    assert len(problems) == (1 if words else 0), problems
    for word in words:
        assert word in problems[0]


class Container(dict):  # type: ignore[type-arg]
    """Stands in for a container of Ansible's, a copy of which copies all variables of a host."""

    def __deepcopy__(self, _memory: object) -> object:
        raise AssertionError


def test_containers_of_ansible_are_not_copied() -> None:
    inner = Container(WIKI=["A"])
    environments = [Container(name="a", config=Container(trac=inner), permissions=Container())]
    assert _inventory.environment_problems(environments) == []
    assert site_problems([Container(name="a", server_aliases=[])]) == []


def site(**keys: t.Any) -> dict[str, t.Any]:
    return {"name": "trac", **keys}


def site_problems(sites: object, **more: str) -> list[str]:
    return _inventory.site_problems(sites, [{"name": "project"}], **more)


@pytest.mark.parametrize(
    "sites",
    [
        [],
        [site()],
        [site(mount="/", environment="project", mode="embedded", pooling="disabled")],
        [site(mount="/a/b-c.d_e~f", server_name="trac.example.org", server_aliases=["t"])],
        [site(pooling="per_request", pool_size=6, threads=6)],
        [site(threads=40)],
        [site(queue_timeout=1, request_timeout=3600, startup_timeout=30)],
        [site(processes=None, pool_size=None)],
        [site(processes=256, threads=256, pool_size=1000)],
        [site(script="deployed", pooling="enabled", pool_size=None, threads=10)],
        [
            site(mode="embedded", pooling="per_request", threads=90),
            site(name="b", mount="/b", mode="embedded", pooling="per_request", pool_size=25),
        ],
        [site(), site(name="other", mount="/other"), site(name="third", server_name="x")],
    ],
)
def test_good_sites(sites: object) -> None:
    assert site_problems(sites, environments_dir="/srv/trac/environments") == []


@pytest.mark.parametrize(
    ("sites", "words"),
    [
        ([site(mount="trac")], ["trac_sites[0].mount is 'trac'", "a slash in front"]),
        ([site(mount="/trac/")], ["trac_sites[0].mount", "none at the end"]),
        ([site(mount="")], ["trac_sites[0].mount is ''"]),
        ([site(mount="/a/../b")], ["trac_sites[0].mount", "'..'"]),
        ([site(mount='/"x')], ["trac_sites[0].mount"]),
        ([site(), site(name="b")], ["trac_sites[1].mount is '/trac'", "trac_sites[0]"]),
        (
            [site(server_name="A.org"), site(name="b", server_name="a.org")],
            ["trac_sites[1].mount", "'a.org'"],
        ),
        (
            [site(server_name="a"), site(name="b", server_name="c", server_aliases=["a"])],
            ["trac_sites[1]", "host 'a'"],
        ),
        ([site(), site(mount="/b")], ["trac_sites[1].name is 'trac'", "unique"]),
        ([site(name="A")], ["trac_sites[0].name is 'A'"]),
        ([site(environment="nope")], ["trac_sites[0].environment is 'nope'", "project"]),
        ([site(server_name="a b")], ["trac_sites[0].server_name", "host names"]),
        ([site(mode="fast")], ["trac_sites[0]", "daemon", "embedded"]),
        ([site(pooling=5)], ["trac_sites[0]", "enabled", "disabled"]),
        ([site(port=80)], ["trac_sites[0] has the unknown key port", "mount"]),
        ([site(processes=0)], ["trac_sites[0].processes is 0", "1 to 256"]),
        ([site(processes=257)], ["trac_sites[0].processes is 257", "1 to 256"]),
        ([site(threads=257)], ["trac_sites[0].threads is 257", "1 to 256"]),
        ([site(pool_size=1001)], ["trac_sites[0].pool_size is 1001", "1 to 1000"]),
        ([site(limit_request_body=2**63)], ["limit_request_body", "to 9223372036854775807"]),
        ([site(queue_timeout=0)], ["trac_sites[0].queue_timeout is 0", "1 to 3600 seconds"]),
        ([site(request_timeout=-1)], ["trac_sites[0].request_timeout", "1 to 86400 seconds"]),
        ([site(startup_timeout=10)], ["trac_sites[0].startup_timeout is 10", "30 to 3600"]),
        ([site(startup_timeout="soon")], ["trac_sites[0]", "startup_timeout", "a whole number"]),
        ([site(pool_size=0)], ["trac_sites[0].pool_size is 0"]),
        ([site(pool_size=4)], ["trac_sites[0].threads is 5", "has 4", "Leave pool_size out"]),
        (
            [site(script="deployed", threads=11)],
            ["trac_sites[0].threads is 11", "has 10", "more processes"],
        ),
        (
            [site(script="deployed", pooling="per_request")],
            ["trac_sites[0].pooling is 'per_request'", "trac-admin deploy"],
        ),
        ([site(script="deployed", pool_size=10)], ["trac_sites[0].pool_size is 10", "deploy"]),
        ([site(extra_site_directories=["lib"])], ["trac_sites[0].extra_site_directories is 'lib'"]),
        ([site(egg_cache="/srv/trac/environments/eggs")], ["trac_sites[0].egg_cache", "outside"]),
        ([site(mount="/hello-world")], ["trac_sites[0].mount", "trac_apache_hello_world_path"]),
        (
            [
                site(mode="embedded"),
                site(name="b", mount="/b", mode="embedded", pooling="disabled"),
            ],
            ["embedded", "their pooling", "the same"],
        ),
        (
            [site(mode="embedded", pool_size=9), site(name="b", mount="/b", mode="embedded")],
            ["embedded", "their pool_size", "the same"],
        ),
    ],
)
def test_bad_sites(sites: object, words: list[str]) -> None:
    problems = site_problems(
        sites, environments_dir="/srv/trac/environments/", hello_world_path="/hello-world"
    )
    assert len(problems) == 1, problems
    for word in words:
        assert word in problems[0]


RUNTIME = {
    "trac_runtime_version": "1.6",
    "trac_runtime_venv": "/opt/trac",
    "trac_runtime_user": "trac",
    "trac_runtime_group": "trac",
    "trac_runtime_home": "/srv/trac",
    "trac_runtime_extras": ["babel", "textile"],
    "trac_runtime_bindings": ["postgresql", "git"],
    "trac_runtime_plugins": [
        {"requirement": "TracTags>=0.12"},
        {"wheel": "files/Our_Plugin-1.0.dev1-py3-none-any.whl"},
        {"file": "hello.py"},
    ],
    "trac_runtime_pip_environment": {"PIP_CERT": "/x"},
}


def test_good_runtime() -> None:
    assert _inventory.runtime_problems(RUNTIME) == []


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("trac_runtime_version", "1.4.4"),
        ("trac_runtime_version", 1.6),
        ("trac_runtime_version", "1.6; import os"),
        ("trac_runtime_venv", "opt/trac"),
        ("trac_runtime_venv", "/opt"),
        ("trac_runtime_venv", "/opt/../trac"),
        ("trac_runtime_home", "/"),
        ("trac_runtime_user", "root"),
        ("trac_runtime_user", "www-data"),
        ("trac_runtime_group", "a b"),
        ("trac_runtime_extras", ["latex"]),
        ("trac_runtime_bindings", ["mongodb"]),
        ("trac_runtime_plugins", [{"requirement": "-r x"}]),
        ("trac_runtime_plugins", [{"wheel": "x.tar.gz"}]),
        ("trac_runtime_plugins", [{"file": "my-plugin.py"}]),
        ("trac_runtime_plugins", [{"file": "a.py", "requirement": "a"}]),
        ("trac_runtime_plugins", ["TracTags"]),
        ("trac_runtime_pip_environment", {"A=B": "x"}),
    ],
)
def test_bad_runtime(name: str, value: object) -> None:
    problems = _inventory.runtime_problems({**RUNTIME, name: value})
    assert len(problems) == 1, problems
    assert name in problems[0]
