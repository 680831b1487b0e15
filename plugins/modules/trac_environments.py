#!/usr/bin/python
# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: trac_environments
short_description: Create and configure the Trac environments of a host
version_added: "0.1.0"
author: "The trac.mod_wsgi maintainers (@trac-mod-wsgi)"
description:
  - Brings any number of Trac environments into their wanted state, in one Python process and with
    Trac's own API, as the account that owns them.
  - Options of C(trac.ini) are changed in place. Comments, order and spelling of everything else
    in the file stay. A value that Trac spells another way, such as V(true) and V(enabled), counts
    as the same.
  - Nothing is written into an environment before Trac has been able to open it with the wanted
    options, found the database, and knows the permissions, and before it is certain that no
    ticket uses what is to be removed.
  - A new environment is built in a hidden directory beside its place, and appears when it is
    complete. What a killed run left of such directories is removed, half-made tables included.
  - Several processes share the work. One that crashes costs the environment that it works on.
  - An environment whose directory is not O(user)'s is given to it with all that is in it, with the
    modes that new ones have. In one that is O(user)'s already, files that root has left there and
    that it could not use are given back; attachments are not looked through. Links are never
    followed. Links, devices, files with several names (hard links), and files of other accounts
    than root, Apache's, O(user) and the owner of the environment's directory are named and left
    alone.
  - What an environment has been extended with and Trac does not load is named in a warning, with
    the reason. Such are plugins in its directory C(plugins), lines of C([components]) that enable
    what is not installed, and templates for Genshi.
  - A C(trac.ini) that holds a secret and is open to everybody is closed to others.
  - Directories beside the environments that are none are kept off Trac's project index, by lines
    in C(.tracignore). Other lines in that file stay.
  - An environment that fails does not stop the others. The module fails at its end, and names each
    of them with the reason.
extends_documentation_fragment:
  - trac.mod_wsgi._attributes
  - trac.mod_wsgi._environments
  - trac.mod_wsgi._environments.group
attributes:
  check_mode:
    support: full
    details:
      - As long as the virtual environment or the account does not exist, only the creation and the
        removal of environments are predicted, not the changes of those that exist already.
      - An environment that is yet to be given to O(user), copied or upgraded is copied to a
        directory of its own below C(/var/tmp), attached files by name and size only; what would be
        done is tried there as O(user). That tells the rows of tables and the options that would
        change, and what would fail. The original is only read. The copy is removed at the end.
      - Where a database cannot be reached yet, or an upgrade cannot be tried, because the database
        is on a server or outside of the environment, or because there is no room, a warning says
        what cannot be predicted.
  diff_mode:
    support: full
    details:
      - Secrets are shown as V(********), see O(environments[].config).
  idempotent:
    support: full
