// SPDX-License-Identifier: Apache-2.0

// Package formats says of every field of every served file where its value comes
// from: the table behind docs/FORMATS.md and `procfs-shim explain`.
//
//	file, ok := formats.Lookup("proc/meminfo")
//	for _, field := range formats.Split(file.Path, text) {
//		row, ok := file.Row(field.Name) // kind, formula, inputs
//	}
//
// # Fields
//
// [Split] cuts a text into named fields: "MemTotal" of proc/meminfo, "cpu1 idle" of
// proc/stat, "vda sectors read" of proc/diskstats. It does the same with the
// cgroup's files and the host's that numbers are made from, so that a field of an
// input is named in the same way: "memory.stat anon", "cpu.max quota". A file of
// one value has one field, called as the file is.
//
// # Patterns
//
// In paths and names # stands for a number, and * for anything that isn't empty.
// The first row that matches a field is its row.
//
// # What the table promises
//
// A row lists all that its field is made from. When a number changes that no row
// of a field lists, directly or through another field that is shown, the field
// doesn't move; and each number that is listed moves it. A test changes every
// number of captured hosts, one at a time, to see that this is so.
//
// The package is pure: text and policies in, rows out.
package formats
