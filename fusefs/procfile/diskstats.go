// SPDX-License-Identifier: Apache-2.0

package procfile

import (
	"bytes"
	"math"
)

// diskstatsPath names the file in errors.
const diskstatsPath = "proc/diskstats"

// fewestDiskColumns is how many numbers follow a device's name at least (kernel
// Documentation/admin-guide/iostats.rst): 11; 15 with discards (since 4.18), 17
// with flushes (since 5.5).
const fewestDiskColumns = 11

// A Diskstats is the content of /proc/diskstats (diskstats_show, block/genhd.c;
// proc_diskstats(5)): a line for each block device, none on a host without any.
//
//	254       0 vda 2 0 16 7 0 0 0 0 0 4 7 0 0 0 0 0 0
//
// A line that begins with two numbers and goes on in another form (a name with
// blanks) is no device; it is kept and written as it came.
type Diskstats struct {
	text []byte
	rows []diskRow
}

// A diskRow is one line.
type diskRow struct {
	start, end         int  // in text; of a row that was added, where the name is
	added              bool // not parsed
	major, minor       uint32
	nameStart, nameEnd int // from start; equal where the line is no device
	columns            int // numbers after the name
	io                 DiskIO
}

// DiskIO is what was read from, written to and discarded on a device. The
// kernel's other columns (merged requests, times, requests in flight, flushes)
// have no place here: nobody knows a container's.
type DiskIO struct {
	Reads, Writes, Discards                   uint64 // requests completed
	ReadSectors, WriteSectors, DiscardSectors uint64 // of 512 bytes
}

// ParseDiskstats parses the whole of /proc/diskstats. The text is copied. The
// error is a [*ParseError].
func ParseDiskstats(text []byte) (*Diskstats, error) {
	d := new(Diskstats)
	if err := d.Parse(text); err != nil {
		return nil, err
	}
	return d, nil
}

// Parse replaces what d holds by the whole of text, which is copied, and keeps d's
// memory. After an error d is empty.
func (d *Diskstats) Parse(text []byte) error {
	d.Reset()
	for start := 0; start < len(text); {
		length := bytes.IndexByte(text[start:], '\n')
		if length < 0 {
			number := len(d.rows) + 1
			d.Reset()
			return failLine(diskstatsPath, number, text[start:], ErrTruncated)
		}
		line := text[start : start+length]
		r, ok := cutDiskLine(line)
		if !ok {
			number := len(d.rows) + 1
			d.Reset()
			return failLine(diskstatsPath, number, line, ErrNumber)
		}
		r.start, r.end = start, start+length+1
		d.rows = append(d.rows, r)
		start = r.end
	}
	d.text = append(d.text, text...)
	return nil
}

// cutDiskLine takes "   8       0 sda 1 2 3 …" apart; ok is false where it doesn't
// begin with a device's numbers.
func cutDiskLine(line []byte) (r diskRow, ok bool) {
	major, rest := cutDiskField(line)
	minor, rest := cutDiskField(rest)
	maj, okMajor := parseUint(major)
	mnr, okMinor := parseUint(minor)
	if !okMajor || !okMinor || maj > math.MaxUint32 || mnr > math.MaxUint32 {
		return diskRow{}, false
	}
	name, rest := cutDiskField(rest)
	end := len(line) - len(rest)
	for len(rest) > 0 {
		var number []byte
		number, rest = cutDiskField(rest)
		n, isNumber := parseUint(number)
		if !isNumber {
			return diskRow{}, true
		}
		if field := r.io.column(r.columns); field != nil {
			*field = n
		}
		r.columns++
	}
	if r.columns < fewestDiskColumns {
		return diskRow{}, true
	}
	r.major, r.minor = uint32(maj), uint32(mnr)
	r.nameStart, r.nameEnd = end-len(name), end
	return r, true
}

// cutDiskField returns the text up to the next blank, after those it begins with.
func cutDiskField(text []byte) (field, rest []byte) {
	text = bytes.TrimLeft(text, " ")
	end := bytes.IndexByte(text, ' ')
	if end < 0 {
		end = len(text)
	}
	return text[:end], text[end:]
}

// column returns what column i behind the name holds, nil if that isn't kept.
func (io *DiskIO) column(i int) *uint64 {
	switch i {
	case 0:
		return &io.Reads
	case 2:
		return &io.ReadSectors
	case 4:
		return &io.Writes
	case 6:
		return &io.WriteSectors
	case 11:
		return &io.Discards
	case 13:
		return &io.DiscardSectors
	}
	return nil
}

// Len returns the number of lines.
func (d *Diskstats) Len() int { return len(d.rows) }

// Device returns the numbers of line i's device; ok is false where the line is
// none.
func (d *Diskstats) Device(i int) (major, minor uint32, ok bool) {
	r := &d.rows[i]
	return r.major, r.minor, r.nameEnd > r.nameStart
}

// Name returns the name of line i's device, "" where the line is none.
func (d *Diskstats) Name(i int) string {
	r := &d.rows[i]
	return string(d.text[r.start+r.nameStart : r.start+r.nameEnd])
}

// IO returns what line i counts, zeros where it is no device.
func (d *Diskstats) IO(i int) DiskIO { return d.rows[i].io }

// Reset removes all lines and keeps d's memory.
func (d *Diskstats) Reset() { d.text, d.rows = d.text[:0], d.rows[:0] }

// AddFrom adds a line for src's device i with other counts, in as many columns;
// those that [DiskIO] doesn't have are 0. Line i must be a device; src isn't d.
func (d *Diskstats) AddFrom(src *Diskstats, i int, io DiskIO) {
	r := src.rows[i]
	name := src.text[r.start+r.nameStart : r.start+r.nameEnd]
	r.start, r.end = len(d.text), len(d.text)+len(name)
	r.nameStart, r.nameEnd = 0, len(name)
	r.added, r.io = true, io
	d.text = append(d.text, name...)
	d.rows = append(d.rows, r)
}

// Append appends the file's text to dst. Lines that were parsed are written as
// they came.
func (d *Diskstats) Append(dst []byte) []byte {
	for i := range d.rows {
		r := &d.rows[i]
		if r.added {
			dst = r.append(dst, d.text[r.start:r.end])
		} else {
			dst = append(dst, d.text[r.start:r.end]...)
		}
	}
	return dst
}

// append writes the line as diskstats_show does.
func (r *diskRow) append(dst, name []byte) []byte {
	const majorWidth, minorWidth = 4, 7
	dst = appendRight(dst, uint64(r.major), majorWidth)
	dst = append(dst, ' ')
	dst = appendRight(dst, uint64(r.minor), minorWidth)
	dst = append(dst, ' ')
	dst = append(dst, name...)
	for i := range r.columns {
		var n uint64
		if field := r.io.column(i); field != nil {
			n = *field
		}
		dst = append(dst, ' ')
		dst = appendRight(dst, n, 0)
	}
	return append(dst, '\n')
}
