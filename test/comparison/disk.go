// SPDX-License-Identifier: Apache-2.0

package comparison

import (
	"fmt"
	"slices"
	"strings"
)

// absent is the note on files that LXCFS 5.0.3 doesn't have.
const absent = "LXCFS 5.0.3 doesn't serve this file: the container reads the kernel's own, which is the host's."

// device is what blkio's throttle counted of one device.
type device struct {
	number                          string  // "254:0"
	reads, writes, discards         float64 // requests
	readBytes, written, discardedTo float64 // bytes
}

// devices are those with I/O in the container.
func (m Moment) devices() []device {
	var all []device
	at := func(number string) *device {
		i := slices.IndexFunc(all, func(d device) bool { return d.number == number })
		if i < 0 {
			all = append(all, device{number: number})
			i = len(all) - 1
		}
		return &all[i]
	}
	each := func(file string, set func(d *device, operation string, v float64)) {
		for l := range strings.Lines(m.Files[file]) {
			if words := strings.Fields(l); len(words) == 3 && numberAt(words[2], 0) > 0 {
				set(at(words[0]), words[1], numberAt(words[2], 0))
			}
		}
	}
	each("blkio/blkio.throttle.io_serviced_recursive", func(d *device, operation string, v float64) {
		switch operation {
		case "Read":
			d.reads = v
		case "Write":
			d.writes = v
		case "Discard":
			d.discards = v
		}
	})
	each("blkio/blkio.throttle.io_service_bytes_recursive", func(d *device, operation string, v float64) {
		switch operation {
		case "Read":
			d.readBytes = v
		case "Write":
			d.written = v
		case "Discard":
			d.discardedTo = v
		}
	})
	return all
}

// disk is one line of diskstats: its number, its name and the columns after it.
type disk struct {
	number, name string
	columns      []string
}

func parseDisks(text string) []disk {
	var all []disk
	for l := range strings.Lines(text) {
		if words := strings.Fields(l); len(words) > 3 {
			all = append(all, disk{words[0] + ":" + words[1], words[2], words[3:]})
		}
	}
	return all
}

func diskOf(all []disk, number string) disk {
	if i := slices.IndexFunc(all, func(d disk) bool { return d.number == number }); i >= 0 {
		return all[i]
	}
	return disk{}
}

func diskNames(all []disk) string {
	var names []string
	for _, d := range all {
		names = append(names, d.name)
	}
	slices.Sort(names)
	return strings.Join(names, " ")
}

// Diskstats is the table of /proc/diskstats.
func Diskstats(s Sample) Table {
	const file = "proc/diskstats"
	const sector = 512
	ours, theirs, host := parseDisks(s.Ours[file].Text), parseDisks(s.Theirs[file].Text), parseDisks(s.After.Files["host/diskstats"])
	t := Table{File: file, Rows: s.form(file)}
	var names []string
	for _, d := range s.After.devices() {
		names = append(names, diskOf(host, d.number).name)
	}
	slices.Sort(names)
	t.Rows = append(t.Rows, judgeText("(devices)", diskNames(ours), diskNames(theirs), strings.Join(names, " "), "those with I/O in the container"))
	for _, d := range s.After.devices() {
		name := diskOf(host, d.number).name
		mine, other := diskOf(ours, d.number).columns, diskOf(theirs, d.number).columns
		known := map[int]bool{}
		for _, c := range []struct {
			column   int
			what     string
			value    func(device) float64
			fromFile string
		}{
			{0, "reads", func(d device) float64 { return d.reads }, "io_serviced"},
			{2, "sectors read", func(d device) float64 { return d.readBytes / sector }, "io_service_bytes"},
			{4, "writes", func(d device) float64 { return d.writes }, "io_serviced"},
			{6, "sectors written", func(d device) float64 { return d.written / sector }, "io_service_bytes"},
			{11, "discards", func(d device) float64 { return d.discards }, "io_serviced"},
			{13, "sectors discarded", func(d device) float64 { return d.discardedTo / sector }, "io_service_bytes"},
		} {
			known[c.column] = true
			truth := s.between(func(m Moment) float64 {
				for _, now := range m.devices() {
					if now.number == d.number {
						return c.value(now)
					}
				}
				return 0
			})
			t.Rows = append(t.Rows, judge(name+" "+c.what, columnAt(mine, c.column), columnAt(other, c.column), truth, "blkio.throttle."+c.fromFile+"_recursive"))
		}
		rest := func(columns []string) string {
			var text []string
			for i, c := range columns {
				if !known[i] {
					text = append(text, c)
				}
			}
			return strings.Join(text, " ")
		}
		t.Rows = append(t.Rows, Row{
			Field: name + " merges, times, in flight, flushes", Ours: rest(mine), Theirs: rest(other), Truth: nobody().String(), Verdict: Unknown,
			Why: "no file of the cgroup has them; LXCFS's are the host's",
		})
	}
	return t
}

func columnAt(columns []string, i int) float64 { return numberAt(strings.Join(columns, " "), i) }

// Swaps is the table of /proc/swaps.
func Swaps(s Sample) Table {
	const file = "proc/swaps"
	first := func(text string) string { l, _, _ := strings.Cut(text, "\n"); return l }
	areas := func(text string) float64 { return float64(len(strings.Split(strings.TrimSpace(text), "\n")) - 1) }
	ours, theirs, host := s.Ours[file].Text, s.Theirs[file].Text, s.Host[file].Text
	want := exactly(min(1, s.After.swapTotal()))
	return Table{File: file, Rows: append(s.form(file),
		judgeText("(headings)", first(ours), first(theirs), first(host), "the kernel's, to the byte"),
		judge("(areas)", areas(ours), areas(theirs), want, "one if SwapTotal isn't 0"))}
}

// Slabinfo is the table of /proc/slabinfo.
func Slabinfo(s Sample) Table {
	const file = "proc/slabinfo"
	const headings = 2
	caches := func(text string) float64 {
		return float64(max(0, strings.Count(strings.TrimRight(text, "\n")+"\n", "\n")-headings))
	}
	t := Table{File: file, Rows: s.form(file)}
	t.Rows = append(t.Rows, judge("(caches)", caches(s.Ours[file].Text), caches(s.Theirs[file].Text), exactly(caches(s.After.Files["memory/memory.kmem.slabinfo"])),
		"memory.kmem.slabinfo, which newer kernels leave empty"))
	return t
}

// Pressure is the table of a file of /proc/pressure, which LXCFS 5.0.3 doesn't
// serve.
func Pressure(s Sample, resource string) Table {
	file := "proc/pressure/" + resource
	t := Table{File: file, Note: absent}
	for _, kind := range []string{"some", "full"} {
		total := func(text string) float64 {
			_, after, _ := strings.Cut(line(text, kind), "total=")
			return numberAt(after, 0)
		}
		truth := s.between(func(m Moment) float64 { return total(m.Files["unified/"+resource+".pressure"]) })
		t.Rows = append(t.Rows, alone(kind+" total", total(s.Ours[file].Text), total(s.After.Files["host/pressure/"+resource]), truth,
			fmt.Sprintf("the cgroup's %s.pressure, in µs", resource)))
	}
	return t
}
