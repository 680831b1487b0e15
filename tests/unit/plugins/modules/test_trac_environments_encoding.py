# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files of old environments that Trac cannot read: refused before anything changes, or mended."""

from __future__ import annotations

import codecs
import os
import pathlib
import sqlite3
import typing as t

import pytest

from ansible_collections.trac.mod_wsgi.tests.unit.plugins.modules.reconciled import (
    Document,
    Host,
    Module,
    unpack,
)

FORMER = 61003
pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")

Spoil = t.Callable[[bytes], bytes]
MARK = codecs.BOM_UTF8
# What is in trac.ini, and words of the refusal.
SPOILT: dict[str, tuple[Spoil, str]] = {
    "mark": (lambda ini: MARK + ini, "trac.ini begins with a byte order mark (BOM"),
    "latin": (
        lambda ini: ini + "[extra]\nname = Müller\n".encode("latin-1"),
        " is not UTF-8 (byte 0xFC)",
    ),
    "section": (lambda ini: ini + b"[trac]\n", "the section [trac] stands there a second time"),
    "option": (
        lambda ini: ini.replace(b"[project]\n", b"[project]\nname = x\n"),
        "[project] name stands there a second time",
    ),
    "nul": (lambda ini: ini + b"\0\0\0", "holds a NUL character"),
    "no section": (lambda ini: b"x = y\n" + ini, "line 1 stands before the first [section]"),
    "empty": (lambda _ini: b"", "trac.ini is empty"),
}


def everything(path: pathlib.Path) -> dict[str, t.Any]:
    return {
        str(each): (
            *(getattr(each.lstat(), f"st_{key}") for key in ("mode", "uid", "gid", "mtime_ns")),
            each.read_bytes() if each.is_file() else b"",
        )
        for each in [path, *path.rglob("*")]
    }


def give(path: pathlib.Path) -> None:
    for each in [path, *path.rglob("*")]:
        os.chown(each, FORMER, FORMER, follow_symlinks=False)


@pytest.fixture
def path(host: Host) -> pathlib.Path:
    """An environment of Trac 1.6, of which there is nothing to upgrade."""
    return unpack("1.6", host.directory)


def spoil(path: pathlib.Path, how: Spoil, name: str = "conf/trac.ini") -> bytes:
    file = path / name
    content = how(file.read_bytes())
    file.write_bytes(content)
    return content


@pytest.mark.parametrize(
    ("kind", "check"), [*((kind, False) for kind in SPOILT), ("mark", True), ("section", True)]
)
def test_what_trac_cannot_read_is_refused_before_owners_change(
    module: Module, path: pathlib.Path, kind: str, check: bool
) -> None:
    how, words = SPOILT[kind]
    spoil(path, how)
    give(path)
    before = everything(path)
    result = module({"name": path.name}, check=check)
    assert words in result["msg"]
    assert "Nothing in the environment was changed" in result["msg"]
    assert everything(path) == before


