#!/usr/bin/env python3
"""Ask for pages all the time, each over a connection of its own, until a file appears: STOP URL...

Prints how often which answer came, as JSON: "200", "503 with Retry-After", or what went wrong.
Ends by itself after ten minutes.
"""

import collections
import json
import os
import sys
import threading
import time
import urllib.error
import urllib.request

STOP, URLS = sys.argv[1], sys.argv[2:]
END = time.monotonic() + 600
found = collections.Counter()


def ask(url):
    request = urllib.request.Request(url, headers={"Connection": "close"})
    try:
        with urllib.request.urlopen(request, timeout=60) as response:
            response.read()
            return str(response.status)
    except urllib.error.HTTPError as error:
        with error:
            return f"{error.code}{' with Retry-After' if error.headers['Retry-After'] else ''}"
    except OSError as error:
        return f"{url}: {error!r}"


def visitor(number):
    while not os.path.exists(STOP) and time.monotonic() < END:
        begin = time.monotonic()
        found[ask(URLS[number % len(URLS)])] += 1
        number += 1
        # The machine has other things to do as well, and pages cost it more than files.
        time.sleep(0.1 + 4 * min(time.monotonic() - begin, 0.5))


threads = [threading.Thread(target=visitor, args=(number,)) for number in range(3)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print(json.dumps(found))
