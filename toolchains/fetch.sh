#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# fetch.sh ARCHITECTURE DIR: brings the files that toolchains/pins names for "source" and for ARCHITECTURE (Debian's name)
# into DIR and checks every one against its pin. Works as any user, with the Debian mirror that this machine already uses.
# What is there and right is not fetched again.
set -eu
architecture=$1
mkdir -p "$2"
dir=$(cd "$2" && pwd)
pins=${PINS:-$(dirname "$0")/pins}  # another file of the same form

say() { echo "fetch: $*" >&2; }

wanted() { awk -v a="$architecture" '/^[^#]/ && ($2 == "source" || $2 == a) { print $1, $2, $3, $4 }' "$pins"; }
is_right() { [ -f "$dir/${1##*/}" ] && echo "$2  $dir/${1##*/}" | sha256sum --check --status; }
all_right() { wanted | while read -r _ _ path sum; do is_right "$path" "$sum" || return 1; done; }

wanted | grep -q '\.deb ' || { say "$pins has no line for the architecture $architecture"; exit 1; }
all_right && exit 0

# shellcheck disable=SC2016 # $(REPO_URI) is for apt to expand
mirror=$(apt-get indextargets --format '$(REPO_URI) $(ORIGIN) $(LABEL)' 'Created-By: Packages' |
  awk '$2 == "Debian" && $3 == "Debian" { print $1; exit }')
[ -n "$mirror" ] || { say "apt knows no Debian mirror here; run apt-get update, or see /etc/apt"; exit 1; }

# Straight from the pool: the indexes of the suites, 10 MB each and unusable while a mirror is updated, are not needed.
for attempt in 1 2 3 4; do
  [ "$attempt" = 1 ] || { say "trying again in $((attempt * 5)) s"; sleep $((attempt * 5)); }
  wanted | while read -r _ _ path sum; do
    is_right "$path" "$sum" && continue
    say "${path##*/}"
    rm -f "$dir/${path##*/}"
    /usr/lib/apt/apt-helper -qq -o APT::Sandbox::User="$(id -un)" -o Acquire::Retries=3 \
      download-file "${mirror%/}/pool/main/$path" "$dir/${path##*/}" "SHA256:$sum" || true
  done
  all_right && exit 0
done

wanted | while read -r package kind path sum; do
  is_right "$path" "$sum" && continue
  say "pool/main/$path is not to be had from $mirror."
  say "If Debian has moved on (see pool/main/${path%/*}/ there): in $pins change the line of $package ($kind)."
done
exit 1
