# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hooks in directories that have the form of repositories."""

from __future__ import annotations

import os
import pathlib
import stat
import tempfile
import typing as t

import pytest

from ansible_collections.trac.mod_wsgi.plugins.module_utils._environments import repository_hooks

TELL = "/usr/local/lib/trac-mod-wsgi/tell-trac"


def repository(directory: pathlib.Path, kind: str = "git") -> pathlib.Path:
    for name in {"git": ["objects", "refs", "hooks"], "svn": ["db", "hooks"]}[kind]:
        (directory / name).mkdir(parents=True)
    (directory / {"git": "HEAD", "svn": "format"}[kind]).touch()
    return directory


def install(
    directory: pathlib.Path, kind: str = "git", check: bool = False
) -> repository_hooks.Outcome:
    return repository_hooks.install_as_owner(kind, str(directory), TELL, check)


@pytest.mark.parametrize(
    ("kind", "lines"),
    [
        ("git", {"post-receive": f"exec {TELL} git"}),
        (
            "svn",
            {
                "post-commit": f'exec {TELL} svn-added "$@"',
                "post-revprop-change": f'exec {TELL} svn-modified "$@"',
            },
        ),
    ],
)
def test_hooks_are_put_into_place_once(
    tmp_path: pathlib.Path, kind: str, lines: dict[str, str]
) -> None:
    directory = repository(tmp_path / "code", kind)
    predicted = install(directory, kind, check=True)
    assert list((directory / "hooks").iterdir()) == []
    assert install(directory, kind) == predicted
    assert predicted.changed == [str(directory / "hooks" / name) for name in lines]
    for name, line in lines.items():
        path = directory / "hooks" / name
        assert path.read_text().splitlines()[0] == "#!/bin/sh"
        assert path.read_text().splitlines()[-1] == line
        assert stat.S_IMODE(path.stat().st_mode) == 0o755
    assert install(directory, kind) == repository_hooks.Outcome()


def test_an_older_hook_of_ours_is_brought_up_to_date(tmp_path: pathlib.Path) -> None:
    directory = repository(tmp_path / "code")
    hook = directory / "hooks" / "post-receive"
    hook.write_text(repository_hooks.content("/old/place", "git"))
    outcome = install(directory)
    assert outcome.before == {str(hook): repository_hooks.content("/old/place", "git")}
    assert hook.read_text() == repository_hooks.content(TELL, "git")
    hook.chmod(0o644)
    assert install(directory).changed == [str(hook)]
    assert os.access(hook, os.X_OK)


@pytest.mark.parametrize(
    "text",
    [
        "#!/bin/sh\nmail -s pushed all@example.org\n",
        f"#!/bin/sh\n# not yet: {TELL} git\n",
        "",
        # Ours, with something of the user's.
        repository_hooks.content(TELL, "git").replace("exec", "mail anna\nexec").replace(TELL, "x"),
    ],
)
def test_a_hook_of_somebody_else_is_kept_and_the_line_to_add_is_named(
    tmp_path: pathlib.Path, text: str
) -> None:
    directory = repository(tmp_path / "code")
    hook = directory / "hooks" / "post-receive"
    hook.write_text(text)
    outcome = install(directory)
    assert outcome.changed == []
    (warning,) = outcome.warnings
    assert str(hook) in warning and warning.endswith(f"{TELL} git")
    assert hook.read_text() == text


def test_a_hook_that_has_the_line_is_right(tmp_path: pathlib.Path) -> None:
    directory = repository(tmp_path / "code")
    hook = directory / "hooks" / "post-receive"
    hook.write_text(f"#!/bin/sh\ntee /tmp/log | {TELL} git\n")
    (warning,) = install(directory).warnings
    assert "not executable" in warning
    hook.chmod(0o755)
    assert install(directory) == repository_hooks.Outcome()


def test_links_are_kept_and_not_followed(tmp_path: pathlib.Path) -> None:
    directory = repository(tmp_path / "code")
    target = tmp_path / "target"
    target.write_text(repository_hooks.content("/old/place", "git"))
    (directory / "hooks" / "post-receive").symlink_to(target)
    assert len(install(directory).warnings) == 1
    assert target.read_text() == repository_hooks.content("/old/place", "git")
    (directory / "hooks" / "post-receive").unlink()
    (directory / "hooks").rmdir()
    (tmp_path / "shared").mkdir()
    (directory / "hooks").symlink_to(tmp_path / "shared")
    (warning,) = install(directory).warnings
    assert "is a link" in warning
    assert list((tmp_path / "shared").iterdir()) == []


