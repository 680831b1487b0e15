# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who may see what of a site: what the key `authentication` means to Apache and to the checks.

Apache decides by the script that serves a request, not by the request's path alone: sections for
paths would reach into other sites below the same mount.
"""

from __future__ import annotations

import base64
import re
import typing as t
import urllib.parse

from ansible_collections.trac.mod_wsgi.plugins.module_utils._core import arguments

Dict = t.Dict[str, t.Any]
Problems = t.List[str]
Site = t.Mapping[str, t.Any]

_DEFAULTS: Dict = {
    "scope": "login",
    "private_environments": [],
    "realm": "Trac",
    "providers": ["file"],
    "groups": [],
}
_AUTH_TYPES = {"basic": "Basic", "digest": "Digest", "openid_connect": "openid-connect"}

# No environment has a name with a dot in front, and Trac serves nothing there.
_REDIRECT = "/.openid-connect"
# What of it stands in the address of the provider's login page.
_REDIRECT_QUOTED = urllib.parse.quote(_REDIRECT, safe="")

# Somebody who is not there. 401 shows that Apache could look for it, 500 that it could not.
_NOBODY = "Basic " + base64.b64encode(b"nobody-of-this-name:wrong").decode("ascii")
# The answer to who asks for logins too often.
TOO_MANY = 429

_CONTROL = re.compile(r"[\x00-\x1f\x7f\x85\u2028\u2029]")
_FILE_GROUP = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*\Z")
_PATH = re.compile(r"/[A-Za-z0-9._/+@-]+\Z")
# Apache runs what comes after it as a command.
_COMMAND = "exec:"
_BCRYPT_BYTES = 72
_NAME_BYTES = 190  # Apache's own htpasswd reads lines of up to 254
# What Trac calls everybody, and everybody who has logged in.
_TRAC_SUBJECTS = ("anonymous", "authenticated")


# -- what Apache is told ---------------------------------------------------------------------


def completed(site: Site, settings: t.Mapping[str, t.Any]) -> Dict | None:
    """The key with its defaults and all that follows from it; None where nobody is asked."""
    given = site.get("authentication")
    if not given:
        return None
    full: Dict = {**_DEFAULTS, **{key: value for key, value in given.items() if value is not None}}
    kind, private = full["type"], full["private_environments"]
    base = _path_pattern(site["mount"])
    environment = "" if site["environment"] else "/+[^/]+"
    paths = [f"{base}{environment}/+login"]
    if private:
        paths.append(f"{base}/+({'|'.join(private)})")
    if kind == "openid_connect":
        paths.append(f"{base}/+{_REDIRECT[1:].replace('.', '[.]')}")
    logout = ""
    if full["scope"] == "site":
        logout = _requests([f"{base}{environment}/+logout"])
    elif private:
        logout = _requests([f"{base}/+({'|'.join(private)})/+logout"])
    full.update(
        auth_type=_AUTH_TYPES[kind],
        whole=full["scope"] == "site",
        closed=_requests(paths),
        # With OpenID Connect the module's own session ends wherever Trac's does.
        logout=_requests([f"{base}{environment}/+logout"]) if kind == "openid_connect" else logout,
        requires=_requires(full, settings.get("groups_claim") or "groups"),
        redirect=site["mount"].rstrip("/") + _REDIRECT,
        files=kind != "openid_connect" and "file" in full["providers"],
        # Only where a name cannot be that of somebody else, and no other site shares the process.
        memberships=settings.get("memberships") or {}
        if kind != "openid_connect" and full["providers"][0] == "file" and site["mode"] == "daemon"
        else {},
        ldap=kind == "basic" and "ldap" in full["providers"],
    )
    return full


def _path_pattern(mount: str) -> str:
    """A mount as the beginning of a pattern, however many slashes stand between its parts."""
    parts = [part.replace(".", "[.]") for part in mount.split("/") if part]
    return "".join(f"/+{part}" for part in parts)


def _requests(paths: t.Sequence[str]) -> str:
    """A pattern for these paths and all below them."""
    return f"^({'|'.join(paths)})(/|$)"


def _requires(authentication: t.Mapping[str, t.Any], groups_claim: str) -> list[str]:
    """What stands behind Apache's directive Require: any of these lets somebody in."""
    if not authentication["groups"]:
        return ["valid-user"]
    if authentication["type"] == "openid_connect":
        return [f'claim "{groups_claim}:{group}"' for group in authentication["groups"]]
    return [
        # Taken as it is up to the end of the line, save for backslashes.
        f"ldap-group {group}".replace("\\", "\\\\") if _is_dn(group) else f"group {group}"
        for group in authentication["groups"]
    ]


