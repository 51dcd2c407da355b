// SPDX-License-Identifier: Apache-2.0

package procfile

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"
)

func parseCPUInfo(t *testing.T, text []byte) *CPUInfo {
	t.Helper()
	c, err := ParseCPUInfo(text)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestCPUInfoRoundTrip(t *testing.T) {
	for name, text := range own(t, "cpuinfo", "/proc/cpuinfo") {
		c, err := ParseCPUInfo(text)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if got := c.Append(nil); !bytes.Equal(got, text) {
			t.Errorf("%s: parse and append changed it:\n%s", name, got)
		}
		if c.Head+blockTexts(c)+c.Tail != string(text) {
			t.Errorf("%s: head, blocks and tail aren't the whole file", name)
		}
	}
}

func blockTexts(c *CPUInfo) string {
	var s strings.Builder
	for _, b := range c.Blocks {
		s.WriteString(b.Text)
	}
	return s.String()
}

func TestCPUInfoForms(t *testing.T) {
	texts := files(t, "cpuinfo")
	for _, c := range []struct {
		name string
		cpus []int
		head string // its end
		tail string // its start
		last string // the end of the last block
	}{
		{"debian12-linux6.18-x86_64-2cpu.txt", []int{0, 1}, "", "", "\npower management:\n\n"},
		{"synthetic-x86_64-uniprocessor.txt", []int{0}, "", "", "\npower management:\n\n"},
		{"synthetic-arm64-4cpu.txt", []int{0, 1, 2, 3}, "", "", "CPU revision\t: 3\n\n"},
		{"synthetic-arm64-tail-2cpu.txt", []int{0, 1}, "", "Hardware\t: BCM2835\n", "CPU revision\t: 3\n\n"},
		{"synthetic-arm32-4cpu.txt", []int{0, 1, 2, 3}, "", "Hardware\t: BCM2835\n", "CPU revision\t: 4\n\n"},
		{"synthetic-arm32-head-2cpu.txt", []int{0, 1}, "Processor\t: ARMv7 Processor rev 0 (v7l)\n", "Features\t: swp", "BogoMIPS\t: 1594.10\n\n"},
		{"synthetic-s390x-4cpu.txt", []int{0, 1, 2, 3, 0, 1, 2, 3}, "associativity=8\n", "", "cpu MHz static  : 5208\n"},
		{"synthetic-s390x-old-2cpu.txt", []int{0, 1}, "zarch stfle \n", "", "machine = 2964\n"},
		{"synthetic-ppc64-2cpu.txt", []int{0, 4}, "", "timebase\t: 512000000\n", "(pvr 004e 1202)\n\n"},
		{"synthetic-mips-2cpu.txt", []int{0, 1}, "machine\t\t\t: Synthetic Router\n", "", "not available\n\n"},
		{"synthetic-riscv64-4cpu.txt", []int{0, 1, 2, 3}, "", "", "hart isa\t: rv64imafdc_zicntr_zicsr_zifencei_zihpm\n\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			info := parseCPUInfo(t, texts[c.name])
			var cpus []int
			for _, b := range info.Blocks {
				cpus = append(cpus, b.CPU)
			}
			if !slices.Equal(cpus, c.cpus) {
				t.Errorf("blocks of the CPUs %v, want %v", cpus, c.cpus)
			}
			if !strings.HasSuffix(info.Head, c.head) || c.head == "" && info.Head != "" {
				t.Errorf("head %q, want it to end in %q", info.Head, c.head)
			}
			if !strings.HasPrefix(info.Tail, c.tail) || c.tail == "" && info.Tail != "" {
				t.Errorf("tail %q, want it to start with %q", info.Tail, c.tail)
			}
			if last := info.Blocks[len(info.Blocks)-1].Text; !strings.HasSuffix(last, c.last) {
				t.Errorf("last block %q, want it to end in %q", last, c.last)
			}
		})
	}
}

