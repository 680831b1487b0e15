# Made by the Ansible role trac.mod_wsgi.trac_site; changes are overwritten.
"""Keep visitors off environments that cannot be served, and say so.

The role writes down which these are, in a file that only root changes. It is read with each
request, so that nobody has to reload Apache; where there is none, asking for it takes no time.
"""

from __future__ import annotations

import importlib
import json
import os
import typing as t

NAME = ".out-of-service"
WORDS = "This project is being looked after."
RETRY_SECONDS = 300
PAGE = f"""\
<!DOCTYPE html>
<html lang="en">
<head><title>Being looked after</title></head>
<body>
<h1>Being looked after</h1>
<p>{WORDS} Please try again later.</p>
</body>
</html>
""".encode("ascii")

Dispatcher = t.Callable[[t.Dict[str, t.Any], t.Callable[..., t.Any]], t.Iterable[bytes]]


class OutOfService:
    """The environments that are not to be served.

    :param directory: where the role keeps what belongs to all sites
    """

    def __init__(self, directory: str) -> None:
        self._file = os.path.join(directory, NAME)

    def names(self) -> t.Container[str]:
        """Which these are."""
        try:
            with open(self._file, encoding="utf-8") as file:
                return frozenset(json.load(file))
        except FileNotFoundError:
            return ()

    def is_out(self, path: str) -> bool:
        """Whether the environment at a path is."""
        return os.path.basename(os.path.normpath(path)) in self.names()

    def guarded(self, dispatch: Dispatcher, environment: str | None) -> Dispatcher:
        """The dispatcher, which gets no requests for them.

        :param environment: path of the one environment of the site; None if the URL names it
        """

        def dispatch_request(
            environ: dict[str, t.Any], start_response: t.Callable[..., t.Any]
        ) -> t.Iterable[bytes]:
            wanted = environment or environ.get("PATH_INFO", "").lstrip("/").partition("/")[0]
            if wanted and self.is_out(wanted):
                return answer(start_response)
            return dispatch(environ, start_response)

        return dispatch_request

    def tell_index(self) -> None:
        """Have Trac's index of projects say the same, instead of opening them."""
        main = importlib.import_module("trac.web.main")
        open_environment = main.open_environment
        if hasattr(open_environment, "out_of_service"):
            return  # another site in this interpreter

        def open_one(env_path: str, use_cache: bool = False) -> t.Any:
            if self.is_out(env_path):
                raise RuntimeError(WORDS)
            return open_environment(env_path, use_cache)

        open_one.out_of_service = self  # type: ignore[attr-defined]
        main.open_environment = open_one


def answer(start_response: t.Callable[..., t.Any]) -> list[bytes]:
    """The page for visitors of what is out of service."""
    headers = [
        ("Content-Type", "text/html; charset=utf-8"),
        ("Content-Length", str(len(PAGE))),
        ("Cache-Control", "no-store"),
        ("Retry-After", str(RETRY_SECONDS)),
    ]
    start_response("503 Service Unavailable", headers)
    return [PAGE]
