# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Say how what Trac reads databases and repositories with comes to be installed."""

from __future__ import annotations

# By the name that Trac has for them: that of trac_runtime_bindings, and where the inventory says
# that it is needed when that variable is left out.
_DATABASE = "`database` of the environments, or the group trac_database,"
_REPOSITORIES = "`repositories` of the environments"
_BINDINGS = {
    "postgres": ("postgresql", _DATABASE),
    "mysql": ("mysql", _DATABASE),
    "git": ("git", _REPOSITORIES),
    "svn": ("subversion", _REPOSITORIES),
}


def is_known(kind: str) -> bool:
    """Whether role trac_runtime can install it."""
    return kind in _BINDINGS


def remedy(kind: str) -> str:
    """How to have it installed."""
    binding, source = _BINDINGS[kind]
    return (
        f"have role trac_runtime install it: {binding} in trac_runtime_bindings, which follows "
        f"from {source} in the inventory where it is left out"
    )