func TestCPUInfoSetX86(t *testing.T) {
	text := files(t, "cpuinfo")["synthetic-x86_64-2socket-smt-16cpu.txt"]
	c := parseCPUInfo(t, text)
	b := &c.Blocks[5]
	for field, want := range map[CPUField]string{
		Processor: "5", Siblings: "8", CPUCores: "4", PhysicalID: "1", CoreID: "2",
	} {
		if got, ok := b.Get(field); got != want || !ok {
			t.Errorf("Get(%d) = %q, %v, want %q", field, got, ok, want)
		}
	}
	if got, ok := b.Get(BookID); ok {
		t.Errorf("Get(BookID) = %q", got)
	}
	if n, ok := b.Number(PhysicalID); ok {
		t.Errorf("Number(PhysicalID) = %d, though it is no number to change", n)
	}
	if b.SetNumber(CoreID, 7) || c.SetProcessors(3) {
		t.Error("changed what can't be changed")
	}
	if !b.SetNumber(CPUCores, 10) || !b.SetNumber(Siblings, 123) || !b.SetNumber(Processor, 0) {
		t.Error("a field isn't there")
	}
	if n, ok := b.Number(Siblings); n != 123 || !ok || b.CPU != 5 {
		t.Errorf("after the change: siblings %d, CPU %d", n, b.CPU)
	}
	block := strings.NewReplacer("processor\t: 5\n", "processor\t: 0\n", "siblings\t: 8\n", "siblings\t: 123\n",
		"cpu cores\t: 4\n", "cpu cores\t: 10\n").Replace(b.Text)
	want := strings.Replace(string(text), b.Text, block, 1)
	if got := string(c.Append(nil)); got != want {
		t.Errorf("got\n%s", got)
	}
	b.SetNumber(Siblings, -1) // a mistake of the caller is no text like 18446744073709551615
	if got := string(b.Append(nil)); !strings.Contains(got, "siblings\t: 0\n") {
		t.Errorf("got\n%s", got)
	}
}

func TestCPUInfoSetS390x(t *testing.T) {
	text := files(t, "cpuinfo")["synthetic-s390x-4cpu.txt"]
	c := parseCPUInfo(t, text)
	if n, ok := c.Processors(); n != 4 || !ok {
		t.Errorf("Processors() = %d, %v", n, ok)
	}
	c.SetProcessors(1)
	c.Blocks = []CPUBlock{c.Blocks[2], c.Blocks[6]} // CPU 2
	for i := range c.Blocks {
		c.Blocks[i].SetNumber(Processor, 10)
	}
	c.Blocks[1].SetNumber(Siblings, 1)
	want := strings.Replace(c.Head, ": 4\n", ": 1\n", 1) +
		"processor 10: version = 00,  identification = 2733E8,  machine = 3906\n" +
		"\ncpu number      : 10\nphysical id     : 1\ncore id         : 1\nbook id         : 0\ndrawer id       : 0\n" +
		"dedicated       : 0\naddress         : 2\nsiblings        : 1\ncpu cores       : 1\nversion         : 00\n" +
		"identification  : 2733E8\nmachine         : 3906\ncpu MHz dynamic : 5208\ncpu MHz static  : 5208\n"
	if got := string(c.Append(nil)); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}

func TestCPUInfoErrors(t *testing.T) {
	for _, c := range []struct {
		name, text string
		cause      error
		message    string
	}{
		{"empty", "", ErrEmpty, "parse proc/cpuinfo: file is empty"},
		{"no newline", "processor\t: 0\nflags\t: fp", ErrTruncated, `parse proc/cpuinfo: line 2: "flags\t: fp": last line has no newline`},
		{"letters", "processor\t: zero\n", ErrNumber, `parse proc/cpuinfo: line 1: "processor\t: zero": not a number in range`},
		{"too large", "processor\t: 65536\n", ErrNumber, `parse proc/cpuinfo: line 1: "processor\t: 65536": not a number in range`},
		{"negative", "\nprocessor\t: -1\n", ErrNumber, `parse proc/cpuinfo: line 2: "processor\t: -1": not a number in range`},
		{"siblings", "processor\t: 0\nsiblings\t: many\n", ErrNumber, `parse proc/cpuinfo: line 2: "siblings\t: many": not a number in range`},
		{"count", "# processors    : -\n", ErrNumber, `parse proc/cpuinfo: line 1: "# processors    : -": not a number in range`},
		{"sparc", "cpu\t\t: Synthetic\nncpus active\t: 2\n", ErrMissing, `parse proc/cpuinfo: "processor": required line is missing`},
	} {
		info, err := ParseCPUInfo([]byte(c.text))
		var parse *ParseError
		if info != nil || !errors.Is(err, c.cause) || !errors.As(err, &parse) {
			t.Errorf("%s: got %v, %v", c.name, info, err)
			continue
		}
		if parse.Error() != c.message {
			t.Errorf("%s: message\n%s, want\n%s", c.name, parse, c.message)
		}
	}
}

