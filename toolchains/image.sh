#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# image.sh TARGET...: the container image of what was built for these targets, by board/k3s/Containerfile: build/flannelette-VERSION-image.tar,
# an OCI archive whose one name, localhost/flannelette:VERSION, stands for the processors of all of them. buildah makes it, as any user,
# with no daemon and no right beyond; where a user has no subordinate ids, with one. The same bytes whoever packs it, where and when, by
# the same release of buildah.
set -eu
cd "$(dirname "$0")/.."
umask 022
toolchains/install.sh image
version=$(toolchains/news.sh version)
epoch=$(toolchains/news.sh epoch)
name=localhost/flannelette:$version
archive=build/flannelette-$version-image.tar
context=build/image
work=$(mktemp -d)
trap 'chmod -R u+w "$work"; rm -rf "$work"' EXIT
trap 'exit 1' INT TERM
# Nothing of this machine's images and settings.
buildah() {
  HOME=$work XDG_CONFIG_HOME=$work XDG_DATA_HOME=$work XDG_RUNTIME_DIR=$work command buildah --storage-driver vfs --root "$work/storage" \
    --runroot "$work/run" --registries-conf /dev/null "$@" >>"$work/log" 2>&1
}

pack() {
  for target; do
    case $(toolchains/target.sh "$target" debian) in
      -) echo "image: there is no platform for $target" >&2; return 1 ;;
      armhf) platform=linux/arm/v7 ;;
      i386) platform=linux/386 ;;
      *) platform=linux/$(toolchains/target.sh "$target" debian) ;;
    esac
    install -D -m 755 "build/$target/flannelette" "$context/$platform/flannelette" || return
    # One at a time: the list is in this order.
    buildah build --isolation chroot --platform "$platform" --timestamp "$epoch" --identity-label=false --build-arg VERSION="$version" \
      --manifest "$name" --file board/k3s/Containerfile "$context" || return
  done
  buildah manifest push --all "$name" "oci:$work/layout:$name" || return
}

rm -rf "$context"
pack "$@" || { cat "$work/log" >&2; exit 1; }
LC_ALL=C tar -C "$work/layout" --sort=name --format=ustar --owner=root:0 --group=root:0 --mtime="@$epoch" --mode=u=rwX,go=rX \
  -cf "$archive.new" oci-layout index.json blobs
mv "$archive.new" "$archive"
echo "$archive: $(stat -c %s "$archive") bytes, $name for $*"
