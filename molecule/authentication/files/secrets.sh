#!/bin/sh
# secrets.sh FILE: no secret of the file's lines may stand where others can read it, or in the journal.
set -eu
found=$(find / /run /tmp -xdev \( -path /proc -o -path /sys -o -path /root -o -path /dev \) -prune \
    -o -type f -perm -o=r -size -4096k -print0 | xargs -0 grep -lF -f "$1" || true)
if [ -n "$found" ]; then
    echo "In files that everybody may read: $found"
    exit 1
fi
if journalctl --no-pager --output=cat | grep -F -f "$1"; then
    echo "In the journal."
    exit 1
fi
test "$(stat -c '%a %U %G' /etc/apache2/trac)" = "750 root www-data"
test "$(stat -c '%a %U %G' /etc/apache2/trac/users.htpasswd)" = "640 root www-data"
test "$(stat -c '%a %U %G' /etc/apache2/trac/users.htdigest)" = "640 root www-data"
test "$(stat -c '%a %U %G' /etc/apache2/trac/ldap.conf)" = "600 root root"
test "$(stat -c '%a %U %G' /etc/apache2/trac/openid_connect.conf)" = "600 root root"
