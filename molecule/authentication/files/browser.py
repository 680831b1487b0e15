"""A visitor with cookies who follows redirects and fills in forms, as a browser does."""

import base64
import html
import http.cookiejar
import re
import urllib.error
import urllib.parse
import urllib.request

_TITLE = re.compile(r"<title>(.*?)</title>", re.DOTALL)
_INPUT = re.compile(r"<input[^>]*>")
_ATTRIBUTE = re.compile(r'(\w+)="([^"]*)"')


class Page:
    def __init__(self, url, status, headers, body):
        self.url = url
        self.status = status
        self.headers = headers
        self.body = body

    @property
    def text(self):
        return self.body.decode("utf-8", "replace")

    @property
    def title(self):
        found = _TITLE.search(self.text)
        return " ".join(html.unescape(found.group(1)).split()) if found else ""

    @property
    def user(self):
        """Whom Trac has logged in, as its pages say."""
        found = re.search(r"logged in as\s*<span[^>]*>\s*(.*?)\s*</span>", self.text, re.DOTALL)
        return html.unescape(found.group(1)) if found else ""

    def inputs(self):
        """Names and values of the fields of forms."""
        fields = [dict(_ATTRIBUTE.findall(field)) for field in _INPUT.findall(self.text)]
        return {
            field["name"]: html.unescape(field.get("value", ""))
            for field in fields
            if "name" in field
        }


class _Stay(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_args):
        return None


class Browser:
    def __init__(self, base, name=None, password=None, follow=True):
        self.base = base
        self.headers = {"Accept": "text/html,*/*;q=0.8"}
        self.jar = http.cookiejar.CookieJar()
        handlers = [urllib.request.HTTPCookieProcessor(self.jar), urllib.request.ProxyHandler({})]
        if not follow:
            handlers.append(_Stay())
        self.opener = urllib.request.build_opener(*handlers)
        if name is not None:
            word = base64.b64encode(f"{name}:{password}".encode()).decode("ascii")
            self.headers["Authorization"] = f"Basic {word}"

    def open(self, path, fields=None):
        """A page, or the answer to a form."""
        data = urllib.parse.urlencode(fields).encode() if fields is not None else None
        # Not joined: what is odd about a path is to stay.
        url = path if path.startswith(self.base) or "://" in path else self.base + path
        request = urllib.request.Request(url, data, self.headers)
        try:
            with self.opener.open(request, timeout=60) as answer:
                return Page(answer.url, answer.status, answer.headers, answer.read())
        except urllib.error.HTTPError as answer:
            return Page(answer.url, answer.code, answer.headers, answer.read())

    def token(self):
        """Trac's token against forged forms."""
        return next((each.value for each in self.jar if each.name == "trac_form_token"), "")
