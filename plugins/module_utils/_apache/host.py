# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a Debian host says about its Apache and mod_wsgi: packages, processes, configuration.

Everything here only reads. The functions that read files take the directory to read from, so
that the tests can give them one of their own.
"""

from __future__ import annotations

import glob
import ipaddress
import os
import re
import sys
from dataclasses import dataclass
from typing import Iterator

from ansible_collections.trac.mod_wsgi.plugins.module_utils._core import regular_file

APACHE_PROGRAMS = ("apache2", "httpd")

# -- packages ------------------------------------------------------------------------------


def candidate_from_policy(output: str) -> str | None:
    """The version that ``LC_ALL=C apt-cache policy PACKAGE`` says would be installed."""
    match = re.search(r"^\s+Candidate: (\S+)$", output, re.MULTILINE)
    return None if match is None or match.group(1) == "(none)" else match.group(1)


def installed_from_dpkg(output: str) -> str | None:
    """The version in what ``dpkg-query -W -f '${db:Status-Status} ${Version}'`` writes."""
    status, _dummy, version = output.strip().partition(" ")
    return version.strip() or None if status == "installed" else None


# -- the shared object ---------------------------------------------------------------------

_IN_ONE_PIECE = re.compile(rb"mod_wsgi/([0-9][0-9A-Za-z.+~-]*)")
_VERSION_STRING = re.compile(rb"[0-9]+(?:\.[0-9]+)+(?:\.?[a-z]+[0-9]+)?")
_TEMPLATE = b"\0mod_wsgi/%s\0"


def version_in_object(content: bytes) -> str | None:
    """The version in the bytes of a mod_wsgi shared object.

    mod_wsgi tells Apache its name with C(printf("mod_wsgi/%s", "4.9.4")). Compilers keep the
    two literals apart but side by side (seen in Debian's and Ubuntu's packages from 4.5.17 to
    5.0.2); another literal that looks like a version, Python's, stands elsewhere.
    """
    whole = _IN_ONE_PIECE.search(content)
    if whole is not None:
        return whole.group(1).decode("ascii")
    at = content.find(_TEMPLATE)
    if at < 0:
        return None
    before = content[content.rfind(b"\0", 0, at) + 1 : at]
    after = content[at + len(_TEMPLATE) :].split(b"\0", 1)[0]
    for literal in (before, after):
        if _VERSION_STRING.fullmatch(literal):
            return literal.decode("ascii")
    return None


# -- running processes ---------------------------------------------------------------------


@dataclass(frozen=True)
class Mapping:
    """A mod_wsgi shared object in the memory of a process."""

    pid: int
    path: str
    deleted: bool
    # (first address, address after the last) of its readable parts, as in the maps file
    ranges: tuple[tuple[int, int], ...]


def running_apaches(proc: str = "/proc") -> list[int]:
    """The process ids of this host's Apache, parents before children.

    Processes of other containers have another root directory and are left out; so is what another
    account than root has started, and calls Apache.
    """
    root = _identity(os.path.join(proc, "self", "root"))
    found: dict[int, int] = {}
    of_root = set()
    for name in os.listdir(proc):
        if not name.isdigit():
            continue
        directory = os.path.join(proc, name)
        try:
            program = os.readlink(os.path.join(directory, "exe"))
            with open(os.path.join(directory, "stat"), encoding="utf-8", errors="replace") as stat:
                parent = int(stat.read().rpartition(")")[2].split()[1])
            same_root = _identity(os.path.join(directory, "root")) == root
        except (OSError, IndexError, ValueError):
            continue  # ended meanwhile, a thread of the kernel, or not ours to look at
        if same_root and os.path.basename(program.replace(" (deleted)", "")) in APACHE_PROGRAMS:
            found[int(name)] = parent
            if _owner(directory) in (0, os.geteuid()):
                of_root.add(int(name))
    kept = {pid for pid, parent in found.items() if pid in of_root or parent in of_root}
    return sorted(kept, key=lambda pid: (found[pid] in kept, pid))


def _owner(directory: str) -> int | None:
    """The account of a process.

    Its directory belongs to root also when the process has made itself undumpable.
    """
    match = re.search(r"^Uid:\s+(\d+)", _text(os.path.join(directory, "status")), re.MULTILINE)
    return int(match.group(1)) if match else None


def _identity(path: str) -> tuple[int, int]:
    status = os.stat(path)
    return status.st_dev, status.st_ino


def wsgi_mapping(pid: int, maps: str) -> Mapping | None:
    """Find mod_wsgi's shared object in the text of C(/proc/PID/maps)."""
    path, ranges = "", []
    for line in maps.splitlines():
        fields = line.split(None, 5)
        if len(fields) < 6 or not re.search(r"/mod_wsgi[^/]*\.so[^/]*$", fields[5]):
            continue
        path = path or fields[5]
        if fields[5] == path and fields[1].startswith("r"):
            first, _dummy, end = fields[0].partition("-")
            ranges.append((int(first, 16), int(end, 16)))
    if not path:
        return None
    marker = " (deleted)"
    deleted = path.endswith(marker)
    return Mapping(pid, path[: -len(marker)] if deleted else path, deleted, tuple(ranges))


