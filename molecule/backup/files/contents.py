"""Print what an environment holds, as JSON: all rows of all tables, and attachments' checksums.

Argument: the directory of the environment. This looks with nothing of the collection's.
"""

import hashlib
import json
import pathlib
import sqlite3
import sys

root = pathlib.Path(sys.argv[1])
connection = sqlite3.connect(root / "db" / "trac.db")
tables = [
    name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type='table'")
]
# Written by visits, such as that of this test.
tables = sorted(set(tables) - {"auth_cookie", "session", "session_attribute"})
rows = {name: sorted(map(repr, connection.execute(f'SELECT * FROM "{name}"'))) for name in tables}
attachments = {
    str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest()
    for path in sorted((root / "files" / "attachments").rglob("*"))
    if path.is_file()
}
print(json.dumps({"rows": rows, "attachments": attachments}, sort_keys=True))
