# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Virtual environments beside each other, of which one is in use.

The path of the virtual environment (``/opt/trac``) is a symbolic link into a directory beside it
(``/opt/trac-generations``), where each generation has a number. None of them is ever moved once it
is made, because its scripts hold its path. A virtual environment that was made as a directory
becomes the first generation; its scripts hold the path of the link, through which it was used.

A generation keeps the single-file plugins that belong to it in ``plugins``; those in use are in a
directory that environments name in trac.ini.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import typing as t

from ansible_collections.trac.mod_wsgi.plugins.module_utils._core.move import move_directory
from ansible_collections.trac.mod_wsgi.plugins.module_utils._core.sync import sync_directory

_PLUGINS = "plugins"


class GenerationError(Exception):
    """Virtual environments that are not as they have to be, in words for the user."""


class Generations:
    """The virtual environments behind one path."""

    def __init__(self, path: str, plugins_directory: str) -> None:
        self.path = path
        self.directory = f"{path}-generations"
        self.plugins_directory = plugins_directory

    def current(self) -> str:
        """The directory that is in use."""
        if not os.path.exists(os.path.join(self.path, "bin", "python")):
            raise GenerationError(
                f"There is no virtual environment at {self.path}; site.yml makes one."
            )
        if not os.path.islink(self.path):
            return self.path
        target = os.path.normpath(os.path.join(os.path.dirname(self.path), os.readlink(self.path)))
        if self._number(target) is None:
            raise GenerationError(
                f"{self.path} is a link to {target}, which is not a number in {self.directory}."
            )
        return target

    def is_taken_over(self) -> bool:
        """Whether there is a link already."""
        return os.path.islink(self.path)

    def home_of_current(self) -> str:
        """Where what is in use lies, or is going to lie when there is a link."""
        return self.current() if self.is_taken_over() else self._path(1)

    def next(self) -> str:
        """Where the next generation is made."""
        return self._path((self._number(self.home_of_current()) or 1) + 1)

    def prepare(self) -> list[str]:
        """Make room for the next generation; returns what a former run has left and was removed.

        The next one begins with the single-file plugins that are in use.
        """
        _make_directory(self.directory)
        current = self._number(self.home_of_current()) or 1
        left = [number for number in self._numbers() if number > current]
        if not self.is_taken_over() and 1 in self._numbers():
            left.append(1)  # it was not taken over in the end
        removed = [self._remove(self._path(number)) for number in sorted(left)]
        _make_directory(self.next())
        self.save_plugins(self.next())
        return removed

    def switch(self, path: str, back_from: str | None = None) -> None:
        """Use a generation, its single-file plugins included.

        On the way back from another generation, files that only that one brought are removed.
        Repeating it does no harm: whichever step a run was killed at, the link says which of them
        has to be left.
        """
        if not os.path.exists(os.path.join(path, "bin", "python")):
            raise GenerationError(f"{path} is no virtual environment.")
        if back_from:
            self._install_plugins(path, back_from)
        self._point_to(path)
        if not back_from:
            self._install_plugins(path)

    def _point_to(self, path: str) -> None:
        temporary = f"{self.path}.new"
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
        os.symlink(path, temporary)
        try:
            os.replace(temporary, self.path)
        except OSError:
            os.unlink(temporary)
            raise
        sync_directory(os.path.dirname(self.path))

    def take_over(self) -> bool:
        """Make a directory at the path the first generation, with a link in its place.

        A run that is killed in between leaves the first generation complete; `repair` then puts
        the link.
        """
        if self.is_taken_over():
            return False
        first = self._path(1)
        move_directory(self.path, first)
        os.symlink(first, self.path)
        sync_directory(os.path.dirname(self.path))
        return True

    def repair(self) -> bool:
        """Put the link where a run was killed while it took a directory over.

        A first generation is complete as soon as it is there; what is left at the path is not.
        """
        first = self._path(1)
        if self.is_taken_over() or not os.path.exists(os.path.join(first, "bin", "python")):
            return False
        if os.path.isdir(self.path):
            shutil.rmtree(self.path)
        os.symlink(first, self.path)
        sync_directory(os.path.dirname(self.path))
        return True

    def save_plugins(self, path: str) -> None:
        """Keep the single-file plugins that are in use in a generation."""
        kept = os.path.join(path, _PLUGINS)
        if os.path.isdir(kept):
            shutil.rmtree(kept)
        _make_directory(kept)
        for name in _files(self.plugins_directory):
            shutil.copy2(os.path.join(self.plugins_directory, name), kept)

    def plugins_of(self, path: str) -> str:
        """Where the single-file plugins of a generation are kept."""
        return os.path.join(path, _PLUGINS)

    def _install_plugins(self, path: str, back_from: str | None = None) -> None:
        wanted = _files(self.plugins_of(path))
        brought = _files(self.plugins_of(back_from)) if back_from else set()
        if not wanted and not brought:
            return
        _make_directory(self.plugins_directory)
        for name in wanted:
            temporary = os.path.join(self.plugins_directory, f".{name}.new")
            shutil.copy2(os.path.join(self.plugins_of(path), name), temporary)
            os.replace(temporary, os.path.join(self.plugins_directory, name))
        for name in brought - wanted:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(os.path.join(self.plugins_directory, name))
        os.sync()

    def prune(self, keep: t.Iterable[str]) -> list[str]:
        """Remove all generations but some; never the one in use."""
        kept = {self.current(), *keep}
        paths = [self._path(number) for number in self._numbers()]
        return [self._remove(path) for path in paths if path not in kept]

    def remove(self, path: str) -> list[str]:
        """Remove one generation, if it is there and not in use."""
        if self._number(path) is None or path == self.current() or not os.path.isdir(path):
            return []
        return [self._remove(path)]

    def _path(self, number: int) -> str:
        return os.path.join(self.directory, str(number))

    def _number(self, path: str) -> int | None:
        parent, name = os.path.split(path)
        return int(name) if parent == self.directory and name.isdecimal() else None

    def _numbers(self) -> list[int]:
        try:
            names = os.listdir(self.directory)
        except FileNotFoundError:
            return []
        return sorted(int(name) for name in names if name.isdecimal())

    @staticmethod
    def _remove(path: str) -> str:
        shutil.rmtree(path)
        return path


def _make_directory(path: str) -> None:
    """A directory that everybody may read, whatever root's mask is."""
    if not os.path.isdir(path):
        os.mkdir(path, 0o755)
        os.chmod(path, 0o755)  # noqa: S103  (code that the service account reads)


def _files(directory: str) -> set[str]:
    try:
        return {entry.name for entry in os.scandir(directory) if entry.is_file()}
    except FileNotFoundError:
        return set()
