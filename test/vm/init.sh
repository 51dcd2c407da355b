#!/bin/busybox sh
# PID 1 of the virtual machine of package vm. It runs twice: first from the
# initramfs, then from the root that it makes of a tmpfs or of a disk.
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root

busybox=/bin/busybox
fail() {
	echo "init: $*" >/dev/console
	$busybox poweroff -f
}
. /etc/guest # layout=, root=

modules() {
	for module in $($busybox cat /modules/order); do
		$busybox insmod "/modules/$module.ko" || fail "insmod $module"
	done
}

if [ "$1" != second ]; then
	$busybox mkdir /new
	if [ -n "$root" ]; then
		modules
		$busybox mount -t devtmpfs dev /dev || fail "mount /dev"
		$busybox mount -t ext4 "$root" /new || fail "mount the root $root"
		$busybox umount /dev
		for entry in /*; do
			case $entry in /new | /dev | /init | /root) continue ;; esac
			# What is a link in the image, such as /bin, stays one.
			$busybox mkdir -p "/new$entry"
			$busybox cp -a "$entry/." "/new$entry/" || fail "copy $entry to the root"
		done
	else
		$busybox mount -t tmpfs -o size=90%,mode=755 root /new
		# Moved one by one, so that memory never holds everything twice.
		for entry in /*; do
			case $entry in /new | /dev | /init) continue ;; esac
			$busybox mv "$entry" /new/
			[ $entry = /bin ] && busybox=/new/bin/busybox
		done
	fi
	$busybox cp /init /new/ # switch_root wants one in the old root, too
	exec $busybox switch_root /new /init second
fi

mkdir -p /proc /sys /dev /tmp /run /root /usr/bin /usr/sbin /sbin /var/lib /mnt
chmod 1777 /tmp
# What the root has of its own stays.
$busybox --install -s 2>/dev/null || [ -n "$root" ] || fail "busybox --install"
mount -t proc -o nosuid,nodev,noexec proc /proc || fail "mount /proc"
mount -t sysfs -o nosuid,nodev,noexec sysfs /sys || fail "mount /sys"
mount -t devtmpfs -o nosuid,mode=755 devtmpfs /dev || fail "mount /dev"
mkdir -p /dev/pts /dev/shm
mount -t devpts -o nosuid,noexec,gid=5,mode=620,ptmxmode=000 devpts /dev/pts || fail "mount /dev/pts"
mount -t tmpfs -o nosuid,nodev tmpfs /dev/shm || fail "mount /dev/shm"
hostname guest
# As servers have it; the kernel gives its first process 4096.
ulimit -n 20000
ip link set lo up

[ -n "$root" ] || modules
# devtmpfs has /dev/fuse once fuse.ko is loaded.

v1() {
	mount -t tmpfs -o mode=755 tmpfs /sys/fs/cgroup || fail "mount /sys/fs/cgroup"
	while read -r name _ _ enabled; do
		[ "$enabled" = 1 ] || continue
		mkdir "/sys/fs/cgroup/$name"
		mount -t cgroup -o "$name" cgroup "/sys/fs/cgroup/$name" || fail "mount the controller $name"
	done <<-END
		$(grep -v '^#' /proc/cgroups)
	END
	mkdir /sys/fs/cgroup/systemd
	mount -t cgroup -o none,name=systemd cgroup /sys/fs/cgroup/systemd || fail "mount the systemd hierarchy"
}
case $layout in
v2)
	mount -t cgroup2 cgroup2 /sys/fs/cgroup || fail "mount /sys/fs/cgroup"
	for name in $(cat /sys/fs/cgroup/cgroup.controllers); do
		echo "+$name" >/sys/fs/cgroup/cgroup.subtree_control || fail "enable the controller $name"
	done
	;;
v1) v1 ;;
hybrid)
	v1
	mkdir /sys/fs/cgroup/unified
	mount -t cgroup2 cgroup2 /sys/fs/cgroup/unified || fail "mount the unified hierarchy"
	;;
*) fail "no cgroup layout is called $layout" ;;
esac

# A serial port starts as a terminal: it would turn \n into \r\n.
stty raw -echo </dev/ttyS1 || fail "set up the second serial port"
cd /root || fail "no /root"
# By its path: busybox's own sh prefers its applets to a distribution's tools.
/bin/sh /etc/script >/dev/ttyS1 2>&1 </dev/null
echo "@@procfs-shim-vm-status $?" >/dev/ttyS1 # closing it waits until it is sent
poweroff -f
