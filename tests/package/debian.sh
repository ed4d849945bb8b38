#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# debian.sh [SUITE]: the Debian package in a small Debian of that release (by default this machine's), in user, mount, process and network
# namespaces of its own, as any user. README's lines install it and a node joins a real etcd; an upgrade, a removal and a purge do what
# board/debian says. Prints its tests in cmocka's form; each goes on where the one before ended, and the first failure ends all.
set -u
cd "$(dirname "$0")/../.." || exit 1
export LC_ALL=C
. tests/support/cases.sh
readonly address=172.30.0.11

# --- Outside: what it takes. ---

outside() {
  local suite=${1:-$(. /etc/os-release && echo "${VERSION_CODENAME-}")} work status program
  begin "a node can be a small Debian $suite"
  for program in etcd etcdctl nft ip apt-get dpkg-deb unshare; do
    command -v "$program" >/dev/null || skip "no program $program in PATH"
  done
  unshare --user --map-root-user --mount --pid --net --fork --mount-proc true 2>/dev/null || skip 'no user namespaces, or a /proc that is masked'
  work=$(mktemp -d) || exit 1
  # What its namespaces made is removed from within one, too: it belongs to their root.
  trap 'rm -rf "$work"' EXIT
  trap 'exit 1' INT TERM
  root=$PWD/build/package/root-$suite
  tests/package/root.sh "$suite" "$root" apt dpkg dash bash sed grep findutils coreutils tar gzip passwd init-system-helpers systemd mawk diffutils libc-bin perl-base \
    >"$work/log" 2>&1 || fail "no root: $(tail -n 5 "$work/log")"
  package=build/flannelette_$(toolchains/news.sh version)_$(dpkg --print-architecture).deb
  [ -f "$package" ] || fail "$package is not there: run make deb first"

  cp -a "$root" "$work/root"
  mkdir -p "$work/root/packages/build" "$work/newer"
  cp "$package" "$work/root/packages/build/"
  # A later version, whose example of the settings has another line.
  dpkg-deb -R "$package" "$work/newer"
  sed -i 's/^Version: .*/&.1/' "$work/newer/DEBIAN/control"
  echo '# one line more' >>"$work/newer/etc/flannelette.ini"
  dpkg-deb --root-owner-group --build "$work/newer" "$work/root/packages/newer.deb" >/dev/null || fail 'the later version cannot be packed'
  end
  timeout 120 unshare --user --map-root-user --mount --pid --net --uts --ipc --fork --kill-child --mount-proc "$0" inside "$work"
  status=$?
  exit $status
}

# --- Inside. ---

in_root() { "${enter[@]}" "$@" </dev/null; }

set_up() {
  ip link set lo up
  echo 1 >/proc/sys/net/ipv6/conf/all/disable_ipv6
  echo 1 >/proc/sys/net/ipv6/conf/default/disable_ipv6
  ip link add eth0 type veth peer name underlay
  ip link set underlay up
  ip link set eth0 up
  ip addr add $address/24 dev eth0
  ip route add default via 172.30.0.1
  mount --bind "$root" "$root"
  mount -t proc proc "$root/proc"
  mount -t sysfs sysfs "$root/sys"
  mount -t tmpfs tmpfs "$root/tmp"
  mount -t tmpfs tmpfs "$root/run"
  for device in null zero urandom random; do
    touch "$root/dev/$device"
    mount --bind "/dev/$device" "$root/dev/$device"
  done
  # A user namespace with one user has none to change to.
  printf '%s\n' 'APT::Sandbox::User "root";' 'APT::Get::Assume-Yes "true";' 'Dpkg::Use-Pty "false";' 'DPkg::Options { "--force-confold"; };' \
    >"$root/etc/apt/apt.conf.d/test"
  # The two lines that a user changes.
  printf '%s\n' '#!/bin/sh' "exec sed -i 's|^#\\(endpoint = \\)https://etcd1.*|\\1http://$address:2379|; s|^#\\(interface = eth0\\)\$|\\1|' \"\$1\"" \
    >"$root/usr/bin/editor"
  chmod 755 "$root/usr/bin/editor"
  etcd --data-dir "$work/etcd" --listen-client-urls http://$address:2379 --advertise-client-urls http://$address:2379 \
    --listen-peer-urls http://127.0.0.1:2380 >"$work/etcd.log" 2>&1 &
  until_true 20 etcdctl put /coreos.com/network/config '{"Network":"10.64.0.0/16","Backend":{"Type":"vxlan"}}' ||
    fail "etcd: $(tail -n 3 "$work/etcd.log")"
}

