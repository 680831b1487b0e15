"""Fill an environment with the data that the pages of the benchmark show, always the same.

Run as data.py ENVIRONMENT REPOSITORY by Trac's Python as the service account: 1000 tickets, one of
them with 100 comments, a wiki page with 50 macros, an attachment of 5 MB, and a git repository in
the directory REPOSITORY, which has to exist.
"""

from __future__ import annotations

import datetime
import io
import os
import pathlib
import random
import subprocess
import sys

from trac.attachment import Attachment
from trac.env import open_environment
from trac.ticket.model import Milestone, Report, Ticket
from trac.util.datefmt import utc
from trac.versioncontrol.api import DbRepositoryProvider, RepositoryManager
from trac.wiki.model import WikiPage

NOW = datetime.datetime(2026, 1, 1, tzinfo=utc)
TICKETS = 1000
COMMENTS = 100
COMMITS = 40
WORDS = (  # noqa: SIM905
    "attachment browser changeset component database deploy environment export filter index "
    "keyword login macro milestone notification permission plugin query repository report "
    "revision roadmap search session template ticket timeline version wiki workflow"
).split()
MACROS = [
    "[[PageOutline(1-3,,inline)]]",
    "[[Span(words, class=note)]]",
    "[[TitleIndex(TracT)]]",
    "[[RecentChanges(Trac, 3)]]",
    "[[TicketQuery(component=component1, format=count)]]",
]
FEW = "SELECT id AS ticket, summary, owner FROM ticket WHERE id <= 10 ORDER BY id"
CHANCE = random.Random(20260101)  # noqa: S311


def text(words: int) -> str:
    return " ".join(CHANCE.choice(WORDS) for _word in range(words))


def fill_wiki(env: object) -> None:
    page = WikiPage(env, "Macros")
    parts = [f"== Part {n} ==\n{text(20)}\n\n{MACROS[n % len(MACROS)]}\n" for n in range(50)]
    page.text = "= Macros =\n" + "\n".join(parts)
    page.save("bench", "", NOW)
    content = CHANCE.getrandbits(8 * 5_000_000).to_bytes(5_000_000, "big")
    Attachment(env, "wiki", "Macros").insert("random.bin", io.BytesIO(content), len(content), t=NOW)


def fill_tickets(env: object) -> None:
    for number in range(10):
        milestone = Milestone(env)
        milestone.name = f"m{number}"
        milestone.insert()
    for number in range(TICKETS):
        ticket = Ticket(env)
        ticket["summary"] = text(8)
        ticket["description"] = text(80)
        ticket["reporter"] = CHANCE.choice(("anna", "ben", "carl"))
        ticket["owner"] = CHANCE.choice(("anna", "ben", "carl"))
        ticket["milestone"] = f"m{CHANCE.randrange(10)}"
        ticket["component"] = f"component{CHANCE.randrange(1, 3)}"
        ticket["status"] = "new"
        ticket.insert(when=NOW - datetime.timedelta(hours=TICKETS - number))
    ticket = Ticket(env, 1)
    for number in range(COMMENTS):
        ticket["keywords"] = text(3)
        comment = f"{text(40)} '''{text(2)}''' #{CHANCE.randrange(1, TICKETS)}\n * {text(5)}\n"
        ticket.save_changes("anna", comment, NOW + datetime.timedelta(minutes=number))
    report = Report(env)
    report.title, report.query = "Few tickets", FEW
    report.insert()


def fill_repository(env: object, directory: pathlib.Path) -> None:
    when = {f"GIT_{who}_DATE": NOW.isoformat() for who in ("AUTHOR", "COMMITTER")}
    account = ["-c", "user.name=bench", "-c", "user.email=bench@example.org"]

    def git(*words: str) -> None:
        command = ["/usr/bin/git", *account, "-C", str(directory), *words]
        subprocess.run(command, check=True, env={**os.environ, **when})

    git("init", "--quiet")
    for number in range(COMMITS):
        words = "\n".join(f"def {word}():\n    return {word!r}\n" for word in WORDS)
        (directory / f"{WORDS[number % len(WORDS)]}{number}.py").write_text(words)
        git("add", ".")
        git("commit", "--quiet", "--message", text(6))
    DbRepositoryProvider(env).add_repository("code", str(directory / ".git"), "git")
    RepositoryManager(env).get_repository("code").sync()


def main() -> None:
    env = open_environment(sys.argv[1], use_cache=False)
    fill_wiki(env)
    fill_tickets(env)
    fill_repository(env, pathlib.Path(sys.argv[2]))
    env.shutdown()


if __name__ == "__main__":
    main()
