#!/bin/bash
# What an administrator would write: tar, and pg_dump or sqlite3's .backup, one environment after the other.
# It checks nothing.
#   bare.sh backup|empty|restore postgresql|sqlite NAME...
set -euo pipefail
what=$1 kind=$2
shift 2
environments=/srv/trac/environments
place=/var/tmp/bare
mkdir -p "$place"
chmod 0755 "$place"

psql() { runuser -u postgres -- psql --no-psqlrc --quiet --output=/dev/null --set=ON_ERROR_STOP=1 "$@"; }

for name; do
  case $what-$kind in
    backup-postgresql)
      runuser -u postgres -- pg_dump "trac_$name" >"$place/$name.sql"
      tar -czf "$place/$name.tar.gz" -C "$environments" "$name" -C "$place" "$name.sql"
      rm "$place/$name.sql"
      ;;
    backup-sqlite)
      sqlite3 "$environments/$name/db/trac.db" ".backup '$place/$name.db'"
      tar -czf "$place/$name.tar.gz" --exclude="$name/db/trac.db" -C "$environments" "$name" -C "$place" "$name.db"
      rm "$place/$name.db"
      ;;
    empty-postgresql)
      rm -r "${environments:?}/$name"
      runuser -u postgres -- psql --no-psqlrc --quiet "trac_$name" >/dev/null 2>&1 <<'SQL'
SELECT format('DROP TABLE public.%I CASCADE', tablename) FROM pg_tables WHERE schemaname = 'public' \gexec
SQL
      ;;
    empty-sqlite) rm -r "${environments:?}/$name" ;;
    restore-postgresql)
      tar -xzf "$place/$name.tar.gz" -C "$environments" "$name"
      tar -xzf "$place/$name.tar.gz" -C "$place" "$name.sql"
      # The schema is there already, with what the server's administrator allows.
      sed -i '/^CREATE SCHEMA public;$/d' "$place/$name.sql"
      psql --dbname="trac_$name" <"$place/$name.sql"
      rm "$place/$name.sql"
      ;;
    restore-sqlite)
      tar -xzf "$place/$name.tar.gz" -C "$environments" "$name"
      tar -xzf "$place/$name.tar.gz" -C "$environments/$name/db" "$name.db"
      mv "$environments/$name/db/$name.db" "$environments/$name/db/trac.db"
      chown trac: "$environments/$name/db/trac.db"
      ;;
  esac
done
