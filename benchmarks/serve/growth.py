"""Memory of a service's Trac processes: growth.py UNIT TITLE URL FILE REQUESTS RELOADS.

Prints megabytes (RSS, all processes together) after 0 to REQUESTS requests, and after FILE (the
trac.ini) was touched 0 to RELOADS times with a request after each.
"""

from __future__ import annotations

import json
import pathlib
import sys

import service

STEPS = 10
SECONDS = 5  # of load between two looks


def look(trac: service.Service) -> float:
    return round(sum(trac.memory("Rss")), 1)


def over_requests(trac: service.Service, url: str, requests: int) -> list[tuple[int, float]]:
    done, found = 0, [(0, look(trac))]
    while done < requests:
        load = service.end_wrk(service.start_wrk(url, SECONDS))
        if load["broken"] or load["refused"]:
            sys.exit(f"{url}: {load}")
        done += int(load["answers"])
        found.append((done, look(trac)))
    # A dozen of them are enough.
    return found[: -1 : max(len(found) // STEPS, 1)] + found[-1:]


def over_reloads(
    trac: service.Service, url: str, file: pathlib.Path, reloads: int
) -> list[tuple[int, float]]:
    found = [(0, look(trac))]
    for number in range(1, reloads + 1):
        file.touch()
        service.fetch(url)
        if number % max(reloads // STEPS, 1) == 0:
            found.append((number, look(trac)))
    return found


def main() -> None:
    unit, title, url, file, requests, reloads = sys.argv[1:]
    trac = service.Service(unit, title)
    service.median_of(url, 100)
    found = {
        "requests": over_requests(trac, url, int(requests)),
        "reloads": over_reloads(trac, url, pathlib.Path(file), int(reloads)),
    }
    print(json.dumps(found))


if __name__ == "__main__":
    main()