def loaded_mapping(proc: str = "/proc") -> Mapping | None:
    """The mod_wsgi that the running Apache has in its memory."""
    for pid in running_apaches(proc):
        try:
            with open(
                os.path.join(proc, str(pid), "maps"), encoding="utf-8", errors="replace"
            ) as maps:
                mapping = wsgi_mapping(pid, maps.read())
        except OSError:
            continue
        if mapping is not None:
            return mapping
    return None


def mapped_content(mapping: Mapping, proc: str = "/proc") -> bytes | None:
    """The bytes of a mapped object, also of one whose file has been replaced or removed."""
    paths = [] if mapping.deleted else [mapping.path]
    directory = os.path.join(proc, str(mapping.pid))
    paths += [os.path.join(directory, "map_files", f"{a:x}-{b:x}") for a, b in mapping.ranges[:1]]
    for path in paths:
        try:
            return regular_file.read(path, follow=True)
        except OSError:
            continue
    # Without CAP_SYS_ADMIN, as in most containers, map_files stays closed.
    try:
        with open(os.path.join(directory, "mem"), "rb", buffering=0) as memory:
            return b"".join(_pieces(memory.fileno(), mapping.ranges))
    except OSError:
        return None


def _pieces(memory: int, ranges: tuple[tuple[int, int], ...]) -> Iterator[bytes]:
    for first, end in ranges:
        yield os.pread(memory, end - first, first)


# -- configuration -------------------------------------------------------------------------

_LOAD_MODULE = re.compile(
    r'^\s*LoadModule\s+wsgi_module\s+(?:"([^"\n]+)"|(\S+))\s*$', re.IGNORECASE | re.MULTILINE
)
_CONFIGURATION = (
    "apache2.conf",
    "mods-enabled/*.load",
    "mods-enabled/*.conf",
    "conf-enabled/*.conf",
    "sites-enabled/*.conf",
)


def configured_object(server_root: str = "/etc/apache2") -> tuple[str, str] | None:
    """The shared object that LoadModule names for wsgi_module, and the file that says so."""
    for pattern in _CONFIGURATION:
        for path in sorted(glob.glob(os.path.join(server_root, pattern))):
            match = _LOAD_MODULE.search(_text(path))
            if match is not None:
                return os.path.join(server_root, match.group(1) or match.group(2)), path
    return None


_LISTEN = re.compile(
    r"^\s*Listen\s+(?:(\[[0-9a-f:.]+\]|[0-9.]+|\*):)?([0-9]+)(?:\s+([a-z]+))?\s*$",
    re.IGNORECASE | re.MULTILINE,
)
_IF_MODULE = re.compile(r"(?ims)^\s*<IfModule\b.*?^\s*</IfModule>")
_OF_TLS = re.compile(r"<IfModule\s+\"?(ssl_module|mod_ssl\.c)\b", re.IGNORECASE)


@dataclass(frozen=True)
class Endpoint:
    """An address and a port; the address is empty where it means all of them."""

    address: str
    port: int

    @property
    def url(self) -> str:
        """The URL under which a program on this host reaches the endpoint with plain HTTP."""
        return self._url("http", 80)

    @property
    def tls_url(self) -> str:
        """The same over TLS."""
        return self._url("https", 443)

    def _url(self, scheme: str, usual: int) -> str:
        address = self.address or "127.0.0.1"
        host = f"[{address}]" if ":" in address else address
        return f"{scheme}://{host}" + ("" if self.port == usual else f":{self.port}")

    def overlaps(self, other: Endpoint) -> bool:
        """Whether two servers cannot have both."""
        same_address = not self.address or not other.address or self.address == other.address
        return self.port == other.port and same_address


