// SPDX-License-Identifier: Apache-2.0

package formats

import (
	"fmt"
	"path"
	"strconv"
	"strings"

	"github.com/procfs-shim/procfs-shim/fusefs/procfile"
)

// A Field is one named value of a text.
type Field struct {
	Name string
	// Value is text[At : At+len(Value)], a number with its unit, or words.
	Value string
	At    int
}

// Split parts the text of a file into its fields, in their order. file is the path
// of a served file or of another file of the host ("proc/meminfo",
// "proc/sys/vm/overcommit_ratio"), or the name of a cgroup's ("memory.stat").
//
// It takes any text: a line that isn't of the file's form is a field of its own
// called "line 7", or, in a file that isn't known to have more than one value, the
// text is the value, "" of an empty one. Offsets count bytes of text.
func Split(file, text string) []Field {
	s := splitter{text: text}
	base := path.Base(file)
	switch {
	case file == "proc/cpuinfo":
		s.cpuinfo()
	case file == "proc/stat":
		s.lines(s.stat)
	case file == "proc/uptime":
		s.lines(s.columns("up", "idle"))
	case file == "proc/loadavg":
		s.loadavg()
	case file == "proc/diskstats":
		s.lines(s.diskstats)
	case file == "proc/swaps":
		s.lines(s.swaps)
	case base == "slabinfo", base == "memory.kmem.slabinfo":
		s.lines(s.slabinfo)
	case base == "meminfo":
		s.lines(s.meminfo)
	case path.Dir(file) == "proc/pressure", strings.HasSuffix(base, ".pressure") && base != "cgroup.pressure":
		s.lines(s.keyed)
	case base == "io.stat":
		s.lines(s.keyed)
	case base == "memory.numa_stat":
		s.lines(s.keyed)
	case file == "proc/vmstat", base == "numastat", base == "memory.oom_control",
		base == "memory.events", base == "cpuacct.stat", base == "memory.stat", base == "cpu.stat":
		s.lines(s.plain)
	case strings.HasPrefix(base, "blkio."):
		s.lines(s.lastWord)
	case base == "cpu.max":
		s.lines(s.columns("quota", "period"))
	case base == "cpuacct.usage_percpu":
		s.lines(s.perCPU)
	default:
		value, at := trim(text, 0)
		s.add(base, value, at)
	}
	return s.fields
}

type splitter struct {
	text   string
	fields []Field
	number int // the current line's, from 1
}

func (s *splitter) add(name, value string, at int) {
	if name == "" {
		name = fmt.Sprintf("line %d", s.number)
	}
	s.fields = append(s.fields, Field{name, value, at})
}

// lines calls each for each line that isn't empty, with the offset at which it
// starts; what each says false to is a field.
func (s *splitter) lines(each func(line string, at int) bool) {
	at := 0
	for line := range strings.Lines(s.text) {
		s.number++
		whole := strings.TrimSuffix(line, "\n")
		if strings.TrimSpace(whole) != "" && !each(whole, at) {
			s.add(fmt.Sprintf("line %d", s.number), whole, at)
		}
		at += len(line)
	}
}

// word is a word of a line and the offset in it.
type word struct {
	text string
	at   int
}

func words(line string) (all []word) {
	for at := 0; at < len(line); {
		if line[at] == ' ' || line[at] == '\t' {
			at++
			continue
		}
		end := at
		for end < len(line) && line[end] != ' ' && line[end] != '\t' {
			end++
		}
		all = append(all, word{line[at:end], at})
		at = end
	}
	return all
}

// trim takes the blanks around a value that starts at offset at.
func trim(value string, at int) (trimmed string, start int) {
	rest := strings.TrimLeft(value, blanks)
	return strings.TrimRight(rest, blanks), at + len(value) - len(rest)
}

const blanks = " \t\n"

// columns takes a line of as many words as names.
func (s *splitter) columns(names ...string) func(string, int) bool {
	return func(line string, at int) bool {
		w := words(line)
		if len(w) != len(names) {
			return false
		}
		for i, name := range names {
			s.add(name, w[i].text, at+w[i].at)
		}
		return true
	}
}

// plain takes "label 123".
func (s *splitter) plain(line string, at int) bool {
	w := words(line)
	if len(w) != 2 {
		return false
	}
	s.add(w[0].text, w[1].text, at+w[1].at)
	return true
}

// lastWord takes "8:0 Read 123".
func (s *splitter) lastWord(line string, at int) bool {
	end := strings.LastIndexByte(line, ' ')
	if end <= 0 {
		return false
	}
	s.add(line[:end], line[end+1:], at+end+1)
	return true
}

// keyed takes "some avg10=0.00 total=2576", of which the fields are "some avg10"
// and "some total"; a first word with a value is a field, too: v1's
// "total=9 N0=9".
func (s *splitter) keyed(line string, at int) bool {
	w := words(line)
	name, value, found := strings.Cut(w[0].text, "=")
	if found {
		s.add(name, value, at+w[0].at+len(name)+1)
	}
	for _, pair := range w[1:] {
		key, value, ok := strings.Cut(pair.text, "=")
		if !ok {
			return false
		}
		s.add(name+" "+key, value, at+pair.at+len(key)+1)
	}
	return true
}

// perCPU takes v1's "123 456".
func (s *splitter) perCPU(line string, at int) bool {
	for i, w := range words(line) {
		s.add("cpu"+strconv.Itoa(i), w.text, at+w.at)
	}
	return true
}

