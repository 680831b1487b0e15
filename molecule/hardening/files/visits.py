#!/usr/bin/python3
"""Ask for pages again and again, and say with which statuses they were answered.

Arguments: the number of requests for each; the address to come from; URLs, asked for as they are
written, with HTTP Basic if they begin with a name and a password.

Prints JSON: for each URL how many answers had which status, and Retry-After of the last.
"""

import base64
import collections
import http.client
import json
import sys
import urllib.parse


def main():
    number, address = int(sys.argv[1]), sys.argv[2]
    result = {}
    for url in sys.argv[3:]:
        parts = urllib.parse.urlsplit(url)
        statuses = collections.Counter()
        login, _at, place = parts.netloc.rpartition("@")
        word = "Basic " + base64.b64encode(login.encode()).decode()
        headers = {"Authorization": word} if login else {}
        for _number in range(number):
            connection = http.client.HTTPConnection(place, source_address=(address, 0), timeout=60)
            path = url[url.index(place) + len(place) :]
            connection.request("GET", path, headers=headers)
            response = connection.getresponse()
            response.read()
            statuses[response.status] += 1
            retry = response.headers["Retry-After"]
            connection.close()
        words = ", ".join(f"{times} x {status}" for status, times in sorted(statuses.items()))
        result[url] = {"statuses": words, "retry_after": retry}
    print(json.dumps(result))


main()
