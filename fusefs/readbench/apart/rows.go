// SPDX-License-Identifier: Apache-2.0

package apart

import (
	"path/filepath"
	"slices"
	"strconv"
)

// Tree is a file tree and what is expected of it.
type Tree struct {
	Name string
	Dir  string // where it is, as the other process sees it
	// Source is where it is for the caller: files that aren't there get no row. ""
	// stands for a tree that has all.
	Source string
	// Texts are what its files say, by paths below it; nil if that isn't known. Of a
	// file that says nothing in one tree, no other is expected to say something: a
	// container that used no disk has an empty diskstats.
	Texts map[string]string
	// View is that of the container that its files are about, nil for others.
	View *View
}

// View is what a container must be shown.
type View struct {
	Memory int64  // bytes
	CPUs   int    // how many there are
	Online string // which, as a list
}

// Rows gives a row for each file, by its path below a tree, of each tree that has
// it. name gives what files are called in results.
func Rows(files []string, name func(file string) string, trees []Tree, has func(path string) bool) []Row {
	var rows []Row
	for _, file := range files {
		empty := slices.ContainsFunc(trees, func(t Tree) bool { return t.Texts != nil && t.Texts[file] == "" })
		for _, t := range trees {
			if t.Source != "" && !has(filepath.Join(t.Source, file)) {
				continue
			}
			r := Row{File: name(file), Tree: t.Name, Path: filepath.Join(t.Dir, file), Text: t.Texts[file], Empty: empty}
			if t.View != nil {
				t.View.expect(&r)
			}
			rows = append(rows, r)
		}
	}
	return rows
}

// expect has a row say what the view must. Of other files than these it is only
// expected that they say something.
func (v *View) expect(r *Row) {
	switch r.File {
	case "meminfo":
		r.Key, r.Value = "MemTotal:", strconv.FormatInt(v.Memory>>10, 10)+" kB"
	case "cpuinfo":
		r.Prefix, r.Lines = "processor\t", v.CPUs
	case "stat":
		r.Prefix, r.Lines = "cpu", 1+v.CPUs // and the line of their sum
	case "cpu/online":
		r.Text = v.Online + "\n"
	}
}
