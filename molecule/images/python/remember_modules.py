"""Have Python compile each file of Ansible's modules once, and not with each task.

Ansible sends a module as a zip file, whose files Python compiles anew each time: that is a third of
what a task costs. The variable REMEMBERED_MODULES names the directory for what has been compiled;
where it is not set nothing is different. remember_modules.pth has the system's Python read this;
that of Trac's virtual environment does not see it.
"""

import marshal
import os
import zipimport
from _imp import _fix_co_filename, source_hash

_compile_source = zipimport._compile_source


def _remembered(pathname, source):
    """What zipimport calls to get the code of a file."""
    path = os.path.join(os.environ["REMEMBERED_MODULES"], source_hash(0, source).hex())
    try:
        with open(path, "rb") as stream:
            code = marshal.load(stream)
    except FileNotFoundError:
        code = _compile_source(pathname, source)
        _keep(code, path)
    else:
        # It came from another zip file. As Python does it with .pyc files.
        _fix_co_filename(code, pathname)
    return code


def _keep(code, path):
    """Nobody reads half a file."""
    os.makedirs(os.path.dirname(path), 0o700, exist_ok=True)
    with open(f"{path}.{os.getpid()}", "wb") as stream:
        marshal.dump(code, stream)
    os.rename(stream.name, path)


# What other accounts do is not worth a directory of their own.
if os.environ.get("REMEMBERED_MODULES") and os.geteuid() == 0:
    zipimport._compile_source = _remembered
