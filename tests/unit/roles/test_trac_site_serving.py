# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a site's script keeps ready: real Trac, each test in processes of its own."""

from __future__ import annotations

import json
import os
import pathlib
import shutil
import subprocess
import sys
import typing as t

import pytest

from ansible_collections.trac.mod_wsgi.plugins.module_utils._site import plan as site_plan
from ansible_collections.trac.mod_wsgi.tests.unit.plugins.site_settings import (
    SETTINGS,
    planned,
)

pytest.importorskip("trac")
from trac.env import Environment

FILES = pathlib.Path(__file__).parents[3] / "roles" / "trac_site" / "files"
# What stands before the code of each test: the site's script, and a visitor.
PRELUDE = """
import gc, io, json, os, runpy, sys, threading, time, weakref

def get(path, language=None):
    environ = {
        "REQUEST_METHOD": "GET", "SCRIPT_NAME": "/trac", "PATH_INFO": path, "QUERY_STRING": "",
        "SERVER_NAME": "h", "SERVER_PORT": "80", "SERVER_PROTOCOL": "HTTP/1.1", "HTTP_HOST": "h",
        "REMOTE_ADDR": "127.0.0.1", "wsgi.version": (1, 0), "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(), "wsgi.errors": sys.stderr, "wsgi.multithread": True,
        "wsgi.multiprocess": True, "wsgi.run_once": False,
        "HTTP_COOKIE": "trac_form_token=0123456789abcdef",
    }
    if language:
        environ["HTTP_ACCEPT_LANGUAGE"] = language
    body, status = [], []
    def start(line, headers, exc_info=None):
        status.append(line)
        return body.append
    body.extend(application(environ, start))
    return status[-1][:3], b"".join(body).decode()

def wait_for(condition):
    end = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.05)

application = runpy.run_path(sys.argv[1])["application"]
from trac.env import env_cache
"""


class Site:
    """A site's script beside real environments, run in a Python process for each question."""

    def __init__(self, directory: pathlib.Path, made: pathlib.Path) -> None:
        self.directory = directory
        self.made = made
        self.environments = directory / "environments"
        self.errors = ""

    def script(self, **options: object) -> pathlib.Path:
        settings = {
            **SETTINGS,
            "dir": str(self.directory / "sites"),
            "cache_dir": str(self.directory / "cache"),
            "environments_dir": str(self.environments),
            "hello_world_path": "",
        }
        there = [{"name": path.name} for path in self.environments.iterdir()]
        plan = planned([{"name": "a", **options}], there, settings)
        script = pathlib.Path(plan["sites"][0]["script_path"])
        script.parent.mkdir(parents=True, exist_ok=True)
        source = (FILES / "trac.wsgi").read_text(encoding="utf-8")
        script.write_text(site_plan.wsgi_script(source, plan["sites"][0]), encoding="utf-8")
        for file in FILES.glob("trac_*.py"):
            shutil.copy(file, script.parent)
        return script

    def ask(self, code: str, **options: object) -> t.Any:
        """What the code prints last, as JSON, in a process that has loaded the site's script."""
        done = subprocess.run(
            [sys.executable, "-W", "ignore", "-c", PRELUDE + code, str(self.script(**options))],
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
            env={**os.environ, "LC_ALL": "C.UTF-8"},
        )
        assert done.returncode == 0, done.stderr
        self.errors = done.stderr
        return json.loads(done.stdout.splitlines()[-1])

    def configure(self, old: str, new: str) -> None:
        """Change the environment's trac.ini."""
        file = self.environments / "one" / "conf" / "trac.ini"
        text = file.read_text(encoding="utf-8")
        assert old in text
        file.write_text(text.replace(old, new), encoding="utf-8")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    directory = tmp_path_factory.mktemp("made")
    options = [("project", "name", "Made"), ("header_logo", "src", "")]
    Environment(str(directory / "one"), create=True, options=options).shutdown()
    return directory


@pytest.fixture
def site(made: pathlib.Path, tmp_path: pathlib.Path) -> Site:
    shutil.copytree(made, tmp_path / "environments")
    return Site(tmp_path, made)