options:
  environments:
    description: The environments that have to exist. Others are left alone.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description:
          - The name of the environment's directory, and its part of a URL.
          - It has to match C([a-z0-9][a-z0-9_-]*).
        type: str
        required: true
      title:
        description:
          - The name of the project as people read it, C([project] name).
          - If left out, a new environment is titled with its O(environments[].name).
        type: str
      database:
        description:
          - The connection string, C([trac] database).
          - If left out, a new environment uses O(environments[].new_database), or else
            V(sqlite:db/trac.db).
          - For an environment that exists, a new string has to lead to a database that holds the
            tables of Trac, and no fewer tickets, changes of tickets, attachments and wiki pages
            than the one in use. Otherwise the environment fails, with both named, and keeps the
            one in use; M(trac.mod_wsgi.trac_restore) moves environments.
        type: str
      config:
        description:
          - Options of C(trac.ini), as section to option to value.
          - V(true) and V(false) are written as V(enabled) and V(disabled), lists separated by
            commas. V(null) removes the option from C(trac.ini).
          - Values of options whose names say that they are secrets (C(password), C(secret),
            C(token), C(api_key), names that end in C(_pass) or C(_pw) and the like) and passwords
            in URLs are never shown. Switches (V(enabled), V(true), V(none)) are, and so is
            everything in C([components]) and what says where passwords are kept (C(htpasswd_file),
            C(password_store)).
          - A new environment has an empty C([header_logo] src) unless this says otherwise. Trac
            then shows the title at the head of each page; its own default is a picture that is
            not there.
        type: dict
      new_database:
        description: The connection string of a new environment whose O(environments[].database)
          is left out.
        type: str
      adopt_from:
        description:
          - The directory of an environment elsewhere on the host, of which this one is to be a
            copy. It may be a copy by C(trac-admin hotcopy). It has to be an absolute path.
          - It is only read, and copied once, when O(environments[].name) does not exist. If that
            exists and was not copied from there, the environment fails. Nothing is ever replaced.
          - The copy is thrown away when the original is written to meanwhile, or when its SQLite
            database is not whole. A link that leads out of it, a device, a file that may be
            somebody else's, or an SQLite database outside of it stop the copy before it begins.
          - C([trac] database) is changed in the copy only where it names the file by its absolute
            path. A database on a server is not copied, see O(environments[].adopt_database).
        type: str
      adopt_database:
        description:
          - Which database an environment with O(environments[].adopt_from) works on whose original
            is on PostgreSQL or MySQL. If it is left out, such an environment fails before anything
            is copied, because two environments on one database destroy each other's data.
          - V(shared) means the original's own database. The original must not be served, nor
            worked on in any other way, from then on. The module warns of this when it copies.
          - V(own) means that which O(environments[].database) names and into which a dump of the
            original's has been loaded. It is refused where it has the same name on the same server.
          - With SQLite the file is copied; V(shared) is refused there.
        type: str
        choices:
          - shared
          - own
      adopt_encoding:
        description:
          - The encoding of those lines of C(trac.ini) that are not UTF-8, such as V(cp1252),
            V(iso8859-15) or V(koi8-r). They are written in UTF-8, and a byte order mark is taken
            away. The file as it was stays beside it, as C(trac.ini.before-) with the time, for
            nobody but O(user).
          - If left out, an environment whose C(trac.ini) is not UTF-8, or begins with a byte order
            mark, fails before owners are changed or anything is copied. V(utf-8) takes nothing but
            the mark away.
          - A section or an option that stands in the file twice is never mended.
        type: str
      permissions:
        description:
          - What users and groups may do, as name to list of actions or groups.
          - Permissions that are not listed stay, unless O(environments[].exclusive) says otherwise.
        type: dict
      milestones:
        description:
          - Milestones that have to exist, each a name or a dictionary with the keys C(name),
            C(due), C(completed) and C(description).
          - Attributes that are left out stay as they are. V(null) or an empty text takes a value
            away, so that C(completed=null) opens a milestone again.
          - Dates are written V('2027-01-31'), which is midnight UTC at the beginning of that day,
            or V('2027-01-31T18:00:00+01:00'). Without a zone, times are in UTC.
          - Names that look like numbers belong in quotes, because YAML reads V(1.10) as V(1.1).
          - If this or one of the following lists is left out, nothing is changed.
        type: list
        elements: raw
      components:
        description: Components of tickets, each a name or a dictionary with the keys C(name),
          C(owner) and C(description); see O(environments[].milestones).
        type: list
        elements: raw
      versions:
        description: Versions, each a name or a dictionary with the keys C(name), C(time) (when it
          was released) and C(description); see O(environments[].milestones).
        type: list
        elements: raw
      priorities:
        description:
          - Priorities of tickets, each a name or a dictionary with the keys C(name) and
            C(description).
          - They get the first positions in the order of the list. Others follow in the order that
            they have.
        type: list
        elements: raw
      ticket_types:
        description: Types of tickets; see O(environments[].priorities).
        type: list
        elements: raw
      severities:
        description: Severities of tickets, of which a new environment has none; see
          O(environments[].priorities).
        type: list
        elements: raw
      resolutions:
        description: Resolutions of tickets; see O(environments[].priorities).
        type: list
        elements: raw
      exclusive:
        description:
          - The keys whose lists are complete. What such a list does not name is removed.
          - What tickets still use is never removed, nor a milestone with attachments. The
            environment fails then, and nothing in it is changed.
          - A key that is left out, in O(defaults) as well, is not touched.
          - There is a warning when no user and no group keeps C(TRAC_ADMIN).
        type: list
        elements: str
        choices:
          - permissions
          - milestones
          - components
          - versions
          - priorities
          - ticket_types
          - severities
          - resolutions
          - repositories
      repositories:
        description:
          - Repositories that have to exist and to be registered in Trac's table. Their revisions
            are read where Trac keeps a list of them.
          - One that is missing on the disk is created by O(user), who has to be allowed to. One
            that exists is not touched, and has to be readable for O(user).
          - A repository that is not named any more is unregistered when O(environments[].exclusive)
            says so. Nothing is ever removed from the disk.
          - The components that support a type, such as C(tracopt.versioncontrol.git.*), are enabled
            in C(trac.ini), unless O(environments[].config) says otherwise.
          - Attributes that are left out stay as they are.
        type: list
        elements: dict
        suboptions:
          name:
            description: The name that Trac knows it by. The default repository has an empty one.
            type: str
            required: true
          type:
            description: The kind of repository.
            type: str
            choices:
              - git
              - svn
            required: true
          dir:
            description:
              - The absolute path of its directory.
              - It may be a working tree of git, or a directory within a Subversion repository, such
                as V(/srv/svn/code/trunk), to show only that part.
            type: str
            required: true
          description:
            description: What Trac says about it, in wiki markup.
            type: str
          url:
            description: Where it can be cloned or checked out from.
            type: str
          hidden:
            description: Whether Trac leaves it out of the list of repositories.
            type: bool
          sync_per_request:
            description: Whether Trac looks for new revisions with each page, which is slow. It is
              not needed where hooks tell Trac.
            type: bool
          hook:
            description: Nothing that this module looks at, see
              M(trac.mod_wsgi.repository_hooks).
            type: bool
            default: true
      upgrade:
        description:
          - Whether an environment is upgraded, database and wiki pages, when Trac or a plugin wants
            it. A verified copy goes to O(archive_directory) first.
          - Trac's own wiki pages are renewed when Trac's database is upgraded, or when they are
            those of another release, as by C(trac-admin wiki upgrade), not for the sake of a
            plugin. What they held stays in their history.
          - What the upgrade changes in C(trac.ini) is changed in place.
          - If this is V(false), an environment that needs an upgrade fails.
          - If left out, it is V(true).
        type: bool
      state:
        description:
          - The wanted state.
          - With V(absent) a verified copy of the environment, its database included, is put into
            O(archive_directory). Then the environment is removed, together with the tables (or the
            schema) of its database. Nobody should work in it meanwhile.
        type: str
        choices:
          - present
          - absent
        default: present
  defaults:
    description:
      - What holds for each of O(environments) that does not say otherwise.
      - O(defaults.config) is overridden option by option, O(defaults.permissions) user by user,
        each other key as a whole.
    type: dict
    suboptions:
      config:
        description: See O(environments[].config). It cannot hold C([trac] database).
        type: dict
      permissions:
        description: See O(environments[].permissions).
        type: dict
      milestones:
        description: See O(environments[].milestones).
        type: list
        elements: raw
      components:
        description: See O(environments[].components).
        type: list
        elements: raw
      versions:
        description: See O(environments[].versions).
        type: list
        elements: raw
      priorities:
        description: See O(environments[].priorities).
        type: list
        elements: raw
      ticket_types:
        description: See O(environments[].ticket_types).
        type: list
        elements: raw
      severities:
        description: See O(environments[].severities).
        type: list
        elements: raw
      resolutions:
        description: See O(environments[].resolutions).
        type: list
        elements: raw
      exclusive:
        description: See O(environments[].exclusive).
        type: list
        elements: str
        choices:
          - permissions
          - milestones
          - components
          - versions
          - priorities
          - ticket_types
          - severities
          - resolutions
          - repositories
      upgrade:
        description: See O(environments[].upgrade).
        type: bool
  ignore:
    description:
      - Patterns of directories that Trac's project index does not show, besides those that are no
        environments, with C(*), C(?) and C([...]) as in a shell.
      - A pattern that would hide an environment is refused.
    type: list
    elements: str
    default: []
  logins:
    description:
      - The environments for which Apache asks for a login; V(*) stands for all. One in which no
        component takes a login, such as after AccountManager is gone, is refused.
    type: list
    elements: str
    default: []
    version_added: "0.3.0"
  archive_directory:
    description:
      - Where the verified copies are put that are made of environments before they are removed or
        upgraded. Without it, no environment is removed or upgraded.
      - It is created if it is missing, with the mode V(0700), for O(user); the directory that it is
        in has to exist. It must not be below O(directory).
    type: path
  time_limit:
    description:
      - For internal use by the action plugin, which shows how far the work has come. After so many
        seconds no further environment is begun; their names are returned as C(remaining).
      - V(0) stands for no limit.
    type: int
    default: 0
