// SPDX-License-Identifier: Apache-2.0

// Package branch reads the interface files of one container's cgroups in one
// hierarchy: the container's own, level 0, and its ancestors.
//
//	b, err := branch.Open(dir, unified, paths, trueRoot)
//	err = pool.Read(b, record, func(p *branch.Pass) {
//		text := p.Text(&b.Levels[0], "memory.max")
//		…
//	})
//
// A [Branch] holds one descriptor and notices when its cgroup is deleted. A
// [Pass] is one read of some of its files, with what all of them together mean
// for an error; what the texts mean is for package cgroupfile. A [Record] keeps
// the texts. A [Pool] keeps the memory of passes, so that a warm one allocates
// nothing.
//
// A Branch never changes after it was opened, but for Cut, and may be read by
// any number of passes at a time; who closes it sees to it that none is running.
package branch

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"

	"golang.org/x/sys/unix"
)

// ErrGone says that the cgroup was deleted.
var ErrGone = errors.New("the cgroup is gone")

// Branch is one container's levels in one hierarchy. It reaches level n as
// "../" × n from level 0's directory: the kernel removes no cgroup that has
// children, so the ancestors live as long as level 0 does, and a cgroup made
// anew under an old name is never mistaken for the old one.
//
// Files are opened for each read. Keeping their descriptors would leave one
// system call of three; [Pass.Text] is the one place that would change, and
// Branch the place to keep them in.
type Branch struct {
	Unified bool    // cgroup2
	Levels  []Level // none for the root cgroup
	// Root is the hierarchy's true root, seen from level 0, if it can be seen.
	// It is in no chain but has an effective cpuset.
	Root *Level

	dir string // level 0's directory
	fd  int    // of dir, O_PATH
	ino uint64 // of dir
}

// Level is one cgroup of a branch.
type Level struct {
	Path string // in the hierarchy
	up   string // "../" × n
}

// Open opens level 0's directory. paths are the levels' names, level 0's first,
// up to what can be seen; trueRoot says that the last of them is the
// hierarchy's true root. [ErrGone] if there is no such directory.
func Open(dir string, unified bool, paths []string, trueRoot bool) (*Branch, error) {
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
	b := &Branch{Unified: unified, dir: dir, fd: fd, ino: st.Ino}
	for i, path := range paths {
		b.Levels = append(b.Levels, Level{path, strings.Repeat("../", i)})
	}
	if top := len(paths) - 1; trueRoot && top >= 0 {
		b.Root = &Level{paths[top], b.Levels[top].up}
		b.Levels = b.Levels[:top]
	}
	return b, nil
}

// Close gives the descriptor back.
func (b *Branch) Close() error {
	if err := unix.Close(b.fd); err != nil {
		return fmt.Errorf("close cgroup: %s: %w", b.dir, err)
	}
	return nil
}

// Inode is the inode number of level 0's directory: another one for a cgroup made
// anew under an old name.
func (b *Branch) Inode() uint64 { return b.ino }

// Cut drops the levels from n on, before anybody else reads the branch.
func (b *Branch) Cut(n int) { b.Levels = b.Levels[:n] }

// file is the absolute path of a level's file.
func (b *Branch) file(l *Level, name string) string {
	dir := b.dir
	for range strings.Count(l.up, "../") {
		dir = path.Dir(dir)
	}
	return path.Join(dir, name)
}
