# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bring Trac environments into their wanted state, with Trac's own API.

This runs under the Python that has Trac, as the account that owns the environments, for all
environments of a host in one process. Trac is imported when the work begins, so that this file
can be imported without it.

Nothing is written before an environment has been opened with the wanted trac.ini in memory, and
Trac has found the values legal, the database reachable and the permissions known. A new
environment is built in a hidden directory beside its place and renamed when it is complete.
"""

from __future__ import annotations

import contextlib
import fcntl
import functools
import gc
import json
import logging
import os
import pwd
import re
import secrets
import shutil
import stat
import tempfile
import time
import typing as t

from ansible_collections.trac.mod_wsgi.plugins.module_utils import (
    _ini_edit,
    _secrets,
    _trac_permissions,
    _trac_repositories,
    _trac_ticket_fields,
)
from ansible_collections.trac.mod_wsgi.plugins.module_utils._environment_spec import (
    Change,
    Context,
    EnvironmentFailure,
    EnvironmentSpec,
    OptionName,
    Report,
    exists,
    leftovers,
)

DIRECTORY_MODE = 0o2770
FILE_MODE = 0o0660
UMASK = 0o007
LOCK_TIMEOUT = 60.0  # seconds


class Aspect(t.NamedTuple):
    """What lives in an environment's database; the functions are told in _environment_spec."""

    plan: t.Callable[[t.Any, EnvironmentSpec, Context], list[Change]]
    check: t.Callable[[t.Any, EnvironmentSpec, Context], None] | None = None
    atomic: bool = True  # all its changes in one transaction


ASPECTS: tuple[Aspect, ...] = (
    Aspect(_trac_permissions.plan, _trac_permissions.check),
    Aspect(_trac_ticket_fields.plan, _trac_ticket_fields.check),
    Aspect(_trac_repositories.plan, _trac_repositories.check, atomic=False),
)


class WorkerFailure(Exception):
    """Why no environment can be worked on."""


class _Remember(logging.Handler):
    """Keeps what Trac logs of importance, which explains later failures."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.messages: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        message = record.getMessage().split("\n", 1)[0]
        if message not in self.messages:
            self.messages.append(message)


@functools.lru_cache(maxsize=None)
def _environment_class() -> t.Any:
    """Trac's Environment, able to stand on a trac.ini that is not written yet."""
    from trac.config import Configuration, UnicodeConfigParser
    from trac.env import Environment
    from trac.loader import load_components

    class ProposedConfiguration(Configuration):  # type: ignore[misc]
        """A trac.ini in memory; relative paths in it count from the place of the file."""

        def __init__(self, filename: str, text: str) -> None:
            self._text = text
            super().__init__(filename)

        def parse_if_needed(self, force: bool = False) -> bool:
            if not force:
                return False
            self.parser = UnicodeConfigParser()
            self.parser.read_string(self._text, self.filename)
            self.parents = self._get_parents()
            self._sections: dict[str, t.Any] = {}
            return True

        def save(self) -> None:
            """Do nothing: a plugin that saves while it is loaded must not write the file."""

    class ReconciledEnvironment(Environment):  # type: ignore[misc]
        """An environment that does not write into its log."""

        abstract = True
        required = False
        plugins_loaded: t.ClassVar[set[str]] = set()  # shared directories of which
        complaints: t.ClassVar[_Remember] = _Remember()

        def __init__(
            self, path: str, text: str | None = None, new: bool = False, **arguments: t.Any
        ) -> None:
            self._text = text
            self._new = new
            super().__init__(path, **arguments)

        def verify(self) -> None:
            """Allow an environment that is only proposed."""
            if not self._new:
                super().verify()

        def setup_log(self) -> None:
            self.log = logging.Logger("Trac", logging.ERROR)  # noqa: LOG001  (one of its own)
            self.log.addHandler(self.complaints)

        def setup_config(self) -> None:
            if self._text is None:
                self.config = Configuration(self.config_file_path)
            else:
                self.config = ProposedConfiguration(self.config_file_path, self._text)
            self.setup_log()
            shared = self.shared_plugins_dir
            # Plugins register themselves in the process; only those of an environment's own
            # directory have to be looked at again. Looking is what takes Trac most of its time.
            if shared not in self.plugins_loaded or _entries(self.plugins_dir):
                load_components(self, shared and (shared,))
                self.plugins_loaded.add(shared)

    return ReconciledEnvironment


