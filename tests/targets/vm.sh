#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# vm.sh: names the targets that a virtual machine can be had for.
#
# vm.sh TARGET DIR: puts together in DIR what a virtual machine of that target boots from, out of the packages of this
# machine's Debian release: kernel, its config, busybox, modules/ in the order in which they are loaded, and the command line of qemu.
# Kernel packages change with every point release, so none is pinned: apt checks what it brings against the signed index.
# Works as any user. Asks for newer packages once a day; without network it goes on with what is in DIR.
set -euo pipefail
if (($# == 0)); then
  echo aarch64 armv7 s390x
  exit
fi
target=$1
mkdir -p "$2"
dir=$(cd "$2" && pwd)

case $target in
  aarch64)
    architecture=arm64 flavour=arm64 console=ttyAMA0
    qemu='qemu-system-aarch64 -M virt -cpu cortex-a53 -device virtio-net-device,netdev=net'
    ;;
  armv7) # this kernel has no LPAE, so nothing of the machine may lie above 4 GiB
    architecture=armhf flavour=armmp console=ttyAMA0
    qemu='qemu-system-arm -M virt,highmem=off -cpu cortex-a15 -device virtio-net-device,netdev=net'
    ;;
  s390x) # big-endian
    architecture=s390x flavour=s390x console=ttysclp0
    qemu='qemu-system-s390x -M s390-ccw-virtio -device virtio-net-ccw,netdev=net'
    ;;
  *) echo "vm: there is no virtual machine for $target" >&2 && exit 1 ;;
esac
# What the agent and a pod use. crc32c_generic is what libcrc32c asks for without saying so.
modules='virtio_net vxlan crc32c_generic nft_chain_nat nft_masq veth'
[[ $target == s390x ]] || modules="virtio_mmio $modules"

say() { echo "vm: $*" >&2; }
. "$(dirname "$0")/../../toolchains/archive.sh"

script=$(cat "$0" "$(dirname "$0")/../../toolchains/archive.sh" | sha256sum)
[[ $(sed 1q "$dir/stamp" 2>/dev/null) != "$script" || -z $(find "$dir/stamp" -mtime -1) ]] || exit 0

# --- Packages ---

suite=$(sed -n 's/^VERSION_CODENAME=//p' /etc/os-release)
apt() { archive_apt "$dir/apt" "$architecture" "$suite" "$@"; }
version=$(apt apt-cache depends "linux-image-$flavour" 2>/dev/null | sed -n 's/^ *Depends: linux-image-//p' | head -n 1)
if [[ -z $version ]]; then
  [[ -e $dir/stamp ]] || { say "apt knows no linux-image-$flavour for $architecture"; exit 1; }
  say 'the newest packages cannot be told; going on with what is there'
  exit 0
fi

stamp=$script$'\n'$(apt apt-cache show "linux-image-$version" busybox-static | sed -n 's/^SHA256: //p')
if [[ $(cat "$dir/stamp" 2>/dev/null) == "$stamp" ]]; then
  touch "$dir/stamp"
  exit 0
fi
rm -rf "$dir"/{stamp,packages,unpacked,modules,kernel,config,busybox}
mkdir -p "$dir"/{packages,unpacked,modules}
say "linux-image-$version"
(cd "$dir/packages" && apt apt-get download "linux-image-$version" busybox-static)

# --- What is needed of them ---

for package in "$dir"/packages/*.deb; do
  dpkg-deb --fsys-tarfile "$package" |
    tar -x -C "$dir/unpacked" --wildcards './boot/vmlinuz-*' './boot/config-*' '*/modules/*/kernel/[cdln]*' '*bin/busybox' 2>/dev/null || true
done
# Debian 13 has busybox and modules below /usr, and modules compressed.
mv "$dir"/unpacked/boot/vmlinuz-* "$dir/kernel"
mv "$dir"/unpacked/boot/config-* "$dir/config"
find "$dir/unpacked" -path '*bin/busybox' -exec mv {} "$dir/busybox" \;

# add_module NAME: after all that it depends on, as the module itself says (modules.dep comes with installation only).
declare -A added
add_module() {
  local name=$1 file other
  [[ -z ${added[$name]-} ]] || return 0
  added[$name]=yes
  file=$(find "$dir/unpacked" \( -name "${name//_/[-_]}.ko" -o -name "${name//_/[-_]}.ko.xz" \) -print -quit)
  [[ $file ]] || { say "linux-image-$version has no module $name"; exit 1; }
  if [[ $file == *.xz ]]; then xz -dc "$file"; else cat "$file"; fi >"$dir/modules/$name.ko"
  for other in $(tr '\0' '\n' <"$dir/modules/$name.ko" | sed -n 's/^depends=//p' | tr , ' '); do add_module "${other//-/_}"; done
  echo "$name.ko" >>"$dir/modules/order"
}
for module in $modules; do add_module "$module"; done

echo "$qemu" >"$dir/qemu"
echo "$console" >"$dir/console"
rm -rf "$dir/packages" "$dir/unpacked"
echo "$stamp" >"$dir/stamp"
