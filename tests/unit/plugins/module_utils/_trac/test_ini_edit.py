# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""trac.ini keeps what the user wrote, and holds exactly what was asked for."""

from __future__ import annotations

import configparser
import io
import textwrap

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from ansible_collections.trac.mod_wsgi.plugins.module_utils._trac import ini_edit

HANDWRITTEN = textwrap.dedent(
    """\
    # Ours. Do not touch without asking Anna.

    [trac]
    ; the database
    Database=sqlite:db/trac.db
    permission_policies = ReadonlyWikiPolicy,
        # last, because it grants most
        DefaultPermissionPolicy

    mainnav = wiki,timeline

    [project]
    name : Old
    # end of project

    [ticket-workflow]
    accept = new -> assigned
    """
)


def read(text: str) -> dict[str, dict[str, str]]:
    """Read a trac.ini the way Trac opens it: as a UTF-8 text file, without interpolation."""
    parser = configparser.ConfigParser(interpolation=None)
    parser.read_file(io.TextIOWrapper(io.BytesIO(text.encode("utf-8")), encoding="utf-8"))
    return {section: dict(parser.items(section)) for section in parser.sections()}


@pytest.mark.parametrize(
    ("changes", "before", "after"),
    [
        pytest.param(
            {("project", "name"): "New"}, "name : Old\n", "name : New\n", id="spelling-stays"
        ),
        pytest.param(
            {("trac", "DATABASE"): "x"},
            "Database=sqlite:db/trac.db\n",
            "Database=x\n",
            id="case-of-options-does-not-matter",
        ),
        pytest.param(
            {("trac", "permission_policies"): "A"},
            "permission_policies = ReadonlyWikiPolicy,\n"
            "    # last, because it grants most\n"
            "    DefaultPermissionPolicy\n",
            "permission_policies = A\n    # last, because it grants most\n",
            id="lines-of-a-value-go-and-its-comment-stays",
        ),
        pytest.param(
            {("trac", "mainnav"): "wiki,\ntimeline\n\nroadmap"},
            "mainnav = wiki,timeline\n",
            "mainnav = wiki,\n\ttimeline\n\n\troadmap\n",
            id="several-lines",
        ),
        pytest.param(
            {("project", "url"): "u"},
            "name : Old\n",
            "name : Old\nurl = u\n",
            id="new-option-behind-the-last-one",
        ),
        pytest.param(
            {("trac", "mainnav"): None},
            "mainnav = wiki,timeline\n",
            "",
            id="removed",
        ),
        pytest.param(
            {("logging", "log_type"): "file", ("logging", "log_level"): "INFO"},
            "accept = new -> assigned\n",
            "accept = new -> assigned\n\n[logging]\nlog_type = file\nlog_level = INFO\n",
            id="new-section",
        ),
        pytest.param({("Project", "x"): None}, "", "", id="nothing-to-remove"),
        pytest.param({("project", "NAME"): "Old"}, "", "", id="nothing-to-change"),
    ],
)
def test_only_the_wanted_lines_change(
    changes: dict[tuple[str, str], str | None], before: str, after: str
) -> None:
    assert before in HANDWRITTEN
    expected = HANDWRITTEN.replace(before, after, 1) if before else HANDWRITTEN
    assert ini_edit.apply(HANDWRITTEN, changes) == expected


def test_line_endings_and_a_missing_last_one() -> None:
    edited = ini_edit.apply("[a]\r\nx = 1\r\ny = 2", {("a", "x"): "3", ("a", "z"): "4"})
    assert edited == "[a]\r\nx = 3\r\ny = 2\r\nz = 4\r\n"


def test_sections_differ_by_case() -> None:
    edited = ini_edit.apply("[A]\nx = 1\n", {("a", "x"): "2"})
    assert read(edited) == {"A": {"x": "1"}, "a": {"x": "2"}}


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        (("project", "name"), " x", "white space"),
        (("project", "name"), "x\t", "white space"),
        (("project", "name"), "x\n  y", "white space"),
        (("project", "name"), "x\n# y", "comment"),
        (("project", "name"), "x\n;y", "comment"),
        (("project", "name"), "x\0y", "NUL"),
        (("project", "name"), "x\ry", "carriage return"),
        (("project", "name"), "\ud800", "UTF-8"),
        (("DEFAULT", "name"), "x", "every section"),
        (("", "name"), "x", "empty"),
        (("project", ""), "x", "empty"),
        (("project", "a=b"), "x", "read back"),
        (("project", "#a"), "x", "read back"),
        (("project", "[a]"), "x", "read back"),
        (("project\n[trac]", "a"), "x", "control character"),
    ],
)
def test_what_cannot_be_written_is_refused(name: tuple[str, str], value: str, reason: str) -> None:
    with pytest.raises(ini_edit.IniError) as refused:
        ini_edit.apply(HANDWRITTEN, {name: value})
    assert reason in str(refused.value)
    assert f"[{name[0]}] {name[1]}" in str(refused.value)