notes:
  - Variables of the task's C(environment) whose names begin with C(PG) or C(MYSQL_) reach the
    database's client library, for instance C(PGSSLMODE) and C(PGSSLROOTCERT).
  - Directories are created with the mode V(2770) and files with V(0660). Modes of what is
    O(user)'s already are left alone.
  - Trac itself writes C(trac.ini) anew, without comments, when somebody changes the configuration
    in the web administration.
"""

EXAMPLES = r"""
- name: Keep two projects
  trac.mod_wsgi.trac_environments:
    directory: /srv/trac/environments
    python: /opt/trac/bin/python
    user: trac
    environments:
      - name: project
        title: My Project
        permissions:
          admin: [TRAC_ADMIN]
      - name: research
        title: Research & Development
        database: postgres://trac:{{ trac_password | urlencode }}@db.example.com/research
        config:
          ticket:
            default_type: task
          notification:
            smtp_enabled: true
            smtp_server: mail.example.com
        permissions:
          authenticated: [developers]
          developers: [TICKET_ADMIN, WIKI_ADMIN]

- name: Give many projects the same priorities and exactly these permissions
  trac.mod_wsgi.trac_environments:
    directory: /srv/trac/environments
    python: /opt/trac/bin/python
    user: trac
    defaults:
      priorities: [urgent, normal, some day]
      resolutions: [done, invalid, duplicate]
      permissions:
        admin: [TRAC_ADMIN]
        authenticated: [WIKI_VIEW, TICKET_VIEW, TICKET_CREATE]
      exclusive: [permissions, priorities]
      config:
        ticket:
          default_priority: normal
          default_resolution: done
    environments:
      - name: first
        milestones:
          - name: "1.0"
            due: 2027-01-31
            description: The first release.
          - name: "1.1"
      - name: second
        components:
          - {name: engine, owner: anna}
          - documentation
        permissions:
          anonymous: [WIKI_VIEW]
