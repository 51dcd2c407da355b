// SPDX-License-Identifier: Apache-2.0

package formats_test

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/procfs-shim/procfs-shim/fusefs/formats"
	"github.com/procfs-shim/procfs-shim/fusefs/locate"
	"github.com/procfs-shim/procfs-shim/fusefs/source"
	"github.com/procfs-shim/procfs-shim/fusefs/view"
	"github.com/procfs-shim/procfs-shim/test/fixture"
)

// One number is changed at a time, in every file that a text was made from: the
// fields that move must list it, and what a field lists must move it, for some
// value on some host.
func TestPerturb(t *testing.T) {
	// Thousands of files are written: on a disk each would be flushed.
	if _, err := os.Stat("/dev/shm"); err == nil {
		t.Setenv("TMPDIR", "/dev/shm")
	}
	moved := coverage{}
	for _, s := range scenarios() {
		if testing.Short() && s.only != nil {
			continue
		}
		t.Run(s.name, func(t *testing.T) {
			h := fixture.Load(t, s.host)
			r := newRig(t, h, s.policy)
			if s.only != nil {
				r.files = slices.DeleteFunc(r.files, func(f *source.File) bool {
					return !slices.ContainsFunc(s.only, func(part string) bool { return strings.Contains(f.Path, part) })
				})
			}
			p := perturber{rig: r, moved: moved}
			s.setup(r)
			p.run()
		})
	}
	if !t.Failed() && !testing.Short() {
		moved.check(t)
	}
}

// A perturber changes the numbers of one host.
type perturber struct {
	*rig
	moved   coverage
	control map[string]shown
	fields  map[string]map[string]string
}

func (p *perturber) run() {
	p.control = p.render(func(string) bool { return true }, change{})
	p.fields = map[string]map[string]string{}
	readBy := map[string][]string{} // which files are made from it
	inputs := map[string]read{}
	for _, path := range slices.Sorted(maps.Keys(p.control)) {
		s := p.control[path]
		if strings.HasPrefix(s.text, "error: ") {
			p.t.Fatalf("%s: %s", path, s.text)
		}
		p.fields[path] = named(path, s.text)
		for _, in := range p.reads(s) {
			if !slices.Contains(readBy[in.name], path) {
				readBy[in.name] = append(readBy[in.name], path)
			}
			inputs[in.name] = in
		}
	}
	for _, name := range slices.Sorted(maps.Keys(inputs)) {
		in := inputs[name]
		switch in.file {
		case "cgroup.controllers", "memory.use_hierarchy":
			continue // no number: says which files there are
		}
		for _, field := range formats.Split(in.file, in.text) {
			if tooMany(field.Name) {
				continue
			}
			good := 0
			for _, value := range values(in.file, field) {
				text := replace(in.file, in.text, field, value)
				if p.try(in, field.Name, value, readBy[name], change{files: map[string]string{name: text}}) {
					good++
				}
			}
			if good == 0 {
				p.t.Errorf("%s: no value of %s can be read", name, field.Name)
			}
		}
	}
	everything := slices.Sorted(maps.Keys(p.control))
	process := read{from: formats.OfInit}
	p.try(process, "", "an earlier start", everything, change{container: func(i *locate.Init) { i.Start -= 500 * time.Second }})
	p.try(process, "", "a later start", everything, change{container: func(i *locate.Init) { i.Start = first - 10*time.Millisecond }})
	p.try(process, "", "a time namespace", everything, change{container: func(i *locate.Init) { i.BootOffset = -started - 300*time.Second }})
	p.try(read{from: formats.OfClock}, "", "later", everything, change{later: 7 * time.Second})
	p.try(read{from: formats.OfClock}, "", "earlier", everything, change{later: second - third + 100*time.Millisecond})
	for _, states := range []string{"RR", "DRS"} {
		p.try(read{from: formats.OfTasks}, "", states, everything, change{files: p.tasks(states)})
	}
}

// tooMany says that a field stands for others, of which some are tried.
func tooMany(field string) bool {
	rest, ok := strings.CutPrefix(field, "cpu")
	number, _, _ := strings.Cut(rest, " ")
	n, err := strconv.Atoi(number)
	return ok && err == nil && n > 1 && n != 63
}

