// SPDX-License-Identifier: Apache-2.0

package nullfs

import (
	"maps"
	"slices"
	"strings"

	"github.com/hanwen/go-fuse/v2/fuse"
)

// tree has nodes by inode number. It never changes.
type tree struct {
	nodes []*node // that with the number n at n−1, the top first
}

type node struct {
	id       uint64
	children map[string]*node // nil: it is a file
	text     []byte
}

// newTree makes a tree of files by their paths, such as "proc/meminfo".
// Directories are those that the paths need.
func newTree(files map[string]string) *tree {
	t := &tree{}
	top := t.add(map[string]*node{})
	for _, path := range slices.Sorted(maps.Keys(files)) {
		names := strings.Split(path, "/")
		dir := top
		for _, name := range names[:len(names)-1] {
			if dir.children[name] == nil {
				dir.children[name] = t.add(map[string]*node{})
			}
			dir = dir.children[name]
		}
		file := t.add(nil)
		file.text = []byte(files[path])
		dir.children[names[len(names)-1]] = file
	}
	return t
}

func (t *tree) add(children map[string]*node) *node {
	n := &node{id: uint64(len(t.nodes)) + fuse.FUSE_ROOT_ID, children: children}
	t.nodes = append(t.nodes, n)
	return n
}

// at gives the node with this inode number, nil if there is none.
func (t *tree) at(id uint64) *node {
	if id < fuse.FUSE_ROOT_ID || id-fuse.FUSE_ROOT_ID >= uint64(len(t.nodes)) {
		return nil
	}
	return t.nodes[id-fuse.FUSE_ROOT_ID]
}
