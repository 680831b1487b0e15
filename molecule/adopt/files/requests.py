"""Ask a site for all that an environment held before: requests.py BEFORE URL

Prints how much was compared; what differs makes the exit status 1.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import os
import sys
import urllib.parse
import urllib.request

import compare


def get(*parts: str, query: str = "") -> bytes:
    path = "/".join([sys.argv[2], *(urllib.parse.quote(part) for part in parts)])
    with urllib.request.urlopen(path + query, timeout=60) as answer:
        return answer.read()


before = sys.argv[1]
tables = compare.tables(before)
differences = []

for row in tables["attachment"]:
    name = row["filename"]
    with open(
        os.path.join(before, compare.attachment_path(row["type"], row["id"], name)), "rb"
    ) as file:
        wanted = file.read()
    found = get("raw-attachment", row["type"], row["id"], name)
    if hashlib.sha256(found).digest() != hashlib.sha256(wanted).digest():
        differences.append(
            f"attachment {name}: {len(found)} bytes, not the {len(wanted)} of before"
        )

for row in tables["ticket"]:
    custom = [each for each in tables["ticket_custom"] if each["ticket"] == row["id"]]
    fields = {**row, **{each["name"]: each["value"] for each in custom}}
    text = get("ticket", str(row["id"]), query="?format=csv").decode("utf-8-sig")
    (shown,) = csv.DictReader(io.StringIO(text, newline=""))
    for key in ("summary", "description", "keywords", "status", "customer", "effort", "notes"):
        if (shown[key] or "").split() != (fields[key] or "").split():
            differences.append(f"ticket {row['id']}: {key} is {shown[key]!r}, not {fields[key]!r}")
    page = get("ticket", str(row["id"])).decode()
    comments = {
        each["oldvalue"]
        for each in tables["ticket_change"]
        if (each["ticket"], each["field"]) == (row["id"], "comment") and each["newvalue"]
    }
    missing = [number for number in comments if f'id="comment:{number}"' not in page]
    if missing:
        differences.append(f"ticket {row['id']} shows no comments {missing}")

versions = [row for row in tables["wiki"] if row["author"] != "trac"]
for row in versions:
    found = get("wiki", row["name"], query=f"?version={row['version']}&format=txt").decode()
    if found.split() != row["text"].split():
        differences.append(f"wiki page {row['name']}, version {row['version']}: {found!r}")

if "Greetings to Zoë" not in get("wiki", "WikiStart", query="?version=2").decode():
    differences.append("the plugin that loads does not work")

json.dump(
    {
        "attachments": len(tables["attachment"]),
        "tickets": len(tables["ticket"]),
        "versions of pages": len(versions),
        "differences": differences,
    },
    sys.stdout,
)
sys.exit(bool(differences))
