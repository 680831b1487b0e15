#!/bin/sh
# prepare.sh NAME < CLIENT_SECRET: a directory of people over TLS, and a provider of OpenID Connect.
set -eu
(umask 077 && cat >/root/test/client-secret)

install -d -m 0755 /etc/test-ldap
install -d -m 0700 /var/lib/test-ldap /root/test/provider
openssl req -x509 -newkey rsa:2048 -nodes -days 30 -subj "/CN=$1" -addext "subjectAltName=DNS:$1" \
    -keyout /etc/test-ldap/key.pem -out /etc/test-ldap/cert.pem 2>/dev/null
chmod 0600 /etc/test-ldap/key.pem
slapadd -f /root/test/slapd.conf -l /root/test/people.ldif
# Beside the one of Debian's package.
systemd-run --unit=test-ldap slapd -d 0 -f /root/test/slapd.conf -h ldap://:1389/

python3 -m venv /opt/test-provider
/opt/test-provider/bin/pip install --quiet --disable-pip-version-check 'django<5.3' django-oidc-provider==0.9.0
systemd-run --unit=test-provider --description=provider /opt/test-provider/bin/python /root/test/provider.py /root/test/provider 8090 \
    /root/test/client-secret http://127.0.0.1/openid/.openid-connect
