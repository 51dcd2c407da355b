// SPDX-License-Identifier: Apache-2.0

// Package nodes knows what directories, files and symbolic links a view has, and
// the numbers by which the kernel knows them.
//
// A view is the same for all containers, but for directories of the host whose
// entries a container may have of its own ([source.Directory]): who may see what is
// not decided here. It has two kinds of nodes:
//
//	of the table     made once, of the rows that the host has (package source)
//	of the host's    made when they are asked for, of what is there at that
//	directories      moment (package sysdir)
//
// # Inode numbers
//
//	slot<<32 | number
//
// A slot is one container. A number stands in the table, or is computed from what
// it stands for; its top bit tells which. Nothing of it is remembered, so any
// process can say what a number means that another one gave to the kernel.
package nodes

import (
	"errors"
	"io/fs"
	"path"

	"golang.org/x/sys/unix"

	"github.com/procfs-shim/procfs-shim/fusefs/source"
	"github.com/procfs-shim/procfs-shim/fusefs/sysdir"
)

const numberBits = 32

// Top is the number of the top directory of a view; with slot 0, FUSE_ROOT_ID.
const Top = 1

// Inode composes an inode number.
func Inode(slot uint64, number uint32) uint64 { return slot<<numberBits | uint64(number) }

// Split takes an inode number apart.
func Split(id uint64) (slot uint64, number uint32) {
	return id >> numberBits, uint32(id & (1<<numberBits - 1))
}

// Shown is the inode number that stat(2) and listings show: one that fits 32
// bits, as those of procfs do, or 32-bit programs would be refused (EOVERFLOW).
// It is unique in the view of one container, and never 0: no number ends in 16
// zeros.
func Shown(slot uint64, number uint32) uint64 { return uint64(uint32(slot<<16) ^ number) }

// ErrNone says that there is no such node, or none any more.
var ErrNone = errors.New("no such file in this tree")

// A Node is a directory, file or symbolic link of a view.
type Node struct {
	Name   string
	Number uint32
	Up     uint32       // number of the directory that it is in; the top directory's is its own
	File   *source.File // nil for what is no file
	Target string       // of a symbolic link
	Like                // a file's own; a directory's are fixed

	// A directory whose entries are the host's, or something below it.
	Dir   *source.Directory
	Entry *sysdir.Entry // nil for what stands in the table

	children []*Node // of the table, in a directory
}

// Directory says whether n is one.
func (n *Node) Directory() bool { return n.File == nil && n.Target == "" }

// Kind is the node's part of st_mode.
func (n *Node) Kind() uint32 {
	switch {
	case n.File != nil:
		return unix.S_IFREG
	case n.Target != "":
		return unix.S_IFLNK
	}
	return unix.S_IFDIR
}

// A View is the nodes of a view. It doesn't change once made.
type View struct {
	fixed map[uint32]*Node
	dirs  []*source.Directory
}

// New makes a view of the files that present says the host has, and of the host's
// directories. Directories that would be empty are left out.
func New(present func(*source.File) (Like, bool), dirs []*source.Directory) *View {
	top := &Node{Number: Top, Up: Top, Like: Like{Mode: 0o555}}
	v := &View{fixed: map[uint32]*Node{Top: top}, dirs: dirs}
	byPath := map[string]*Node{".": top}
	table := source.Files()
	for i := range table {
		if host, ok := present(&table[i]); ok {
			v.place(&Node{Number: table[i].Number, File: &table[i], Like: host}, table[i].Path, byPath)
		}
	}
	for _, d := range v.dirs {
		if _, ok := byPath[d.Path]; !ok {
			v.place(newDirectory(d.Path), d.Path, byPath)
		}
		byPath[d.Path].Dir = d
	}
	return v
}

func newDirectory(at string) *Node {
	return &Node{Number: directoryNumber(at), Like: Like{Mode: 0o555}}
}

// place puts n at its path, making the directories that lead there.
func (v *View) place(n *Node, at string, byPath map[string]*Node) {
	dir := path.Dir(at)
	parent, ok := byPath[dir]
	if !ok {
		parent = newDirectory(dir)
		v.place(parent, dir, byPath)
	}
	n.Name = path.Base(at)
	n.Up = parent.Number
	parent.children = append(parent.children, n)
	byPath[at] = n
	v.fixed[n.Number] = n
}

// directoryNumber returns the number of a directory of the table. The tests
// see to it that every file's directory has one; a table without is a bug that
// must not get as far as two nodes with one number.
func directoryNumber(dir string) uint32 {
	for _, d := range source.Numbers() {
		if d.Path == dir {
			return d.Number
		}
	}
	panic("nodes: the table of files has no number for the directory " + dir)
}

// Top returns the view's top directory.
func (v *View) Top() *Node { return v.fixed[Top] }

// At returns the node with this number; ErrNone if what it stood for isn't
// there any more.
func (v *View) At(number uint32) (*Node, error) {
	if n, ok := v.fixed[number]; ok {
		return n, nil
	}
	for _, d := range v.dirs {
		if !d.Is(number) {
			continue
		}
		e, err := d.At(number)
		return v.found(d, &e, err)
	}
	return nil, ErrNone
}

// Child returns the entry of a directory with this name.
func (v *View) Child(n *Node, name string) (*Node, error) {
	for _, c := range n.children {
		if c.Name == name {
			return c, nil
		}
	}
	if n.Dir == nil {
		return nil, ErrNone
	}
	e, err := n.Dir.Find(n.Entry, name)
	return v.found(n.Dir, &e, err)
}

// List returns the entries of a directory.
func (v *View) List(n *Node) ([]*Node, error) {
	if n.Dir == nil {
		return n.children, nil
	}
	entries, err := n.Dir.List(n.Entry)
	if err != nil {
		return nil, none(err)
	}
	list := append([]*Node(nil), n.children...)
	for i := range entries {
		list = append(list, v.made(n.Dir, &entries[i]))
	}
	return list, nil
}

// found is the node of an entry that was looked up.
func (v *View) found(d *source.Directory, e *sysdir.Entry, err error) (*Node, error) {
	if err != nil {
		return nil, none(err)
	}
	return v.made(d, e), nil
}

// none makes ErrNone of what says that the host hasn't, or has no more,
// something.
func none(err error) error {
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ENODEV) {
		return ErrNone
	}
	return err
}

// made makes the node of an entry.
func (v *View) made(d *source.Directory, e *sysdir.Entry) *Node {
	n := &Node{
		Name: e.Name, Number: e.Number, Dir: d, Entry: e, Target: e.Target,
		Like: Like{Mode: e.Mode, UID: e.UID, GID: e.GID},
	}
	if e.Kind == sysdir.File {
		n.File = d.File(e)
	}
	up, below := d.Above(e)
	if !below {
		up = directoryNumber(d.Path)
	}
	n.Up = up
	return n
}

// Links counts the links of a directory as Unix does: its name, its ".", and
// the ".." of each directory in it. Directories whose entries are the host's
// don't count theirs: 1 says so (as Btrfs does).
func (n *Node) Links() uint32 {
	if !n.Directory() || n.Dir != nil {
		return 1
	}
	links := uint32(2)
	for _, c := range n.children {
		if c.Directory() {
			links++
		}
	}
	return links
}

// Like is what a file's inode takes over from the host's file, as it was when
// the server started.
type Like struct {
	Mode     uint32 // permission bits
	UID, GID uint32
	Long     bool // the text is too long for the size that all files have
}
