#!/usr/bin/env python3
"""Make wheels of a plugin for Trac in several versions: make_wheels.py DIRECTORY.

1.0  has a table with one row
2.0  needs an upgrade, which adds a row
2.1  cannot be imported
2.2  needs an upgrade, which changes tickets and trac.ini and then fails
2.3  needs an upgrade, which succeeds; then every page is an error
2.4  needs an upgrade, which waits as long as there is a file /var/tmp/hold
"""

import base64
import hashlib
import pathlib
import sys
import zipfile

SOURCE = """\
from trac.core import Component, implements
from trac.env import IEnvironmentSetupParticipant
from trac.web.api import IRequestFilter, IRequestHandler

VERSION = "{version}"
SCHEMA = {schema}
{top}

class Ours(Component):
    implements(IEnvironmentSetupParticipant, IRequestFilter, IRequestHandler)

    def environment_created(self):
        self.upgrade_environment()

    def _schema(self):
        for (value,) in self.env.db_query("SELECT value FROM system WHERE name='ours'"):
            return int(value)
        return 0

    def environment_needs_upgrade(self):
        return self._schema() < SCHEMA

    def upgrade_environment(self):
        with self.env.db_transaction as db:
            schema = self._schema()
            if not schema:
                db("CREATE TABLE ours (version text)")
                db("INSERT INTO system (name, value) VALUES ('ours', '0')")
            db("INSERT INTO ours (version) VALUES (%s)", (VERSION,))
            db("UPDATE system SET value=%s WHERE name='ours'", (str(SCHEMA),))
        {upgrade}

    def pre_process_request(self, req, handler):
        {filter}
        return handler

    def post_process_request(self, req, template, data, metadata):
        return template, data, metadata

    def match_request(self, req):
        return req.path_info == "/ours"

    def process_request(self, req):
        rows = [version for (version,) in self.env.db_query("SELECT version FROM ours")]
        req.send(f"{{VERSION}} {{' '.join(rows)}}".encode(), "text/plain")
"""

RUIN = """\
with self.env.db_transaction as db:
            db("UPDATE ticket SET summary='ruined'")
        self.config.set("project", "name", "Ruined")
        self.config.save()
        raise RuntimeError("the tables cannot be changed")"""

WAIT = """\
import os, time
        while os.path.exists("/var/tmp/hold"):
            time.sleep(0.1)"""

VERSIONS = {
    "1.0": {"schema": 1},
    "2.0": {"schema": 2},
    "2.1": {"schema": 2, "top": "from trac.core import NoSuchThing"},
    "2.2": {"schema": 3, "upgrade": RUIN},
    "2.3": {"schema": 3, "filter": 'raise RuntimeError("no page works")'},
    "2.4": {"schema": 4, "upgrade": WAIT},
}


def wheel(directory: pathlib.Path, version: str, **parts: object) -> None:
    """One wheel, always of the same bytes."""
    source = SOURCE.format(
        **{"top": "", "upgrade": "pass", "filter": "pass", "version": version, **parts}
    )
    info = f"Ours-{version}.dist-info"
    files = {
        "ours.py": source,
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: Ours\nVersion: {version}\n",
        f"{info}/WHEEL": (
            "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        ),
        f"{info}/entry_points.txt": "[trac.plugins]\nours = ours\n",
        f"{info}/top_level.txt": "ours\n",
    }
    record = ""
    for name, text in files.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=")
        record += f"{name},sha256={digest.decode()},{len(text.encode())}\n"
    files[f"{info}/RECORD"] = f"{record}{info}/RECORD,,\n"
    with zipfile.ZipFile(directory / f"Ours-{version}-py3-none-any.whl", "w") as archive:
        for name, text in files.items():
            archive.writestr(zipfile.ZipInfo(name, (2026, 1, 1, 0, 0, 0)), text)


def main() -> None:
    directory = pathlib.Path(sys.argv[1])
    directory.mkdir(parents=True, exist_ok=True)
    for version, parts in VERSIONS.items():
        wheel(directory, version, **parts)


if __name__ == "__main__":
    main()
