// SPDX-License-Identifier: Apache-2.0

package rootfs

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// Remove deletes dir and everything below it: the layers of a container that
// is gone. It follows no symbolic link and enters no other mount: where
// something is still mounted below dir it deletes nothing through that mount
// and fails with EXDEV or EBUSY. A missing dir is no error.
//
// os.RemoveAll would follow a mount, and a volume mounted in a container's
// tree is the user's data.
func Remove(dir string) error {
	parent, name := filepath.Split(filepath.Clean(dir))
	if !filepath.IsAbs(dir) || name == "" {
		return fmt.Errorf("remove layer: %q: not an absolute path below /", dir)
	}
	fd, err := openDir(parent, unix.O_RDONLY)
	if errors.Is(err, unix.ENOENT) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("remove layer: %s: %w", parent, err)
	}
	defer func() { _ = unix.Close(fd) }()
	if err := removeAt(fd, name, dir, 0); err != nil {
		return fmt.Errorf("remove layer: %w", err)
	}
	return nil
}

// A tenant can nest directories as deep as it likes; each level costs one
// descriptor here, of which there may be 20000. Past this depth a directory is
// moved up instead of being entered.
const maxDepth = 128

func removeAt(parent int, name, path string, depth int) error {
	err := unix.Unlinkat(parent, name, 0)
	switch {
	case err == nil, errors.Is(err, unix.ENOENT):
		return nil
	case !errors.Is(err, unix.EISDIR) && !errors.Is(err, unix.EPERM):
		return &os.PathError{Op: "unlink", Path: path, Err: err}
	}
	// Most directories of a work tree are empty.
	err = unix.Unlinkat(parent, name, unix.AT_REMOVEDIR)
	switch {
	case err == nil, errors.Is(err, unix.ENOENT):
		return nil
	case errors.Is(err, unix.ENOTDIR):
		// An ordinary file that unlink refused: it is immutable or append-only.
		return &os.PathError{Op: "unlink", Path: path, Err: unix.EPERM}
	case !errors.Is(err, unix.ENOTEMPTY) && !errors.Is(err, unix.EEXIST):
		return &os.PathError{Op: "rmdir", Path: path, Err: err}
	}

	fd, err := openBelow(parent, name)
	if err != nil {
		return &os.PathError{Op: "open", Path: path, Err: err}
	}
	dir := os.NewFile(uintptr(fd), path)
	defer func() { _ = dir.Close() }()
	for {
		// A directory may skip names when some of them vanish between two
		// reads of it, so every round starts from the beginning.
		names, err := dir.Readdirnames(1024)
		if len(names) == 0 {
			if err != nil && !errors.Is(err, io.EOF) {
				return err
			}
			break
		}
		for _, child := range names {
			if err := removeChild(fd, child, filepath.Join(path, child), depth+1); err != nil {
				return err
			}
		}
		if _, err := dir.Seek(0, io.SeekStart); err != nil {
			return err
		}
	}
	if err := unix.Unlinkat(parent, name, unix.AT_REMOVEDIR); err != nil && !errors.Is(err, unix.ENOENT) {
		return &os.PathError{Op: "rmdir", Path: path, Err: err}
	}
	return nil
}

// removeChild is removeAt, but for directories past maxDepth: those it hands
// to a loop that takes them apart level by level with two descriptors.
func removeChild(parent int, name, path string, depth int) error {
	if depth < maxDepth {
		return removeAt(parent, name, path, depth)
	}
	return flatten(parent, name, path)
}

// flatten empties name by moving every directory below it up into parent and
// removing what is left, until no directory remains. Names in parent cannot
// clash: they carry a counter and a prefix that is looked up with
// RENAME_NOREPLACE.
func flatten(parent int, name, path string) error {
	pending := []string{name}
	for serial := 0; len(pending) > 0; {
		last := pending[len(pending)-1]
		pending = pending[:len(pending)-1]
		err := unix.Unlinkat(parent, last, 0)
		if err == nil || errors.Is(err, unix.ENOENT) {
			continue
		}
		fd, err := openBelow(parent, last)
		if err != nil {
			return &os.PathError{Op: "open", Path: path, Err: err}
		}
		dir := os.NewFile(uintptr(fd), path)
		names, err := dir.Readdirnames(-1)
		if err != nil {
			_ = dir.Close()
			return err
		}
		for _, child := range names {
			if err := unix.Unlinkat(fd, child, 0); err == nil || errors.Is(err, unix.ENOENT) {
				continue
			}
			if err := unix.Unlinkat(fd, child, unix.AT_REMOVEDIR); err == nil {
				continue
			}
			moved := ""
			for moved == "" {
				serial++
				to := fmt.Sprintf(".procfs-shim-removed-%d", serial)
				err := unix.Renameat2(fd, child, parent, to, unix.RENAME_NOREPLACE)
				switch {
				case err == nil:
					moved = to
				case !errors.Is(err, unix.EEXIST):
					_ = dir.Close()
					return &os.PathError{Op: "rename", Path: filepath.Join(path, child), Err: err}
				}
			}
			pending = append(pending, moved)
		}
		_ = dir.Close()
		if err := unix.Unlinkat(parent, last, unix.AT_REMOVEDIR); err != nil {
			return &os.PathError{Op: "rmdir", Path: path, Err: err}
		}
	}
	return nil
}

// openBelow opens the directory name in parent, not through a link and not on
// another mount (openat2, Linux 5.6).
func openBelow(parent int, name string) (int, error) {
	how := unix.OpenHow{
		Flags:   unix.O_RDONLY | unix.O_DIRECTORY | unix.O_NOFOLLOW | unix.O_CLOEXEC,
		Resolve: unix.RESOLVE_NO_XDEV | unix.RESOLVE_NO_SYMLINKS | unix.RESOLVE_BENEATH,
	}
	for {
		fd, err := unix.Openat2(parent, name, &how)
		if errors.Is(err, unix.EINTR) || errors.Is(err, unix.EAGAIN) {
			continue
		}
		return fd, err
	}
}
