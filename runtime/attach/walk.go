// SPDX-License-Identifier: Apache-2.0

package attach

import (
	"errors"
	"fmt"
	"os"
	"path"
	"strings"

	"golang.org/x/sys/unix"
)

// identity is what statx(2) tells about an open file without asking the file
// system: with AT_STATX_DONT_SYNC a FUSE mount answers from the kernel's own
// memory, also when its server is dead, stopped or malicious.
type identity struct {
	mount uint64 // mount ID, as in mountinfo (Linux 5.8)
	dev   Device
	ino   uint64
	kind  uint16 // S_IFMT bits; 0 when the kernel doesn't let us see them
}

func identify(fd int) (identity, error) {
	var st unix.Statx_t
	err := unix.Statx(fd, "", unix.AT_EMPTY_PATH|unix.AT_STATX_DONT_SYNC|unix.AT_NO_AUTOMOUNT, unix.STATX_MNT_ID, &st)
	if err != nil {
		return identity{}, fmt.Errorf("statx: %w", err)
	}
	if st.Mask&unix.STATX_MNT_ID == 0 {
		return identity{}, errors.New("statx: this kernel doesn't tell mount ids (Linux 5.8)")
	}
	return identity{mount: st.Mnt_id, dev: Device{st.Dev_major, st.Dev_minor}, ino: st.Ino, kind: st.Mode & unix.S_IFMT}, nil
}

func kindName(kind uint16) string {
	switch kind {
	case unix.S_IFREG:
		return "a regular file"
	case unix.S_IFDIR:
		return "a directory"
	case unix.S_IFLNK:
		return "a symbolic link"
	case unix.S_IFCHR, unix.S_IFBLK:
		return "a device"
	default:
		return "not a regular file"
	}
}

// checkDestination refuses what can't be a served file's place.
func checkDestination(dst string) error {
	if path.Clean(dst) != dst || !(strings.HasPrefix(dst, "/proc/") || strings.HasPrefix(dst, "/sys/")) {
		return fmt.Errorf("destination %q: not a clean absolute path below /proc or /sys", dst)
	}
	return nil
}

// expectedType is the file system that the directories of a checked
// destination lie on.
func expectedType(dst string) string {
	if strings.HasPrefix(dst, "/proc/") {
		return "proc"
	}
	return "sysfs"
}

// place is an opened destination.
type place struct {
	dir   *os.File // directory that holds it (O_PATH)
	name  string
	file  *os.File // what is there, on top of everything mounted there (O_PATH)
	dirID identity
	id    identity
}

func (p *place) fd() int { return int(p.file.Fd()) }

func (p *place) close() {
	p.dir.Close()
	p.file.Close()
}

// typeOf names the file system of an open directory, as mountinfo does.
type typeOf func(dir *os.File, id identity) (string, error)

// askFileSystem is the typeOf for trusted trees.
func askFileSystem(dir *os.File, _ identity) (string, error) {
	var st unix.Statfs_t
	if err := unix.Fstatfs(int(dir.Fd()), &st); err != nil {
		return "", fmt.Errorf("statfs: %w", err)
	}
	switch st.Type {
	case unix.PROC_SUPER_MAGIC:
		return "proc", nil
	case unix.SYSFS_MAGIC:
		return "sysfs", nil
	default:
		return fmt.Sprintf("file system %#x", st.Type), nil
	}
}

// allowed judges a directory on the way to a destination before a name is
// looked up in it.
type allowed func(dir *os.File, at string, id identity) error

// onKernels allows what the kernel's own files lie in, so that only the root
// directory's own file system, procfs and sysfs are ever asked.
func onKernels(dst string, kind typeOf) allowed {
	return func(dir *os.File, at string, id identity) error {
		got, err := kind(dir, id)
		if err == nil && got != expectedType(dst) {
			err = fmt.Errorf("%w: %s lies on %s, not on %s", ErrCovered, at, got, expectedType(dst))
			if got == lxcfsType {
				err = fmt.Errorf("%w (--replace-lxcfs takes LXCFS's place)", err)
			}
		}
		return err
	}
}

// offFUSE allows every directory that no process has to answer for: the way
// to a tree in the container's own file system.
func offFUSE(kind typeOf) allowed {
	return func(dir *os.File, at string, id identity) error {
		got, err := kind(dir, id)
		if err == nil && (got == "fuse" || strings.HasPrefix(got, "fuse.")) {
			err = fmt.Errorf("%w: %s lies on %s", ErrCovered, at, got)
		}
		return err
	}
}

// walk opens dst below root, one name at a time and following nothing.
func walk(root *os.File, dst string, check allowed) (*place, error) {
	names := strings.Split(strings.TrimPrefix(dst, "/"), "/")
	dir, at := root, ""
	release := func() {
		if dir != root {
			dir.Close()
		}
	}
	var dirID identity
	for _, name := range names[:len(names)-1] {
		at += "/" + name
		next, err := openDir(int(dir.Fd()), name)
		release()
		if err != nil {
			if errors.Is(err, unix.ENOTDIR) || errors.Is(err, unix.ELOOP) {
				err = fmt.Errorf("%w: %s is not a directory", ErrCovered, at)
			}
			return nil, err
		}
		dir = next
		if dirID, err = identify(int(dir.Fd())); err != nil {
			release()
			return nil, err
		}
		if err := check(dir, at, dirID); err != nil {
			release()
			return nil, err
		}
	}
	name := names[len(names)-1]
	fd, err := unix.Openat(int(dir.Fd()), name, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		release()
		return nil, fmt.Errorf("open: %w", err)
	}
	p := &place{dir: dir, name: name, file: os.NewFile(uintptr(fd), dst), dirID: dirID}
	if p.id, err = identify(fd); err != nil {
		p.close()
		return nil, err
	}
	return p, nil
}

// openDir opens a directory for look-ups only, never through a symbolic link.
func openDir(at int, name string) (*os.File, error) {
	fd, err := unix.Openat(at, name, unix.O_PATH|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("open directory %s: %w", name, err)
	}
	return os.NewFile(uintptr(fd), name), nil
}
