"""Put load on one page or, as load.py --warm, ask for several pages first.

load.py UNIT TITLE URL SECONDS EXACT prints what wrk has found and what the Trac processes used. A
slow page takes more than SECONDS, so that it is answered often enough.
load.py --warm URL TEXT [URL TEXT...] waits for the first page and fetches each as often as there
are connections, at the same time. A page without its text ends the benchmark.
"""

from __future__ import annotations

import concurrent.futures
import json
import os
import socket
import sys
import time
import urllib.parse

import service

ANSWERS = 3 * service.CONNECTIONS
LONGEST = 120


def wait(url: str) -> None:
    place = urllib.parse.urlsplit(url)
    for _time in range(150):
        try:
            socket.create_connection((place.hostname, place.port), timeout=60).close()
        except OSError:
            time.sleep(0.2)
        else:
            return
    sys.exit(f"Nothing listens at {url}.")


def check(url: str, text: str) -> None:
    page = service.fetch(url)[1]
    if text not in page:
        sys.exit(f"{url} does not show {text!r}:\n{page[:500]}")


def warm(pages: list[tuple[str, str]]) -> None:
    wait(pages[0][0])
    with concurrent.futures.ThreadPoolExecutor(service.CONNECTIONS) as pool:
        for url, text in pages:
            jobs = [pool.submit(check, url, text) for _place in range(service.CONNECTIONS)]
            for job in jobs:
                job.result()


def load(unit: str, title: str, url: str, seconds: int, exact: bool) -> dict[str, float]:
    trac = service.Service(unit, title)
    needed = service.median_of(url, 3) / 1000 * ANSWERS / (os.cpu_count() or 1)
    seconds, found = max(seconds, round(needed)), {"answers": 0.0}
    while found["answers"] < 2 * service.CONNECTIONS:
        before, processes = trac.cpu(), trac.processes()
        found = service.end_wrk(service.start_wrk(url, seconds, exact=exact))
        if found["broken"] or found["refused"] or seconds > LONGEST:
            sys.exit(f"{url}: {found}")
        seconds *= 2
    # Nobody knows what processes have used that are gone.
    same = trac.processes() == processes
    found["cpu"] = (trac.cpu() - before) * 1000 / found["answers"] if same else 0.0
    return found


def main() -> None:
    if sys.argv[1] == "--warm":
        warm(list(zip(sys.argv[2::2], sys.argv[3::2])))
    else:
        unit, title, url, seconds, exact = sys.argv[1:]
        print(json.dumps(load(unit, title, url, int(seconds), exact == "1")))


if __name__ == "__main__":
    main()