def _is_dn(group: str) -> bool:
    """Whether a group is the distinguished name of one in LDAP."""
    return "=" in group


def redirect_of_host(sites: t.Sequence[Site]) -> str:
    """Where the provider sends visitors of a virtual host back to; one for all of its sites."""
    found = [
        site["authentication"]["redirect"]
        for site in sites
        if (site["authentication"] or {}).get("type") == "openid_connect"
    ]
    return min(found, key=lambda path: (len(path), path), default="")


def needs(sites: t.Sequence[Site]) -> Dict:
    """Which of Apache's modules, of Debian's packages and of the files the sites need."""
    used = [site["authentication"] for site in sites if site["authentication"]]
    kinds = {each["type"] for each in used}
    files = [each for each in used if each["files"]]
    modules = ["authz_user"] if used else []
    modules += ["auth_basic"] if "basic" in kinds else []
    modules += ["auth_digest"] if "digest" in kinds else []
    modules += ["authn_file"] if files else []
    groups = any(not _is_dn(group) for each in files for group in each["groups"])
    modules += ["authz_groupfile"] if groups else []
    ldap = any(each["ldap"] for each in used)
    modules += ["ldap", "authnz_ldap"] if ldap else []
    openid_connect = "openid_connect" in kinds
    modules += ["auth_openidc"] if openid_connect else []
    return {
        "modules": modules,
        "packages": ["libapache2-mod-auth-openidc"] if openid_connect else [],
        "basic": any(each["type"] == "basic" for each in files),
        "realms": sorted({each["realm"] for each in files if each["type"] == "digest"}),
        "groups": groups,
        "ldap": ldap,
        "openid_connect": openid_connect,
    }


def members(users: t.Sequence[t.Mapping[str, t.Any]]) -> dict[str, list[str]]:
    """The names of each group's users, by the groups' names."""
    found: dict[str, list[str]] = {}
    for user in present(users):
        for group in user.get("groups") or []:
            found.setdefault(group, []).append(user["name"])
    return {group: sorted(found[group]) for group in sorted(found)}


def present(users: t.Sequence[t.Mapping[str, t.Any]]) -> list[t.Mapping[str, t.Any]]:
    """The users that there are to be."""
    return [user for user in users if (user.get("state") or "present") == "present"]


def group_file(users: t.Sequence[t.Mapping[str, t.Any]]) -> str:
    """The file that tells Apache who is in which group."""
    return "".join(
        f"{group}: {' '.join(_word(name) for name in names)}\n"
        for group, names in members(users).items()
    )


def memberships(users: t.Sequence[t.Mapping[str, t.Any]]) -> dict[str, list[str]]:
    """The groups of each user who is in one."""
    return {
        str(user["name"]): list(user["groups"]) for user in present(users) if user.get("groups")
    }


def _word(name: str) -> str:
    """A name as one word, as Apache reads files of groups."""
    return '"' + name.replace("\\", "\\\\").replace('"', '\\"') + '"'


# -- what a visitor without a login sees -------------------------------------------------------


def is_private(site: Site, environment: str | None) -> bool:
    """Whether an environment, or the site's index (None), is closed to them."""
    authentication = site.get("authentication") or {}
    private = authentication.get("private_environments") or []
    return authentication.get("scope") == "site" or environment in private


def asks(answer_status: int, location: str) -> bool:
    """Whether an answer is Apache's question for a login, or leads to a provider's."""
    return answer_status == 401 or _REDIRECT_QUOTED in location


def checked(check: Dict, site: Site, environment: str | None) -> Dict:
    """A check, with what the answer has to be if the site asks for a login."""
    if not site["authentication"]:
        return check
    # Nobody else is to ask for one where this site does not.
    check = {**check, "accept": []}
    if is_private(site, environment):
        check.update(_login_wanted(site["authentication"]))
        check.pop("title", None)
    return check


def _login_wanted(authentication: t.Mapping[str, t.Any]) -> Dict:
    if authentication["type"] == "openid_connect":
        # Programs that do not ask for pages get 401.
        accept = {"Accept": "text/html"}
        return {"status": [302], "location": _REDIRECT_QUOTED, "headers": accept}
    return {"status": [401]}


