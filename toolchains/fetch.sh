#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# fetch.sh ARCHITECTURE DIR: brings the files that toolchains/pins names for "source" and for ARCHITECTURE (Debian's name)
# into DIR and checks every one against its pin. Works as any user: apt runs on a private configuration inside DIR, with the
# Debian mirror that this machine already uses. What is there and right is not fetched again.
set -eu
architecture=$1
mkdir -p "$2"
dir=$(cd "$2" && pwd)
pins=$(dirname "$0")/pins
keyring=/usr/share/keyrings/debian-archive-keyring.gpg
suite=trixie

say() { echo "fetch: $*" >&2; }

wanted() { awk -v a="$architecture" '/^[^#]/ && ($2 == "source" || $2 == a) { print $1, $2, $3, $4 }' "$pins"; }
is_right() { [ -f "$dir/$1" ] && echo "$2  $dir/$1" | sha256sum --check --status; }
all_right() { wanted | while read -r _ _ file sum; do is_right "$file" "$sum" || return 1; done; }

apt() {
  command=$1
  shift
  "$command" -qq -o Dir::Etc::SourceList="$dir/apt/sources.list" -o Dir::Etc::SourceParts=/dev/null -o Dir::Etc::PreferencesParts=/dev/null \
    -o Dir::State::Lists="$dir/apt/lists" -o Dir::Cache="$dir/apt/cache" -o APT::Architecture="$architecture" \
    -o APT::Sandbox::User="$(id -un)" -o Acquire::Languages=none -o Acquire::Retries=3 "$@"
}

wanted | grep -q '\.deb ' || { say "toolchains/pins has no line for the architecture $architecture"; exit 1; }
all_right && exit 0

# shellcheck disable=SC2016 # $(REPO_URI) is for apt to expand
mirror=$(apt-get indextargets --format '$(REPO_URI) $(ORIGIN) $(LABEL)' 'Created-By: Packages' |
  awk '$2 == "Debian" && $3 == "Debian" { print $1; exit }')
[ -n "$mirror" ] || { say "apt knows no Debian mirror here; run apt-get update, or see /etc/apt"; exit 1; }

mkdir -p "$dir/apt/lists/partial" "$dir/apt/cache/archives/partial"
for kind in deb:Packages deb-src:Sources; do
  echo "${kind%:*} [signed-by=$keyring target=${kind#*:}] $mirror $suite main"
done >"$dir/apt/sources.list"

for attempt in 1 2 3 4; do
  [ "$attempt" = 1 ] || { say "trying again in $((attempt * 5)) s"; sleep $((attempt * 5)); }
  # A mirror in mid-update makes this fail although all that we need may be there.
  apt apt-get update || say "apt-get update failed, going on"
  wanted | while read -r package kind file sum; do
    is_right "$file" "$sum" && continue
    say "$file"
    rm -f "$dir/$file"
    if [ "$kind" = source ]; then
      (cd "$dir" && apt apt-get source --download-only --tar-only "$package") || true
    else
      (cd "$dir" && apt apt-get download "$package") || true
    fi
  done
  all_right && exit 0
done

wanted | while read -r package kind file sum; do
  is_right "$file" "$sum" && continue
  if [ -f "$dir/$file" ]; then
    say "$file is not what is pinned: its SHA-256 is $(sha256sum "$dir/$file" | cut -d' ' -f1), the pin $sum"
    continue
  fi
  [ "$kind" = source ] && show=showsrc || show=show
  now=$(apt apt-cache "$show" "$package" 2>/dev/null | sed -n 's/^Version: //p' | sort -uV | tail -n 1)
  say "$file is not to be had; $suite now has $package ${now:-in no version that apt can see}."
  say "If it has moved on: in toolchains/pins change the line of $package ($kind): file name and SHA-256."
done
exit 1
