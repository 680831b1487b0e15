# Made by the Ansible role trac.mod_wsgi.trac_runtime; changes are overwritten.
"""The distribution's binding of Subversion, without the fault of Subversion 1.14.5.

There fs.closest_copy returns [None, None] for what was never copied, where it should return
None, as it did before. Trac then fails on each change of svn:mergeinfo.

Only what is wrong is set right: every other answer is handed on as it is. This package stands
before that of the distribution and finds all of its modules there, so that it works wherever the
binding is imported: in Apache, in trac-admin, in services.
"""

from __future__ import annotations

import functools
import os
import typing as t

import libsvn.fs

_beside = os.path.dirname(os.path.realpath(libsvn.__file__))
__path__ = [os.path.join(os.path.dirname(_beside), "svn")]


def _set_right(closest_copy: t.Callable[..., t.Any]) -> t.Callable[..., t.Any]:
    @functools.wraps(closest_copy)
    def svn_fs_closest_copy(*args: t.Any) -> t.Any:
        answer = closest_copy(*args)
        return None if answer == [None, None] else answer

    return svn_fs_closest_copy


# svn.fs takes its functions from here when it is imported.
libsvn.fs.svn_fs_closest_copy = _set_right(libsvn.fs.svn_fs_closest_copy)
