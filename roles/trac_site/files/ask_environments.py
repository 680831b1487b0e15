"""Print what the environments named as arguments answer without Apache, as JSON by name.

Each is asked for its start page and for a page that everybody may see, in a process of its own,
which may crash or hang: what is missing has not answered.
"""

import html
import io
import json
import os
import re
import signal
import sys

SECONDS = 25  # for each

os.environ.setdefault("PGCONNECT_TIMEOUT", "10")


def get(path: str, page: str) -> list:
    """Status and title, as a visitor without a login gets them."""
    from trac.web.main import dispatch_request

    body = []
    lines = []

    def start(line: str, _headers: object, _info: object = None) -> object:
        lines.append(line)
        return body.append

    environ = {
        "REQUEST_METHOD": "GET",
        "SCRIPT_NAME": "",
        "PATH_INFO": page,
        "QUERY_STRING": "",
        "SERVER_NAME": "localhost",
        "SERVER_PORT": "80",
        "HTTP_HOST": "localhost",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": "127.0.0.1",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(),
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": False,
        "wsgi.multiprocess": True,
        "wsgi.run_once": True,
        "trac.env_path": path,
        "trac.locale": "C.UTF-8",
    }
    body.extend(dispatch_request(environ, start))
    text = b"".join(body).decode("utf-8", "replace")
    title = re.search(r"<title(?:\s[^>]*)?>(.*?)</title\s*>", text, re.IGNORECASE | re.DOTALL)
    return [int(lines[-1][:3]), " ".join(html.unescape(title.group(1)).split()) if title else ""]


def ask(path: str) -> list:
    """The start page, unless the other one is an error: a 403 may hide that."""
    start, about = get(path, "/"), get(path, "/about")
    return max(start, about) if about[0] >= 500 else start


def main() -> None:
    output = os.dup(1)
    os.dup2(2, 1)  # what plugins print
    found = {}
    for path in sys.argv[1:]:
        reader, writer = os.pipe()
        if os.fork() == 0:
            signal.alarm(SECONDS)
            os.write(writer, json.dumps(ask(path)).encode())
            os._exit(0)
        os.close(writer)
        with open(reader, encoding="utf-8") as pipe:
            answer = pipe.read()
        os.wait()
        if answer:
            found[os.path.basename(path)] = json.loads(answer)
    os.write(output, json.dumps(found).encode())


main()
