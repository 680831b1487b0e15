"""The script of Trac's documentation, for one environment."""

import os

os.environ["TRAC_ENV"] = "/srv/trac/environments/project"

import trac.web.main

application = trac.web.main.dispatch_request
