// SPDX-License-Identifier: Apache-2.0

package fusefs

import (
	"path"
	"strings"
)

// An inode number is slot<<numberBits | number; see the package comment.
const (
	numberBits = 16
	topNumber  = 1 // the top directory of a view; with slot 0, FUSE_ROOT_ID
)

// inode composes an inode number.
func inode(slot uint64, number uint16) uint64 { return slot<<numberBits | uint64(number) }

// splitInode takes an inode number apart.
func splitInode(id uint64) (slot uint64, number uint16) {
	return id >> numberBits, uint16(id & (1<<numberBits - 1))
}

// A node is a directory or file of a view, the same in all views.
type node struct {
	name     string
	number   uint16
	parent   *node   // the top directory's is itself
	children []*node // nil for a file
	file     *File   // nil for a directory
	like             // a file's own; a directory's are fixed
}

// A nodes holds the nodes of a view, by number. It doesn't change once made.
type nodes map[uint16]*node

// newNodes makes the nodes of the files that present says this host has.
// Directories that would be empty are left out.
func newNodes(present func(*File) (like, bool)) nodes {
	top := &node{number: topNumber, like: like{mode: 0o555}}
	top.parent = top
	all := nodes{topNumber: top}
	byPath := map[string]*node{".": top}
	for i := range files {
		f := &files[i]
		host, ok := present(f)
		if !ok {
			continue
		}
		all.place(&node{number: f.Number, file: f, like: host}, f.Path, byPath)
	}
	return all
}

// place puts n at its path, making the directories that lead there.
func (all nodes) place(n *node, at string, byPath map[string]*node) {
	dir := path.Dir(at)
	parent, ok := byPath[dir]
	if !ok {
		parent = &node{number: directoryNumber(dir), like: like{mode: 0o555}}
		all.place(parent, dir, byPath)
	}
	n.name = path.Base(at)
	n.parent = parent
	parent.children = append(parent.children, n)
	byPath[at] = n
	all[n.number] = n
}

// directoryNumber returns the number of a directory of the table. The tests
// see to it that every file's directory has one; a table without is a bug that
// must not get as far as two nodes with one number.
func directoryNumber(dir string) uint16 {
	for _, d := range directories {
		if d.path == dir {
			return d.number
		}
	}
	panic("fusefs: the table of files has no number for the directory " + dir)
}

// child returns the entry of a directory with this name.
func (n *node) child(name string) (*node, bool) {
	for _, c := range n.children {
		if c.name == name {
			return c, true
		}
	}
	return nil, false
}

// links counts the links of a directory as Unix does: its name, its ".", and
// the ".." of each directory in it.
func (n *node) links() uint32 {
	if n.file != nil {
		return 1
	}
	links := uint32(2)
	for _, c := range n.children {
		if c.file == nil {
			links++
		}
	}
	return links
}

// like is what a file's inode takes over from the host's file, as it was when
// the server started.
type like struct {
	mode     uint32 // permission bits
	uid, gid uint32
	long     bool // the text is longer than nominalSize
}

// validName says whether a container's ID can be the name of a directory.
func validName(id string) bool {
	return id != "" && id != "." && id != ".." && len(id) <= 255 && !strings.ContainsAny(id, "/\x00")
}