// named are the fields of a text by name.
func named(path, text string) map[string]string {
	fields := map[string]string{}
	for _, f := range formats.Split(path, text) {
		fields[f.Name] = f.Value
	}
	return fields
}

// situation is what the rig's container is in.
func (p *perturber) situation(c change) formats.Situation {
	i := p.init
	if c.container != nil {
		c.container(&i)
	}
	return formats.Situation{Policy: p.policy, Init: true, TimeNamespace: i.BootOffset != 0}
}

// try makes one change and judges what moved. false says that the value can't be
// one: a file can't be rendered.
func (p *perturber) try(in read, input, value string, paths []string, c change) bool {
	p.t.Helper()
	texts := p.render(func(path string) bool { return slices.Contains(paths, path) }, c)
	for _, path := range paths {
		shown, is := texts[path]
		if strings.HasPrefix(shown.text, "error: ") {
			return false
		}
		file, _ := formats.Lookup(path)
		before, after := p.fields[path], map[string]string{}
		if is {
			after = named(path, shown.text)
		}
		lines := formats.TraceLines(&file, p.situation(c))
		it := func(i formats.Input) bool { return listed(i, in.from, in.file, input) }
		byLines := slices.ContainsFunc(lines, it)
		for field := range either(before, after) {
			old, was := before[field]
			now, is := after[field]
			if was && is && old == now {
				continue
			}
			byField := slices.ContainsFunc(formats.Trace(&file, field, p.situation(c)), it)
			if was != is && !byLines || was == is && !byField {
				p.t.Errorf("%s: %s = %q moves /%s %s from %q to %q, which doesn't list it", in.name, input, value, path, field, old, now)
			}
			p.moved.note(&file, field, p.situation(c), it, was == is)
		}
	}
	return true
}

func either(a, b map[string]string) map[string]string {
	all := maps.Clone(a)
	maps.Copy(all, b)
	return all
}

// values are what a field of an input is changed to.
func values(file string, f formats.Field) (all []string) {
	digits, unit, _ := strings.Cut(f.Value, " ")
	n, err := strconv.ParseUint(digits, 10, 64)
	isList := strings.Contains(file, "cpuset.") || strings.HasSuffix(file, "online") || strings.HasSuffix(file, "list") ||
		strings.HasPrefix(file, "sys/devices/system/node/has_") || strings.HasSuffix(file, "possible")
	switch {
	case strings.HasSuffix(f.Name, " processor"), strings.HasSuffix(f.Name, " cpu number"),
		file == "proc/diskstats" && strings.HasSuffix(f.Name, "or"): // major, minor
		return []string{"8192"} // a smaller one may be another's
	case f.Value == "":
		return []string{"1"}
	case isList:
		return []string{"0", "1", "0-1", "0,63"}
	case f.Value == "max", f.Value == "-1":
		return []string{"150000", "120000000", "8192"}
	case strings.HasSuffix(file, "cpumap"):
		return []string{strings.Repeat("0", len(f.Value)-1) + "1"}
	case strings.HasSuffix(file, "distance"):
		return []string{"3" + f.Value}
	case err != nil && unit == "" && strings.Count(f.Value, ".") == 1 && f.Value != "0.00":
		return []string{"0.00", "77.70"}
	case err != nil, strings.Contains(unit, " "), unit != "" && unit != "kB":
		switch first := f.Value[0]; {
		case first == '0':
			return []string{"7" + f.Value[1:]}
		case first >= '1' && first <= '9':
			return []string{"1" + f.Value}
		}
		return []string{f.Value + " 1"}
	}
	if unit != "" {
		unit = " " + unit
	}
	steps := []uint64{0, n/2 + 1, n + 8192, n + 2_500_000, n + 3_000_000_000}
	if strings.HasPrefix(file, "proc/") && !strings.HasSuffix(file, "meminfo") {
		steps = []uint64{0, 2*n + 3} // shown as it is or not at all
	}
	for _, v := range steps {
		if value := strconv.FormatUint(v, 10) + unit; v != n && !slices.Contains(all, value) {
			all = append(all, value)
		}
	}
	return all
}