def login_checks(site: Site, common: t.Mapping[str, t.Any], under: str) -> list[Dict]:
    """That there is a login, and that what knows the passwords can be asked.

    Given what all checks of the site have in common, and the address of one of its environments.
    """
    authentication = site["authentication"]
    if not authentication:
        return []
    check = {
        "name": f"site {site['name']}, login",
        "url": f"{under}/login",
        **common,
        # The checks of many sites may be more than the limit of logins lets through.
        "accept": [TOO_MANY],
        **_login_wanted(authentication),
    }
    if authentication["type"] != "basic":
        return [check]
    wrong = {**check, "name": f"site {site['name']}, login of nobody"}
    return [check, {**wrong, "headers": {"Authorization": _NOBODY}}]


def first_answered(checks: t.Sequence[Dict]) -> None:
    """Have the first of the checks that the limit of logins may refuse be answered.

    Otherwise a limit that refuses everybody would pass.
    """
    for check in checks:
        accepted = check.get("accept") or []
        if TOO_MANY in accepted:
            check["accept"] = [status for status in accepted if status != TOO_MANY]
            return


# -- what cannot work ------------------------------------------------------------------------


def site_problems(where: str, site: Site, environments: t.Collection[str]) -> Problems:
    """Problems of the key `authentication` of a site, given the names of the environments."""
    given = site.get("authentication")
    if not given:
        return []
    where = f"{where}.authentication"
    kind = given["type"]
    problems: Problems = []
    if kind != "basic" and given.get("providers"):
        problems.append(f"{where}.providers is for type 'basic' only; leave it out.")
    if given.get("providers") == []:
        problems.append(f"{where}.providers is empty; allowed are file and ldap, in their order.")
    if kind == "openid_connect" and given.get("realm"):
        problems.append(f"{where}.realm is for the types 'basic' and 'digest' only; leave it out.")
    realm = str(given.get("realm") or "")
    # Newer Apaches take it for an expression.
    if _CONTROL.search(realm) or re.search(r'["\\:]|[$%]\{|\$\d', realm):
        problems.append(
            f"{where}.realm is {realm!r}; allowed is text of one line without the characters "
            "'\"', '\\' and ':', and without '${', '%{' and '$' before a digit."
        )
    problems += _private_problems(where, site, environments)
    for index, group in enumerate(given.get("groups") or []):
        problems += _group_problems(f"{where}.groups[{index}]", str(group), given)
    return problems


def _private_problems(where: str, site: Site, environments: t.Collection[str]) -> Problems:
    given = site["authentication"]
    private = given.get("private_environments") or []
    if not private:
        return []
    where = f"{where}.private_environments"
    if site.get("environment") or given.get("scope") == "site":
        return [
            (
                f"{where} is for sites that serve a directory of environments, with scope 'login'. "
                "Of a single environment, and with scope 'site', everything is private."
            )
        ]
    if site.get("script") == "deployed":
        return [
            (
                f"{where}: the script that 'trac-admin deploy' writes would show their titles in "
                "the index. Leave out 'script: deployed', or use scope 'site'."
            )
        ]
    return [
        f"{where} holds {name!r}; allowed are names of trac_environments: "
        f"{', '.join(sorted(environments))}."
        for name in private
        if name not in environments
    ]


def _group_problems(where: str, group: str, given: t.Mapping[str, t.Any]) -> Problems:
    if _CONTROL.search(group) or re.search(r'"|[$%]\{|\$\d|^\s|\s\Z|\\\Z|^\Z', group):
        return [
            (
                f"{where} is {group!r}; allowed is text of one line without '\"', '${{', '%{{' and "
                "'$' before a digit, and without white space or a backslash at its ends."
            )
        ]
    if given["type"] == "openid_connect":
        if "\\" in group:
            return [f"{where} is {group!r}; backslashes are not allowed."]
        return []
    ldap = given["type"] == "basic" and "ldap" in (given.get("providers") or [])
    if _is_dn(group):
        if ldap:
            return []
        return [f"{where} is {group!r}, a group of LDAP; providers has no 'ldap'."]
    if not _FILE_GROUP.match(group):
        return [
            (
                f"{where} is {group!r}; allowed are names of groups of trac_users (letters, "
                "digits, '_', '.', '-') and distinguished names of groups in LDAP."
            )
        ]
    if given["type"] == "basic" and "file" not in (given.get("providers") or ["file"]):
        return [f"{where} is {group!r}, a group of trac_users; providers has no 'file'."]
    return []