etcdctl() { ETCDCTL_API=3 command etcdctl --endpoints=http://$address:2379 "$@" >/dev/null 2>&1; }

data_plane() {
  ip -d link show
  ip addr show
  ip route show table all
  ip nexthop show
  ip neigh show nud permanent
  bridge fdb show
  nft list ruleset
}

# All files with modes and owners, and what is in /etc. Not what installing anything leaves: dpkg's and apt's own, and backups of
# the password files.
files() {
  find "$root" -xdev \( -path "$root/packages" -o -path "$root/var/log" -o -path "$root/var/lib/apt" -o -path "$root/var/cache" \) -prune -o \
    ! -path "$root/var/lib/dpkg/*" ! -path "$root/etc/*-" ! -name .pwd.lock -printf '%M %U:%G %P %l\n' | sort -k 3
  find "$root/run" -printf '%M run/%P\n' | sort
  find "$root/etc" -type f ! -name '*-' ! -name .pwd.lock -exec grep -H '' {} + | sort
}

install_line() { sed -n '/^### Debian$/,/^## /s/^    //p' README.md | grep "^$1"; }

start_agent() {
  local command
  command=$(sed -n 's/^ExecStart=//p' "$root/usr/lib/systemd/system/flannelette.service")
  # shellcheck disable=SC2086 # a list of words
  "${enter[@]}" $command </dev/null >>"$work/agent.log" 2>&1 &
  agent=$!
  until_true 20 in_root flannelette status >"$work/log" 2>&1 || fail "no node: $(cat "$work/log" "$work/agent.log")"
}

stop_agent() {
  kill "$agent"
  wait "$agent"
}

run_line() {  # beginning: that line of README, but that nothing can be started "now": no systemd runs
  local line
  line=$(install_line "$1" | sed 's/ --now//')
  [ -n "$line" ] || fail "README has no line $1"
  in_root sh -c "cd /packages && $line" >"$work/log" 2>&1 || fail "$line: exit status $?: $(cat "$work/log")"
}

no_data_plane() {
  ! data_plane 2>/dev/null | grep -e flannel -e 10.64
}

inside() {
  work=$1
  root=$work/root
  enter=(chroot "$root" /usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root DEBIAN_FRONTEND=noninteractive)
  begin 'before it is configured, the service is neither enabled nor started'
  set_up
  files >"$work/files"
  data_plane >"$work/plane"
  run_line 'apt install'
  for file in etc/flannelette.ini usr/share/man/man8/flannelette.8.gz usr/share/bash-completion/completions/flannelette; do
    [ -f "$root/$file" ] || fail "$file is not installed"
  done
  grep -q '^flannelette:' "$root/etc/passwd" || fail 'the user is not there'
  [ "$(in_root systemctl is-enabled flannelette)" = disabled ] || fail 'the service is enabled'
  data_plane | diff "$work/plane" - >"$work/log" || fail "the network has changed: $(cat "$work/log")"
  end

  begin "two lines of the INI file, and README's other lines: the node joins, and check finds nothing"
  cp "$root/etc/flannelette.ini" "$work/ini"
  run_line editor
  [ "$(diff "$work/ini" "$root/etc/flannelette.ini" | grep -c '^>')" = 2 ] || fail 'not two lines'
  run_line systemctl
  [ "$(in_root systemctl is-enabled flannelette)" = enabled ] || fail 'the service is not enabled'
  echo 1 >/proc/sys/net/ipv4/ip_forward  # as the unit does
  start_agent  # systemd does it, where it runs
  run_line 'flannelette check'
  ! grep -v '^ok ' "$work/log" >/dev/null || fail "$(cat "$work/log")"
  end

  begin 'an upgrade keeps the running agent, the data plane and the INI file that was edited'
  stop_agent
  sed -i 's/^#ip-masq = false/ip-masq = true/' "$root/etc/flannelette.ini"
  etcdctl put /coreos.com/network/subnets/10.64.9.0-24 \
    '{"PublicIP":"172.30.0.12","BackendType":"vxlan","BackendData":{"VNI":1,"VtepMAC":"aa:bb:cc:00:00:01"}}'
  start_agent
  cp "$root/etc/flannelette.ini" "$work/ini"
  data_plane >"$work/up"
  for part in flannel.1 10.64.9.0/24 'table ip flannelette'; do
    grep -qF "$part" "$work/up" || fail "no $part in the data plane: $(cat "$work/up" "$work/agent.log")"
  done
  in_root apt install /packages/newer.deb >"$work/log" 2>&1 || fail "$(cat "$work/log")"
  kill -0 "$agent" || fail 'the agent has ended'
  data_plane | diff "$work/up" - >"$work/log" || fail "the data plane has changed: $(cat "$work/log")"
  diff "$work/ini" "$root/etc/flannelette.ini" || fail 'the INI file has changed'
  stop_agent
  start_agent
  data_plane | diff "$work/up" - >"$work/log" || fail "the data plane is another one with the new version: $(cat "$work/log")"
  end

  begin 'a removal leaves a data plane that a running agent has'
  cp "$root/usr/sbin/flannelette" "$work/flannelette"
  in_root apt remove flannelette >"$work/log" 2>&1 || fail "$(cat "$work/log")"
  grep -q 'what is named above stays' "$work/log" || fail "it does not say so: $(cat "$work/log")"
  data_plane | diff "$work/up" - >"$work/log" || fail "the data plane has changed: $(cat "$work/log")"
  run_line 'apt install'
  diff "$work/ini" "$root/etc/flannelette.ini" || fail 'the INI file has changed'
  end

  begin 'a removal takes away the data plane of an agent that is stopped, and no setting'
  stop_agent
  data_plane | diff "$work/up" - >"$work/log" || fail "the data plane went with the agent: $(cat "$work/log")"
  in_root apt remove flannelette >"$work/log" 2>&1 || fail "$(cat "$work/log")"
  no_data_plane || fail "$(data_plane; cat "$work/log")"
  [ -f "$root/etc/flannelette.ini" ] || fail 'the INI file is gone'
  end

  begin 'a purge leaves the folders and the user to another agent that runs'
  run_line 'apt install'
  start_agent
  files_of_agent() { find "$root/var/lib/flannelette" "$root/run/flannelette" "$root/run/flannel" ! -type d | sort; }
  files_of_agent >"$work/kept"
  [ -s "$work/kept" ] || fail 'the agent has no files'
  data_plane >"$work/up"
  in_root apt purge flannelette >"$work/log" 2>&1 || fail "$(cat "$work/log")"
  grep -q '^flannelette: another agent runs here, so .* stay$' "$work/log" || fail "it does not say so: $(cat "$work/log")"
  ! files_of_agent | diff "$work/kept" - | grep '^<' >"$work/log" || fail "files are gone: $(cat "$work/log")"
  grep -q '^flannelette:' "$root/etc/passwd" || fail 'the user is gone'
  data_plane | diff "$work/up" - >"$work/log" || fail "the data plane has changed: $(cat "$work/log")"
  stop_agent
  end

  begin 'a purge leaves nothing'
  run_line 'apt install'
  run_line editor
  start_agent
  stop_agent
  in_root apt purge flannelette >"$work/log" 2>&1 || fail "$(cat "$work/log")"
  files | diff "$work/files" - >"$work/log" || fail "files: $(cat "$work/log")"
  data_plane | diff "$work/plane" - >"$work/log" || fail "network: $(cat "$work/log")"
  end
}

case ${1-} in inside) inside "$2" ;; *) outside "$@" ;; esac
