// SPDX-License-Identifier: Apache-2.0

package fusefs

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// A MountName is what a mount is called in /proc/PID/mountinfo.
type MountName struct{ Source, Type string }

// OurName is the name of our mounts.
func OurName() MountName { return MountName{"procfs-shim", "fuse.procfs-shim"} }

// LXCFSName is LXCFS's, for a shared tree in its place: tools look for it.
func LXCFSName() MountName { return MountName{"lxcfs", "fuse.lxcfs"} }

// maxRead is the longest READ that the kernel sends, in bytes: what cat(1)
// reads at once. Longer read(2)s are split.
const maxRead = 128 << 10

// device is where the kernel's FUSE is.
const device = "/dev/fuse"

// OpenDevice opens /dev/fuse, for one mount. The descriptor is closed by
// execve(2); pass it to another process that is to serve or mount it by
// os/exec's ExtraFiles. As long as any process holds it, readers wait for an
// answer rather than get ENOTCONN: whoever neither mounts nor serves any more
// closes it.
func OpenDevice() (*os.File, error) {
	// Not os.Open, which would make it non-blocking: go-fuse's readers block.
	fd, err := unix.Open(device, unix.O_RDWR|unix.O_CLOEXEC, 0)
	if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ENXIO) || errors.Is(err, unix.ENODEV) {
		return nil, fmt.Errorf("open FUSE device: %s: %w (load the fuse module: modprobe fuse)", device, err)
	}
	if err != nil {
		return nil, fmt.Errorf("open FUSE device: %s: %w", device, err)
	}
	return os.NewFile(uintptr(fd), device), nil
}

// MountDevice mounts a descriptor that OpenDevice gave on the directory
// target, in the calling thread's mount namespace: read-only, nosuid, nodev,
// noexec, readable for all users as far as the files' modes allow, which the
// kernel checks. Nobody needs to serve it yet: readers wait until somebody does
// (see Serve). To undo it, unmount target.
func MountDevice(dev *os.File, target string) error { return MountDeviceAs(OurName(), dev, target) }

// MountDeviceAs is MountDevice with another name.
func MountDeviceAs(name MountName, dev *os.File, target string) error {
	options := strings.Join([]string{
		fmt.Sprintf("fd=%d", dev.Fd()),
		fmt.Sprintf("rootmode=%o", unix.S_IFDIR|0o555),
		fmt.Sprintf("user_id=%d", os.Geteuid()),
		fmt.Sprintf("group_id=%d", os.Getegid()),
		"allow_other",
		// The kernel, which knows the ids of an idmapped mount, checks modes;
		// what requests say of the caller's ids means nothing then.
		"default_permissions",
		fmt.Sprintf("max_read=%d", maxRead),
	}, ",")
	const flags = unix.MS_RDONLY | unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC
	if err := unix.Mount(name.Source, target, name.Type, flags, options); err != nil {
		return fmt.Errorf("mount: %s: %w", target, err)
	}
	return nil
}
