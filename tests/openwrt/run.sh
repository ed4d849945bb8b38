#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# run.sh FLANNELETTE: the OpenWrt package as a router has it. Its Makefile installs into a root directory, in which its scripts run
# under busybox's shell, with stand-ins for uci, procd and network.sh (root/) and the given program. In cmocka's STDOUT form.
set -u
unset MAKEFLAGS
program=$(realpath "$1") || exit 1
here=$(cd "$(dirname "$0")" && pwd)
cd "$here/../.." || exit 1
work=$(mktemp -d)
readonly program here work root=$work/root
trap 'rm -rf "$work"' EXIT
trap 'exit 1' INT TERM

# --- The root directory ---

copy_program() {  # program, name: with the libraries that it needs
  local library
  install -D "$1" "$root/$2"
  { ldd "$1" 2>/dev/null | grep -o '/[^ ]*' || true; } | while read -r library; do
    [ -e "$root/$library" ] || install -D "$library" "$root/$library"
  done
}

make_package() {
  install -D "$program" "$work/built/flannelette"
  make -s -C openwrt/flannelette TOPDIR=../../tests/openwrt/sdk PKG_BUILD_DIR="$work/built" DESTDIR="$work/package" package
}

make_root() {
  rm -rf "$root"
  mkdir -p "$root"/{bin,sbin,usr/sbin,lib/functions,etc,tmp/uci,tmp/run,dev}
  ln -s tmp "$root/var"
  : >"$root/dev/null"
  : >"$root/dev/full"
  local name
  copy_program "$(command -v busybox)" bin/busybox
  for name in ash sh sed tr grep mkdir mv ln rm cat readlink cut printf; do ln -s busybox "$root/bin/$name"; done
  cp -a "$work/package/." "$root/"
  rm -r "$root/CONTROL"
  copy_program "$program" usr/sbin/flannelette
  cp "$here/root/functions.sh" "$root/lib/functions.sh"
  cp "$here/root/network.sh" "$root/lib/functions/network.sh"
  install "$here/root/rc.common" "$root/etc/rc.common"
  for name in uci ubus logger; do install "$here/root/$name" "$root/sbin/$name"; done
  printf '#!/bin/ash\necho "firewall $*" >>/tmp/calls\n' >"$root/etc/init.d/firewall"
  chmod +x "$root/etc/init.d/firewall"
  : >"$root/etc/hosts"
  : >"$root/etc/group"
  : >"$root/tmp/interfaces"
  forget
}

forget() { : >"$root/tmp/calls" && : >"$root/tmp/log"; }

# inside COMMAND...: in the root directory, as its root; /dev/null and /dev/full are the machine's.
inside() {
  unshare -rm sh -c 'for device in null full; do mount --bind /dev/$device "$0/dev/$device" || exit; done; cd / && exec chroot "$0" /bin/busybox env -i PATH=/usr/sbin:/sbin:/bin "$@"' "$root" "$@"
}

service() { inside /etc/init.d/flannelette "$1" >"$work/output" 2>&1; }

start() {
  if ! service start || grep 'daemon.err' "$root/tmp/log"; then fail "start failed: $(cat "$work/output")"; fi
}

configure() {  # the options of section main, from stdin
  { echo "config flannelette 'main'" && cat; } >"$root/etc/config/flannelette"
}

# --- What a test says ---

fail() {
  printf '%s\n' "$*"
  exit 1
}
has() {  # file, line
  grep -qxF -- "$2" "$root/$1" || fail "no line '$2' in /$1:"$'\n'"$(cat "$root/$1" 2>&1)"
}
lacks() {  # file, text
  ! grep -F -- "$2" "$root/$1" || fail "'$2' is in /$1"
}
logged() { grep -qF -- "$1" "$root/tmp/log" || fail "not logged: $1"$'\n'"$(cat "$root/tmp/log" "$work/output")"; }
no_file() { if [ -e "$root/$1" ] || [ -L "$root/$1" ]; then fail "/$1 is there"; fi; }
same() { [ "$1" = "$2" ] || fail "not the same:"$'\n'"$1"$'\n'"$2"; }

readonly ini=tmp/etc/flannelette.ini
simple() { printf "\toption enabled '1'\n\tlist endpoint 'http://192.0.2.1:2379'\n"; }

