#!/usr/bin/env python3
"""Ask for pages all the time, each over a connection of its own, until a file appears: STOP PAGES.

PAGES is a list of [url, host, title] in JSON. Prints what came that was not that page, and how
many did. Ends by itself after five minutes.
"""

import collections
import html
import json
import os
import sys
import threading
import time
import urllib.error
import urllib.request

STOP, PAGES = sys.argv[1], json.loads(sys.argv[2])
END = time.monotonic() + 300
found = collections.Counter()


def ask(url, host, title):
    request = urllib.request.Request(url, headers={"Host": host, "Connection": "close"})
    try:
        with urllib.request.urlopen(request, timeout=60) as response:
            text = html.unescape(response.read().decode())
    except urllib.error.HTTPError as error:
        return f"{url}: {error.code} (Retry-After {error.headers['Retry-After']})"
    except OSError as error:
        return f"{url}: {error!r}"
    return "good" if title in text else f"{url}: another title"


def visitor(number):
    while not os.path.exists(STOP) and time.monotonic() < END:
        found[ask(*PAGES[number % len(PAGES)])] += 1
        number += 1
        time.sleep(0.1)  # the machine has other things to do as well


threads = [threading.Thread(target=visitor, args=(number,)) for number in range(6)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print(json.dumps({"good": found.pop("good", 0), "bad": found}))
