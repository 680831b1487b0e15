# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The documents name what is there: links, headings, files."""

from __future__ import annotations

import functools
import pathlib
import re

import pytest

TOP = pathlib.Path(__file__).resolve().parents[2]
DOCUMENTS = sorted([*TOP.glob("*.md"), *TOP.glob("docs/**/*.md"), *TOP.glob("roles/**/*.md")])
UTILS = TOP / "plugins" / "module_utils"


def name_of(document: pathlib.Path) -> str:
    return str(document.relative_to(TOP))


@functools.lru_cache(maxsize=None)
def prose(document: pathlib.Path) -> str:
    """A document without its blocks of code."""
    text = document.read_text(encoding="utf-8")
    return re.sub(r"^( *)```.*?^\1```$", "", text, flags=re.DOTALL | re.MULTILINE)


@functools.lru_cache(maxsize=None)
def anchors(document: pathlib.Path) -> frozenset[str]:
    """What GitHub makes of the headings."""
    return frozenset(
        re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")
        for heading in re.findall(r"^#+ (.*)$", prose(document), re.MULTILINE)
    )


def is_broken(document: pathlib.Path, link: str) -> bool:
    path, dummy, anchor = link.partition("#")
    target = (document.parent / path).resolve() if path else document
    if not target.exists():
        return True
    return bool(anchor) and anchor not in anchors(target)


@pytest.mark.parametrize("document", DOCUMENTS, ids=name_of)
def test_links_lead_somewhere(document: pathlib.Path) -> None:
    links = re.findall(r"\]\(([^)\s]+)\)", prose(document))
    relative = [link for link in links if not re.match(r"\w+:", link)]
    assert [link for link in relative if is_broken(document, link)] == []


def test_every_name_of_the_collection_is_one() -> None:
    """In documents, documentation, roles and playbooks: a plugin that is gone is named no more."""
    known = {path.stem for path in TOP.glob("plugins/*/*.py")}
    known |= {path.stem for path in TOP.glob("plugins/*/*.yml")}
    known |= {path.parent.name for path in TOP.glob("roles/*/README.md")}
    known |= {path.stem for path in TOP.glob("playbooks/*.yml")}
    sources = [
        *DOCUMENTS,
        *TOP.glob("plugins/[!m]*/*"),
        *TOP.glob("plugins/modules/*.py"),
        *(path for path in TOP.glob("roles/**/*") if path.suffix in (".yml", ".j2")),
        *TOP.glob("playbooks/**/*.yml"),
    ]
    wrong = {
        f"{name_of(path)}: {name}"
        for path in sources
        if path.is_file() and path.suffix != ".pyc"
        for name in re.findall(
            r"(?<![.\w])trac\.mod_wsgi\.([a-z]\w+)", path.read_text(encoding="utf-8")
        )
        if name not in known and name != "plugins"
    }
    assert not wrong


@pytest.mark.parametrize("document", DOCUMENTS, ids=name_of)
def test_lines_are_short_but_in_tables(document: pathlib.Path) -> None:
    if document.parent.name == "benchmarks":
        return  # written by programs
    lines = document.read_text(encoding="utf-8").splitlines()
    # The links of a table of contents cannot be broken.
    long = [
        line for line in lines if len(line) > 120 and not re.match(r"\||- \[[^]]*\]\(\S*\)$", line)
    ]
    assert long == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=name_of)
def test_files_that_are_named_exist(document: pathlib.Path) -> None:
    """Those in code, such as _core/secrets.py; "{a,b}" stands for each, and "<name>" for any."""
    missing = []
    for name in re.findall(
        r"`((?:_\w+|docs|molecule|playbooks|plugins|roles|tests|tools)/[^`\s]*)`", prose(document)
    ):
        for path in braces(re.sub(r"<\w+>", "*", name)):
            start = UTILS if path.startswith("_") else TOP
            if not any(start.glob(path.rstrip("/"))):
                missing.append(name)
    assert missing == []


def braces(path: str) -> list[str]:
    """A path for each of the names between braces."""
    found = re.search(r"\{([^}]*)\}", path)
    if not found:
        return [path]
    return [
        each
        for name in found[1].split(",")
        for each in braces(path[: found.start()] + name + path[found.end() :])
    ]


def test_every_decision_is_in_the_table_of_contents() -> None:
    contents = re.findall(
        r"^- \[(.*)\]\((decisions/\w+\.md)#", prose(TOP / "docs/DESIGN.md"), re.MULTILINE
    )
    decisions = [
        (heading, f"decisions/{document.name}")
        for document in sorted(TOP.glob("docs/decisions/*.md"))
        for heading in re.findall(r"^## (.*)$", prose(document), re.MULTILINE)
    ]
    assert sorted(contents) == sorted(decisions)
