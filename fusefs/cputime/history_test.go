// SPDX-License-Identifier: Apache-2.0

package cputime

import (
	"math"
	"testing"
	"time"

	"github.com/procfs-shim/procfs-shim/cgroupread/cpulist"
	"github.com/procfs-shim/procfs-shim/cgroupread/limits"
)

const (
	ms   = time.Millisecond
	sec  = time.Second
	hour = time.Hour
)

func set(tb testing.TB, list string) cpulist.Set {
	tb.Helper()
	s, err := cpulist.Parse(list)
	if err != nil {
		tb.Fatal(err)
	}
	return s
}

// v2 is a usage as v2 tells it.
func v2(user, system time.Duration, levels ...limits.CPU) limits.CPUTime {
	return limits.CPUTime{Total: user + system, User: user, System: system, Chain: limits.CPUChain{Levels: levels}}
}

// v1 is a usage as v1 tells it; the ratio of user and system is all that counts.
func v1(user, system time.Duration, perCPU ...time.Duration) limits.CPUTime {
	u := limits.CPUTime{User: user, System: system, PerCPU: perCPU}
	for _, t := range perCPU {
		u.Total += t
	}
	return u
}

func level(path string, percent int, throttled time.Duration) limits.CPU {
	return limits.CPU{
		Path: path, Throttled: throttled,
		Quota: limits.Quota{Quota: 100 * ms * time.Duration(percent) / 100, Period: 100 * ms},
	}
}

// A step is a sample and the columns that must come of it: user, system, idle and
// steal of CPU 0, 1, …; hidden ones are given with hidden.
type step struct {
	now     time.Duration
	visible string
	usage   limits.CPUTime
	want    []Column
}

func col(cpu int, user, system, idle, steal time.Duration) Column {
	return Column{CPU: cpu, Visible: true, User: user, System: system, Idle: idle, Steal: steal}
}

func hidden(c Column) Column {
	c.Visible = false
	return c
}

const start = 100 * sec

