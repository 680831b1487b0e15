SELECT User AS login, Host AS host,
  JSON_VALUE(Priv, '$.plugin') AS plugin,
  JSON_VALUE(Priv, '$.authentication_string') AS password,
  coalesce(JSON_VALUE(Priv, '$.ssl_type'), 0) > 0 AS tls
FROM mysql.global_priv WHERE User IN %(logins)s;

SELECT SCHEMA_NAME AS name, DEFAULT_COLLATION_NAME AS collation
FROM information_schema.SCHEMATA WHERE SCHEMA_NAME IN %(databases)s;

SELECT User AS login, Host AS host, Db AS pattern
FROM mysql.db
WHERE User IN %(logins)s AND Select_priv = 'Y'
  AND Insert_priv = 'Y'
  AND Update_priv = 'Y'
  AND Delete_priv = 'Y'
  AND Create_priv = 'Y'
  AND Drop_priv = 'Y'
  AND Index_priv = 'Y'
  AND Alter_priv = 'Y'
  AND Create_tmp_table_priv = 'Y'
  AND Lock_tables_priv = 'Y'
  AND Show_view_priv = 'Y'
  AND Trigger_priv = 'Y';

SELECT TABLE_SCHEMA AS name FROM information_schema.TABLES WHERE TABLE_SCHEMA IN %(gone)s
UNION SELECT DB FROM information_schema.PROCESSLIST WHERE DB IN %(gone)s;

SELECT @@bind_address AS bind_address, unix_timestamp() - VARIABLE_VALUE AS started
FROM information_schema.GLOBAL_STATUS WHERE VARIABLE_NAME = 'UPTIME'
