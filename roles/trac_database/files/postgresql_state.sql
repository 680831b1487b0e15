WITH
  wanted_logins AS (
    SELECT pg_catalog.json_array_elements_text(%(logins)s::pg_catalog.json) AS name
  ),
  wanted_databases AS (
    SELECT d.*, coalesce(d.datacl, pg_catalog.acldefault('d', d.datdba)) AS acl
    FROM pg_catalog.pg_database d
    WHERE d.datname IN (SELECT pg_catalog.json_array_elements_text(%(databases)s::pg_catalog.json))
  )
SELECT pg_catalog.json_build_object(
  'roles', (
    SELECT coalesce(pg_catalog.json_agg(pg_catalog.json_build_object(
      'name', rolname, 'login', rolcanlogin, 'password', rolpassword)), '[]')
    FROM pg_catalog.pg_authid WHERE rolname IN (SELECT name FROM wanted_logins)
  ),
  'databases', (
    SELECT coalesce(pg_catalog.json_agg(pg_catalog.json_build_object(
      'name', datname,
      'owner', pg_catalog.pg_get_userbyid(datdba),
      'encoding', pg_catalog.pg_encoding_to_char(encoding),
      'public', EXISTS (SELECT FROM pg_catalog.aclexplode(acl) WHERE grantee = 0))), '[]')
    FROM wanted_databases
  ),
  'grants', (
    SELECT coalesce(pg_catalog.json_agg(pg_catalog.json_build_array(d.datname, r.rolname, a.privilege_type)), '[]')
    FROM wanted_databases d, LATERAL pg_catalog.aclexplode(d.acl) a, pg_catalog.pg_authid r
    WHERE r.oid = a.grantee AND r.rolname IN (SELECT name FROM wanted_logins)
  ),
  'settings', (
    SELECT pg_catalog.json_build_object(
      'config_file', pg_catalog.current_setting('config_file'),
      'hba_file', pg_catalog.current_setting('hba_file'),
      'started', extract(epoch FROM pg_catalog.pg_postmaster_start_time()),
      'loaded', extract(epoch FROM pg_catalog.pg_conf_load_time()),
      'listen_addresses', setting,
      'listen_addresses_source', sourcefile)
    FROM pg_catalog.pg_settings WHERE name = 'listen_addresses'
  )
)::pg_catalog.text AS state
