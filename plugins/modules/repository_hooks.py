#!/usr/bin/python
# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: repository_hooks
short_description: Have git and Subversion repositories tell Trac of new revisions
version_added: "0.2.0"
author: "The trac.mod_wsgi maintainers (@trac-mod-wsgi)"
description:
  - Puts a C(post-receive) hook into git repositories, and the hooks C(post-commit) and
    C(post-revprop-change) into Subversion repositories, that run a command.
  - A hook that somebody else has put there is never changed. There is a warning with the line to
    add, until the hook has that line.
  - Everything is read and written as the account that owns the repository.
  - A directory that is no repository is left alone.
extends_documentation_fragment:
  - trac.mod_wsgi._attributes
attributes:
  check_mode:
    support: full
    details:
      - Hooks are predicted for repositories that do not exist yet, too.
  diff_mode:
    support: full
  idempotent:
    support: full
options:
  repositories:
    description: The repositories.
    type: list
    elements: dict
    required: true
    suboptions:
      dir:
        description:
          - The directory of the repository. A working tree of git or a part of a Subversion
            repository stands for the repository that it belongs to.
        type: path
        required: true
      type:
        description: The kind of repository.
        type: str
        required: true
        choices:
          - git
          - svn
  command:
    description:
      - Absolute path of the program that the hooks run.
      - Its arguments are C(git) in C(post-receive), C(svn-added) and the hook's own arguments in
        C(post-commit), C(svn-modified) and the hook's own arguments in C(post-revprop-change).
    type: path
    required: true
"""

EXAMPLES = r"""
- name: Have Trac told of new revisions
  trac.mod_wsgi.repository_hooks:
    command: /usr/local/lib/trac-mod-wsgi/tell-trac
    repositories:
      - dir: /srv/trac/repositories/project/default.git
        type: git
"""

RETURN = r"""
hooks:
  description: Paths of the hooks that were written, or would be.
  returned: always
  type: list
  elements: str
  sample:
    - /srv/trac/repositories/project/default.git/hooks/post-receive
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.trac.mod_wsgi.plugins.module_utils._environments import repository_hooks
from ansible_collections.trac.mod_wsgi.plugins.module_utils._trac import repository_spec


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "repositories": {
                "type": "list",
                "elements": "dict",
                "required": True,
                "options": {
                    "dir": {"type": "path", "required": True},
                    "type": {"type": "str", "required": True, "choices": ["git", "svn"]},
                },
            },
            "command": {"type": "path", "required": True},
        },
        supports_check_mode=True,
    )
    hooks: list[str] = []
    diff: list[dict[str, str]] = []
    failures: list[str] = []
    for repository in module.params["repositories"]:
        try:
            outcome = repository_hooks.install_as_owner(
                repository["type"],
                repository["dir"],
                module.params["command"],
                module.check_mode,
            )
        except (OSError, repository_spec.RepositoryFailure, repository_hooks.HookFailure) as e:
            failures.append(str(e))
            continue
        hooks += outcome.changed
        for warning in outcome.warnings:
            module.warn(warning)
        for path in outcome.changed:
            texts = {"before": outcome.before[path], "after": outcome.after[path]}
            diff.append({"before_header": path, "after_header": path, **texts})
    result = {"changed": bool(hooks), "hooks": hooks}
    if module._diff:
        result["diff"] = diff
    if failures:
        module.fail_json(msg="\n".join(failures), **result)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
