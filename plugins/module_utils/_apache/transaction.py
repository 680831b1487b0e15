# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files that change together: compared, tested as a candidate, journalled, written, put back.

Nothing here knows about Ansible. A transaction is a mapping from absolute paths to the
`Entry` that is wanted there; `plan` says what differs from the host, `check_candidate` asks
Apache about it, `Journal` keeps what was there before, `apply` writes.
"""

from __future__ import annotations

import base64
import contextlib
import dataclasses
import json
import os
import re
import shutil
import stat
import subprocess
import tempfile
import time
import typing as t
import uuid

from ansible_collections.trac.mod_wsgi.plugins.module_utils._apache import virtual_host_copies
from ansible_collections.trac.mod_wsgi.plugins.module_utils._core import full_disk, held_directory
from ansible_collections.trac.mod_wsgi.plugins.module_utils._core.sync import (
    make_directory,
    sync_directory,
)

_JOURNAL_VERSION = 1
_SEARCH_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_TIMEOUT_SECONDS = 60
_LOCK_SECONDS = 60

# Loads the distribution's environment, then keeps everything that a test of the configuration
# may touch (and that may not exist before the first start) inside the candidate.
_TEST_SCRIPT = """
if [ -r "$3/envvars" ]; then . "$3/envvars"; fi
export APACHE_RUN_DIR="$1/.run" APACHE_LOCK_DIR="$1/.run" APACHE_PID_FILE="$1/.run/apache2.pid"
exec "$2" -t -d "$1" -f "$1/apache2.conf"
"""

# How the files begin that the roles make.
_MARK = b"# Made by the Ansible role trac.mod_wsgi."


class TransactionError(Exception):
    """A transaction that cannot go on, in words for the user."""


class PartlyWritten(TransactionError):
    """Some changes were written; what stood there before is in the journal only."""


@dataclasses.dataclass(frozen=True)
class Entry:
    """What stands at a path: C(kind) is absent, file, link or other."""

    kind: str
    content: bytes = b""
    mode: int = 0
    target: str = ""
    uid: int = -1
    gid: int = -1

    @classmethod
    def file(cls, content: bytes, mode: int, uid: int = -1, gid: int = -1) -> Entry:
        return cls("file", content=content, mode=mode, uid=uid, gid=gid)

    @classmethod
    def link(cls, target: str) -> Entry:
        return cls("link", target=target)

    @classmethod
    def read(cls, path: str) -> Entry:
        """The entry at a path of the host. Links are not followed."""
        try:
            found = os.lstat(path)
        except (FileNotFoundError, NotADirectoryError):
            return ABSENT
        if stat.S_ISLNK(found.st_mode):
            return cls.link(os.readlink(path))
        if not stat.S_ISREG(found.st_mode):
            return cls("other", mode=found.st_mode)
        with open(path, "rb") as stream:
            content = stream.read()
        return cls.file(content, stat.S_IMODE(found.st_mode), found.st_uid, found.st_gid)

    def satisfies(self, wanted: Entry) -> bool:
        """Whether this entry of the host is what is wanted (-1 stands for any owner)."""
        if self.kind != wanted.kind:
            return False
        if self.kind == "link":
            return self.target == wanted.target
        if self.kind != "file":
            return True
        return (
            self.content == wanted.content
            and self.mode == wanted.mode
            and wanted.uid in (-1, self.uid)
            and wanted.gid in (-1, self.gid)
        )

    def is_ours(self, target: str) -> bool:
        """Whether this entry may be replaced by a link to a target."""
        if self.kind == "file":
            return self.content.startswith(_MARK)
        if self.kind == "link":
            return os.path.basename(self.target) == os.path.basename(target)
        return self.kind == "absent"

    def write(self, path: str) -> None:
        """Put this entry at a path; a file or link that is there is replaced in one step."""
        if self.kind == "absent":
            if os.path.lexists(path):
                os.unlink(path)
            return
        directory = os.path.dirname(path)
        os.makedirs(directory, mode=0o755, exist_ok=True)
        # The name ends in something that no Include of Apache picks up.
        if self.kind == "link":
            temporary = os.path.join(directory, f".trac-{uuid.uuid4().hex}.new")
            os.symlink(self.target, temporary)
        else:
            handle, temporary = tempfile.mkstemp(prefix=".trac-", suffix=".new", dir=directory)
        try:
            if self.kind == "file":
                with os.fdopen(handle, "wb") as stream:
                    stream.write(self.content)
                    os.fchmod(stream.fileno(), self.mode)
                    if self.uid != -1 or self.gid != -1:
                        os.fchown(stream.fileno(), self.uid, self.gid)
                    stream.flush()
                    os.fsync(stream.fileno())
            os.replace(temporary, path)
        except OSError:
            if os.path.lexists(temporary):
                os.unlink(temporary)
            raise

    def describe(self) -> str:
        """The text that stands for this entry in a diff."""
        if self.kind == "file" and not self.mode & stat.S_IROTH:
            return "(not shown)\n"
        if self.kind == "file":
            return self.content.decode("utf-8", "replace")
        if self.kind == "link":
            return f"link to {self.target}\n"
        return ""

    def to_json(self) -> dict[str, t.Any]:
        value = dataclasses.asdict(self)
        value["content"] = base64.b64encode(self.content).decode("ascii")
        return value

    @classmethod
    def from_json(cls, value: t.Mapping[str, t.Any]) -> Entry:
        return cls(**{**value, "content": base64.b64decode(value["content"])})


ABSENT = Entry("absent")

Entries = dict[str, Entry]


@dataclasses.dataclass(frozen=True)
class Change:
    """One path whose entry is not what is wanted."""

    path: str
    before: Entry
    after: Entry

    def diff(self) -> dict[str, str]:
        """The change in words. What others may not read is not shown, but that it differs is."""
        header = "{} ({})"
        before, after = self.before.describe(), self.after.describe()
        if before == after and self.before.content != self.after.content:
            after = "(not shown, with changes)\n"
        return {
            "before_header": header.format(self.path, _summary(self.before)),
            "after_header": header.format(self.path, _summary(self.after)),
            "before": before,
            "after": after,
        }


def _summary(entry: Entry) -> str:
    return f"file, mode {entry.mode:04o}" if entry.kind == "file" else entry.kind


def plan(wanted: t.Mapping[str, Entry]) -> list[Change]:
    """What has to change on the host, in the order of the paths wanted."""
    changes = []
    for path, after in wanted.items():
        before = Entry.read(path)
        if before.satisfies(after):
            continue
        if before.kind == "other":
            msg = f"{path} is neither a regular file nor a symbolic link; remove it first."
            raise TransactionError(msg)
        changes.append(Change(path, before, after))
    return changes


def apply(changes: t.Sequence[Change]) -> None:
    """Write all changes, or none of them.

    Raises PartlyWritten when neither is possible, as it can be on a full disk.
    """
    done: list[Change] = []
    try:
        for change in changes:
            change.after.write(change.path)
            done.append(change)
    except OSError as error:
        path = changes[len(done)].path
        why = full_disk.explain(error, [os.path.dirname(path)]) or str(error)
        stuck = _put_back(done)
        if stuck:
            msg = f"{path} could not be written ({why}), and {stuck} could not be put back."
            raise PartlyWritten(msg) from error
        msg = f"{path} could not be written ({why}); everything is as it was before."
        raise TransactionError(msg) from error
    _sync(changes)


def _put_back(done: t.Sequence[Change]) -> str:
    """Undo changes; returns the paths of those that cannot be undone now."""
    stuck = []
    for change in reversed(done):
        try:
            change.before.write(change.path)
        except OSError:
            stuck.append(change.path)
    _sync(done)
    return " and ".join(stuck)


def _sync(changes: t.Iterable[Change]) -> None:
    """Have the names of what was written or removed on the disk, before the journal goes."""
    directories = {os.path.dirname(change.path) for change in changes}
    # Directories may be new themselves.
    for directory in sorted(directories | {os.path.dirname(each) for each in directories}):
        if os.path.isdir(directory):
            sync_directory(directory)


@contextlib.contextmanager
def locked(directory: str) -> t.Iterator[None]:
    """Let one process at a time change things; the lock ends with it, also when it is killed."""
    make_directory(directory, 0o700)
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(held_directory.locked(directory, _LOCK_SECONDS))
        except held_directory.Busy:
            msg = f"Another run is changing Apache's configuration (it locks {directory})."
            raise TransactionError(msg) from None
        yield


class Journal:
    """What stood at the paths of a transaction before it, kept until it is committed.

    The file outlives a run that is killed. A later run adds to it and never overwrites what
    is in it, so that a rollback leads to the last state that was seen to work. That run owns it
    then: should the other one not be dead, it may neither commit nor roll back what is not its own.
    """

    def __init__(self, directory: str, name: str) -> None:
        self.path = os.path.join(directory, f"{name}.json")

    def exists(self) -> bool:
        return os.path.exists(self.path)

    def _document(self) -> dict[str, t.Any]:
        try:
            with open(self.path, "rb") as stream:
                document = json.load(stream)
            if document["version"] != _JOURNAL_VERSION:
                msg = f"{self.path} was written by another version."
                raise TransactionError(msg)
            return {"before": {}, **document}
        except FileNotFoundError:
            return {"before": {}}
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            msg = f"{self.path} is damaged: {error}"
            raise TransactionError(msg) from error

    def read(self) -> Entries:
        before = self._document()["before"]
        try:
            return {path: Entry.from_json(value) for path, value in before.items()}
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            msg = f"{self.path} is damaged: {error}"
            raise TransactionError(msg) from error

    def record(self, changes: t.Sequence[Change]) -> str:
        """Keep what stands before these changes, beside what an unfinished run has kept.

        Returns a token, with which the run shows later that the journal is its own.
        """
        before = {change.path: change.before for change in changes}
        before.update(self.read())
        token = uuid.uuid4().hex
        document = {
            "version": _JOURNAL_VERSION,
            "owner": token,
            "since": time.strftime("%Y-%m-%d %H:%M:%S %z"),
            "before": {path: entry.to_json() for path, entry in before.items()},
        }
        directory = os.path.dirname(self.path)
        make_directory(directory, 0o700)
        try:
            Entry.file(json.dumps(document, indent=1).encode("ascii"), 0o600).write(self.path)
            sync_directory(directory)
        except OSError as error:
            why = full_disk.explain(error, [directory]) or str(error)
            msg = f"{self.path} could not be written ({why}); nothing was changed."
            raise TransactionError(msg) from error
        return token

    def taken_over(self, token: str) -> str | None:
        """Who has come between, if the journal is no longer that of the run with this token."""
        document = self._document()
        if document.get("owner", "") == token:
            return None
        if "owner" in document:
            return f"another run has been changing it since {document['since']}"
        return "another run has changed it" if token else None

    def remove(self) -> None:
        if self.exists():
            os.unlink(self.path)
            sync_directory(os.path.dirname(self.path))


def find_apache(program: str = "apache2") -> str | None:
    """The path of Apache's own program, or None where it is not installed."""
    if os.path.isabs(program):
        return program if os.access(program, os.X_OK) else None
    return shutil.which(program, path=_SEARCH_PATH)


