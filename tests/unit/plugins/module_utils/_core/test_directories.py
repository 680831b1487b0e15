# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which directories and accounts an inventory may name, however they are spelled."""

from __future__ import annotations

import typing as t

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.trac.mod_wsgi.plugins.module_utils._core import directories
from ansible_collections.trac.mod_wsgi.plugins.module_utils._trac import repository_spec
from ansible_collections.trac.mod_wsgi.plugins.plugin_utils import _role_variables

# The defaults of all roles.
DEFAULTS: dict[str, t.Any] = {
    "trac_runtime_venv": "/opt/trac",
    "trac_runtime_home": "/srv/trac",
    "trac_environments_dir": "/srv/trac/environments",
    "trac_environments_archive_dir": "/srv/trac/archive",
    "trac_environments_repositories_dir": "/srv/trac/repositories",
    "trac_environments_plugins_dir": "/srv/trac/plugins",
    "trac_site_dir": "/srv/trac/sites",
    "trac_site_document_root": "/var/www/html",
    "trac_site_user": "trac",
    "trac_backup_dir": "/var/backups/trac",
    "trac_sites": [{"name": "trac"}],
}


def problems(**changed: t.Any) -> list[str]:
    return directories.problems({**DEFAULTS, **changed})


def site(**keys: t.Any) -> list[dict[str, t.Any]]:
    return [{"name": "trac", **keys}]


@pytest.mark.parametrize(
    "changed",
    [
        {},
        {"trac_environments_plugins_dir": ""},
        # Trailing slashes are how people write.
        {"trac_environments_dir": "/srv/trac/environments/", "trac_runtime_venv": "/opt/trac/"},
        {"trac_environments_dir": "/var/trac", "trac_runtime_home": "/var/lib/trac"},
        {"trac_environments_dir": "/home/trac"},
        {"trac_environments_dir": "/data/trac", "trac_runtime_venv": "/data/trac-venv"},
        {"trac_environments_dir": "/var/lib/trac"},
        {"trac_environments_dir": "/opt/trac/environments"},
        {"trac_environments_dir": "/srv/full/environments"},
        {"trac_environments_dir": "/var/www/trac"},
        {"trac_site_dir": "/sites", "trac_site_document_root": "/var/www"},
        {"trac_backup_dir": "/mnt/backups", "trac_environments_archive_dir": "/mnt/archive"},
        {"trac_sites": site(egg_cache="/var/cache/eggs", mode="embedded")},
        {"trac_sites": site(egg_cache="/var/cache/trac/eggs")},
        {"trac_sites": site(extra_site_directories=["/usr/lib/python3/dist-packages"])},
        {"trac_sites": site(tls={"certificate_file": "/etc/ssl/a.crt", "key_file": "/etc/b.key"})},
        {"trac_sites": [*site(egg_cache="/eggs"), {"name": "b", "egg_cache": "/eggs/"}]},
        # Somebody else complains of shapes.
        {"trac_sites": "x"},
        {"trac_sites": ["x", {"name": "a", "tls": "x", "extra_site_directories": "x"}]},
    ],
)
def test_directories_that_work(changed: dict[str, t.Any]) -> None:
    assert problems(**changed) == []


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        # Root would run, or write, what the account has put there.
        (
            {"trac_runtime_venv": "/srv/trac/environments/venv"},
            ["trac_environments_dir", "/opt/trac"],
        ),
        (
            {"trac_runtime_home": "/srv/trac/repositories/home"},
            ["trac_environments_repositories_dir"],
        ),
        ({"trac_site_dir": "/srv/trac/environments/a/htdocs"}, ["trac_environments_dir", "write"]),
        ({"trac_site_document_root": "/srv/trac/environments"}, ["trac_environments_dir"]),
        (
            {"trac_backup_dir": "/srv/trac/archive"},
            ["trac_environments_archive_dir", "/var/backups"],
        ),
        ({"trac_environments_plugins_dir": "/srv/trac/environments/p"}, ["trac_environments_dir"]),
        ({"trac_environments_archive_dir": "/srv/trac/environments"}, ["trac_environments_dir"]),
        ({"trac_environments_repositories_dir": "/srv/trac/archive/x"}, ["archive_dir", "write"]),
        ({"trac_runtime_venv": "/var/tmp/venv"}, ["in /var/tmp, where every account can write"]),
        ({"trac_environments_dir": "/dev/shm/trac"}, ["in /dev/shm"]),
        # What is not Trac's.
        ({"trac_environments_dir": "/etc/trac"}, ["a directory of the system"]),
        ({"trac_environments_dir": "/var/lib/postgresql/15"}, ["a directory of the system"]),
        ({"trac_environments_dir": "/trac"}, ["a directory of its own, such as /srv/trac"]),
        ({"trac_environments_dir": "/var/cache/trac"}, ["/var/cache/trac", "only root writes"]),
        ({"trac_site_document_root": "/root/www"}, ["a directory of the system"]),
        ({"trac_runtime_venv": "/usr/local/bin"}, ["a directory of the system"]),
        ({"trac_runtime_venv": "opt/trac"}, ["It has to be an absolute path of letters"]),
        ({"trac_runtime_venv": "/opt/x/../trac"}, ["without the part '..'"]),
        ({"trac_runtime_venv": "/opt/trac\n"}, ["It has to be an absolute path"]),
        ({"trac_runtime_venv": ["/opt/trac"]}, ["is a list. It has to be an absolute path"]),
        ({"trac_runtime_venv": ""}, ["It has to be an absolute path"]),
        # Sites.
        ({"trac_sites": site(egg_cache="/tmp/eggs")}, ["trac_sites[0].egg_cache", "in /tmp"]),
        ({"trac_sites": site(egg_cache="/srv")}, ["a directory of the system", "/var/cache/trac/"]),
        ({"trac_sites": site(egg_cache="/srv/trac/archive")}, ["trac_environments_archive_dir"]),
        (
            {"trac_sites": site(egg_cache="/var/cache/trac")},
            ["/var/cache/trac", "only root writes"],
        ),
        ({"trac_sites": site(egg_cache="eggs")}, ["trac_sites[0].egg_cache", "absolute path"]),
        ({"trac_sites": site(extra_site_directories=["/tmp"])}, ["extra_site_directories", "/tmp"]),
        (
            {"trac_sites": site(tls={"certificate_file": "/srv/trac/archive/x", "key_file": "/k"})},
            ["trac_sites[0].tls.certificate_file", "trac_environments_archive_dir"],
        ),
        (
            {
                "trac_sites": [
                    *site(egg_cache="/eggs"),
                    {"name": "b", "mode": "embedded", "egg_cache": "//eggs/."},
                ]
            },
            ["trac_sites[1].egg_cache", "trac_sites[0].egg_cache", "another account"],
        ),
    ],
)
def test_directories_that_do_not(changed: dict[str, t.Any], words: list[str]) -> None:
    (problem,) = problems(**changed)
    (variable,) = changed
    assert problem.startswith(variable)
    for word in words:
        assert word in problem


