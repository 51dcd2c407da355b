// SPDX-License-Identifier: Apache-2.0

package cgroupread

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"sync"

	"golang.org/x/sys/unix"
)

// branch is one container's levels in one hierarchy. Level 0 is the container's
// cgroup. It holds a single descriptor, of level 0's directory, and reaches
// level n as "../" × n from there: the kernel removes no cgroup that has
// children, so the ancestors live as long as level 0 does, and a cgroup made
// anew under an old name is never mistaken for the old one.
//
// Files are opened for each read. Keeping their descriptors would leave one
// system call of three; read is the one place that would change, and branch
// the place to keep them in.
type branch struct {
	unified bool
	dir     string // level 0's directory
	fd      int    // of dir, O_PATH
	ino     uint64 // of dir
	levels  []level
	// root is the hierarchy's true root, seen from level 0, if it can be seen.
	// It is in no chain but has an effective cpuset.
	root *level
}

// level is one cgroup of a branch.
type level struct {
	path string // in the hierarchy, as in Paths
	up   string // "../" × n
}

// openBranch opens the directory of path and lists its levels.
func openBranch(h *Hierarchy, path string) (*branch, error) {
	dir, err := h.dir(path)
	if err != nil {
		return nil, err
	}
	fd, err := openat(unix.AT_FDCWD, dir, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ENODEV) {
		return nil, fmt.Errorf("open cgroup: %s: %w", dir, ErrGone)
	}
	if err != nil {
		return nil, fmt.Errorf("open cgroup: %s: %w", dir, err)
	}
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		_ = unix.Close(fd)
		return nil, fmt.Errorf("open cgroup: %s: %w", dir, err)
	}
	b := &branch{unified: h.Unified, dir: dir, fd: fd, ino: st.Ino}
	for at, up := path, ""; ; at, up = parent(at), up+"../" {
		l := level{path: at, up: up}
		if at == h.Root {
			if h.TrueRoot {
				b.root = &l
			} else {
				b.levels = append(b.levels, l)
			}
			return b, nil
		}
		b.levels = append(b.levels, l)
	}
}

func (b *branch) close() error { return unix.Close(b.fd) }

// cut drops the levels from n on.
func (b *branch) cut(n int) { b.levels = b.levels[:n] }

// read reads a whole interface file of a level into buf, growing it at need, and
// returns its text, part of *buf. A file that isn't there gives (nil, nil); the
// caller then asks gone, once for all files that it missed.
func (b *branch) read(l *level, name string, buf *[]byte) ([]byte, error) {
	text, err := readAt(b.fd, l.up+name, buf)
	if err == nil {
		return text, nil
	}
	// ENODEV: the file was removed between open and read, with its cgroup or
	// because its controller was turned off.
	if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ENODEV) {
		return nil, nil
	}
	return nil, fmt.Errorf("read cgroup: %s: %w", b.file(l, name), err)
}

// file is the name of a level's file for messages.
func (b *branch) file(l *level, name string) string {
	dir := b.dir
	for range strings.Count(l.up, "../") {
		dir = parent(dir)
	}
	return dir + "/" + name
}

// gone is ErrGone if level 0 was removed. It is asked after a file was found
// missing: if the directory is still there, it was there then too, and only the
// file is missing.
func (b *branch) gone() error {
	// Every cgroup has this one for as long as it lives, in v1 and v2.
	err := unix.Faccessat(b.fd, "cgroup.procs", unix.F_OK, 0)
	if err == nil {
		return nil
	}
	// Belt and braces, and trees that are no cgroupfs: the name still leads to
	// the directory that we hold.
	var st unix.Stat_t
	if err := unix.Stat(b.dir, &st); err == nil && st.Ino == b.ino {
		return nil
	}
	return fmt.Errorf("read cgroup: %s: %w", b.dir, ErrGone)
}

// maxFile is far above what any interface file holds; it bounds memory should
// one misbehave.
const maxFile = 1 << 20

// bufferPool keeps the buffers that files are read into.
type bufferPool struct{ pool sync.Pool }

// memory.stat has 1.5 to 3 kB, everything else less than 100 bytes.
const bufferSize = 8 << 10

func (p *bufferPool) get() *[]byte {
	if buf, ok := p.pool.Get().(*[]byte); ok {
		return buf
	}
	buf := make([]byte, bufferSize)
	return &buf
}

// put takes a buffer back, unless a file of unusual length made it grow.
func (p *bufferPool) put(buf *[]byte) {
	if len(*buf) <= 4*bufferSize {
		p.pool.Put(buf)
	}
}

// readAt opens name below dirfd and reads it to its end. The error is a bare
// errno.
func readAt(dirfd int, name string, buf *[]byte) ([]byte, error) {
	fd, err := openat(dirfd, name, unix.O_RDONLY|unix.O_CLOEXEC|unix.O_NOCTTY)
	if err != nil {
		return nil, err
	}
	defer func() { _ = unix.Close(fd) }()
	n := 0
	for {
		if n == len(*buf) {
			if n >= maxFile {
				return nil, errTooLong
			}
			*buf = append(*buf, make([]byte, max(n, 1024))...)
		}
		got, err := unix.Pread(fd, (*buf)[n:], int64(n))
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return nil, err
		}
		n += got
		// The kernel renders each of these files as one record, which one read
		// takes whole if there is room for it (fs/seq_file.c): what falls short
		// of the room is the end, and asking again would cost a system call.
		if got == 0 || n < len(*buf) {
			return (*buf)[:n], nil
		}
	}
}

// openat is openat(2), again when a signal came in between.
func openat(dirfd int, name string, flags int) (int, error) {
	for {
		fd, err := unix.Openat(dirfd, name, flags, 0)
		if !errors.Is(err, unix.EINTR) {
			return fd, err
		}
	}
}