def check_candidate(wanted: t.Mapping[str, Entry], config_dir: str, apache: str) -> None:
    """Let Apache read a copy of its configuration in which everything is as wanted.

    Raises TransactionError with Apache's own words when it refuses. The host's configuration
    is only read. What lies outside of the configuration's directory plays no part.
    """
    words = _refusal(wanted, config_dir, apache)
    if words is None:
        return
    # Perhaps it is somebody else's file that is wrong, and was before.
    before = _refusal({}, config_dir, apache)
    if before == words:
        msg = (
            "Apache refuses the configuration as it is on the host, whatever this run changes. "
            f"Nothing was changed; set it right first: {before}"
        )
    else:
        msg = f"Apache refuses the new configuration, which was not installed: {words}"
    copies = virtual_host_copies.advice(config_dir.rstrip("/"))
    raise TransactionError(f"{msg}\n{copies}" if copies else msg)


def _refusal(wanted: t.Mapping[str, Entry], config_dir: str, apache: str) -> str | None:
    """What Apache says against a configuration; None when nothing."""
    config_dir = config_dir.rstrip("/")
    try:
        with tempfile.TemporaryDirectory(prefix="trac-candidate-") as temporary:
            candidate = os.path.join(os.path.realpath(temporary), "apache2")
            shutil.copytree(config_dir, candidate, symlinks=True)
            os.mkdir(os.path.join(candidate, ".run"))
            # Whole paths: /usr/local/etc/apache2, ${ROOT}/etc/apache2, /etc/apache2-old are others.
            inside = re.compile(r"(?<![\w./@~%+}-])" + re.escape(config_dir) + r"(?![\w.@~%+-])")
            for path, entry in wanted.items():
                if path.startswith(config_dir + "/"):
                    entry.write(candidate + path[len(config_dir) :])
            _redirect(candidate, config_dir, inside)
            result = subprocess.run(
                ["/bin/sh", "-c", _TEST_SCRIPT, "sh", candidate, apache, config_dir],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                env={"PATH": _SEARCH_PATH, "LC_ALL": "C"},
                timeout=_TIMEOUT_SECONDS,
                check=False,
            )
    except OSError as error:  # shutil's own error among them
        why = full_disk.explain(error, [tempfile.gettempdir()]) or str(error)
        msg = f"The configuration could not be copied to be tested ({why}); nothing was changed."
        raise TransactionError(msg) from error
    if result.returncode == 0:
        return None
    return result.stdout.decode("utf-8", "replace").strip().replace(candidate, config_dir)


