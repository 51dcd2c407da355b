// SPDX-License-Identifier: Apache-2.0

package cputime

import (
	"bytes"
	"flag"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/procfs-shim/procfs-shim/cgroupread/cpulist"
	"github.com/procfs-shim/procfs-shim/cgroupread/limits"
)

var lives = flag.Int("lives", 400, "how many random containers TestLives drives")

// A life is a random container: what it is allowed, what it used, and what its
// readers were shown.
type life struct {
	rnd     *rand.Rand
	perCPU  bool // v1
	seen    bool // every change of the visible set is read
	now     time.Duration
	cpuset  cpulist.Set
	levels  []limits.CPU
	visible cpulist.Set // now
	saved   time.Duration
	usage   limits.CPUTime
	refused time.Duration // by all quotas, ever

	h, twin History // twin is never restarted
	last    []Column
	shown   cpulist.Set // at the last read
	read    time.Duration
	dropped time.Duration // used before the first read, and more than fitted
}

func newLife(seed uint64) *life {
	l := &life{rnd: rand.New(rand.NewPCG(seed, 3)), now: start}
	l.perCPU, l.seen = l.rnd.IntN(2) == 0, l.rnd.IntN(2) == 0
	for i := range 1 + l.rnd.IntN(3) {
		l.levels = append(l.levels, limits.CPU{Path: "/a/b/c"[:6-2*i]})
	}
	if l.perCPU {
		l.usage.PerCPU = make([]time.Duration, 1100)
	}
	l.limit()
	return l
}

// limit changes the cpuset or a quota.
func (l *life) limit() {
	if l.cpuset.IsEmpty() || l.rnd.IntN(2) == 0 {
		l.cpuset = cpulist.Of(l.rnd.IntN(8))
		for range l.rnd.IntN(8) {
			l.cpuset = l.cpuset.Union(cpulist.Of(l.rnd.IntN(8) + 1020*l.rnd.IntN(2)))
		}
	} else {
		q := &l.levels[l.rnd.IntN(len(l.levels))].Quota
		*q = limits.Quota{}
		if l.rnd.IntN(4) > 0 {
			q.Period = []time.Duration{ms, 100 * ms, sec}[l.rnd.IntN(3)]
			q.Quota = max(ms, q.Period*time.Duration(1+l.rnd.IntN(800))/100)
		}
	}
	l.visible = l.cpuset
	for _, level := range l.levels {
		if n, limited := level.Quota.CPUs(); limited {
			l.visible = l.visible.First(n)
		}
	}
}

// duration is a random one between a nanosecond and days, of random magnitude.
func (l *life) duration() time.Duration {
	return 1 + time.Duration(l.rnd.Int64N(1<<(1+l.rnd.IntN(48))))
}

// pass lets time pass and the container run for some of it: at most for what its
// visible CPUs have and what it saved, at most three quotas.
func (l *life) pass(d time.Duration) {
	cpus := l.visible.Len()
	wall := time.Duration(cpus) * d
	most := wall + l.saved
	run := most
	switch l.rnd.IntN(4) {
	case 0:
		run = 0
	case 1:
		run = time.Duration(l.rnd.Int64N(int64(most) + 1))
	case 2:
		run = min(most, wall)
	}
	l.saved = min(time.Duration(3*cpus)*sec, most-run)
	l.now += d
	l.use(run)
	for i := range l.levels {
		if l.levels[i].Quota.Limited() && l.rnd.IntN(2) == 0 {
			t := l.duration() % (64 * d)
			l.levels[i].Throttled += t
			l.refused += t
		}
	}
}

func (l *life) use(d time.Duration) {
	system := time.Duration(l.rnd.Int64N(int64(d) + 1))
	l.usage.User += d - system
	l.usage.System += system
	l.usage.Total += d
	if l.perCPU {
		ids := l.cpuset.IDs()
		for d > 0 {
			t := min(d, 1+d/2)
			l.usage.PerCPU[ids[l.rnd.IntN(len(ids))]] += t
			d -= t
		}
	}
}

// step does one thing that can happen to a container.
func (l *life) step(t *testing.T) {
	switch l.rnd.IntN(8) {
	case 0:
		if l.seen {
			l.advance(t) // nothing may happen between the read and the change
		}
		l.limit()
		l.saved = 0
		if l.seen {
			l.now++
			l.advance(t)
		}
	case 1:
		data, err := l.h.AppendBinary(nil)
		if err != nil {
			t.Fatal(err)
		}
		l.h = History{}
		if err := l.h.UnmarshalBinary(data); err != nil {
			t.Fatal(err)
		}
		again, _ := l.h.AppendBinary(nil)
		if !bytes.Equal(data, again) {
			t.Fatal("a decoded history is encoded otherwise")
		}
	case 2:
		l.pass(l.duration())
	case 3:
		now := l.now
		l.now -= min(now, time.Duration(l.rnd.IntN(3))*l.duration()) // an old sample, or the same moment
		if l.now <= l.read {
			l.advance(t)
		}
		l.now = now
	default:
		l.pass(l.duration())
		l.advance(t)
	}
}