def used(site: Site, name: str, seconds: int) -> None:
    """Copy the environment, as one that was last used at that time."""
    copy = site.environments / name
    shutil.copytree(site.environments / "one", copy)
    for file in copy.rglob("*"):
        os.utime(file, (seconds, seconds))


def test_environment_is_open_before_the_first_request(site: Site) -> None:
    opened = "print(json.dumps([os.path.basename(path) for path in env_cache]))"
    assert site.ask(opened, environment="one") == ["one"]
    assert site.ask(opened, environment="one", preload=0) == []


def test_environments_used_last_are_opened_first(site: Site) -> None:
    for number in range(4):
        used(site, f"p{number}", 1_000_000 + number)
    (site.environments / ".tracignore").write_text("one\n", encoding="utf-8")
    code = """
first = list(env_cache)[:1]
wait_for(lambda: len(env_cache) > 1)
time.sleep(0.5)
print(json.dumps([os.path.basename(path) for path in [*first, *env_cache]]))
"""
    assert site.ask(code, preload=2) == ["p3", "p3", "p2"]


def test_broken_environment_is_named_and_stops_nobody(site: Site) -> None:
    used(site, "broken", 2_000_000_000)
    (site.environments / "broken" / "VERSION").write_text("no environment", encoding="utf-8")
    code = """
wait_for(lambda: env_cache)
print(json.dumps([[os.path.basename(path) for path in env_cache], get("/one")[0]]))
"""
    assert site.ask(code) == [["one"], "200"]
    assert "environments/broken cannot be opened ahead" in site.errors


def test_visitor_sees_why_an_environment_does_not_open(site: Site) -> None:
    site.configure("database = sqlite:db/trac.db", "database = nonsense:x")
    status, page = site.ask("print(json.dumps(get('/')))", environment="one")
    assert status == "500"
    assert "nonsense" in page


def test_changed_configuration_is_read_without_a_request(site: Site) -> None:
    code = """
(path, old), = env_cache.items()
file = os.path.join(path, "conf", "trac.ini")
gone = weakref.ref(old)
del old
with open(file) as stream:
    text = stream.read()
with open(file, "w") as stream:
    stream.write(text.replace("name = Made", "name = Renamed"))
os.utime(file, (1, 1))
wait_for(lambda: env_cache[path].project_name == "Renamed")
wait_for(lambda: gone() is None)
print(json.dumps("Renamed" in get("/")[1]))
"""
    assert site.ask(code, environment="one") is True


def test_request_sees_a_change_at_once(site: Site) -> None:
    code = """
path, = env_cache
file = os.path.join(path, "conf", "trac.ini")
with open(file) as stream:
    text = stream.read()
seen = []
for number in range(20):
    with open(file, "w") as stream:
        stream.write(text.replace("name = Made", f"name = Name {number}."))
    os.utime(file, (number + 1, number + 1))
    seen.append(f"Name {number}." in get("/")[1])
print(json.dumps(seen))
"""
    assert site.ask(code, environment="one") == [True] * 20


def test_memory_over_reloads_is_bounded(site: Site) -> None:
    code = """
import trac_serving
trac_serving.ROUND_SECONDS = 3600  # the thread rests; its rounds are made here
trac_serving.GROWTH_SECONDS = 0
thread = trac_serving.caretaker()
time.sleep(1.5)
path, = env_cache
file = os.path.join(path, "conf", "trac.ini")
def objects():
    return len(gc.get_objects()) + gc.get_freeze_count()
counts = []
for number in range(40):
    os.utime(file, (number, number))
    assert get("/")[0] == "200"
    thread.look_around([])
    counts.append(objects())
print(json.dumps(counts))
"""
    counts = site.ask(code, environment="one")
    assert counts[-1] < counts[5] * 1.05


def test_what_stays_is_frozen(site: Site) -> None:
    code = """
wait_for(lambda: gc.get_freeze_count() > 0)
get("/"); get("/")
gc.collect()
print(json.dumps([gc.get_freeze_count(), len(gc.get_objects())]))
"""
    frozen, seen = site.ask(code, environment="one")
    assert frozen > 40_000
    assert seen < frozen / 5
    code = "time.sleep(1.5); get('/'); print(json.dumps(gc.get_freeze_count()))"
    assert site.ask(code, environment="one", freeze=False) == 0


