#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# kernel_config.sh FRAGMENT CONFIG: names each option of the fragment that a kernel's .config lacks. =m is met by =y.
#
# Without arguments: board/kernel.config holds for Debian's kernel, on which the tests run the program (tests/targets/vm.sh).
. "$(dirname "$0")/lib.sh"

# missing FRAGMENT CONFIG: prints the lines of FRAGMENT that CONFIG lacks.
missing() {
  local line
  while IFS= read -r line; do
    case $line in
      '' | '#'*) continue ;;
      CONFIG_*=y) grep -qxF "$line" "$2" || printf '%s\n' "$line" ;;
      CONFIG_*=m) grep -qx "${line%=m}=[ym]" "$2" || printf '%s\n' "$line" ;;
      *) printf 'not understood: %s\n' "$line" ;;
    esac
  done <"$1"
}

if (($# == 2)); then
  found=$(missing "$1" "$2")
  [ -z "$found" ] || printf '%s lacks\n%s\n' "$2" "$found"
  [ -z "$found" ]
  exit
fi

config=build/vm/aarch64/config
[ -f $config ] || { echo "there is no $config (make vm-aarch64)" && exit 77; }
status=0
found=$(missing board/kernel.config $config)
[ -z "$found" ] || { printf "Debian's kernel lacks\n%s\n" "$found" && status=1; }

# What is taken out of a kernel is missed, whether it was a module or built in.
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
grep -v '^CONFIG_VXLAN=' $config >"$work/config"
[ "$(missing board/kernel.config "$work/config")" = CONFIG_VXLAN=m ] || { echo 'a kernel without VXLAN passes' && status=1; }
sed 's/^CONFIG_VXLAN=m$/CONFIG_VXLAN=y/' $config >"$work/config"
[ -z "$(missing board/kernel.config "$work/config")" ] || { echo 'a kernel with VXLAN built in does not pass' && status=1; }
sed 's/^CONFIG_INET=y$/CONFIG_INET=m/' $config >"$work/config"
[ "$(missing board/kernel.config "$work/config")" = CONFIG_INET=y ] || { echo 'a module passes where the option must be built in' && status=1; }
exit $status