def _entries(directory: str) -> list[str]:
    try:
        return os.listdir(directory)
    except FileNotFoundError:
        return []


@contextlib.contextmanager
def _opened(environment: t.Any) -> t.Iterator[t.Any]:
    try:
        yield environment
    finally:
        environment.shutdown()


def _reason(error: BaseException, path: str) -> str:
    """An error with the environment (or directory) at a path, in words for the user."""
    from trac.core import TracBaseError
    from trac.util.text import to_unicode

    if isinstance(error, (EnvironmentFailure, TracBaseError)):
        return re.sub(r"<[^>]*>", "", str(to_unicode(error))).strip()
    if isinstance(error, PermissionError) and error.filename:
        return _no_access(os.fsdecode(error.filename), path)
    if isinstance(error, OSError) and error.strerror:
        return f"{error.strerror}: {os.fsdecode(error.filename or '')}".rstrip(": ")
    return f"{type(error).__name__}: {error}"


def _account(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def _no_access(path: str, environment: str) -> str:
    account = _account(os.geteuid())
    try:
        status = os.stat(path)
    except OSError:
        return f"{path}: the account {account} is not allowed to read it"
    return (
        f"{path}: the account {account} is not allowed to read or write it "
        f"(it belongs to {_account(status.st_uid)}, mode {stat.S_IMODE(status.st_mode):04o}); "
        "everything in an environment has to belong to the account that serves it, "
        "so never run trac-admin as another one; "
        f"set it right with: chown -R {account}: {environment}"
    )


def _read(path: str) -> str:
    with open(path, "rb") as file:
        content = file.read()
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as e:
        raise EnvironmentFailure(f"{path} is not UTF-8: {e}") from None


def _write(path: str, old: str, new: str) -> None:
    """Replace the content of a file at once; its mode and group stay."""
    path = os.path.realpath(path)
    status = os.stat(path)
    temporary = os.path.join(os.path.dirname(path), f".{os.path.basename(path)}.new")
    with contextlib.suppress(FileNotFoundError):
        os.unlink(temporary)
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with open(descriptor, "wb") as file:
            file.write(new.encode("utf-8"))
            file.flush()
            with contextlib.suppress(PermissionError):
                os.fchown(descriptor, -1, status.st_gid)
            os.fchmod(descriptor, stat.S_IMODE(status.st_mode))
            os.fsync(descriptor)
        if _read(path) != old:
            raise EnvironmentFailure(f"{path} was changed by somebody else meanwhile; run again")
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
        raise


def _registered(name: OptionName) -> t.Any:
    """Trac's own definition of an option, or None."""
    from trac.config import Option

    return _registry(len(Option.registry)).get((name[0], _ini_edit.option_key(name[1])))


@functools.lru_cache(maxsize=1)
def _registry(_size: int) -> dict[OptionName, t.Any]:
    from trac.config import Option

    return {
        (section, _ini_edit.option_key(name)): option
        for (section, name), option in Option.registry.items()
    }


def _same(name: OptionName, one: str | None, other: str | None) -> bool:
    """Whether two values mean the same to Trac, which spells values its own way when it saves."""
    if one is None or other is None or one == other:
        return one == other
    option = _registered(name)
    return option is not None and bool(option.normalize(one) == option.normalize(other))


def _current(options: _ini_edit.Options, name: OptionName) -> str | None:
    return options.get(name[0], {}).get(_ini_edit.option_key(name[1]))


def _needed(
    environment: t.Any, options: _ini_edit.Options, wanted: t.Mapping[OptionName, str | None]
) -> dict[OptionName, str | None]:
    """The options whose value in the file does not mean what is wanted."""
    needed = {}
    for name, value in wanted.items():
        current = _current(options, name)
        if current is None and value is not None:
            # Trac does not repeat in trac.ini what the file says that it inherits from.
            for parent in environment.config.parents:
                if parent.has_option(*name, defaults=False):
                    current = parent.get(*name)
                    break
        if not _same(name, current, value):
            needed[name] = value
    return needed


def _check_options(environment: t.Any, names: t.Iterable[OptionName]) -> None:
    """Let Trac read the options, so that what it cannot use is refused."""
    from trac.config import ConfigurationError

    for name in names:
        option = _registered(name)
        if option is None:
            continue
        try:
            option.__get__(environment, type(environment))
        except ConfigurationError as e:
            raise EnvironmentFailure(
                f"[{name[0]}] {name[1]}: {_reason(e, environment.path)}"
            ) from e


def _check_driver(environment: t.Any) -> None:
    """Refuse a kind of database that Trac does not know, or has no driver for."""
    from trac.core import TracError
    from trac.db.api import DatabaseManager

    try:
        DatabaseManager(environment).get_connector()
    except TracError as e:
        reason = _reason(e, environment.path)
        raise EnvironmentFailure(f"[trac] database: {reason} (is its driver installed?)") from e


def _check_log(environment: t.Any) -> None:
    path = environment.log_file_path
    if environment.log_type == "file" and os.path.exists(path) and not os.access(path, os.W_OK):
        raise EnvironmentFailure(_no_access(path, environment.path))


def _context(environment: t.Any, report: Report, check: bool) -> Context:
    return Context(check, environment.complaints.messages, report.warnings)


def _check_aspects(environment: t.Any, spec: EnvironmentSpec, context: Context) -> None:
    """Refuse what can be refused before there is a database."""
    for aspect in ASPECTS:
        if aspect.check is not None:
            aspect.check(environment, spec, context)


def _plan_aspects(
    environment: t.Any, spec: EnvironmentSpec, context: Context
) -> list[tuple[Aspect, list[Change]]]:
    return [(aspect, aspect.plan(environment, spec, context)) for aspect in ASPECTS]


def _apply_aspects(
    environment: t.Any, planned: t.Iterable[tuple[Aspect, list[Change]]]
) -> t.Iterator[Change]:
    """Make the changes; yields each when it is safely in the database."""
    for aspect, changes in planned:
        if not aspect.atomic:
            for change in changes:
                change.apply()
                yield change
        elif changes:
            with environment.db_transaction:
                for change in changes:
                    change.apply()
            yield from changes


def _apply(path: str, text: str, changes: _ini_edit.Changes) -> str:
    if not changes:
        return text
    try:
        return _ini_edit.apply(text, changes)
    except _ini_edit.IniError as e:
        raise EnvironmentFailure(f"{path}: {e}") from e


def _set_modes(path: str) -> None:
    for directory, _directories, files in os.walk(path):
        os.chmod(directory, DIRECTORY_MODE)
        for name in files:
            file = os.path.join(directory, name)
            if not os.path.islink(file):
                os.chmod(file, FILE_MODE)


class Reconciler:
    """Works on the environments below one directory."""

    def __init__(self, directory: str, check: bool = False) -> None:
        self.directory = directory
        self.check = check

    def reconcile(self, spec: EnvironmentSpec) -> Report:
        """Bring one environment into its wanted state; a failure stands in the report."""
        report = Report(spec.name)
        redactor = spec.redactor()
        path = os.path.join(self.directory, spec.name)
        try:
            if exists(path):
                self._adjust(path, spec, report, redactor)
            else:
                self._create(path, spec, report)
        # One environment must not stop the others, whatever a plugin or a database driver raises.
        except (Exception, SystemExit) as e:  # noqa: BLE001
            report.failure = redactor.redact(_reason(e, path))
        return report

    def _create(self, path: str, spec: EnvironmentSpec, report: Report) -> None:
        options = spec.creation_options()
        proposed = _apply(os.path.join(path, "conf", "trac.ini"), "", options)
        with _opened(_environment_class()(path, proposed, new=True)) as environment:
            _check_options(environment, options)
            _check_driver(environment)
            _check_aspects(environment, spec, _context(environment, report, self.check))
        repositories = _trac_repositories.for_new_environment(spec)
        if not self.check:
            parent, name = os.path.split(path)
            temporary = os.path.join(parent, f".{name}.creating-{secrets.token_hex(4)}")
            try:
                self._build(temporary, spec, report)
                os.rename(temporary, path)
            except BaseException:
                shutil.rmtree(temporary, ignore_errors=True)
                raise
        report.create(spec, repositories)

    def _build(self, path: str, spec: EnvironmentSpec, report: Report) -> None:
        """Make a complete environment, with the default wiki pages, as trac-admin does."""
        options = [(*name, value) for name, value in spec.creation_options().items()]
        with _opened(_environment_class()(path, create=True, options=options)) as environment:
            # Trac spells some values its own way when it creates trac.ini.
            ini = environment.config_file_path
            text = _read(ini)
            needed = _needed(environment, _ini_edit.parse(text), spec.options)
            if needed:
                _write(ini, text, _apply(ini, text, needed))
            if environment.needs_upgrade():  # a plugin's tables
                environment.upgrade(backup=False)
            context = _context(environment, report, self.check)
            planned = _plan_aspects(environment, spec, context)
            # What they are stands in the report of the creation already.
            list(_apply_aspects(environment, planned))
        _set_modes(path)

    def _adjust(
        self, path: str, spec: EnvironmentSpec, report: Report, redactor: _secrets.Redactor
    ) -> None:
        ini = os.path.join(path, "conf", "trac.ini")
        text = _read(ini)
        try:
            options = _ini_edit.parse(text)
        except _ini_edit.IniError as e:
            raise EnvironmentFailure(f"{ini}: {e}") from e
        for section in options.values():
            for option, current in section.items():
                redactor.learn(option, current)
        differing = {
            name: value for name, value in spec.options.items() if _current(options, name) != value
        }
        proposed = _apply(ini, text, differing)
        with _opened(_environment_class()(path, proposed)) as environment:
            needed = _needed(environment, options, differing)
            _check_options(environment, spec.options)
            _check_log(environment)
            outdated = environment.needs_upgrade()
            planned = []
            if not outdated:
                context = _context(environment, report, self.check)
                planned = _plan_aspects(environment, spec, context)
            if needed and not self.check:
                _write(ini, text, _apply(ini, text, needed))
            for name, value in needed.items():
                report.option(name, _current(options, name), value)
            made = (change for _aspect, changes in planned for change in changes)
            for change in made if self.check else _apply_aspects(environment, planned):
                report.change(change.words, change.before, change.after)
        if outdated:
            raise EnvironmentFailure(
                f"the environment needs to be upgraded; run as {_account(os.geteuid())}: "
                f"trac-admin {path} upgrade"
            )

    def remove_leftovers(self) -> list[str]:
        """Remove what a killed run left behind."""
        names = leftovers(self.directory)
        if not self.check:
            for name in names:
                shutil.rmtree(os.path.join(self.directory, name))
        return names


@contextlib.contextmanager
def _locked(directory: str) -> t.Iterator[None]:
    """Keep two runs from working below one directory at the same time."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        deadline = time.monotonic() + LOCK_TIMEOUT
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise WorkerFailure(f"another run works below {directory}") from None
                time.sleep(0.2)
        yield
    finally:
        os.close(descriptor)


def run(payload: t.Mapping[str, t.Any]) -> t.Iterator[dict[str, t.Any]]:
    """Work on all environments; yields what happens, as documents for JSON."""
    directory = payload["directory"]
    check = payload["check"]
    try:
        import trac.env  # noqa: F401
    # Not only ImportError: an unfit Python or setuptools shows itself in many ways.
    except Exception as e:  # noqa: BLE001
        yield {"event": "no_trac", "reason": f"{type(e).__name__}: {e}"}
        return
    # What has been loaded so far stays; it need not be looked at again and again.
    gc.collect()
    gc.freeze()
    with contextlib.ExitStack() as stack:
        if not check:
            stack.enter_context(_locked(directory))
        reconciler = Reconciler(directory, check)
        yield {"event": "leftovers", "names": reconciler.remove_leftovers()}
        for document in payload["environments"]:
            spec = EnvironmentSpec.from_json(document)
            yield {"event": "begin", "name": spec.name}
            yield {"event": "report", "report": reconciler.reconcile(spec).to_json()}
    yield {"event": "end"}


def serve(payload: t.Mapping[str, t.Any], output: t.TextIO) -> None:
    """Work on all environments; writes one JSON document a line.

    When the reader is gone the run ends with the environment that it works on.
    """
    os.umask(UMASK)
    with tempfile.TemporaryDirectory(prefix="trac-environments-") as scratch:
        os.environ["PYTHON_EGG_CACHE"] = os.environ["HOME"] = scratch
        try:
            for event in run(payload):
                output.write(json.dumps(event) + "\n")
                output.flush()
        except (WorkerFailure, OSError) as e:
            if isinstance(e, BrokenPipeError):
                raise SystemExit(1) from None
            reason = str(e) if isinstance(e, WorkerFailure) else _reason(e, payload["directory"])
            output.write(json.dumps({"event": "failed", "reason": reason}) + "\n")
            output.flush()