func (l *life) advance(t *testing.T) {
	t.Helper()
	l.usage.Chain.Levels = l.levels
	s := Sample{Now: l.now, Start: start, Usage: l.usage, Visible: l.visible}
	s.Usage.PerCPU = slices.Clone(l.usage.PerCPU)
	first := l.last == nil
	now := l.h.Advance(nil, s)
	if twin := l.twin.Advance(nil, s); !slices.Equal(now, twin) {
		t.Fatalf("restarted:    %+v\nwithout that: %+v", now, twin)
	}
	if l.now <= l.read && !first {
		if !slices.Equal(now, l.last) {
			t.Fatalf("no time passed, and %+v became %+v", l.last, now)
		}
		return
	}
	if first {
		l.read, l.shown = min(start, l.now), l.visible
	}
	wall := l.now - l.read
	l.checkGrowth(t, now, wall)
	all := sum(now)
	if first {
		l.dropped = l.usage.Total - all.Busy()
	}
	owed := l.usage.Total - l.dropped - all.Busy()
	if owed < 0 {
		t.Fatalf("%v more shown than was used", -owed)
	}
	if most := time.Duration(l.visible.Len()) * 4 * sec; owed > most {
		// Some of it is dropped for good where changes are unseen, or there are
		// fewer CPUs to show it on.
		if l.seen && l.visible.Len() >= l.shown.Len() {
			t.Fatalf("%v used and not shown, %v is the most", owed, most)
		}
		l.dropped += owed - most
	}
	if all.Steal > 0 && l.refused == 0 {
		t.Fatalf("%v of steal, nothing was refused", all.Steal)
	}
	l.last, l.shown, l.read = now, l.visible, l.now
}

// checkGrowth compares columns with those of the last read, wall before.
func (l *life) checkGrowth(t *testing.T, now []Column, wall time.Duration) {
	t.Helper()
	before := map[int]Column{}
	for _, c := range l.last {
		before[c.CPU] = c
	}
	var visible cpulist.Set
	for i, c := range now {
		b := before[c.CPU]
		delete(before, c.CPU)
		if i > 0 && c.CPU <= now[i-1].CPU {
			t.Fatalf("CPU %d follows CPU %d", c.CPU, now[i-1].CPU)
		}
		if c.User < b.User || c.System < b.System || c.Idle < b.Idle || c.Steal < b.Steal {
			t.Fatalf("%+v fell: %+v", b, c)
		}
		if c.Visible {
			visible = visible.Union(cpulist.Of(c.CPU))
		}
		switch grown := c.Total() - b.Total(); {
		case l.shown.Has(c.CPU):
			if grown != wall {
				t.Fatalf("%+v grew by %v in %v", c, grown, wall)
			}
		case c.Visible: // it came, nobody knows when
			if grown > wall || c.Idle != b.Idle || c.Steal != b.Steal {
				t.Fatalf("%+v, not visible before, became %+v in %v", b, c, wall)
			}
		case grown != 0:
			t.Fatalf("CPU %d is hidden and grew by %v", c.CPU, grown)
		}
	}
	if len(before) > 0 {
		t.Fatalf("%v disappeared", before)
	}
	if !visible.Equal(l.visible) {
		t.Fatalf("CPUs %v are visible, want %v", visible, l.visible)
	}
}

// settle leaves the container idle until nothing is owed any more: all that it
// used is shown then, user and system time apart on v2.
func (l *life) settle(t *testing.T) {
	l.advance(t)
	l.now += 5 * sec
	l.advance(t)
	all := sum(l.last)
	if d := l.usage.Total - l.dropped - all.Busy(); d != 0 {
		t.Fatalf("%v of what was used was never shown", d)
	}
	if !l.perCPU && l.dropped == 0 && (all.User-l.usage.User).Abs() > time.Microsecond {
		t.Fatalf("%v of user time shown, %v used", all.User, l.usage.User)
	}
}

func TestLives(t *testing.T) {
	for seed := range uint64(*lives) {
		l := newLife(seed)
		ok := t.Run("", func(t *testing.T) {
			for range 200 {
				l.step(t)
				if l.now > 200*365*24*hour {
					break
				}
			}
			l.settle(t)
		})
		if !ok {
			t.Fatalf("life %d", seed)
		}
	}
}

// Whatever the counters say, nothing falls and each visible CPU's column grows by
// the time that passed.
func TestNonsense(t *testing.T) {
	rnd := rand.New(rand.NewPCG(4, 5))
	wild := func() time.Duration {
		switch rnd.IntN(4) {
		case 0:
			return 1<<63 - 1
		case 1:
			return time.Duration(rnd.Int64N(4))
		}
		return time.Duration(rnd.Int64() >> rnd.IntN(63))
	}
	for range 2000 {
		l := &life{now: start}
		for i := range 20 {
			l.now = min(1<<62, l.now+wild()/64)
			l.visible = cpulist.Range(rnd.IntN(3), rnd.IntN(70)-1)
			s := Sample{Now: l.now, Start: wild(), Visible: l.visible}
			s.Usage = limits.CPUTime{Total: wild(), User: wild(), System: wild(), PerCPU: make([]time.Duration, rnd.IntN(3))}
			for cpu := range s.Usage.PerCPU {
				s.Usage.PerCPU[cpu] = wild()
			}
			for level := range rnd.IntN(3) {
				s.Usage.Chain.Levels = append(s.Usage.Chain.Levels, limits.CPU{
					Path: "/abc"[:4-level], Quota: limits.Quota{Quota: wild(), Period: wild()}, Throttled: wild(),
				})
			}
			if first := i == 0; first {
				s.Start = start
				l.read, l.shown = start, l.visible
			}
			now := l.h.Advance(nil, s)
			if l.now > l.read {
				l.checkGrowth(t, now, l.now-l.read)
				l.shown, l.read = l.visible, l.now
			}
			l.last = now
		}
	}
}
