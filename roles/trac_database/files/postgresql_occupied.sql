SELECT
  EXISTS (
    SELECT FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname NOT IN ('pg_catalog', 'information_schema')
      AND n.nspname !~ '^pg_(toast|temp)'
      AND %(schema)s IN ('', n.nspname)
  )
  OR EXISTS (SELECT FROM pg_stat_activity WHERE usename = %(login)s)
  AS occupied
