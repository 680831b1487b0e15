"""Megabytes (PSS) of each process of a service that runs Trac: memory.py UNIT TITLE."""

from __future__ import annotations

import json
import sys

import service

print(json.dumps(service.Service(*sys.argv[1:]).memory()))
