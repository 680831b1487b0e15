# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read, compare and write the trac.ini of an environment, with Trac's own notion of its options."""

from __future__ import annotations

import contextlib
import functools
import os
import re
import stat
import time
import typing as t

from ansible_collections.trac.mod_wsgi.plugins.module_utils._core import regular_file
from ansible_collections.trac.mod_wsgi.plugins.module_utils._core import secrets as core_secrets
from ansible_collections.trac.mod_wsgi.plugins.module_utils._trac import ini_edit, ini_text
from ansible_collections.trac.mod_wsgi.plugins.module_utils._trac.environment_spec import (
    EnvironmentFailure,
    OptionName,
)
from ansible_collections.trac.mod_wsgi.plugins.module_utils._trac.opening import reason
from ansible_collections.trac.mod_wsgi.plugins.module_utils._trac.preview_place import Place

_OLD_COMMENT = re.compile(r"([^;]*\s)?;")

Wanted = t.Dict[OptionName, t.Optional[str]]
# An option with its value before and after.
Changed = t.Tuple[OptionName, t.Optional[str], t.Optional[str]]


class IniFile:
    """A trac.ini as it is, and as it is to become.

    :param encoding: of lines that are not UTF-8; `mended` tells what of it is to be mended then
    :param place: of the copy that it is in, if it is for a preview
    """

    def __init__(self, path: str, encoding: str | None = None, place: Place | None = None) -> None:
        self.path = path
        self.place = place
        self._content = regular_file.read(path, follow=True)
        try:
            self.text, self.mended = ini_text.decode(self._content, encoding)
        except ini_edit.IniError as e:
            raise EnvironmentFailure(ini_text.sentence(path, e)) from e
        if place is None:
            self.options, self.parser = _parsed(path, self.text)
        else:
            _parsed(path, self.text)  # which may refuse it
            self.text = place.outward(self.text)
            self.options = _parsed(path, self.text)[0]
            self.parser = _parsed(path, place.inward(self.text))[1]

    def refuse_empty(self) -> None:
        """An environment always has options; to add some here would hide that they are lost."""
        if not self.options:
            raise EnvironmentFailure(
                f"{self.path} is empty: perhaps a full disk or a power cut has truncated it; get "
                "it back from a copy of the environment, at least its [trac] database"
            )

    def current(self, name: OptionName) -> str | None:
        """The value of an option; None where the file does not hold it."""
        return self.options.get(name[0], {}).get(ini_edit.option_key(name[1]))

    def differing(self, wanted: t.Mapping[OptionName, str | None]) -> Wanted:
        """The options that the file does not hold word by word."""
        return {name: value for name, value in wanted.items() if self.current(name) != value}

    def proposed(self, changes: Wanted) -> t.Any:
        """Trac's parser of the file with these changes."""
        if not changes:
            return self.parser
        return _parsed(self.path, self._with(changes))[1]

    def _with(self, changes: Wanted) -> str:
        text = apply(self.path, self.text, changes)
        return text if self.place is None else self.place.inward(text)

    def write(self, changes: Wanted) -> None:
        """Change the file, unless somebody else has done so since it was read."""
        if changes or self.mended:
            _refuse_read_only(self.path)
            if self.mended:
                _keep(self.path, self._content)
            _write(self.path, self._content, self._with(changes))

    def write_copy(self, place: Place, changes: Wanted) -> None:
        """Write what it is to become into the copy of a preview."""
        path = os.path.join(place.copy, "conf", os.path.basename(self.path))
        os.makedirs(os.path.dirname(path), exist_ok=True)
        text = place.inward(apply(self.path, self.text, changes))
        with open(path, "w", encoding="utf-8", newline="") as file:
            file.write(text)

    def secrets(self) -> t.Iterator[tuple[str, str]]:
        """Option and value of what nobody else should read."""
        for section, options in self.options.items():
            for option, value in options.items():
                if core_secrets.secrets_in(option, value, section):
                    yield option, value

    def old_comments(self) -> t.Iterator[OptionName]:
        """The options of whose value Python 2, and not Python 3, took a part for a comment."""
        for section, options in self.options.items():
            for option, value in options.items():
                if _OLD_COMMENT.match(value.split("\n", 1)[0]):
                    yield section, option

    def mode_without_others(self, changes: Wanted) -> tuple[int, int] | None:
        """The file's mode and a better one, if it lets, or would let, everybody read a secret."""
        mode = stat.S_IMODE(os.stat(self.path).st_mode)
        if not mode & 0o007:
            return None
        new = (
            core_secrets.secrets_in(option, value, section)
            for (section, option), value in changes.items()
            if value
        )
        if any(new) or any(True for dummy in self.secrets()):
            return mode, mode & ~0o007
        return None

    def needed(self, environment: t.Any, wanted: t.Mapping[OptionName, str | None]) -> Wanted:
        """The options whose value in the file does not mean what is wanted."""
        needed = {}
        for name, value in wanted.items():
            current = self.current(name)
            if current is None and value is not None:
                # Trac does not repeat in trac.ini what the file says that it inherits from.
                current = _inherited(environment, name)
            if not _same(name, current, value):
                needed[name] = value
        return needed


