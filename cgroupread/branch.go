// SPDX-License-Identifier: Apache-2.0

package cgroupread

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"golang.org/x/sys/unix"
)

// branch is one container's levels in one hierarchy. Level 0 is the container's
// cgroup. It holds a single descriptor, of level 0's directory, and reaches
// level n as "../" × n from there: the kernel removes no cgroup that has
// children, so the ancestors live as long as level 0 does, and a cgroup made
// anew under an old name is never mistaken for the old one.
//
// Files are opened for each read. Keeping their descriptors would leave one
// system call of three; [reading.load] is the one place that would change, and
// branch the place to keep them in.
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
	fd, err := unix.Open(dir, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
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

// file is the name of a level's file for messages.
func (b *branch) file(l *level, name string) string {
	dir := b.dir
	for range strings.Count(l.up, "../") {
		dir = parent(dir)
	}
	return dir + "/" + name
}