"""

RETURN = r"""
environments:
  description: What was done in each environment, or would be done, in the order of the option.
  returned: always, when the options are right
  type: list
  elements: dict
  contains:
    name:
      description: The name of the environment.
      type: str
      returned: always
      sample: project
    created:
      description: Whether it was created.
      type: bool
      returned: always
      sample: false
    changed:
      description: Whether anything in it was changed.
      type: bool
      returned: always
      sample: true
    changes:
      description: The changes, in words.
      type: list
      elements: str
      returned: always
      sample:
        - set [project] name
        - grant TRAC_ADMIN to admin
    failure:
      description: Why the wanted state could not be reached.
      type: str
      returned: when it could not
    servable:
      description:
        - Whether Trac can serve it as it is nevertheless. It cannot while it waits for an upgrade,
          or where its pages would be errors. Null where nobody has looked.
      type: bool
      returned: when it could not
      sample: true
    archive:
      description: The verified copy that was made first.
      type: str
      returned: when it was upgraded or removed
      sample: /srv/trac/archive/project-20270131T120000Z
ignored:
  description:
    - The patterns of directories that Trac's project index does not show.
    - Without need there is no file C(.tracignore); Trac then ignores V(.*).
  returned: when they could be found out
  type: list
  elements: str
  sample:
    - .*
    - lost+found
