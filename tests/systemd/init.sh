#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# init.sh: what runs in the new namespaces first: unpacks its root from standard input, and becomes systemd there.
set -eu
mount --make-rprivate /
mount -t tmpfs -o mode=755 tmpfs /mnt
cd /mnt
tar -x -i
for folder in proc sys dev run tmp root mnt; do mkdir -p $folder; done
mount -t proc proc proc
mount -t sysfs sysfs sys
mount -t cgroup2 cgroup2 sys/fs/cgroup
mount -t tmpfs -o mode=755 tmpfs dev
mkdir dev/pts dev/shm
for device in null zero full random urandom tty; do
  : >dev/$device
  mount --bind /dev/$device dev/$device
done
mount -t devpts -o newinstance,ptmxmode=666,mode=620 devpts dev/pts
ln -s pts/ptmx dev/ptmx
ln -s /proc/self/fd dev/fd
mount -t tmpfs -o mode=1777 tmpfs dev/shm
mount -t tmpfs -o mode=755 tmpfs run
mount -t tmpfs -o mode=1777 tmpfs tmp
pivot_root . mnt
exec /usr/bin/env -i PATH=/usr/sbin:/usr/bin container=test \
  sh -c 'umount -l /mnt && mount --make-rshared / && exec /lib/systemd/systemd --system --unit=basic.target --log-target=journal --show-status=no' </dev/null
