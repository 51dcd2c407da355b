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
	return strings.TrimPrefix(strings.TrimPrefix(filePath, "proc/"), "sys/devices/system/")
}

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
