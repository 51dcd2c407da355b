// SPDX-License-Identifier: Apache-2.0

package procfile

import "bytes"

// A Vmstat is the content of /proc/vmstat (mm/vmstat.c, proc_vmstat(5)): rows of a
// label and a number, of pages or events, in an order that differs between
// kernels.
//
//	nr_free_pages 2660395
//	pgfault 48712204
//
// A line of another form is an error: every number of this file is the host's,
// and one that isn't found could not be replaced.
type Vmstat struct{ table }

//nolint:gochecknoglobals // a constant table
var vmstatForm = tableForm{path: "proc/vmstat", cut: cutPlainLine, required: "nr_free_pages"}

// ParseVmstat parses the whole of /proc/vmstat. The text is copied. The error is a
// [*ParseError].
func ParseVmstat(text []byte) (*Vmstat, error) {
	v := new(Vmstat)
	if err := v.Parse(text); err != nil {
		return nil, err
	}
	return v, nil
}

// Parse replaces what v holds by the whole of text, which is copied, and keeps v's
// memory: parsing the same rows again allocates nothing. After an error v is
// empty.
func (v *Vmstat) Parse(text []byte) error { return v.parse(vmstatForm, text) }

// CopyFrom makes v an independent copy of src, reusing v's memory.
func (v *Vmstat) CopyFrom(src *Vmstat) { v.copyFrom(&src.table) }

// cutPlainLine takes "label 123" apart.
func cutPlainLine(line []byte) (name []byte, r row, cause error) {
	name, digits, _ := bytes.Cut(line, []byte{' '})
	value, ok := parseUint(digits)
	if !ok || len(name) == 0 {
		return nil, row{}, ErrNumber
	}
	return name, row{field: len(line) - len(digits), value: value}, nil
}
