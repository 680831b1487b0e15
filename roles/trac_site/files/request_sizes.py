"""Print what the environments named as arguments say of sizes, as JSON by name, section and option.

Trac reads the files itself, so that those which they inherit from count, too. What cannot be read
is left out: whoever serves it will say why.
"""

import json
import os
import sys

from trac.config import Configuration
from trac.core import TracError

OPTIONS = (
    ("attachment", "max_size"),
    ("wiki", "max_size"),
    ("ticket", "max_description_size"),
    ("ticket", "max_comment_size"),
)


def sizes(environment: str) -> dict:
    config = Configuration(os.path.join(environment, "conf", "trac.ini"))
    found: dict = {}
    for section, option in OPTIONS:
        value = config.get(section, option, "")
        if value:
            found.setdefault(section, {})[option] = value
    return found


def main() -> None:
    found = {}
    for environment in sys.argv[1:]:
        try:
            found[os.path.basename(environment)] = sizes(environment)
        except (OSError, UnicodeError, TracError):
            continue
    print(json.dumps(found))


main()
