# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# For scripts that want a systemd of their own: PID 1 of a small Debian in namespaces, whose users are not this machine's. It takes
# root, or newuidmap and a range of users in /etc/subuid; and a folder of cgroup2 that may be written to. Nothing outside of the
# namespaces changes.

# container_missing: prints why there can be none here.
container_missing() {
  local program
  for program in unshare nsenter tar pgrep apt-get dpkg-deb; do
    command -v "$program" >/dev/null || { echo "no program $program in PATH"; return; }
  done
  container_ranges >/dev/null || { echo 'no range of users to map: neither root nor a line of /etc/subuid with newuidmap'; return; }
  unshare --user true 2>/dev/null || { echo 'no user namespaces'; return; }
  group=$(container_group)
  mkdir "$group" 2>/dev/null || { echo "no cgroup2 folder that we may write to: $group"; return; }
  rmdir "$group"
}

# Its users and groups: lines of /proc/PID/uid_map. Its root is nobody here, or who runs this.
container_ranges() {
  if [ "$(id -u)" = 0 ]; then
    awk '$2 + $3 >= 165536 { found = 1 } END { exit !found }' /proc/self/uid_map && echo '0 100000 65536'
  else
    command -v newuidmap >/dev/null || return 1
    awk -F : -v name="$(id -un)" -v id="$(id -u)" '($1 == name || $1 == id) && $3 >= 65535 { print "0", id, 1, 1, $2, 65535; found = 1; exit } END { exit !found }' \
      /etc/subuid
  fi
}

container_group() {
  local mount
  mount=$(awk '$3 == "cgroup2" { print $2; exit }' /proc/mounts)
  echo "$mount$(sed -n 's/^0:://p' /proc/self/cgroup | sed 's|/$||')/flannelette-test.$$"
}

# container_boot WORK ROOT MORE: boots a copy of ROOT, with the files of the folder MORE in it. `in_container` works from then on.
container_boot() {
  local work=$1 root=$2 more=$3 holder ranges
  ranges=$(container_ranges)
  container_cgroup=$(container_group)
  mkdir "$container_cgroup" || return 1
  unshare --user sleep 60 &
  holder=$!
  until [ "$(readlink "/proc/$holder/ns/user")" != "$(readlink /proc/self/ns/user)" ]; do sleep 0.02; done
  if [ "$(id -u)" = 0 ]; then
    chown -R 100000:100000 "$container_cgroup"
    echo "$ranges" >"/proc/$holder/uid_map"
    echo "$ranges" >"/proc/$holder/gid_map"
  else
    # shellcheck disable=SC2086 # numbers
    { newuidmap $holder $ranges && newgidmap $holder ${ranges/ $(id -u) / $(id -g) }; } || return 1
  fi
  { tar -c -C "$root" --owner=0 --group=0 . && tar -c -C "$more" --owner=0 --group=0 .; } |
    (
      echo "$BASHPID" >"$container_cgroup/cgroup.procs"
      exec nsenter --user --target "$holder" --setuid 0 --setgid 0 \
        unshare --pid --mount --net --cgroup --ipc --uts --fork --kill-child "$(dirname "${BASH_SOURCE[0]}")/init.sh"
    ) >"$work/console" 2>&1 &
  container=$!
  until_true 20 container_find && until_true 30 container_is_up
  set -- $?
  kill "$holder"
  return "$1"
}

container_find() { [ "$(cat "/proc/$container/comm" 2>/dev/null)" = unshare ] && init=$(pgrep -P "$container"); }
container_is_up() { in_container systemctl is-system-running 2>/dev/null | grep -q -e running -e degraded; }

in_container() {
  nsenter --target "$init" --user --mount --net --pid --ipc --uts --cgroup --setuid 0 --setgid 0 env -i PATH=/usr/sbin:/usr/bin ETCDCTL_API=3 "$@" </dev/null
}

# container_stop: all of it ends.
container_stop() {
  [ -z "${init:-}" ] || kill -KILL "$init" 2>/dev/null
  [ -z "${container:-}" ] || { kill "$container" 2>/dev/null; wait "$container" 2>/dev/null; }
  [ -z "${container_cgroup:-}" ] || until_true 5 container_swept
}
container_swept() {
  find "$container_cgroup" -depth -type d -exec rmdir {} \; 2>/dev/null
  [ ! -d "$container_cgroup" ]
}
