# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a host says about its Apache, from made-up hosts in temporary directories."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from ansible_collections.trac.mod_wsgi.plugins.module_utils._apache import host
from ansible_collections.trac.mod_wsgi.tests.unit.plugins.pipes import pipe_at

POLICY = """\
libapache2-mod-wsgi-py3:
  Installed: {installed}
  Candidate: {candidate}
  Version table:
     {candidate} 500
        500 http://mirror.example/debian bookworm/main amd64 Packages
"""


@pytest.mark.parametrize(
    ("output", "expected"),
    [
        (POLICY.format(installed="(none)", candidate="4.9.4-1+b2"), "4.9.4-1+b2"),
        (POLICY.format(installed="4.7.1-3", candidate="1:2.0-1"), "1:2.0-1"),
        (POLICY.format(installed="(none)", candidate="(none)"), None),
        ("", None),
        ("N: Unable to locate package libapache2-mod-wsgi-py3\n", None),
    ],
)
def test_reads_the_candidate(output: str, expected: str | None) -> None:
    assert host.candidate_from_policy(output) == expected


@pytest.mark.parametrize(
    ("output", "expected"),
    [
        ("installed 4.9.4-1+b2", "4.9.4-1+b2"),
        ("config-files 4.9.4-1+b2", None),  # removed, its configuration is left
        ("not-installed ", None),
        ("half-configured 4.9.4-1", None),
        ("", None),
    ],
)
def test_reads_what_is_installed(output: str, expected: str | None) -> None:
    assert host.installed_from_dpkg(output) == expected


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        # As in Debian's 4.9.4 and Ubuntu's 5.0.0.
        (b"\0initialize\x003.11.1\0x\0wsgi_init\x004.9.4\0mod_wsgi/%s\0Python/%d.%d\0", "4.9.4"),
        (b"\x003.12.2\0wsgi_init\x005.0.0\0mod_wsgi/%s\0Python/%d.%d\0", "5.0.0"),
        (b"\0wsgi_init\x004.6.8.post1\0mod_wsgi/%s\0", "4.6.8.post1"),
        (b"\0wsgi_init\0mod_wsgi/%s\x004.9.4\0Python/%d.%d\0", "4.9.4"),
        (b"\x7fELF\0mod_wsgi/2.0\0", "2.0"),
        (b"\0mod_wsgi/3.0c1\0", "3.0c1"),
        # Only Python's version is there: no guess.
        (b"\x003.11.1\0wsgi_init\0mod_wsgi/%s\0Python/%d.%d\0", None),
        (b"\x7fELF\x004.9.4\0", None),
        (b"", None),
    ],
)
def test_reads_the_version_in_a_shared_object(content: bytes, expected: str | None) -> None:
    assert host.version_in_object(content) == expected


OBJECT = "/usr/lib/apache2/modules/mod_wsgi.so-3.11"
MAPS = """\
55d0c8a00000-55d0c8a2c000 r--p 00000000 00:39 15 /usr/sbin/apache2
7feddce77000-7feddce82000 r--p 00000000 00:39 16 {path}
7feddce82000-7feddcea6000 r-xp 0000b000 00:39 16 {path}
7feddcea6000-7feddceb0000 ---p 0002f000 00:39 16 {path}
7feddd000000-7feddd100000 rw-p 00000000 00:00 0
7feddd200000-7feddd300000 r-xp 00000000 00:39 17 /usr/lib/libpython3.11.so.1.0
"""
RANGES = ((0x7FEDDCE77000, 0x7FEDDCE82000), (0x7FEDDCE82000, 0x7FEDDCEA6000))


@pytest.mark.parametrize(
    ("line", "path", "deleted"),
    [
        (OBJECT, OBJECT, False),
        (OBJECT + " (deleted)", OBJECT, True),
        ("/opt/my apps/mod_wsgi-py311.cpython-311.so", None, False),
    ],
)
def test_finds_the_object_among_the_mappings(line: str, path: str | None, deleted: bool) -> None:
    mapping = host.wsgi_mapping(7, MAPS.format(path=line))
    assert mapping == host.Mapping(7, path or line, deleted, RANGES)


@pytest.mark.parametrize(
    "path", ["/usr/lib/apache2/modules/mod_proxy_uwsgi.so", "/srv/mod_wsgi.so.d/x", "[vdso]"]
)
def test_takes_no_other_object_for_it(path: str) -> None:
    assert host.wsgi_mapping(7, MAPS.format(path=path)) is None


class Proc:
    """A made-up /proc."""

    def __init__(self, path: Path) -> None:
        self.path = path
        (path / "root").mkdir()
        (path / "other-root").mkdir()
        self.process(1, "/lib/systemd/systemd", 0)
        (path / "self").symlink_to("1")
        (path / "meminfo").touch()

    def process(
        self,
        pid: int,
        program: str,
        parent: int,
        maps: str = "",
        root: str = "root",
        uid: int = 0,
    ) -> None:
        """Add a process."""
        directory = self.path / str(pid)
        directory.mkdir()
        (directory / "exe").symlink_to(program)
        (directory / "stat").write_text(f"{pid} (a) name)) S {parent} 1 1 0", encoding="utf-8")
        (directory / "status").write_text(f"Name:\ta\nUid:\t{uid}\t{uid}\t{uid}\t{uid}\n")
        (directory / "maps").write_text(maps, encoding="utf-8")
        (directory / "root").symlink_to(self.path / root)


