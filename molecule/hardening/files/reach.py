#!/usr/bin/python3
"""Try, as an account, to write each file of the deployment and to read each secret.

Arguments: the account; JSON with `all`, directories of the deployment; `writable`, what the account
may write; `secret`, files and directories; `readable`, which of these it may read. Says what it
could do and should not, and how much it tried.
"""

import json
import os
import pwd
import sys
import tempfile


def walk(top):
    """The paths below one, without those that links lead to."""
    yield top
    if os.path.isdir(top) and not os.path.islink(top):
        with os.scandir(top) as entries:
            for entry in entries:
                yield from walk(entry.path)


def below(path, tops):
    return any(path == top or path.startswith(top + "/") for top in tops)


def is_writable(path):
    """Whether a file can be opened for writing, or something be put into a directory."""
    try:
        if os.path.isdir(path):
            handle, made = tempfile.mkstemp(dir=path)
            os.unlink(made)
        else:
            handle = os.open(path, os.O_WRONLY | os.O_NONBLOCK)
    except OSError:
        return False
    os.close(handle)
    return True


def is_readable(path):
    try:
        if os.path.isdir(path):
            os.listdir(path)
        else:
            os.close(os.open(path, os.O_RDONLY | os.O_NONBLOCK))
    except OSError:
        return False
    return True


def become(name):
    account = pwd.getpwnam(name)
    os.initgroups(name, account.pw_gid)
    os.setgid(account.pw_gid)
    os.setuid(account.pw_uid)


def main():
    account, what = sys.argv[1], json.loads(sys.argv[2])
    paths = sorted({path for top in what["all"] for path in walk(os.path.realpath(top))})
    paths = [path for path in paths if not os.path.islink(path)]
    secrets = sorted({path for top in what["secret"] for path in walk(top)})
    missing = [top for top in what["all"] + what["secret"] if not os.path.exists(top)]
    become(account)
    written = [path for path in paths if is_writable(path) and not below(path, what["writable"])]
    read = [path for path in secrets if is_readable(path) and not below(path, what["readable"])]
    # Otherwise the test would show nothing.
    for top in what["writable"]:
        if not is_writable(top):
            missing.append(f"{top} (to write)")
    print(f"{account}: {len(paths)} paths to write and {len(secrets)} secrets to read tried")
    for title, found in (("Missing", missing), ("Could write", written), ("Could read", read)):
        if found:
            print(f"{title}: {found}")
    return 1 if missing or written or read else 0


sys.exit(main())
