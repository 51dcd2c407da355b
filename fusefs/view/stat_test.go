// SPDX-License-Identifier: Apache-2.0

package view

import (
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/procfs-shim/procfs-shim/cgroupread/cpulist"
	"github.com/procfs-shim/procfs-shim/fusefs/cputime"
	"github.com/procfs-shim/procfs-shim/fusefs/procfile"
	"github.com/procfs-shim/procfs-shim/test/fixture"
)

func parseStat(tb testing.TB, text string) *procfile.Stat {
	tb.Helper()
	s, err := procfile.ParseStat([]byte(text))
	if err != nil {
		tb.Fatal(err)
	}
	return s
}

// smallHost has four CPUs.
const smallHost = `cpu  400 40 400 4000 40 4 4 4 4 4
cpu0 100 10 100 1000 10 1 1 1 1 1
cpu1 100 10 100 1000 10 1 1 1 1 1
cpu2 100 10 100 1000 10 1 1 1 1 1
cpu3 100 10 100 1000 10 1 1 1 1 1
intr 2264 88 9 0
ctxt 2255
btime 1000
processes 210
procs_running 7
procs_blocked 8
softirq 1418 0 228
`

// column makes a column of times in milliseconds.
func column(cpu int, visible bool, user, system, idle, steal int64) cputime.Column {
	ms := func(n int64) time.Duration { return time.Duration(n) * time.Millisecond }
	return cputime.Column{CPU: cpu, Visible: visible, User: ms(user), System: ms(system), Idle: ms(idle), Steal: ms(steal)}
}

func TestStat(t *testing.T) {
	const counters = "intr 0 0 0 0\nctxt 0\nbtime 1000\nprocesses 0\nprocs_running 2\nprocs_blocked 1\nsoftirq 0 0 0\n"
	two := []cputime.Column{column(1, true, 15, 25, 1009, 0), column(3, true, 15, 5, 1000, 90)}
	for _, c := range []struct {
		name    string
		host    string // instead of smallHost
		columns []cputime.Column
		shift   time.Duration
		p       Policy
		want    string
	}{{
		name:    "two of four CPUs; parts of ticks are dropped in each CPU",
		columns: two,
		want:    "cpu  2 0 2 200 0 0 0 9 0 0\ncpu1 1 0 2 100 0 0 0 0 0 0\ncpu3 1 0 0 100 0 0 0 9 0 0\n" + counters,
	}, {
		name:    "numbered contiguously",
		columns: two,
		p:       Policy{Numbering: NumberingContiguous},
		want:    "cpu  2 0 2 200 0 0 0 9 0 0\ncpu0 1 0 2 100 0 0 0 0 0 0\ncpu1 1 0 0 100 0 0 0 9 0 0\n" + counters,
	}, {
		name:    "a CPU that is hidden counts in the sum and not among the numbers",
		columns: []cputime.Column{column(0, false, 1000, 0, 0, 0), two[0], two[1]},
		p:       Policy{Numbering: NumberingContiguous},
		want:    "cpu  102 0 2 200 0 0 0 9 0 0\ncpu0 1 0 2 100 0 0 0 0 0 0\ncpu1 1 0 0 100 0 0 0 9 0 0\n" + counters,
	}, {
		name:    "the host's counters",
		columns: []cputime.Column{column(2, true, 0, 0, 10, 0)},
		p:       Policy{HostCounters: true},
		want: "cpu  0 0 0 1 0 0 0 0 0 0\ncpu2 0 0 0 1 0 0 0 0 0 0\n" +
			"intr 2264 88 9 0\nctxt 2255\nbtime 1000\nprocesses 210\nprocs_running 2\nprocs_blocked 1\nsoftirq 1418 0 228\n",
	}, {
		name:    "CPU numbers past 1023",
		columns: []cputime.Column{column(1024, true, 0, 10, 0, 0), column(4095, true, 0, 10, 0, 0)},
		want:    "cpu  0 0 2 0 0 0 0 0 0 0\ncpu1024 0 0 1 0 0 0 0 0 0 0\ncpu4095 0 0 1 0 0 0 0 0 0 0\n" + counters,
	}, {
		name:    "lines that this program doesn't know",
		host:    "cpu  1 2 3 4 5 6 7 8 9 10 11\nfresh 7 8\nbtime 5\nof words\n",
		columns: []cputime.Column{column(0, true, 10, 0, 0, 0)},
		want:    "cpu  1 0 0 0 0 0 0 0 0 0 0\ncpu0 1 0 0 0 0 0 0 0 0 0 0\nfresh 0 0\nbtime 5\nof words\n",
	}, {
		name:    "a kernel without steal",
		host:    "cpu  1 2 3 4 5 6 7\nbtime 5\n",
		columns: []cputime.Column{column(0, true, 10, 20, 30, 40)},
		want:    "cpu  1 0 2 7 0 0 0\ncpu0 1 0 2 7 0 0 0\nbtime 5\n",
	}, {
		name:    "a kernel without guests",
		host:    "cpu  1 2 3 4 5 6 7 8\nbtime 5\n",
		columns: []cputime.Column{column(0, true, 10, 20, 30, 40)},
		want:    "cpu  1 0 2 3 0 0 0 4\ncpu0 1 0 2 3 0 0 0 4\nbtime 5\n",
	}, {
		name:  "a container that started 90.5 s after the host",
		host:  "cpu  1 2 3 4\nbtime 1000\n",
		shift: -90500 * time.Millisecond,
		want:  "cpu  0 0 0 0\nbtime 1090\n",
	}, {
		name:  "one that was moved here, and says it booted before",
		host:  "cpu  1 2 3 4\nbtime 1000\n",
		shift: 90500 * time.Millisecond,
		want:  "cpu  0 0 0 0\nbtime 909\n",
	}, {
		name:  "whole seconds",
		host:  "cpu  1 2 3 4\nbtime 1000\n",
		shift: time.Second,
		want:  "cpu  0 0 0 0\nbtime 999\n",
	}, {
		name:  "before 1970",
		host:  "cpu  1 2 3 4\nbtime 1000\n",
		shift: math.MaxInt64,
		want:  "cpu  0 0 0 0\nbtime 0\n",
	}, {
		name:  "the largest offset",
		host:  "cpu  1 2 3 4\nbtime 18446744073709551615\n",
		shift: math.MinInt64,
		want:  "cpu  0 0 0 0\nbtime 18446744073709551615\n",
	}} {
		t.Run(c.name, func(t *testing.T) {
			if c.host == "" {
				c.host = smallHost
			}
			host := parseStat(t, c.host)
			dst := parseStat(t, "cpu  9 9 9 9 9\ncpu9 9 9 9 9 9\nctxt 9\nbtime 9\n") // what was there is gone
			StatInto(dst, host, c.columns, Tasks{Running: 2, Blocked: 1}, c.shift, c.p)
			if diff := cmp.Diff(c.want, string(dst.Append(nil))); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
			if got := string(host.Append(nil)); got != c.host {
				t.Errorf("the host's was changed:\n%s", got)
			}
		})
	}
}

