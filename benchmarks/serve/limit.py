"""The limit: dispatch_request called in process, with Python's collection of cycles off.

limit.py SECONDS PATH [PATH...] runs one process for each core at the same time, each with one
thread, and prints for each page the requests per second of all and the milliseconds of processor
time for one. PATH begins with the name of the environment; "/" is the index of all.
"""

from __future__ import annotations

import gc
import io
import json
import multiprocessing
import os
import sys
import time
import types
import typing as t
import urllib.parse
import wsgiref.util

import service
import trac.web.main

WARM = 3
PARENT = "/srv/trac/environments"
Pair = t.Tuple[float, float]


def environ(path: str) -> dict[str, t.Any]:
    page = urllib.parse.urlsplit(path)
    project = page.path.startswith("/project/")
    return {
        "REQUEST_METHOD": "GET",
        "SCRIPT_NAME": "",
        "PATH_INFO": page.path[len("/project") :] if project else page.path,
        "QUERY_STRING": page.query,
        "SERVER_NAME": "127.0.0.1",
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": "127.0.0.1",
        "HTTP_HOST": "127.0.0.1",
        "HTTP_COOKIE": service.COOKIE,
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(),
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": False,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
        "wsgi.file_wrapper": wsgiref.util.FileWrapper,
        "trac.env_path" if project else "trac.env_parent_dir": PARENT + "/project" * project,
    }


def ask(path: str) -> None:
    status = []

    def start_response(line: str, _headers: object, _error: object = None) -> object:
        status.append(line)
        return lambda _data: None

    parts = trac.web.main.dispatch_request(environ(path), start_response)
    for _part in parts:
        pass
    getattr(parts, "close", lambda: None)()
    if status != ["200 Ok"]:
        sys.exit(f"{path}: {status}")


def measure(job: tuple[str, float]) -> Pair:
    path, seconds = job
    for _time in range(WARM):
        ask(path)
    gc.collect()
    number, begin, cpu = 0, time.perf_counter(), time.process_time()
    while time.perf_counter() - begin < seconds:
        ask(path)
        number += 1
    return number / (time.perf_counter() - begin), (time.process_time() - cpu) * 1000 / number


def main() -> None:
    gc.disable()
    trac.web.main.gc = types.SimpleNamespace(collect=lambda: 0)
    seconds, paths, cores = float(sys.argv[1]), sys.argv[2:], os.cpu_count() or 1
    found = {}
    with multiprocessing.get_context("fork").Pool(cores) as pool:
        for path in paths:
            pairs = pool.map(measure, [(path, seconds)] * cores, chunksize=1)
            cpu = sum(each[1] for each in pairs) / cores
            found[path] = {"rate": sum(each[0] for each in pairs), "cpu": cpu}
    print(json.dumps(found))


if __name__ == "__main__":
    main()