# Sections and entries of an INI file, an entry a line: "[section] key = value".
entries() { sed -n 's/^\[\(.*\)\]$/\1/;t section;/^[^#]/{G;s/\(.*\)\n\(.*\)/[\2] \1/p;};b;:section h' "$1"; }

# --- The tests ---

t_installs_files_with_their_modes() {
  same "$(cd "$work/package" && find . -path ./CONTROL -prune -o \( -type f -o -empty \) -printf '%m %P\n' | sort)" "\
600 etc/config/flannelette
644 etc/capabilities/flannelette.json
755 etc/flannelette
755 etc/init.d/flannelette
755 etc/uci-defaults/80-flannelette
755 usr/sbin/flannelette"
  same "$(cat "$work/package/CONTROL/conffiles")" "\
/etc/config/flannelette
/etc/flannelette.ini
/etc/flannelette/"
}

# Their names in 24.10, 25.12 and main, which are not those of the sources: package/libs, package/kernel, and libs/inih of the feed
# packages.
t_depends_on_packages_by_their_names_in_the_feeds() {
  same "$(sed 's/^+//; s/^[A-Z_]*://' "$work/package/CONTROL/depends" | sort)" $'kmod-nft-nat\nkmod-vxlan\nlibinih\nlibmbedtls\nlibmnl'
}

t_has_the_version_of_the_tree() {
  same "flannelette $(cat "$work/package/CONTROL/version")" "$(timeout 10 "$program" --version)"
}

# As the feed's CI looks at it.
t_takes_a_program_without_symbols_and_paths_of_the_build() {
  local tool
  for tool in readelf strings; do
    command -v $tool >/dev/null || { echo "$tool is missing (Debian: binutils)"; exit 77; }
  done
  ! readelf -S "$program" | grep -q '\.symtab' || { echo 'not the shipped program: it has symbols'; exit 77; }
  ! strings "$program" | grep -F "$PWD" || fail 'it names the folder that it was built in'
}

# With the sources that the package takes, in another place.
t_gives_cmake_options_and_sources_that_it_knows() {
  make -s -C openwrt/flannelette TOPDIR=../../tests/openwrt/sdk PKG_BUILD_DIR="$work/source" prepare || fail 'Build/Prepare failed'
  mapfile -t options <"$work/package/CONTROL/cmake"
  cmake -S "$work/source" -B "$work/build" "${options[@]}" >"$work/cmake" 2>&1 || fail "$(cat "$work/cmake")"
  ! grep -i 'not used' -A 5 "$work/cmake" || fail 'CMake does not know an option'
}

t_has_every_setting_in_the_commented_example() {
  sed -n 's/^#\([a-z-]*\) = .*/\1/p' board/flannelette.ini | while read -r key; do
    grep -qE "^	#?(option|list) ${key//-/_} " openwrt/flannelette/files/flannelette.config || fail "no option for $key"
  done
}

t_is_off_when_installed() {
  start
  lacks tmp/calls procd_open_instance
  has tmp/calls 'procd_add_reload_trigger flannelette'
  no_file $ini
  same "$(cat "$root/tmp/log")" ''
}

t_starts_the_agent_under_procd() {
  simple | configure
  start
  has tmp/calls 'procd_set_param command /usr/sbin/flannelette run -c /var/etc/flannelette.ini'
  has tmp/calls 'procd_set_param respawn 3600 5 0'
  has tmp/calls 'procd_set_param file /usr/sbin/flannelette /var/etc/flannelette.ini'
  has tmp/calls 'procd_set_config_changed firewall'
  same "$(stat -c %a "$root/$ini")" 600
  same "$(entries "$root/$ini")" "\
[etcd] endpoint = http://192.0.2.1:2379
[node] state-dir = /etc/flannelette/state
[node] subnet-file = /var/run/flannel/subnet.env
[status] socket = /var/run/flannelette/flannelette.sock"
}