def test_a_long_page_is_not_searched_for_garbage_while_it_is_made(site: Site) -> None:
    code = """
before = gc.get_stats()[0]["collections"]
page = [[] for _number in range(40_000)]
print(json.dumps(gc.get_stats()[0]["collections"] - before))
"""
    assert site.ask(code, environment="one") <= 1
    assert site.ask(code, environment="one", freeze=False) > 10


def test_all_can_be_switched_off(site: Site) -> None:
    code = """
print(json.dumps([get("/")[0], [thread.name for thread in threading.enumerate()], len(env_cache)]))
"""
    off = site.ask(code, environment="one", freeze=False, preload=0, reuse=False)
    assert off == ["200", ["MainThread"], 1]
    assert not (site.directory / "cache" / "a" / "templates").exists()


def test_pages_are_the_same_in_all_languages(site: Site) -> None:
    pytest.importorskip("babel")
    # None of these pages says how old something is.
    code = """
languages = ("", "de", "fr;q=0.9,en", "zh-CN", "xx", "de", "en")
paths = ("/search", "/query", "/prefs", "/about")
print(json.dumps([get(path, language)[1] for language in languages for path in paths]))
"""
    pages = site.ask(code, environment="one")
    assert pages == site.ask(code, environment="one", reuse=False)
    assert "Suche" in pages[4]


def test_texts_of_one_environment_do_not_reach_another(site: Site) -> None:
    pytest.importorskip("babel")
    # A plugin may have texts in a domain of its own, or in the one that Trac has, too.
    code = """
from trac.util import translation
load = translation.Translations.load
directory = translation.pkg_resources.resource_filename("trac", "locale")
def plugin(domain, **texts):
    found = load(directory, "de", domain)
    found._catalog.update(texts)
    return found
mine = load(directory, "de")
mine.add(plugin("tracini"))
mine.add(plugin("messages", Search="of a plugin", Plugin="Erweiterung"))
again = load(directory, "de")
print(json.dumps([
    ["tracini" in mine._domains, "tracini" in again._domains],
    [mine.gettext("Search"), again.gettext("Search"), again.gettext("Plugin")],
    [len(mine.files), len(again.files)]]))
"""
    on, off = (site.ask(code, environment="one", reuse=reuse) for reuse in (True, False))
    assert on == off
    assert on[0] == [True, False]
    assert on[1] == ["of a plugin", "Suche", "Plugin"]


def test_plugin_with_texts_in_the_domain_of_trac_keeps_them_to_its_environment(site: Site) -> None:
    pytest.importorskip("babel")
    used(site, "two", 1)
    code = """
from babel.messages import catalog, mofile
from trac.util import translation
texts = catalog.Catalog(locale="de")
texts.add("Search", "Stöbern")
directory = os.path.join(os.path.dirname(sys.argv[1]), "locale")
os.makedirs(os.path.join(directory, "de", "LC_MESSAGES"))
with open(os.path.join(directory, "de", "LC_MESSAGES", "messages.mo"), "wb") as stream:
    mofile.write_mo(stream, texts)
get("/one"), get("/two")
path, = (path for path in env_cache if path.endswith("one"))
translation.add_domain("messages", path, directory)
print(json.dumps(["Stöbern" in get(f"/{name}/search", "de")[1] for name in ("one", "two", "one")]))
"""
    assert site.ask(code) == [True, False, True]