// meminfo takes "Name:   123 kB" and "Node 0 Name:   123 kB".
func (s *splitter) meminfo(line string, at int) bool {
	name, value, found := strings.Cut(line, ":")
	if !found {
		return false
	}
	if rest, ok := strings.CutPrefix(name, "Node "); ok {
		_, name, found = strings.Cut(rest, " ")
		if !found {
			return false
		}
	}
	value, at = trim(value, at+len(line)-len(value))
	s.add(name, value, at)
	return true
}

// statColumns are the columns of a CPU's line (proc_stat(5)).
func statColumns() []string {
	return []string{"user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal", "guest", "guest_nice"}
}

// stat takes "cpu0 1 2 3 …", and "ctxt 5"; of intr and softirq the first number is
// a field and the others are another one, for there can be thousands.
func (s *splitter) stat(line string, at int) bool {
	w := words(line)
	label := w[0].text
	if len(w) < 2 {
		return false
	}
	if match("cpu", label) || match("cpu#", label) {
		names := statColumns()
		for i, number := range w[1:] {
			name := "column " + strconv.Itoa(i+1)
			if i < len(names) {
				name = names[i]
			}
			s.add(label+" "+name, number.text, at+number.at)
		}
		return true
	}
	s.add(label, w[1].text, at+w[1].at)
	if len(w) > 2 {
		value, at := trim(line[w[2].at:], at+w[2].at)
		s.add(label+" each", value, at)
	}
	return true
}

// loadavg takes "0.42 0.60 0.79 1/97 14099".
func (s *splitter) loadavg() {
	s.lines(func(line string, at int) bool {
		w := words(line)
		if len(w) != 5 {
			return false
		}
		running, total, found := strings.Cut(w[3].text, "/")
		if !found {
			return false
		}
		for i, name := range []string{"load1", "load5", "load15"} {
			s.add(name, w[i].text, at+w[i].at)
		}
		s.add("running", running, at+w[3].at)
		s.add("total", total, at+w[3].at+len(running)+1)
		s.add("lastpid", w[4].text, at+w[4].at)
		return true
	})
}

// diskColumns are the columns behind a device's name (kernel
// Documentation/admin-guide/iostats.rst).
func diskColumns() []string {
	return []string{
		"reads", "reads merged", "sectors read", "ms reading",
		"writes", "writes merged", "sectors written", "ms writing",
		"in flight", "ms busy", "ms weighted",
		"discards", "discards merged", "sectors discarded", "ms discarding",
		"flushes", "ms flushing",
	}
}

// diskstats takes "254 0 vda 2 0 16 …".
func (s *splitter) diskstats(line string, at int) bool {
	w := words(line)
	if len(w) < 4 {
		return false
	}
	device := w[2].text
	s.add(device+" major", w[0].text, at+w[0].at)
	s.add(device+" minor", w[1].text, at+w[1].at)
	names := diskColumns()
	for i, number := range w[3:] {
		name := "column " + strconv.Itoa(i+1)
		if i < len(names) {
			name = names[i]
		}
		s.add(device+" "+name, number.text, at+number.at)
	}
	return true
}

// swaps takes the line of headings and "/dev/vda partition 65532 0 -2".
func (s *splitter) swaps(line string, at int) bool {
	if s.number == 1 {
		s.add("headings", line, at)
		return true
	}
	w := words(line)
	if len(w) != 5 {
		return false
	}
	for i, name := range []string{"type", "size", "used", "priority"} {
		s.add(w[0].text+" "+name, w[i+1].text, at+w[i+1].at)
	}
	return true
}

// slabinfo takes two lines of headings and "dentry 10080 10080 192 …".
func (s *splitter) slabinfo(line string, at int) bool {
	switch s.number {
	case 1:
		s.add("version", line, at)
		return true
	case 2:
		s.add("headings", line, at)
		return true
	}
	name, value, found := strings.Cut(line, " ")
	if !found {
		return false
	}
	value, at = trim(value, at+len(line)-len(value))
	s.add(name, value, at)
	return true
}

// cpuinfo calls a CPU's lines "cpu0 model name", those before and after all CPUs as
// they are.
func (s *splitter) cpuinfo() {
	info, err := procfile.ParseCPUInfo([]byte(s.text))
	if err != nil {
		s.lines(func(string, int) bool { return false })
		return
	}
	at := s.cpuinfoLines("", info.Head, 0)
	for i := range info.Blocks {
		b := &info.Blocks[i]
		at = s.cpuinfoLines("cpu"+strconv.Itoa(b.CPU)+" ", b.Text, at)
	}
	s.cpuinfoLines("", info.Tail, at)
}

// cpuinfoLines takes "key   : value" lines that start at offset at, and returns
// where they end.
func (s *splitter) cpuinfoLines(prefix, text string, at int) int {
	for line := range strings.Lines(text) {
		key, value, found := strings.Cut(strings.TrimSuffix(line, "\n"), ":")
		if found {
			key = strings.TrimRight(key, " \t")
			if match("processor #", key) { // s390: the CPU is in the key
				key = "processor"
			}
			value, start := trim(value, at+strings.IndexByte(line, ':')+1)
			s.add(prefix+key, value, start)
		}
		at += len(line)
	}
	return at
}