# Each key with its examples of board/flannelette.ini, but of a password in two places.
t_sets_every_key_of_the_ini_file() {
  local without
  echo secret >"$root/etc/flannelette.password"
  for without in password username\\\|password-file; do
    sed "s/^#\([a-z-]* = \)/\1/; /^\($without\) = /d" board/flannelette.ini >"$work/all.ini"
    entries "$work/all.ini" | sed "s/^\[[a-z]*\] \([a-z-]*\) = \(.*\)/\1 \2/" | while read -r key value; do
      printf "\tlist %s '%s'\n" "${key//-/_}" "$value"
    done | { printf "\toption enabled 1\n" && cat; } | configure
    [ "$without" = password ] || printf "\tlist username 'flannel'\n" >>"$root/etc/config/flannelette"
    [ "$without" = password ] || echo 'username = flannel' | sed -i '/^\[etcd\]$/r /dev/stdin' "$work/all.ini"
    service start
    same "$(cat "$root/tmp/log")" ''
    same "$(entries "$root/$ini" | sort)" "$(entries "$work/all.ini" | sort)"
  done
}

# What board/ has for routers is taken as it is, and asks for packages and options that are there.
t_takes_the_settings_of_the_boards() {
  local folder
  printf '%s\n' 'wan eth0' 'wwan wwan0' >"$root/tmp/interfaces"
  for folder in board/*/files; do
    forget
    cp -r "$folder/." "$root/"
    touch "$root/etc/flannelette/ca.pem"
    start
    same "$(cat "$root/tmp/log")" ''
    has tmp/calls 'procd_set_param command /usr/sbin/flannelette run -c /var/etc/flannelette.ini'
  done
  sed -n 's/^.*CONFIG_\(FLANNELETTE_[A-Z]*\).*/\1/p' board/*/openwrt.config | while read -r option; do
    grep -qx "    config $option" openwrt/flannelette/Makefile || fail "the package has no option $option"
  done
}

t_takes_values_that_mean_something_to_a_shell_as_they_are() {
  local value
  # shellcheck disable=SC1003 # a backslash
  for value in '$(touch /tmp/hit)' '`touch /tmp/hit`' 'a"b' "a'b" 'a;b' 'a#b' '[node]' '\' '%s%n' '-n' '*' '$N' 'a = b' 'ä'; do
    printf "\toption enabled 1\n\toption username u\n\toption password '%s'\n" "${value//\'/\'\\\'\'}" | configure
    service start || fail "start failed with $value: $(cat "$root/tmp/log" "$work/output")"
    has $ini "password = $value"
    same "$(grep -c = "$root/$ini")" 5
    no_file tmp/hit
  done
}

t_refuses_values_that_would_become_something_else() {
  local value
  for value in $'a\nsandbox = off' $'a\n[node]' $'a\rb' $'a\tb' ' a' 'a ' 'a ;b' 'a #b' $'\n' $'\xff\nsandbox = off' $'a\x7f'; do
    forget
    rm -f "$root/$ini"
    printf "\toption enabled 1\n\toption username u\n\toption password '%s'\n" "$value" | configure
    service start
    lacks tmp/calls procd_open_instance
    logged 'daemon.err option password: '
    no_file $ini
    [ "$(wc -l <"$root/tmp/log")" = 1 ] || fail "$(cat "$root/tmp/log")"
  done
}

# procd and its jail take a path for a word; what is relative is another file for each of them.
t_refuses_paths_that_the_jail_would_not_find() {
  local value
  for value in pw ./pw '/etc/a b'; do
    forget
    { simple && printf "\toption username u\n\toption password_file '%s'\n" "$value"; } | configure
    service start
    lacks tmp/calls procd_open_instance
    logged 'option password_file: an absolute path without blanks is expected'
  done
  forget
  printf "\toption enabled 1\n\toption config_file own.ini\n" | configure
  service start
  lacks tmp/calls procd_open_instance
  logged 'option config_file: an absolute path without blanks is expected'
  forget
  { simple && printf "\toption state_dir ''\n\toption socket ''\n"; } | configure
  start
  has $ini 'state-dir = '
}

# A settings file that was broken by hand is read as far as it goes, by uci.
t_goes_on_with_the_settings_before_when_the_section_is_missing() {
  local text
  simple | configure
  start
  for text in '' 'config flannelette' "config flannelette 'second'"; do
    forget
    printf '%s\n' "$text" >"$root/etc/config/flannelette"
    ! service reload || fail 'reload succeeded'
    logged "daemon.err there is no section config flannelette 'main'"
    same "$(cat "$root/tmp/calls")" ''
  done
}