other_failures:
  description: What went wrong beside the environments.
  returned: when something did
  type: list
  elements: str
removed_leftovers:
  description: The hidden directories that a killed run left behind and that were removed.
  returned: always, when the options are right
  type: list
  elements: str
  sample: []
"""

import contextlib
import grp
import os
import pwd
import time
import typing as t

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.trac.mod_wsgi.plugins.module_utils._core import secrets, worker_process
from ansible_collections.trac.mod_wsgi.plugins.module_utils._core.worker_process import (
    Account,
    WorkerError,
)
from ansible_collections.trac.mod_wsgi.plugins.module_utils._environments import (
    adoption_copy,
    adoption_run,
    environment_input,
    repositories,
    tracignore,
)
from ansible_collections.trac.mod_wsgi.plugins.module_utils._environments import (
    remove as environment_remove,
)
from ansible_collections.trac.mod_wsgi.plugins.module_utils._environments import (
    worker as environment_worker,
)
from ansible_collections.trac.mod_wsgi.plugins.module_utils._trac import (
    environment_spec,
    field_items,
    repository_spec,
)
from ansible_collections.trac.mod_wsgi.plugins.module_utils._trac.environment_spec import (
    EnvironmentFailure,
    Report,
)


def _repository_options() -> dict[str, t.Any]:
    return {
        "name": {"type": "str", "required": True},
        "type": {"type": "str", "choices": list(repository_spec.TYPES), "required": True},
        "dir": {"type": "str", "required": True},
        "description": {"type": "str"},
        "url": {"type": "str"},
        "hidden": {"type": "bool"},
        "sync_per_request": {"type": "bool"},
        "hook": {"type": "bool", "default": True},
    }


def _is_below(path: str, directory: str) -> bool:
    path, directory = os.path.realpath(path), os.path.realpath(directory)
    return os.path.commonpath([path, directory]) == directory


def _shared_options() -> dict[str, t.Any]:
    """What can be said of one environment and of all."""
    return {
        "config": {"type": "dict"},
        "permissions": {"type": "dict"},
        **{key: {"type": "list", "elements": "raw"} for key in field_items.KINDS},
        "exclusive": {
            "type": "list",
            "elements": "str",
            "choices": list(environment_input.EXCLUSIVE_KEYS),
        },
        "upgrade": {"type": "bool"},
    }


def _hide_options(config: dict[str, t.Any] | None) -> None:
    for section, options in (config or {}).items():
        if isinstance(options, dict):
            for option, value in options.items():
                if isinstance(value, str):
                    options[option] = secrets.shown(str(option), value, str(section))


class EnvironmentsModule(AnsibleModule):  # type: ignore[misc]
    """An Ansible module that logs no values, because only it can tell secrets from the rest."""

    def _log_invocation(self) -> None:
        names = [document["name"] for document in self.params["environments"]]
        self.log(f"Invoked with directory={self.params['directory']} environments={names}")


class NotReady(Exception):
    """The host lacks what is needed to work on environments."""


class Environments:
    """All environments of the task."""

    def __init__(self, module: AnsibleModule) -> None:
        self.module = module
        self.directory: str = module.params["directory"]
        self.python: str = module.params["python"]
        documents = module.params["environments"]
        self.specs, self.problems = environment_input.read_specs(
            documents, module.params["defaults"]
        )
        self.archive: str | None = module.params["archive_directory"]
        if self.archive and _is_below(self.archive, self.directory):
            self.problems.append(f"archive_directory: it must not be below {self.directory}")
        self.ignore: list[str] = module.params["ignore"]
        names = [spec.name for spec in self.specs if spec.state != "absent"]
        self.problems += [
            f"ignore: {problem}" for problem in tracignore.problems(self.ignore, names)
        ]
        self.redactor = secrets.Redactor()
        for document in documents:
            self.redactor.learn("database", document["database"])
            self.redactor.learn("database", document["new_database"])
        for spec in self.specs:
            for (section, option), value in spec.options.items():
                self.redactor.learn(option, value, section)
        for spec in self.specs:
            if spec.adopt_from and (
                _is_below(spec.adopt_from, self.directory)
                or _is_below(self.directory, spec.adopt_from)
            ):
                self.problems.append(
                    f"environment {spec.name!r}: adopt_from is {spec.adopt_from}, which must be "
                    f"neither in {self.directory} nor around it"
                )
        self.reports: list[Report] = []
        self.remaining: list[str] = []
        self.leftovers: list[str] = []
        self.kept: list[str] = []  # leftovers that could not be removed, and why
        self.ignored: tracignore.Update | None = None
        self.ignore_failure: str | None = None
        self.made_archive = False
        self.broken: str | None = None

    def account(self) -> Account:
        """The account that owns the environments."""
        user, group = self.module.params["user"], self.module.params["group"]
        try:
            entry = pwd.getpwnam(user)
            gid = grp.getgrnam(group).gr_gid if group else entry.pw_gid
        except KeyError as e:
            raise NotReady(f"The account {user} or its group {group or ''} does not exist.") from e
        return Account(user, entry.pw_uid, gid)

    def reconcile(self) -> None:
        """Let the worker do, or predict, everything."""
        account = self.account()
        if not os.path.exists(self.python):
            raise NotReady(f"There is no Python with Trac at {self.python}.")
        if not self.module.check_mode and not os.path.isdir(self.directory):
            raise NotReady(f"There is no directory {self.directory}.")
        if self.archive and not os.path.lexists(self.archive):
            self.make_archive(self.archive, account)
        with contextlib.ExitStack() as stack:
            adoptions = self.adopt(account, stack)
            self.work(account, adoptions)
        done = {report.name: report for report in self.reports}
        self.reports = [
            adoption.joined(done.get(name), self.module.check_mode)
            for name, adoption in adoptions.items()
            if name in done
            or not adoption.is_there
            # The next call tells of what is left, but not of what has been done for it now.
            or (adoption.report.changed and not self.module.check_mode)
        ]
        for report in self.reports:
            for warning in report.warnings:
                self.module.warn(f"{report.name}: {self.redactor.redact(warning)}")

    def adopt(
        self, account: Account, stack: contextlib.ExitStack
    ) -> dict[str, adoption_run.Adoption]:
        """Do what takes root's rights; in check mode make copies, which the stack removes."""
        check = self.module.check_mode
        self.leftovers = adoption_copy.leftovers(self.directory, remove=not check)
        adopter = adoption_run.Adopter(
            self.directory, account, self.python, stack if check else None
        )
        limit = self.module.params["time_limit"]
        deadline = time.monotonic() + limit
        adoptions: dict[str, adoption_run.Adoption] = {}
        for spec in self.specs:
            # Copies that the worker has no time for would be made again by each call.
            if check and limit and time.monotonic() > deadline:
                self.remaining.append(spec.name)
            else:
                adoptions[spec.name] = adopter.adopt(spec)
        return adoptions

    def work(self, account: Account, adoptions: dict[str, adoption_run.Adoption]) -> None:
        """Have the worker do its part, and collect what it says."""
        there = {name: each for name, each in adoptions.items() if each.is_there}
        payload = {
            "directory": self.directory,
            "archive": self.archive,
            "check": self.module.check_mode,
            "environments": [spec.to_json() for spec in self.specs if spec.name in there],
            "copies": {name: each.copy for name, each in there.items() if each.copy is not None},
            "ignore": self.ignore,
            "logins": self.module.params["logins"],
            "time_limit": self.module.params["time_limit"],
        }
        working_on: list[str] = []
        for event in worker_process.run(self.python, account, environment_worker, payload):
            if event["event"] == "no_trac":
                raise NotReady(f"{self.python} cannot import Trac: {event['reason']}")
            if event["event"] == "failed":
                self.broken = event["reason"]
            if event["event"] == "leftovers":
                self.leftovers += event["names"]
                self.kept = event["failures"]
            if event["event"] == "tracignore":
                self.ignore_failure = event["failure"]
                if self.ignore_failure is None:
                    self.ignored = tracignore.Update(*event["update"])
            if event["event"] == "begin":
                working_on.append(event["name"])
            if event["event"] == "report":
                report = Report.from_json(event["report"])
                if report.name in working_on:
                    working_on.remove(report.name)
                self.reports.append(report)
            if event["event"] == "remaining":
                self.remaining += event["names"]
            if event["event"] == "broken":
                at = f" while it worked on {' and '.join(working_on)}" if working_on else ""
                self.broken = f"The work was broken off{at}: {event['reason']}"

    def make_archive(self, path: str, account: Account) -> None:
        """Make the archive directory, for nobody but the account."""
        parent = os.path.dirname(path)
        if not os.path.isdir(parent):
            if self.module.check_mode:
                return
            raise NotReady(f"There is no directory {parent} for the archive.")
        self.made_archive = True
        if not self.module.check_mode:
            os.mkdir(path, 0o700)
            os.chmod(path, 0o700)
            os.chown(path, account.uid, account.gid)

    def predict(self) -> None:
        """Predict what can be known before there is a Trac: which environments are missing."""
        self.leftovers = environment_spec.leftovers(self.directory)
        names = [spec.name for spec in self.specs if spec.state != "absent"]
        try:
            self.ignored = tracignore.update(self.directory, self.ignore, names, check=True)
        except tracignore.IgnoreFailure as e:
            self.ignore_failure = str(e)
        for spec in self.specs:
            report = Report(spec.name)
            path = os.path.join(self.directory, spec.name)
            try:
                if spec.state == "absent":
                    if environment_remove.is_there(path, self.archive):
                        report.change(*environment_remove.ARCHIVED)
                        report.change(*environment_remove.REMOVED)
                elif environment_spec.exists(path):
                    self.module.warn(f"What would change in {spec.name} cannot be predicted yet.")
                elif spec.adopt_from:
                    report.change(*adoption_run.copied(spec.adopt_from))
                else:
                    report.create(spec, repositories.for_new_environment(spec))
            except EnvironmentFailure as e:
                report.failure = str(e)
            self.reports.append(report)

    def diff(self) -> list[dict[str, str]]:
        """Options and permissions before and after, for each environment that changes."""
        result = []
        if self.made_archive and self.archive:
            result.append(self._diff(self.archive, "", "directory\n"))
        if self.leftovers:
            names = "".join(f"{name}\n" for name in self.leftovers)
            result.append(self._diff(self.directory, names, ""))
        for report in self.reports:
            if report.changed:
                before = "".join(f"{line}\n" for line in report.before)
                after = "".join(f"{line}\n" for line in report.after)
                header = os.path.join(self.directory, report.name)
                if report.name in self.remaining:  # whose other changes the next call shows
                    header += " (adopted)"
                result.append(self._diff(header, before, after))
        if self.ignored and self.ignored.changed:
            path = os.path.join(self.directory, tracignore.NAME)
            result.append(self._diff(path, self.ignored.before or "", self.ignored.after or ""))
        return result

    @staticmethod
    def _diff(header: str, before: str, after: str) -> dict[str, str]:
        return {
            "before_header": header,
            "after_header": header,
            "before": before,
            "after": after,
        }

    def result(self) -> dict[str, t.Any]:
        """What the module returns."""
        environments = []
        for report in self.reports:
            entry: dict[str, t.Any] = {
                "name": report.name,
                "created": report.created,
                "changed": report.changed,
                "changes": report.changes,
            }
            if report.failure is not None:
                entry["failure"] = report.failure
                entry["servable"] = report.servable
            if report.archive is not None:
                entry["archive"] = report.archive
            environments.append(entry)
        result: dict[str, t.Any] = {
            "changed": self.made_archive
            or bool(self.leftovers)
            or bool(self.ignored and self.ignored.changed)
            or any(report.changed for report in self.reports),
            "environments": environments,
            "removed_leftovers": self.leftovers,
            "remaining": self.remaining,
        }
        if self.ignored:
            result["ignored"] = self.ignored.patterns
        others = self.other_failures()
        if others:
            result["other_failures"] = others
        if self.broken:
            result["aborted"] = self.redactor.redact(self.broken)
        if self.module._diff:
            result["diff"] = self.diff()
        return result

    def failures(self) -> str | None:
        """Everything that went wrong, in words."""
        lines = [
            f"- {report.name}: {report.failure}"
            for report in self.reports
            if report.failure is not None
        ]
        if lines:
            lines.insert(0, f"{len(lines)} of {len(self.specs)} environments failed:")
        lines += self.other_failures()
        if self.broken:
            lines.append(self.broken)
        return self.redactor.redact("\n".join(lines)) or None

    def other_failures(self) -> list[str]:
        """What went wrong beside the environments."""
        lines = [*self.kept, *([self.ignore_failure] if self.ignore_failure else [])]
        return [self.redactor.redact(line) for line in lines]

    def hide_secrets(self) -> None:
        """Keep secrets out of everything that the module returns, its own arguments included."""
        self.module.no_log_values.update(self.redactor.secrets)
        _hide_options((self.module.params["defaults"] or {}).get("config"))
        for document in self.module.params["environments"]:
            _hide_options({"database": document})
            _hide_options(document["config"])


