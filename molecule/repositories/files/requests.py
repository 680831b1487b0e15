#!/usr/bin/python3
"""Ask for pages, 16 at a time, in another order each; every one has to be answered with 200.

Arguments: a JSON list of URLs; the number of requests.
"""

import collections
import concurrent.futures
import json
import random
import sys
import urllib.error
import urllib.request


def status(url: str) -> int:
    try:
        with urllib.request.urlopen(url, timeout=120) as response:
            response.read()
            return response.status
    except urllib.error.HTTPError as e:
        return e.code


def main() -> int:
    pages, number = json.loads(sys.argv[1]), int(sys.argv[2])
    todo = [pages[index % len(pages)] for index in range(number)]
    random.Random(1).shuffle(todo)
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        found = collections.Counter(zip(todo, pool.map(status, todo)))
    for (url, code), count in sorted(found.items()):
        print(f"{count} times {code} {url}")
    return 0 if all(code == 200 for url, code in found) else 1


sys.exit(main())
