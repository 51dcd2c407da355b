// SPDX-License-Identifier: Apache-2.0

// Package explain says where each number of one text came from: `procfs-shim
// explain`. It puts a text, what it was made from ([Material]) and the table of
// package formats together, and writes the result as a table, as the details of one
// field, or as JSON.
//
//	x := explain.Of(material, hostText, roots)
//	err := x.WriteTable(os.Stdout)
//
// # Words
//
// An input is a file that was read for the text. A source is one value in an input
// that a field is made from, with the level of the chain that it was read at: 0 is
// the container's own cgroup, 1 its parent, and so on. A level binds if the field is
// what it is because of this level's limit; the host can bind, too.
//
// # What it can't say
//
// Sources are what the table lists, as it was read; the arithmetic isn't done again.
// What CPU times and load averages remember of earlier reads is no input, so the
// columns of /proc/stat can't be had from the sources alone.
//
// The package is pure: what the host says is the caller's to read.
package explain
