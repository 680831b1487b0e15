"""Fill environments with the data that the pages of the benchmark show. The same seed, the same data.

Run by the virtual environment's Python as the service account: data.py PARENT_DIRECTORY REPOSITORY
makes PARENT_DIRECTORY/project (1000 tickets, one with 100 comments, a wiki page with 50 macros, an
attachment of 5 MB and a git repository) and 100 empty ones below PARENT_DIRECTORY/many.
"""

import datetime
import io
import os
import random
import subprocess
import sys

from trac.attachment import Attachment
from trac.env import Environment
from trac.ticket.model import Milestone, Ticket
from trac.util.datefmt import utc
from trac.versioncontrol.api import DbRepositoryProvider, RepositoryManager
from trac.wiki.model import WikiPage

NOW = datetime.datetime(2026, 1, 1, tzinfo=utc)
TICKETS = 1000
COMMENTS = 100
WORDS = (
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
OPTIONS = [
    ("project", "name", "Benchmark"),
    ("components", "tracopt.versioncontrol.git.*", "enabled"),
    ("attachment", "max_size", "10000000"),
    ("header_logo", "src", ""),
    ("trac", "base_url", ""),
]
random.seed(20260101)


def text(words):
    return " ".join(random.choice(WORDS) for _word in range(words))


def fill_wiki(env):
    page = WikiPage(env, "Macros")
    page.text = "= Macros =\n" + "\n".join(
        f"== Part {number} ==\n{text(20)}\n\n{MACROS[number % len(MACROS)]}\n" for number in range(50)
    )
    page.save("bench", "", NOW)
    attachment = Attachment(env, "wiki", "Macros")
    content = random.randbytes(5_000_000)
    attachment.insert("random.bin", io.BytesIO(content), len(content), t=NOW)


def fill_tickets(env):
    for number in range(10):
        milestone = Milestone(env)
        milestone.name = f"m{number}"
        milestone.insert()
    for number in range(TICKETS):
        ticket = Ticket(env)
        ticket["summary"] = text(8)
        ticket["description"] = text(80)
        ticket["reporter"] = random.choice(("anna", "ben", "carl"))
        ticket["owner"] = random.choice(("anna", "ben", "carl"))
        ticket["milestone"] = f"m{random.randrange(10)}"
        ticket["component"] = f"component{random.randrange(1, 3)}"
        ticket["status"] = "new"
        when = NOW - datetime.timedelta(hours=TICKETS - number)
        ticket.insert(when=when)
    ticket = Ticket(env, 1)
    for number in range(COMMENTS):
        ticket["keywords"] = text(3)
        comment = f"{text(40)} '''{text(2)}''' #{random.randrange(1, TICKETS)}\n * {text(5)}\n"
        ticket.save_changes("anna", comment, NOW + datetime.timedelta(minutes=number))


def fill_repository(env, directory):
    git = ["git", "-c", "user.name=bench", "-c", "user.email=bench@example.org", "-C", directory]
    subprocess.run(["git", "init", "-q", directory], check=True)
    for number in range(40):
        with open(os.path.join(directory, f"{WORDS[number % len(WORDS)]}{number}.py"), "w") as file:
            file.write("\n".join(f"def {word}():\n    return {word!r}\n" for word in WORDS))
        subprocess.run([*git, "add", "."], check=True)
        subprocess.run([*git, "commit", "-qm", text(6), "--date=2026-01-01T00:00Z"], check=True)
    DbRepositoryProvider(env).add_repository("code", os.path.join(directory, ".git"), "git")
    RepositoryManager(env).get_repository("code").sync()


def main(parent, repository):
    env = Environment(os.path.join(parent, "project"), create=True, options=OPTIONS)
    fill_wiki(env)
    fill_tickets(env)
    fill_repository(env, repository)
    env.shutdown()
    for number in range(100):
        options = [("project", "name", f"Project {number}"), ("header_logo", "src", "")]
        Environment(os.path.join(parent, "many", f"p{number}"), create=True, options=options).shutdown()


if __name__ == "__main__":
    main(*sys.argv[1:])
