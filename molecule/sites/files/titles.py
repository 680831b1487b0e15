#!/usr/bin/python3
"""Ask for many URLs at a time, in another order each; every page has to have its own title.

Arguments: a JSON list of [URL, Host header, title]; the number of requests.
"""

import collections
import concurrent.futures
import html
import json
import random
import sys
import urllib.request


def title(url: str, host: str) -> str:
    request = urllib.request.Request(url, headers={"Host": host})
    with urllib.request.urlopen(request, timeout=60) as response:
        page = response.read().decode("utf-8")
    return html.unescape(page.partition("<title>")[2].partition("</title>")[0]).strip()


def main() -> int:
    pages, number = json.loads(sys.argv[1]), int(sys.argv[2])
    todo = [pages[index % len(pages)] for index in range(number)]
    random.Random(1).shuffle(todo)
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda page: title(*page[:2]), todo))
    wrong = collections.Counter(
        f"{page[1]} {page[0]}: {seen!r}, not {page[2]!r}"
        for page, seen in zip(todo, found)
        if seen != page[2]
    )
    for line, count in wrong.items():
        print(f"{count} times {line}")
    print(f"{number - sum(wrong.values())} of {number} with their own title")
    return 1 if wrong else 0


sys.exit(main())