def users_problems(users: object) -> Problems:
    """Problems of `trac_users`. Nothing of it is repeated but names: it may be a password."""
    if not isinstance(users, t.Sequence) or isinstance(users, (str, bytes)):
        return ["trac_users has to be a list of dictionaries."]
    problems: Problems = []
    names: set[str] = set()
    groups: set[str] = set()
    for index, user in enumerate(users):
        where = f"trac_users[{index}]"
        if not isinstance(user, t.Mapping) or not set(user) <= set(_USER_KEYS):
            problems.append(
                f"{where} has to be a dictionary; its keys are {', '.join(_USER_KEYS)}."
            )
            continue
        name = user.get("name")
        if not _is_text(name):
            problems.append(f"{where}.name has to be text; put quotes around numbers.")
            continue
        found = _user_problems(where, str(name), user)
        if str(name) in names:
            found.append(f"{where}.name is {str(name)!r}, which stands in trac_users already.")
        names.add(str(name))
        groups.update(_texts(user.get("groups")))
        problems += found
    problems += [
        f"trac_users: {name!r} is the name of a user and of a group, which Trac cannot tell apart."
        for name in sorted(names & groups)
    ]
    return problems


_USER_KEYS = ("name", "password", "groups", "state")


def _list(value: object) -> t.Sequence[t.Any]:
    return value if isinstance(value, t.Sequence) and not isinstance(value, str) else []


def _texts(value: object) -> list[str]:
    return [str(each) for each in _list(value) if arguments.is_text(each)]


def _is_text(value: object) -> bool:
    """Whether a value is text, or of Ansible's own types that stand for text, as from a vault."""
    return value is not None and not isinstance(value, (bool, int, float, t.Mapping, list, tuple))


def _user_problems(where: str, name: str, user: t.Mapping[str, t.Any]) -> Problems:
    problems: Problems = []
    if (
        not name
        or len(name.encode("utf-8", "surrogatepass")) > _NAME_BYTES
        or name != name.strip()
        or name.startswith("#")
        or ":" in name
        or _CONTROL.search(name)
    ):
        problems.append(
            f"{where}.name is {name!r}; allowed is text of one line, up to {_NAME_BYTES} bytes, "
            "without ':', and without '#' in front or white space at its ends."
        )
    if name in _TRAC_SUBJECTS:
        problems.append(f"{where}.name is {name!r}, which Trac uses for all visitors.")
    state = user.get("state") or "present"
    if state not in ("present", "absent"):
        shown = arguments.shown(state)
        problems.append(f"{where}.state is {shown}; allowed are present, absent.")
    if not isinstance(user.get("groups") or [], (list, tuple)):
        problems.append(f"{where}.groups has to be a list of names.")
    problems += [
        f"{where}.groups holds {arguments.shown(group)}; allowed are letters, digits, '_', '.' "
        "and '-'."
        for group in _list(user.get("groups"))
        if not isinstance(group, str) or not _FILE_GROUP.match(group) or group in _TRAC_SUBJECTS
    ]
    if state == "present":
        problems += _password_problems(f"{where}.password (of {name!r})", user.get("password"))
    return problems


def _password_problems(where: str, password: object) -> Problems:
    if not _is_text(password):
        return [f"{where} has to be text; put quotes around numbers."]
    text = str(password)
    try:
        size = len(text.encode("utf-8"))
    except UnicodeEncodeError:
        return [f"{where} holds what is no character."]
    if not 0 < size <= _BCRYPT_BYTES:
        return [
            (
                f"{where} has {size} bytes in UTF-8; allowed are 1 to {_BCRYPT_BYTES}, all that "
                "bcrypt looks at."
            )
        ]
    if _CONTROL.search(text):
        return [
            (
                f"{where} holds a line break, NUL or another control character, which browsers do "
                "not send."
            )
        ]
    return []


def provider_problems(
    sites: object, users: object, ldap: object, openid_connect: object
) -> Problems:
    """Problems of what the sites ask for logins: `trac_users`, `trac_ldap`, `..openid_connect`."""
    problems = users_problems(users)
    wanted: dict[str, str] = {}
    groups: list[tuple[str, str]] = []
    for index, site in enumerate(_list(sites)):
        given = site.get("authentication") if isinstance(site, t.Mapping) else None
        if not isinstance(given, t.Mapping):
            continue
        where = f"trac_sites[{index}].authentication"
        providers = _texts(given.get("providers") or ["file"])
        if given.get("type") == "openid_connect":
            wanted.setdefault("openid_connect", where)
            continue
        for provider in providers if given.get("type") == "basic" else ["file"]:
            wanted.setdefault(provider, where)
        groups += [
            (f"{where}.groups", each) for each in _texts(given.get("groups")) if not _is_dn(each)
        ]
    if not problems:
        known = present(t.cast("t.Sequence[t.Mapping[str, t.Any]]", users))
        if "file" in wanted and not known:
            problems.append(
                f"{wanted['file']} asks for users and passwords, and trac_users has none: nobody "
                "could log in."
            )
        there = members(known)
        problems += [
            f"{where} holds {group!r}; no user of trac_users is in it."
            for where, group in groups
            if group not in there
        ]
    if "ldap" in wanted:
        problems += _ldap_problems(wanted["ldap"], ldap)
    if "openid_connect" in wanted:
        problems += _openid_connect_problems(wanted["openid_connect"], openid_connect)
    return problems


