#!/bin/sh
# Has dpkg killed in the middle of its work, by a package that kills it while it is configured.
set -eu
package=$(mktemp -d)
mkdir "$package/DEBIAN"
cat >"$package/DEBIAN/control" <<'END'
Package: kills-dpkg
Version: 1
Architecture: all
Maintainer: nobody <nobody@example.org>
Description: kills dpkg the first time that it is configured
END
cat >"$package/DEBIAN/postinst" <<'END'
#!/bin/sh
if [ ! -e /run/killed-dpkg ]; then
    touch /run/killed-dpkg
    kill -KILL "$PPID"
fi
END
chmod 755 "$package" "$package/DEBIAN/postinst"
dpkg-deb --build "$package" /tmp/kills-dpkg.deb >/dev/null
if dpkg --install /tmp/kills-dpkg.deb >/dev/null 2>&1; then
    echo "dpkg was not killed"
    exit 1
fi
if apt-get install --yes --quiet=2 hostname 2>&1 | grep 'dpkg was interrupted'; then exit 0; fi
echo "apt does not mind"
exit 1
