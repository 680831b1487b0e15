WITH
  wanted_logins AS (
    SELECT json_array_elements_text(%(logins)s::json) AS name
  ),
  wanted_databases AS (
    SELECT d.*, coalesce(d.datacl, acldefault('d', d.datdba)) AS acl
    FROM pg_database d
    WHERE d.datname IN (SELECT json_array_elements_text(%(databases)s::json))
  )
SELECT json_build_object(
  'roles', (
    SELECT coalesce(json_agg(json_build_object(
      'name', rolname, 'login', rolcanlogin, 'password', rolpassword)), '[]')
    FROM pg_authid WHERE rolname IN (SELECT name FROM wanted_logins)
  ),
  'databases', (
    SELECT coalesce(json_agg(json_build_object(
      'name', datname,
      'owner', pg_get_userbyid(datdba),
      'encoding', pg_encoding_to_char(encoding),
      'public', EXISTS (SELECT FROM aclexplode(acl) WHERE grantee = 0))), '[]')
    FROM wanted_databases
  ),
  'grants', (
    SELECT coalesce(json_agg(json_build_array(d.datname, r.rolname, a.privilege_type)), '[]')
    FROM wanted_databases d, LATERAL aclexplode(d.acl) a, pg_authid r
    WHERE r.oid = a.grantee AND r.rolname IN (SELECT name FROM wanted_logins)
  ),
  'settings', (
    SELECT json_build_object(
      'config_file', current_setting('config_file'),
      'hba_file', current_setting('hba_file'),
      'started', extract(epoch FROM pg_postmaster_start_time()),
      'loaded', extract(epoch FROM pg_conf_load_time()),
      'listen_addresses', setting,
      'listen_addresses_source', sourcefile)
    FROM pg_settings WHERE name = 'listen_addresses'
  )
)::text AS state