@pytest.mark.parametrize("on", [True, False])
def test_log_goes_on_after_changes_of_the_configuration(site: Site, on: bool) -> None:
    code = """
(path, first), = env_cache.items() if env_cache else [(get("/"), *env_cache.items())[1]]
ini, log = (os.path.join(path, *names) for names in (("conf", "trac.ini"), ("log", "trac.log")))
def open_files():
    links = (os.path.join("/proc/self/fd", number) for number in os.listdir("/proc/self/fd"))
    return sum(os.path.exists(link) and os.path.realpath(link) == log for link in links)
for number in range(100):
    os.utime(ini, (number, number))
    get("/about")
    env_cache[path].log.error("written %03d", number)
first.log.error("of a request that is not over yet")
with open(log) as stream:
    lines = [line.partition("ERROR: ")[2] for line in stream if "ERROR: " in line]
print(json.dumps([lines, open_files()]))
"""
    options = {} if on else {"freeze": False, "preload": 0, "reuse": False}
    lines, open_files = site.ask(code, environment="one", **options)
    last = "of a request that is not over yet\n"
    assert lines == [*(f"written {number:03d}\n" for number in range(100)), last]
    assert open_files == 1


def test_log_follows_its_own_settings(site: Site) -> None:
    code = """
path, = env_cache
ini, log = os.path.join(path, "conf", "trac.ini"), os.path.join(path, "log", "trac.log")
with open(ini) as stream:
    text = stream.read()
def configured(number, **settings):
    changed = text
    for name, value in settings.items():
        default, = (line for line in text.splitlines() if line.startswith(name))
        changed = changed.replace(default, f"{name} = {value}")
    with open(ini, "w") as stream:
        stream.write(changed)
    os.utime(ini, (number, number))
    get("/about")
    old.log.warning("warning %d.", number)
    env_cache[path].log.info("info %d.", number)
def written(name):
    with open(os.path.join(path, "log", name)) as stream:
        lines = [line.rpartition(": ")[2].strip() for line in stream]
    return [line for line in lines if line.startswith(("warning ", "info "))]
old = env_cache[path]
configured(1, log_level="WARNING")
configured(2, log_level="INFO", log_file="other.log")
configured(3, log_type="stderr")
configured(4, log_type="none")
configured(5, log_level="ERROR")
configured(6, log_level="WARNING", log_file="other.log")
print(json.dumps([written("trac.log"), written("other.log")]))
"""
    trac, other = site.ask(code, environment="one")
    assert trac == ["warning 1."]
    assert other == ["warning 2.", "info 2.", "warning 6."]
    assert "warning 3." in site.errors
    assert "warning 4." not in site.errors


def test_environment_that_does_not_open_leaves_no_log_open(site: Site) -> None:
    site.configure("database = sqlite:db/trac.db", "database = nonsense:x")
    code = """
log = os.path.realpath(os.path.join(sys.argv[-1], "one", "log", "trac.log"))
statuses = {get("/")[0] for number in range(10)}
gc.collect()
links = [os.path.join("/proc/self/fd", number) for number in os.listdir("/proc/self/fd")]
with open(log) as stream:
    lines = [line for line in stream if "Exception caught while checking for upgrade" in line]
opened = sum(os.path.realpath(link) == log for link in links)
print(json.dumps([sorted(statuses), opened, len(lines)]))
"""
    code = code.replace("sys.argv[-1]", repr(str(site.environments)))
    assert site.ask(code, environment="one", preload=0) == [["500"], 1, 10]


@pytest.mark.parametrize(
    "disabled", ["trac.timeline.*", "trac.ticket.web_ui.*", "trac.ticket.*", "trac.wiki.*"]
)
def test_environment_with_disabled_parts_is_opened_ahead(site: Site, disabled: str) -> None:
    site.configure("[attachment]", f"[components]\n{disabled} = disabled\n\n[attachment]")
    site.configure("DefaultWikiPolicy,DefaultTicketPolicy,", "")
    site.configure("default_handler = WikiModule", "default_handler = SearchModule")
    code = """
print(json.dumps([[os.path.basename(path) for path in env_cache], get("/search")[0]]))
"""
    assert site.ask(code, environment="one") == [["one"], "200"], site.errors
    assert "cannot be opened ahead" not in site.errors


def test_templates_are_compiled_once_for_all_processes(site: Site) -> None:
    kept = site.directory / "cache" / "a" / "templates"
    site.ask("print(json.dumps(get('/')[0]))", environment="one")
    assert kept.stat().st_mode & 0o077 == 0
    files = {path: path.stat().st_mtime_ns for path in kept.iterdir()}
    assert len(files) > 5
    template = site.environments / "one" / "templates" / "site_header.html"
    for number in range(2):
        template.write_text(f"<p>Header {number}</p>", encoding="utf-8")
        os.utime(template, (1, 1))
        assert f"Header {number}" in site.ask("print(json.dumps(get('/')[1]))", environment="one")
    assert {path: path.stat().st_mtime_ns for path in files} == files


