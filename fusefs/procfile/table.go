// SPDX-License-Identifier: Apache-2.0

package procfile

import (
	"bytes"
	"math"
)

// kB is what the kernel's files call kB: 1024 bytes.
const kB = 1024

// A table is a file of lines that have a name and one number each: what
// [Meminfo], [NodeMeminfo], [Vmstat] and [Numastat] have in common. A number that
// is set is written into the columns where the kernel put the one that was read.
//
// Names repeat in no known kernel; if one did, the functions that take a name
// would mean its first row.
type table struct {
	text []byte // the file as parsed
	rows []row
}

// A row is one line of a table.
type row struct {
	name       string // "" when the line isn't understood
	start, end int    // where the line, with its newline, is in text
	field      int    // where, from start, the number's columns begin
	width      int    // how many columns a number fills at least
	value      uint64 // as written: kB or a count
	inKB       bool
	changed    bool // value is no longer what text says
}

// A tableForm is what is known of one file.
type tableForm struct {
	path string // in errors
	// cut takes a line without its newline apart. It returns no name for a line
	// that is to be carried along as it stands, and the cause of an error for one
	// that must not. The name stays part of line.
	cut func(line []byte) (name []byte, r row, cause error)
	// required is the row without which the file is another, in kB or a count.
	required string
	inKB     bool
}

// parse replaces what t holds by the whole of text, which is copied. Parsing the
// same rows again allocates nothing. After an error t is empty.
func (t *table) parse(form tableForm, text []byte) error {
	err := t.fill(form, text)
	if err == nil {
		if i := t.index(form.required); i < 0 || t.rows[i].inKB != form.inKB {
			err = &ParseError{Path: form.path, Text: form.required, Cause: ErrMissing}
		}
	}
	if err != nil {
		t.text, t.rows = t.text[:0], t.rows[:0]
	}
	return err
}

func (t *table) fill(form tableForm, text []byte) error {
	if len(text) == 0 {
		return &ParseError{Path: form.path, Cause: ErrEmpty}
	}
	t.text = append(t.text[:0], text...)
	old := t.rows[:cap(t.rows)] // for its strings: the rows are most often the same
	rows := t.rows[:0]
	for start := 0; start < len(text); {
		number := len(rows) + 1
		length := bytes.IndexByte(text[start:], '\n')
		if length < 0 {
			return failLine(form.path, number, text[start:], ErrTruncated)
		}
		line := text[start : start+length]
		name, r, cause := form.cut(line)
		if cause != nil {
			return failLine(form.path, number, line, cause)
		}
		r.start, r.end = start, start+length+1
		if i := len(rows); i < len(old) && old[i].name == string(name) {
			r.name = old[i].name
		} else {
			r.name = string(name)
		}
		rows = append(rows, r)
		start = r.end
	}
	t.rows = rows
	return nil
}

// cutAligned makes the row of a line whose number, right-aligned in width columns
// and in kB or a count, stands at its end and alone behind from. ok is false where
// it doesn't, or where its bytes don't fit an uint64.
func cutAligned(line []byte, from, width int) (r row, ok bool) {
	number, inKB := bytes.CutSuffix(line[from:], []byte(" kB"))
	digits := bytes.TrimLeft(number, " ")
	r.value, ok = parseUint(digits)
	if !ok || inKB && r.value > math.MaxUint64/kB {
		return row{}, false
	}
	r.inKB = inKB
	r.width = max(width, 0)
	r.field = from + max(0, len(number)-max(width, len(digits)))
	return r, true
}

// Len returns the number of lines.
func (t *table) Len() int { return len(t.rows) }

// Name returns the name of row i as the kernel writes it, without what separates
// it from the number; "" where the line has none.
func (t *table) Name(i int) string { return t.rows[i].name }

// Value returns the value of row i in bytes where the file says kB, else the
// number that stands there.
func (t *table) Value(i int) uint64 {
	if t.rows[i].inKB {
		return t.rows[i].value * kB
	}
	return t.rows[i].value
}

// SetValue sets the value of row i, in bytes where the file says kB. Bytes are
// rounded down to kB, as the kernel does. A line without a name is left alone.
func (t *table) SetValue(i int, value uint64) {
	r := &t.rows[i]
	if r.name == "" {
		return
	}
	if r.inKB {
		value /= kB
	}
	r.changed = r.changed || value != r.value
	r.value = value
}

// Get returns the value of the row called name; ok is false when there is none.
func (t *table) Get(name string) (value uint64, ok bool) {
	if i := t.index(name); i >= 0 {
		return t.Value(i), true
	}
	return 0, false
}

// Set sets the value of the row called name and says whether there is one: rows
// are never added, for a reader must not be shown a file that its kernel doesn't
// write.
func (t *table) Set(name string, value uint64) bool {
	i := t.index(name)
	if i >= 0 {
		t.SetValue(i, value)
	}
	return i >= 0
}

// index returns the first row called name, or −1.
func (t *table) index(name string) int {
	if name == "" {
		return -1
	}
	for i := range t.rows {
		if t.rows[i].name == name {
			return i
		}
	}
	return -1
}

func (t *table) copyFrom(src *table) {
	t.text = append(t.text[:0], src.text...)
	t.rows = append(t.rows[:0], src.rows...)
}

// Append appends the file's text to dst. Rows that were not changed are the
// bytes that were parsed.
func (t *table) Append(dst []byte) []byte {
	from := 0 // what lies between from and the next changed number is copied at once
	for i := range t.rows {
		r := &t.rows[i]
		if !r.changed {
			continue
		}
		dst = append(dst, t.text[from:r.start+r.field]...)
		dst = appendRight(dst, r.value, r.width)
		if r.inKB {
			dst = append(dst, " kB"...)
		}
		from = r.end - len("\n")
	}
	return append(dst, t.text[from:]...)
}
