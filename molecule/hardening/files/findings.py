#!/usr/bin/python3
"""Say what wapiti has found, and fail for what is not known.

Argument: its report as JSON. Its lowest level is 1.
"""

import json
import re
import sys

# Findings of the lowest level: on a site without TLS; what Trac's pages need (see the role's
# README); a header that browsers have given up.
KNOWN = (
    r"Strict-Transport-Security is not set",
    r"Secure flag is not set in the cookie : trac_",
    r"X-XSS-Protection is not set",
    r"CSP .?script-src.? .*",
)
# Trac's answer to a format that it does not know is an error page with status 500, as to a timeline
# from the beginning of year 1; that nothing else has failed, its log tells.
ANSWERS = r".* 500 HTTP error .* in the parameter (format|from)\b"


def main():
    with open(sys.argv[1], encoding="utf-8") as stream:
        report = json.load(stream)
    found = [
        (int(item["level"]), name, item["path"], item["info"])
        for kind in ("vulnerabilities", "anomalies")
        for name, items in report[kind].items()
        for item in items
    ]
    known = re.compile("|".join(KNOWN))
    wrong = [
        item
        for item in found
        if not re.match(ANSWERS, item[3]) and (item[0] > 1 or not known.match(item[3]))
    ]
    print(f"{len(found)} findings, {len(wrong)} of them not known")
    print(*wrong, sep="\n")
    return 1 if wrong else 0


sys.exit(main())
