# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What role trac_restore is given, on the controller."""

from __future__ import annotations

import typing as t

from ansible_collections.trac.mod_wsgi.plugins.module_utils._backup import backup_files
from ansible_collections.trac.mod_wsgi.plugins.module_utils._core import arguments

_KEYS = ("name", "file", "database")


def problems(wanted: object, uploads: bool, archives: t.Sequence[str]) -> list[str]:
    """What is wrong with trac_restore_environments; `archives` are those that may be uploaded."""
    if not isinstance(wanted, (list, tuple)):
        shown = arguments.shown(wanted)
        return [f"trac_restore_environments is {shown}; it has to be a list of names"]
    found = []
    for index, each in enumerate(wanted):
        where = f"trac_restore_environments[{index}]"
        if isinstance(each, str):
            each = {"name": each}
        if not isinstance(each, t.Mapping) or not isinstance(each.get("name"), str):
            found.append(
                f"{where} is {arguments.shown(each)}; it has to be a name, or a dictionary with a "
                "name, as text (in quotes, if it looks like a number)"
            )
        elif not backup_files.is_name(each["name"]):
            found.append(f"{where}: {each['name']!r} cannot be the name of an environment")
        elif not set(each) <= set(_KEYS):
            unknown = ", ".join(sorted(str(key) for key in set(each) - set(_KEYS)))
            found.append(f"{where}: unknown: {unknown} (a dictionary has {', '.join(_KEYS)})")
        elif "file" in each and uploads:
            found.append(f"{where}: file is on the host and cannot be given with trac_restore_from")
        else:
            # The connection string holds a password.
            found += [
                f"{where}.{key} is {arguments.shown(each[key], True)}; it has to be text"
                for key in _KEYS
                if each.get(key) is not None and not arguments.is_text(each[key])
            ]
    if not found and uploads:
        chosen = newest(wanted, archives)
        names = [item["name"] for item in items(wanted)]
        found += [
            f"trac_restore_from holds no backup of {name}" for name in names if name not in chosen
        ]
        if not archives:
            found.append(
                "trac_restore_from is no archive and no directory with archives (*.tar.gz)"
            )
    return found


def items(
    wanted: t.Sequence[str | t.Mapping[str, str]], files: t.Mapping[str, str] | None = None
) -> list[dict[str, str]]:
    """What is wanted, as dictionaries; all files that were uploaded, if nothing is wanted."""
    found = [{"name": each} if isinstance(each, str) else dict(each) for each in wanted]
    if not files:
        return found
    if not found:
        return [{"name": name, "file": file} for name, file in sorted(files.items())]
    return [{**each, "file": files[each["name"]]} for each in found]


def newest(
    wanted: t.Sequence[str | t.Mapping[str, str]], archives: t.Sequence[str]
) -> dict[str, str]:
    """The newest archive of each environment that is wanted (of all, if none is)."""
    found: dict[str, backup_files.Backup] = {}
    for path in archives:
        backup = backup_files.parse(path)
        if backup and (backup.name not in found or found[backup.name].made < backup.made):
            found[backup.name] = backup
    if len(wanted) == 1 and len(archives) == 1:  # one archive can become any environment
        (item,), paths = items(wanted), [backup.path for backup in found.values()]
        return dict(zip([item["name"]], paths))
    names = {item["name"] for item in items(wanted)} or set(found)
    return {name: backup.path for name, backup in found.items() if name in names}