def main() -> None:
    """Run the module."""
    module = EnvironmentsModule(
        argument_spec={
            "environments": {
                "type": "list",
                "elements": "dict",
                "required": True,
                "options": {
                    "name": {"type": "str", "required": True},
                    "title": {"type": "str"},
                    "database": {"type": "str"},
                    "new_database": {"type": "str"},
                    "adopt_from": {"type": "str"},
                    "adopt_database": {
                        "type": "str",
                        "choices": [environment_spec.SHARED, environment_spec.OWN],
                    },
                    "adopt_encoding": {"type": "str"},
                    "repositories": {
                        "type": "list",
                        "elements": "dict",
                        "options": _repository_options(),
                    },
                    "state": {
                        "type": "str",
                        "choices": ["present", "absent"],
                        "default": "present",
                    },
                    **_shared_options(),
                },
            },
            "defaults": {"type": "dict", "options": _shared_options()},
            "directory": {"type": "path", "required": True},
            "python": {"type": "path", "required": True},
            "user": {"type": "str", "required": True},
            "group": {"type": "str"},
            "ignore": {"type": "list", "elements": "str", "default": []},
            "logins": {"type": "list", "elements": "str", "default": []},
            "archive_directory": {"type": "path"},
            "time_limit": {"type": "int", "default": 0},
        },
        supports_check_mode=True,
    )
    environments = Environments(module)
    environments.hide_secrets()
    if environments.problems:
        module.fail_json(msg=environments.redactor.redact("\n".join(environments.problems)))
    try:
        environments.reconcile()
    except NotReady as e:
        if not module.check_mode:
            module.fail_json(msg=str(e))
        environments.predict()
    except WorkerError as e:
        module.fail_json(msg=environments.redactor.redact(str(e)))
    failures = environments.failures()
    if failures:
        module.fail_json(msg=failures, **environments.result())
    else:
        module.exit_json(**environments.result())


if __name__ == "__main__":
    main()