t_refuses_a_file_that_it_cannot_write_whole() {
  simple | configure
  start
  cp "$root/$ini" "$work/before"
  forget
  ln -s /dev/full "$root/$ini.new"
  ! service reload || fail 'reload succeeded'
  logged 'daemon.err /var/etc/flannelette.ini.new cannot be written'
  same "$(cat "$root/tmp/calls")" ''
  cmp "$root/$ini" "$work/before" || fail 'the INI file has changed'
}

t_names_options_and_sections_without_effect() {
  { simple && printf "\toption endpoints 'x'\n\tlist ca-file '/y'\nconfig flannelette 'second'\n\toption level 'debug'\n"; } | configure
  start
  logged 'option endpoints is unknown and has no effect'
  logged "section second of type flannelette has no effect"
  lacks $ini level
}

t_refuses_what_the_agent_would_refuse() {
  printf "\toption enabled 1\n\tlist endpoint 'https://192.0.2.1:2379'\n" | configure
  service start
  lacks tmp/calls procd_open_instance
  logged 'endpoint: https needs ca-file'
}

t_goes_on_with_the_settings_before_when_new_ones_are_refused() {
  simple | configure
  start
  cp "$root/$ini" "$work/before"
  forget
  { simple && printf "\toption lease_ttl '1'\n"; } | configure
  ! service reload || fail 'reload succeeded'
  logged 'lease-ttl: "1": a time from 5s to 365d is expected'
  same "$(cat "$root/tmp/calls")" ''
  cmp "$root/$ini" "$work/before" || fail 'the INI file has changed'
  forget
  { simple && printf "\toption lease_ttl '1h'\n"; } | configure
  service reload || fail 'reload failed'
  has tmp/calls procd_open_instance
  has $ini 'lease-ttl = 1h'
}

t_ends_the_agent_when_it_is_switched_off() {
  simple | configure
  start
  forget
  simple | sed 's/enabled .1./enabled 0/' | configure
  service reload || fail 'reload failed'
  has tmp/calls 'service set'
  lacks tmp/calls procd_open_instance
}

t_resolves_logical_interfaces_and_follows_them() {
  { simple && printf "\tlist interface '%s'\n" wan wwan eth1 192.0.2.7 eth-1; } | configure
  printf 'wan pppoe-wan\nlan br-lan\n' >"$root/tmp/interfaces"
  start
  same "$(sed -n 's/^interface = //p' "$root/$ini")" $'pppoe-wan\nwwan\neth1\n192.0.2.7\neth-1'
  has tmp/calls 'procd_add_reload_interface_trigger wan'
  has tmp/calls 'procd_add_reload_interface_trigger wwan'
  lacks tmp/calls 'procd_add_reload_interface_trigger 192'
  printf 'wwan wwan0\n' >"$root/tmp/interfaces"
  service reload || fail 'reload failed'
  same "$(sed -n 's/^interface = //p' "$root/$ini")" $'pppoe-wan\nwwan0\neth1\n192.0.2.7\neth-1'
}

t_uses_a_file_of_its_own_when_uci_has_no_settings() {
  rm "$root/etc/config/flannelette"
  start
  lacks tmp/calls procd_open_instance
  printf '[etcd]\nendpoint = http://192.0.2.1:2379\nca-file = /etc/flannelette/ca.pem\n' >"$root/etc/flannelette.ini"
  start
  has tmp/calls 'procd_set_param command /usr/sbin/flannelette run -c /etc/flannelette.ini'
  has tmp/calls 'procd_set_param file /usr/sbin/flannelette /etc/flannelette.ini /etc/flannelette/ca.pem'
}

t_uses_the_file_that_an_option_names() {
  printf "\toption enabled 1\n\toption config_file '/etc/own.ini'\n" | configure
  service start
  lacks tmp/calls procd_open_instance
  logged '/etc/own.ini: there is no such file'
  forget
  printf '[etcd]\nendpoint = http://192.0.2.1:2379\n' >"$root/etc/own.ini"
  start
  has tmp/calls 'procd_set_param command /usr/sbin/flannelette run -c /etc/own.ini'
  same "$(readlink "$root/$ini")" /etc/own.ini
}