func TestStatTasksAreNeverNegative(t *testing.T) {
	var dst procfile.Stat
	StatInto(&dst, parseStat(t, smallHost), nil, Tasks{Running: -1, Blocked: math.MinInt}, 0, Policy{})
	if got := string(dst.Append(nil)); !strings.Contains(got, "\nprocs_running 0\nprocs_blocked 0\n") {
		t.Error(got)
	}
}

// TestCapturedStat makes the file of a container on each captured host that has
// had every CPU, and is left with all but the first.
func TestCapturedStat(t *testing.T) {
	for _, name := range fixture.Names(t) {
		t.Run(name, func(t *testing.T) {
			host := fixture.Load(t, name)
			stat := parseStat(t, host.Read("proc/stat"))
			online, err := cpulist.Parse(host.Read("sys/devices/system/cpu/online"))
			if err != nil {
				t.Fatal(err)
			}
			var columns []cputime.Column
			for _, id := range online.IDs() {
				n := int64(id)
				columns = append(columns, column(id, id > 0, 1000+n, 500*n, 100000-510*n, 9*n))
			}
			var dst procfile.Stat
			StatInto(&dst, stat, columns, Tasks{Running: 1}, -time.Minute, Policy{})
			golden(t, name+"-stat.txt", dst.Append(nil))
			golden(t, name+"-uptime.txt", Uptime(100*time.Second, columns).Append(nil))
		})
	}
}