// replace gives a field another value, right-aligned where the kernel does that.
func replace(file, text string, f formats.Field, value string) string {
	head, tail := text[:f.At], text[f.At+len(f.Value):]
	if !strings.HasSuffix(file, "meminfo") {
		return head + value + tail
	}
	for n := len(value) - len(f.Value); n > 0 && strings.HasSuffix(head, "  "); n-- {
		head = head[:len(head)-1]
	}
	for n := len(f.Value) - len(value); n > 0 && strings.HasSuffix(head, "  "); n-- {
		head += " "
	}
	return head + value + tail
}

// coverage is which inputs moved what: "file field, policy" of a row → the inputs.
type coverage map[string]map[string]bool

// note notes what moved a field: which of its row's inputs can have.
func (c coverage) note(file *formats.File, field string, s formats.Situation, is func(formats.Input) bool, value bool) {
	row, ok := file.Row(field)
	if _, hosts := file.HostsIn(s); !ok || hosts {
		return
	}
	inputs := row.Under(s.Policy).Inputs
	if !value {
		inputs = file.LinesOf
	}
	for _, in := range inputs {
		if slices.ContainsFunc(leaves(in, s), is) {
			c.add(rowKey(file, row, s.Policy, value), in)
		}
	}
}

// leaves are the inputs that a row's input stands for.
func leaves(in formats.Input, s formats.Situation) []formats.Input {
	return formats.TraceLines(&formats.File{LinesOf: []formats.Input{in}}, s)
}

func rowKey(file *formats.File, row formats.Row, p view.Policy, value bool) string {
	if !value {
		return file.Path + " lines"
	}
	key := file.Path + " " + row.Field
	for _, v := range row.With {
		if v.In(p) {
			return key + ", " + v.Policy
		}
	}
	return key
}

func (c coverage) add(key string, in formats.Input) {
	if c[key] == nil {
		c[key] = map[string]bool{}
	}
	c[key][fmt.Sprint(in)] = true
}

// check reports the inputs of the table that moved nothing.
func (c coverage) check(t *testing.T) {
	t.Helper()
	reasons := unmoved()
	missing := func(key string, in formats.Input) {
		if c[key][fmt.Sprint(in)] {
			return
		}
		reason := slices.IndexFunc(reasons, func(r reason) bool { return r.is(key, in) })
		if reason < 0 {
			t.Errorf("%s: its input %v never moved it", key, in)
			return
		}
		reasons[reason].used = true
	}
	for _, file := range formats.Files() {
		for _, in := range file.LinesOf {
			missing(file.Path+" lines", in)
		}
		for _, row := range file.Rows {
			key := file.Path + " " + row.Field
			for _, in := range row.Inputs {
				missing(key, in)
			}
			for _, v := range row.With {
				for _, in := range v.Inputs {
					missing(key+", "+v.Policy, in)
				}
			}
		}
	}
	for _, r := range reasons {
		if !r.used {
			t.Errorf("%s %s: said never to move because %s, but does", r.key, r.input, r.why)
		}
	}
}

// A reason says why an input moves nothing in this test.
type reason struct {
	key, input string // a substring of each
	why        string
	used       bool
}

func (r reason) is(key string, in formats.Input) bool {
	return strings.Contains(key, r.key) && strings.Contains(fmt.Sprint(in), r.input)
}

func unmoved() []reason {
	const names = "its names decide which lines there are, not its numbers"
	return []reason{
		{key: "proc/cpuinfo cpu# processor, cpu-numbering", why: "the field's name has its value"},
		{key: "proc/cpuinfo cpu# cpu number, cpu-numbering", why: "the field's name has its value"},
		{key: "proc/cpuinfo # processors", input: "host proc/cpuinfo # processors", why: "it is shown where all CPUs are visible, and there no block is adjusted"},
		{key: "proc/meminfo MemFree, memory-high", input: "host proc/meminfo MemFree", why: "hosts without MemAvailable are older than memory.high"},
		{key: "proc/slabinfo lines", why: names},
		{key: "proc/pressure/cpu lines", why: names},
		{key: "proc/pressure/memory lines", why: names},
		{key: "proc/pressure/io lines", why: names},
		{key: "proc/pressure/irq lines", why: names},
	}
}