def apache_endpoints(server_root: str = "/etc/apache2") -> list[Endpoint]:
    """Where Apache speaks plain HTTP; Debian's port 80 before Apache is installed.

    A C(Listen) within C(<IfModule>), which in Debian's file is for TLS, is left out.
    """
    text = _IF_MODULE.sub("", _text(os.path.join(server_root, "ports.conf")))
    found = [
        Endpoint(_address(address), int(port))
        for address, port, protocol in _LISTEN.findall(text)
        if protocol.lower() in ("", "http")
    ]
    return list(dict.fromkeys(found)) or [Endpoint("", 80)]


def apache_tls_endpoints(server_root: str = "/etc/apache2") -> list[Endpoint]:
    """Where Apache speaks TLS once mod_ssl is on; Debian's port 443 before it is installed."""
    text = _text(os.path.join(server_root, "ports.conf"))
    within = "".join(section for section in _IF_MODULE.findall(text) if _OF_TLS.search(section))
    found = [
        Endpoint(_address(address), int(port))
        for source, only in ((within, ("", "https")), (_IF_MODULE.sub("", text), ("https",)))
        for address, port, protocol in _LISTEN.findall(source)
        if protocol.lower() in only
    ]
    return list(dict.fromkeys(found)) or [Endpoint("", 443)]


def _address(text: str) -> str:
    """An address in its canonical form, empty for all addresses."""
    if text in ("", "*"):
        return ""
    try:
        address = ipaddress.ip_address(text.strip("[]"))
    except ValueError:
        return text
    return "" if address.is_unspecified else str(address)


def _text(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return ""


# -- who listens ---------------------------------------------------------------------------


@dataclass(frozen=True)
class Listener:
    """A process that accepts connections; pid 0 and no command where it cannot be seen."""

    endpoint: Endpoint
    pid: int
    command: str


def listening_sockets(table: str) -> dict[str, Endpoint]:
    """Inode -> endpoint of the listening sockets in the text of C(/proc/net/tcp) or C(tcp6)."""
    sockets = {}
    for line in table.splitlines()[1:]:
        fields = line.split()
        if len(fields) > 9 and fields[3] == "0A":
            address, _dummy, port = fields[1].partition(":")
            sockets[fields[9]] = Endpoint(_address_from_hex(address), int(port, 16))
    return sockets


def _address_from_hex(text: str) -> str:
    """The kernel writes an address as 32 bit words in the host's byte order."""
    words = [int(text[at : at + 8], 16) for at in range(0, len(text), 8)]
    packed = b"".join(word.to_bytes(4, sys.byteorder) for word in words)
    return _address(str(ipaddress.ip_address(packed)))


def listeners(wanted: list[Endpoint], proc: str = "/proc") -> list[Listener]:
    """Who listens where a server for these endpoints would have to."""
    sockets: dict[str, Endpoint] = {}
    for table in ("tcp", "tcp6"):
        sockets.update(listening_sockets(_text(os.path.join(proc, "self", "net", table))))
    conflicts = {
        f"socket:[{inode}]": endpoint
        for inode, endpoint in sockets.items()
        if any(endpoint.overlaps(one) for one in wanted)
    }
    found: dict[str, Listener] = {}
    for directory in glob.glob(os.path.join(proc, "[0-9]*")) if conflicts else ():
        pid = int(os.path.basename(directory))
        for socket in _targets(os.path.join(directory, "fd")):
            # A server's parent and its children share the socket: name the oldest.
            if socket in conflicts and (socket not in found or pid < found[socket].pid):
                command = _text(os.path.join(directory, "comm")).strip()
                found[socket] = Listener(conflicts[socket], pid, command)
    for socket, endpoint in conflicts.items():
        found.setdefault(socket, Listener(endpoint, 0, ""))
    return sorted(found.values(), key=lambda listener: (listener.endpoint.port, listener.pid))


def _targets(descriptors: str) -> Iterator[str]:
    try:
        names = os.listdir(descriptors)
    except OSError:
        return
    for name in names:
        try:
            yield os.readlink(os.path.join(descriptors, name))
        except OSError:
            continue
