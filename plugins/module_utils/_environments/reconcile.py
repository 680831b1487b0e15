# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bring one environment into its wanted state, whatever it needs for that."""

from __future__ import annotations

import os
import typing as t

from ansible_collections.trac.mod_wsgi.plugins.module_utils._copies import upgrade as copies_upgrade
from ansible_collections.trac.mod_wsgi.plugins.module_utils._core import secrets
from ansible_collections.trac.mod_wsgi.plugins.module_utils._environments import (
    permissions as environment_permissions,
)
from ansible_collections.trac.mod_wsgi.plugins.module_utils._environments import (
    preview as environment_preview,
)
from ansible_collections.trac.mod_wsgi.plugins.module_utils._environments import (
    preview_room,
    ticket_fields,
)
from ansible_collections.trac.mod_wsgi.plugins.module_utils._environments import (
    remove as environment_remove,
)
from ansible_collections.trac.mod_wsgi.plugins.module_utils._environments import (
    repositories as environment_repositories,
)
from ansible_collections.trac.mod_wsgi.plugins.module_utils._trac import database as trac_database
from ansible_collections.trac.mod_wsgi.plugins.module_utils._trac import fault as trac_fault
from ansible_collections.trac.mod_wsgi.plugins.module_utils._trac import faults as trac_faults
from ansible_collections.trac.mod_wsgi.plugins.module_utils._trac import findings as trac_findings
from ansible_collections.trac.mod_wsgi.plugins.module_utils._trac import log as trac_log
from ansible_collections.trac.mod_wsgi.plugins.module_utils._trac import login as trac_login
from ansible_collections.trac.mod_wsgi.plugins.module_utils._trac import named_files, restore_mark
from ansible_collections.trac.mod_wsgi.plugins.module_utils._trac import plugins as trac_plugins
from ansible_collections.trac.mod_wsgi.plugins.module_utils._trac.environment_spec import (
    DATABASE,
    OWN,
    Change,
    Context,
    EnvironmentFailure,
    EnvironmentSpec,
    Report,
    Wording,
    exists,
    leftovers,
)
from ansible_collections.trac.mod_wsgi.plugins.module_utils._trac.ini import (
    IniFile,
    Wanted,
    check_options,
    proposal,
)
from ansible_collections.trac.mod_wsgi.plugins.module_utils._trac.opening import (
    account_name,
    environment_class,
    opened,
    reason,
)
from ansible_collections.trac.mod_wsgi.plugins.module_utils._trac.preview_place import Place

EVERY = "*"  # instead of names of environments
DIRECTORY_MODE = 0o2770
FILE_MODE = 0o0660

_STILL_OUTDATED = "it needs to be upgraded even after the upgrade"


class Aspect(t.NamedTuple):
    """What lives in an environment's database; the functions are told in _trac.environment_spec."""

    plan: t.Callable[[t.Any, EnvironmentSpec, Context], list[Change]]
    check: t.Callable[[t.Any, EnvironmentSpec, Context], None] | None = None
    atomic: bool = True  # all its changes in one transaction


ASPECTS: tuple[Aspect, ...] = (
    Aspect(environment_permissions.plan, environment_permissions.check),
    Aspect(ticket_fields.plan, ticket_fields.check),
    Aspect(environment_repositories.plan, environment_repositories.check, atomic=False),
)


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


def _missing_directories(environment: t.Any) -> list[str]:
    """What an environment has to have and Trac makes only with it; copies may lose what is empty.

    Without the directory of its log each page is an error, and without that of plugins uploading
    one is. Trac makes the others when it needs them, or does without.
    """
    needed = [environment.log_dir, environment.plugins_dir]
    if environment.log_type == "file":
        needed.append(os.path.dirname(environment.log_file_path))
    inside = [path for path in needed if trac_log.is_inside(path, environment.path)]
    return [path for path in dict.fromkeys(inside) if not os.path.isdir(path)]


