#!/bin/sh
# Prints every row of a PostgreSQL database that no visit writes.
#   rows.sh DATABASE
set -eu
runuser --user postgres -- pg_dump --data-only --inserts --exclude-table='session*' "$1" >/tmp/rows
grep ^INSERT /tmp/rows | sort
