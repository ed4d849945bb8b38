#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# systemd.sh [SUITE]: the Debian package under a real systemd of that release (by default this machine's), PID 1 of a small Debian in
# namespaces. Prints its tests in cmocka's form; each goes on where the one before ended, and the first failure ends all.
set -u
cd "$(dirname "$0")/../.." || exit 1
export LC_ALL=C
. tests/systemd/container.sh
. tests/support/cases.sh

suite=${1:-$(. /etc/os-release && echo "${VERSION_CODENAME-}")}
begin "a systemd of Debian $suite runs as PID 1, with the package"
for program in etcd etcdctl openssl; do
  command -v "$program" >/dev/null || skip "no program $program in PATH"
done
missing=$(container_missing)
[ -z "$missing" ] || skip "$missing"
package=build/flannelette_$(toolchains/news.sh version)_$(dpkg --print-architecture).deb
[ -f "$package" ] || fail "$package is not there: run make deb first"
work=$(mktemp -d) || exit 1
trap 'container_stop; rm -rf "$work"' EXIT
trap 'exit 1' INT TERM
root=$PWD/build/systemd/root-$suite
tests/package/root.sh "$suite" "$root" systemd udev iproute2 dash coreutils procps sed grep diffutils dpkg init-system-helpers libc-bin passwd perl-base >"$work/log" 2>&1 ||
  fail "no root: $(tail -n 5 "$work/log")"

# --- What is on its disk. ---

more=$work/more
mkdir -p "$more"/etc/{credstore,flannelette,systemd/network,systemd/system/flannelette.service.d} "$more"/usr/{bin,lib} "$more/root"
ln -s usr/bin "$more/bin"
dpkg-deb --fsys-tarfile "$package" | tar -x -C "$more" --no-same-owner
cp "$(command -v etcd)" "$(command -v etcdctl)" "$more/usr/bin/"
cp "$package" "$more/root/flannelette.deb"
echo '127.0.0.1 localhost' >"$more/etc/hosts"
echo '0123456789abcdef0123456789abcdef' >"$more/etc/machine-id"
openssl_for() {  # name, more...
  local name=$1
  shift
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 90 -keyout "$work/$name.key" -out "$work/$name.pem" "$@" 2>"$work/log" ||
    fail "openssl: $(cat "$work/log")"
}
openssl_for ca -subj /CN=test-ca -addext 'keyUsage=critical,keyCertSign,cRLSign'
sign=(-CA "$work/ca.pem" -CAkey "$work/ca.key" -addext 'basicConstraints=critical,CA:FALSE' -addext 'extendedKeyUsage=serverAuth,clientAuth')
openssl_for server -subj /CN=etcd "${sign[@]}" -addext subjectAltName=IP:127.0.0.1
openssl_for client -subj /O=nodes "${sign[@]}"
cp "$work"/{ca,server,client}.{pem,key} "$more/root/"
# Of the client only root can read anything.
install -m 600 "$work/ca.pem" "$more/etc/credstore/flannelette.ca"
install -m 600 "$work/client.pem" "$more/etc/credstore/flannelette.cert"
install -m 600 "$work/client.key" "$more/etc/credstore/flannelette.key"
credentials=/run/credentials/flannelette.service/flannelette
cat >"$more/etc/flannelette.ini" <<INI
[etcd]
endpoint = https://127.0.0.1:2379
ca-file = $credentials.ca
cert-file = $credentials.cert
key-file = $credentials.key
[node]
interface = eth0
ip-masq = true
ip-forward = set
INI
printf '[Unit]\nAfter=flannelette.service\n[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=grep -q FLANNEL_SUBNET=10.64 /run/flannel/subnet.env\n' \
  >"$more/etc/systemd/system/runtime.service"
cat >"$more/etc/systemd/system/etcd.service" <<'UNIT'
[Service]
Type=notify
ExecStart=etcd --data-dir /root/etcd --listen-client-urls https://127.0.0.1:2379 --advertise-client-urls https://127.0.0.1:2379 --cert-file /root/server.pem --key-file /root/server.key --client-cert-auth --trusted-ca-file /root/ca.pem
UNIT
printf '[Match]\nName=eth0\n[Network]\nAddress=172.30.0.11/24\nGateway=172.30.0.1\nIPv6AcceptRA=no\nLinkLocalAddressing=no\n' >"$more/etc/systemd/network/eth0.network"
printf '[Match]\nName=flannel.1\n[Network]\nIPv6AcceptRA=no\nLinkLocalAddressing=no\nAddress=172.31.0.1/24\n' >"$more/root/all.network"

container_boot "$work" "$root" "$more" || fail "it does not boot: $(tail -n 5 "$work/console")"
in_container systemctl --version | head -n 1
end

# --- What a test asks. ---