def test_template_is_escaped_for_pages_and_not_for_mails(site: Site) -> None:
    template = site.environments / "one" / "templates" / "both.html"
    template.write_text("${name}", encoding="utf-8")
    code = """
from trac.web.chrome import Chrome
env, = env_cache.values()
print(json.dumps([Chrome(env).load_template("both.html", text=text).render(name="<i>").strip()
                  for text in (False, True, False, True)]))
"""
    assert site.ask(code, environment="one") == ["&lt;i&gt;", "<i>"] * 2
    assert site.ask(code, environment="one") == ["&lt;i&gt;", "<i>"] * 2


WIKI_TEXT = """= Title = #anchor
[[PageOutline]] '''bold ''italic''''' WikiStart MissingPage !NotALink #1
[wiki:WikiStart label] {{{code}}} `x` ticket:2
||= head =||cell|| http://example.org/?a=1&b=2 r1 [1] {1} <b>&amp; ||
\u00fc\u4e16 "q" ^s^ ,,t,, ~~u~~ \\\\ next
 * item #2
   1. numbered [[br]] attachment:x.txt source:trunk@2 comment:1:ticket:2
 term:: definition
> quoted #1

{{{#!html
<i>raw</i>
}}}
----
last line
"""


def test_wiki_pages_are_the_same_the_second_time(site: Site) -> None:
    code = f"""
from trac.test import MockRequest
from trac.web.chrome import web_context
from trac.wiki import formatter
env, = env_cache.values()
context = web_context(MockRequest(env), "wiki", "WikiStart")
def pages(text):
    ways = (formatter.format_to_html, formatter.format_to_oneliner)
    return [str(way(env, context, text)) for way in ways]
text = {WIKI_TEXT!r}
first, second = pages(text), pages(text)
# What exists is looked up each time.
from trac.wiki.model import WikiPage
page = WikiPage(env, "MissingPage")
page.text = "there"
page.save("me", "")
third, changed = pages(text), pages("changed" + text)
print(json.dumps([first, second, third, changed, hasattr(formatter.re, "matches")]))
"""
    off = site.ask(code, environment="one", reuse=False)
    (site.environments / "one" / "db" / "trac.db").unlink()
    shutil.copy(site.made / "one" / "db" / "trac.db", site.environments / "one" / "db")
    on = site.ask(code, environment="one")
    assert (on.pop(), off.pop()) == (True, False)
    assert on == off
    assert on[0] == on[1] != on[2] != on[3]


def test_memory_for_wiki_text_is_bounded(site: Site) -> None:
    code = """
import trac_pages
from trac.wiki.parser import WikiParser
lines, rules = trac_pages.WikiLines(400), WikiParser(*env_cache.values()).rules
def kept():
    halves = (lines._new, lines._old)
    return [line for half in halves for _, _, line in half], sum(
        1 + len(found) for half in halves for found in half.values())
sizes, favourite = [], "the line #1 that all want"
for number in range(1000):
    assert lines.sub(rules, lambda match: "x", f"a #1 b #{number}") == "a x b x"
    lines.sub(rules, lambda match: "x", favourite)
    sizes.append(kept()[1])
is_kept = favourite in kept()[0]
long = "y " * 100_000
for word in "z" + long, "a", "b" + long, "c":
    lines.sub(rules, lambda match: "x", word)
print(json.dumps([max(sizes), is_kept, sum(map(len, kept()[0])) < 300_000]))
"""
    size, *rest = site.ask(code, environment="one")
    assert 200 < size < 420
    assert rest == [True, True]


