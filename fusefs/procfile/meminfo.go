// SPDX-License-Identifier: Apache-2.0

package procfile

import "bytes"

// A Meminfo is the content of /proc/meminfo (fs/proc/meminfo.c, proc_meminfo(5)).
//
// It is a list of rows in the file's order. A row has a name and a value: bytes
// where the file says kB, a plain count elsewhere (HugePages_Total and its
// neighbours, in huge pages). A line that isn't of that form has the name "" and
// no value; it is kept and written as it came.
type Meminfo struct{ table }

//nolint:gochecknoglobals // a constant table
var meminfoForm = tableForm{path: "proc/meminfo", cut: cutMeminfoLine, required: "MemTotal", inKB: true}

// ParseMeminfo parses the whole of /proc/meminfo. The text is copied. The error
// is a [*ParseError].
func ParseMeminfo(text []byte) (*Meminfo, error) {
	m := new(Meminfo)
	if err := m.Parse(text); err != nil {
		return nil, err
	}
	return m, nil
}

// Parse replaces what m holds by the whole of text, which is copied, and keeps
// m's memory: parsing the same rows again allocates nothing. After an error m is
// empty.
func (m *Meminfo) Parse(text []byte) error { return m.parse(meminfoForm, text) }

// CopyFrom makes m an independent copy of src, reusing m's memory.
func (m *Meminfo) CopyFrom(src *Meminfo) { m.copyFrom(&src.table) }

// cutMeminfoLine takes "Name:   123 kB" or "Name:   123" apart.
func cutMeminfoLine(line []byte) (name []byte, r row, cause error) {
	const end = 24 // where numbers end, while they fit
	name, _, found := bytes.Cut(line, []byte{':'})
	if !found || len(name) == 0 || bytes.ContainsAny(name, " \t") {
		return nil, row{}, nil
	}
	r, ok := cutAligned(line, len(name)+len(":"), end-meminfoLabelWidth(name))
	switch {
	case ok:
		return name, r, nil
	case knownMeminfoRow(name):
		return nil, row{}, ErrNumber
	}
	return nil, row{}, nil
}
