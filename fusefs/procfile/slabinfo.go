// SPDX-License-Identifier: Apache-2.0

package procfile

import "bytes"

// slabinfoPath names the file in errors.
const slabinfoPath = "proc/slabinfo"

// A Slabinfo is the content of /proc/slabinfo or of a v1 cgroup's
// memory.kmem.slabinfo (mm/slab_common.c, slabinfo(5)): a version, the names of
// the columns, and a line for each cache.
//
//	slabinfo - version: 2.1
//	# name            <active_objs> <num_objs> <objsize> …
//	dentry             10080  10080    192   21    1 : tunables …
//
// The caches are kept as text.
type Slabinfo struct {
	text   []byte
	header int // where the first cache's line starts
}

// ParseSlabinfo parses the whole of the file. The text is copied. The error is a
// [*ParseError].
func ParseSlabinfo(text []byte) (*Slabinfo, error) {
	s := new(Slabinfo)
	if err := s.Parse(text); err != nil {
		return nil, err
	}
	return s, nil
}

// Parse replaces what s holds by the whole of text, which is copied, and keeps s's
// memory. After an error s is empty.
func (s *Slabinfo) Parse(text []byte) error {
	s.text, s.header = s.text[:0], 0
	line, rest, err := firstLine(slabinfoPath, text)
	if err != nil {
		return err
	}
	if !bytes.HasPrefix(line, []byte("slabinfo - version: ")) {
		return &ParseError{Path: slabinfoPath, Text: "slabinfo - version", Cause: ErrMissing}
	}
	if len(rest) == 0 || rest[0] != '#' {
		return &ParseError{Path: slabinfoPath, Text: "# name", Cause: ErrMissing}
	}
	names, _, err := cutLine(slabinfoPath, rest, 2)
	if err != nil {
		return err
	}
	s.text, s.header = append(s.text, text...), len(line)+len(names)+2
	return nil
}

// CopyHeader makes s a copy of src without its caches, reusing s's memory.
func (s *Slabinfo) CopyHeader(src *Slabinfo) {
	s.text = append(s.text[:0], src.text[:src.header]...)
	s.header = src.header
}

// AddCaches adds the lines of src's caches.
func (s *Slabinfo) AddCaches(src *Slabinfo) { s.text = append(s.text, src.text[src.header:]...) }

// Caches returns the number of lines after the header.
func (s *Slabinfo) Caches() int { return bytes.Count(s.text[s.header:], []byte{'\n'}) }

// Append appends the file's text to dst.
func (s *Slabinfo) Append(dst []byte) []byte { return append(dst, s.text...) }
