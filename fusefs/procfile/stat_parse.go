// SPDX-License-Identifier: Apache-2.0

package procfile

import "bytes"

// Parse replaces what s holds by the whole of text, which is copied, and keeps
// s's memory: parsing the same lines again allocates nothing. After an error s is
// empty.
func (s *Stat) Parse(text []byte) error {
	s.columns, s.ids, s.ticks, s.text = 0, s.ids[:0], s.ticks[:0], s.text[:0]
	if err := s.parse(text); err != nil {
		s.columns, s.ids, s.ticks = 0, s.ids[:0], s.ticks[:0]
		s.text, s.lines = s.text[:0], s.lines[:0]
		return err
	}
	return nil
}

func (s *Stat) parse(text []byte) error {
	if len(text) == 0 {
		return &ParseError{Path: statPath, Cause: ErrEmpty}
	}
	number := 1
	for ; number == 1 || isCPULine(text); number++ {
		line, rest, err := cutLine(statPath, text, number)
		if err != nil {
			return err
		}
		if err := s.parseCPU(line, number); err != nil {
			return err
		}
		text = rest
	}
	return s.parseCounters(text, number)
}

// isCPULine says that a line is one of a CPU, "cpu0 …", not of the sum.
func isCPULine(line []byte) bool {
	digits, found := bytes.CutPrefix(line, []byte("cpu"))
	return found && len(digits) > 0 && digits[0] >= '0' && digits[0] <= '9'
}

// parseCPU takes the line of the sum, which is the first one, or that of a CPU.
func (s *Stat) parseCPU(line []byte, number int) error {
	if number == 1 {
		numbers, found := bytes.CutPrefix(line, []byte("cpu "))
		if !found {
			return &ParseError{Path: statPath, Text: "cpu", Cause: ErrMissing}
		}
		if !s.parseTicks(numbers) {
			return failLine(statPath, number, line, ErrNumber)
		}
		if s.columns = len(s.ticks); s.columns <= StatIdle {
			return failLine(statPath, number, line, ErrForm)
		}
		return nil
	}
	end := bytes.IndexByte(line, ' ')
	if end < 0 {
		return failLine(statPath, number, line, ErrForm)
	}
	id, ok := parseInt(line[len("cpu"):end])
	if !ok || id > maxCPU || !s.parseTicks(line[end:]) {
		return failLine(statPath, number, line, ErrNumber)
	}
	s.ids = append(s.ids, id)
	if len(s.ticks) != (len(s.ids)+1)*s.columns {
		return failLine(statPath, number, line, ErrForm)
	}
	return nil
}

// parseTicks adds numbers, each of which stands after one blank.
func (s *Stat) parseTicks(numbers []byte) (ok bool) {
	for len(numbers) > 0 {
		var v uint64
		if v, numbers, ok = cutNumber(numbers); !ok {
			return false
		}
		s.ticks = append(s.ticks, Ticks(v))
	}
	return true
}

// cutNumber reads a blank and a number at the start of text.
func cutNumber(text []byte) (v uint64, rest []byte, ok bool) {
	if len(text) == 0 || text[0] != ' ' {
		return 0, nil, false
	}
	end := 1
	for end < len(text) && text[end] != ' ' {
		end++
	}
	v, ok = parsePlain(text[1:end])
	return v, text[end:], ok
}

// parseCounters takes the lines after those of the CPUs; number is the first
// one's.
func (s *Stat) parseCounters(text []byte, number int) error {
	s.text = append(s.text, text...)
	old := s.lines[:cap(s.lines)] // for its strings: the lines are most often the same
	s.lines = s.lines[:0]
	haveBoot := false
	for at := 0; at < len(text); number++ {
		line, rest, err := cutLine(statPath, text[at:], number)
		if err != nil {
			return err
		}
		label, numbers := line, line[len(line):]
		if end := bytes.IndexByte(line, ' '); end >= 0 {
			label, numbers = line[:end], line[end:]
		}
		next := statLine{start: at, end: len(text) - len(rest)}
		if first, n, ok := countNumbers(numbers); ok && len(label) > 0 {
			next.value, next.values = first, n
			if i := len(s.lines); i < len(old) && old[i].label == string(label) {
				next.label = old[i].label
			} else {
				next.label = string(label)
			}
			haveBoot = haveBoot || next.label == "btime"
		}
		switch {
		case string(label) == "cpu", isCPULine(label): // not where the kernel has them
			return failLine(statPath, number, line, ErrForm)
		case next.label == "" && knownStatLabel(label):
			return failLine(statPath, number, line, ErrNumber)
		}
		s.lines = append(s.lines, next)
		at = next.end
	}
	if !haveBoot {
		return &ParseError{Path: statPath, Text: "btime", Cause: ErrMissing}
	}
	return nil
}

// countNumbers counts the numbers of a line and reads the first.
func countNumbers(text []byte) (first uint64, n int, ok bool) {
	for len(text) > 0 {
		var v uint64
		if v, text, ok = cutNumber(text); !ok {
			return 0, 0, false
		}
		if n++; n == 1 {
			first = v
		}
	}
	return first, n, n > 0
}

// knownStatLabel says whether the kernel has a line of that label whose values are
// numbers (fs/proc/stat.c since Linux 2.6.31).
func knownStatLabel(label []byte) bool {
	switch string(label) {
	case "intr", "ctxt", "btime", "processes", "procs_running", "procs_blocked", "softirq":
		return true
	}
	return false
}