@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin"])
def test_dates_are_the_same(site: Site, zone: str) -> None:
    pytest.importorskip("babel")
    code = f"""
os.environ["TZ"] = {zone!r}
time.tzset()
import datetime
from babel import Locale
from trac.util import datefmt
datefmt.LocalTimezone._initialize()
start = datefmt.to_datetime(datetime.datetime(2026, 10, 24, 22, 30, 0, 5), datefmt.utc)
dates = [start + datetime.timedelta(hours=number) for number in range(6)]
dates += [date.astimezone(datefmt.timezone("GMT -3:00")) for date in dates]
zones = [None, datefmt.utc, datefmt.localtz, datefmt.timezone("GMT +2:00")]
locales = [None, "iso8601", Locale.parse("de"), Locale.parse("en_US")]
formats = ["short", "full", "iso8601", "%x %X", "iso8601date"]
write = (datefmt.format_datetime, datefmt.format_date, datefmt.format_time)
print(json.dumps([[f(date, format, zone, locale) for f in write for date in dates for zone in zones
                   for locale in locales for format in formats] for _time in range(2)]))
"""
    on, off = (site.ask(code, environment="one", reuse=reuse) for reuse in (True, False))
    assert on[0] == on[1] == off[0]
    assert len(set(on[0])) > 100


def test_templates_find_what_they_found_before(site: Site) -> None:
    code = """
import jinja2
class Thing:
    items = "attribute"
    def __getitem__(self, name):
        return f"item {name}"
env = jinja2.Environment()
data = {"d": {"items": 1, "own": 2, "none": None}, "t": Thing(), "l": [3]}
print(json.dumps([env.from_string("{{" + text + "}}").render(**data) for text in (
    "d.own", "d.none", "d.missing", "d.items is callable", "d.missing is defined", "d['items']",
    "t.items", "t.x", "l.count is callable", "d.missing or 4")]))
"""
    on, off = (site.ask(code, environment="one", reuse=reuse) for reuse in (True, False))
    assert on == off
    assert on[:2] == ["2", "None"]


@pytest.mark.parametrize("ignore", [None, "# nothing\n", "t*\n# no\n.*\n"])
def test_index_lists_the_same_projects(site: Site, ignore: str | None) -> None:
    for name in ("two", ".hidden", "three"):
        used(site, name, 1)
    (site.environments / "link").symlink_to("one")
    (site.environments / "gone").symlink_to("nothing")
    (site.environments / "file").touch()
    if ignore is not None:
        (site.environments / ".tracignore").write_text(ignore, encoding="utf-8")
    code = """
from trac.web import main
isdir, asked = os.path.isdir, []
os.path.isdir = lambda path: asked.append(path) or isdir(path)
found = [list(main.get_environments({"trac.env_parent_dir": path}).items()) for path in (
    sys.argv[-1], sys.argv[-1] + "/./")]
print(json.dumps([found, get("/")[1], len(asked)]))
"""
    code = code.replace("sys.argv[-1]", repr(str(site.environments)))
    on, off = (site.ask(code, preload=0, reuse=reuse) for reuse in (True, False))
    assert on[:2] == off[:2]
    assert {name for name, _path in on[0][0]} >= {"one", "link"}
    assert on[2] < off[2]


def test_directory_that_cannot_be_written_only_costs_time(site: Site) -> None:
    (site.directory / "cache").write_text("no directory", encoding="utf-8")
    assert site.ask("print(json.dumps(get('/')[0]))", environment="one") == "200"
    assert "Compiled templates are not kept" in site.errors


def test_new_environments_are_frozen_at_once_and_garbage_is_found_later(site: Site) -> None:
    code = """
import trac_serving
trac_serving.ROUND_SECONDS = 3600  # the thread rests; its rounds are made here
thread = trac_serving.caretaker()
time.sleep(1.5)
(path, env), = env_cache.items()
file = os.path.join(path, "conf", "trac.ini")
old = weakref.ref(env)
del env
os.utime(file, (1, 1))
thread.look_around([])
frozen = gc.get_freeze_count()
assert env_cache[path] is not old()
kept = old() is not None
for number in range(trac_serving.REPLACED):
    os.utime(file, (number, number))
    thread.look_around([])
print(json.dumps([frozen, kept, old() is None]))
"""
    frozen, kept, gone = site.ask(code, environment="one")
    assert frozen > 40_000
    assert kept
    assert gone


