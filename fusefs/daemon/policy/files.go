// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/procfs-shim/procfs-shim/fusefs"
)

// Words of a list of files.
const (
	allFiles     = "all"
	defaultFiles = "default"
	noFiles      = "none"
)

// Name is what a served file is called in lists and after --file: its path below
// /proc or /sys/devices/system.
func Name(filePath string) string {
	return strings.TrimPrefix(strings.TrimPrefix(filePath, "proc/"), sysTop)
}

// AllFiles are the paths of all served files below a tree.
func AllFiles() []string { return filesWith(func(fusefs.File) bool { return true }) }

// UsualFiles are those bound unless something else was said.
func UsualFiles() []string { return filesWith(func(f fusefs.File) bool { return f.BindByDefault }) }

func filesWith(which func(fusefs.File) bool) (paths []string) {
	for _, f := range fusefs.Files() {
		if which(f) {
			paths = append(paths, f.Path)
		}
	}
	return paths
}

// FilePath is the path below a tree of the one file that a name means: of the table,
// or of one in the host's directories below /sys/devices/system, as
// "node/node0/meminfo". The error names the nearest file.
func FilePath(name string) (string, error) {
	full := path.Clean(strings.TrimPrefix(name, "/"))
	table := fusefs.Files()
	for _, f := range table {
		if f.Path == full || Name(f.Path) == full {
			return f.Path, nil
		}
	}
	below := strings.TrimPrefix(full, sysTop)
	if strings.HasPrefix(below, "cpu/") || strings.HasPrefix(below, "node/") {
		return sysTop + below, nil // whether it is there, the tree knows
	}
	return "", fmt.Errorf("%.40q is not served%s", name, nearestFile(table, name))
}

// sysTop is where the host's directories are in a tree.
const sysTop = "sys/devices/system/"

// Select reads a list of files: terms with commas between them, each of which
// adds to the terms before it.
//
//	NAME       a served file: meminfo, cpu/online; or all below a directory: pressure
//	-NAME      takes it out again; as the first term it takes it out of the default
//	all        every served file
//	default    those that are bound unless something else is said
//	none       nothing
//
// It returns paths below a tree ("proc/meminfo") in the table's order. The error
// names the term, and the nearest name or all of them.
func Select(list string) ([]string, error) {
	table := fusefs.Files()
	chosen := make([]bool, len(table))
	for i, term := range strings.Split(list, ",") {
		term = strings.TrimSpace(term)
		name, out := strings.CutPrefix(term, "-")
		if out && i == 0 {
			mark(table, chosen, defaultFiles, true)
		}
		if name == "" {
			return nil, errors.New("an empty name: it is a list of files with commas between, or all, default or none")
		}
		if !mark(table, chosen, name, !out) {
			return nil, fmt.Errorf("%.40q is not served%s", name, nearestFile(table, name))
		}
	}
	var paths []string
	for i, f := range table {
		if chosen[i] {
			paths = append(paths, f.Path)
		}
	}
	return paths, nil
}

// SelectNames is Select of names that were given one by one after --file, which the
// error names; nil without any.
func SelectNames(names []string) ([]string, error) {
	if len(names) == 0 {
		return nil, nil
	}
	files, err := Select(strings.Join(names, ","))
	if err != nil {
		return nil, fmt.Errorf("--file: %w", err)
	}
	return files, nil
}

// mark sets what a name stands for, and says whether there is such a thing.
func mark(table []fusefs.File, chosen []bool, name string, as bool) bool {
	if name == noFiles {
		if as {
			clear(chosen)
		}
		return true
	}
	found := false
	for i, f := range table {
		if means(name, f) {
			chosen[i], found = as, true
		}
	}
	return found
}

func means(name string, f fusefs.File) bool {
	switch name {
	case allFiles:
		return true
	case defaultFiles:
		return f.BindByDefault
	}
	full := path.Clean(strings.TrimPrefix(name, "/"))
	return slices.ContainsFunc([]string{f.Path, Name(f.Path)}, func(p string) bool {
		return p == full || strings.HasPrefix(p, full+"/")
	})
}

func nearestFile(table []fusefs.File, name string) string {
	var known []string
	for _, f := range table {
		known = append(known, Name(f.Path))
	}
	if near := didYouMean(name, known); near != "" {
		return near
	}
	return "; these are: " + strings.Join(known, ", ")
}