@pytest.fixture
def proc(tmp_path: Path) -> Proc:
    return Proc(tmp_path)


def test_finds_this_hosts_apache_parents_first(proc: Proc) -> None:
    proc.process(20, "/usr/sbin/apache2", 30)
    proc.process(30, "/usr/sbin/apache2", 1)
    proc.process(31, "/usr/sbin/apache2 (deleted)", 30)
    proc.process(40, "/usr/sbin/nginx", 1)
    proc.process(50, "/usr/sbin/apache2", 1, root="other-root")  # in a container
    (proc.path / "60").mkdir()  # ended meanwhile
    assert host.running_apaches(str(proc.path)) == [30, 20, 31]


def test_takes_no_program_of_an_accounts_for_apache(proc: Proc) -> None:
    proc.process(20, "/tmp/apache2", 1, uid=1000)
    proc.process(21, "/usr/sbin/apache2", 20, uid=1000)
    proc.process(30, "/usr/sbin/apache2", 1)
    proc.process(31, "/usr/sbin/apache2", 30, uid=33)
    assert host.running_apaches(str(proc.path)) == [30, 31]


def test_what_has_taken_the_place_of_an_object_is_not_waited_for(
    proc: Proc, tmp_path: Path
) -> None:
    proc.process(30, "/usr/sbin/apache2", 1)
    with pipe_at(tmp_path / "mod_wsgi.so"):
        mapping = host.Mapping(30, str(tmp_path / "mod_wsgi.so"), False, RANGES)
        assert host.mapped_content(mapping, str(proc.path)) is None


def test_reads_what_the_running_apache_has_loaded(proc: Proc, tmp_path: Path) -> None:
    shared_object = tmp_path / "mod_wsgi.so"
    shared_object.write_bytes(b"mod_wsgi/2.0")
    maps = MAPS.format(path=shared_object)
    proc.process(30, "/usr/sbin/apache2", 1, maps)
    mapping = host.loaded_mapping(str(proc.path))
    assert mapping == host.Mapping(30, str(shared_object), False, RANGES)
    assert host.mapped_content(mapping, str(proc.path)) == b"mod_wsgi/2.0"


def test_reads_an_object_that_has_been_replaced(proc: Proc, tmp_path: Path) -> None:
    (tmp_path / "mod_wsgi.so").write_bytes(b"mod_wsgi/5.0.2")
    proc.process(30, "/usr/sbin/apache2", 1, MAPS.format(path=f"{tmp_path}/mod_wsgi.so (deleted)"))
    mapped = proc.path / "30" / "map_files"
    mapped.mkdir()
    (mapped / "7feddce77000-7feddce82000").write_bytes(b"mod_wsgi/2.0")
    mapping = host.loaded_mapping(str(proc.path))
    assert mapping is not None
    assert mapping.deleted
    assert host.mapped_content(mapping, str(proc.path)) == b"mod_wsgi/2.0"


def test_reads_a_replaced_object_from_memory_where_map_files_is_closed(proc: Proc) -> None:
    proc.process(30, "/usr/sbin/apache2", 1)
    (proc.path / "30" / "mem").write_bytes(b"....mod_wsgi/....2.0\0")
    mapping = host.Mapping(30, OBJECT, True, ((4, 13), (17, 21)))
    assert host.mapped_content(mapping, str(proc.path)) == b"mod_wsgi/2.0\0"


def test_knows_when_nothing_is_loaded(proc: Proc) -> None:
    proc.process(30, "/usr/sbin/apache2", 1, MAPS.format(path="/usr/lib/x.so"))
    assert host.loaded_mapping(str(proc.path)) is None
    assert host.mapped_content(host.Mapping(99, OBJECT, True, RANGES), str(proc.path)) is None


@pytest.mark.parametrize(
    ("file", "line", "expected"),
    [
        ("mods-enabled/wsgi.load", f"LoadModule wsgi_module {OBJECT}\n", OBJECT),
        ("mods-enabled/wsgi.load", f'\tloadmodule  WSGI_module "{OBJECT}"  \n', OBJECT),
        (
            "apache2.conf",
            "# x\nLoadModule wsgi_module modules/mod_wsgi.so\n",
            "modules/mod_wsgi.so",
        ),
        ("conf-enabled/x.conf", f"LoadModule wsgi_module {OBJECT}", OBJECT),
        ("mods-enabled/wsgi.load", f"#LoadModule wsgi_module {OBJECT}\n", None),
        ("mods-enabled/wsgi.load", "LoadModule alias_module mod_alias.so\n", None),
        ("mods-available/wsgi.load", f"LoadModule wsgi_module {OBJECT}\n", None),
    ],
)
def test_reads_what_the_configuration_would_load(
    tmp_path: Path, file: str, line: str, expected: str | None
) -> None:
    path = tmp_path / file
    path.parent.mkdir(exist_ok=True)
    path.write_text(line, encoding="utf-8")
    found = host.configured_object(str(tmp_path))
    if expected is None:
        assert found is None
    else:
        assert found == (os.path.join(tmp_path, expected), str(path))


