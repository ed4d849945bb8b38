#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Three nodes join an overlay through a real etcd, or an API server of Kubernetes, and their pods talk to each other over
# VXLAN; see what each node has programmed, what crossed the wire, and what status, metrics and check say of a node. Exits 0
# only if everything arrived. Root is used if it is there, not needed.
#
#   tests/demo.sh           needs build/flannelette (`make demo` builds it first)
#   KEEP=1 tests/demo.sh    leaves it running and says how to look around
#   FLANNELETTE=...         another binary with flanneld's command line
#   KUBE_APISERVER=path KUBE_ETCD=path tests/demo.sh
#                           the same in Kubernetes: a real API server, with Nodes instead of leases
set -euo pipefail
shopt -s extglob

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=support/lab.sh
source "$here/support/lab.sh"
# shellcheck source=support/lab_kube.sh
source "$here/support/lab_kube.sh"

readonly NETWORK=10.244.0.0/16
readonly NODES=(node1 node2 node3)
readonly CONFIG="{\"Network\":\"$NETWORK\",\"Backend\":{\"Type\":\"vxlan\"}}"
readonly TRANSFER_MIB=4
FLANNELETTE=${FLANNELETTE:-$here/../build/flannelette}
KUBE_APISERVER=${KUBE_APISERVER-}
KUBE_ETCD=${KUBE_ETCD-}
KEEP=${KEEP-}
[[ $KEEP != 0 ]] || KEEP=

if [[ ${1-} != --inside ]]; then
  if [[ ! -x $FLANNELETTE ]]; then
    echo "no binary at $FLANNELETTE: run make first" >&2
    exit 1
  fi
  lab_need ip=iproute2 nft=nftables ping=iputils-ping tcpdump=tcpdump socat=socat curl=curl
  if [[ $KUBE_APISERVER ]]; then
    KUBE_APISERVER=$(realpath "$KUBE_APISERVER")
    KUBE_ETCD=$(realpath "${KUBE_ETCD:?say where its etcd is}")
    lab_need openssl=openssl
  else
    lab_need etcd=etcd-server
  fi
  FLANNELETTE=$(realpath "$FLANNELETTE")
  export FLANNELETTE KEEP KUBE_APISERVER KUBE_ETCD
  lab_open "${BASH_SOURCE[0]}" --inside
  exit
fi

declare -A address pod_ip subnet gateway mtu agent # by node
declare -a agent_flags
declare -A node_at                                 # by underlay address
bold='' dim='' red='' plain=''
if [[ -t 1 && -z ${NO_COLOR-} ]]; then bold=$'\e[1m' dim=$'\e[2m' red=$'\e[31m' plain=$'\e[0m'; fi
readonly bold dim red plain
readonly began=${EPOCHREALTIME/[.,]/}

# --- Words ---

# step TOPIC TEXT: one line of progress, with the time since the start.
step() {
  local ms=$(((${EPOCHREALTIME/[.,]/} - began) / 1000))
  printf '%s%4d.%d s%s  %-10s %s\n' "$dim" $((ms / 1000)) $((ms % 1000 / 100)) "$plain" "$1" "$2"
}

title() { printf '\n%s%s%s%s\n' "$bold" "$1" "$plain" "${2:+  $2}"; }

# heads FORMAT WORD...: the head of a table.
heads() {
  local format=$1
  shift
  # shellcheck disable=SC2059 # a column format
  printf "$dim  $format$plain\n" "$@"
}

# die TEXT: with what the programs had to say.
die() {
  local log
  trap - EXIT
  printf '\n%sfailed%s: %s\n' "$red" "$plain" "$1"
  for log in "${NODES[@]}" etcd kube; do
    [[ -s $LAB_DIR/$log/log ]] || continue
    title "$log" 'last lines of its log'
    tail -n 12 "$LAB_DIR/$log/log" | cut -c 1-200 | sed 's/^/  /'
  done
  lab_close 1
}

