// SPDX-License-Identifier: Apache-2.0

// Package texts makes and remembers what containers are shown.
//
// A [Texts] is one container's: it makes the texts of its files (package source), each
// with a record of what it was made from, and knows what to show when one can't be
// had: the last good one for 30 seconds, then by policy an error or the host's own.
// What goes wrong is counted (package failure).
//
//	s, err := t.Show(texts.Text{File: f})  a text of this moment, or what stands in
//	told := t.Check(f)                     of a static file: does its version hold?
//	s, err := t.Kept(f)                    the text of the version that was told last
//
// # Versions
//
// Of a static file (source.File.Static) the kernel keeps the text, and is told its
// version, a time. Two texts never have the same, also if a text comes back: the
// kernel could still have parts of the one between. A version is looked at without a
// lock, since files are read for it; of looks that overtake one another the one that
// began last counts.
//
// # Locks
//
// Texts.mu guards the last good texts and the versions. No file is read and no other
// lock taken while it is held.
package texts
