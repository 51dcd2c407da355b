// SPDX-License-Identifier: Apache-2.0

package comparison

import (
	"slices"
	"strconv"
	"strings"
)

// field is one line of cpuinfo.
type field struct{ name, value string }

// parseCPUInfo parts cpuinfo at its empty lines.
func parseCPUInfo(text string) [][]field {
	var blocks [][]field
	for block := range strings.SplitSeq(strings.TrimSpace(text), "\n\n") {
		var fields []field
		for l := range strings.Lines(block) {
			name, value, _ := strings.Cut(l, ":")
			fields = append(fields, field{strings.TrimSpace(name), strings.TrimSpace(value)})
		}
		blocks = append(blocks, fields)
	}
	return blocks
}

func get(block []field, name string) string {
	if i := slices.IndexFunc(block, func(f field) bool { return f.name == name }); i >= 0 {
		return block[i].value
	}
	return ""
}

// numbers are the CPUs of a cpuinfo.
func numbers(blocks [][]field) string {
	var all []string
	for _, b := range blocks {
		all = append(all, get(b, "processor"))
	}
	return strings.Join(all, " ")
}

// Cpuinfo is the table of /proc/cpuinfo, of x86.
func Cpuinfo(s Sample) Table {
	const file = "proc/cpuinfo"
	const clock = 500 // MHz; it changes while one looks
	ours, theirs := parseCPUInfo(s.Ours[file].Text), parseCPUInfo(s.Theirs[file].Text)
	host := parseCPUInfo(s.After.Files["host/cpuinfo"])
	shown := host[:s.After.shown(len(host))]
	t := Table{File: file, Rows: append(s.form(file),
		judgeText("processor", numbers(ours), numbers(theirs), numbers(shown), "the first ⌈quota ÷ period⌉ of cpuset.effective_cpus"))}
	for i, block := range shown {
		if i >= len(ours) || i >= len(theirs) {
			break // said by the numbers
		}
		threads, cores := 0, map[string]bool{}
		for _, other := range shown {
			if get(other, "physical id") == get(block, "physical id") {
				threads++
				cores[get(other, "core id")] = true
			}
		}
		for _, f := range block {
			mine, other := get(ours[i], f.name), get(theirs[i], f.name)
			name, want, why := "cpu"+get(block, "processor")+" "+f.name, f.value, "the host's"
			switch f.name {
			case "siblings":
				want, why = strconv.Itoa(threads), "as many CPUs of the package as the file shows"
			case "cpu cores":
				want, why = strconv.Itoa(len(cores)), "as many cores of the package as the file shows"
			case "cpu MHz":
				t.Rows = append(t.Rows, judge(name, numberAt(mine, 0), numberAt(other, 0), exactly(numberAt(want, 0)).within(clock), why))
				continue
			}
			t.Rows = append(t.Rows, judgeText(name, mine, other, want, why))
		}
	}
	return t
}

// shown is how many of a host's CPUs a file must show.
func (m Moment) shown(of int) int { return int(max(0, min(float64(of), m.visible()))) }

// CPULists is the table of the files of /sys/devices/system/cpu.
func CPULists(s Sample, name string) Table {
	file := "sys/devices/system/cpu/" + name
	host := parseCPUInfo(s.After.Files["host/cpuinfo"])
	visible := s.After.shown(len(host))
	cpus := func(from, to int) string { // of hosts whose CPUs are all online, from 0 on
		switch {
		case from >= to:
			return "\n"
		case from == to-1:
			return strconv.Itoa(from) + "\n"
		}
		return strconv.Itoa(from) + "-" + strconv.Itoa(to-1) + "\n"
	}
	want, why := cpus(0, visible), "the first ⌈quota ÷ period⌉ of cpuset.effective_cpus"
	if name == "offline" {
		want, why = cpus(visible, len(host)), "the rest of possible; LXCFS, which has the whole directory, gives the host's"
	}
	return Table{File: file, Rows: []Row{judgeText("(CPUs)", s.Ours[file].Text, s.Theirs[file].Text, want, why)}}
}