def test_a_pipe_in_the_place_of_a_hook_stops_nothing(tmp_path: pathlib.Path) -> None:
    directory = repository(tmp_path / "code")
    os.mkfifo(directory / "hooks" / "post-receive")
    assert "post-receive" in install(directory).warnings[0]


def test_working_trees_and_parts_of_repositories(tmp_path: pathlib.Path) -> None:
    repository(tmp_path / "tree" / ".git")
    assert install(tmp_path / "tree").changed == [str(tmp_path / "tree/.git/hooks/post-receive")]
    repository(tmp_path / "svn", "svn")
    assert install(tmp_path / "svn" / "trunk" / "deep", "svn").changed == [
        str(tmp_path / "svn" / "hooks" / name) for name in ("post-commit", "post-revprop-change")
    ]


def test_what_is_no_repository_is_left_alone(tmp_path: pathlib.Path) -> None:
    (tmp_path / "new.git").mkdir()
    assert install(tmp_path / "new.git") == repository_hooks.Outcome()
    assert install(tmp_path / "missing" / "new.git") == repository_hooks.Outcome()
    predicted = install(tmp_path / "missing" / "new.git", check=True)
    assert predicted.changed == [str(tmp_path / "missing/new.git/hooks/post-receive")]
    assert list(tmp_path.iterdir()) == [tmp_path / "new.git"]


@pytest.fixture
def of_nobody() -> t.Iterator[pathlib.Path]:
    if os.geteuid() != 0:
        pytest.skip("takes another account")
    with tempfile.TemporaryDirectory() as name:
        os.chmod(name, 0o755)
        directory = repository(pathlib.Path(name) / "code")
        for path in [directory, *directory.rglob("*")]:
            os.chown(path, 65534, 65534)
        yield directory


def test_hooks_belong_to_the_owner_of_the_repository(of_nobody: pathlib.Path) -> None:
    assert install(of_nobody).changed
    assert (of_nobody / "hooks" / "post-receive").stat().st_uid == 65534
    assert install(of_nobody) == repository_hooks.Outcome()


def test_root_does_not_write_where_the_owner_may_not(of_nobody: pathlib.Path) -> None:
    """The owner has put a link into the way, which leads into a directory of root's."""
    root_directory = of_nobody.parent / "of-root"
    root_directory.mkdir(mode=0o755)
    (of_nobody / "hooks").chmod(0o555)
    os.chown(of_nobody / "hooks", 0, 0)
    with pytest.raises(repository_hooks.HookFailure, match="Permission denied"):
        install(of_nobody)
    assert list((of_nobody / "hooks").iterdir()) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="is about root")
@pytest.mark.parametrize("through", ["directory", "link", "group"])
def test_root_writes_nothing_below_what_others_may_change(
    of_nobody: pathlib.Path, through: str
) -> None:
    """Who may rename a directory above root's repository can put a link in its place."""
    place = of_nobody.parent / "of-nobody"
    place.mkdir(mode=0o755)
    root_repository = repository(place / "code")
    path = root_repository
    if through == "directory":
        os.chown(place, 65534, 65534)
    elif through == "link":
        (of_nobody / "link").symlink_to(root_repository)
        path = of_nobody / "link"
    else:
        os.chown(place, 0, 65534)
        place.chmod(0o775)
    with pytest.raises(repository_hooks.HookFailure, match="belongs to root, and others may chan"):
        install(path)
    assert list((root_repository / "hooks").iterdir()) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="is about root")
def test_root_follows_no_link_that_takes_the_place_of_the_hooks(
    of_nobody: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Root's repository may be shared with a group, which may rename what is in it."""
    directory = repository(of_nobody.parent / "shared")
    elsewhere = of_nobody.parent / "elsewhere"
    elsewhere.mkdir()
    hooks = directory / "hooks"

    def then_replaced(function: t.Callable[..., t.Any]) -> t.Callable[..., t.Any]:
        def call(path: t.Any, *arguments: t.Any, **options: t.Any) -> t.Any:
            try:
                return function(path, *arguments, **options)
            finally:
                if os.path.basename(path) == "hooks" and not is_link(hooks):
                    hooks.rmdir()
                    hooks.symlink_to(elsewhere)

        return call

    # The moment after somebody has looked and found no link, or made the directory.
    is_link = os.path.islink
    monkeypatch.setattr(os.path, "islink", then_replaced(is_link))
    monkeypatch.setattr(os, "mkdir", then_replaced(os.mkdir))
    install(directory)
    assert hooks.is_symlink()
    assert list(elsewhere.iterdir()) == []
