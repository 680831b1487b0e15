#!/usr/bin/python3
"""Keep a web server waiting for the rest of many requests, and ask for a page meanwhile.

Arguments: a URL; the number of slow visitors, each with an address of its own (127.0.1.1, ...).
Fails when the page does not come while they are all connected, or when they are never sent away.
"""

import socket
import sys
import time
import urllib.parse
import urllib.request


def open_slow(port, number):
    slow = socket.create_connection(
        ("127.0.0.1", port), timeout=60, source_address=(f"127.0.1.{number + 1}", 0)
    )
    slow.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\nX-Slow: ")
    return slow


def is_connected(slow):
    slow.setblocking(False)
    try:
        return slow.recv(1, socket.MSG_PEEK) != b""
    except BlockingIOError:
        return True
    except OSError:
        return False
    finally:
        slow.settimeout(60)


def main():
    url, number = sys.argv[1], int(sys.argv[2])
    port = urllib.parse.urlsplit(url).port or 80
    slow = [open_slow(port, index) for index in range(number)]
    for each in slow:
        each.sendall(b"a")
    start = time.monotonic()
    with urllib.request.urlopen(url, timeout=60) as response:
        response.read()
    seconds = time.monotonic() - start
    there = sum(is_connected(each) for each in slow)
    print(f"The page came after {seconds:.1f} s, with {there} of {number} slow visitors connected")
    for each in slow:
        while each.recv(4096):
            pass
    print(f"The last slow visitor was sent away after {time.monotonic() - start:.1f} s")
    return 0 if there == number else 1


sys.exit(main())
