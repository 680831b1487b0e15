# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Keep what is no environment off Trac's project index, with the file .tracignore.

Trac takes every directory beside the environments for one, and shows an error for those that are
none, except for names that match a line of .tracignore (fnmatch). The lines that are kept here
stand between two marks; all others belong to the user and stay as they are.

No pattern that is written here ever matches an environment. Names that environments are going to
have are left out, too, so that a new environment is to be seen as soon as it is there.
"""

from __future__ import annotations

import contextlib
import fnmatch
import os
import re
import stat
import typing as t

from ansible_collections.trac.mod_wsgi.plugins.module_utils._core import regular_file

NAME = ".tracignore"
HIDDEN = ".*"  # what Trac ignores when there is no file
BEGIN = "# The lines up to the next mark are kept by Ansible (trac.mod_wsgi.trac_environments)."
END = "# End of the lines that are kept by Ansible."

_BLOCK = re.compile(
    r"^[^\S\n]*" + re.escape(BEGIN) + r"\s*\n(?:.*\n)*?[^\S\n]*" + re.escape(END) + r"[^\S\n]*\n?",
    re.MULTILINE,
)
_LARGEST = 1 << 20  # bytes
_SPECIAL = re.compile(r"[*?[]")
_UNWRITABLE = "[! -~]"  # what cannot stand in a line of UTF-8, none of which is printable ASCII
# Made by file systems, and readable by nobody but root.
_NEVER_AN_ENVIRONMENT = ("lost+found",)


class IgnoreFailure(Exception):
    """Why .tracignore cannot be what it should be."""


class Listing(t.NamedTuple):
    """The directories that Trac would take for environments."""

    environments: list[str]
    others: list[str]


class Update(t.NamedTuple):
    """The file before and after; None when there is none, and Trac ignores HIDDEN."""

    before: str | None
    after: str | None
    patterns: list[str]  # all that hold afterwards, the user's included

    @property
    def changed(self) -> bool:
        """Whether the file is another one."""
        return self.before != self.after


def patterns_of(text: str) -> list[str]:
    """The patterns in a file, read by the rules of trac.web.main.get_tracignore_patterns."""
    lines = [line.strip() for line in text.splitlines()]
    return [line for line in lines if line and not line.startswith("#")]


def listing(directory: str) -> Listing:
    """Tell environments from other directories.

    One that this account cannot look into is neither: it may be an environment.
    """
    found = Listing([], [])
    with contextlib.suppress(FileNotFoundError):
        for name in sorted(os.listdir(directory)):
            if not os.path.isdir(os.path.join(directory, name)):
                continue
            try:
                os.stat(os.path.join(directory, name, "VERSION"))
            except FileNotFoundError:
                found.others.append(name)
            except OSError:
                if name in _NEVER_AN_ENVIRONMENT:
                    found.others.append(name)
            else:
                found.environments.append(name)
    return found


def escaped(name: str) -> str:
    """The pattern for one name, as far as a line of text can hold it."""
    pattern = _SPECIAL.sub(r"[\g<0>]", name)
    pattern = "".join(_UNWRITABLE if not c.splitlines()[0] or _lone(c) else c for c in pattern)
    if pattern[0] == "#" or pattern[0].isspace():
        pattern = f"[{pattern[0]}]{pattern[1:]}"
    if pattern[-1].isspace():
        pattern = f"{pattern[:-1]}[{pattern[-1]}]"
    return pattern


def _lone(character: str) -> bool:
    return "\ud800" <= character <= "\udfff"


def _hides(pattern: str, names: t.Iterable[str]) -> list[str]:
    return [name for name in names if fnmatch.fnmatchcase(name, pattern)]


def problems(ignore: t.Iterable[str], environments: t.Iterable[str]) -> list[str]:
    """What is wrong with patterns that are to be added, given names of environments."""
    found = []
    environments = list(environments)
    for pattern in ignore:
        if patterns_of(pattern) != [pattern] or any(_lone(c) for c in pattern):
            found.append(
                f"{pattern!r} is no pattern for {NAME}; allowed are names of directories, with "
                "* ? [...] as in a shell, without white space at the ends, not beginning with #"
            )
            continue
        hidden = _hides(pattern, environments)
        if hidden:
            found.append(
                f"{pattern!r} would hide the environment {', '.join(hidden)} on the project index"
            )
    return found


def new_text(
    text: str, ignore: t.Iterable[str], names: Listing, wanted: t.Iterable[str] = ()
) -> str:
    """The text of the file with the patterns that it needs."""
    wrong = problems(ignore, names.environments)
    if wrong:
        raise IgnoreFailure(f"{NAME}: {'; '.join(wrong)}")
    environments = {*names.environments, *wanted}
    own = _BLOCK.sub("", text)
    known = patterns_of(own)
    # Without lines of the user this is what Trac does by itself.
    usual = [HIDDEN] if not own or not _hides(HIDDEN, environments) else []
    added = [pattern for pattern in (*usual, *ignore) if pattern not in known]
    for name in names.others:
        if name in environments or any(_hides(p, [name]) for p in known + added):
            continue
        pattern = escaped(name)
        if not _hides(pattern, environments):
            added.append(pattern)
    if not added:
        return own
    if own and not own.endswith("\n"):
        own += "\n"
    lines = dict.fromkeys(added)
    return own + "".join(f"{line}\n" for line in (BEGIN, *lines, END))


def update(directory: str, ignore: t.Iterable[str], wanted: t.Iterable[str], check: bool) -> Update:
    """Bring the file into its wanted state; with `check`, only tell what that is."""
    path = os.path.join(directory, NAME)
    before: str | None = None
    try:
        # Where there is no Trac yet, root looks: it follows no link of the account's.
        before = regular_file.read(path, _LARGEST, follow=os.geteuid() != 0).decode("utf-8")
    except FileNotFoundError:
        pass
    except UnicodeDecodeError as e:
        raise IgnoreFailure(f"{path} is not UTF-8, which Trac fails to read: {e}") from None
    text = new_text(before or "", ignore, listing(directory), wanted)
    patterns = patterns_of(text)
    if before is None and patterns == [HIDDEN]:
        return Update(None, None, patterns)
    if text != before and not check:
        _write(path, text)
    return Update(before, text, patterns)


def _write(path: str, text: str) -> None:
    """Replace the file at once; mode and group stay."""
    path = os.path.realpath(path)
    temporary = f"{path}.new"
    with contextlib.suppress(FileNotFoundError):
        os.unlink(temporary)
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o660)
    try:
        with open(descriptor, "w", encoding="utf-8", newline="") as file:
            file.write(text)
            file.flush()
            with contextlib.suppress(FileNotFoundError, PermissionError):
                status = os.stat(path)
                os.fchmod(descriptor, stat.S_IMODE(status.st_mode))
                os.fchown(descriptor, -1, status.st_gid)
            os.fsync(descriptor)
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
        raise
