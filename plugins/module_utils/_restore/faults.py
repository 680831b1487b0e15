# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Look whether an environment from a backup could be served, before it takes its place.

What it was served with need not be on this host: files to inherit from, plugins, directories.
"""

from __future__ import annotations

import os
import typing as t

from ansible_collections.trac.mod_wsgi.plugins.module_utils._copies import tar_environment
from ansible_collections.trac.mod_wsgi.plugins.module_utils._core import regular_file
from ansible_collections.trac.mod_wsgi.plugins.module_utils._trac import fault as trac_fault
from ansible_collections.trac.mod_wsgi.plugins.module_utils._trac import faults as trac_faults
from ansible_collections.trac.mod_wsgi.plugins.module_utils._trac import log as trac_log
from ansible_collections.trac.mod_wsgi.plugins.module_utils._trac import named_files
from ansible_collections.trac.mod_wsgi.plugins.module_utils._trac.environment_spec import (
    EnvironmentFailure,
)
from ansible_collections.trac.mod_wsgi.plugins.module_utils._trac.ini import IniFile
from ansible_collections.trac.mod_wsgi.plugins.module_utils._trac.named_files import Place
from ansible_collections.trac.mod_wsgi.plugins.module_utils._trac.opening import (
    environment_class,
    opened,
)

_INI = os.path.join("conf", "trac.ini")
_KEPT = "Nothing was restored, and what is there was not touched"


def found(ini: IniFile, new: str, path: str, there: bool) -> list[trac_fault.Fault]:
    """What keeps an unpacked environment from being served; refuses what must not even be there.

    Where it would be open to everybody, that is so at once: a site shows what stands in its
    directory. Where it would be down, that is better than what is lost, and worse than what works.
    """
    place, file = Place(new, path), os.path.join(path, _INI)
    trac_fault.refuse(named_files.inherited(ini.parser, file, place), _KEPT)
    parents = [place.found(each) for each in named_files.parents(ini.parser, file)]
    # From where it is now, relative paths would lead elsewhere.
    parser = ini.proposed({named_files.INHERIT: ",".join(parents)} if parents else {})
    with opened(environment_class()(new, parser)) as environment:
        # Its database is not there yet; it may be that of an older Trac.
        faults = trac_faults.faults(environment, outdated=True, ask=False, mended=True, place=place)
    if there or any(fault.effect == trac_fault.OPEN for fault in faults):
        trac_fault.refuse(faults, _KEPT)
    return faults


def tell(faults: t.Sequence[trac_fault.Fault]) -> None:
    """Fail for what was found in an environment that has been restored all the same."""
    trac_fault.refuse(
        faults, "It was restored all the same, as nothing was in its place; run site.yml"
    )


def predict(file: t.IO[bytes], name: str, path: str) -> None:
    """Refuse what can be known from trac.ini alone, in check mode."""
    content = tar_environment.content_of(file, f"{name}/{_INI}", regular_file.LARGEST)
    parser = named_files.parsed(content or b"", _INI)
    if isinstance(parser, named_files.Unread):
        raise EnvironmentFailure(f"the archive holds {_INI}, which {parser.why}")
    ini = os.path.join(path, _INI)
    parents = named_files.parents(parser, ini)
    if parents:
        # Those of its own are in the archive, too.
        others = (os.path.normpath(each) for each in parents)
        kept = [each for each in others if not trac_log.is_inside(each, path)]
        parser.set(*named_files.INHERIT, ",".join(kept))
    trac_fault.refuse(named_files.inherited(parser, ini), _KEPT)
