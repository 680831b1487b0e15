# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Copies of the virtual hosts that role trac_site writes, as certbot and people make them.

A copy claims the same process groups, which Apache refuses, or the same scripts for the same
names. Apache's words name either of the two files, whichever it reads second.
"""

from __future__ import annotations

import os

from ansible_collections.trac.mod_wsgi.plugins.module_utils._apache import apache_configuration

# Where the role writes them, within the directory of Apache's configuration.
_OWN = "sites-available/000-trac.conf"


def files(config_dir: str) -> list[str]:
    """The files that hold such copies, as Apache includes them."""
    own = os.path.realpath(os.path.join(config_dir, _OWN))
    claimed: dict[str, set[tuple[str, str]]] = {}
    for each in apache_configuration.read(config_dir, {}).all(
        "WSGIDaemonProcess", "WSGIScriptAlias"
    ):
        # Outside of virtual hosts stands the hello-world, which the role's own repeat.
        if each.host and each.arguments:
            which = 1 if each.name == "wsgiscriptalias" else 0
            what = (each.name, "".join(each.arguments[which : which + 1]))
            claimed.setdefault(each.file, set()).add(what)
    ours: set[tuple[str, str]] = set()
    for file, found in claimed.items():
        if os.path.realpath(file) == own:
            ours |= found
    return [
        file for file, found in claimed.items() if os.path.realpath(file) != own and found & ours
    ]


def advice(config_dir: str) -> str:
    """What to do about the copies, for the user; empty where there are none."""
    found = files(config_dir)
    if not found:
        return ""
    names = " and ".join(found)
    sites = " ".join(os.path.basename(file).rpartition(".conf")[0] or file for file in found)
    return (
        f"{names}: a copy of virtual hosts in {os.path.join(config_dir, _OWN)}, as certbot makes "
        "them; Apache cannot have the same process groups twice, and a copy does not follow "
        f"changes. Take it out: a2dissite {sites}. For TLS give the sites the key tls in "
        "trac_sites (certificate_file and key_file can be certbot's), and run playbooks/site.yml."
    )
