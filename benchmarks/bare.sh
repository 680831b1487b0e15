#!/bin/sh
# The least that puts one Trac project behind Apache on Debian: what `make site` is compared
# with. It checks nothing, and a second run does everything again that can be done again.
set -eu
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
apt-get install -y -qq --no-install-recommends apache2 libapache2-mod-wsgi-py3 python3-venv >/dev/null
id trac >/dev/null 2>&1 || useradd --system --home-dir /srv/trac --shell /usr/sbin/nologin trac
python3 -m venv /opt/trac
/opt/trac/bin/pip install --quiet 'Trac==1.6' 'setuptools<81' 'Babel<2.10' 'Pygments<2.18' docutils
install -d -o trac -g trac /srv/trac/environments
if [ ! -e /srv/trac/environments/project ]; then
  runuser -u trac -- /opt/trac/bin/trac-admin /srv/trac/environments/project \
    initenv 'My Project' sqlite:db/trac.db >/dev/null
  runuser -u trac -- /opt/trac/bin/trac-admin /srv/trac/environments/project permission add admin TRAC_ADMIN
fi
cat > /srv/trac/trac.wsgi <<'EOF'
import trac.web.main
def application(environ, start_response):
    environ['trac.env_path'] = '/srv/trac/environments/project'
    return trac.web.main.dispatch_request(environ, start_response)
EOF
cat > /etc/apache2/conf-enabled/trac.conf <<'EOF'
WSGIDaemonProcess trac user=trac group=trac processes=2 threads=5 python-home=/opt/trac locale=C.UTF-8
WSGIScriptAlias /trac /srv/trac/trac.wsgi process-group=trac application-group=%{GLOBAL}
<Directory /srv/trac>
    Require all granted
</Directory>
EOF
service apache2 restart >/dev/null
curl --silent --show-error --fail --retry 20 --retry-connrefused --retry-delay 1 http://localhost/trac | grep -q 'My Project'
