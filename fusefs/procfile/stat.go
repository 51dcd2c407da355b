// SPDX-License-Identifier: Apache-2.0

package procfile

import "strconv"

// statPath names the file in errors.
const statPath = "proc/stat"

// The columns of a CPU's line in /proc/stat, in the file's order. A kernel prints
// the first 4 (2.4), 7 (2.6.0), 8 (2.6.11), 9 (2.6.24) or all 10 (2.6.33), the
// same number in each line.
const (
	StatUser = iota
	StatNice
	StatSystem
	StatIdle
	StatIOWait
	StatIRQ
	StatSoftIRQ
	StatSteal
	StatGuest // part of user
	StatGuestNice
)

// A Stat is the content of /proc/stat (fs/proc/stat.c, proc_stat(5)):
//
//	cpu  12 0 254 505 0 0 2 0 0 0      the sum over all CPUs, in ticks
//	cpu0 6 0 144 240 0 0 1 0 0 0       an online CPU
//	cpu1 5 0 110 264 0 0 0 0 0 0
//	intr 2264 88 9 …                   counters: a label and one number or more
//	ctxt 2255
//	btime 1795499767
//	…
//
// The lines of CPUs are values: they can be replaced. The lines after them are
// kept as text; a number that is alone in its line can be changed, and a whole
// line can be cleared, which leaves as many zeros. A line that isn't of that form
// has the label "" and is written as it came.
type Stat struct {
	columns int     // numbers in the line of a CPU
	ids     []int   // the CPUs' in the file's order
	ticks   []Ticks // columns of the sum, then those of each CPU

	text  []byte // the file from the first counter on
	lines []statLine
}

// A statLine is one line after those of the CPUs.
type statLine struct {
	label      string // "" when the line isn't understood
	start, end int    // where the line, with its newline, is in text
	values     int    // how many numbers there are
	value      uint64 // the first
	changed    bool   // text no longer holds: the line has value, or zeros
}

// ParseStat parses the whole of /proc/stat. The text is copied. The error is a
// [*ParseError].
func ParseStat(text []byte) (*Stat, error) {
	s := new(Stat)
	if err := s.Parse(text); err != nil {
		return nil, err
	}
	return s, nil
}

// CopyFrom makes s an independent copy of src, reusing s's memory.
func (s *Stat) CopyFrom(src *Stat) {
	s.CopyCounters(src)
	s.ids = append(s.ids, src.ids...)
	s.ticks = append(s.ticks[:0], src.ticks...)
}

// CopyCounters makes s a copy of src without its CPUs, reusing s's memory: there
// are no cpuN lines, and the sum is 0 in as many columns. It is the start of a
// view, which adds the CPUs that it shows.
func (s *Stat) CopyCounters(src *Stat) {
	s.columns = src.columns
	s.ids = s.ids[:0]
	s.ticks = s.ticks[:0]
	if s.columns > 0 {
		s.addTicks()
	}
	s.text = append(s.text[:0], src.text...)
	s.lines = append(s.lines[:0], src.lines...)
}

// Sum returns the columns of the "cpu" line, to be read or changed until a CPU is
// added. There are as many as the kernel prints, at least 4.
func (s *Stat) Sum() []Ticks { return s.ticks[:s.columns:s.columns] }

// CPUs returns the number of cpuN lines.
func (s *Stat) CPUs() int { return len(s.ids) }

// CPU returns the kernel's number of CPU i, counted from 0 in the file's order,
// and its columns, to be read or changed until a CPU is added.
func (s *Stat) CPU(i int) (id int, ticks []Ticks) {
	start := (i + 1) * s.columns
	return s.ids[i], s.ticks[start : start+s.columns : start+s.columns]
}

// AddCPU adds a cpuN line after the others and returns its columns, which are 0,
// to be set until the next one is added. The sum stays as it is.
func (s *Stat) AddCPU(id int) []Ticks {
	s.ids = append(s.ids, id)
	return s.addTicks()
}

// addTicks adds the columns of one line.
func (s *Stat) addTicks() []Ticks {
	start := len(s.ticks)
	for range s.columns {
		s.ticks = append(s.ticks, 0)
	}
	return s.ticks[start:len(s.ticks):len(s.ticks)]
}

// Lines returns the number of lines after those of the CPUs.
func (s *Stat) Lines() int { return len(s.lines) }

// Label returns the first word of line i after the CPUs; "" where the line isn't
// understood.
func (s *Stat) Label(i int) string { return s.lines[i].label }

// Values returns how many numbers line i after the CPUs has.
func (s *Stat) Values(i int) int { return s.lines[i].values }

// Value returns the first number of line i after the CPUs: of intr and softirq
// the sum of the others.
func (s *Stat) Value(i int) uint64 { return s.lines[i].value }

// SetValue changes the number of line i after the CPUs, if it has exactly one.
func (s *Stat) SetValue(i int, value uint64) {
	line := &s.lines[i]
	if line.values != 1 {
		return
	}
	line.changed = line.changed || value != line.value
	line.value = value
}

// Clear makes every number of line i after the CPUs 0.
func (s *Stat) Clear(i int) {
	line := &s.lines[i]
	if line.label == "" {
		return
	}
	line.value, line.changed = 0, true
}

// Append appends the file's text to dst. Counters that were not changed are the
// bytes that were parsed.
func (s *Stat) Append(dst []byte) []byte {
	if s.columns == 0 {
		return dst
	}
	dst = append(dst, "cpu "...) // and one more blank, that of the first number
	dst = appendTicks(dst, s.Sum())
	for i := range s.ids {
		id, ticks := s.CPU(i)
		dst = append(dst, "cpu"...)
		dst = strconv.AppendInt(dst, int64(id), 10)
		dst = appendTicks(dst, ticks)
	}
	from := 0 // what lies between from and the next changed line is copied at once
	for i := range s.lines {
		line := &s.lines[i]
		if !line.changed {
			continue
		}
		dst = append(dst, s.text[from:line.start]...)
		dst = append(dst, line.label...)
		dst = append(dst, ' ')
		dst = appendRight(dst, line.value, 0)
		dst = appendZeros(dst, line.values-1)
		dst = append(dst, '\n')
		from = line.end
	}
	return append(dst, s.text[from:]...)
}

// appendTicks writes the numbers of a CPU's line, each after a blank, and ends the
// line.
func appendTicks(dst []byte, ticks []Ticks) []byte {
	for _, t := range ticks {
		dst = append(dst, ' ')
		dst = strconv.AppendUint(dst, uint64(t), 10)
	}
	return append(dst, '\n')
}

// appendZeros writes n times a blank and 0, many at once: intr has a number for
// every interrupt that could be, thousands on large hosts.
func appendZeros(dst []byte, n int) []byte {
	const many = " 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0"
	for n > 0 {
		k := min(n, len(many)/2)
		dst = append(dst, many[:2*k]...)
		n -= k
	}
	return dst
}
