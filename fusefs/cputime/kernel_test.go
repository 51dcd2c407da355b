// SPDX-License-Identifier: Apache-2.0

package cputime

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/procfs-shim/procfs-shim/cgroupread/cpulist"
	"github.com/procfs-shim/procfs-shim/cgroupread/limits"
)

// kernel is CFS bandwidth control of one cgroup, as much of it as its counters
// show, in steps of 1 ms: a pool that is filled each period, CPUs whose tasks are
// refused when it is empty, and time refused that is counted when the refusal
// ends (kernel/sched/fair.c, unthrottle_cfs_rq).
type kernel struct {
	now     time.Duration
	cpus    int // of the cpuset
	quota   limits.Quota
	pool    time.Duration
	since   []time.Duration // when a CPU's tasks were refused, 0: they aren't
	usage   []time.Duration // by CPU
	refused time.Duration
	began   struct{ refused, used time.Duration } // at the period's begin
	steal   time.Duration                         // the truth, period by period
	wait    int                                   // percent of the time for which others have the CPU
	want    int                                   // how many CPUs the container's threads would run on
	first   int                                   // the CPU that the first of them runs on
	rnd     *rand.Rand
}

func newKernel(cpus, percent int) *kernel {
	k := &kernel{
		now: start, cpus: cpus, rnd: rand.New(rand.NewPCG(1, 2)),
		since: make([]time.Duration, cpus), usage: make([]time.Duration, cpus),
	}
	k.quota = level("", percent, 0).Quota
	return k
}

// run lets d pass, in whole ms.
func (k *kernel) run(d time.Duration) {
	for end := k.now + d; k.now < end; k.now += ms {
		if k.quota.Limited() && k.now%k.quota.Period == 0 {
			k.pool = k.quota.Quota
			for i, since := range k.since {
				if since > 0 {
					k.refused += k.now - since
					k.since[i] = 0
				}
			}
			room := time.Duration(k.visible().Len())*k.quota.Period - (k.used() - k.began.used)
			k.steal += max(0, min(k.refused-k.began.refused, room))
			k.began.refused, k.began.used = k.refused, k.used()
		}
		if k.rnd.IntN(50) == 0 { // threads move
			k.first = k.rnd.IntN(k.cpus)
		}
		for i := range min(k.want, k.cpus) {
			cpu := (k.first + i) % k.cpus
			switch {
			case k.since[cpu] > 0 || k.rnd.IntN(100) < k.wait:
			case k.quota.Limited() && k.pool < ms:
				k.since[cpu] = k.now
			default:
				k.usage[cpu] += ms
				k.pool -= ms
			}
		}
	}
}

func (k *kernel) used() (sum time.Duration) {
	for _, u := range k.usage {
		sum += u
	}
	return sum
}

func (k *kernel) visible() cpulist.Set {
	n, limited := k.quota.CPUs()
	if !limited {
		n = k.cpus
	}
	return cpulist.Range(0, min(n, k.cpus)-1)
}

func (k *kernel) sample(perCPU bool) Sample {
	s := Sample{Now: k.now, Start: start, Visible: k.visible()}
	s.Usage = v2(k.used()*3/4, k.used()-k.used()*3/4, limits.CPU{Path: "/c", Quota: k.quota, Throttled: k.refused})
	if perCPU {
		s.Usage.PerCPU = append([]time.Duration(nil), k.usage...)
	}
	return s
}

// sum adds columns up.
func sum(columns []Column) (all Column) {
	for _, c := range columns {
		all.User += c.User
		all.System += c.System
		all.Idle += c.Idle
		all.Steal += c.Steal
	}
	return all
}

