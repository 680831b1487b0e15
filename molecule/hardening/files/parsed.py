#!/usr/bin/python3
"""Have Apache read the arguments that hostile.py has written (standard input), and compare."""

import json
import re
import subprocess
import sys
import tempfile

CONFIGURATION = """\
ServerRoot /etc/apache2
ServerName localhost
PidFile /tmp/none.pid
ErrorLog /tmp/none.log
LoadModule mpm_event_module /usr/lib/apache2/modules/mod_mpm_event.so
Listen 127.0.0.1:1
"""


def main():
    given = json.load(sys.stdin)
    lines = [
        f"Define V{number} {quoted}" for number, (_value, quoted) in enumerate(given["values"])
    ]
    with tempfile.NamedTemporaryFile("w", encoding="utf-8", suffix=".conf") as stream:
        stream.write(CONFIGURATION + "\n".join(lines) + "\n")
        stream.flush()
        command = ["/usr/sbin/apache2", "-t", "-D", "DUMP_RUN_CFG", "-f", stream.name]
        result = subprocess.run(command, capture_output=True, check=False)
    output = result.stdout.decode("utf-8", "surrogateescape")
    found = dict(re.findall(r"^Define: V([0-9]+)=(.*)$", output, re.MULTILINE))
    wrong = [
        (value, found.get(str(number)))
        for number, (value, _quoted) in enumerate(given["values"])
        if found.get(str(number)) != value
    ]
    print(f"{len(found)} values read as they are, {given['refused']} refused before")
    if wrong or len(found) != len(given["values"]):
        print(f"{len(wrong)} wrong: {wrong[:5]}", result.stderr.decode("utf-8", "replace")[:2000])
        return 1
    return 0


sys.exit(main())
