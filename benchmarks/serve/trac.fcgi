#!/opt/trac/bin/python
from trac.web.fcgi_frontend import run

run()
