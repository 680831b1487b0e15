#!/bin/sh
# Uploads 5 MB of noise to a wiki page over HTTP, downloads it and compares the two.
#   attachment.sh URL-OF-TRAC
set -eu
url=$1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
name=noise-$$.bin
head -c 5242880 /dev/urandom > "$work/sent"

# Trac accepts a form only with the token of its cookie.
curl --silent --show-error --fail --cookie-jar "$work/cookies" --output /dev/null \
  "$url/attachment/wiki/WikiStart/?action=new"
token=$(awk '$6 == "trac_form_token" { print $7 }' "$work/cookies")
status=$(curl --silent --show-error --cookie "$work/cookies" --output "$work/answer" --write-out '%{http_code}' \
  --form "__FORM_TOKEN=$token" --form action=new --form realm=wiki --form id=WikiStart \
  --form "attachment=@$work/sent;filename=$name" --form "description=5 MB" \
  "$url/attachment/wiki/WikiStart/?action=new")
if [ "$status" != 303 ]; then
  echo "The upload was answered with $status instead of 303:"
  sed -e 's/<[^>]*>//g' -e '/^ *$/d' "$work/answer" | head -40
  exit 1
fi

curl --silent --show-error --fail --output "$work/received" "$url/raw-attachment/wiki/WikiStart/$name"
sha256sum "$work/sent" "$work/received"
cmp "$work/sent" "$work/received"