@pytest.mark.parametrize(
    "text", ["x = 1\n", "[a]\nno delimiter\n", "[a]\nx = 1\nX = 2\n", "[a]\n[a]\n"]
)
def test_a_broken_file_is_refused(text: str) -> None:
    with pytest.raises(ini_edit.IniError):
        ini_edit.apply(text, {("a", "y"): "1"})


_HOSTILE = st.lists(
    st.sampled_from(
        [
            *"aB=: \t\n#;[]%${}\"'\\éß漢\r\0",
            "%(x)s",
            "{{ x }}",
            "\u2028",
            "\x85",
            "\x0b",
            "\x1c",
            "\xa0",
            "\ud800",
            "DEFAULT",
            "\n[trac]\n",
            "\ndatabase = x",
        ]
    ),
    max_size=8,
).map("".join)
_PLAIN = st.sampled_from(["trac", "project", "new", "mainnav", "Database"])


@settings(max_examples=600, deadline=None)
@given(_PLAIN, _PLAIN, _HOSTILE)
def test_values_come_back_the_same_or_are_refused(section: str, option: str, value: str) -> None:
    before = read(HANDWRITTEN)
    try:
        edited = ini_edit.apply(HANDWRITTEN, {(section, option): value})
    except ini_edit.IniError:
        lines = value.split("\n")
        assert (
            any(line != line.strip() for line in [value, *lines])
            or any(line.startswith(("#", ";")) for line in lines[1:])
            or any(c in value for c in "\0\r\ud800")
        )
        return
    before.setdefault(section, {})[option.lower()] = value
    assert read(edited) == before


@settings(max_examples=150, deadline=None)
@given(_HOSTILE, _HOSTILE, _HOSTILE)
def test_hostile_names_come_back_the_same_or_are_refused(
    section: str, option: str, value: str
) -> None:
    before = read(HANDWRITTEN)
    try:
        edited = ini_edit.apply(HANDWRITTEN, {(section, option): value})
    except ini_edit.IniError:
        return
    before.setdefault(section, {})[option.lower()] = value
    assert read(edited) == before


_LINES = st.lists(
    st.sampled_from(
        [
            "[a]\n",
            "[b]\n",
            "  [c]\n",
            "k = v\n",
            "k2=v\n",
            "  k3 : v\n",
            "\tmore\n",
            "    more\n",
            "\tx = y\n",
            "# note\n",
            "  ; note\n",
            "\n",
            "  \n",
            "k=\n",
            "K = V\n",
            "m =\r\n",
        ]
    ),
    max_size=12,
).map("".join)
_CHANGES = st.dictionaries(
    st.tuples(st.sampled_from("abcd"), st.sampled_from(["k", "k2", "k3", "m", "new"])),
    st.one_of(st.none(), st.sampled_from(["", "1", "x\ny", "a\n\nb"])),
    max_size=3,
)


@settings(max_examples=200, deadline=None)
@given(_LINES, _CHANGES)
def test_any_file_keeps_its_comments_and_its_other_options(
    text: str, changes: dict[tuple[str, str], str | None]
) -> None:
    try:
        wanted = read(text)
    except configparser.Error:
        assume(False)
    try:
        edited = ini_edit.apply(text, changes)
    except ini_edit.IniError:
        assert "  [c]" in text  # an indented section may be swallowed by what is put before it
        return
    for (section, option), value in changes.items():
        if value is not None:
            wanted.setdefault(section, {})[option] = value
        elif section in wanted:
            wanted[section].pop(option, None)
    assert read(edited) == wanted
    comments = [line for line in text.splitlines() if line.strip().startswith(("#", ";"))]
    assert [line for line in edited.splitlines() if line.strip().startswith(("#", ";"))] == comments
    assert ini_edit.apply(edited, changes) == edited
