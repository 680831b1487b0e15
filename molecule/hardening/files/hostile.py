#!/usr/bin/env python3
"""Write many hostile values as JSON, each with its form as an argument for Apache.

Arguments: how many; a number from which they follow. Runs where the collection can be imported.
"""

import json
import random
import sys

from ansible_collections.trac.mod_wsgi.plugins.module_utils._site.plan import (
    PlanError,
    apache_argument,
)

PIECES = [
    *"aZ0 ~-_./:@,;#=?&+*^$|<>[](){}!%'\"\\`\t\n\0",
    *("é", "日本", "😀", "\u2028", "\x85", "\xa0"),
    *("${HOME}", "%{GLOBAL}", "{{ x }}", "$(id)", '\\"', "\\\\", "</VirtualHost>", "Include x"),
]


def main():
    number, seed = int(sys.argv[1]), int(sys.argv[2])
    chance = random.Random(seed)
    values, refused = [], 0
    for _number in range(number):
        value = "".join(chance.choices(PIECES, k=chance.randint(1, 8)))
        try:
            values.append([value, apache_argument(value)])
        except PlanError:
            refused += 1
    json.dump({"values": values, "refused": refused}, sys.stdout)


main()
