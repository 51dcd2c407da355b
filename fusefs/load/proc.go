// SPDX-License-Identifier: Apache-2.0

package load

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"

	"golang.org/x/sys/unix"
)

// A directory is one that is held open, so that what gets mounted over its path
// doesn't matter.
type directory struct {
	path string
	fd   int
}

func openDirectory(path string) (directory, error) {
	fd, err := openat(unix.AT_FDCWD, path, unix.O_PATH|unix.O_DIRECTORY)
	if err != nil {
		return directory{}, fmt.Errorf("count tasks: open %s: %w", path, err)
	}
	return directory{path, fd}, nil
}

// close does nothing to the zero directory.
func (d directory) close() error {
	if d.path == "" {
		return nil
	}
	if err := unix.Close(d.fd); err != nil {
		return fmt.Errorf("close %s: %w", d.path, err)
	}
	return nil
}

// read reads the beginning of a file below d into buf.
func (d directory) read(name, buf []byte) ([]byte, error) {
	// The path of a system call is a string of its own: the only allocation.
	fd, err := openat(d.fd, string(name), unix.O_RDONLY)
	if err != nil {
		return nil, fmt.Errorf("count tasks: open %s/%s: %w", d.path, name, err)
	}
	defer func() { _ = unix.Close(fd) }() // opened for reading: nothing left to fail
	for {
		n, err := unix.Read(fd, buf)
		switch {
		case err == nil:
			return buf[:n], nil
		case !errors.Is(err, unix.EINTR):
			return nil, fmt.Errorf("count tasks: read %s/%s: %w", d.path, name, err)
		}
	}
}

// openat opens with O_CLOEXEC, again when a signal gets in between.
func openat(dir int, path string, flags int) (int, error) {
	for {
		fd, err := unix.Openat(dir, path, flags|unix.O_CLOEXEC, 0)
		if !errors.Is(err, unix.EINTR) {
			return fd, err
		}
	}
}

// ended says whether err is how /proc says that a task has ended: its directory
// is no more there, or its files have nobody to describe any more.
func ended(err error) bool {
	return errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ESRCH)
}

// taskFile appends "TID/name" to dst.
func taskFile(dst []byte, tid int, name string) []byte {
	dst = strconv.AppendInt(dst, int64(tid), 10)
	dst = append(dst, '/')
	return append(dst, name...)
}

// freezerPath finds the path of v1's freezer cgroup in the text of a
// /proc/TID/cgroup, "ID:CONTROLLER[,CONTROLLER…]:PATH\n"…; false if it isn't
// there, cut off, or outside of what is mounted.
func freezerPath(text []byte) ([]byte, bool) {
	for {
		line, rest, whole := bytes.Cut(text, []byte{'\n'})
		if !whole {
			return nil, false
		}
		text = rest
		_, line, _ = bytes.Cut(line, []byte{':'})
		controllers, path, _ := bytes.Cut(line, []byte{':'})
		for len(controllers) > 0 {
			var one []byte
			one, controllers, _ = bytes.Cut(controllers, []byte{','})
			if string(one) == "freezer" {
				inside := len(path) > 0 && path[0] == '/' && !bytes.HasPrefix(path, []byte("/.."))
				return path, inside
			}
		}
	}
}
