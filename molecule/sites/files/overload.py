#!/usr/bin/python3
"""Ask for more slow pages at once than a site takes, and for a static file meanwhile.

Arguments: the URL of a page that takes a second, of a site with one thread and a queue timeout of
4 seconds; the URL of a static file; the number of requests. Says what is wrong, if anything is.
"""

import concurrent.futures
import sys
import time
import urllib.error
import urllib.request


def ask(url: str) -> tuple:
    """Status, Retry-After and seconds."""
    start = time.monotonic()
    try:
        with urllib.request.urlopen(url, timeout=60) as response:
            response.read()
    except urllib.error.HTTPError as error:
        response = error
    return response.status, response.headers["Retry-After"], time.monotonic() - start


def main() -> int:
    page, static, number = sys.argv[1], sys.argv[2], int(sys.argv[3])
    with concurrent.futures.ThreadPoolExecutor(number) as pool:
        asked = [pool.submit(ask, page) for _number in range(number)]
        statics = []
        while not all(each.done() for each in asked):
            statics.append(ask(static))
            time.sleep(0.1)
    answers = [each.result() for each in asked]
    served = [seconds for status, _retry, seconds in answers if status == 200]
    refused = [seconds for status, retry, seconds in answers if (status, retry) == (503, "10")]
    at_once = [seconds for seconds in refused if seconds < 1]
    print(f"{len(served)} served, {len(refused)} refused, {len(at_once)} of them at once")
    print(f"Longest: {max(answers, key=lambda answer: answer[2])}, static {max(statics)}")
    wrong = [
        words
        for fine, words in (
            (len(served) + len(refused) == number, f"Other answers: {answers}"),
            (served and at_once, "Some should be served, and some refused at once."),
            (max(seconds for _status, _retry, seconds in answers) < 8, "Some take too long."),
            (all(status == 200 and seconds < 2 for status, _retry, seconds in statics), statics),
        )
        if not fine
    ]
    print(*wrong, sep="\n")
    return 1 if wrong else 0


sys.exit(main())