def _set_modes(path: str) -> None:
    for directory, _directories, files in os.walk(path):
        os.chmod(directory, DIRECTORY_MODE)
        for name in files:
            file = os.path.join(directory, name)
            if not os.path.islink(file):
                os.chmod(file, FILE_MODE)


class Reconciler:
    """Works on the environments below one directory.

    In check mode it looks at the copies that are there for some of them, by names, and makes others
    to try upgrades on.
    """

    def __init__(
        self,
        directory: str,
        archive: str | None = None,
        check: bool = False,
        logins: t.Collection[str] = (),
        copies: t.Mapping[str, str] | None = None,
    ) -> None:
        self.directory = directory
        self.copies = copies or {}
        self.archive = archive
        self.check = check
        self._logins = logins
        self._servers = trac_database.Servers()
        # Databases which the run itself would have emptied before.
        paths = [os.path.join(directory, name) for name in leftovers(directory)]
        self._emptied = {environment_remove.database_of(path) for path in paths} if check else set()
        self._half_restored = restore_mark.unfinished(directory)

    def reconcile(self, spec: EnvironmentSpec) -> Report:
        """Bring one environment into its wanted state; a failure stands in the report."""
        report = Report(spec.name)
        redactor = spec.redactor()
        path = os.path.join(self.directory, spec.name)
        place = Place(self.copies[spec.name], path) if spec.name in self.copies else None
        if place is not None:
            path = place.copy
        try:
            if spec.name in self._half_restored:
                raise EnvironmentFailure(restore_mark.problem(path, self._half_restored[spec.name]))
            if spec.state == "absent":
                environment_remove.remove(path, self.archive, report, self.check)
            elif exists(path):
                self._adjust(path, spec, report, redactor, place)
            else:
                self._create(path, spec, report)
        # One environment must not stop the others, whatever a plugin or a database driver raises.
        except (Exception, SystemExit) as e:  # noqa: BLE001
            report.failure = redactor.redact(reason(e, path))
            if spec.state != "absent":
                report.servable = self._is_servable(spec.name, path)
        report.warnings[:] = [redactor.redact(warning) for warning in report.warnings]
        if place is not None:
            report.reword(place.words)
        return report

    def _is_servable(self, name: str, path: str) -> bool:
        """Whether Trac can serve an environment as it is, whatever it should have become."""
        if name in self._half_restored:
            return False
        try:
            ini = IniFile(os.path.join(path, "conf", "trac.ini"))
            # Without what they say, pages may be open that were not.
            trac_fault.refuse(named_files.inherited(ini.parser, ini.path))
            with opened(environment_class()(path, ini.parser)) as environment:
                self._servers.check(environment)
                outdated = copies_upgrade.is_outdated(environment, pages=False)
                return not outdated and not trac_faults.faults(environment)
        except (Exception, SystemExit):  # noqa: BLE001, as above
            return False

    # Creation

    def _create(self, path: str, spec: EnvironmentSpec, report: Report) -> None:
        options = spec.creation_options()
        file = os.path.join(path, "conf", "trac.ini")
        proposed = proposal(file, options)
        trac_fault.refuse(named_files.inherited(proposed, file))
        with opened(environment_class()(path, proposed, new=True)) as environment:
            check_options(environment, options)
            trac_fault.refuse(trac_faults.faults(environment, ask=False, mended=True))
            self._refuse_without_login(environment, spec, report)
            self._check_database(environment, spec, report)
            _check_aspects(environment, spec, _context(environment, report, self.check))
        repositories = environment_repositories.for_new_environment(spec)
        if not self.check:
            hidden = environment_remove.hidden_name(path, "creating")
            try:
                self._build(hidden, spec, report)
                os.rename(hidden, path)
            except BaseException:
                if os.path.exists(hidden):
                    environment_remove.clean_up(hidden, self.archive)
                raise
        report.create(spec, repositories)

    def _refuse_without_login(
        self, environment: t.Any, spec: EnvironmentSpec, report: Report
    ) -> None:
        """Refuse an environment that takes no login, where Apache is going to ask for one."""
        if spec.name in self._logins or EVERY in self._logins:
            trac_fault.refuse(trac_login.faults(environment))
            clashes = trac_login.clashes(environment)
            if clashes:
                _context(environment, report, self.check).warn(trac_fault.told(clashes))

    def _check_database(self, environment: t.Any, spec: EnvironmentSpec, report: Report) -> None:
        """Refuse a database that cannot be used, or is used already."""
        coming = self.check and DATABASE not in spec.options and spec.new_database is not None
        try:
            trac_database.check_driver(environment)
            if (
                trac_database.is_elsewhere(environment)
                and environment.config.get(*DATABASE) not in self._emptied
            ):
                self._servers.check(environment)
                trac_database.check_room(environment)
        except trac_database.Unreachable as e:
            if not self.check:
                raise
            report.warnings.append(f"it cannot be told whether the database will be usable: {e}")
        except trac_database.NoDriver as e:
            if not coming:
                raise
            report.warnings.append(f"it cannot be told whether the database will be usable: {e}")

    def _build(self, path: str, spec: EnvironmentSpec, report: Report) -> None:
        """Make a complete environment, with the default wiki pages, as trac-admin does."""
        options = [(*name, value) for name, value in spec.creation_options().items()]
        with opened(environment_class()(path, create=True, options=options)) as environment:
            # Trac spells some values its own way when it creates trac.ini.
            ini = IniFile(environment.config_file_path)
            ini.write(ini.needed(environment, spec.options))
            self._make_directories(environment, report)
            if environment.needs_upgrade():  # a plugin's tables
                environment.upgrade(backup=False)
            context = _context(environment, report, self.check)
            planned = _plan_aspects(environment, spec, context)
            # What they are stands in the report of the creation already.
            list(_apply_aspects(environment, planned))
        _set_modes(path)

    # Change

    def _adjust(
        self,
        path: str,
        spec: EnvironmentSpec,
        report: Report,
        redactor: secrets.Redactor,
        place: Place | None,
    ) -> None:
        """Adjust an environment; one that had to be upgraded is looked at again afterwards."""
        if not self._adjusted(path, spec, report, redactor, place) and not self._adjusted(
            path, spec, report, redactor, place
        ):
            raise EnvironmentFailure(_STILL_OUTDATED)

    def _adjusted(
        self,
        path: str,
        spec: EnvironmentSpec,
        report: Report,
        redactor: secrets.Redactor,
        place: Place | None,
    ) -> bool:
        """Change what has to be changed; False when it was an upgrade, and more may be needed.

        :param place: what a copy in that path stands for, in check mode
        """
        ini = IniFile(os.path.join(path, "conf", "trac.ini"), spec.adopt_encoding, place)
        ini.refuse_empty()
        for option, value in ini.secrets():
            redactor.learn(option, value)
        login = self._new_login(ini, spec)
        differing = ini.differing(spec.options)
        self._check_move(path, ini, spec, report)
        # The server knows the new password after the run, but not in check mode.
        proposed = ini.proposed(differing if self.check else {**differing, **login})
        trac_fault.refuse(named_files.inherited(proposed, ini.path))
        with opened(environment_class()(path, proposed)) as environment:
            needed = {**ini.needed(environment, differing), **login}
            for complaint in trac_plugins.failed(environment):
                _context(environment, report, self.check).warn(complaint)
            check_options(environment, spec.options)
            trac_database.check_driver(environment)
            self._servers.check(environment)
            outdated = copies_upgrade.is_outdated(environment, spec.upgrade)
            if not (outdated and spec.upgrade):  # else it is looked at when it has been upgraded
                self._warn(environment, ini, differing, spec, report)
            trac_fault.refuse(trac_faults.faults(environment, outdated, mended=True))
            self._refuse_without_login(environment, spec, report)
            if not outdated:
                context = _context(environment, report, self.check)
                planned = _plan_aspects(environment, spec, context)
                self._make_directories(environment, report)
                self._write_ini(ini, needed, report)
                made = (change for _aspect, changes in planned for change in changes)
                for change in made if self.check else _apply_aspects(environment, planned):
                    report.change(change.words, change.before, change.after)
                return True
            if not spec.upgrade:
                self._make_directories(environment, report)
                self._write_ini(ini, needed, report)
                raise EnvironmentFailure(
                    f"the environment needs to be upgraded; run as {account_name(os.geteuid())}: "
                    f"trac-admin {path} upgrade"
                )
            trac_findings.refuse_upgrade(environment)
            wordings = copies_upgrade.prepare(environment, self.archive, report, self.check)
            if copies_upgrade.is_of_python_2(environment):
                report.warnings += [
                    f"[{section}] {option}: what follows the semicolon was a comment for Python 2, "
                    "and is a part of the value now"
                    for section, option in ini.old_comments()
                ]
            self._make_directories(environment, report)
            self._write_ini(ini, needed, report)
            if self.check:
                self._preview(environment, ini, needed, wordings, spec, report, redactor)
                return True
        copies_upgrade.upgrade(path).tell(wordings, report)
        return False

    def _preview(
        self,
        environment: t.Any,
        ini: IniFile,
        needed: Wanted,
        wordings: list[Wording],
        spec: EnvironmentSpec,
        report: Report,
        redactor: secrets.Redactor,
    ) -> None:
        """Upgrade a copy, and tell what that changes and what would be changed after it."""
        try:
            with environment_preview.place(environment, ini.place) as place:
                ini.write_copy(place, needed)
                later = Report(spec.name)
                self._try(place, wordings, spec, later, redactor)
                later.reword(place.words)
                report.add(later)
        except preview_room.NotTried as e:
            for wording in wordings:
                report.change(*wording)
            self._warn(environment, ini, needed, spec, report)
            report.warnings.append(
                "which rows and which options of trac.ini the upgrade itself would change, and "
                f"whether it would succeed, cannot be predicted: {e}"
            )
            self._predict_after_upgrade(environment, spec, report)

    def _try(
        self,
        place: Place,
        wordings: list[Wording],
        spec: EnvironmentSpec,
        report: Report,
        redactor: secrets.Redactor,
    ) -> None:
        """Upgrade a copy; a failure says that it was one of a copy."""
        if place.tried:
            raise EnvironmentFailure(_STILL_OUTDATED)
        place.tried = True
        try:
            with opened(environment_class()(place.copy)) as environment:
                for path in _missing_directories(environment):
                    os.makedirs(path)
            outcome = copies_upgrade.upgrade(place.copy)
        # Whatever a plugin's upgrade raises.
        except (Exception, SystemExit) as e:
            why = place.words(reason(e, place.copy))
            raise EnvironmentFailure(f"its upgrade was tried on a copy, and failed: {why}") from e
        options = [
            (name, old and place.value(name, old), new and place.value(name, new))
            for name, old, new in outcome.options
        ]
        outcome._replace(options=options).tell(wordings, report)
        try:
            self._adjusted(place.copy, spec, report, redactor, place)
        except EnvironmentFailure as e:
            raise EnvironmentFailure(place.words(str(e))) from e

    def _warn(
        self,
        environment: t.Any,
        ini: IniFile,
        wanted: Wanted,
        spec: EnvironmentSpec,
        report: Report,
    ) -> None:
        """Name what is not as it was."""
        context = _context(environment, report, self.check)
        managed = {repository["name"] for repository in spec.repositories}
        for words in trac_findings.words(environment, ini, wanted, managed):
            context.warn(words)

    @staticmethod
    def _predict_after_upgrade(environment: t.Any, spec: EnvironmentSpec, report: Report) -> None:
        for aspect in ASPECTS:
            try:
                for change in aspect.plan(environment, spec, _context(environment, report, True)):
                    report.change(change.words, change.before, change.after)
            except EnvironmentFailure:
                raise
            # The tables of an older version can be anything.
            except Exception as e:  # noqa: BLE001
                report.warnings.append(
                    "not everything that would change after the upgrade can be predicted: "
                    + reason(e, environment.path)
                )

    @staticmethod
    def _new_login(ini: IniFile, spec: EnvironmentSpec) -> Wanted:
        """The connection string, if it leads to the same database by another password."""
        current = ini.current(DATABASE)
        if DATABASE in spec.options or spec.new_database is None or current is None:
            return {}
        if current == spec.new_database:
            return {}
        if not trac_database.is_same_login(current, spec.new_database):
            return {}
        return {DATABASE: spec.new_database}

    def _check_move(self, path: str, ini: IniFile, spec: EnvironmentSpec, report: Report) -> None:
        """Refuse another database than the environment uses, unless it holds as much."""
        current, wanted = ini.current(DATABASE), spec.options.get(DATABASE)
        if current is None or wanted is None or spec.adopt_database == OWN:
            return
        if trac_database.is_same_database(current, wanted, path):
            return
        used, named = (secrets.shown(DATABASE[1], uri) for uri in (current, wanted))

        def refuse(why: str) -> EnvironmentFailure:
            return EnvironmentFailure(
                f"[trac] database: the environment uses {used}, and keeps it. The inventory says "
                f"{named}, and {why}. Name the database that it uses, or none; "
                "playbooks/restore.yml moves an environment to another one"
            )

        def rows(parser: t.Any) -> dict[str, int]:
            with opened(environment_class()(path, parser)) as environment:
                self._servers.check(environment)
                return trac_database.used_rows(environment)

        # Each driver has exceptions of its own.
        try:
            there = rows(ini.proposed({DATABASE: wanted}))
        except Exception as e:
            raise refuse(f"that cannot be used ({reason(e, path)})") from e
        try:
            here = rows(ini.parser)
        except Exception as e:
            # A server or a file may have been moved; another kind is rather a mistake.
            if current.partition(":")[0] != wanted.partition(":")[0]:
                raise refuse(f"the two cannot be compared ({reason(e, path)})") from e
            here = {}
        for table, count in here.items():
            if there[table] < count:
                raise refuse(f"that has {there[table]} rows in {table}, instead of {count}")
        report.warnings.append(f"its database was {used} and is now {named}; the former stays")

    def _make_directories(self, environment: t.Any, report: Report) -> None:
        for path in _missing_directories(environment):
            if os.path.lexists(path):
                raise EnvironmentFailure(f"{path} is a file, and Trac needs a directory there")
            if not self.check:
                os.makedirs(path)
                os.chmod(path, DIRECTORY_MODE)
            name = os.path.relpath(path, os.path.realpath(environment.path))
            report.change(f"make the missing directory {name}", [], [f"directory {name}"])

    def _write_ini(self, ini: IniFile, needed: Wanted, report: Report) -> None:
        modes = ini.mode_without_others(needed)
        if modes:
            if not self.check:
                os.chmod(ini.path, modes[1])
            report.change(
                "keep others from reading trac.ini",
                [f"mode of trac.ini: {modes[0]:04o}"],
                [f"mode of trac.ini: {modes[1]:04o}"],
            )
        if ini.mended:
            words = f"write trac.ini in UTF-8 (it had {ini.mended})"
            report.change(words, [f"trac.ini: {ini.mended}"], ["trac.ini: UTF-8"])
        if not self.check:
            ini.write(needed)
        for name, value in needed.items():
            report.option(name, ini.current(name), value)
