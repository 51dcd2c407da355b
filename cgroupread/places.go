// SPDX-License-Identifier: Apache-2.0

package cgroupread

import (
	"cmp"
	"iter"
	"slices"
	"strings"
	"unique"
)

// places are the paths of one container in v1's hierarchies. Most containers have
// the same in all of them, and a server knows of thousands: so each path stands
// there once. Never changed once made; sorted, so that equal ones compare equal.
type places []place

// place is one path and the controllers whose hierarchies have it.
type place struct {
	path        string
	controllers unique.Handle[string] // "cpu,memory,name=systemd", sorted
}

// placesOf makes places of pairs of a controller and its path; of two for the same
// controller the last one counts.
func placesOf(pairs iter.Seq2[string, string]) places {
	type pair struct{ controller, path string }
	var all []pair
	for controller, path := range pairs {
		all = slices.DeleteFunc(all, func(p pair) bool { return p.controller == controller })
		all = append(all, pair{controller, path})
	}
	slices.SortFunc(all, func(a, b pair) int { return cmp.Compare(a.controller, b.controller) })
	var made places
	var names []string
	for i, first := range all {
		if slices.ContainsFunc(all[:i], func(p pair) bool { return p.path == first.path }) {
			continue
		}
		names = names[:0]
		for _, p := range all[i:] {
			if p.path == first.path {
				names = append(names, p.controller)
			}
		}
		made = append(made, place{first.path, unique.Make(strings.Join(names, ","))})
	}
	return made
}

// get is the path in a controller's hierarchy.
func (s places) get(controller string) (path string, ok bool) {
	for _, p := range s {
		for name := range strings.SplitSeq(p.controllers.Value(), ",") {
			if name == controller {
				return p.path, true
			}
		}
	}
	return "", false
}

// all are pairs of a controller and its path.
func (s places) all() iter.Seq2[string, string] {
	return func(yield func(controller, path string) bool) {
		for _, p := range s {
			for name := range strings.SplitSeq(p.controllers.Value(), ",") {
				if !yield(name, p.path) {
					return
				}
			}
		}
	}
}

// once is path, as the string that is kept already if there is an equal one.
func (s places) once(path string) string {
	for _, p := range s {
		if p.path == path {
			return p.path
		}
	}
	return path
}
