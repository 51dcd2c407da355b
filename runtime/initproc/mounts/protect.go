// SPDX-License-Identifier: Apache-2.0

package mounts

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"

	pathrs "github.com/cyphar/filepath-securejoin/pathrs-lite"
	"golang.org/x/sys/unix"
)

// Protect writes the sysctls, places the views, and then covers what the
// container may not see or write: in this order, so that /proc/sys is still
// writable, and a masked path that happens to be a view stays masked.
func (r *Root) Protect() error {
	linux := r.plan.Spec.Linux
	if err := r.sysctls(linux.Sysctl); err != nil {
		return err
	}
	for _, view := range r.plan.Views {
		if err := view.Place(r.dir); err != nil {
			return err
		}
	}
	if err := r.mask(linux.MaskedPaths); err != nil {
		return err
	}
	for _, p := range linux.ReadonlyPaths {
		if err := r.readonly(p); err != nil {
			return fmt.Errorf("readonly path %s: %w", p, err)
		}
	}
	return nil
}

// sysctls writes /proc/sys through a procfs of ours, mounted nowhere. That of
// the container could be something else by now: a writable file of the host
// behind a name that looks like a sysctl's.
func (r *Root) sysctls(values map[string]string) error {
	if len(values) == 0 {
		return nil
	}
	proc, err := newFilesystem("proc", "proc", 0, nil)
	if err != nil {
		return fmt.Errorf("sysctl: %w", err)
	}
	defer func() { _ = proc.Close() }()
	for _, key := range slices.Sorted(maps.Keys(values)) {
		f, err := openBelow(proc, "sys/"+SysctlPath(key), unix.O_WRONLY, unix.RESOLVE_NO_SYMLINKS|unix.RESOLVE_NO_XDEV)
		if err != nil {
			return fmt.Errorf("sysctl %s: %w", key, err)
		}
		_, err = f.WriteString(values[key])
		_ = f.Close()
		if err != nil {
			return fmt.Errorf("sysctl %s: write %q: %w", key, values[key], err)
		}
	}
	return nil
}

// SysctlPath is the path below /proc/sys of a sysctl's name. In a name that has
// a slash before any dot, slashes separate and dots are themselves
// (net/ipv4/conf/eth0.1/forwarding), sysctl(8).
func SysctlPath(name string) string {
	if i := strings.IndexAny(name, "./"); i >= 0 && name[i] == '.' {
		return strings.Map(func(c rune) rune {
			switch c {
			case '.':
				return '/'
			case '/':
				return '.'
			}
			return c
		}, name)
	}
	return name
}

// mask covers files with /dev/null and directories with an empty read-only
// tmpfs. A path that isn't there is no error: kernels differ in what they have.
func (r *Root) mask(paths []string) error {
	if len(paths) == 0 {
		return nil
	}
	null, err := hostNull()
	if err != nil {
		return err
	}
	defer func() { _ = null.Close() }()
	for _, p := range paths {
		if err := r.maskOne(p, null); err != nil {
			return fmt.Errorf("masked path %s: %w", p, err)
		}
	}
	return nil
}

// hostNull opens the host's /dev/null. The container's own is made by us too,
// but lies where the image or another container could get at it.
func hostNull() (*os.File, error) {
	fd, err := unix.Open("/dev/null", unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("masked paths: /dev/null: %w", err)
	}
	f := os.NewFile(uintptr(fd), "/dev/null")
	if err := isDevice(f, unix.S_IFCHR, unix.Mkdev(1, 3)); err != nil {
		_ = f.Close()
		return nil, fmt.Errorf("masked paths: the host's /dev/null: %w", err)
	}
	return f, nil
}

// openExisting opens p inside the root; nil when it isn't there.
func (r *Root) openExisting(p string) (*os.File, error) {
	f, err := pathrs.OpenatInRoot(r.dir, clean(p))
	if errors.Is(err, os.ErrNotExist) || errors.Is(err, unix.ENOTDIR) {
		return nil, nil
	}
	return f, err
}

func (r *Root) maskOne(p string, null *os.File) error {
	target, err := r.openExisting(p)
	if err != nil || target == nil {
		return err
	}
	defer func() { _ = target.Close() }()
	var st unix.Stat_t
	if err := unix.Fstat(int(target.Fd()), &st); err != nil {
		return fmt.Errorf("stat: %w", err)
	}
	var cover *os.File
	if st.Mode&unix.S_IFMT == unix.S_IFDIR {
		cover, err = newFilesystem("tmpfs", "tmpfs",
			unix.MOUNT_ATTR_RDONLY|unix.MOUNT_ATTR_NOSUID|unix.MOUNT_ATTR_NODEV|unix.MOUNT_ATTR_NOEXEC,
			[]string{"mode=755", "nr_inodes=1", "size=4k"})
	} else {
		cover, err = cloneTree(int(null.Fd()), "", false)
	}
	if err != nil {
		return err
	}
	defer func() { _ = cover.Close() }()
	if err := moveTo(cover, target); err != nil {
		return err
	}
	return change(cover, attributes{}, unix.MS_PRIVATE)
}

func (r *Root) readonly(p string) error {
	target, err := r.openExisting(p)
	if err != nil || target == nil {
		return err
	}
	defer func() { _ = target.Close() }()
	mount, err := cloneTree(int(target.Fd()), "", true)
	if err != nil {
		return err
	}
	defer func() { _ = mount.Close() }()
	readonly := attributes{set: unix.MOUNT_ATTR_RDONLY}
	err = setAttributes(mount, readonly, 0, true)
	late := errors.Is(err, unix.ENOSYS)
	if err != nil && !late {
		return fmt.Errorf("set attributes: %w", err)
	}
	if err := moveTo(mount, target); err != nil {
		return err
	}
	if late {
		return remount(mount, readonly, unix.MS_PRIVATE)
	}
	return change(mount, attributes{}, unix.MS_PRIVATE)
}
