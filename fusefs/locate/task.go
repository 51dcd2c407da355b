// SPDX-License-Identifier: Apache-2.0

package locate

import (
	"errors"
	"fmt"
	"slices"
	"strconv"

	"golang.org/x/sys/unix"
)

// A namespace is told apart by the device and inode number of its nsfs file
// (namespaces(7)). An inode number is given again only after the namespace has
// ended, so two numbers are comparable while one of the two is held open.
type namespace struct {
	dev, ino uint64
}

// statNamespace tells which namespace the link at path, relative to dir, is.
func statNamespace(dir int, path string) (namespace, error) {
	var st unix.Stat_t
	if err := retry(func() error { return unix.Fstatat(dir, path, &st, 0) }); err != nil {
		return namespace{}, fmt.Errorf("namespace: %s: %w", path, err)
	}
	return namespace{dev: st.Dev, ino: st.Ino}, nil
}

// A task is a thread or process, held by its directory in /proc: as long as
// the descriptor leads anywhere, it leads to this one, never to another that
// was given its number later.
type task struct {
	proc string // "/proc"
	id   int    // TID or PID, in the numbering of proc
	dir  int    // O_PATH descriptor of proc/id
}

// openTask takes hold of the thread with this number.
func openTask(proc string, id int) (task, error) {
	path := proc + "/" + strconv.Itoa(id)
	dir, err := openat(unix.AT_FDCWD, path, unix.O_PATH|unix.O_DIRECTORY)
	if err != nil {
		return task{}, fmt.Errorf("process: %s: %w", path, err)
	}
	return task{proc: proc, id: id, dir: dir}, nil
}

// close lets go of the task.
func (t task) close() { _ = unix.Close(t.dir) } // an O_PATH descriptor has nothing left to fail

// path names a file of the task in error messages.
func (t task) path(name string) string {
	return t.proc + "/" + strconv.Itoa(t.id) + "/" + name
}

// namespace tells which PID namespace the task is in.
func (t task) namespace() (namespace, error) {
	ns, err := statNamespace(t.dir, "ns/pid")
	if err != nil {
		return namespace{}, fmt.Errorf("process %d: %w", t.id, t.denied(err))
	}
	return ns, nil
}

// denied returns the cause of err, which a look at a namespace gave: the kernel
// says EACCES (proc_ns_get_link) also of a task that has just ended.
func (t task) denied(err error) error {
	if !errors.Is(err, unix.EACCES) {
		return err
	}
	var st unix.Stat_t
	if failed := retry(func() error { return unix.Fstatat(t.dir, "stat", &st, 0) }); ended(failed) {
		return failed
	}
	return err
}

// A spaceFile holds a PID namespace open.
type spaceFile struct {
	namespace
	fd int
}

// openSpace holds the PID namespace that the link at path, relative to dir, is of,
// so that its inode number stays its own until close.
func openSpace(dir int, path string) (spaceFile, error) {
	fd, err := openat(dir, path, unix.O_RDONLY)
	if err != nil {
		return spaceFile{}, fmt.Errorf("namespace: %s: %w", path, err)
	}
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		_ = unix.Close(fd) // the stat's error is the one to report
		return spaceFile{}, fmt.Errorf("namespace: %s: %w", path, err)
	}
	return spaceFile{namespace{dev: st.Dev, ino: st.Ino}, fd}, nil
}

// close lets go of the namespace.
func (s spaceFile) close() { _ = unix.Close(s.fd) } // opened for reading: nothing left to fail

// read returns the whole of a small file of the task.
func (t task) read(name string) ([]byte, error) {
	fd, err := openat(t.dir, name, unix.O_RDONLY)
	if err != nil {
		return nil, fmt.Errorf("process: %s: %w", t.path(name), err)
	}
	defer func() { _ = unix.Close(fd) }() // opened for reading: nothing left to fail
	text := make([]byte, 0, 4096)         // a status file has some 1.5 kB, a cgroup file on v1 less than 1
	for len(text) < maxText {
		var n int
		if err := retry(func() (err error) {
			n, err = unix.Read(fd, text[len(text):cap(text)])
			return err
		}); err != nil {
			return nil, fmt.Errorf("process: %s: %w", t.path(name), err)
		}
		if n == 0 {
			return text, nil
		}
		text = text[:len(text)+n]
		if len(text) == cap(text) {
			text = slices.Grow(text, cap(text))
		}
	}
	return nil, fmt.Errorf("process: %s: longer than %d bytes", t.path(name), maxText)
}

// openat opens with O_CLOEXEC, again when a signal gets in between.
func openat(dir int, path string, flags int) (fd int, err error) {
	err = retry(func() (err error) {
		fd, err = unix.Openat(dir, path, flags|unix.O_CLOEXEC, 0)
		return err
	})
	return fd, err
}

// retry repeats a call that a signal interrupted (Go's preemption uses them).
func retry(call func() error) error {
	for {
		if err := call(); !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}
