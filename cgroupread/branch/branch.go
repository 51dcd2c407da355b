// SPDX-License-Identifier: Apache-2.0

// Package branch reads the interface files of one container's cgroups in one
// hierarchy: the container's own, level 0, and its ancestors.
//
//	cache := branch.NewCache(1024)
//	tree := cache.Tree("/sys/fs/cgroup", "/", true, true)
//	b, err := tree.Open("/kubepods/pod1/abc")
//	err = b.Read(record, func(p *branch.Pass) {
//		text := p.Text(b.Level(0), "memory.max")
//		…
//	})
//
// A [Tree] is a mounted hierarchy. A [Branch] is a cgroup in it with its
// ancestors, each a [Level]; it notices when it is deleted. A [Pass] is one read
// of some of its files, with what all of them together mean for an error; what
// the texts mean is for package cgroupfile. A [Record] keeps the texts.
//
// # Descriptors
//
// A branch that nobody reads costs a few words of memory and no descriptor: a
// level is known by its path and the inode number of its directory, which the
// kernel gives to no other cgroup (kernfs counts on, and on 64-bit machines adds
// a generation). Files that are read stay open in the [Cache], those used least
// recently make room: a warm read is one pread(2) for each file.
//
// What the kernel does with such a descriptor (fs/kernfs/file.c, fs/seq_file.c):
// a read at offset 0 makes the text anew; once the cgroup is deleted, or the
// controller turned off for it, reads give ENODEV. The file is then opened
// again, once, below its directory, which must still be the one with the inode
// number: else the level is gone.
//
// # Locks
//
// A Cache's lock guards what its branches hold and who uses it. Nothing is read,
// opened or closed under it. A branch's methods may run at the same time, Close
// included.
package branch

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"golang.org/x/sys/unix"
)

// ErrGone says that the cgroup was deleted.
var ErrGone = errors.New("the cgroup is gone")

// Tree is one mounted hierarchy. It doesn't change.
type Tree struct {
	cache      *Cache
	mountpoint string
	root       string // the cgroup that the mount shows
	unified    bool
	trueRoot   bool // root is the hierarchy's own, and in no chain
	isCgroupfs bool

	// Ancestors are shared by all branches below them. Guarded by cache.mu.
	ancestors map[uint64]*Level // by inode number
}

// Tree is the hierarchy that is mounted at a directory and shows root and what
// is below it. unified says that it is cgroup2, trueRoot that root is the
// hierarchy's own root.
func (c *Cache) Tree(mountpoint, root string, unified, trueRoot bool) *Tree {
	t := &Tree{
		cache: c, mountpoint: mountpoint, root: root, unified: unified, trueRoot: trueRoot,
		ancestors: make(map[uint64]*Level),
	}
	var st unix.Statfs_t
	if err := unix.Statfs(mountpoint, &st); err == nil {
		t.isCgroupfs = st.Type == unix.CGROUP_SUPER_MAGIC || st.Type == unix.CGROUP2_SUPER_MAGIC
	}
	return t
}

// Level is one cgroup of a hierarchy. The kernel removes no cgroup that has
// children, so a level lives as long as those below it.
type Level struct {
	Path string // in the hierarchy
	tree *Tree
	up   *Level // nil at the tree's root
	ino  uint64 // of the directory

	// Guarded by cache.mu.
	users int   // branches and levels below that hold it
	files *file // that are open, the one opened last first
}

// dir is the level's absolute directory.
func (l *Level) dir() string { return l.tree.mountpoint + l.rel() }

// file is the absolute path of a level's file.
func (l *Level) file(name string) string { return l.dir() + "/" + name }

// rel is the level's directory in the mount: "" or "/a/b".
func (l *Level) rel() string {
	switch {
	case l.Path == l.tree.root:
		return ""
	case l.tree.root == "/":
		return l.Path
	default:
		return l.Path[len(l.tree.root):]
	}
}

// Branch is one container's levels in one hierarchy.
type Branch struct {
	own    *Level
	levels int // in the chain
}

