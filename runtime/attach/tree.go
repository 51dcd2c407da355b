// SPDX-License-Identifier: Apache-2.0

package attach

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// FSType is the file system type by which mounts of ours are known, as
// mountinfo (proc(5)) spells it.
const FSType = "fuse.procfs-shim"

// placedFlags are the per-mount attributes of every placed file.
const placedFlags = unix.MOUNT_ATTR_RDONLY | unix.MOUNT_ATTR_NOSUID | unix.MOUNT_ATTR_NODEV | unix.MOUNT_ATTR_NOEXEC

var (
	// ErrHostNamespace says that the process lives in the host's (or the
	// caller's own) mount namespace, or that what is mounted in its namespace
	// would show up there too: a view placed there would be everybody's.
	ErrHostNamespace = errors.New("it shares the host's mounts")
	// ErrCovered says that the file at the destination isn't the kernel's own
	// and not one that may be covered: an engine's mask, a user's bind mount, a
	// symbolic link, a directory.
	ErrCovered = errors.New("it isn't the kernel's own file")
	// ErrGone says that the process ended before or while it was worked on.
	ErrGone = errors.New("the process has ended")
)

// Tree is one file on its way into a container.
type Tree struct {
	// File is a detached mount (open_tree(2)) of the served file.
	File *os.File
	// Destination is where it goes: an absolute path in the container, below
	// /proc or /sys but for the tree that OpenWhole gives.
	Destination string

	whole bool // the shared tree; see OpenWhole
}

// check refuses a destination that can't be the tree's.
func (t Tree) check() error {
	if t.whole {
		return nil
	}
	return checkDestination(t.Destination)
}

// OpenTree clones the mount that source (a regular file) lies on into a
// detached mount of that one file. It is made read-only, nosuid, nodev, noexec
// and private; on kernels without mount_setattr(2) (before 5.12) the source's
// own mount must have these flags already, as ours have.
func OpenTree(source, destination string) (Tree, error) {
	if err := checkDestination(destination); err != nil {
		return Tree{}, err
	}
	file, err := openTree(source, unix.S_IFREG)
	return Tree{File: file, Destination: destination}, err
}

func openTree(source string, kind uint16) (*os.File, error) {
	fd, err := unix.OpenTree(unix.AT_FDCWD, source, unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC|unix.AT_SYMLINK_NOFOLLOW)
	if err != nil {
		return nil, fmt.Errorf("clone the mount of %s: %w", source, err)
	}
	file := os.NewFile(uintptr(fd), source)
	id, err := identify(fd)
	if err == nil && id.kind != kind {
		err = fmt.Errorf("it is %s, not %s", kindName(id.kind), kindName(kind))
	}
	if err == nil {
		err = restrict(fd)
	}
	if err != nil {
		file.Close()
		return nil, fmt.Errorf("clone the mount of %s: %w", source, err)
	}
	return file, nil
}

// restrict gives the detached mount fd the attributes of placed files.
func restrict(fd int) error {
	attr := unix.MountAttr{Attr_set: placedFlags, Propagation: unix.MS_PRIVATE}
	err := unix.MountSetattr(fd, "", unix.AT_EMPTY_PATH, &attr)
	if !errors.Is(err, unix.ENOSYS) {
		if err != nil {
			return fmt.Errorf("make it read-only: %w", err)
		}
		return nil
	}
	// statfs(2) asks the FUSE server, which is the caller's own and alive here.
	var st unix.Statfs_t
	if err := unix.Fstatfs(fd, &st); err != nil {
		return fmt.Errorf("read its mount flags: %w", err)
	}
	const want = unix.ST_RDONLY | unix.ST_NOSUID | unix.ST_NODEV | unix.ST_NOEXEC
	if st.Flags&want != want {
		return errors.New("make it read-only: this kernel has no mount_setattr(2) (Linux 5.12), and the source's own mount isn't ro,nosuid,nodev,noexec")
	}
	return nil
}

// Close drops the tree. One that was placed stays where it is.
func (t Tree) Close() error {
	if t.File == nil {
		return nil
	}
	return t.File.Close()
}

// Place moves the tree onto its destination below root, a directory of the
// calling thread's mount namespace (nil: the thread's own root directory). The
// destination must be the kernel's own regular file on procfs or sysfs, with
// nothing mounted over it; no symbolic link is followed. It is meant for a
// container that is being made, whose /proc the caller has mounted itself: it
// needs no /proc to look anything up, and asks the file systems (statfs(2)).
func (t Tree) Place(root *os.File) error {
	err := t.place(root)
	if err != nil {
		return fmt.Errorf("place %s: %w", t.Destination, err)
	}
	return nil
}

func (t Tree) place(root *os.File) error {
	if err := checkDestination(t.Destination); err != nil {
		return err
	}
	if root == nil {
		slash, err := openDir(unix.AT_FDCWD, "/")
		if err != nil {
			return err
		}
		defer slash.Close()
		root = slash
	}
	at, err := walk(root, t.Destination, onKernels(t.Destination, askFileSystem))
	if err != nil {
		return err
	}
	defer at.close()
	if at.id.mount != at.dirID.mount {
		return fmt.Errorf("%w: something is mounted over it", ErrCovered)
	}
	if at.id.kind != unix.S_IFREG {
		return fmt.Errorf("%w: it is %s", ErrCovered, kindName(at.id.kind))
	}
	return t.move(at.fd())
}

// move attaches the detached mount to the mount point behind target.
func (t Tree) move(target int) error {
	err := unix.MoveMount(int(t.File.Fd()), "", target, "", unix.MOVE_MOUNT_F_EMPTY_PATH|unix.MOVE_MOUNT_T_EMPTY_PATH)
	if err != nil {
		return fmt.Errorf("mount: %w", err)
	}
	return nil
}