t_runs_in_a_jail_where_there_is_one() {
  { simple && printf "\toption ca_file '/etc/flannelette/ca.pem'\n\toption password_file '/etc/secret'\n\toption username u\n"; } | configure
  echo secret >"$root/etc/secret"
  start
  lacks tmp/calls jail
  install /dev/null "$root/sbin/ujail"
  start
  has tmp/calls 'procd_add_jail flannelette procfs'
  has tmp/calls 'procd_add_jail_mount /etc/flannelette'
  has tmp/calls 'procd_add_jail_mount /etc/secret'
  has tmp/calls 'procd_add_jail_mount_rw /etc/flannelette/state /var/run/flannel /var/run/flannelette /proc/sys/net/ipv6/conf /proc/sys/net/ipv4/ip_forward'
  has tmp/calls 'procd_set_param capabilities /etc/capabilities/flannelette.json'
  [ -d "$root/etc/flannelette/state" ] || fail 'there is no state folder to mount'
}

# ujail binds files, and netifd puts another in the place of resolv.conf when an interface comes up.
t_starts_again_in_a_jail_whose_resolv_conf_is_not_the_one_of_now() {
  { simple && printf "\toption interface 'wan'\n"; } | configure
  start
  lacks tmp/calls procd_append_param
  lacks tmp/calls procd_add_raw_trigger
  forget
  install /dev/null "$root/sbin/ujail"
  start
  has tmp/calls 'procd_append_param file /etc/resolv.conf /etc/hosts'
  has tmp/calls 'procd_add_raw_trigger interface.* 1000 /etc/init.d/flannelette reload'
  lacks tmp/calls procd_add_reload_interface_trigger
}

t_mounts_what_a_link_leads_to() {
  { simple && printf "\toption ca_file '/etc/flannelette/ca.pem'\n"; } | configure
  mkdir -p "$root/etc/ssl/certs"
  echo >"$root/etc/ssl/certs/site.pem"
  ln -s ../ssl/certs/site.pem "$root/etc/flannelette/ca.pem"
  install /dev/null "$root/sbin/ujail"
  start
  has tmp/calls 'procd_add_jail_mount /etc/flannelette'
  has tmp/calls 'procd_add_jail_mount /etc/ssl/certs'
}

# It may not give its socket away without CAP_CHOWN, but to a group that it is in.
t_runs_as_the_group_that_may_ask_in_a_jail() {
  { simple && printf "\toption group 'adm'\n"; } | configure
  echo 'adm:x:4:' >"$root/etc/group"
  start
  lacks tmp/calls 'procd_set_param group'
  install /dev/null "$root/sbin/ujail"
  start
  has tmp/calls 'procd_set_param group adm'
  simple | configure
  forget
  start
  lacks tmp/calls 'procd_set_param group'
}

t_opens_the_port_and_not_at_a_stop() {
  { simple && printf "\toption firewall_src 'wan'\n\toption vxlan_port '4789'\n"; } | configure
  start
  has tmp/calls 'json_add_string src wan'
  has tmp/calls 'json_add_string dest_port 4789'
  forget
  service stop || fail 'stop failed'
  same "$(cat "$root/tmp/calls")" 'service delete'
  { simple && printf "\toption firewall '0'\n"; } | configure
  start
  lacks tmp/calls json_add
  lacks tmp/calls procd_set_config_changed
  forget
  { simple && printf "\toption firewall_src 'x y'\n\toption vxlan_port '1-9'\n"; } | configure
  service start
  lacks tmp/calls procd_open_instance
  logged 'option firewall_src: '
  logged 'option vxlan_port: '
}

# Each loads the firewall anew: an interface that comes and goes has reloads that change nothing.
t_has_the_firewall_loaded_only_for_a_change() {
  simple | configure
  start
  has tmp/calls 'procd_set_config_changed firewall'
  forget
  service reload || fail 'reload failed'
  has tmp/calls procd_open_instance
  lacks tmp/calls procd_set_config_changed
  { simple && printf "\toption vxlan_port '4789'\n"; } | configure
  service reload || fail 'reload failed'
  has tmp/calls 'procd_set_config_changed firewall'
  forget
  { simple && printf "\toption firewall '0'\n"; } | configure
  service reload || fail 'reload failed'
  has tmp/calls 'procd_set_config_changed firewall'
}