@pytest.mark.parametrize("around", ["/srv", "/srv/trac"])
@pytest.mark.parametrize(
    "variable",
    [name for name, (use, _example) in directories.VARIABLES.items() if use == "environments"],
)
def test_an_environments_directory_around_what_root_uses(around: str, variable: str) -> None:
    """Everything that root uses below it is named, or the fixed place is."""
    found = problems(**{variable: around})
    assert found
    assert variable in " ".join(found)


def test_an_egg_cache_around_the_environments_is_refused() -> None:
    """A former role wiped it when another account came to run the site."""
    assert any("egg_cache" in each for each in problems(trac_sites=site(egg_cache="/srv/trac")))


def test_a_host_is_asked_for_what_variables_name_and_for_what_none_does() -> None:
    found = _role_variables.named_directories(
        {"trac_site_dir": "/srv/trac/sites", "trac_sites": site()}
    )
    assert found[0] == {
        "name": "trac_site_dir",
        "path": "/srv/trac/sites",
        "use": "root",
        "example": "/srv/trac/sites",
        "account": "",
    }
    assert [each["path"] for each in found[1:]] == list(directories.FIXED)
    (cache, *_rest) = _role_variables.named_directories(
        {"trac_sites": site(egg_cache="/e", mode="embedded")}
    )
    assert (cache["name"], cache["account"]) == ("trac_sites[0].egg_cache", "www-data")


DIRECTORIES = sorted(set(directories.VARIABLES))


