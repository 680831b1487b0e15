# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A package index whose network vanishes in the middle of a download: broken_index.py PORT"""

import http.server
import sys
import time

WHEEL = "fault_plugin-1.0-py3-none-any.whl"


class Index(http.server.BaseHTTPRequestHandler):
    """Lists one wheel, and sends the half of it."""

    def do_GET(self) -> None:
        if self.path.endswith(".whl"):
            self.send_response(200)
            self.send_header("Content-Length", "100000")
            self.end_headers()
            self.wfile.write(b"PK" + b"x" * 50_000)
            self.wfile.flush()
            time.sleep(600)  # and then there is silence
            return
        page = f'<a href="/{WHEEL}">{WHEEL}</a>'.encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(page)))
        self.end_headers()
        self.wfile.write(page)


http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Index).serve_forever()
