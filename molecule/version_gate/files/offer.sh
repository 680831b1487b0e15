#!/bin/sh
# Makes a package of mod_wsgi the one that would be installed: an empty one, from a package
# repository on this host that is preferred to every other.
#   offer.sh VERSION [MOD_WSGI]    with MOD_WSGI, the package brings a shared object that says so
#   offer.sh none                  only the distribution's own packages are on offer
set -eu
version=$1
loaded=${2-}
package=libapache2-mod-wsgi-py3
repository=/opt/packages
sources=/etc/apt/sources.list.d/version-gate.list
preferences=/etc/apt/preferences.d/version-gate

rm -rf "$repository"
mkdir -p "$repository"
if [ "$version" = none ]; then
  rm -f "$sources" "$preferences"
else
  tree=$repository/tree
  mkdir -p "$tree/DEBIAN" "$tree/usr/share/doc/$package"
  echo "An empty package." >"$tree/usr/share/doc/$package/README"
  cat >"$tree/DEBIAN/control" <<END
Package: $package
Version: $version
Architecture: all
Maintainer: nobody <nobody@example.org>
Description: stands in for mod_wsgi $version
END
  if [ -n "$loaded" ]; then
    module=/usr/lib/apache2/modules/mod_wsgi.so
    mkdir -p "$tree/usr/lib/apache2/modules" "$tree/etc/apache2/mods-available"
    printf '\177ELF\0mod_wsgi/%s\0' "$loaded" >"$tree$module"
    echo "LoadModule wsgi_module $module" >"$tree/etc/apache2/mods-available/wsgi.load"
  fi
  dpkg-deb --root-owner-group --build "$tree" "$repository/mod-wsgi.deb" >/dev/null
  {
    cat "$tree/DEBIAN/control"
    echo "Filename: ./mod-wsgi.deb"
    echo "Size: $(stat -c %s "$repository/mod-wsgi.deb")"
    echo "SHA256: $(sha256sum "$repository/mod-wsgi.deb" | cut -d ' ' -f 1)"
  } >"$repository/Packages"
  rm -rf "$tree"
  echo "deb [trusted=yes] file:$repository ./" >"$sources"
  printf 'Package: %s\nPin: origin ""\nPin-Priority: 1001\n' "$package" >"$preferences"
  # The distribution's index is there already: only this repository's is read.
  set -- -o Dir::Etc::sourcelist="$sources" -o Dir::Etc::sourceparts=/dev/null
fi
[ "$version" != none ] || set --
apt-get -qq -o APT::Get::List-Cleanup=0 "$@" update
