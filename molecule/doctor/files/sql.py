"""One statement for the database of an environment: sql.py FILE STATEMENT."""

import sqlite3
import sys

with sqlite3.connect(sys.argv[1]) as connection:
    connection.execute(sys.argv[2])
connection.close()
