// SPDX-License-Identifier: Apache-2.0

package formats

import (
	"path"
	"strings"
)

// match says whether a name fits a pattern, in which # is one digit or more and *
// one character or more.
func match(pattern, name string) bool {
	if pattern == name {
		return true // also where a name has a # of its own
	}
	for i := range len(pattern) {
		switch pattern[i] {
		case '#':
			return matchMore(pattern[i+1:], name[min(i, len(name)):], func(c byte) bool { return c >= '0' && c <= '9' })
		case '*':
			return matchMore(pattern[i+1:], name[min(i, len(name)):], func(byte) bool { return true })
		}
		if i >= len(name) || name[i] != pattern[i] {
			return false
		}
	}
	return false // which is shorter than name
}

// matchMore says whether name begins with one character or more that is fits, and
// the rest is of the pattern.
func matchMore(pattern, name string, is func(byte) bool) bool {
	for n := 1; n <= len(name) && is(name[n-1]); n++ {
		if match(pattern, name[n:]) {
			return true
		}
	}
	return false
}

// FileField parts a name into the file and its field.
func (in Input) FileField() (file, field string) { return cutName(in.Name) }

func cutName(name string) (file, field string) {
	file, field, ok := strings.Cut(name, " ")
	if !ok {
		field = path.Base(file)
	}
	return file, field
}

// Is says whether a field of a file that was read is this input. Of a host's file
// file is the path as in "proc/meminfo", of a cgroup's its name.
func (in Input) Is(file, field string) bool {
	for _, name := range []string{in.Name, in.V1} {
		if f, p := cutName(name); name != "" && match(f, file) && match(p, field) {
			return true
		}
	}
	return false
}

// NameIn is what the input calls its field in a file, as its name or a pattern; ""
// if the input is of other files.
func (in Input) NameIn(file string) string {
	for _, name := range []string{in.Name, in.V1} {
		if f, field := cutName(name); name != "" && match(f, file) {
			return field
		}
	}
	return ""
}