// Whatever the reader's interval, v1 or v2: what it sees in 10 s, after 2 s, is
// what the container did, up to a period and an interval.
func TestAgainstKernel(t *testing.T) {
	for _, c := range []struct {
		name                 string
		cpus, percent, want  int
		wait                 int
		busy, steal, visible int // percent of a CPU; visible CPUs
	}{
		{"saturated, one thread", 4, 20, 1, 0, 20, 80, 1},
		{"saturated, on one CPU", 1, 20, 1, 0, 20, 80, 1},
		{"saturated, a thread for each CPU", 4, 20, 4, 0, 20, 80, 1},
		{"saturated, beside neighbours", 4, 20, 1, 60, 20, 80, 1},
		{"1.5 of 2, beside neighbours", 4, 150, 3, 30, 150, 50, 2},
		{"1.5 of 2", 4, 150, 2, 0, 150, 50, 2},
		{"one thread has enough", 4, 200, 1, 0, 100, 0, 2},
		{"four threads fill two", 4, 200, 4, 0, 200, 0, 2},
		{"no quota", 4, 0, 3, 0, 300, 0, 4},
		{"idle", 4, 20, 0, 0, 0, 0, 1},
		{"64 CPUs use one up in a moment", 64, 100, 64, 0, 100, 0, 1},
	} {
		for _, interval := range []time.Duration{ms, 7 * ms, 10 * ms, 37 * ms, 100 * ms, 250 * ms, sec, 10 * sec} {
			for _, perCPU := range []bool{false, true} {
				k := newKernel(c.cpus, c.percent)
				k.want, k.wait = c.want, c.wait
				var h History
				var columns []Column
				for range 2 * sec / min(interval, sec) {
					k.run(min(interval, sec))
					columns = h.Advance(columns, k.sample(perCPU))
				}
				before, since := sum(columns), k.now
				for k.now < since+10*sec {
					k.run(interval)
					columns = h.Advance(columns, k.sample(perCPU))
				}
				after, wall := sum(columns), k.now-since
				near := func(what string, got time.Duration, percent int) {
					want := wall * time.Duration(percent) / 100
					if slack := (100*ms + min(interval, 100*ms)) * time.Duration(c.visible); got < want-slack || got > want+slack {
						t.Errorf("%s, read each %v, per CPU %v: %v of %s in %v, want %v", c.name, interval, perCPU, got, what, wall, want)
					}
				}
				near("busy", after.Busy()-before.Busy(), c.busy)
				near("steal", after.Steal-before.Steal, c.steal)
				near("idle", after.Idle-before.Idle, 100*c.visible-c.busy-c.steal)
			}
		}
	}
}

// Two readers, one each 10 ms and one each 2 s, see the same container, which
// changes what it does each 300 ms.
func TestReadersAgree(t *testing.T) {
	k := newKernel(4, 150)
	var often, seldom History
	var a, b []Column
	for i := range 3000 {
		if i%30 == 0 {
			k.want = k.rnd.IntN(6)
		}
		k.run(10 * ms)
		a = often.Advance(a, k.sample(false))
		if i%200 != 199 {
			continue
		}
		b = seldom.Advance(b, k.sample(false))
		one, other := sum(a), sum(b)
		// The one may owe up to two periods of busy time and one of steal, for
		// each of the two visible CPUs.
		if d := (one.Busy() - other.Busy()).Abs(); d > 400*ms {
			t.Fatalf("after %v their busy time differs by %v", k.now-start, d)
		}
		if one.Total() != other.Total() {
			t.Fatalf("after %v: %v and %v in all", k.now-start, one.Total(), other.Total())
		}
		// At times one thread nearly fills the quota for a while, and is taken to
		// be refused.
		if one.Steal < k.steal-200*ms || one.Steal > k.steal*11/10+200*ms {
			t.Fatalf("after %v: the one saw %v of steal, want %v", k.now-start, one.Steal, k.steal)
		}
		// The other can't tell usage in periods that refused something from usage
		// in others: it sees no less, and at most the spare 50 ms for each 150 ms
		// used, and an eighth.
		if most := k.used()*50/150*9/8 + ms; other.Steal < k.steal-200*ms || other.Steal > most {
			t.Fatalf("after %v: the other saw %v of steal, want %v to %v", k.now-start, other.Steal, k.steal, most)
		}
	}
}

// 64 threads on 64 CPUs use a quota of 2 CPUs up in 3 ms and are refused 62 CPUs'
// time, in one of ten seconds. A reader each 15 s must see the idle time.
func TestMomentOfManyThreads(t *testing.T) {
	k := newKernel(64, 200)
	var h History
	var columns []Column
	for range 10 {
		for i := range 15 {
			k.want = 0
			if i%10 == 0 {
				k.want = 64
			}
			k.run(sec)
		}
		columns = h.Advance(columns, k.sample(false))
	}
	all, wall := sum(columns), k.now-start
	if all.Steal > 0 || all.Busy() != k.used() || all.Idle != 2*wall-k.used() {
		t.Errorf("of %v: %+v, want %v busy and no steal", wall, all, k.used())
	}
}
