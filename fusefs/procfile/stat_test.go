// SPDX-License-Identifier: Apache-2.0

package procfile

import (
	"bytes"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestStatValues(t *testing.T) {
	s, err := ParseStat(files(t, "stat")["synthetic-ids-4095.txt"])
	if err != nil {
		t.Fatal(err)
	}
	if got, want := s.Sum(), []Ticks{110, 12, 13, 4004, 5, 6, 7, 8, 9, 10}; !slices.Equal(got, want) {
		t.Errorf("sum %v, want %v", got, want)
	}
	var ids []int
	for i := range s.CPUs() {
		id, ticks := s.CPU(i)
		ids = append(ids, id)
		if len(ticks) != len(s.Sum()) || ticks[StatUser] == 0 || ticks[StatIdle] != 1001 {
			t.Errorf("cpu%d: %v", id, ticks)
		}
	}
	if want := []int{7, 1023, 1024, 4095}; !slices.Equal(ids, want) {
		t.Errorf("CPUs %v, want %v", ids, want)
	}
	var lines []string
	for i := range s.Lines() {
		lines = append(lines, fmt.Sprint(s.Label(i), " ", s.Value(i), " ", s.Values(i)))
	}
	want := []string{
		"intr 3401 8", "ctxt 2475 1", "btime 1795500470 1", "processes 165 1", "procs_running 1 1",
		"procs_blocked 0 1", "softirq 2484 11",
	}
	if !slices.Equal(lines, want) {
		t.Errorf("lines %q, want %q", lines, want)
	}
}

func TestStatChange(t *testing.T) {
	s, err := ParseStat(files(t, "stat")["synthetic-unknown-lines.txt"])
	if err != nil {
		t.Fatal(err)
	}
	var c Stat
	c.CopyCounters(s)
	for _, id := range []int{4, 70000} {
		ticks := c.AddCPU(id)
		ticks[StatIdle] = Ticks(id)
		ticks[len(ticks)-1] = math.MaxUint64
	}
	c.Sum()[StatUser] = 9
	for i := range c.Lines() {
		switch label := c.Label(i); label {
		case "btime", "page": // page has two numbers, and stays
			c.SetValue(i, 17)
		case "ctxt": // set to what it was
			c.SetValue(i, 1)
			c.SetValue(i, 2475)
		default:
			c.Clear(i)
		}
	}
	const want = `cpu  9 0 0 0 0 0 0 0 0 0 0
cpu4 0 0 0 4 0 0 0 0 0 0 18446744073709551615
cpu70000 0 0 0 70000 0 0 0 0 0 0 18446744073709551615
cpuidle 0 0
page 5741 1808
intr 0 0 0

ctxt 2475
btime 17
disk_io: (2,0):(31,30,5764,1,2)
processes 0
procs_running 0
procs_sleeping 0
procs_blocked 0
softirq 0 0 0
a line of words
`
	if got := string(c.Append(nil)); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
	if got, want := s.Append(nil), files(t, "stat")["synthetic-unknown-lines.txt"]; !bytes.Equal(got, want) {
		t.Errorf("changing a copy changed the original:\n%s", got)
	}
	c.CopyFrom(s)
	if got, want := c.Append(nil), s.Append(nil); !bytes.Equal(got, want) {
		t.Errorf("a copy is\n%s", got)
	}
	if ticks := c.AddCPU(1); slices.Max(ticks) != 0 || &ticks[0] == &c.Sum()[0] {
		t.Errorf("a new CPU has %v", ticks)
	}
}

func TestStatZero(t *testing.T) {
	var s, c Stat
	c.CopyFrom(&s)
	c.CopyCounters(&s)
	if got := c.Append(nil); len(got) != 0 || c.CPUs() != 0 || c.Lines() != 0 || len(c.Sum()) != 0 {
		t.Errorf("an empty value is written %q", got)
	}
}

// largeStat is what a host of 512 CPUs and 10,000 interrupts has.
func largeStat() []byte {
	var text bytes.Buffer
	const cpus, interrupts = 512, 10000
	fmt.Fprintf(&text, "cpu %s\n", strings.Repeat(" 123456789", 10))
	for i := range cpus {
		fmt.Fprintf(&text, "cpu%d%s\n", i, strings.Repeat(" 1234567", 10))
	}
	text.WriteString("intr 49039465")
	for i := range interrupts {
		fmt.Fprintf(&text, " %d", i%7*i)
	}
	text.WriteString("\nctxt 147598145\nbtime 1795497827\nprocesses 757629\nprocs_running 1\nprocs_blocked 0\n" +
		"softirq 8187362 0 744861 15832 23118 1223804 0 1034 1613821 0 4564892\n")
	return text.Bytes()
}

func TestStatAllocatesNothingWarm(t *testing.T) {
	text := largeStat()
	var s, c Stat
	var buf []byte
	round := func() {
		if err := s.Parse(text); err != nil {
			t.Fatal(err)
		}
		clearStat(&c, &s)
		buf = c.Append(buf[:0])
	}
	round()
	if n := testing.AllocsPerRun(20, round); n != 0 {
		t.Errorf("%v allocations per parse, copy and append", n)
	}
	if want := "\nintr 0" + strings.Repeat(" 0", 10000) + "\nctxt 0\n"; !bytes.Contains(buf, []byte(want)) {
		t.Error("intr isn't 10,001 zeros")
	}
}

// clearStat makes c a copy of s with all numbers 0 and the CPUs added anew.
func clearStat(c, s *Stat) {
	c.CopyCounters(s)
	for i := range s.CPUs() {
		id, _ := s.CPU(i)
		c.AddCPU(id)
	}
	for i := range c.Lines() {
		c.Clear(i)
	}
}

func TestTicks(t *testing.T) {
	for _, c := range []struct {
		d    time.Duration
		want Ticks
	}{
		{-1, 0},
		{math.MinInt64, 0},
		{0, 0},
		{10*time.Millisecond - 1, 0},
		{10 * time.Millisecond, 1},
		{time.Hour, 360000},
		{math.MaxInt64, 922337203685},
	} {
		if got := TicksOf(c.d); got != c.want {
			t.Errorf("%d ns are %d ticks, want %d", c.d, got, c.want)
		}
	}
}

func BenchmarkStat(b *testing.B) {
	for name, text := range map[string][]byte{"2CPUs": files(b, "stat")["debian12-linux6.18-x86_64-2cpu.txt"], "512CPUs": largeStat()} {
		var s, c Stat
		var buf []byte
		b.Run(name+"/Parse", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if err := s.Parse(text); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(name+"/CopyAndAppend", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				clearStat(&c, &s)
				buf = c.Append(buf[:0])
			}
		})
	}
}
