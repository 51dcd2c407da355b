// SPDX-License-Identifier: Apache-2.0

package source

import (
	"fmt"

	"github.com/procfs-shim/procfs-shim/cgroupread/cpulist"
	"github.com/procfs-shim/procfs-shim/fusefs/view"
)

// A Version tells one text of a static file from another: for one container and
// file, equal versions stand for the same text. It is small, unlike the text, so
// that whether a text still holds can be asked for the price of finding out which
// CPUs are visible. The zero Version is of no text.
type Version struct {
	cpus      cpulist.Set // that the text is about
	numbering view.Numbering
	text      uint64 // of the host's cpuinfo, or anyText
}

// anyText is the text of a Version that no text of the host matters to.
const anyText = 1

// IsZero says whether v is of no text.
func (v Version) IsZero() bool { return v.text == 0 }

// Equal says whether v and o stand for the same text, which no text is.
func (v Version) Equal(o Version) bool {
	return !v.IsZero() && v.text == o.text && v.numbering == o.numbering && v.cpus.Equal(o.cpus)
}

// A static source also appends only what isn't known yet. Version and text are
// made from one look at the container.
type static interface {
	source
	appendNew(dst []byte, m *moment, known Version) ([]byte, Version, error)
}

// appendAny is append of a static source.
func appendAny(s static, dst []byte, m *moment) ([]byte, error) {
	text, _, err := s.appendNew(dst, m, Version{})
	return text, err
}

// AppendNew is Append for a static file: with the text comes its version, and when
// that is the known one nothing is appended.
func (c *Container) AppendNew(dst []byte, f *File, how How, known Version) (text []byte, v Version, err error) {
	s, ok := f.source.(static)
	if !ok {
		return nil, v, fmt.Errorf("%s: its text has no versions", f.Path)
	}
	err = c.at(how, func(m *moment) error {
		text, v, err = s.appendNew(dst, m, known)
		return err
	})
	return text, v, err
}