def _redirect(candidate: str, config_dir: str, inside: t.Pattern[str]) -> None:
    """Let absolute paths into the configuration's directory lead into the candidate.

    Links out of the configuration's directory lead where they lead on the host.
    """
    for directory, names, files in os.walk(candidate):
        for name in [*names, *files]:
            path = os.path.join(directory, name)
            if os.path.islink(path):
                target = os.readlink(path)
                full = os.path.join(config_dir + directory[len(candidate) :], target)
                normal = os.path.normpath(full)
                moved = target
                if not (normal + "/").startswith(config_dir + "/"):
                    moved = full
                elif os.path.isabs(target):
                    moved = candidate + normal[len(config_dir) :]
                if moved != target:
                    os.unlink(path)
                    os.symlink(moved, path)
            elif name.endswith((".conf", ".load")) and os.path.isfile(path):
                with open(path, encoding="utf-8", errors="surrogateescape", newline="") as stream:
                    text = stream.read()
                moved = inside.sub(lambda _match: candidate, text)
                if moved != text:
                    with open(
                        path,
                        "w",
                        encoding="utf-8",
                        errors="surrogateescape",
                        newline="",
                    ) as stream:
                        stream.write(moved)


def check_python(path: str, content: bytes, python: str) -> None:
    """Let an interpreter compile a script that is to stand at a path, without running it."""
    program = "import sys; compile(sys.stdin.buffer.read(), sys.argv[1], 'exec')"
    try:
        result = subprocess.run(
            [python, "-I", "-c", program, path],
            input=content,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=_TIMEOUT_SECONDS,
            check=False,
        )
    except OSError as error:
        msg = f"{path} cannot be checked, {python} does not run: {error}"
        raise TransactionError(msg) from error
    if result.returncode != 0:
        words = result.stdout.decode("utf-8", "replace").strip()
        msg = f"{path} is no valid Python and was not installed: {words}"
        raise TransactionError(msg)