def _directive_problems(where: str, value: object) -> Problems:
    """What cannot be an argument in Apache's configuration. The value is not repeated."""
    if not _is_text(value) or not str(value):
        return [f"{where} has to be text; put quotes around numbers."]
    if _CONTROL.search(str(value)) or "${" in str(value):
        return [f"{where} holds a control character or '${{', which Apache cannot take."]
    if str(value).startswith(_COMMAND):
        return [f"{where} begins with '{_COMMAND}', which has Apache run a command."]
    return []


def _ldap_problems(wanted: str, ldap: object) -> Problems:
    if not isinstance(ldap, t.Mapping) or not ldap.get("url"):
        return [f"{wanted} asks LDAP, and trac_ldap has no url."]
    problems: Problems = []
    for key in ("url", "bind_dn", "bind_password"):
        if ldap.get(key) is not None:
            problems += _directive_problems(f"trac_ldap.{key}", ldap[key])
    url = str(ldap["url"])
    if not re.match(r"ldap[si]?://", url):
        problems.append(
            f"trac_ldap.url is {url!r}; allowed are URLs such as "
            "'ldap://ldap.example.org/ou=people,dc=example,dc=org?uid?sub?(objectClass=person)'."
        )
    if arguments.converted(ldap.get("start_tls"), {"type": "bool"}) and not url.startswith(
        "ldap://"
    ):
        problems.append("trac_ldap.start_tls is for URLs with ldap:// only; leave it out.")
    if (ldap.get("bind_dn") is None) != (ldap.get("bind_password") is None):
        problems.append("trac_ldap: bind_dn and bind_password go together; one of them is missing.")
    ca_file = ldap.get("ca_file")
    if ca_file is not None and not (isinstance(ca_file, str) and _PATH.match(ca_file)):
        problems.append(
            f"trac_ldap.ca_file is {ca_file!r}; allowed are absolute paths of letters, digits and "
            ". _ - + @"
        )
    for name in _list(ldap.get("group_attributes")):
        if not re.match(r"[A-Za-z][A-Za-z0-9;-]*\Z", str(name)):
            problems.append(f"trac_ldap.group_attributes holds {name!r}; allowed are attributes.")
    return problems


def _openid_connect_problems(wanted: str, openid_connect: object) -> Problems:
    given = openid_connect if isinstance(openid_connect, t.Mapping) else {}
    required = ("provider_metadata_url", "client_id", "client_secret")
    missing = [key for key in required if not given.get(key)]
    if missing:
        return [
            (
                f"{wanted} is of type 'openid_connect', and trac_openid_connect has no "
                f"{', '.join(missing)}."
            )
        ]
    problems: Problems = []
    texts = ("crypto_passphrase", "remote_user_claim", "groups_claim", "scope")
    for key in (*required, *texts):
        if given.get(key) is not None:
            problems += _directive_problems(f"trac_openid_connect.{key}", given[key])
    try:
        url = urllib.parse.urlsplit(str(given["provider_metadata_url"]))
        host = url.hostname
    except ValueError:
        url, host = urllib.parse.SplitResult("", "", "", "", ""), None
    if not host or not (
        url.scheme == "https"
        or (url.scheme == "http" and host in ("localhost", "127.0.0.1", "::1"))
    ):
        problems.append(
            f"trac_openid_connect.provider_metadata_url is {str(given['provider_metadata_url'])!r};"
            " allowed are URLs with https://, and with http:// on this host."
        )
    claims = ("remote_user_claim", "groups_claim")
    problems += [
        f"trac_openid_connect.{key} is {given[key]!r}; allowed are names of claims."
        for key in claims
        if given.get(key) is not None and not re.match(r"[A-Za-z0-9_.:/-]+\Z", str(given[key]))
    ]
    return problems
