#!/usr/bin/python3
"""Ask for pages: each has to be answered with 200, and to hold its texts.

Argument: a JSON list of [URL, text...]. Says which are not as they should be.
"""

import json
import sys
import urllib.error
import urllib.request


def answer(url: str) -> tuple:
    """Status and text."""
    try:
        with urllib.request.urlopen(url, timeout=60) as response:
            return response.status, response.read().decode("utf-8")
    except urllib.error.HTTPError as e:
        with e:
            return e.code, e.read().decode("utf-8", "replace")


def main() -> int:
    wrong = 0
    for url, *texts in json.loads(sys.argv[1]):
        status, page = answer(url)
        missing = [text for text in texts if text not in page]
        if status != 200 or missing:
            wrong += 1
            print(
                f"{url}: status {status}, without {missing}, {len(page)} characters:\n{page[:500]}"
            )
    return 1 if wrong else 0


sys.exit(main())