// TestStatHistories drives columns as a container's life would, with CPUs that
// come and go, and checks what readers rely on.
func TestStatHistories(t *testing.T) {
	const seed = 21
	rnd := rand.New(rand.NewPCG(seed, 0))
	host := parseStat(t, smallHost)
	var dst procfile.Stat
	for range 300 {
		columns := make([]cputime.Column, 1+rnd.IntN(6))
		for i := range columns {
			columns[i] = cputime.Column{CPU: i * (1 + rnd.IntN(500)), Visible: true}
		}
		slices.SortFunc(columns, func(a, b cputime.Column) int { return a.CPU - b.CPU })
		columns = slices.CompactFunc(columns, func(a, b cputime.Column) bool { return a.CPU == b.CPU })
		before := map[int][]procfile.Ticks{}
		var sum []procfile.Ticks
		shrunk := false
		for range 20 {
			for i := range columns {
				c := &columns[i]
				c.Visible = rnd.IntN(5) > 0
				shrunk = shrunk || !c.Visible
				if !c.Visible {
					continue
				}
				for _, d := range []*time.Duration{&c.User, &c.System, &c.Idle, &c.Steal} {
					*d += time.Duration(rnd.Int64N(int64(25 * time.Millisecond)))
				}
			}
			StatInto(&dst, host, columns, Tasks{}, 0, Policy{})
			again := parseStat(t, string(dst.Append(nil)))
			checkNoFall(t, "cpu", sum, again.Sum())
			sum = slices.Clone(again.Sum())
			total := make([]procfile.Ticks, len(sum))
			for i := range again.CPUs() {
				id, ticks := again.CPU(i)
				checkNoFall(t, "cpuN", before[id], ticks)
				before[id] = slices.Clone(ticks)
				for k := range ticks {
					total[k] += ticks[k]
				}
			}
			if !shrunk && !slices.Equal(total, sum) {
				t.Fatalf("the CPUs' lines add up to %v, cpu is %v", total, sum)
			}
			if idle := Uptime(0, columns).Idle; idle != sum[procfile.StatIdle] {
				t.Fatalf("uptime is idle for %d, cpu for %d", idle, sum[procfile.StatIdle])
			}
		}
	}
}

func checkNoFall(t *testing.T, what string, before, now []procfile.Ticks) {
	t.Helper()
	for i := range before {
		if now[i] < before[i] {
			t.Fatalf("%s: %v became %v", what, before, now)
		}
	}
}

// The nanoseconds of many CPUs don't fit a time.Duration; their sum must.
func TestStatSumOfManyCPUs(t *testing.T) {
	const cpus = 4096
	columns := make([]cputime.Column, cpus)
	for i := range columns {
		columns[i] = cputime.Column{CPU: i, Visible: true, Idle: math.MaxInt64}
	}
	var dst procfile.Stat
	StatInto(&dst, parseStat(t, smallHost), columns, Tasks{}, 0, Policy{})
	want := cpus * procfile.TicksOf(math.MaxInt64)
	if got := dst.Sum()[procfile.StatIdle]; got != want || Uptime(0, columns).Idle != want {
		t.Errorf("idle %d, want %d", got, want)
	}
}

func benchmarkStat(tb testing.TB) (host *procfile.Stat, columns []cputime.Column) {
	tb.Helper()
	var text strings.Builder
	text.WriteString("cpu  1 2 3 4 5 6 7 8 9 10\n")
	text.WriteString("intr 49039465" + strings.Repeat(" 0", 10000) + "\nctxt 147598145\nbtime 1795497827\n")
	for i := range 64 {
		columns = append(columns, column(i, true, 1000, 2000, 1234567, 10))
	}
	return parseStat(tb, text.String()), columns
}

func TestStatAllocatesNothingWarm(t *testing.T) {
	host, columns := benchmarkStat(t)
	var dst procfile.Stat
	var buf []byte
	round := func() {
		StatInto(&dst, host, columns, Tasks{}, 0, Policy{})
		buf = dst.Append(buf[:0])
		buf = Uptime(0, columns).Append(buf)
	}
	round()
	if n := testing.AllocsPerRun(100, round); n != 0 {
		t.Errorf("%v allocations per view", n)
	}
}

func BenchmarkStat(b *testing.B) {
	host, columns := benchmarkStat(b)
	var dst procfile.Stat
	var buf []byte
	b.ReportAllocs()
	for b.Loop() {
		StatInto(&dst, host, columns, Tasks{}, 0, Policy{})
		buf = dst.Append(buf[:0])
	}
}