def _inherited(environment: t.Any, name: OptionName) -> str | None:
    """What the files say that a trac.ini inherits from."""
    for parent in environment.config.parents:
        if parent.has_option(*name, defaults=False):
            return t.cast(str, parent.get(*name))
    return None


@contextlib.contextmanager
def kept_in_place(environment: t.Any) -> t.Iterator[list[Changed]]:
    """Have what Trac itself changes in trac.ini changed in place; the list names it at the end.

    Trac writes the file anew, sorted, without comments, and with its own spelling of each value.
    """
    before = IniFile(environment.config_file_path)
    everywhere = ini_edit.defaults(before.text)
    changed: list[Changed] = []
    yield changed
    after = IniFile(environment.config_file_path)
    if after.text == before.text:
        return
    changes: Wanted = {}
    for section in {*before.options, *after.options}:
        for option in {*before.options.get(section, {}), *after.options.get(section, {})}:
            name = (section, option)
            old, new = before.current(name), after.current(name)
            if new is None:
                if _inherited(environment, name) != old:
                    changes[name] = None
            elif not (_same(name, old, new) or (old is None and new == everywhere.get(option))):
                changes[name] = new
    changed += [(name, before.current(name), changes[name]) for name in sorted(changes)]
    _write(before.path, after.text.encode(), apply(before.path, before.text, changes))
    environment.config.parse_if_needed(force=True)


def proposal(path: str, options: t.Mapping[OptionName, str]) -> t.Any:
    """Trac's parser of a trac.ini that is to be created."""
    return _parsed(path, apply(path, "", options))[1]


def apply(path: str, text: str, changes: ini_edit.Changes) -> str:
    """The text of a file with these changes."""
    try:
        return ini_edit.apply(text, changes)
    except ini_edit.IniError as e:
        raise EnvironmentFailure(f"{path}: {e}") from e


def _parsed(path: str, text: str) -> tuple[ini_edit.Options, t.Any]:
    from trac.config import UnicodeConfigParser

    parser = UnicodeConfigParser()
    try:
        return ini_edit.parse(text, parser), parser
    except ini_edit.IniError as e:
        raise EnvironmentFailure(f"{path}: {e}") from e


def _refuse_read_only(path: str) -> None:
    """Somebody may not want the file to be changed, although the account could replace it."""
    path = os.path.realpath(path)
    if not os.access(path, os.W_OK):
        mode = stat.S_IMODE(os.stat(path).st_mode)
        raise EnvironmentFailure(
            f"{path} is read-only (by its mode, {mode:04o}, by an attribute as chattr sets it, or "
            "by its filesystem), and options are to be set in it; make it writable, or leave these "
            "options to the file"
        )


def _keep(path: str, content: bytes) -> None:
    """Leave what a file held before its encoding was mended beside it, for its owner alone."""
    stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
    descriptor = os.open(f"{os.path.realpath(path)}.before-{stamp}", flags, 0o600)
    with open(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(descriptor)


def _write(path: str, old: bytes, new: str) -> None:
    """Replace the content of a file at once; its mode and group stay."""
    path = os.path.realpath(path)
    status = os.stat(path)
    temporary = os.path.join(os.path.dirname(path), f".{os.path.basename(path)}.new")
    with contextlib.suppress(FileNotFoundError):
        os.unlink(temporary)
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with open(descriptor, "wb") as file:
            file.write(new.encode("utf-8"))
            file.flush()
            with contextlib.suppress(PermissionError):
                os.fchown(descriptor, -1, status.st_gid)
            os.fchmod(descriptor, stat.S_IMODE(status.st_mode))
            os.fsync(descriptor)
        if regular_file.read(path, follow=True) != old:
            raise EnvironmentFailure(f"{path} was changed by somebody else meanwhile; run again")
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
        raise


def _registered(name: OptionName) -> t.Any:
    """Trac's own definition of an option, or None."""
    from trac.config import Option

    return _registry(len(Option.registry)).get((name[0], ini_edit.option_key(name[1])))


@functools.lru_cache(maxsize=1)
def _registry(_size: int) -> dict[OptionName, t.Any]:
    from trac.config import Option

    return {
        (section, ini_edit.option_key(name)): option
        for (section, name), option in Option.registry.items()
    }


def _same(name: OptionName, one: str | None, other: str | None) -> bool:
    """Whether two values mean the same to Trac, which spells values its own way when it saves."""
    if one is None or other is None or one == other:
        return one == other
    option = _registered(name)
    return option is not None and bool(option.normalize(one) == option.normalize(other))


def check_options(environment: t.Any, names: t.Iterable[OptionName]) -> None:
    """Let Trac read the options, so that what it cannot use is refused."""
    from trac.config import ConfigurationError

    for name in names:
        option = _registered(name)
        if option is None:
            continue
        try:
            option.__get__(environment, type(environment))
        except ConfigurationError as e:
            raise EnvironmentFailure(f"[{name[0]}] {name[1]}: {reason(e, environment.path)}") from e
