# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Visit pages again and again until the end of the test: visitor.py REPORT URL=TITLE...

A visitor asks again for some time, as during a reload. Pages that have not come by then go into the
report, with the time; its first line is the number of visits that ended well.
"""

import pathlib
import re
import sys
import time
import urllib.request

# Seconds. A busy machine may need some for a reload; what a fault takes down stays down.
PATIENCE = 30


def title(url: str) -> str:
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:
            found = re.search(r"<title>(.*?)</title>", answer.read().decode(), re.DOTALL)
            return " ".join(found.group(1).split()) if found else "a page without a title"
    except OSError as error:
        return str(error)


def main() -> None:
    report = pathlib.Path(sys.argv[1])
    pages = [argument.split("=", 1) for argument in sys.argv[2:]]
    well = 0
    failures: list[str] = []
    while True:
        for url, wanted in pages:
            end = time.monotonic() + PATIENCE
            seen = title(url)
            while wanted not in seen and time.monotonic() < end:
                time.sleep(0.5)
                seen = title(url)
            if wanted in seen:
                well += 1
            else:
                failures.append(f"{time.strftime('%H:%M:%S')} {url}: {seen}")
        report.write_text("\n".join([str(well), *failures]) + "\n", encoding="utf-8")
        time.sleep(1)


main()
