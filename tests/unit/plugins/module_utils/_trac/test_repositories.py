# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Repositories of an inventory: where they lie, and what is refused."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.trac.mod_wsgi.plugins.module_utils._trac import repository_spec
from ansible_collections.trac.mod_wsgi.plugins.plugin_utils import _inventory

PARENT = "/srv/trac/repositories"
ENVIRONMENTS = "/srv/trac/environments"
Document = dict[str, t.Any]


def environments(*repositories: object) -> t.Any:
    return repository_spec.located(
        [{"name": "project", "repositories": list(repositories)}], PARENT
    )


def git(**keys: t.Any) -> Document:
    return {"name": "code", "type": "git", **keys}


def problems(*repositories: object) -> list[str]:
    documents = environments(*repositories)
    return _inventory.environment_problems(documents) or repository_spec.problems_between(
        documents, ENVIRONMENTS
    )


@pytest.mark.parametrize(
    ("repository", "directory"),
    [
        (git(), f"{PARENT}/project/code.git"),
        (git(name=""), f"{PARENT}/project/default.git"),
        (git(name="(default)"), f"{PARENT}/project/default.git"),
        (git(type="svn"), f"{PARENT}/project/code"),
        (git(dir="/srv/git/x.git/"), "/srv/git/x.git"),
        (git(name="Our code", dir="/srv/git/our code.git"), "/srv/git/our code.git"),
        (git(name="group/code", dir="/srv/git/code.git"), "/srv/git/code.git"),
    ],
)
def test_where_repositories_lie(repository: Document, directory: str) -> None:
    assert problems(repository) == []
    found = repository_spec.on_host(environments(repository), ENVIRONMENTS)
    assert found == [
        {
            "dir": directory,
            "type": repository["type"],
            "hook": True,
            "environments": [f"{ENVIRONMENTS}/project"],
        }
    ]


@pytest.mark.parametrize(
    ("repository", "words"),
    [
        ("code", ["repositories"]),
        ({"type": "git"}, ["name"]),
        ({"name": "code"}, ["type"]),
        (git(type="cvs"), ["type", "git, svn"]),
        (git(typ="git"), ["typ"]),
        (git(name="../x"), ["repositories[0].name is '../x'"]),
        (git(name="a/../../x"), ["repositories[0].name is 'a/../../x'"]),
        (git(name="/etc"), ["repositories[0].name is '/etc'"]),
        (git(name="-x"), ["repositories[0].name is '-x'"]),
        (git(name=" x"), ["repositories[0].name is ' x'"]),
        (git(name="a\nb"), ["repositories[0].name", "control"]),
        (git(name="two words"), ["repositories[0].dir is missing", "two words"]),
        (git(name="$(id)"), ["repositories[0].dir is missing"]),
        (git(dir="code.git"), ["repositories[0].dir is 'code.git'", "absolute"]),
        (git(dir="/srv/../etc/x"), ["repositories[0].dir is '/srv/../etc/x'"]),
        (git(dir="/srv//git/x"), ["repositories[0].dir is '/srv//git/x'"]),
        (git(dir="/srv"), ["repositories[0].dir is '/srv'", "below another"]),
        (git(dir="/srv/git/a\nb"), ["repositories[0].dir", "control"]),
        (git(dir=f"{ENVIRONMENTS}/project/code.git"), [".dir is", ENVIRONMENTS]),
        (git(dir="/srv/trac"), [".dir is '/srv/trac'", ENVIRONMENTS]),
        (git(url="https://x\n"), ["repositories[0].url", "control"]),
        (git(description="a\x00"), ["repositories[0].description", "control"]),
        (git(hook="perhaps"), ["hook"]),
        (git(hidden="perhaps"), ["hidden"]),
    ],
)
def test_what_is_refused(repository: object, words: list[str]) -> None:
    found = "\n".join(problems(repository))
    assert "trac_environments[0]" in found
    for word in words:
        assert word in found


def test_names_and_directories_are_unique() -> None:
    assert "name is 'code', which another" in problems(git(), git(dir="/srv/git/x"))[0]
    assert "name is '', which another" in "".join(problems(git(name=""), git(name="(default)")))
    assert "default.git', which another" in problems(git(name=""), git(name="default"))[0]


def test_several_environments_may_have_one_repository_but_not_as_two_types() -> None:
    shared = git(dir="/srv/git/x", hook=False)
    documents: list[Document] = [
        {"name": "one", "repositories": [shared]},
        {"name": "two", "repositories": [{**shared, "hook": True}]},
        {"name": "gone", "state": "absent", "repositories": [shared]},
    ]
    assert repository_spec.problems_between(documents, ENVIRONMENTS) == []
    (found,) = repository_spec.on_host(documents, ENVIRONMENTS)
    assert found["hook"]
    assert found["environments"] == [f"{ENVIRONMENTS}/one", f"{ENVIRONMENTS}/two"]
    documents[1]["repositories"] = [{**shared, "type": "svn"}]
    assert (
        "git repository elsewhere" in repository_spec.problems_between(documents, ENVIRONMENTS)[0]
    )


@pytest.mark.parametrize("wrong", ["x", [], [None], ["x"], [{"repositories": 3}], [{"name": "x"}]])
def test_values_of_a_wrong_shape_are_handed_on(wrong: object) -> None:
    assert repository_spec.located(wrong, PARENT) == wrong
