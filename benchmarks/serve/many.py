"""The script of Trac's documentation, for all environments of a directory."""

import os

os.environ["TRAC_ENV_PARENT_DIR"] = "/srv/trac/environments"

import trac.web.main

application = trac.web.main.dispatch_request