func TestAdvance(t *testing.T) {
	for _, c := range []struct {
		name  string
		steps []step
	}{
		{"idle since init", []step{
			{start + hour, "0-1", v2(0, 0), []Column{col(0, 0, 0, hour, 0), col(1, 0, 0, hour, 0)}},
			{start + 2*hour, "0-1", v2(0, 0), []Column{col(0, 0, 0, 2*hour, 0), col(1, 0, 0, 2*hour, 0)}},
		}},
		{"read before init is a nanosecond old", []step{
			{start - sec, "0", v2(5*sec, 0), []Column{col(0, 0, 0, 0, 0)}},
			{start, "0", v2(5*sec+ms, 0), []Column{col(0, ms, 0, sec-ms, 0)}},
		}},
		{"usage is spread evenly, to the nanosecond", []step{
			{start + 10, "0-2", v2(10, 0), []Column{col(0, 3, 0, 7, 0), col(1, 3, 0, 7, 0), col(2, 4, 0, 6, 0)}},
		}},
		{"a sample that isn't newer changes nothing", []step{
			{start + sec, "0", v2(ms, 0), []Column{col(0, ms, 0, sec-ms, 0)}},
			{start + sec, "0-1", v2(9*ms, 0), []Column{col(0, ms, 0, sec-ms, 0)}},
			{start, "1", v2(0, 0), []Column{col(0, ms, 0, sec-ms, 0)}},
			{start + 2*sec, "0", v2(9*ms, 0), []Column{col(0, 9*ms, 0, 2*sec-9*ms, 0)}},
		}},
		{"usage from before init is dropped", []step{
			{start + sec, "0", v2(hour, hour), []Column{col(0, 500*ms, 500*ms, 0, 0)}},
			{start + 2*sec, "0", v2(hour, hour), []Column{col(0, 500*ms, 500*ms, sec, 0)}},
			{start + 3*sec, "0", v2(hour+ms, hour), []Column{col(0, 501*ms, 500*ms, 2*sec-ms, 0)}},
		}},
		{"a burst is shown later", []step{
			{start + sec, "0", v2(0, 0), []Column{col(0, 0, 0, sec, 0)}},
			{start + sec + 10*ms, "0", v2(60*ms, 40*ms), []Column{col(0, 6*ms, 4*ms, sec, 0)}},
			{start + sec + 20*ms, "0", v2(60*ms, 40*ms), []Column{col(0, 12*ms, 8*ms, sec, 0)}},
			{start + 2*sec, "0", v2(60*ms, 40*ms), []Column{col(0, 60*ms, 40*ms, 2*sec-100*ms, 0)}},
		}},
		{"at most 4 s of it", []step{
			{start + sec, "0", v2(0, 0), []Column{col(0, 0, 0, sec, 0)}},
			{start + 2*sec, "0", v2(hour, 0), []Column{col(0, sec, 0, sec, 0)}},
			{start + hour, "0", v2(hour, 0), []Column{col(0, 5*sec, 0, hour-5*sec, 0)}},
		}},
		{"four CPUs, then one: idle grows by 1 s/s from the second read on", []step{
			{start + sec, "0-3", v2(0, 0), []Column{col(0, 0, 0, sec, 0), col(1, 0, 0, sec, 0), col(2, 0, 0, sec, 0), col(3, 0, 0, sec, 0)}},
			{start + 2*sec, "0", v2(0, 0), []Column{
				col(0, 0, 0, 2*sec, 0), hidden(col(1, 0, 0, 2*sec, 0)), hidden(col(2, 0, 0, 2*sec, 0)), hidden(col(3, 0, 0, 2*sec, 0)),
			}},
			{start + 3*sec, "0", v2(0, 0), []Column{
				col(0, 0, 0, 3*sec, 0), hidden(col(1, 0, 0, 2*sec, 0)), hidden(col(2, 0, 0, 2*sec, 0)), hidden(col(3, 0, 0, 2*sec, 0)),
			}},
		}},
		{"a CPU that comes back goes on from its frozen value, a new one from 0", []step{
			{start + sec, "2", v2(0, 0), []Column{col(2, 0, 0, sec, 0)}},
			{start + 2*sec, "1-2", v2(0, 0), []Column{col(1, 0, 0, 0, 0), col(2, 0, 0, 2*sec, 0)}},
			{start + 3*sec, "1", v2(0, 0), []Column{col(1, 0, 0, sec, 0), hidden(col(2, 0, 0, 3*sec, 0))}},
			{start + 9*sec, "1-2", v2(0, 0), []Column{col(1, 0, 0, 7*sec, 0), col(2, 0, 0, 3*sec, 0)}},
			{start + 10*sec, "1-2", v2(0, 0), []Column{col(1, 0, 0, 8*sec, 0), col(2, 0, 0, 4*sec, 0)}},
		}},
		{"one CPU became four while nobody read: new ones get what it had no room for", []step{
			{start + sec, "0", v2(0, 0), []Column{col(0, 0, 0, sec, 0)}},
			{start + sec + hour, "0-3", v2(hour+90*sec, 0), []Column{
				col(0, hour, 0, sec, 0), col(1, 30*sec, 0, 0, 0), col(2, 30*sec, 0, 0, 0), col(3, 30*sec, 0, 0, 0),
			}},
		}},
		{"four became one while nobody read: nothing is owed", []step{
			{start + sec, "0-3", v2(0, 0), []Column{col(0, 0, 0, sec, 0), col(1, 0, 0, sec, 0), col(2, 0, 0, sec, 0), col(3, 0, 0, sec, 0)}},
			{start + sec + hour, "0", v2(4*hour, 0), []Column{
				col(0, hour, 0, sec, 0), hidden(col(1, hour, 0, sec, 0)), hidden(col(2, hour, 0, sec, 0)), hidden(col(3, hour, 0, sec, 0)),
			}},
			{start + 2*sec + hour, "0", v2(4*hour, 0), []Column{
				col(0, hour, 0, 2*sec, 0), hidden(col(1, hour, 0, sec, 0)), hidden(col(2, hour, 0, sec, 0)), hidden(col(3, hour, 0, sec, 0)),
			}},
		}},
		{"a usage that falls is a new beginning", []step{
			{start + sec, "0", v2(100*ms, 0), []Column{col(0, 100*ms, 0, 900*ms, 0)}},
			{start + 2*sec, "0", v2(ms, ms), []Column{col(0, 100*ms, 0, 1900*ms, 0)}},
			{start + 3*sec, "0", v2(2*ms, 11*ms), []Column{col(0, 101*ms, 10*ms, 2889*ms, 0)}},
		}},
	} {
		t.Run(c.name, func(t *testing.T) { checkSteps(t, c.steps) })
	}
}

