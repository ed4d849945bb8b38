#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# flannelette and flanneld in one cluster: each programs the other, pods reach each other both ways, the records are of one
# form, and flanneld complains of nothing that it does not complain of among its own. Not part of `make test`: flanneld has
# to be had from somewhere. Exits 0 only if all of that is so.
#
#   FLANNELD=path tests/interop.sh            two of each, with vxlan, vxlan with DirectRouting, host-gw
#   FLANNELD=path EACH=5 tests/interop.sh     five of each
#   BACKENDS='direct host-gw'                 some of these
#   FLANNELETTE=path                          another binary than build/flannelette
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=support/lab.sh
source "$here/support/lab.sh"

readonly NETWORK=10.244.0.0/16
readonly EACH=${EACH:-2}
readonly BACKENDS=${BACKENDS:-vxlan direct host-gw}
export ETCDCTL_API=3

if [[ ${1-} == --lab ]]; then # a process of its own: lab_open sets traps
  lab_open "${BASH_SOURCE[0]}" --inside "$2" "$3"
  exit
fi
if [[ ${1-} != --inside ]]; then
  FLANNELETTE=$(realpath "${FLANNELETTE:-$here/../build/flannelette}")
  FLANNELD=$(realpath "${FLANNELD:?say where flanneld is}")
  if [[ ! -x $FLANNELETTE || ! -x $FLANNELD ]]; then
    echo "cannot be executed: $FLANNELETTE or $FLANNELD" >&2
    exit 1
  fi
  lab_need ip=iproute2 bridge=iproute2 etcd=etcd-server etcdctl=etcd-client ping=iputils-ping
  COMPLAINTS=$(mktemp -d)
  export FLANNELETTE FLANNELD COMPLAINTS EACH
  unset KEEP
  result=0
  for backend in $BACKENDS; do
    for kind in pure mixed; do
      ((result)) || "${BASH_SOURCE[0]}" --lab "$kind" "$backend" || result=1
    done
  done
  sort -u -o "$COMPLAINTS/pure" "$COMPLAINTS/pure"
  sort -u -o "$COMPLAINTS/mixed" "$COMPLAINTS/mixed"
  if ((result == 0)); then
    new=$(comm -13 "$COMPLAINTS/pure" "$COMPLAINTS/mixed")
    if [[ $new ]]; then
      printf 'flanneld complains, and does not among its own:\n%s\n' "$new"
      result=1
    else
      echo "flanneld complains of nothing new (among its own: $(wc -l <"$COMPLAINTS/pure") kinds of line)"
    fi
  fi
  rm -rf "$COMPLAINTS"
  ((result)) && echo FAILED || echo passed
  exit "$result"
fi

readonly kind=$2 backend=$3
declare -a nodes
declare -A program pid subnet

# die TEXT: with what the programs had to say.
die() {
  local node
  printf 'failed (%s, %s): %s\n' "$kind" "$backend" "$1"
  for node in "${nodes[@]}"; do
    printf -- '--- %s %s\n' "$node" "${program[$node]##*/}"
    tail -n 12 "$LAB_DIR/$node/log" | cut -c 1-220
  done
  lab_close 1
}

start() { # NODE
  lab_start "$1" "${program[$1]}" --etcd-endpoints="$LAB_ETCD" --iface=eth0 --ip-masq
  pid[$1]=$LAB_STARTED
}

has_subnet() { [[ -s $LAB_DIR/$1/run/flannel/subnet.env ]]; }

