#!/usr/bin/python3
"""Connect to a database by a connection string of Trac, and say how it went.

The string comes in the environment as URL. Arguments: another database, "tls" or "plain".
Prints "connected with TLS", "connected without TLS" or "refused: ...".
"""

import os
import sys
import urllib.parse

url = urllib.parse.urlsplit(os.environ["URL"])
query = dict(urllib.parse.parse_qsl(url.query))
database = sys.argv[1] or url.path[1:]
tls = sys.argv[2] == "tls"
login = urllib.parse.unquote(url.username)
password = urllib.parse.unquote(url.password)


def postgresql() -> bool:
    import psycopg2

    connection = psycopg2.connect(
        host=query.get("host") or url.hostname,
        dbname=database,
        user=login,
        password=password,
        sslmode="require" if tls else "disable",
    )
    cursor = connection.cursor()
    cursor.execute("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()")
    return bool(cursor.fetchone()[0])


def mysql() -> bool:
    import pymysql

    connection = pymysql.connect(
        host=url.hostname,
        user=login,
        password=password,
        database=database,
        unix_socket=query.get("unix_socket"),
        # An empty dictionary would mean: no TLS.
        ssl={"check_hostname": False, "verify_mode": "none"} if tls else None,
        **({} if tls else {"ssl_disabled": True}),
    )
    cursor = connection.cursor()
    cursor.execute("SHOW STATUS LIKE 'Ssl_cipher'")
    return bool(cursor.fetchone()[1])


try:
    encrypted = {"postgres": postgresql, "mysql": mysql}[url.scheme]()
except Exception as e:  # noqa: BLE001
    print(f"refused: {e}")
else:
    print(f"connected {'with' if encrypted else 'without'} TLS")
