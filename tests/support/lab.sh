# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# A lab: machines that are network namespaces on one underlay bridge, with an etcd on the bridge's own address. It lives in
# network, mount and process namespaces of its own (and, without root, a user namespace), so it touches nothing of the
# machine it runs on, any number may run side by side, and its end is the end of one process: no kill, however rude,
# leaves anything to clean up.
#
# A script sources this file and runs itself a second time inside the lab:
#
#   if [[ ${1-} != --inside ]]; then lab_open "$0" --inside; exit; fi
#   lab_enter

readonly LAB_HOST=172.20.0.1 # the underlay bridge; etcd listens here
readonly LAB_ETCD=http://$LAB_HOST:2379
readonly LAB_DIR=/run/lab # inside only: logs, and a folder for each machine

# lab_need COMMAND=PACKAGE...: end with the packages that are missing.
lab_need() {
  local pair missing=()
  PATH=$PATH:/usr/sbin:/sbin
  for pair; do
    command -v "${pair%%=*}" >/dev/null || missing+=("${pair#*=}")
  done
  ((${#missing[@]} == 0)) && return
  echo "missing here: apt-get install ${missing[*]}" >&2
  exit 1
}

# lab_open COMMAND...: run it as process 1 of a new lab; returns what it gave to lab_close, or 1 if it died before that.
# With KEEP set the lab goes on after lab_close, else it has ended when this returns or this shell dies.
lab_open() {
  local space=(unshare --net --mount --pid --fork --kill-child)
  local out verdict pid result
  if ((EUID != 0)); then
    space+=(--map-root-user)
    if ! "${space[@]}" true 2>/dev/null; then
      echo 'user namespaces are not allowed here: run this as root' >&2
      return 1
    fi
  fi
  # The verdict comes through a pipe: when process 1 dies, so does every holder of its other end, and read() returns.
  exec {out}>&1
  exec {verdict}< <(
    exec 3>&1 >&"$out" {out}>&-
    # The parent may have died before the signal was asked for.
    # shellcheck disable=SC2016 # expanded by that shell
    exec setpriv --pdeathsig KILL bash -c '[[ $PPID == "$0" ]] && exec setsid "$@"' $$ "${space[@]}" "$@"
  )
  pid=$!
  exec {out}>&-
  # shellcheck disable=SC2064 # the pid of now
  trap "kill -KILL $pid 2>/dev/null || true" EXIT
  trap 'exit 129' HUP
  trap 'exit 130' INT
  trap 'exit 143' TERM
  read -r result <&"$verdict" || result=1
  return "$result"
}

# lab_enter: the inner half of lab_open. Sets LAB_PID, the lab's process 1 as the outside counts it.
lab_enter() {
  trap 'exit 130' INT TERM
  read -r LAB_PID _ </proc/self/stat # still the outer /proc
  readonly LAB_PID
  export LAB_PID
  mount -t proc proc /proc
  mount -t tmpfs -o mode=755 tmpfs /run
  mkdir -p "$LAB_DIR" /run/netns
  ip link set lo up
  ip link add underlay type bridge
  ip addr add "$LAB_HOST/24" dev underlay
  ip link set underlay up
}

# lab_close STATUS: hand the verdict out and end. With KEEP, unless it failed, process 1 cuts the bond to the outer half
# and goes on, holding none of its files, until a SIGTERM.
lab_close() {
  if [[ -z ${KEEP-} || $1 != 0 ]]; then
    echo "$1" >&3
    exit "$1"
  fi
  trap - EXIT
  # shellcheck disable=SC2016 # expanded by that shell
  exec setpriv --pdeathsig clear bash -c '
    trap "exit 0" TERM
    exec </dev/null >/dev/null 2>&1
    echo 0 >&3 || exit
    exec 3>&-
    while :; do sleep 3600 & wait $!; done' lab
}

# lab_poll SECONDS COMMAND...: try it until it succeeds; fails at the deadline.
lab_poll() {
  local end=$((${EPOCHREALTIME/[.,]/} + $1 * 1000000))
  shift
  until "$@"; do
    ((${EPOCHREALTIME/[.,]/} < end)) || return 1
    sleep 0.05
  done
}

# lab_machine NAME ADDRESS: a network namespace with eth0 on the underlay. Segmentation offload is off on it, so that
# what crosses the bridge are packets as a wire would carry them.
lab_machine() {
  local name=$1 address=$2
  mkdir -p "$LAB_DIR/$name"/{run,lib}
  ip netns add "$name"
  ip -n "$name" link set lo up
  ip link add "to-$name" type veth peer name eth0 netns "$name"
  ip link set "to-$name" master underlay up
  ip -n "$name" link set eth0 gso_max_segs 1
  ip -n "$name" addr add "$address/24" dev eth0
  ip -n "$name" link set eth0 up
}

# lab_start NAME COMMAND...: run it in the background on that machine, with a /run and a /var/lib of its own, no
# environment and no configuration file of this host, output into $LAB_DIR/NAME/log. Sets LAB_STARTED to its pid.
lab_start() {
  local name=$1
  shift
  # shellcheck disable=SC2016 # expanded by that shell
  env -i PATH="$PATH" ip netns exec "$name" sh -ec '
    mount --bind "$0/lib" /var/lib
    if [ -e /etc/flannelette.ini ]; then mount --bind /dev/null /etc/flannelette.ini; fi
    mount --bind "$0/run" /run
    exec "$@"' "$LAB_DIR/$name" "$@" </dev/null >>"$LAB_DIR/$name/log" 2>&1 3>&- &
  export LAB_STARTED=$!
}

# lab_etcd: start etcd, or LAB_ETCD_PROGRAM. It is ready when lab_etcd_put succeeds.
lab_etcd() {
  mkdir -p "$LAB_DIR/etcd"
  env -i PATH="$PATH" "${LAB_ETCD_PROGRAM:-etcd}" --data-dir "$LAB_DIR/etcd/data" --listen-peer-urls http://127.0.0.1:2380 \
    --listen-client-urls "$LAB_ETCD" --advertise-client-urls "$LAB_ETCD" --enable-grpc-gateway \
    </dev/null >"$LAB_DIR/etcd/log" 2>&1 3>&- &
}

# lab_etcd_put KEY VALUE: fails, silently, while etcd does not answer.
lab_etcd_put() (
  body="{\"key\":\"$(printf %s "$1" | base64 -w 0)\",\"value\":\"$(printf %s "$2" | base64 -w 0)\"}"
  exec 4<>"/dev/tcp/$LAB_HOST/2379" || exit 1
  printf 'POST /v3/kv/put HTTP/1.1\r\nHost: %s\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s' \
    "$LAB_HOST" "${#body}" "$body" >&4
  read -r _ status _ <&4 && [[ $status == 200 ]]
) 2>/dev/null