# after WORD TEXT...: the word that follows it, empty if it is not there.
after() {
  local word=$1
  shift
  while (($# > 1)); do
    if [[ $1 == "$word" ]]; then
      echo "$2"
      return
    fi
    shift
  done
}

mib() { printf '%d.%d MiB' $(($1 / 1048576)) $(($1 % 1048576 * 10 / 1048576)); }

# --- Parts of the lab ---

registry_etcd() {
  lab_etcd
  lab_poll 20 lab_etcd_put /coreos.com/network/config "$CONFIG" || die 'etcd does not answer'
  step etcd "$LAB_ETCD, Network $NETWORK"
  agent_flags=(--etcd-endpoints="$LAB_ETCD")
}

registry_kube() {
  lab_kube
  lab_poll 60 lab_kube_request GET /api/v1/namespaces/kube-system >/dev/null || die 'the API server does not answer'
  lab_kube_rights "$here/../board/k3s/rbac.yaml" || die 'the manifest is not accepted'
  step kubernetes "$LAB_KUBE, with the rights of rbac.yaml"
  agent_flags=(--kube-subnet-mgr --kubeconfig-file=/run/kubeconfig --net-config-path=/run/net-conf.json)
}

# node_kube NODE: its Node has a podCIDR already, and the network config is a file.
node_kube() {
  lab_kube_node "$1" "${NETWORK%.0.0/16}.${1#node}.0/24" || die "no Node $1"
  printf '%s' "$CONFIG" >"$LAB_DIR/$1/run/net-conf.json"
}

agents_live() {
  local node
  for node in "${NODES[@]}"; do
    kill -0 "${agent[$node]}" 2>/dev/null || die "${FLANNELETTE##*/} on $node has ended"
  done
}

has_subnet() {
  agents_live
  [[ -s $LAB_DIR/$1/run/flannel/subnet.env ]]
}

# pod_up NODE: a bridge and a pod as the flannel CNI plugin makes them from subnet.env.
pod_up() {
  local node=$1 pod=${1/node/pod} FLANNEL_NETWORK='' FLANNEL_SUBNET='' FLANNEL_MTU='' FLANNEL_IPMASQ=''
  # shellcheck source=/dev/null
  source "$LAB_DIR/$node/run/flannel/subnet.env"
  [[ $FLANNEL_NETWORK == "$NETWORK" && $FLANNEL_SUBNET == *.1/24 && $FLANNEL_MTU && $FLANNEL_IPMASQ == true ]] ||
    die "unexpected subnet.env on $node"
  gateway[$node]=${FLANNEL_SUBNET%/*}
  subnet[$node]=${gateway[$node]%.1}.0/24
  pod_ip[$node]=${gateway[$node]%.1}.2
  mtu[$node]=$FLANNEL_MTU

  ip -n "$node" link add cni0 mtu "$FLANNEL_MTU" type bridge
  ip -n "$node" addr add "$FLANNEL_SUBNET" dev cni0
  ip -n "$node" link set cni0 up
  ip netns exec "$node" sh -c 'echo 1 >/proc/sys/net/ipv4/ip_forward'

  ip netns add "$pod"
  ip -n "$node" link add "to-$pod" mtu "$FLANNEL_MTU" type veth peer name eth0 mtu "$FLANNEL_MTU" netns "$pod"
  ip -n "$node" link set "to-$pod" master cni0 up
  ip -n "$pod" link set lo up
  ip -n "$pod" addr add "${pod_ip[$node]}/24" dev eth0
  ip -n "$pod" link set eth0 up
  ip -n "$pod" route add default via "${gateway[$node]}"

  # Every pod answers a transfer with the checksum of what it got and the address that it came from.
  # shellcheck disable=SC2016 # expanded by the shell that socat runs
  ip netns exec "$pod" socat -t 20 TCP-LISTEN:7000,reuseaddr,fork SYSTEM:'sha256sum; echo $SOCAT_PEERADDR' \
    </dev/null >"$LAB_DIR/$pod.log" 2>&1 3>&- &
}

pods_listen() {
  local node
  for node in "${NODES[@]}"; do
    [[ -n $(ip netns exec "${node/node/pod}" ss -Hltn 'sport = 7000') ]] || return 1
  done
}

routes_of() { ip -n "$1" route show dev flannel.1; }
neighbours_of() { ip -n "$1" -4 neigh show dev flannel.1 nud permanent; }
fdb_of() { bridge -n "$1" fdb show dev flannel.1; }

# Exactly one route, neighbour and FDB entry for each other node, on every node.
peers_are_programmed() {
  local node table want=$((${#NODES[@]} - 1))
  agents_live
  for node in "${NODES[@]}"; do
    for table in routes_of neighbours_of fdb_of; do
      [[ $("$table" "$node" | wc -l) == "$want" ]] || return 1
    done
  done
}

# Counters on the underlay bridge, and an empty chain to block with. Their names are no words of nft's language, to which
# releases add (vxlan is one since 1.1).
count_underlay() {
  nft -f - <<END
table bridge lab {
  counter wrapped_packets { }
  counter bare_packets { }
  chain block_packets { type filter hook forward priority -1; }
  chain count_packets {
    type filter hook forward priority 0;
    udp dport 8472 counter name wrapped_packets
    ip daddr $NETWORK counter name bare_packets
  }
}
END
}

# counted NAME: packets and bytes.
counted() {
  local words
  read -ra words <<<"$(nft list counter bridge lab "$1" | tr '\n' ' ')"
  echo "$(after packets "${words[@]}") $(after bytes "${words[@]}")"
}

# --- What is shown ---

# The way of a packet, from the kernel's own tables: route -> gateway -> its MAC -> the node behind that MAC.
show_node() {
  local node=$1 line words net via mac behind link
  local -A mac_of=() behind_of=()
  while read -ra words; do mac_of[${words[0]}]=$(after lladdr "${words[@]}"); done < <(neighbours_of "$node")
  while read -ra words; do behind_of[${words[0]}]=$(after dst "${words[@]}"); done < <(fdb_of "$node")
  read -ra link < <(ip -n "$node" -d -o link show flannel.1)

  title "$node" "${address[$node]}"
  printf '  subnet     %s, pod %s, MTU %s\n' "${subnet[$node]}" "${pod_ip[$node]}" "${mtu[$node]}"
  line=$(ip -n "$node" -4 -o addr show flannel.1)
  read -ra words <<<"$line"
  printf '  flannel.1  %s, %s, VNI %s, port %s\n\n' "$(after inet "${words[@]}")" "$(after link/ether "${link[@]}")" \
    "$(after id "${link[@]}")" "$(after dstport "${link[@]}")"
  heads '%-9s  %-16s  %-14s  %-19s  %s' peer route gateway neighbour FDB
  while read -ra words; do
    net=${words[0]} via=$(after via "${words[@]}")
    mac=${mac_of[$via]:-none} behind=${behind_of[$mac]:-none}
    printf '  %-9s  %-16s  %-14s  %-19s  %s\n' "${node_at[$behind]:-?}" "$net" "$via" "$mac" "$behind"
  done < <(routes_of "$node") | sort
}

# across COMMAND: a table of COMMAND FROM TO for all ordered pairs of nodes.
across() {
  local from to cell row
  heads '%-9s  %-14s  %-14s  %s' '' "${NODES[@]/#node/to pod}"
  for from in "${NODES[@]}"; do
    row=''
    for to in "${NODES[@]}"; do
      cell=-
      if [[ $from != "$to" ]]; then
        cell=$("$1" "$from" "$to") || die "${from/node/pod} to ${to/node/pod}: $cell"
      fi
      row+=$(printf '  %-14s' "$cell")
    done
    printf '  %-9s%s\n' "${from/node/pod}" "${row%%+( )}"
  done
}

# The largest packet that fits, not to be fragmented.
ping_pair() {
  local reply
  reply=$(ip netns exec "${1/node/pod}" ping -n -q -c 3 -i 0.01 -W 2 -M "do" -s $((mtu[$1] - 28)) "${pod_ip[$2]}") ||
    { echo 'no reply'; return 1; }
  reply=${reply##*= } # min/avg/max/mdev
  reply=${reply#*/}
  echo "${reply%%/*} ms"
}

transfer_pair() {
  local start sum seen ms
  start=${EPOCHREALTIME/[.,]/}
  { read -r sum _ && read -r seen; } < <(ip netns exec "${1/node/pod}" \
    socat -t 20 - "TCP:${pod_ip[$2]}:7000,connect-timeout=5" <"$LAB_DIR/data") || { echo 'no answer'; return 1; }
  ms=$(((${EPOCHREALTIME/[.,]/} - start) / 1000))
  [[ $sum == "$data_sum" ]] || { echo 'other bytes than were sent'; return 1; }
  [[ $seen == "${pod_ip[$1]}" ]] || { echo "arrived from $seen"; return 1; }
  echo "equal, $ms ms"
}

replies() { ip netns exec "${1/node/pod}" ping -n -q -c 1 -W 1 "$2" >/dev/null; }

# One ICMP packet inside VXLAN: its protocol byte is 39 bytes into the UDP header. tcpdump insists on setgroups(), which
# a user namespace made without root does not have.
start_capture() {
  [[ $(</proc/self/setgroups) == allow ]] || return 0
  tcpdump -Z root -i underlay -nn -t -T vxlan --immediate-mode -c 1 'udp dst port 8472 and udp[39] = 1' \
    </dev/null >"$LAB_DIR/capture" 2>"$LAB_DIR/tcpdump.log" 3>&- &
  lab_poll 5 grep -qs 'listening on' "$LAB_DIR/tcpdump.log" || die "$(<"$LAB_DIR/tcpdump.log")"
}

show_capture() {
  if [[ ! -e $LAB_DIR/capture ]]; then
    printf '  %s\n' 'one frame decoded: by root only, tcpdump does not work in this user namespace'
    return
  fi
  lab_poll 5 test -s "$LAB_DIR/capture" || die 'tcpdump saw no ping in UDP 8472'
  printf '  %s\n' 'one frame, decoded by tcpdump'
  sed "1s/^IP/${dim}outer${plain}/; 2s/^ *IP/${dim}inner${plain}/; s/^/    /" "$LAB_DIR/capture"
}

show_underlay() {
  local packets bytes bare pairs=$((${#NODES[@]} * (${#NODES[@]} - 1)))
  read -r packets bytes < <(counted wrapped_packets)
  read -r bare _ < <(counted bare_packets)
  ((bytes > pairs * TRANSFER_MIB * 1048576)) || die "only $bytes bytes in UDP 8472"
  ((bare == 0)) || die "$bare packets with pod addresses outside of VXLAN"
  title underlay 'counted on the bridge between the nodes'
  printf '  %-28s %s packets, %s\n' 'in UDP 8472' "$packets" "$(mib "$bytes")"
  printf '  %-28s %s packets\n' 'pod addresses outside of it' "$bare"

  nft add rule bridge lab block_packets udp dport 8472 drop
  if replies node1 "${pod_ip[node2]}"; then die 'a ping arrived with UDP 8472 blocked'; fi
  nft flush chain bridge lab block_packets
  replies node1 "${pod_ip[node2]}" || die 'no ping after UDP 8472 was let through again'
  printf '  %-28s %s\n' 'with UDP 8472 blocked' 'pod1 to pod2: no reply' 'let through again' 'reply'

  show_capture
}

# What flanneld reads of each other node.
show_annotations() {
  local node
  title annotations 'of the Nodes, as each agent has written its own'
  for node in "${NODES[@]}"; do
    printf '  %-9s  %s\n' "$node" "$(lab_kube_request GET "/api/v1/nodes/$node" |
      grep -o '"flannel\.alpha\.coreos\.com/backend-data":"[^}]*}"' | cut -d: -f2-)"
  done
}

# told NODE COMMAND...: what a person would type where its agent runs, and what comes of it, indented. Its exit status.
told() {
  local node=$1 status=0
  shift
  title "$node" "# ${*//$FLANNELETTE/flannelette}"
  env -i PATH="$PATH" NODE_NAME="$node" nsenter -t "${agent[$node]}" -m -n -- sh -c "$*" >"$LAB_DIR/told" 2>&1 || status=$?
  sed 's/^/  /' "$LAB_DIR/told"
  return "$status"
}

has_verb() { "$FLANNELETTE" help 2>&1 | grep "^  $1 " >/dev/null; }

# What an agent says of itself, and what is found on its node, where the program has the verbs.
show_health() {
  if has_verb status; then
    told node1 "$FLANNELETTE" status || die "status ended with $?"
    told node1 curl -s --unix-socket /run/flannelette/flannelette.sock http://node1/metrics "| grep -v -e '^#' -e ' 0$'" ||
      die 'there are no metrics'
  fi
  if has_verb check; then
    told node1 "$FLANNELETTE" check "${agent_flags[@]}" --iface=eth0 --ip-masq || (($? == 1)) || die 'check found a failure'
  fi
}

show_size() {
  local node kib rss=()
  for node in "${NODES[@]}"; do
    kib=$(sed -n 's/^VmRSS:[[:space:]]*\([0-9]*\) kB$/\1/p' "/proc/${agent[$node]}/status")
    rss+=("$node $kib KiB")
  done
  title size
  printf '  %-10s %d KiB (%s)\n' binary $((($(stat -c %s "$FLANNELETTE") + 1023) / 1024)) "${FLANNELETTE##*/}"
  printf '  %-10s %s, %s, %s\n' memory "${rss[@]}"
}

show_ways_in() {
  local enter="nsenter -t $LAB_PID -m -n -p"
  ((LAB_ROOT)) || enter="nsenter -t $LAB_PID -U --preserve-credentials -m -n -p"
  title 'still running' 'all of it inside one process tree'
  printf '  %-20s %s\n' 'a shell in the lab' "$enter" 'to see there' 'ip netns' '' 'ip -n node1 route' \
    '' 'bridge -n node1 fdb show dev flannel.1' '' 'ip netns exec pod1 bash' '' "tail -f $LAB_DIR/node1/log" \
    'stop it all' "kill $LAB_PID"
}

# --- The demonstration ---

read -r _ outer_uid _ </proc/self/uid_map
LAB_ROOT=$((outer_uid == 0))
printf '%sflannelette%s  three nodes, one %s, pods that talk over VXLAN\n\n' "$bold" "$plain" \
  "$([[ $KUBE_APISERVER ]] && echo 'API server of Kubernetes' || echo etcd)"
lab_enter
trap '(($? == 0 || $? > 128)) || die "a command ended with $?"' EXIT
count_underlay
step lab "own network, mount and process namespaces$( ((LAB_ROOT)) || echo ', no root')"

if [[ $KUBE_APISERVER ]]; then registry_kube; else registry_etcd; fi

number=11
for node in "${NODES[@]}"; do
  address[$node]=${LAB_HOST%.*}.$((number++))
  node_at[${address[$node]}]=$node
  lab_machine "$node" "${address[$node]}"
  [[ -z $KUBE_APISERVER ]] || node_kube "$node"
done
for node in "${NODES[@]}"; do
  lab_start "$node" env NODE_NAME="$node" "$FLANNELETTE" "${agent_flags[@]}" --iface=eth0 --ip-masq
  agent[$node]=$LAB_STARTED
done
step nodes "${address[node1]} to ${address[node3]} started together"

for node in "${NODES[@]}"; do
  lab_poll 20 has_subnet "$node" || die "no subnet.env on $node"
  pod_up "$node"
  step "$node" "holds ${subnet[$node]}, its pod is ${pod_ip[$node]}"
done
lab_poll 20 peers_are_programmed || die 'not every node has programmed the others'
step peers 'each node has a route, a neighbour and an FDB entry for each other, and no more'
lab_poll 5 pods_listen || die 'a pod does not listen'

for node in "${NODES[@]}"; do show_node "$node"; done
[[ -z $KUBE_APISERVER ]] || show_annotations

start_capture

title ping 'packets of the full MTU, unfragmented, round trip'
across ping_pair

head -c "${TRANSFER_MIB}M" /dev/urandom >"$LAB_DIR/data"
read -r data_sum _ < <(sha256sum "$LAB_DIR/data")
title transfer "$TRANSFER_MIB MiB by TCP, SHA-256 and source address compared"
across transfer_pair

for node in "${NODES[@]}"; do
  replies "$node" "$LAB_HOST" || die "${node/node/pod} does not reach $LAB_HOST"
done
title masquerade
printf '  all pods reach %s, which has no route back to them\n' "$LAB_HOST"

show_underlay
agents_live
show_health
show_size

echo
step "done" 'everything arrived'
[[ -z $KEEP ]] || show_ways_in
lab_close 0