etcdctl() { in_container etcdctl --endpoints=https://127.0.0.1:2379 --cacert=/root/ca.pem --cert=/root/client.pem --key=/root/client.key "$@"; }
property() { in_container systemctl show --value --property "$1" flannelette; }
is() { [ "$(property "$1")" = "$2" ]; }
active() { is ActiveState active; }
logged() { in_container journalctl --unit=flannelette --output=cat --no-pager | grep -q -e "$1"; }
log() { in_container journalctl --no-pager --lines=30 --unit=flannelette --unit=etcd; }
setting() {  # line of [Service]...: of a drop-in
  in_container sh -c 'printf "%s\n" "$@" >/etc/systemd/system/flannelette.service.d/test.conf' sh '[Service]' "$@"
  in_container systemctl daemon-reload
}
data_plane() {
  in_container sh -c 'ip -d link show flannel.1; ip addr show flannel.1; ip route show proto 70; ip nexthop; ip neigh show nud permanent; bridge fdb show dev flannel.1; cat /run/flannel/subnet.env'
}
# What is ours of it; networkd has its own ideas of a device that it manages.
objects() {
  in_container sh -c 'ip addr show flannel.1 | grep 10.64; ip route show proto 70; ip nexthop; ip neigh show nud permanent; bridge fdb show dev flannel.1'
}
same_objects() { objects | diff "$work/objects" - >"$work/difference"; }
repaired() { in_container flannelette status | grep -A 9 '^repairs' >"$work/log"; }
same_data_plane() { data_plane | diff "$work/plane" - >"$work/difference"; }
managed() {  # device, state: what networkd (of which networkctl wants D-Bus) says
  in_container sh -c "grep -qx ADMIN_STATE=$2 /run/systemd/netif/links/\$(cat /sys/class/net/$1/ifindex)" 2>/dev/null
}
another_process() {  # PID of the one before: in one answer, since the state changes meanwhile
  in_container systemctl show --property ActiveState,MainPID flannelette >"$work/state"
  grep -qx ActiveState=active "$work/state" && ! grep -qx -e "MainPID=$1" -e MainPID=0 "$work/state"
}

begin 'the unit is accepted without a word, and its exposure is 1.7 at most'
[ -z "$(in_container systemd-analyze verify --man=no flannelette.service 2>&1 | tee "$work/log")" ] || fail "$(cat "$work/log")"
in_container systemd-analyze security --no-pager --threshold=17 flannelette.service >"$work/log" || fail "$(cat "$work/log")"
tail -n 1 "$work/log"
end

begin 'it is not ready without a subnet, and what is ordered after it waits; then it is, as its own user with keys that only root can read'
in_container ip link add eth0 type veth peer name cable
in_container ip link set cable up
in_container systemctl start systemd-networkd
in_container systemctl start --no-block flannelette runtime
until_true 20 logged 'registry request failed' || fail "$(log)"
is ActiveState activating || fail "$(property ActiveState)"
in_container systemctl is-active --quiet runtime && fail 'what is ordered after it is there without a subnet'
in_container systemctl start etcd || fail "$(log)"
etcdctl put /coreos.com/network/config '{"Network":"10.64.0.0/16","Backend":{"Type":"vxlan"}}' >"$work/log" 2>&1 || fail "$(cat "$work/log")"
etcdctl put /coreos.com/network/subnets/10.64.9.0-24 \
  '{"PublicIP":"172.30.0.12","BackendType":"vxlan","BackendData":{"VNI":1,"VtepMAC":"aa:bb:cc:00:00:01"}}' >"$work/log" 2>&1
until_true 30 active || fail "$(log)"
until_true 10 in_container systemctl is-active --quiet runtime || fail "$(in_container systemctl status --no-pager runtime)"
in_container stat -c %U /run/flannel/subnet.env >"$work/log" 2>&1
grep -qx flannelette "$work/log" || fail "subnet.env: $(cat "$work/log")"
in_container grep -e ^Uid -e ^CapEff -e ^Seccomp: "/proc/$(property MainPID)/status" >"$work/log"
grep -q 'CapEff:.0000000000001000$' "$work/log" || fail "$(cat "$work/log")"
! grep -q 'Uid:.0' "$work/log" || fail "$(cat "$work/log")"
[ "$(in_container stat -c '%U %a' /etc/credstore/flannelette.key)" = 'root 600' ] || fail 'anybody reads the key'
until_true 10 in_container sh -c 'ip route show proto 70 | grep -q 10.64.9.0/24' || fail "$(data_plane; log)"
forwards() { [ "$(in_container cat /proc/sys/net/ipv4/ip_forward)" = 1 ]; }
forwards || fail 'ip_forward is 0'
in_container sh -c 'echo 0 >/proc/sys/net/ipv4/ip_forward'
until_true 10 forwards || fail "ip-forward = set does not set it: $(log)"
in_container flannelette status >"$work/log" || fail "$(cat "$work/log")"
# As root, with the settings of the service; and networkd, which runs here, is seen to be kept off.
in_container flannelette check >"$work/log" 2>&1
{ ! grep -q FAIL "$work/log" && grep -q '^ok *programs' "$work/log"; } || fail "$(cat "$work/log")"
end

begin 'while the service runs root has no other of its kind, and nothing of it is removed'
data_plane >"$work/plane"
for verb in cleanup leave run; do
  ! in_container timeout 20 flannelette $verb >"$work/log" 2>&1 || fail "$verb: $(cat "$work/log")"
  grep -q 'another flannelette' "$work/log" || fail "$verb: $(cat "$work/log")"
done
same_data_plane || fail "$(cat "$work/difference")"
in_container test -f /var/lib/flannelette/node || fail 'the state is gone'
end

begin 'udev leaves the device as it is, and networkd does not manage it'
until_true 10 in_container sh -c 'udevadm info /sys/class/net/flannel.1 | grep -q ID_NET_LINK_FILE=/usr/lib/systemd/network/50-flannelette.link' ||
  fail "$(in_container udevadm info /sys/class/net/flannel.1)"
until_true 10 managed flannel.1 unmanaged || fail 'networkd manages it'
end

begin 'a stop leaves the data plane, and a start changes nothing in it'
data_plane >"$work/plane"
grep -q 172.30.0.12 "$work/plane" || fail "$(cat "$work/plane")"
in_container systemctl stop flannelette
is ActiveState inactive || fail "$(log)"
same_data_plane || fail "$(cat "$work/difference")"
in_container systemctl start flannelette || fail "$(log)"
same_data_plane || fail "$(cat "$work/difference")"
end

begin 'the watchdog leaves a process alone that runs, and ends one that is stopped, which is started again'
setting WatchdogSec=2s TimeoutAbortSec=1s RestartSec=100ms
in_container systemctl restart flannelette || fail "$(log)"
before=$(property MainPID)
! until_true 7 another_process "$before" || fail "$(log)"
in_container kill -STOP "$before"
until_true 20 another_process "$before" || fail "$(log)"
logged 'Watchdog timeout' || fail "$(log)"
same_data_plane || fail "$(cat "$work/difference")"
end

begin 'after twenty crashes in a row it is started again'
for round in {1..20}; do
  before=$(property MainPID)
  in_container kill -KILL "$before"
  until_true 20 another_process "$before" || fail "round $round: $(log)"
done
[ "$(property NRestarts)" -ge 20 ] || fail "$(property NRestarts)"
same_data_plane || fail "$(cat "$work/difference")"
end

begin 'networkd starts again and touches nothing of ours'
in_container systemctl restart flannelette systemd-networkd || fail "$(log)"  # the agent, too: its count of repairs is 0 then
until_true 10 managed eth0 configured || fail 'networkd does not set eth0 up'
same_data_plane || fail "$(cat "$work/difference")"
! repaired || fail "$(cat "$work/log")"
end

begin 'without our files networkd takes the device and removes what is on it, and all comes back'
objects >"$work/objects"
for file in network/05-flannelette.network networkd.conf.d/50-flannelette.conf; do
  in_container install -D -m 644 /dev/null "/etc/systemd/$file"
done
in_container cp /root/all.network /etc/systemd/network/
in_container systemctl restart systemd-networkd
until_true 10 managed flannel.1 configured || fail 'networkd does not take it'
until_true 10 repaired || fail "networkd removes nothing: $(data_plane)"
until_true 10 same_objects || fail "$(cat "$work/difference")"
end

begin 'the package starts nothing before it is configured; an enabled service runs again after a removal and an installation'
in_container systemctl stop flannelette systemd-networkd 2>"$work/log"
in_container sh -c 'sed -i /ip-forward/d /etc/flannelette.ini && echo 0 >/proc/sys/net/ipv4/ip_forward'
package_is() { in_container sh -c "dpkg --force-confold $* 2>&1" >"$work/log" || fail "dpkg $*: $(cat "$work/log")"; }
package_is -i /root/flannelette.deb
is ActiveState inactive || fail "it runs: $(cat "$work/log")"
! forwards || fail 'the installation has set ip_forward'
in_container systemctl enable --now flannelette >"$work/log" 2>&1 || fail "$(cat "$work/log"; log)"
forwards || fail 'the start of the service does not set ip_forward'
package_is -r flannelette
! in_container ip link show flannel.1 >/dev/null 2>&1 || fail "the removal leaves the device: $(cat "$work/log")"
package_is -i /root/flannelette.deb
until_true 20 active || fail "$(cat "$work/log"; log)"
end
