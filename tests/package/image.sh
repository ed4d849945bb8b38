#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# image.sh: the container image (make image) holds the shipped program of each processor and nothing else, small; and it does its work as a
# DaemonSet starts it: PID 1 of its own namespaces on a read-only root, in the host's network, with one capability. Prints its tests in
# cmocka's form; each goes on where the one before ended, and the first failure ends all.
set -u
cd "$(dirname "$0")/../.." || exit 1
export LC_ALL=C
. tests/support/cases.sh
readonly limit=$((600 * 1024)) address=172.30.0.11

# --- Outside: what is in the archive. ---

digests() { grep -o 'sha256:[0-9a-f]\{64\}' "$1" | cut -d : -f 2; }
word() { sed -n "s/.*\"$1\":\"\([^\"]*\)\".*/\1/p" "$2"; }

outside() {
  local program archive blobs manifest config layer target platform emulator size printed status version
  begin 'the archive has one image for each processor: the shipped program alone, of at most 600 KiB'
  for program in tar gzip sha256sum; do
    command -v $program >/dev/null || skip "no program $program in PATH"
  done
  version=$(toolchains/news.sh version)
  archive=build/flannelette-$version-image.tar
  [ -f "$archive" ] || fail "$archive is not there: run make image first"
  work=$(mktemp -d) || exit 1
  trap 'rm -rf "$work"' EXIT
  trap 'exit 1' INT TERM
  mkdir "$work/layout"
  tar -C "$work/layout" -xf "$archive" || fail 'it cannot be unpacked'
  blobs=$work/layout/blobs/sha256
  (cd "$blobs" && for program in *; do echo "$program  $program"; done | sha256sum --quiet -c) || fail 'a digest is wrong'
  [ "$(word org.opencontainers.image.ref.name "$work/layout/index.json")" = "localhost/flannelette:$version" ] ||
    fail "$(cat "$work/layout/index.json")"
  mapfile -t manifests < <(digests "$blobs/$(digests "$work/layout/index.json")")
  for manifest in "${manifests[@]}"; do
    read -r config layer more < <(digests "$blobs/$manifest" | paste -sd ' ')
    [ -z "$more" ] || fail 'there is more than one layer'
    platform=$(word architecture "$blobs/$config")
    case $platform in
      arm) target=armv7 ;;
      386) target=i686 ;;
      *) target=$(awk -v debian="$platform" '/^[^#]/ && $4 == debian { print $1 }' toolchains/targets) ;;
    esac
    mkdir "$work/$target"
    tar -C "$work/$target" -xzpf "$blobs/$layer" || fail "$platform: the layer cannot be unpacked"
    [ "$(tar -tvzf "$blobs/$layer" | awk '{ print $1, $2, $NF }')" = '-rwxr-xr-x 0/0 flannelette' ] || fail "$(tar -tvzf "$blobs/$layer")"
    cmp "$work/$target/flannelette" "build/$target/flannelette" || fail "$platform: it is not the program of $target"
    size=$(gzip -dc "$blobs/$layer" | wc -c)
    echo "$platform: $size bytes, $(stat -c %s "$blobs/$layer") compressed"
    [ "$size" -le $limit ] || fail "$platform: more than $limit bytes"
    grep -q '"Entrypoint":\["/flannelette"\]' "$blobs/$config" || fail "$(cat "$blobs/$config")"
    ! grep -q '"User":\|"Volumes":\|"ExposedPorts":' "$blobs/$config" || fail "$(cat "$blobs/$config")"
    [ "$(word org.opencontainers.image.version "$blobs/$config")" = "$version" ] || fail "$(cat "$blobs/$config")"
  done
  end

  begin 'each program starts, on this machine or emulated'
  machine=$(toolchains/target.sh -m)
  for target in "$work"/*/flannelette; do
    target=$(basename "${target%/flannelette}")
    emulator=
    [ "$target" = "$machine" ] || emulator=$(toolchains/target.sh "$target" qemu)
    [ -z "$emulator" ] || command -v "$emulator" >/dev/null || skip "no program $emulator in PATH"
    printed=$($emulator "$work/$target/flannelette" --version) || fail "$target: exit status $?"
    [[ $printed == *"$version"* ]] || fail "$target: $printed"
  done
  end

  begin 'in a container with a read-only root it says its version'
  for program in etcd etcdctl ip unshare setpriv; do
    command -v $program >/dev/null || skip "no program $program in PATH"
  done
  [ -d "$work/$machine" ] || skip "the archive has no image for $machine"
  unshare --user --map-root-user --mount --pid --net --fork --mount-proc true 2>/dev/null || skip 'no user namespaces, or a /proc that is masked'
  timeout 60 unshare --user --map-root-user --mount --net --fork --kill-child "$0" inside "$work" "$machine"
  status=$?
  exit $status
}

# --- Inside: the host's network; containers have the rest of their own. ---

# container ARGUMENTS...: as containerd starts it, with these volumes and no other file. PID 1, root with CAP_NET_ADMIN alone, and what it takes
# to change the root here.
container() {
  # shellcheck disable=SC2016 # for the other shell
  unshare --mount --pid --uts --ipc --cgroup --fork --kill-child sh -c '
    root=$1
    shift
    mount --bind "$root" "$root" && mount --bind "$root.run" "$root/run" && mount --bind "$root.state" "$root/var/lib/flannelette" &&
      mount --bind "$root.net.d" "$root/etc/cni/net.d" &&
      mount -t proc proc "$root/proc" && mount --bind /dev/null "$root/dev/null" && mount --bind /dev/urandom "$root/dev/urandom" &&
      mount -o remount,bind,ro "$root" && mount --bind "$root/proc/sys" "$root/proc/sys" && mount -o remount,bind,ro "$root/proc/sys" &&
      cd "$root" && exec setpriv --no-new-privs --bounding-set=-all,+net_admin,+sys_chroot --inh-caps=-all unshare --root=. --wd=/ /flannelette "$@"' sh "$root" "$@"
}

etcdctl() { ETCDCTL_API=3 command etcdctl --endpoints=http://$address:2379 "$@" 2>/dev/null; }

inside() {
  local version agent pid child
  work=$1
  root=$work/$2
  version=$(toolchains/news.sh version)
  test='in a container with a read-only root it says its version'
  # Where a runtime mounts something it makes a folder.
  mkdir -p "$root"/{proc,dev,run,var/lib/flannelette,etc/cni/net.d} "$root".{run,state,net.d}
  touch "$root/dev/null" "$root/dev/urandom"
  container --version >"$work/log" 2>&1 || fail "exit status $?: $(cat "$work/log")"
  grep -qF "$version" "$work/log" || fail "$(cat "$work/log")"
  end

  begin 'there it joins by a real etcd'
  ip link set lo up
  ip link add eth0 type veth peer name underlay
  ip link set underlay up
  ip link set eth0 up
  ip addr add $address/24 dev eth0
  ip route add default via 172.30.0.1
  etcd --data-dir "$work/etcd" --listen-client-urls http://$address:2379 --advertise-client-urls http://$address:2379 \
    --listen-peer-urls http://127.0.0.1:2380 >"$work/etcd.log" 2>&1 &
  until_true 20 etcdctl put /coreos.com/network/config '{"Network":"10.64.0.0/16","Backend":{"Type":"vxlan"}}' >/dev/null ||
    fail "etcd: $(tail -n 3 "$work/etcd.log")"
  container --etcd-endpoints=http://$address:2379 --iface=eth0 --ip-masq >"$work/agent.log" 2>&1 &
  agent=$!
  until_true 20 test -s "$root.run/flannel/subnet.env" || fail "$(cat "$work/agent.log")"
  until_true 10 sh -c 'ip -4 addr show flannel.1 2>/dev/null | grep -q "inet 10\.64\."' || fail "$(cat "$work/agent.log")"
  etcdctl get --prefix /coreos.com/network/subnets/ | grep -qF "\"PublicIP\":\"$address\"" || fail "$(cat "$work/agent.log")"
  ! grep '^error' "$work/agent.log" || fail 'it logs errors'
  end

  begin 'SIGTERM ends it at once, and the data plane stays'
  pid=$agent
  while child=$(pgrep -P "$pid"); do pid=$child; done
  [ "$(cat "/proc/$pid/comm")" = flannelette ] || fail 'it does not run'
  kill -TERM "$pid"
  until_true 5 sh -c "! kill -0 $pid 2>/dev/null" || fail 'it runs on'
  wait $agent
  ip link show flannel.1 >"$work/log" 2>&1 || fail "$(cat "$work/log" "$work/agent.log")"
  end

  if container help | grep -q '^  install-cni '; then
    begin 'its verb install-cni writes the list into a folder of the host'
    container install-cni /etc/cni/net.d >"$work/log" 2>&1 || fail "exit status $?: $(cat "$work/log")"
    grep -q '"type": *"flannel"' "$root.net.d"/*.conflist || fail "$(ls "$root.net.d")"
    end
  fi
}

case ${1-} in inside) inside "$2" "$3" ;; *) outside ;; esac