@pytest.mark.parametrize(
    "path", ["/", "/etc", "/usr", "/var/lib", "/srv", "/home", "/var", "/proc"]
)
@pytest.mark.parametrize("variable", DIRECTORIES)
def test_no_variable_may_name_a_directory_of_the_system(variable: str, path: str) -> None:
    values = {variable: path}
    (problem,) = directories.problems(values)
    assert problem.startswith(f"{variable} is {path!r}, a directory of the system. ")
    assert directories.VARIABLES[variable][1] in problem


@pytest.mark.parametrize("variable", DIRECTORIES)
def test_the_examples_in_messages_are_allowed(variable: str) -> None:
    assert directories.problems({variable: directories.VARIABLES[variable][1]}) == []


def spelled(path: str) -> st.SearchStrategy[str]:
    """Other ways to write a path that lead to the same directory."""
    slash = st.sampled_from(["/", "//", "/./", "/././", "///", "//./"])
    end = st.sampled_from(["", "/", "//", "/.", "/./", "/.//"])
    parts = [part for part in path.split("/") if part]
    return st.tuples(st.lists(slash, min_size=len(parts), max_size=len(parts)), end).map(
        lambda drawn: "".join(s + part for s, part in zip(drawn[0], parts)) + drawn[1] or "/"
    )


PLAIN = st.lists(
    st.sampled_from(
        ["etc", "srv", "trac", "environments", "archive", "a", "var", "lib", "tmp", "opt"]
    ),
    min_size=1,
    max_size=4,
).map(lambda parts: "/" + "/".join(parts))


@given(PLAIN.flatmap(lambda path: st.tuples(st.just(path), spelled(path))))
def test_a_spelling_has_one_plain_form(pair: tuple[str, str]) -> None:
    path, trick = pair
    assert directories.normal(trick) == path
    assert directories.normal(path) == path


@given(st.sampled_from(DIRECTORIES), PLAIN.flatmap(lambda p: st.tuples(st.just(p), spelled(p))))
def test_a_tricky_spelling_is_treated_as_the_plain_one(
    variable: str, pair: tuple[str, str]
) -> None:
    path, trick = pair
    plain = problems(**{variable: path})
    tricky = problems(**{variable: trick})
    shown = [each.replace(repr(trick), repr(path), 1) for each in tricky]
    assert [each.replace(f"({trick})", f"({path})") for each in shown] == plain


@given(
    spelled("/srv/trac/environments"),
    spelled("/srv/trac/environments/venv"),
)
def test_code_below_environments_is_refused_however_both_are_spelled(
    environments: str, venv: str
) -> None:
    (problem,) = problems(trac_environments_dir=environments, trac_runtime_venv=venv)
    assert problem.startswith(f"trac_runtime_venv is {venv!r}; it has to lie outside of")


@given(spelled("/srv/trac/environments"))
def test_repositories_among_environments_are_refused_however_these_are_spelled(path: str) -> None:
    repository = {"name": "a", "type": "git", "dir": "/srv/trac/environments/a"}
    environments = [{"name": "x", "repositories": [repository]}]
    (problem,) = repository_spec.problems_between(environments, path)
    assert "must not be within each other" in problem


@pytest.mark.parametrize("variable", ["trac_runtime_user", "trac_environments_repositories_group"])
@pytest.mark.parametrize(
    "name",
    [
        *("root", "daemon", "shadow", "sudo", "adm", "disk", "docker", "postgres", "mysql"),
        *("www-data", "wheel", "kmem", "nobody", "nogroup", "systemd-journal", "ssl-cert", "staff"),
    ],
)
def test_accounts_of_the_system_are_refused(variable: str, name: str) -> None:
    (problem,) = directories.account_problems({variable: name})
    assert problem.startswith(f"{variable} is {name!r}")
    assert "of the system or of another service" in problem
    assert "such as trac" in problem


@pytest.mark.parametrize("name", ["a b", "", 5, None, "A", "0x", "trac\n", ["trac"]])
def test_what_is_no_name_of_an_account(name: object) -> None:
    (problem,) = directories.account_problems({"trac_runtime_user": name})
    assert problem.startswith(f"trac_runtime_user is {name!r}. It has to be the name of an account")


@pytest.mark.parametrize("name", ["trac", "trac-dev", "developers", "git", "svn", "users", "anna"])
def test_accounts_of_one_s_own(name: str) -> None:
    assert directories.account_problems({"trac_runtime_user": name, "a_group": name}) == []
