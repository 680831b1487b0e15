# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which directories and accounts the variables of all roles may name.

Nothing here looks at a host: what a path leads to there is asked by `_site.host_directories`.

Root runs what is in some directories and writes to others; the service account owns still others.
Whatever root uses must not lie where an account could put something else in its place.
"""

from __future__ import annotations

import re
import typing as t

from ansible_collections.trac.mod_wsgi.plugins.module_utils._core import arguments

Problems = t.List[str]

# What a directory is used for.
ROOT = "root"  # root runs what is in it, or writes there
SERVED = "served"  # Apache hands out what is in it, or root reads it
CODE = "code"  # Trac runs what is in it
ENVIRONMENTS = "environments"  # this one and those below belong to the service account
ARCHIVE = "archive"
REPOSITORIES = "repositories"
CACHE = "cache"  # belongs to the account that runs a site
_ACCOUNTS = (ENVIRONMENTS, ARCHIVE, REPOSITORIES, CACHE)

# Each variable with its use and an example of what it may be.
VARIABLES = {
    "trac_runtime_venv": (ROOT, "/opt/trac"),
    "trac_runtime_home": (ROOT, "/srv/trac"),
    "trac_environments_dir": (ENVIRONMENTS, "/srv/trac/environments"),
    "trac_environments_archive_dir": (ARCHIVE, "/srv/trac/archive"),
    "trac_environments_repositories_dir": (REPOSITORIES, "/srv/trac/repositories"),
    "trac_environments_venv": (ROOT, "/opt/trac"),
    "trac_environments_plugins_dir": (CODE, "/srv/trac/plugins"),
    "trac_site_dir": (ROOT, "/srv/trac/sites"),
    "trac_site_document_root": (SERVED, "/var/www/html"),
    "trac_site_environments_dir": (ENVIRONMENTS, "/srv/trac/environments"),
    "trac_site_home": (ROOT, "/srv/trac"),
    "trac_site_venv": (ROOT, "/opt/trac"),
    "trac_backup_dir": (ROOT, "/var/backups/trac"),
    "trac_backup_environments_dir": (ENVIRONMENTS, "/srv/trac/environments"),
    "trac_backup_staging_dir": (ARCHIVE, "/srv/trac/archive"),
    "trac_backup_venv": (ROOT, "/opt/trac"),
    "trac_restore_archive_dir": (ARCHIVE, "/srv/trac/archive"),
    "trac_restore_backup_dir": (ROOT, "/var/backups/trac"),
    "trac_restore_environments_dir": (ENVIRONMENTS, "/srv/trac/environments"),
    "trac_restore_venv": (ROOT, "/opt/trac"),
    "trac_upgrade_archive_dir": (ARCHIVE, "/srv/trac/archive"),
    "trac_upgrade_environments_dir": (ENVIRONMENTS, "/srv/trac/environments"),
    "trac_upgrade_home": (ROOT, "/srv/trac"),
    "trac_upgrade_venv": (ROOT, "/opt/trac"),
    "trac_verify_backup_dir": (ROOT, "/var/backups/trac"),
    "trac_verify_environments_dir": (ENVIRONMENTS, "/srv/trac/environments"),
    "trac_verify_venv": (ROOT, "/opt/trac"),
}
# "" says that there is none.
_OPTIONAL = ("trac_environments_plugins_dir", "trac_verify_backup_dir")
# Those that may be a directory of the root directory.
_SHALLOW = ("trac_restore_backup_dir", "trac_site_dir", "trac_verify_backup_dir")

CACHE_DIR = "/var/cache/trac"  # the egg caches of sites that name none
# What the roles put in places that no variable names; only root writes there.
FIXED = (
    "/srv/trac/hello-world",
    CACHE_DIR,
    "/usr/local/lib/trac-mod-wsgi",
    "/var/lib/trac-mod-wsgi",
)

_SYSTEM = frozenset(
    (
        *("/bin", "/boot", "/dev", "/efi", "/etc", "/home", "/lib", "/lib32", "/lib64", "/libx32"),
        *("/lost+found", "/media", "/mnt", "/opt", "/proc", "/root", "/run", "/sbin", "/snap"),
        *("/srv", "/sys", "/tmp", "/usr", "/var"),  # noqa: S108
        *(f"/usr/{name}" for name in ("bin", "games", "include", "lib", "lib32", "lib64")),
        *(f"/usr/{name}" for name in ("libexec", "libx32", "local", "sbin", "share", "src")),
        *(f"/usr/local/{name}" for name in ("bin", "etc", "games", "include", "lib", "man")),
        *(f"/usr/local/{name}" for name in ("sbin", "share", "src")),
        *(f"/var/{name}" for name in ("backups", "cache", "crash", "lib", "local", "lock", "log")),
        *(f"/var/{name}" for name in ("mail", "opt", "run", "spool", "tmp", "www", "www/html")),
        "/",
    )
)
# Nothing below these is anybody's own.
_SYSTEM_TREES = (
    *("/bin", "/boot", "/dev", "/efi", "/etc", "/lib", "/lib32", "/lib64", "/libx32", "/proc"),
    *("/run", "/sbin", "/sys", "/usr/bin", "/usr/include", "/usr/lib", "/usr/lib32", "/usr/lib64"),
    *("/usr/libexec", "/usr/local/bin", "/usr/local/sbin", "/usr/sbin", "/var/cache/apt"),
    *("/var/lib/apache2", "/var/lib/apt", "/var/lib/dpkg", "/var/lib/mysql", "/var/lib/postgresql"),
    *("/var/lib/systemd", "/var/lock", "/var/mail", "/var/run", "/var/spool"),
)
# Of these, what Apache hands out or Python reads may lie below the others.
_PRIVATE_TREES = ("/boot", "/dev", "/etc", "/proc", "/root", "/run", "/sys", "/var/run")
_WORLD_WRITABLE = ("/tmp", "/var/tmp", "/dev/shm", "/run/lock", "/var/lock")  # noqa: S108

_PATH = re.compile(r"/[A-Za-z0-9._/+@-]*\Z")

# Accounts and groups that Debian's packages have rights for. Those of daemons, too: who is in their
# group, or works under their name, reads or writes what is theirs.
_PRIVILEGED = frozenset(
    (
        # Always there.
        *("root", "daemon", "bin", "sys", "sync", "games", "man", "lp", "mail", "news", "uucp"),
        *("proxy", "backup", "list", "irc", "gnats", "nobody", "nogroup", "adm", "tty", "disk"),
        *("kmem", "dialout", "fax", "voice", "cdrom", "floppy", "tape", "sudo", "audio", "dip"),
        *("operator", "src", "shadow", "utmp", "video", "sasl", "plugdev", "staff", "www-data"),
        *("wheel", "admin", "_apt"),
        # Of services and programs.
        *("crontab", "docker", "input", "kvm", "libvirt", "lxd", "messagebus", "mysql", "mariadb"),
        *("netdev", "openldap", "polkitd", "postdrop", "postfix", "postgres", "redis", "render"),
        *("sgx", "ssh", "sshd", "_ssh", "ssl-cert", "syslog", "tss", "uuidd", "wireshark"),
    )
)
_ACCOUNT = re.compile(r"[a-z_][a-z0-9_-]{0,31}\Z")


class Directory(t.NamedTuple):
    """One directory of the inventory."""

    name: str  # the variable, or a part of one
    path: str  # as it is spelled there
    use: str
    example: str = ""
    account: str = ""  # whose it is, for caches

    @property
    def normal(self) -> str:
        return normal(self.path)


def normal(path: str) -> str:
    """The plain spelling of an absolute path without '..': no '//', '/.' or slash at the end."""
    return "/" + "/".join(part for part in path.split("/") if part not in ("", "."))


def is_within(path: str, directory: str) -> bool:
    """Whether a path is a directory or lies in it, however both are spelled."""
    inner, outer = normal(path), normal(directory)
    return inner == outer or outer == "/" or inner.startswith(f"{outer}/")


def _is_below(path: str, directory: str) -> bool:
    return is_within(path, directory) and normal(path) != normal(directory)


# -- from variables to directories ------------------------------------------------------------


def _of_sites(values: t.Mapping[str, t.Any]) -> t.Iterator[Directory]:
    sites = values.get("trac_sites")
    if not isinstance(sites, (list, tuple)):
        return
    for index, site in enumerate(sites):
        if not isinstance(site, t.Mapping):
            continue  # somebody else complains
        where = f"trac_sites[{index}]"
        if site.get("egg_cache"):
            embedded = site.get("mode") == "embedded"
            account = "www-data" if embedded else str(values.get("trac_site_user") or "trac")
            example = f"{CACHE_DIR}/{site.get('name')}"
            yield Directory(f"{where}.egg_cache", site["egg_cache"], CACHE, example, account)
        more = site.get("extra_site_directories")
        for path in more if isinstance(more, (list, tuple)) else []:
            example = "/usr/lib/python3/dist-packages"
            yield Directory(f"{where}.extra_site_directories", path, CODE, example)
        tls = site.get("tls")
        for key in ("certificate_file", "key_file"):
            path = tls.get(key) if isinstance(tls, t.Mapping) else None
            # Those that are no paths are refused where all of TLS is looked at.
            if not isinstance(path, str) or not path:
                continue
            file = Directory(f"{where}.tls.{key}", path, SERVED, "/etc/ssl/private/trac.key")
            if _shape(file) is None:
                yield file


def directories(values: t.Mapping[str, t.Any]) -> list[Directory]:
    """The directories that variables name; other variables, and those left empty, are passed by."""
    found = [
        Directory(name, values[name], use, example)
        for name, (use, example) in VARIABLES.items()
        if name in values and not (name in _OPTIONAL and values[name] in ("", None))
    ]
    return found + list(_of_sites(values))


# -- what is wrong with them ------------------------------------------------------------------


def _shape(each: Directory) -> str | None:
    if not isinstance(each.path, str) or not _PATH.match(each.path):
        rule = "an absolute path of letters, digits and . _ - + @"
    elif ".." in each.path.split("/"):
        rule = "an absolute path without the part '..'"
    else:
        return None
    shown = arguments.shown(each.path)
    return f"{each.name} is {shown}. It has to be {rule}, such as {each.example}."


def _is_of_the_system(each: Directory) -> bool:
    path = each.normal
    if each.use == SERVED and each.name.endswith("_file"):
        return False
    if each.use in (SERVED, CODE):
        trees: t.Sequence[str] = _PRIVATE_TREES if each.use == SERVED else ("/proc", "/sys", "/dev")
        known = path in _SYSTEM and not path.startswith("/var/www")
        return known or any(is_within(path, tree) for tree in trees)
    if path in _SYSTEM or any(is_within(path, tree) for tree in _SYSTEM_TREES):
        return True
    return path.count("/") < 2 and each.name not in _SHALLOW and each.use != CACHE


def _alone(each: Directory) -> str | None:
    """What is wrong with a directory whatever the others are."""
    wrong = _shape(each)
    if wrong is not None:
        return wrong
    for tree in _WORLD_WRITABLE:
        if is_within(each.path, tree):
            return (
                f"{each.name} is {each.path!r}, in {tree}, where every account can write. It has "
                f"to be a directory that nobody else can replace, such as {each.example}."
            )
    if _is_of_the_system(each):
        return (
            f"{each.name} is {each.path!r}, a directory of the system. It has to be a directory of "
            f"its own, such as {each.example}."
        )
    return None


def _is_at(each: Directory, other: Directory) -> bool:
    """Whether a directory lies in another one, which belongs to an account, or takes its place."""
    if each.name == other.name or other.use not in _ACCOUNTS:
        return False
    if each.use == other.use:
        return _is_below(each.path, other.path)
    if each.use in _ACCOUNTS and each.normal == other.normal:
        return _ACCOUNTS.index(each.use) > _ACCOUNTS.index(other.use)  # said of one of them
    return is_within(each.path, other.path)


def _beside(each: Directory, others: t.Sequence[Directory]) -> str | None:
    """What is wrong with a directory beside the others."""
    for other in others:
        if not _is_at(each, other):
            continue
        why = (
            "whose every directory Trac takes for an environment"
            if other.use == ENVIRONMENTS and each.use in _ACCOUNTS
            else "where the account that Trac runs as can write"
        )
        return (
            f"{each.name} is {each.path!r}; it has to lie outside of {other.name} ({other.path}), "
            f"{why}. Allowed are other directories, such as {each.example}."
        )
    if each.use not in _ACCOUNTS:
        return None
    for place in FIXED:
        if is_within(place, each.path) or (
            is_within(each.path, place) and not (each.use == CACHE and place == CACHE_DIR)
        ):
            return (
                f"{each.name} is {each.path!r}; it has to lie neither in {place} nor around it, "
                f"where only root writes. Allowed are other directories, such as {each.example}."
            )
    return None


def _shared_cache(each: Directory, others: t.Sequence[Directory]) -> str | None:
    if each.use != CACHE:
        return None
    for other in others:
        if other.use == CACHE and other.normal == each.normal and other.account != each.account:
            return (
                f"{each.name} is {each.path!r}, as is {other.name}, whose site another account "
                f"runs. Each of them needs one of its own, such as {each.example}."
            )
    return None


def problems(values: t.Mapping[str, t.Any]) -> Problems:
    """What is wrong with the directories that variables name, a sentence for each.

    Besides the variables of the roles, `trac_sites` and `trac_site_user` are known.
    """
    found: Problems = []
    good: list[Directory] = []
    for each in directories(values):
        wrong = _alone(each)
        if wrong is None:
            good.append(each)
        else:
            found.append(wrong)
    for index, each in enumerate(good):
        wrong = _beside(each, good) or _shared_cache(each, good[:index])
        if wrong is not None:
            found.append(wrong)
    return found


# -- accounts ---------------------------------------------------------------------------------


def account_problems(values: t.Mapping[str, t.Any]) -> Problems:
    """What is wrong with the accounts and groups that variables name, by the names of these."""
    found: Problems = []
    for name, value in values.items():
        what = "a group" if name.endswith("_group") else "an account"
        if not isinstance(value, str) or not _ACCOUNT.match(value):
            found.append(
                f"{name} is {value!r}. It has to be the name of {what}: a-z, 0-9, '_' and '-', "
                "such as trac."
            )
        elif value in _PRIVILEGED or value.startswith("systemd-"):
            found.append(
                f"{name} is {value!r}, {what} of the system or of another service. It has to be "
                f"{what} with no other rights, such as trac."
            )
    return found
