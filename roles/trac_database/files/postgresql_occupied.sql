-- Runs in a database of an environment's login, as superuser: each name and operator says where it is from.
SELECT
  EXISTS (
    SELECT FROM pg_catalog.pg_class c
    JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) c.relnamespace
    WHERE n.nspname OPERATOR(pg_catalog.!~) '^(pg_catalog$|information_schema$|pg_toast|pg_temp)'
      AND (%(schema)s OPERATOR(pg_catalog.=) '' OR n.nspname OPERATOR(pg_catalog.=) %(schema)s)
  )
  OR EXISTS (
    SELECT FROM pg_catalog.pg_stat_activity WHERE usename OPERATOR(pg_catalog.=) %(login)s
  )
  AS occupied
