#!/bin/sh
# What was run, and which databases there are.
cd /var/lib/postgresql || exit 1
ls did-its-bidding 2>/dev/null
runuser --user postgres -- psql --no-psqlrc --no-align --tuples-only \
    --command="SELECT datname FROM pg_database WHERE datname IN ('trac_three', 'trac_all') ORDER BY 1"
