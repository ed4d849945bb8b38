#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# install.sh GROUP...: installs the packages of toolchains/packages.txt that are missing. Anybody but root gets the command
# to run instead, and exit code 1. Quick, and off the network, when nothing is missing.
set -eu
list=$(dirname "$0")/packages.txt

is_installed() { [ "$(dpkg-query --show --showformat '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]; }

# resolve A|B: A, unless this release has none. Where apt knows nothing yet, what is installed counts.
resolve() {
  if [ "${1#*|}" = "$1" ] || is_installed "${1%|*}" || [ -n "$(apt-cache show "${1%|*}" 2>/dev/null)" ]; then
    echo "${1%|*}"
  else
    echo "${1#*|}"
  fi
}

missing=
for group in "$@"; do
  packages=$(sed -n "s/^$group: //p" "$list")
  [ -n "$packages" ] || { echo "install: $list has no group $group" >&2; exit 1; }
  for package in $packages; do
    is_installed "$(resolve "$package")" || missing="$missing $package"
  done
done
[ -n "$missing" ] || exit 0
if ! command -v apt-get >/dev/null; then
  echo "This takes Debian's packages, and apt is not here. make plain builds the program with this machine's libraries." >&2
  exit 1
fi
if [ "$(id -u)" != 0 ]; then
  echo "Packages are missing. As root:" >&2
  echo "  apt-get install --no-install-recommends$(for package in $missing; do printf ' %s' "$(resolve "$package")"; done)" >&2
  exit 1
fi

# A package must not start its service here (etcd-server's would): 101 is "forbidden by policy".
policy=/usr/sbin/policy-rc.d
log=$(mktemp)
trap 'rm -f "$log"' EXIT
trap 'exit 1' INT TERM HUP
if [ ! -e $policy ]; then
  trap 'rm -f "$log" $policy' EXIT
  printf '#!/bin/sh\nexit 101\n' >$policy
  chmod 755 $policy
fi

export DEBIAN_FRONTEND=noninteractive
for attempt in 1 2 3; do
  echo "Installing:$missing" >&2
  # A mirror in mid-update makes this fail although the packages can be had.
  apt-get -qq -o Acquire::Retries=3 update || echo "apt-get update failed, going on" >&2
  packages=$(for package in $missing; do resolve "$package"; done)
  # shellcheck disable=SC2086 # a list of words
  apt-get -qq -y -o Acquire::Retries=3 --no-install-recommends install $packages >"$log" 2>&1 && exit 0
  tail -n 20 "$log" >&2
  sleep $((attempt * 5))
done
echo "install: could not install$missing" >&2
exit 1