# What a visitor gets, with headers.
VISIT = """
def visit(path):
    said = []
    def start(line, headers, exc_info=None):
        said[:] = [line, dict(headers)]
        return body.append
    body = []
    body.extend(application({
        "REQUEST_METHOD": "GET", "SCRIPT_NAME": "/trac", "PATH_INFO": path, "QUERY_STRING": "",
        "SERVER_NAME": "h", "SERVER_PORT": "80", "SERVER_PROTOCOL": "HTTP/1.1", "HTTP_HOST": "h",
        "REMOTE_ADDR": "127.0.0.1", "wsgi.version": (1, 0), "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(), "wsgi.errors": sys.stderr, "wsgi.multithread": True,
        "wsgi.multiprocess": True, "wsgi.run_once": False,
    }, start))
    return [*said, b"".join(body).decode()]
opened = [os.path.basename(path) for path in env_cache]
"""


def test_what_is_out_of_service_is_not_opened_and_answers_with_a_page(site: Site) -> None:
    used(site, "bad", 2_000_000_000)
    listed = site.directory / "sites" / ".out-of-service"
    listed.parent.mkdir()
    listed.write_text('{"bad": "the secret reason in /srv"}', encoding="utf-8")
    code = """
pages = [visit(path) for path in ("/bad", "/bad/wiki/Page", "/badly", "/one", "/")]
print(json.dumps([opened, [os.path.basename(path) for path in env_cache], *pages]))
"""
    opened, later, page, deeper, other, one, index = site.ask(VISIT + code)
    assert "bad" not in [*opened, *later]
    assert page == deeper
    status, headers, body = page
    assert status == "503 Service Unavailable"
    assert (headers["Retry-After"], headers["Cache-Control"]) == ("300", "no-store")
    assert headers["Content-Length"] == str(len(body))
    assert "<title>Being looked after</title>" in body
    assert "This project is being looked after." in body
    assert other[0] == "404 Not Found"
    assert (one[0], "Made" in one[2]) == ("200 Ok", True)
    assert index[0] == "200 Ok"
    assert 'href="/trac/one"' in index[2]
    assert "This project is being looked after." in index[2]
    assert 'href="/trac/bad"' not in index[2]
    assert "secret" not in page[2] + index[2]


def test_a_site_of_one_environment_is_out_of_service_and_back_at_once(site: Site) -> None:
    listed = site.directory / "sites" / ".out-of-service"
    listed.parent.mkdir()
    code = f"""
file = {str(listed)!r}
seen = [visit("/wiki")[0]]
for text in ('{{"one": "?"}}', '{{"two": "?"}}'):
    with open(file + "~", "w") as new:
        new.write(text)
    os.replace(file + "~", file)
    seen.append(visit("/wiki")[0])
os.remove(file)
print(json.dumps([*seen, visit("/wiki")[0]]))
"""
    found = site.ask(VISIT + code, environment="one")
    assert found == ["200 Ok", "503 Service Unavailable", "200 Ok", "200 Ok"]


PLUGIN = """
from trac.core import Component, implements
from trac.web.chrome import INavigationContributor

class {name}(Component):
    implements(INavigationContributor)
    def get_active_navigation_item(self, req):
        return None
    def get_navigation_items(self, req):
        yield "mainnav", "{name}", "Item of {name}"
"""


def packed(directory: pathlib.Path, name: str, requires: str = "", extra: str = "") -> None:
    """Make an unpacked egg with a plugin of that name, which may need an extra of itself."""
    egg = directory / f"{name}-1.0.egg"
    (egg / "EGG-INFO").mkdir(parents=True)
    (egg / f"{name}.py").write_text(PLUGIN.format(name=name), encoding="utf-8")
    for file, text in (
        ("PKG-INFO", f"Metadata-Version: 1.0\nName: {name}\nVersion: 1.0\n"),
        ("entry_points.txt", f"[trac.plugins]\n{name} = {name} {extra}\n"),
        ("requires.txt", requires),
    ):
        (egg / "EGG-INFO" / file).write_text(text, encoding="utf-8")


