"""A page that takes a second."""

import time


def application(environ, start_response):
    time.sleep(1)
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"slow\n"]
