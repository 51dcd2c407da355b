// SPDX-License-Identifier: Apache-2.0

package mounts

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// newFilesystem makes a detached mount of a file system: source is what
// /proc/mounts will show, data its options (key or key=value).
func newFilesystem(fstype, source string, attrs uint64, data []string) (*os.File, error) {
	fs, err := unix.Fsopen(fstype, unix.FSOPEN_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("file system %s: %w", fstype, err)
	}
	defer func() { _ = unix.Close(fs) }()
	if source == "" {
		source = fstype
	}
	err = unix.FsconfigSetString(fs, "source", source)
	for _, option := range data {
		if err != nil {
			break
		}
		key, value, hasValue := strings.Cut(option, "=")
		if hasValue {
			err = unix.FsconfigSetString(fs, key, value)
		} else {
			err = unix.FsconfigSetFlag(fs, key)
		}
		if err != nil {
			return nil, fmt.Errorf("file system %s: option %q: %w%s", fstype, option, err, kernelSays(fs))
		}
	}
	if err == nil {
		err = unix.FsconfigCreate(fs)
	}
	if err != nil {
		return nil, fmt.Errorf("file system %s: %w%s", fstype, err, kernelSays(fs))
	}
	fd, err := unix.Fsmount(fs, unix.FSMOUNT_CLOEXEC, int(attrs))
	if err != nil {
		return nil, fmt.Errorf("file system %s: fsmount: %w%s", fstype, err, kernelSays(fs))
	}
	return os.NewFile(uintptr(fd), fstype), nil
}

// kernelSays gives the messages that the kernel queued at a file system
// context: one a read, with "e ", "w " or "i " in front.
func kernelSays(fs int) string {
	var said []string
	for range 8 {
		line := make([]byte, 1024)
		n, err := unix.Read(fs, line)
		if err != nil || n < 3 {
			break
		}
		said = append(said, strings.TrimSpace(string(line[2:n])))
	}
	if len(said) == 0 {
		return ""
	}
	return " (" + strings.Join(said, "; ") + ")"
}

// cloneTree makes a detached copy of the mount at dir/path, of all mounts below
// it too if recursive. An empty path is dir itself.
func cloneTree(dir int, path string, recursive bool) (*os.File, error) {
	flags := uint(unix.OPEN_TREE_CLONE | unix.OPEN_TREE_CLOEXEC)
	name := path
	if path == "" {
		flags |= unix.AT_EMPTY_PATH
		name = "detached mount"
	}
	if recursive {
		flags |= unix.AT_RECURSIVE
	}
	fd, err := unix.OpenTree(dir, path, flags)
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fd), name), nil
}

// moveTo moves a detached mount onto what target has open.
func moveTo(mount, target *os.File) error {
	return unix.MoveMount(int(mount.Fd()), "", int(target.Fd()), "", unix.MOVE_MOUNT_F_EMPTY_PATH|unix.MOVE_MOUNT_T_EMPTY_PATH)
}

// setAttributes changes a mount, which may be detached, and all mounts below
// it if recursive. ENOSYS before Linux 5.12.
func setAttributes(mount *os.File, a attributes, propagation uint64, recursive bool) error {
	if a.none() && propagation == 0 {
		return nil
	}
	attr := unix.MountAttr{Attr_set: a.set, Attr_clr: a.clear, Propagation: propagation &^ unix.MS_REC}
	if (a.set|a.clear)&unix.MOUNT_ATTR__ATIME != 0 {
		attr.Attr_clr |= unix.MOUNT_ATTR__ATIME // the kernel takes it as a whole
	}
	flags := uint(unix.AT_EMPTY_PATH)
	if recursive {
		flags |= unix.AT_RECURSIVE
	}
	return unix.MountSetattr(int(mount.Fd()), "", flags, &attr)
}

// Attribute, the flag of mount(2) for it, and that of statfs(2).
//
//nolint:gochecknoglobals // a constant table
var legacyFlags = []struct {
	attr uint64
	ms   uintptr
	st   int64
}{
	{unix.MOUNT_ATTR_RDONLY, unix.MS_RDONLY, unix.ST_RDONLY},
	{unix.MOUNT_ATTR_NOSUID, unix.MS_NOSUID, unix.ST_NOSUID},
	{unix.MOUNT_ATTR_NODEV, unix.MS_NODEV, unix.ST_NODEV},
	{unix.MOUNT_ATTR_NOEXEC, unix.MS_NOEXEC, unix.ST_NOEXEC},
	{unix.MOUNT_ATTR_NOATIME, unix.MS_NOATIME, unix.ST_NOATIME},
	{unix.MOUNT_ATTR_NODIRATIME, unix.MS_NODIRATIME, unix.ST_NODIRATIME},
}

// remount is setAttributes for an attached mount on kernels before 5.12:
// a remount replaces all flags, so those that it has are read first.
func remount(mount *os.File, a attributes, propagation uint64) error {
	if !a.none() {
		var st unix.Statfs_t
		if err := unix.Fstatfs(int(mount.Fd()), &st); err != nil {
			return fmt.Errorf("statfs: %w", err)
		}
		flags := uintptr(unix.MS_REMOUNT | unix.MS_BIND)
		for _, f := range legacyFlags {
			if (st.Flags&f.st != 0 || a.set&f.attr != 0) && a.clear&f.attr == 0 {
				flags |= f.ms
			}
		}
		if a.set&unix.MOUNT_ATTR_STRICTATIME != 0 {
			flags |= unix.MS_STRICTATIME
		}
		if a.set&unix.MOUNT_ATTR_NOSYMFOLLOW != 0 {
			return fmt.Errorf("nosymfollow: needs Linux 5.14: %w", unix.ENOSYS)
		}
		if err := unix.Mount("", fdPath(mount), "", flags, ""); err != nil {
			return fmt.Errorf("remount: %w", err)
		}
	}
	if propagation != 0 {
		if err := unix.Mount("", fdPath(mount), "", uintptr(propagation), ""); err != nil {
			return fmt.Errorf("propagation: %w", err)
		}
	}
	return nil
}

// change sets attributes of an attached mount on every kernel.
func change(mount *os.File, a attributes, propagation uint64) error {
	err := setAttributes(mount, a, propagation, propagation&unix.MS_REC != 0 && a.none())
	if errors.Is(err, unix.ENOSYS) {
		return remount(mount, a, propagation)
	}
	return err
}

// fdPath names an open file for system calls that take only paths. /proc is the
// host's here: the root is pivoted last.
func fdPath(f *os.File) string { return fmt.Sprintf("/proc/self/fd/%d", f.Fd()) }
