#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The recipe of toolchains/LICENSE-THIRD-PARTY, as it stands there, links the program with another libmnl: one that says so
# when a socket is opened.
. "$(dirname "$0")/lib.sh"
need_program ninja ninja-build
machine=$(toolchains/target.sh -m)
objects=${FLANNELETTE_BUILD_DIR:-build}/$machine/obj
[ -f "$objects/flannelette" ] || { echo "$objects/flannelette is not there: run make first"; exit 1; }
mapfile -t recipe < <(sed -n 's/^  \(make cross\|cd build\|ninja\)/\1/p' toolchains/LICENSE-THIRD-PARTY)
[ ${#recipe[@]} = 3 ] || { echo "the recipe is not where it was: ${recipe[*]}"; exit 1; }
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
gnu=$(toolchains/target.sh "$machine" gnu)

cat >"$work/other.c" <<'END'
void *original_socket_open2(int bus, int flags);
void *mnl_socket_open2(int bus, int flags);
long write(int, const void *, unsigned long);
void *mnl_socket_open2(int bus, int flags) {
  write(2, "another libmnl\n", 15);
  return original_socket_open2(bus, flags);
}
END
"$gnu-gcc" -Os -fno-pie -fno-stack-protector -fno-asynchronous-unwind-tables -c -o "$work/other.o" "$work/other.c" &&
  "$gnu-objcopy" --redefine-sym mnl_socket_open2=original_socket_open2 "build/sysroot/$machine/lib/libmnl.a" "$work/libmnl.a" &&
  "$gnu-ar" rs "$work/libmnl.a" "$work/other.o" || exit 1

# Its first line, which makes the objects, has been run.
(set -e; eval "${recipe[1]//x86_64/$machine}"; eval "${recipe[2]//DIR/$work}") >"$work/log" 2>&1 || { cat "$work/log"; exit 1; }
[ -x "$work/flannelette" ] || { echo "no program was linked: $(cat "$work/log")"; exit 1; }
# It waits for an interface of that name, which it asks the kernel for.
said=$(timeout 2 "$work/flannelette" --iface=none0 --etcd-endpoints=http://127.0.0.1:1 --state-dir="$work" \
  --subnet-file="$work/subnet.env" 2>&1)
[[ $said == *'another libmnl'* ]] || { echo "the linked program does not call it: $said"; exit 1; }