// Open opens the branch of a cgroup, which must be the tree's root or below it.
// [ErrGone] if there is no such directory.
func (t *Tree) Open(path string) (*Branch, error) {
	own := &Level{Path: path, tree: t, users: 1}
	fail := func(err error) (*Branch, error) {
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ENODEV) {
			err = ErrGone
		}
		return nil, fmt.Errorf("open cgroup: %s: %w", own.dir(), err)
	}
	fd, ino, err := openDir(unix.AT_FDCWD, own.dir())
	if err != nil {
		return fail(err)
	}
	own.ino = ino
	// From here up to the first level that is known: "..", and not by name, is
	// the same cgroup's parent for certain.
	var unknown []*Level
	var known *Level
	for at := path; at != t.root; {
		at = parent(at)
		up, ino, err := openDir(fd, "..")
		_ = unix.Close(fd)
		if err != nil {
			return fail(err)
		}
		fd = up
		if known = t.hold(at, ino); known != nil {
			break
		}
		unknown = append(unknown, &Level{Path: at, tree: t, ino: ino})
	}
	_ = unix.Close(fd)
	own.up = t.add(unknown, known)
	b := &Branch{own: own}
	for l := own; l != nil && (l.up != nil || !t.trueRoot); l = l.up {
		b.levels++
	}
	return b, nil
}

// Gone is the branch of a cgroup that isn't there: what is read of it is
// [ErrGone].
func (t *Tree) Gone(path string) *Branch {
	return &Branch{own: &Level{Path: path, tree: t, users: 1}, levels: 1}
}

// hold is the known ancestor with a path and an inode number, held once more, or
// nil.
func (t *Tree) hold(path string, ino uint64) *Level {
	t.cache.mu.Lock()
	defer t.cache.mu.Unlock()
	return t.holdLocked(path, ino)
}

func (t *Tree) holdLocked(path string, ino uint64) *Level {
	l := t.ancestors[ino]
	if l == nil || l.Path != path {
		return nil // v1 lets a cgroup be renamed
	}
	l.users++
	return l
}

// add makes levels, the lowest first, known as ancestors below top, which may be
// nil and is held. The lowest, held, is returned.
func (t *Tree) add(levels []*Level, top *Level) *Level {
	var surplus []*Level
	t.cache.mu.Lock()
	for i := len(levels) - 1; i >= 0; i-- {
		l := levels[i]
		if known := t.holdLocked(l.Path, l.ino); known != nil { // added meanwhile
			if top != nil {
				surplus = append(surplus, top) // known has its own hold of it
			}
			top = known
			continue
		}
		l.up, l.users = top, 1 // which hands the hold of top over
		t.ancestors[l.ino] = l
		top = l
	}
	t.cache.mu.Unlock()
	for _, l := range surplus {
		_ = t.cache.release(l)
	}
	return top
}

// openDir opens a directory as a place to go on from, and says which one it is.
func openDir(at int, path string) (fd int, ino uint64, err error) {
	fd, err = unix.Openat(at, path, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, 0, err
	}
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		_ = unix.Close(fd)
		return -1, 0, err
	}
	return fd, st.Ino, nil
}

// parent is the path one level up.
func parent(path string) string {
	if i := strings.LastIndexByte(path, '/'); i > 0 {
		return path[:i]
	}
	return "/"
}

// Close gives back what the branch and the levels that no other one needs have
// open, what is being read when that is done. It must be called once.
func (b *Branch) Close() error {
	if err := b.own.tree.cache.release(b.own); err != nil {
		return fmt.Errorf("close cgroup: %s: %w", b.own.dir(), err)
	}
	return nil
}

// Unified reports whether the hierarchy is cgroup2.
func (b *Branch) Unified() bool { return b.own.tree.unified }

// Levels is how many levels the chain has: 0 for the hierarchy's true root.
func (b *Branch) Levels() int { return b.levels }

// Level is level i of the chain, counted from 0, the container's own.
func (b *Branch) Level(i int) *Level {
	l := b.own
	for range i {
		l = l.up
	}
	return l
}

// Root is the hierarchy's true root, nil if it can't be seen. It is in no chain
// but has an effective cpuset.
func (b *Branch) Root() *Level {
	if !b.own.tree.trueRoot {
		return nil
	}
	l := b.own
	for l.up != nil {
		l = l.up
	}
	return l
}

// Inode is the inode number of level 0's directory: another one for a cgroup made
// anew under an old name.
func (b *Branch) Inode() uint64 { return b.own.ino }

// Cut drops the levels from n on, before anybody else reads the branch.
func (b *Branch) Cut(n int) { b.levels = n }
