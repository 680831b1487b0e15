#!/bin/sh
# Owners, modes, links and a journal, as years leave them behind: neglect.sh ELSEWHERE FORMER_ACCOUNT
set -eu
elsewhere=$1
former=$2
cd /srv/trac/environments

# Made by root, attached by Apache, and the password is for root only.
chown -R root:root trac-1-0
chown -R www-data:www-data trac-1-0/files trac-1-0/db
chmod -R u=rwX,go=rX trac-1-0
chmod 0777 trac-1-0/db
chmod 0666 trac-1-0/db/trac.db
chmod 0600 trac-1-0/conf/trac.ini
ln -s /etc/shadow trac-1-0/htdocs/shadow
ln -s /root trac-1-0/files/root
touch trac-1-0/note
chown games trac-1-0/note

# Unpacked from an archive of another server, closed to all others; the last transaction is unfinished.
chown -R "$former:$former" trac-1-2
chmod -R u=rwX,go= trac-1-2
chmod 0400 trac-1-2/conf/trac.ini
python3 - trac-1-2/db/trac.db <<'PYTHON'
import os, sqlite3, sys
database = sqlite3.connect(sys.argv[1], isolation_level=None)
database.execute("PRAGMA cache_size=1")
database.execute("BEGIN")
database.execute("UPDATE ticket_change SET newvalue=hex(randomblob(4000))")
database.execute("UPDATE wiki SET text=hex(randomblob(4000))")
os._exit(0)
PYTHON
test -s trac-1-2/db/trac.db-journal

# Still served by the old site, which must not notice, under a name with capitals.
mv "$elsewhere/trac-1-4" "$elsewhere/MeinProjekt"
chown -R www-data:www-data "$elsewhere/MeinProjekt"
chmod -R u=rwX,go= "$elsewhere/MeinProjekt"

# Trac's own account, but for what somebody has done as root.
chown -R trac:trac trac-1-6
chmod -R u=rwX,g=rwX,o= trac-1-6
chown root:root trac-1-6/conf/trac.ini trac-1-6/log/trac.log
chmod 0600 trac-1-6/conf/trac.ini