stock_firewall() {
  printf "firewall.%s\n" "cfg01='defaults'" "cfg02='zone'" "cfg02.name='lan'" "cfg03='zone'" "cfg03.name='wan'" >"$root/tmp/uci/firewall"
  : >"$root/etc/config/firewall"
  : >"$root/tmp/uci/flannelette"
}
defaults() { inside /bin/sh -c '. /etc/uci-defaults/80-flannelette' || fail 'the script failed'; }

t_adds_a_zone_once_and_leaves_it_as_it_was_changed() {
  stock_firewall
  defaults
  has tmp/uci/firewall "firewall.flannelette.device='flannel.+'"
  has tmp/uci/firewall "firewall.flannelette_lan.dest='overlay'"
  has tmp/uci/firewall "firewall.flannelette_wan.src='overlay'"
  same "$(readlink "$root/etc/flannelette.ini")" /var/etc/flannelette.ini
  sed -i "s/^\(firewall.flannelette.input\)=.*/\1='DROP'/; /flannelette_lan/d" "$root/tmp/uci/firewall"
  cp "$root/tmp/uci/firewall" "$work/before"
  defaults
  cmp "$root/tmp/uci/firewall" "$work/before" || fail 'what was changed is not as it was'
}

t_adds_no_zone_again_that_was_deleted() {
  stock_firewall
  cp "$root/tmp/uci/firewall" "$work/before"
  defaults
  cp "$work/before" "$root/tmp/uci/firewall"
  prerm PKG_UPGRADE=1 /bin/sh /tmp/prerm x remove
  defaults
  cmp "$root/tmp/uci/firewall" "$work/before" || fail 'the zone is there again'
  stub_program
  prerm /bin/sh /tmp/prerm x remove
  defaults
  has tmp/uci/firewall "firewall.flannelette.name='overlay'"
}

t_adds_no_zone_where_that_is_switched_off() {
  stock_firewall
  cp "$root/tmp/uci/firewall" "$work/before"
  echo "flannelette.main.firewall='0'" >"$root/tmp/uci/flannelette"
  defaults
  cmp "$root/tmp/uci/firewall" "$work/before" || fail 'the firewall has changed'
}

prerm() {  # environment and arguments, as the package manager's
  cp "$work/package/CONTROL/prerm" "$root/tmp/prerm"
  forget
  inside "$@" </dev/null >"$work/output" 2>&1 || fail "prerm failed: $(cat "$work/output")"
}

# opkg runs the script before an upgrade, with that word and variable; apk does not. Neither may end anything but the agent.
t_takes_nothing_away_for_an_upgrade() {
  stock_firewall
  defaults
  cp "$root/tmp/uci/firewall" "$work/before"
  prerm /bin/sh /tmp/prerm x upgrade 0.2.0
  prerm PKG_UPGRADE=1 /bin/sh /tmp/prerm x remove
  prerm IPKG_INSTROOT=/image /bin/sh /tmp/prerm x remove
  same "$(cat "$root/tmp/calls" "$work/output")" ''
  cmp "$root/tmp/uci/firewall" "$work/before" || fail 'the firewall has changed'
}

# A program that only writes down how it is called; the first word of a call that fails is in /tmp/fails.
stub_program() {
  printf '#!/bin/ash\necho "flannelette $*" >>/tmp/calls\n! grep -qx "$1" /tmp/fails\n' >"$root/usr/sbin/flannelette"
  echo "${1:-}" >"$root/tmp/fails"
}

t_removes_the_zone_but_not_the_overlay_unasked() {
  stock_firewall
  cp "$root/tmp/uci/firewall" "$work/before"
  defaults
  stub_program
  prerm /bin/sh /tmp/prerm x remove
  cmp "$root/tmp/uci/firewall" "$work/before" || fail 'the firewall is not as it was'
  no_file etc/flannelette.ini
  same "$(cat "$root/tmp/calls")" 'service delete'
  grep -q "stays up until the firewall's next reload or a boot" "$work/output" || fail 'not said that the overlay stays'
}