# Opens the environment anew. The directories of packages count as settled from the beginning.
RELOAD = """
import trac_packages, trac_serving
trac_packages.SETTLED_SECONDS = -1
trac_serving.ROUND_SECONDS = 3600
time.sleep(0.5)
path, = env_cache
plugins = os.path.join(path, "plugins")
numbers = iter(range(100))
def reload():
    number = next(numbers)
    os.utime(os.path.join(path, "conf", "trac.ini"), (number, number))
    return get("/")[1]
"""


@pytest.mark.parametrize("reuse", [True, False])
def test_plugin_that_is_installed_later_is_found_by_the_next_reload(
    site: Site, reuse: bool
) -> None:
    packed(site.directory, "later")
    packed(site.directory, "waiting", requires="missing")
    packed(site.directory, "missing")
    code = """
import shutil
def install(name):
    egg = name + "-1.0.egg"
    shutil.copytree(os.path.join(path, "..", "..", egg), os.path.join(plugins, egg))
    return [name in reload() for name in ("Item of later", "Item of waiting", "Item of missing")]
reload()
print(json.dumps([install("later"), install("waiting"), install("missing")]))
"""
    assert site.ask(RELOAD + code, environment="one", reuse=reuse) == [
        [True, False, False],
        [True, False, False],
        [True, True, True],
    ]


def test_package_that_is_installed_later_is_found_by_the_next_reload(site: Site) -> None:
    (site.directory / "packages").mkdir()
    packed(site.environments / "one" / "plugins", "waiting", "missing")
    packed(site.directory, "optional", "[more]\nmissing\n", "[more]")
    code = """
import pkg_resources, shutil
packages = os.path.join(path, "..", "..", "packages")
sys.path.append(packages)
pkg_resources.working_set.add_entry(packages)
pkg_resources.working_set.add_entry(os.path.join(path, "..", "..", "optional-1.0.egg"))
sys.path.append(os.path.join(path, "..", "..", "optional-1.0.egg"))
def seen():
    return ["Item of waiting" in reload(), "optional" in sys.modules]
before = seen(), seen()
os.mkdir(os.path.join(packages, "missing-1.0.dist-info"))
with open(os.path.join(packages, "missing-1.0.dist-info", "METADATA"), "w") as stream:
    stream.write("Metadata-Version: 2.1\\nName: missing\\nVersion: 1.0\\n")
print(json.dumps([*before, seen()]))
"""
    found = site.ask(RELOAD + code, environment="one")
    assert found == [[False, False], [False, False], [True, True]]


def test_directory_of_packages_is_read_again_only_when_it_has_changed(site: Site) -> None:
    code = """
import pkg_resources
calls = []
real = os.listdir
os.listdir = lambda directory=".": calls.append(os.path.realpath(directory)) or real(directory)
def reads():
    calls.clear()
    reload()
    return calls.count(os.path.realpath(plugins))
reads()
unchanged = reads()
with open(os.path.join(plugins, "elsewhere.egg-link"), "w") as stream:
    stream.write("/nowhere")
print(json.dumps([unchanged, reads() > 0, reads() > 0]))
"""
    assert site.ask(RELOAD + code, environment="one") == [0, True, True]


@pytest.mark.parametrize("on", [True, False])
def test_requests_are_served_while_environments_are_reloaded(site: Site, on: bool) -> None:
    code = """
import trac_serving
trac_serving.ROUND_SECONDS = 0.01
get("/")
path, = env_cache
file = os.path.join(path, "conf", "trac.ini")
found, over = [], threading.Event()
def visitor():
    while not over.is_set():
        found.append(get("/")[0])
threads = [threading.Thread(target=visitor) for _number in range(4)]
for thread in threads:
    thread.start()
for number in range(15):
    os.utime(file, (number, number))
    time.sleep(0.2)
over.set()
for thread in threads:
    thread.join()
print(json.dumps([sorted(set(found)), len(found)]))
"""
    options = {} if on else {"freeze": False, "preload": 0, "reuse": False}
    statuses, count = site.ask(code, environment="one", **options)
    assert statuses == ["200"]
    assert count >= 8