# complete NODE: of every other node a route, a neighbour and an FDB entry, or a route by its address alone.
complete() {
  local others=$((${#nodes[@]} - 1))
  if [[ $backend != vxlan ]]; then
    [[ $(ip -n "$1" route show dev eth0 | grep -c '^10\.244\..* via 172\.20\.0\.') == "$others" &&
      -z $(ip -n "$1" neigh show nud permanent) ]]
    return
  fi
  [[ $(ip -n "$1" route show dev flannel.1 | wc -l) == "$others" &&
    $(ip -n "$1" neigh show dev flannel.1 nud permanent | wc -l) == "$others" &&
    $(bridge -n "$1" fdb show dev flannel.1 | grep -c 'self permanent') == "$others" ]]
}

pod_up() { # NODE
  local FLANNEL_SUBNET='' FLANNEL_MTU='' FLANNEL_NETWORK='' pod=$1pod
  # shellcheck source=/dev/null
  source "$LAB_DIR/$1/run/flannel/subnet.env"
  [[ $FLANNEL_NETWORK == "$NETWORK" && $FLANNEL_MTU == "$mtu" ]] || die "subnet.env of $1 is not as expected"
  subnet[$1]=${FLANNEL_SUBNET%.1/24}
  ip netns exec "$1" sh -c 'echo 1 >/proc/sys/net/ipv4/ip_forward'
  ip netns add "$pod"
  ip -n "$1" link add veth0 mtu 1450 type veth peer name eth0 mtu 1450 netns "$pod"
  ip -n "$1" addr add "$FLANNEL_SUBNET" dev veth0
  ip -n "$1" link set veth0 up
  ip -n "$pod" link set lo up
  ip -n "$pod" addr add "${subnet[$1]}.2/24" dev eth0
  ip -n "$pod" link set eth0 up
  ip -n "$pod" route add default via "${subnet[$1]}.1"
}

reaches() { ip netns exec "$1pod" ping -c 1 -W 1 -n -q "${subnet[$2]}.2" >/dev/null; }

all_reach_all() {
  local from to pairs=0
  for from in "${nodes[@]}"; do
    for to in "${nodes[@]}"; do
      [[ $from == "$to" ]] && continue
      lab_poll 5 reaches "$from" "$to" || die "no ping from $from to $to"
      pairs=$((pairs + 1))
    done
  done
  echo "$backend, $kind: $pairs pairs of pods ping each other"
}

# The records with what differs from node to node blanked out.
forms() {
  etcdctl --endpoints "$LAB_ETCD" get --prefix --print-value-only /coreos.com/network/subnets/ | sed '/^$/d' |
    sed -E 's/[0-9]+(\.[0-9]+){3}/ADDRESS/; s/([0-9a-f]{2}:){5}[0-9a-f]{2}/MAC/' | sort | uniq -c
}

# klog's warnings, errors and fatal lines without time, place and numbers; and Go's panics.
complaints() {
  local node
  for node in "${nodes[@]}"; do
    [[ ${program[$node]} == "$FLANNELD" ]] || continue
    sed -nE 's/^([WEF])[0-9]{4} [^]]*\] /\1 /p; /^(panic|fatal error|goroutine)/p' "$LAB_DIR/$node/log"
  done | sed -E 's/[0-9]+/N/g; s/([0-9a-fN]{1,2}:){5}[0-9a-fN]{1,2}/MAC/g' | sort -u
}

lab_enter
lab_etcd
mtu=1450
case $backend in
  vxlan) type='{"Type":"vxlan"}' ;;
  direct) type='{"Type":"vxlan","DirectRouting":true}' ;;
  host-gw) type='{"Type":"host-gw"}' mtu=1500 ;;
  *) die "no backend $backend" ;;
esac
lab_poll 20 lab_etcd_put /coreos.com/network/config "{\"Network\":\"$NETWORK\",\"Backend\":$type}" ||
  die 'etcd does not answer'
for ((i = 1; i <= 2 * EACH; ++i)); do
  node=node$i
  nodes+=("$node")
  program[$node]=$FLANNELD
  [[ $kind == mixed && $((i % 2)) == 0 ]] && program[$node]=$FLANNELETTE
  lab_machine "$node" "172.20.0.$((10 + i))"
  # One after the other: flanneld 0.20.2 loses peers by itself when several start at once.
  start "$node"
  lab_poll 20 has_subnet "$node" || die "no subnet.env on $node"
  for other in "${nodes[@]}"; do lab_poll 10 complete "$other" || die "$other does not know all of ${#nodes[@]} nodes"; done
done
echo "$backend, $kind: ${#nodes[@]} nodes, each has programmed all others"
for node in "${nodes[@]}"; do pod_up "$node"; done
all_reach_all

form=$(forms)
printf '%s, %s: records\n%s\n' "$backend" "$kind" "$form"
[[ $(wc -l <<<"$form") == 1 ]] || die 'the records are of different forms'

if [[ $kind == mixed ]]; then
  kill "${pid[node2]}"
  wait "${pid[node2]}" || die 'flannelette did not end with 0'
  all_reach_all # the data plane stays
  before=$(ip -n node1 route show; bridge -n node1 fdb show)
  start node2
  sleep 2
  kill -0 "${pid[node2]}" || die 'flannelette did not start again'
  [[ $(ip -n node1 route show; bridge -n node1 fdb show) == "$before" ]] ||
    die 'a restart of flannelette changed what flanneld has programmed'
  all_reach_all
  for other in "${nodes[@]}"; do complete "$other" || die "$other has lost a node"; done
  etcdctl --endpoints "$LAB_ETCD" get --prefix /coreos.com/network/subnets/
fi
for node in "${nodes[@]}"; do kill -0 "${pid[$node]}" || die "$node has ended"; done
complaints >>"$COMPLAINTS/$kind"
lab_close 0
