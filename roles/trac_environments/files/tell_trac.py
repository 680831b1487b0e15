# Made by the Ansible role trac.mod_wsgi.trac_environments; changes are overwritten.
"""Tell Trac of new revisions. This runs in the hooks of repositories, as whoever commits.

    tell-trac git                  in post-receive, with its standard input
    tell-trac svn-added ...        in post-commit, with its arguments
    tell-trac svn-modified ...     in post-revprop-change, with its arguments

The work is done by the service behind a socket, as the account that serves Trac. What it says
against a revision is shown to whoever commits. The revision itself is in the repository by then,
whatever happens here.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import typing as t

SOCKET = os.environ.get("TRAC_REPOSITORIES_SOCKET", "/run/trac-repositories.socket")
PATIENCE = 20.0  # seconds to wait for an answer; the service goes on without us


class Problem(Exception):
    """Why Trac could not be told."""


def git(*arguments: str, text: str = "") -> str:
    done = subprocess.run(
        ["git", *arguments],  # noqa: S607  (that of whoever commits)
        input=text.encode(),
        capture_output=True,
        check=False,
    )
    if done.returncode != 0:
        raise Problem(f"git {arguments[0]}: {done.stderr.decode(errors='replace').strip()}")
    return done.stdout.decode(errors="surrogateescape")


def git_request(lines: str) -> dict[str, t.Any]:
    """All revisions that no ref has led to before; none when refs were only deleted."""
    updates = [line.split(" ", 2) for line in lines.split("\n") if line]
    changed = {ref for dummy, dummy, ref in updates}
    new = [revision for dummy, revision, dummy in updates if revision.strip("0")]
    old = [revision for revision, dummy, dummy in updates if revision.strip("0")]
    refs = git("for-each-ref", "--format=%(objectname) %(refname)").split("\n")
    references = [line.split(" ", 1) for line in refs if line]
    old += [revision for revision, ref in references if ref not in changed]
    revisions: list[str] = []
    if new:
        heads = "".join(f"{revision}\n" for revision in new)
        heads += "".join(f"^{revision}\n" for revision in old)
        revisions = git("rev-list", "--reverse", "--ignore-missing", "--stdin", text=heads).split()
    directory = git("rev-parse", "--absolute-git-dir").rstrip("\n")
    return {"repository": directory, "event": "added", "revisions": revisions}


def request(arguments: list[str]) -> dict[str, t.Any]:
    """What happened, as the service wants to hear it."""
    if arguments == ["git"]:
        return git_request(sys.stdin.buffer.read().decode(errors="surrogateescape"))
    if len(arguments) >= 3 and arguments[0] in ("svn-added", "svn-modified"):
        return {
            "repository": arguments[1],
            "event": arguments[0].split("-")[1],
            "revisions": [arguments[2]],
        }
    raise Problem("call it from a hook: tell-trac git, svn-added ... or svn-modified ...")


def tell(message: dict[str, t.Any]) -> list[str]:
    """Hand a message over; returns what the service says against it."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(PATIENCE)
        try:
            connection.connect(SOCKET)
            connection.sendall(json.dumps(message).encode())
            connection.shutdown(socket.SHUT_WR)
        except OSError as e:
            reason = e.strerror or e
            raise Problem(f"no service answers at {SOCKET} ({reason})") from e
        try:
            with connection.makefile("rb") as answer:
                return [str(problem) for problem in json.loads(answer.read())["problems"]]
        except socket.timeout:
            print("Trac still reads the new revisions.", file=sys.stderr)
            return []
        except (OSError, ValueError) as e:
            raise Problem("the service broke off; see: journalctl -u trac-repositories") from e


def main() -> int:
    try:
        problems = tell(request(sys.argv[1:]))
    except (Problem, OSError) as e:
        problems = [str(e)]
    for problem in problems:
        print(f"Trac could not be told of the new revisions: {problem}", file=sys.stderr)
    # Subversion shows what a hook says only when it fails. The commit stays.
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