PORTS = "Listen 80\n<IfModule ssl_module>\n\tListen 443\n</IfModule>\n"


@pytest.mark.parametrize(
    ("ports", "urls"),
    [
        (None, ["http://127.0.0.1"]),
        (PORTS, ["http://127.0.0.1"]),
        ("Listen 8080\nListen 80\nListen 8080\n", ["http://127.0.0.1:8080", "http://127.0.0.1"]),
        ("Listen 192.0.2.1:80\n", ["http://192.0.2.1"]),
        ("listen [2001:db8::1]:8080\n", ["http://[2001:db8::1]:8080"]),
        ("Listen *:80\n", ["http://127.0.0.1"]),
        ("Listen 0.0.0.0:81\n", ["http://127.0.0.1:81"]),
        ("Listen [::]:81\n", ["http://127.0.0.1:81"]),
        ("Listen 443 https\nListen 80 http\n", ["http://127.0.0.1"]),
        ("#Listen 99\n", ["http://127.0.0.1"]),
    ],
)
def test_reads_where_apache_listens(tmp_path: Path, ports: str | None, urls: list[str]) -> None:
    if ports is not None:
        (tmp_path / "ports.conf").write_text(ports, encoding="utf-8")
    assert [endpoint.url for endpoint in host.apache_endpoints(str(tmp_path))] == urls


@pytest.mark.parametrize(
    ("ports", "urls"),
    [
        (None, ["https://127.0.0.1"]),
        (PORTS, ["https://127.0.0.1"]),
        (PORTS.replace("443", "8443"), ["https://127.0.0.1:8443"]),
        ("<IfModule mod_ssl.c>\nListen [2001:db8::1]:443\n</IfModule>", ["https://[2001:db8::1]"]),
        ("<IfModule mod_gnutls.c>\nListen 9443\n</IfModule>\n" + PORTS, ["https://127.0.0.1"]),
        ("Listen 8443 https\nListen 80\n", ["https://127.0.0.1:8443"]),
    ],
)
def test_reads_where_apache_speaks_tls(tmp_path: Path, ports: str | None, urls: list[str]) -> None:
    if ports is not None:
        (tmp_path / "ports.conf").write_text(ports, encoding="utf-8")
    assert [one.tls_url for one in host.apache_tls_endpoints(str(tmp_path))] == urls


@pytest.mark.parametrize(
    ("one", "other", "overlap"),
    [
        (("", 80), ("", 80), True),
        (("", 80), ("127.0.0.1", 80), True),
        (("192.0.2.1", 80), ("", 80), True),
        (("192.0.2.1", 80), ("192.0.2.1", 80), True),
        (("192.0.2.1", 80), ("127.0.0.1", 80), False),
        (("", 80), ("", 8080), False),
    ],
)
def test_knows_which_endpoints_collide(
    one: tuple[str, int], other: tuple[str, int], overlap: bool
) -> None:
    assert host.Endpoint(*one).overlaps(host.Endpoint(*other)) is overlap


TCP = """\
  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 00000000:0050 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 901 1
   1: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 902 1
   2: 0100007F:0050 0100007F:9C40 01 00000000:00000000 00:00000000 00000000     0        0 903 1
"""
TCP6 = """\
  sl  local_address                         remote_address
   0: 00000000000000000000000001000000:0051 00000000000000000000000000000000:0000 0A 0 0 0 0 0 904
"""


def test_reads_the_kernels_list_of_sockets() -> None:
    assert host.listening_sockets(TCP) == {
        "901": host.Endpoint("", 80),
        "902": host.Endpoint("127.0.0.1", 8080),
    }
    assert host.listening_sockets(TCP6) == {"904": host.Endpoint("::1", 81)}
    assert host.listening_sockets("") == {}


def test_names_the_process_that_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        (found,) = host.listeners([host.Endpoint("", port)])
        assert found.endpoint == host.Endpoint("127.0.0.1", port)
        assert found.pid == os.getpid()
        assert found.command == Path("/proc/self/comm").read_text(encoding="utf-8").strip()
        assert host.listeners([host.Endpoint("192.0.2.1", port)]) == []
    assert host.listeners([host.Endpoint("", port)]) == []


def test_admits_that_it_cannot_see_the_process(proc: Proc) -> None:
    network = proc.path / "1" / "net"
    network.mkdir()
    (network / "tcp").write_text(TCP, encoding="utf-8")
    wanted = [host.Endpoint("", 80)]
    assert host.listeners(wanted, str(proc.path)) == [host.Listener(host.Endpoint("", 80), 0, "")]
