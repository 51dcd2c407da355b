// SPDX-License-Identifier: Apache-2.0

package procfile

import (
	"bytes"
	"math"
)

// meminfoPath names the file in errors.
const meminfoPath = "proc/meminfo"

// kB is what /proc/meminfo calls kB: 1024 bytes.
const kB = 1024

// A Meminfo is the content of /proc/meminfo (fs/proc/meminfo.c, proc_meminfo(5)).
//
// It is a list of rows in the file's order. A row has a name and a value: bytes
// where the file says kB, a plain count elsewhere (HugePages_Total and its
// neighbours, in huge pages). A line that isn't of that form has the name "" and
// no value; it is kept and written as it came.
//
// Names repeat in no known kernel; if one did, the functions that take a name
// would mean its first row.
type Meminfo struct {
	text []byte // the file as parsed
	rows []meminfoRow
}

// A meminfoRow is one line of the file.
type meminfoRow struct {
	name       string // "" when the line isn't understood
	start, end int    // where the line, with its newline, is in text
	value      uint64 // as written: kB or a count
	inKB       bool
	changed    bool // value is no longer what text says
}

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
func (m *Meminfo) Parse(text []byte) error {
	if err := m.parse(text); err != nil {
		m.text, m.rows = m.text[:0], m.rows[:0]
		return err
	}
	return nil
}

func (m *Meminfo) parse(text []byte) error {
	if len(text) == 0 {
		return &ParseError{Path: meminfoPath, Cause: ErrEmpty}
	}
	m.text = append(m.text[:0], text...)
	old := m.rows[:cap(m.rows)] // for its strings: the rows are most often the same
	rows := m.rows[:0]
	total := false
	for start := 0; start < len(text); {
		number := len(rows) + 1
		length := bytes.IndexByte(text[start:], '\n')
		if length < 0 {
			return failLine(meminfoPath, number, text[start:], ErrTruncated)
		}
		line := text[start : start+length]
		name, value, inKB, ok := cutMeminfoLine(line)
		if !ok && len(name) > 0 && knownMeminfoRow(name) {
			return failLine(meminfoPath, number, line, ErrNumber)
		}
		row := meminfoRow{start: start, end: start + length + 1}
		if ok {
			row.value, row.inKB = value, inKB
			if i := len(rows); i < len(old) && old[i].name == string(name) {
				row.name = old[i].name
			} else {
				row.name = string(name)
			}
			total = total || row.name == "MemTotal" && inKB
		}
		rows = append(rows, row)
		start = row.end
	}
	m.rows = rows
	if !total {
		return &ParseError{Path: meminfoPath, Text: "MemTotal", Cause: ErrMissing}
	}
	return nil
}

// cutMeminfoLine takes "Name:   123 kB" or "Name:   123" apart. ok says that the
// whole line has that form and its value, in bytes, fits an uint64; name is set
// even where only the value is wrong.
func cutMeminfoLine(line []byte) (name []byte, value uint64, inKB, ok bool) {
	name, rest, found := bytes.Cut(line, []byte{':'})
	if !found || len(name) == 0 || bytes.ContainsAny(name, " \t") {
		return nil, 0, false, false
	}
	digits := bytes.TrimLeft(rest, " ")
	digits, inKB = bytes.CutSuffix(digits, []byte(" kB"))
	value, ok = parseUint(digits)
	if !ok || inKB && value > math.MaxUint64/kB {
		return name, 0, false, false
	}
	return name, value, inKB, true
}

// Len returns the number of lines.
func (m *Meminfo) Len() int { return len(m.rows) }

// Name returns the name of row i, without the colon; "" where the line has none.
func (m *Meminfo) Name(i int) string { return m.rows[i].name }

// Value returns the value of row i in bytes, or the count of a row without unit.
func (m *Meminfo) Value(i int) uint64 {
	if m.rows[i].inKB {
		return m.rows[i].value * kB
	}
	return m.rows[i].value
}

// SetValue sets the value of row i in bytes, or the count of a row without unit.
// Bytes are rounded down to kB, as the kernel does. A line without a name is left
// alone.
func (m *Meminfo) SetValue(i int, value uint64) {
	row := &m.rows[i]
	if row.name == "" {
		return
	}
	if row.inKB {
		value /= kB
	}
	row.changed = row.changed || value != row.value
	row.value = value
}

// Get returns the value of the row called name; ok is false when there is none.
func (m *Meminfo) Get(name string) (value uint64, ok bool) {
	if i := m.index(name); i >= 0 {
		return m.Value(i), true
	}
	return 0, false
}

// Set sets the value of the row called name and says whether there is one: rows
// are never added, for a reader must not be shown a file that its kernel doesn't
// write.
func (m *Meminfo) Set(name string, value uint64) bool {
	i := m.index(name)
	if i >= 0 {
		m.SetValue(i, value)
	}
	return i >= 0
}

// index returns the first row called name, or −1.
func (m *Meminfo) index(name string) int {
	if name == "" {
		return -1
	}
	for i := range m.rows {
		if m.rows[i].name == name {
			return i
		}
	}
	return -1
}

// CopyFrom makes m an independent copy of src, reusing m's memory.
func (m *Meminfo) CopyFrom(src *Meminfo) {
	m.text = append(m.text[:0], src.text...)
	m.rows = append(m.rows[:0], src.rows...)
}

// Append appends the file's text to dst. Rows that were not changed are the
// bytes that were parsed.
func (m *Meminfo) Append(dst []byte) []byte {
	from := 0 // what lies between from and the next changed row is copied at once
	for i := range m.rows {
		row := &m.rows[i]
		if !row.changed {
			continue
		}
		dst = append(dst, m.text[from:row.start]...)
		dst = row.append(dst)
		from = row.end
	}
	return append(dst, m.text[from:]...)
}

// append writes the row as fs/proc/meminfo.c does: the name with its colon, and
// the number right-aligned so that it ends in column 24 while it fits.
func (r *meminfoRow) append(dst []byte) []byte {
	const end = 24
	label := meminfoLabelWidth(r.name)
	dst = append(dst, r.name...)
	dst = append(dst, ':')
	dst = appendBlanks(dst, label-len(r.name)-1)
	dst = appendRight(dst, r.value, end-label)
	if r.inKB {
		dst = append(dst, " kB"...)
	}
	return append(dst, '\n')
}
