# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tell whether Trac takes a login that Apache has asked for.

Plugins such as AccountManager put a component of their own in the place of Trac's, which is
switched off for that. Where the plugin is gone, Apache still asks, and Trac knows nobody.
"""

from __future__ import annotations

import os
import typing as t

from ansible_collections.trac.mod_wsgi.plugins.module_utils._core import regular_file
from ansible_collections.trac.mod_wsgi.plugins.module_utils._trac.fault import SHUT, Fault

_OWN = "trac.web.auth.LoginModule"
# Where AccountManager keeps names and passwords, if not in the database.
_PLUGIN = "account-manager"
_FILES = ("htpasswd_file", "password_file")
_USUAL = os.path.join("conf", "trac.htpasswd")
_SHOWN = 10  # names


def faults(environment: t.Any) -> list[Fault]:
    """Why nobody can log in, whatever Apache asks for."""
    from trac.web.main import RequestDispatcher

    try:
        if RequestDispatcher(environment).authenticators:
            return []
    # One that cannot even begin is told with the plugins.
    except Exception:  # noqa: BLE001
        return []
    return [
        Fault(
            f"[components] {_OWN} is disabled",
            ", and no other component takes a login",
            f"leave [components] {_OWN} out (null takes it out of trac.ini) to have Trac take the "
            f"logins of Apache{_users(environment)}",
            "install and enable the plugin that had users log in (for AccountManager, "
            "[components] acct_mgr.web_ui.LoginModule = enabled)",
            SHUT,
        )
    ]


def clashes(environment: t.Any) -> list[Fault]:
    """Return why /login answers 404, which matters where nothing else asks for a login.

    Trac tells handlers apart by the names of their classes, so that one hides the other.
    """
    from trac.core import ComponentMeta

    names = [
        f"{each.__module__}.{each.__name__}"
        for each in ComponentMeta._components
        if each.__name__ == _OWN.rpartition(".")[2] and environment.is_enabled(each)
    ]
    if len(names) < 2:
        return []
    return [
        Fault(
            f"[components] enables both {' and '.join(sorted(names))}",
            ", of which Trac sees one only, so that /login is answered with 404",
            f"set [components] {_OWN} to disabled",
            None,
            SHUT,
        )
    ]


def _users(environment: t.Any) -> str:
    """Describe a file of AccountManager's as a source of users."""
    for file in _password_files(environment):
        try:
            lines = regular_file.read(file, follow=True).decode("utf-8", "replace").splitlines()
        except OSError:
            continue
        names = sorted({line.split(":", 1)[0] for line in lines if ":" in line})
        if names:
            rest = len(names) - _SHOWN
            shown = ", ".join(names[:_SHOWN]) + (f" and {rest} more" if rest > 0 else "")
            return (
                f"; {file} knows {shown}: list them in trac_users, each with a new password, as "
                "theirs cannot be read from it"
            )
    return "; list users in trac_users"


def _password_files(environment: t.Any) -> t.Iterator[str]:
    names = [environment.config.get(_PLUGIN, option) for option in _FILES]
    for name in [*(each for each in names if each), _USUAL]:
        yield os.path.normpath(os.path.join(environment.path, name))
