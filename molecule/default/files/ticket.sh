#!/bin/sh
# Opens a ticket over HTTP, as a visitor with a browser does.
#   ticket.sh URL-OF-TRAC [SUMMARY]
set -eu
url=$1
summary=${2:-"It's 100% brøken"}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
curl --silent --show-error --fail --cookie-jar "$work/cookies" --output /dev/null "$url/newticket"
token=$(awk '$6 == "trac_form_token" { print $7 }' "$work/cookies")
status=$(curl --silent --show-error --cookie "$work/cookies" --output "$work/answer" --write-out '%{http_code}' \
  --form "__FORM_TOKEN=$token" --form field_reporter=visitor --form-string "field_summary=$summary" \
  --form "field_description=By curl." --form field_type=defect --form field_priority=major --form field_component=component1 \
  --form submit=create "$url/newticket")
if [ "$status" != 303 ] && [ "$status" != 302 ]; then
  echo "The form was answered with $status:"
  sed -e 's/<[^>]*>//g' -e '/^ *$/d' "$work/answer" | head -40
  exit 1
fi