func checkSteps(t *testing.T, steps []step) {
	t.Helper()
	var h History
	for i, s := range steps {
		got := h.Advance(nil, Sample{Now: s.now, Start: start, Usage: s.usage, Visible: set(t, s.visible)})
		if len(got) != len(s.want) {
			t.Fatalf("step %d: got %v, want %v", i, got, s.want)
		}
		for j := range got {
			if got[j] != s.want[j] {
				t.Errorf("step %d: got  %+v\nwant %+v", i, got[j], s.want[j])
			}
		}
	}
}

// v1 tells what each CPU was used for; CPU 2 and 3 aren't shown.
func TestAdvanceV1(t *testing.T) {
	for _, c := range []struct {
		name  string
		steps []step
	}{
		{"each CPU its own", []step{
			{start + sec, "0-1", v1(3, 1, 800*ms, 200*ms), []Column{col(0, 600*ms, 200*ms, 200*ms, 0), col(1, 150*ms, 50*ms, 800*ms, 0)}},
		}},
		{"hidden CPUs' usage goes where there is room", []step{
			{start + sec, "0-1", v1(1, 0, sec, 0, 0, 500*ms), []Column{col(0, sec, 0, 0, 0), col(1, 500*ms, 0, 500*ms, 0)}},
		}},
		{"what one has no room for is the others'", []step{
			{start + sec, "0-2", v1(1, 0, 1300*ms, 800*ms, 0), []Column{col(0, sec, 0, 0, 0), col(1, 950*ms, 0, 50*ms, 0), col(2, 150*ms, 0, 850*ms, 0)}},
		}},
		{"no tick has fallen yet", []step{
			{start + sec, "0", v1(0, 0, 4*ms), []Column{col(0, 4*ms, 0, 996*ms, 0)}},
			// All ticks were system time: what was shown as user stays so.
			{start + 2*sec, "0", v1(0, 10*ms, 10*ms), []Column{col(0, 4*ms, 6*ms, 1990*ms, 0)}},
		}},
		{"a ratio that moves back and forth", []step{
			{start + sec, "0", v1(1, 1, 100*ms), []Column{col(0, 50*ms, 50*ms, 900*ms, 0)}},
			{start + 2*sec, "0", v1(1, 3, 120*ms), []Column{col(0, 50*ms, 70*ms, 1880*ms, 0)}},
			{start + 3*sec, "0", v1(3, 1, 140*ms), []Column{col(0, 70*ms, 70*ms, 2860*ms, 0)}},
			{start + 4*sec, "0", v1(3, 1, 400*ms), []Column{col(0, 300*ms, 100*ms, 3600*ms, 0)}},
		}},
		{"usage_percpu can't be read for a while", []step{
			{start + sec, "0-1", v1(1, 0, 100*ms, 0), []Column{col(0, 100*ms, 0, 900*ms, 0), col(1, 0, 0, sec, 0)}},
			{start + 2*sec, "0-1", v2(300*ms, 0), []Column{col(0, 200*ms, 0, 1800*ms, 0), col(1, 100*ms, 0, 1900*ms, 0)}},
			{start + 3*sec, "0-1", v1(1, 0, 500*ms, 0), []Column{col(0, 300*ms, 0, 2700*ms, 0), col(1, 200*ms, 0, 2800*ms, 0)}},
			{start + 4*sec, "0-1", v1(1, 0, 600*ms, 0), []Column{col(0, 400*ms, 0, 3600*ms, 0), col(1, 200*ms, 0, 3800*ms, 0)}},
		}},
	} {
		t.Run(c.name, func(t *testing.T) { checkSteps(t, c.steps) })
	}
}

