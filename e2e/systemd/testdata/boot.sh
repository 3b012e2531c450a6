#!/bin/sh
# boot.sh FOLDER: systemd as the first process of new namespaces, on an overlay of this machine's root whose changes
# are in memory. What is in FOLDER is in /srv/kagimori there.
set -e
mount --make-rprivate /
mount -t tmpfs tmpfs /mnt
mkdir /mnt/upper /mnt/work /mnt/root
root=/mnt/root
mkdir -p /mnt/upper/srv/kagimori
cp -r "$1"/. /mnt/upper/srv/kagimori/
mount -t overlay overlay -o lowerdir=/,upperdir=/mnt/upper,workdir=/mnt/work $root
mount -t proc proc $root/proc
mount -t sysfs sysfs $root/sys
mount -t cgroup2 cgroup2 $root/sys/fs/cgroup
mount -t tmpfs -o mode=755 tmpfs $root/run
mount --rbind /dev $root/dev
# Nothing of this machine's own services: the unit is started by hand.
ln -sf /lib/systemd/system/basic.target $root/etc/systemd/system/default.target
cd $root
exec env -i container=other PATH=/usr/sbin:/usr/bin:/sbin:/bin chroot $root /lib/systemd/systemd --system
