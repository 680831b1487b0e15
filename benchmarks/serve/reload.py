"""What visitors notice of a reload: reload.py UNIT TITLE URL FILE.

FILE is the trac.ini of the page's environment. Prints milliseconds: a warm page, the first one
after a graceful restart when all processes are new ones, the slowest while a restart goes on, the
slower of two after FILE was touched; and how many requests failed in ten restarts under load.
"""

from __future__ import annotations

import json
import pathlib
import statistics
import sys
import time
import urllib.request

import service

TIMES = 3
RELOADS = 10
PAUSE = 8  # seconds between two, in which the processes of both sites can start
PATIENCE = 60


def patient(url: str) -> float:
    """Milliseconds until a visitor has the page who asks again when it is refused."""
    begin = time.perf_counter()
    while time.perf_counter() - begin < PATIENCE:
        try:
            with urllib.request.urlopen(url, timeout=PATIENCE) as answer:
                answer.read()
        except OSError:  # urllib's errors are among them
            time.sleep(0.05)
        else:
            return (time.perf_counter() - begin) * 1000
    sys.exit(f"{url}: no page for {PATIENCE} s")


def renewed(trac: service.Service) -> None:
    """Reload, and wait until every old process is gone and as many new ones are there."""
    old = trac.processes()
    trac.reload()
    for _time in range(3000):
        now = trac.processes()
        if not now & old and len(now) == len(old):
            return
        time.sleep(0.01)
    sys.exit(f"{trac.unit}: still the old processes")


def first(trac: service.Service, url: str) -> float:
    renewed(trac)
    return patient(url)


def slowest(trac: service.Service, url: str, seconds: float = 5) -> float:
    trac.reload()
    end = time.monotonic() + seconds
    found = [patient(url)]
    while time.monotonic() < end:
        found.append(patient(url))
    return max(found)


def touched(url: str, file: pathlib.Path) -> float:
    """The slower of two: the first of each process, when they take turns."""
    service.median_of(url, 20)
    file.touch()
    return max(service.fetch(url)[0], service.fetch(url)[0])


def failed(trac: service.Service, url: str) -> dict[str, float]:
    # Connections that are kept may always be closed before the next request is on its way.
    headers = ("Connection: close",)
    running = service.start_wrk(url, PAUSE * (RELOADS + 1), connections=4, headers=headers)
    for _time in range(RELOADS):
        time.sleep(PAUSE)
        trac.reload()
    found = service.end_wrk(running)
    return {"failed": found["broken"] + found["refused"], "requests": found["answers"]}


def main() -> None:
    unit, title, url, file = sys.argv[1:]
    trac = service.Service(unit, title)
    service.median_of(url, 20)

    def several(how: str) -> float:
        calls = {
            "first": lambda: first(trac, url),
            "slowest": lambda: slowest(trac, url),
            "touched": lambda: touched(url, pathlib.Path(file)),
        }
        return statistics.median(calls[how]() for _time in range(TIMES))

    found = {"warm": service.median_of(url, 40)}
    found.update({how: several(how) for how in ("first", "slowest", "touched")})
    print(json.dumps({**found, **failed(trac, url)}))


if __name__ == "__main__":
    main()
