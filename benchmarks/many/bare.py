"""The least that creates environments: Trac's own class, one process, nothing checked.

bare.py DIRECTORY COUNT
"""

import pathlib
import sys

from trac.env import Environment

directory, count = pathlib.Path(sys.argv[1]), int(sys.argv[2])
directory.mkdir()
for number in range(count):
    options = [("project", "name", f"Project {number}"), ("trac", "database", "sqlite:db/trac.db")]
    Environment(str(directory / f"p{number}"), create=True, options=options).shutdown()
