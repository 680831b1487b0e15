# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which environments visitors are kept from, so that one that is broken stops no other.

Role trac_site writes them down by name, with the reason, for its scripts and the doctor.
"""

from __future__ import annotations

import json
import typing as t

from ansible_collections.trac.mod_wsgi.plugins.module_utils._core import paths

FILE = f"{paths.SITES_DIR}/.out-of-service"
TITLE = "Being looked after"  # of the page that visitors get, roles/trac_site/files

Dict = t.Dict[str, t.Any]
Reasons = t.Dict[str, str]

_ERROR = 500


def read(text: str) -> Reasons:
    """What the role has written down."""
    try:
        document = json.loads(text or "{}")
    except ValueError:
        return {}
    if not isinstance(document, dict):
        return {}
    return {str(name): str(reason) for name, reason in document.items()}


def refused(
    text: str,
    environments: t.Iterable[t.Mapping[str, t.Any]],
    entries: t.Iterable[t.Mapping[str, t.Any]],
    answering: t.Container[str],
) -> Reasons:
    """What is out of service, once role trac_environments has done what it could.

    What has failed only because something else is wanted of it is served as before.

    :param text: what was out of service before the run, as it stands in the file
    :param environments: those of the inventory
    :param entries: what module trac_environments returns of them; none if it has not run
    :param answering: those of what has failed that answer visitors at this moment
    """
    done = {entry["name"]: entry for entry in entries}
    found = {name: why for name, why in read(text).items() if name not in done}
    for name, entry in done.items():
        is_served = entry.get("servable") is not False and name in answering
        if "failure" in entry and not is_served:
            found[name] = entry["failure"]
    present = {
        each["name"] for each in environments if (each.get("state") or "present") != "absent"
    }
    return {name: found[name] for name in sorted(found) if name in present}


class Blame(t.NamedTuple):
    """Who is to blame for checks that have not passed."""

    out: Reasons  # environments that cannot be served
    served: Reasons  # environments that can be, but are not what the inventory says
    sites: bool  # Apache, a virtual host or a script


def blame(
    results: t.Iterable[t.Mapping[str, t.Any]],
    checks: t.Iterable[t.Mapping[str, t.Any]],
    environments: t.Mapping[str, str],
    asked: str,
    out: t.Container[str] = (),
) -> Blame:
    """Tell broken environments from a configuration that does not work.

    An environment that is an error also without Apache is broken. What it answers without Apache
    just as through it is its own matter. With anything else Apache's configuration has to do.

    :param results: what module http_check returns
    :param environments: whose pages the checks ask for, by their names
    :param asked: what the environments themselves have answered, as files/ask_environments.py says
    :param out: what is out of service already, so that its page is to blame
    """
    answers = _answers(asked)
    given = {check["name"]: check for check in checks}
    found = Blame({}, {}, False)
    for result in results:
        if result["ok"]:
            continue
        name = environments.get(result["name"])
        if name is None or name in out:
            found = found._replace(sites=True)
            continue
        status, title = answers.get(name, (_ERROR, ""))
        why = f"{result['url']} {result['reason']}"
        if status >= _ERROR:
            found.out.setdefault(name, why)
        elif 200 in given[result["name"]]["status"] and (status, title) == (
            result["status"],
            result["title"] or "",
        ):
            found.served.setdefault(name, why)
        else:
            found = found._replace(sites=True)
    return found


def _answers(asked: str) -> dict[str, tuple[int, str]]:
    """Status and title by name. Plugins run where this comes from, so it may be anything."""
    try:
        document = json.loads(asked)
    except ValueError:
        return {}
    answers = {}
    for name, answer in document.items() if isinstance(document, dict) else ():
        status, title = answer if isinstance(answer, list) and len(answer) == 2 else (None, None)
        if isinstance(status, int) and isinstance(title, str):
            answers[name] = (status, title)
    return answers


def complaint(
    entries: t.Sequence[t.Mapping[str, t.Any]],
    out: Reasons,
    served: Reasons,
    others: t.Iterable[str],
    total: int,
    check_mode: bool,
) -> str:
    """What a run fails with at its end, when all else is done; empty if all is well.

    :param entries: what module trac_environments returns
    :param out: what is out of service, and why
    :param served: what is served, but not what the inventory says, and why
    :param others: what else was wrong, such as hooks
    :param total: how many environments the inventory wants
    """
    failed = {entry["name"]: entry["failure"] for entry in entries if "failure" in entry}
    reasons = {**served, **out, **failed}
    lines = []
    if reasons:
        lines.append(
            f"{len(reasons)} of {total} environments failed; "
            + ("the others could be served:" if check_mode else "all others are served:")
        )
        for name in sorted(reasons):
            state = "out of service" if name in out else "served as it is"
            lines.append(f"- {name} ({state}): {reasons[name]}")
        if out:
            lines.append(
                "Visitors of what is out of service get a page that says it is being looked after. "
                "Set right what is named here, and run site.yml again: what is well then is served."
            )
    return "\n".join([*lines, *others])
