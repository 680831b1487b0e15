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

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.trac.mod_wsgi.plugins.module_utils._core.worker_process import WorkerError
from ansible_collections.trac.mod_wsgi.plugins.module_utils._environments import environment_options
from ansible_collections.trac.mod_wsgi.plugins.module_utils._environments.run import (
    Environments,
    NotReady,
)


class EnvironmentsModule(AnsibleModule):  # type: ignore[misc]
    """An Ansible module that logs no values, because only it can tell secrets from the rest."""

    def _log_invocation(self) -> None:
        names = [document["name"] for document in self.params["environments"]]
        self.log(f"Invoked with directory={self.params['directory']} environments={names}")


def main() -> None:
    """Run the module."""
    module = EnvironmentsModule(
        argument_spec={
            "environments": {
                "type": "list",
                "elements": "dict",
                "required": True,
                "options": environment_options.ENVIRONMENT,
            },
            "defaults": {"type": "dict", "options": environment_options.SHARED},
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
    outcome = environments.outcome
    if environments.problems:
        module.fail_json(msg=outcome.redactor.redact("\n".join(environments.problems)))
    try:
        environments.reconcile()
    except NotReady as e:
        if not module.check_mode:
            module.fail_json(msg=str(e))
        environments.predict()
    except WorkerError as e:
        module.fail_json(msg=outcome.redactor.redact(str(e)))
    failures = outcome.failures(len(environments.specs))
    result = outcome.result(module._diff)
    if failures:
        module.fail_json(msg=failures, **result)
    else:
        module.exit_json(**result)


if __name__ == "__main__":
    main()