// The cgroups are drawn as in
//
//	/pod        quota and refused time of the last level
//	└── /pod/c  of the first one: the container
func TestSteal(t *testing.T) {
	for _, c := range []struct {
		name  string
		steps []step
	}{
		{"what the quota refused", []step{
			{start + sec, "0", v2(200*ms, 0, level("/pod/c", 20, 700*ms)), []Column{col(0, 200*ms, 0, 100*ms, 700*ms)}},
		}},
		{"never more than would be idle; what a period has room for is owed", []step{
			{start + sec, "0", v2(200*ms, 0, level("/pod/c", 20, 5*sec)), []Column{col(0, 200*ms, 0, 0, 800*ms)}},
			// The first sample owes nothing.
			{start + 2*sec, "0", v2(200*ms, 0, level("/pod/c", 20, 5*sec)), []Column{col(0, 200*ms, 0, sec, 800*ms)}},
			{start + 3*sec, "0", v2(400*ms, 0, level("/pod/c", 20, 9*sec)), []Column{col(0, 400*ms, 0, sec, 1600*ms)}},
			{start + 4*sec, "0", v2(400*ms, 0, level("/pod/c", 20, 9*sec)), []Column{col(0, 400*ms, 0, 1920*ms, 1680*ms)}},
		}},
		{"no more than the periods that the usage can have filled had room for", []step{
			// 45 ms fill two periods and a quarter, and an eighth of that on top.
			{start + sec, "0", v2(40*ms, 0, level("/pod/c", 20, 5*sec)), []Column{col(0, 40*ms, 0, 780*ms, 180*ms)}},
			{start + 2*sec, "0", v2(40*ms, 0, level("/pod/c", 20, 6*sec)), []Column{col(0, 40*ms, 0, 1780*ms, 180*ms)}},
			{start + 3*sec, "0", v2(40*ms, 0, level("/pod/c", 20, 6*sec)), []Column{col(0, 40*ms, 0, 2780*ms, 180*ms)}},
		}},
		{"none where a quota of whole CPUs is used up", []step{
			{start + sec, "0-1", v2(0, 0, level("/pod/c", 200, 0)), []Column{col(0, 0, 0, sec, 0), col(1, 0, 0, sec, 0)}},
			{start + 2*sec, "0-1", v2(sec, 0, level("/pod/c", 200, 9*sec)), []Column{col(0, 500*ms, 0, 1500*ms, 0), col(1, 500*ms, 0, 1500*ms, 0)}},
		}},
		{"an ancestor's counts from the first read on", []step{
			{start + sec, "0", v2(0, 0, level("/pod/c", 50, 10*ms), level("/pod", 20, 7*hour)), []Column{col(0, 0, 0, sec, 0)}},
			{start + 2*sec, "0", v2(0, 0, level("/pod/c", 50, 900*ms), level("/pod", 20, 7*hour+300*ms)), []Column{col(0, 0, 0, 1700*ms, 300*ms)}},
			{start + 3*sec, "0", v2(sec, 0, level("/pod/c", 50, 900*ms), level("/pod", 20, 8*hour)), []Column{col(0, sec, 0, 1700*ms, 300*ms)}},
			{start + 4*sec, "0", v2(sec, 0, level("/pod/c", 50, 900*ms), level("/pod", 20, 8*hour)), []Column{col(0, sec, 0, 2600*ms, 400*ms)}},
		}},
		{"the tightest level changes", []step{
			{start + sec, "0", v2(100*ms, 0, level("/pod/c", 50, 10*ms), level("/pod", 80, hour)), []Column{col(0, 100*ms, 0, 890*ms, 10*ms)}},
			{start + 2*sec, "0", v2(100*ms, 0, level("/pod/c", 50, 20*ms), level("/pod", 10, hour+sec/2)), []Column{col(0, 100*ms, 0, 1390*ms, 510*ms)}},
			{start + 3*sec, "0", v2(200*ms, 0, level("/pod/c", 50, 25*ms), level("/pod", 90, hour+sec)), []Column{col(0, 200*ms, 0, 2285*ms, 515*ms)}},
		}},
		{"a quota's counter may be old when the quota is set", []step{
			{start + sec, "0", v2(0, 0, level("/pod/c", 0, 0)), []Column{col(0, 0, 0, sec, 0)}},
			{start + 2*sec, "0", v2(100*ms, 0, level("/pod/c", 20, hour)), []Column{col(0, 100*ms, 0, 1900*ms, 0)}},
			{start + 3*sec, "0", v2(200*ms, 0, level("/pod/c", 20, hour+ms)), []Column{col(0, 200*ms, 0, 2799*ms, ms)}},
		}},
		{"a counter that falls", []step{
			{start + sec, "0", v2(200*ms, 0, level("/pod/c", 20, 500*ms)), []Column{col(0, 200*ms, 0, 300*ms, 500*ms)}},
			{start + 2*sec, "0", v2(300*ms, 0, level("/pod/c", 20, ms)), []Column{col(0, 300*ms, 0, 1200*ms, 500*ms)}},
			{start + 3*sec, "0", v2(300*ms, 0, level("/pod/c", 20, 3*ms)), []Column{col(0, 300*ms, 0, 2198*ms, 502*ms)}},
		}},
		{"what is owed when the quota goes is shown once", []step{
			{start + sec, "0", v2(0, 0, level("/pod/c", 20, 0)), []Column{col(0, 0, 0, sec, 0)}},
			{start + 2*sec, "0", v2(sec, 0, level("/pod/c", 20, sec)), []Column{col(0, sec, 0, sec, 0)}},
			{start + 3*sec, "0", v2(sec, 0), []Column{col(0, sec, 0, 1920*ms, 80*ms)}},
			{start + 4*sec, "0", v2(sec, 0), []Column{col(0, sec, 0, 2920*ms, 80*ms)}},
		}},
	} {
		t.Run(c.name, func(t *testing.T) { checkSteps(t, c.steps) })
	}
}