# As under apk: stdin is /dev/null, and output goes to a pipe.
t_names_the_verb_leave_where_nobody_is_asked() {
  stock_firewall
  stub_program
  prerm /bin/sh /tmp/prerm
  grep -q '"service flannelette stop; flannelette leave" before "apk del"' "$work/output" || fail "$(cat "$work/output")"
  ! grep -q 'Give the subnet back' "$work/output" || fail 'it asks without a terminal'
}

t_asks_at_a_terminal_before_it_removes_the_overlay() {
  local line answer
  command -v script >/dev/null || { echo 'script is missing (Debian: bsdutils)'; exit 77; }
  stock_firewall
  cp "$work/package/CONTROL/prerm" "$root/tmp/prerm"
  line=$(declare -f inside); line="root='$root'; $line; inside /bin/sh /tmp/prerm x remove"
  for answer in '' n y; do
    forget
    stub_program leave
    echo "$answer" | SHELL=/bin/bash script -qec "$line" /dev/null >"$work/output" 2>&1
    grep -q 'Give the subnet back' "$work/output" || fail "not asked: $(cat "$work/output")"
    if [ "$answer" = y ]; then
      same "$(cat "$root/tmp/calls")" $'service delete\nflannelette leave\nflannelette cleanup\nfirewall reload'
    else
      same "$(cat "$root/tmp/calls")" 'service delete'
    fi
  done
}

devices() { sed -n "s/^firewall.flannelette.device='\(.*\)'/\1/p" "$root/tmp/uci/firewall" | sed 's/+$/*/'; }

# What firewall4 makes of the zone and of the rule that procd has, for nft to read.
t_gives_rules_that_nft_takes() {
  command -v nft >/dev/null || { echo 'nft is missing'; exit 77; }
  stock_firewall
  defaults
  simple | configure
  start
  {
    echo 'table inet fw4 {'
    printf 'chain %s { reject; }\n' input_overlay
    echo 'chain accept_to_overlay {'
    devices | sed 's/.*/oifname "&" counter accept/'
    echo '}'
    echo 'chain input { type filter hook input priority filter; policy drop;'
    devices | sed 's/.*/iifname "&" jump input_overlay/'
    sed -n "s/^json_add_string dest_port //p" "$root/tmp/calls" | sed 's/.*/udp dport & counter accept/'
    echo '}'
    echo '}'
  } >"$work/rules.nft"
  unshare -rn nft -c -f "$work/rules.nft" || fail "$(cat "$work/rules.nft")"
}

# --- The run ---

mapfile -t tests < <(declare -F | sed -n 's/^declare -f t_//p')
why=
command -v busybox >/dev/null || why='busybox is missing (Debian: busybox)'
[ -n "$why" ] || unshare -rm true 2>/dev/null || why='no user namespaces'
if [ -z "$why" ] && ! make_package >"$work/make" 2>&1; then cat "$work/make"; fi

passed=0 failed=() skipped=()
echo "[==========] openwrt: Running ${#tests[@]} test(s)."
for name in "${tests[@]}"; do
  title=${name//_/ }
  echo "[ RUN      ] $title"
  status=77 output=$why
  if [ -z "$why" ]; then
    make_root
    output=$("t_$name" 2>&1)
    status=$?
  fi
  case $status in
    0) passed=$((passed + 1)) && echo "[       OK ] $title" ;;
    77) skipped+=("$title") && printf '[   LINE   ] --- skipped: %s\n[  SKIPPED ] %s\n' "$output" "$title" ;;
    *)
      failed+=("$title")
      printf '[  ERROR   ] --- %s\n[   LINE   ] --- tests/openwrt/run.sh:1: error: Failure!\n[  FAILED  ] %s\n' "$output" "$title"
      ;;
  esac
done
echo "[==========] openwrt: ${#tests[@]} test(s) run."
echo "[  PASSED  ] $passed test(s)."
for name in "${skipped[@]}"; do echo "[  SKIPPED ] $name"; done
for name in "${failed[@]}"; do echo "[  FAILED  ] $name"; done
[ ${#failed[@]} = 0 ]