@pytest.mark.parametrize("kind", ["mark", "latin", "section"])
def test_and_before_anything_is_copied(
    module: Module, host: Host, tmp_path: pathlib.Path, kind: str
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    source = unpack("1.6", elsewhere)
    spoil(source, SPOILT[kind][0])
    before = everything(source)
    result = module({"name": "mine", "adopt_from": str(source)})
    assert SPOILT[kind][1] in result["msg"]
    assert (everything(source), os.listdir(host.directory)) == (before, [])


@pytest.mark.parametrize(
    ("how", "words"),
    [
        (lambda file: MARK + file, "VERSION begins with a byte order mark"),
        (lambda _file: b"", "VERSION does not begin with the line 'Trac Environment Version 1'"),
    ],
)
def test_the_file_by_which_trac_knows_an_environment(
    module: Module, path: pathlib.Path, how: Spoil, words: str
) -> None:
    spoil(path, how, "VERSION")
    give(path)
    before = everything(path)
    assert words in module({"name": path.name})["msg"]
    assert everything(path) == before


def test_what_trac_ini_inherits_from_is_looked_at_as_well(
    module: Module, path: pathlib.Path
) -> None:
    shared = path.parent.parent / "shared.ini"
    shared.write_bytes(MARK + b"[wiki]\n")
    spoil(path, lambda ini: ini.replace(b"[inherit]\n", b"[inherit]\nfile = ../../../shared.ini\n"))
    give(path)
    before = everything(path)
    result = module({"name": path.name})
    assert f"{shared} begins with a byte order mark" in result["msg"]
    assert "inherits from that by [inherit] file" in result["msg"]
    assert everything(path) == before
    shared.write_bytes(b"[wiki]\n")
    assert "msg" not in module({"name": path.name})


def test_a_hole_in_place_of_trac_ini_does_not_fill_the_memory(
    module: Module, path: pathlib.Path
) -> None:
    with (path / "conf" / "trac.ini").open("r+b") as file:
        file.truncate(1 << 40)
    give(path)
    assert "larger than" in module({"name": path.name})["msg"]
    assert path.stat().st_uid == FORMER


# On request


@pytest.mark.parametrize("foreign", [True, False])
@pytest.mark.parametrize(("kind", "encoding"), [("mark", "utf-8"), ("latin", "cp1252")])
def test_encodings_are_mended_on_request(
    module: Module, host: Host, path: pathlib.Path, kind: str, encoding: str, foreign: bool
) -> None:
    as_it_was = (path / "conf" / "trac.ini").read_bytes()
    content = spoil(path, SPOILT[kind][0])
    if foreign:
        give(path)
    document: Document = {"name": path.name, "title": "Größe", "adopt_encoding": encoding}
    before = everything(path)
    predicted = module(document, check=True)
    assert everything(path) == before
    result = module(document)
    assert "msg" not in result
    for key in ("changed", "diff", "environments"):
        assert predicted[key] == result[key]
    assert [c for c in result["environments"][0]["changes"] if c.startswith("write trac.ini in")]
    (kept,) = (path / "conf").glob("trac.ini.before-*")
    assert (kept.read_bytes(), kept.stat().st_mode & 0o777) == (content, 0o600)
    ini = host.ini(path.name)
    assert ini["project"]["name"] == "Größe"
    assert kind != "latin" or ini["extra"]["name"] == "Müller"
    now = (path / "conf" / "trac.ini").read_bytes()
    assert not now.startswith(MARK)
    # Nothing else: neither comments nor the order.
    assert now.splitlines()[:3] == as_it_was.splitlines()[:3]
    again = module(document)
    assert (again["changed"], len(list((path / "conf").glob("*before*")))) == (False, 1)


def test_an_encoding_is_mended_in_a_copy(
    module: Module, host: Host, tmp_path: pathlib.Path
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    source = unpack("1.4", elsewhere)
    spoil(source, SPOILT["latin"][0])
    before = everything(source)
    document = {"name": "mine", "adopt_from": str(source), "adopt_encoding": "cp1252"}
    predicted, result = module(document, check=True), module(document)
    assert "msg" not in result
    assert predicted["diff"] == result["diff"]
    assert host.ini("mine")["extra"]["name"] == "Müller"
    assert everything(source) == before
    assert module(document)["changed"] is False


@pytest.mark.parametrize("kind", ["section", "option", "nul"])
def test_what_nobody_can_know_is_never_mended(
    module: Module, path: pathlib.Path, kind: str
) -> None:
    spoil(path, SPOILT[kind][0])
    give(path)
    before = everything(path)
    result = module({"name": path.name, "adopt_encoding": "cp1252"})
    assert SPOILT[kind][1] in result["msg"]
    assert everything(path) == before


def test_an_encoding_that_there_is_not(module: Module, path: pathlib.Path) -> None:
    words = module({"name": path.name, "adopt_encoding": "klingon"})["msg"]
    assert "adopt_encoding is 'klingon'; it has to be an encoding" in words


@pytest.mark.parametrize("series", ["1.0", "1.6"])
def test_options_for_all_sections_do_not_stop_an_upgrade(host: Host, series: str) -> None:
    """[DEFAULT] sets its options in each section, also in those that an upgrade adds."""
    path = unpack(series, host.directory)
    spoil(path, lambda ini: b"[DEFAULT]\nhours = 7\n" + ini)
    document: Document = {"name": path.name, "config": {"brandnew": {"a": "b"}}}
    predicted = host.one(document, check=True)
    report = host.one(document)
    assert (report["failure"], report["changes"]) == (None, predicted["changes"])
    ini = host.ini(path.name)
    assert dict(ini["brandnew"]) == {"a": "b", "hours": "7"}
    assert (path / "conf" / "trac.ini").read_text(encoding="utf-8").count("hours = 7") == 1
    assert host.one(document)["changes"] == []
    with sqlite3.connect(path / "db" / "trac.db") as db:
        assert db.execute("SELECT value FROM system WHERE name='database_version'").fetchone() == (
            "45",
        )
