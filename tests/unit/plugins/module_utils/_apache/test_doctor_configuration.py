# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Apache's configuration as the doctor reads it: directives, and what they say of scripts."""

from __future__ import annotations

import pathlib
import textwrap

import pytest

from ansible_collections.trac.mod_wsgi.plugins.module_utils._apache import apache_configuration
from ansible_collections.trac.mod_wsgi.plugins.module_utils._apache.apache_configuration import (
    Configuration,
    daemon_groups,
    read,
    restricts_embedded,
    scripts,
)


def configuration(root: pathlib.Path, text: str, **files: str) -> Configuration:
    for name, content in {"apache2.conf": text, **files}.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(content), encoding="utf-8")
    return read(str(root), {"APACHE_LOG_DIR": "/var/log/apache2"})


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a b", ("a", "b")),
        ('"a b" c', ("a b", "c")),
        (r'"a \"b\" c"', ('a "b" c',)),
        ("'a b' c=d", ("a b", "c=d")),
        ('""', ("",)),
        ("", ()),
    ],
)
def test_words(text: str, words: tuple[str, ...]) -> None:
    assert apache_configuration.words(text) == words


def test_includes_continued_lines_comments_and_variables(tmp_path: pathlib.Path) -> None:
    found = configuration(
        tmp_path,
        """\
        # ErrorLog nowhere
        Define NAME value
        ErrorLog ${APACHE_LOG_DIR}/error.log
        \tHeader set A \\
            "b c"
        IncludeOptional sites-enabled/*.conf
        Include missing.conf
        X ${NAME} ${UNKNOWN}
        """,
        **{
            "sites-enabled/b.conf": "Second 2\n",
            "sites-enabled/a.conf": "First 1\nInclude a.conf\n",
            "sites-enabled/c": "Never 1\n",
            "a.conf": "Inner\nInclude a.conf\n",
        },
    )
    names = [each.name for each in found.directives]
    assert names[:2] == ["errorlog", "header"]
    assert names[2] == "first"
    assert "never" not in names
    # It includes itself: that ends.
    assert 1 < names.count("inner") < 50
    assert names.index("second") > names.index("inner")
    assert found.all("ErrorLog")[0].arguments == ("/var/log/apache2/error.log",)
    assert found.all("header")[0].arguments == ("set", "A", "b c")
    assert found.all("x")[0].arguments == ("value", "${UNKNOWN}")
    assert found.all("header")[0].place == f"{tmp_path}/apache2.conf, line 4"


def test_sections_that_do_not_count(tmp_path: pathlib.Path) -> None:
    found = configuration(
        tmp_path,
        """\
        Define GIVEN
        <IfModule ssl_module>
            A
        </IfModule>
        <IfModule !ssl_module>
            B
        </IfModule>
        <IfDefine GIVEN>
            C
        </IfDefine>
        <IfDefine OTHER>
            D
        </IfDefine>
        <IfDefine !OTHER>
            E
        </IfDefine>
        """,
    )
    assert [each.name for each in found.directives] == ["a", "c", "e"]


def test_no_configuration(tmp_path: pathlib.Path) -> None:
    assert read(str(tmp_path / "gone"), {}).directives == []


def directory(path: str) -> str:
    return (
        f"WSGIScriptAlias /a /x/a.wsgi\n<Directory {path}>\nWSGIApplicationGroup %{{GLOBAL}}\n"
        "</Directory>"
    )


# Of the server, of the virtual host -> process group, application group.
SCRIPTS = [
    ("", "WSGIScriptAlias /a /x/a.wsgi", ("", "")),
    ("", "WSGIScriptAlias /a /x/a.wsgi process-group=p application-group=%{GLOBAL}",
     ("p", "%{GLOBAL}")),
    ("", "WSGIScriptAlias /a /x/a.wsgi process-group=%{GLOBAL}", ("", "")),
    ("WSGIProcessGroup p\nWSGIApplicationGroup %{GLOBAL}", "WSGIScriptAlias /a /x/a.wsgi",
     ("p", "%{GLOBAL}")),
    ("WSGIProcessGroup p", "WSGIScriptAlias /a /x/a.wsgi\nWSGIProcessGroup q", ("q", "")),
    ("", directory("/x"), ("", "%{GLOBAL}")),
    # The classic mistake: the directory is not the script's.
    ("", directory("/y"), ("", "")),
    ("", "WSGIScriptAlias /a /x/a.wsgi\n<Location /a>\nWSGIProcessGroup p\n</Location>",
     ("p", "")),
    ("", "WSGIScriptAlias /a /x/a.wsgi\n<Location /b>\nWSGIProcessGroup p\n</Location>",
     ("", "")),
    # In another virtual host.
    ("<VirtualHost *:81>\nWSGIProcessGroup p\n</VirtualHost>", "WSGIScriptAlias /a /x/a.wsgi",
     ("", "")),
]  # fmt: skip


@pytest.mark.parametrize(("server", "host", "groups"), SCRIPTS)
def test_groups_of_a_script(
    server: str, host: str, groups: tuple[str, str], tmp_path: pathlib.Path
) -> None:
    text = f"{server}\n<VirtualHost *:80>\n{host}\n</VirtualHost>\n"
    (script,) = scripts(configuration(tmp_path, text))
    assert (script.mount, script.path) == ("/a", "/x/a.wsgi")
    assert (script.process_group, script.application_group) == groups


def test_daemon_groups(tmp_path: pathlib.Path) -> None:
    (group,) = daemon_groups(
        configuration(
            tmp_path,
            """\
            WSGIDaemonProcess trac display-name=%{GROUP} \\
                processes=3 threads=x python-home="/opt/my trac"
            """,
        )
    )
    assert group.name == "trac"
    assert (group.number("processes", 1), group.number("threads", 15)) == (3, 15)


@pytest.mark.parametrize(
    ("text", "restricts"),
    [
        ("", False),
        ("WSGIRestrictEmbedded On", True),
        ("WSGIRestrictEmbedded On\nWSGIRestrictEmbedded off", False),
    ],
)
def test_restricts_embedded(text: str, restricts: bool, tmp_path: pathlib.Path) -> None:
    assert restricts_embedded(configuration(tmp_path, text)) is restricts