// A CPUInfo can be parsed into again while values made from it live on.
func TestCPUInfoReuse(t *testing.T) {
	texts := files(t, "cpuinfo")
	c := parseCPUInfo(t, texts["synthetic-s390x-4cpu.txt"])
	var all, head CPUInfo
	all.CopyFrom(c)
	head.CopyHead(c)
	if len(head.Blocks) != 0 || head.Head != c.Head {
		t.Errorf("CopyHead took %d blocks", len(head.Blocks))
	}
	if err := c.Parse(texts["synthetic-arm32-4cpu.txt"]); err != nil {
		t.Fatal(err)
	}
	if got := all.Append(nil); !bytes.Equal(got, texts["synthetic-s390x-4cpu.txt"]) {
		t.Errorf("the copy changed:\n%s", got)
	}
	if _, ok := c.Processors(); ok {
		t.Error("s390's count is still there after another file was parsed")
	}
	if err := c.Parse([]byte("x\n")); err == nil || len(c.Append(nil)) != 0 {
		t.Errorf("after an error (%v): %q", err, c.Append(nil))
	}
	var buf []byte
	round := func() {
		all.CopyFrom(&head)
		buf = all.Append(buf[:0])
	}
	round()
	if n := testing.AllocsPerRun(100, round); n != 0 {
		t.Errorf("%v allocations per copy and append", n)
	}
}

func FuzzParseCPUInfo(f *testing.F) {
	for _, text := range files(f, "cpuinfo") {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		c, err := ParseCPUInfo(text)
		if err != nil {
			var parse *ParseError
			if !errors.As(err, &parse) || parse.Error() == "" {
				t.Fatalf("error %v is no *ParseError", err)
			}
			return
		}
		if got := c.Append(nil); !bytes.Equal(got, text) {
			t.Fatalf("%q became %q", text, got)
		}
		// Changing every number there and back gives the same numbers.
		for i := range c.Blocks {
			for f := Processor; f.editable(); f++ {
				if n, ok := c.Blocks[i].Number(f); ok {
					c.Blocks[i].SetNumber(f, n+1)
					c.Blocks[i].SetNumber(f, n)
				}
			}
		}
		again, err := ParseCPUInfo(c.Append(nil))
		if err != nil {
			t.Fatalf("what was written can't be parsed: %v", err)
		}
		if len(again.Blocks) != len(c.Blocks) {
			t.Fatalf("%d blocks became %d", len(c.Blocks), len(again.Blocks))
		}
		for i := range c.Blocks {
			if c.Blocks[i].CPU != again.Blocks[i].CPU {
				t.Fatalf("CPU %d became %d", c.Blocks[i].CPU, again.Blocks[i].CPU)
			}
		}
	})
}

func BenchmarkCPUInfo(b *testing.B) {
	for _, name := range []string{"debian12-linux6.18-x86_64-2cpu.txt", "synthetic-x86_64-2socket-smt-16cpu.txt"} {
		text := files(b, "cpuinfo")[name]
		var c CPUInfo
		var buf []byte
		b.Run("Parse/"+name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if err := c.Parse(text); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run("Append/"+name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				buf = c.Append(buf[:0])
			}
		})
	}
}