func TestLargeMachines(t *testing.T) {
	const cpus, days = 8192, 400 * 24 * hour // 400 days of each overflow a Duration when summed
	perCPU := make([]time.Duration, cpus)
	for i := range perCPU {
		perCPU[i] = days / 2
	}
	for _, c := range []struct {
		name  string
		usage limits.CPUTime
		busy  time.Duration
	}{
		{"v2", v2(9e18, 0), 9e18 / cpus},
		{"v1", limits.CPUTime{Total: math.MaxInt64, User: 1, PerCPU: perCPU}, 0},
		{"idle", v2(0, 0), 0},
	} {
		var h History
		var total time.Duration
		for _, column := range h.Advance(nil, Sample{Now: days + start, Start: start, Usage: c.usage, Visible: cpulist.Range(0, cpus-1)}) {
			if column.Total() != days {
				t.Fatalf("%s: %+v doesn't add up to %v", c.name, column, days)
			}
			if b := column.Busy(); c.busy > 0 && b != c.busy && b != c.busy+1 {
				t.Fatalf("%s: %+v is busy for %v, want %v", c.name, column, b, c.busy)
			}
			total += column.Busy() / cpus
		}
		if c.name == "v1" && total < (math.MaxInt64/cpus)*99/100 {
			t.Errorf("%s: %v busy on average, want what a Duration holds", c.name, total)
		}
	}
	var h History
	got := h.Advance(nil, Sample{Now: start + sec, Start: start, Usage: v2(2, 0), Visible: set(t, "1024,16383")})
	want := []Column{col(1024, 1, 0, sec-1, 0), col(16383, 1, 0, sec-1, 0)}
	if len(got) != 2 || got[0] != want[0] || got[1] != want[1] {
		t.Errorf("got %v, want %v", got, want)
	}
}
