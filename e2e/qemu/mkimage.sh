#!/bin/sh
# mkimage.sh FILE: a disk image that boots Debian's kernel with busybox, from Debian's packages. It
# needs no root. On the console it counts its boots on the disk, and it shuts down at the power button.
set -eu
out=$1
need() { command -v "$1" >/dev/null 2>&1 || [ -e "$1" ] || { echo "$1 is needed: apt-get install $2" >&2; exit 1; }; }
need qemu-system-x86_64 qemu-system-x86
need syslinux syslinux
need mcopy mtools
need mkfs.vfat dosfstools
need cpio cpio
need /bin/busybox busybox-static
mbr=/usr/lib/syslinux/mbr/mbr.bin
need "$mbr" syslinux-common
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
deb=${KERNEL_DEB:-}
if [ -z "$deb" ]; then
	name=$(apt-cache depends linux-image-cloud-amd64 2>/dev/null | sed -n 's/^ *Depends: \(linux-image-[0-9].*\)/\1/p' | head -1)
	[ -n "$name" ] || { echo "a Debian kernel is needed: apt-get update, or KERNEL_DEB=linux-image-...-cloud-amd64.deb" >&2; exit 1; }
	(cd "$dir" && { apt-get download -q "$name" || apt-get download -q "$name-unsigned"; } >/dev/null 2>&1) || { echo "the kernel is needed: apt-get download $name" >&2; exit 1; }
	deb=$(ls "$dir"/linux-image-*.deb)
fi
mkdir -p "$dir/kernel" "$dir/root/bin" "$dir/root/dev" "$dir/root/proc" "$dir/root/sys" "$dir/root/mod"
dpkg -x "$deb" "$dir/kernel"
cp "$(command -v busybox)" "$dir/root/bin/busybox"
for m in virtio virtio_ring virtio_pci_modern_dev virtio_pci_legacy_dev virtio_pci virtio_blk evdev button qemu_fw_cfg; do
	find "$dir/kernel/lib/modules" -name "$m.ko" -exec cp {} "$dir/root/mod/" \;
done
cat >"$dir/root/init" <<'INIT'
#!/bin/busybox sh
/bin/busybox --install -s /bin
mount -t devtmpfs dev /dev; mount -t proc proc /proc; mount -t sysfs sys /sys
# Which needs which differs from kernel to kernel: each pass loads what it can.
for pass in 1 2 3 4 5; do
	for m in /mod/*.ko; do insmod "$m" 2>/dev/null; done
done
n=0
while [ ! -e /dev/vda2 ] && [ $n -lt 50 ]; do sleep 0.1; n=$((n + 1)); done
boots=$(dd if=/dev/vda2 bs=512 count=1 2>/dev/null | tr -d '\0' | sed -n 's/^boots=//p')
boots=$((${boots:-0} + 1))
printf 'boots=%d\n' "$boots" | dd of=/dev/vda2 bs=512 count=1 conv=sync,fsync 2>/dev/null
printf 'a secret that the guest wrote' | dd of=/dev/vda2 bs=512 seek=8 count=1 conv=sync,fsync 2>/dev/null
echo "guest: boot $boots"
echo "guest: user data: $(cat /sys/firmware/qemu_fw_cfg/by_name/opt/org.kagimori/user-data/raw 2>/dev/null)"
echo "guest: serial $(cat /sys/block/vda/serial)"
mkdir -p /etc/acpi/PWRF
printf '#!/bin/sh\necho "guest: power button" >/dev/console\nsync\npoweroff -f\n' >/etc/acpi/PWRF/00000080
chmod +x /etc/acpi/PWRF/00000080
if [ "$(cat /sys/firmware/qemu_fw_cfg/by_name/opt/org.kagimori/user-data/raw 2>/dev/null)" = poweroff ]; then
	sync; poweroff -f
fi
echo "guest: ready"
acpid -d -c /etc/acpi >/dev/null 2>&1 &
# With the user data "share 0" or "share 1" two guests have /dev/vdb together: each says something in a sector of
# its own, and hears what the other one does.
share=$(sed -n 's/^share //p' /sys/firmware/qemu_fw_cfg/by_name/opt/org.kagimori/user-data/raw 2>/dev/null)
n=0
while :; do
	[ -e /dev/vdb ] && [ ! -e /seen ] && echo "guest: vdb" && : >/seen
	if [ -n "$share" ] && [ -b /dev/vdb ]; then
		n=$((n + 1))
		now=bad
		printf 'guest %d boot %d says %d' "$share" "$boots" "$n" | dd of=/dev/vdb bs=512 seek="$share" count=1 conv=sync,fsync,notrunc 2>/dev/null && now=good
		echo 3 >/proc/sys/vm/drop_caches
		if heard=$(dd if=/dev/vdb bs=512 skip=$((1 - share)) count=1 2>/dev/null); then
			[ "$heard" = "$before" ] || echo "guest: hears $heard"
			before=$heard
		else
			now=bad
		fi
		[ "$now" = "$was" ] || echo "guest: vdb is $now"
		was=$now
	fi
	sleep 0.2
done
INIT
chmod +x "$dir/root/init"
(cd "$dir/root" && find . | cpio -o -H newc --quiet | gzip -9) >"$dir/initrd"
# 48 MiB: a FAT partition with the kernel, and 1 MiB of the guest's own.
truncate -s 48M "$out"
# The table: flag, CHS (unused), type, CHS, first sector, sectors.
printf '\200\376\377\377\016\376\377\377\000\010\000\000\000\120\001\000\000\376\377\377\203\376\377\377\000\130\001\000\000\010\000\000' |
	dd of="$out" bs=1 seek=446 conv=notrunc status=none
printf '\125\252' | dd of="$out" bs=1 seek=510 conv=notrunc status=none
truncate -s $((86016 * 512)) "$dir/fat"
mkfs.vfat -n BOOT "$dir/fat" >/dev/null
mcopy -i "$dir/fat" "$(ls "$dir"/kernel/boot/vmlinuz-*)" ::vmlinuz
mcopy -i "$dir/fat" "$dir/initrd" ::initrd
printf 'SERIAL 0 115200\nDEFAULT linux\nPROMPT 0\nLABEL linux\n LINUX vmlinuz\n INITRD initrd\n APPEND console=ttyS0 quiet panic=-1\n' >"$dir/syslinux.cfg"
mcopy -i "$dir/fat" "$dir/syslinux.cfg" ::syslinux.cfg
syslinux --install "$dir/fat"
dd if="$dir/fat" of="$out" bs=512 seek=2048 conv=notrunc status=none
dd if="$mbr" of="$out" bs=440 count=1 conv=notrunc status=none
