// SPDX-License-Identifier: Apache-2.0

package limits

import (
	"math"
	"testing"
	"time"
)

func TestLimit(t *testing.T) {
	if n, limited := None().Value(); n != 0 || limited {
		t.Errorf("None().Value() = %d, %v", n, limited)
	}
	if None() != (Limit{}) {
		t.Error("the zero value is not None()")
	}
	if n, limited := To(0).Value(); n != 0 || !limited {
		t.Errorf("To(0).Value() = %d, %v: a limit of 0 is a limit", n, limited)
	}
	for _, c := range []struct{ a, b, min Limit }{
		{None(), None(), None()},
		{To(5), None(), To(5)},
		{To(5), To(0), To(0)},
		{To(5), To(9), To(5)},
		{To(math.MaxUint64), None(), To(math.MaxUint64)},
	} {
		if got := c.a.Min(c.b); got != c.min {
			t.Errorf("%v.Min(%v) = %v, want %v", c.a, c.b, got, c.min)
		}
		if got := c.b.Min(c.a); got != c.min {
			t.Errorf("%v.Min(%v) = %v, want %v", c.b, c.a, got, c.min)
		}
	}
	for _, c := range []struct {
		l      Limit
		n      uint64
		atMost uint64
		less   Limit
		plus   Limit
		text   string
	}{
		{None(), 7, 7, None(), None(), "max"},
		{To(0), 7, 0, To(0), To(7), "0"},
		{To(5), 7, 5, To(0), To(12), "5"},
		{To(9), 7, 7, To(2), To(16), "9"},
		{To(math.MaxUint64), 7, 7, To(math.MaxUint64 - 7), To(math.MaxUint64), "18446744073709551615"},
	} {
		if got := c.l.AtMost(c.n); got != c.atMost {
			t.Errorf("%v.AtMost(%d) = %d, want %d", c.l, c.n, got, c.atMost)
		}
		if got := c.l.Less(c.n); got != c.less {
			t.Errorf("%v.Less(%d) = %v, want %v", c.l, c.n, got, c.less)
		}
		if got := c.l.Plus(c.n); got != c.plus {
			t.Errorf("%v.Plus(%d) = %v, want %v", c.l, c.n, got, c.plus)
		}
		if got := c.l.String(); got != c.text {
			t.Errorf("String() = %q, want %q", got, c.text)
		}
	}
}

func TestQuotaCPUs(t *testing.T) {
	const ms = time.Millisecond
	for _, c := range []struct {
		q       Quota
		n       int
		limited bool
	}{
		{Quota{}, 0, false},
		{Quota{Quota: 0, Period: 100 * ms}, 0, false},
		{Quota{Quota: -1, Period: 100 * ms}, 0, false},
		{Quota{Quota: 100 * ms}, 0, false},
		{Quota{1 * ms, 100 * ms}, 1, true},
		{Quota{100 * ms, 100 * ms}, 1, true},
		{Quota{100*ms + 1, 100 * ms}, 2, true},
		{Quota{150 * ms, 100 * ms}, 2, true},
		{Quota{math.MaxInt64, 1}, math.MaxInt32, true},
		{Quota{math.MaxInt64, math.MaxInt64}, 1, true},
	} {
		if n, limited := c.q.CPUs(); n != c.n || limited != c.limited {
			t.Errorf("%v.CPUs() = %d, %v, want %d, %v", c.q, n, limited, c.n, c.limited)
		}
	}
}

func TestQuotaLess(t *testing.T) {
	const ms, us = time.Millisecond, time.Microsecond
	for _, c := range []struct {
		a, b Quota
		less bool
	}{
		{Quota{}, Quota{}, false},
		{Quota{}, Quota{ms, ms}, false},
		{Quota{ms, ms}, Quota{}, true},
		{Quota{50 * ms, 100 * ms}, Quota{100 * ms, 100 * ms}, true},
		{Quota{50 * ms, 100 * ms}, Quota{100 * ms, 200 * ms}, false},
		{Quota{50 * ms, 100 * ms}, Quota{10 * ms, 10 * ms}, true},
		{Quota{1 << 44 * us, time.Second}, Quota{1<<44*us - us, time.Second}, false},
		{Quota{1<<44*us - us, time.Second}, Quota{1 << 44 * us, time.Second}, true},
	} {
		if got := c.a.Less(c.b); got != c.less {
			t.Errorf("%v.Less(%v) = %v, want %v", c.a, c.b, got, c.less)
		}
	}
}

// /a quota 2 CPUs over /a/b none over /a/b/c 3 CPUs.
func TestTightest(t *testing.T) {
	const ms = time.Millisecond
	c := CPUChain{Levels: []CPU{
		{Path: "/a/b/c", Quota: Quota{300 * ms, 100 * ms}},
		{Path: "/a/b"},
		{Path: "/a", Quota: Quota{20 * ms, 10 * ms}},
	}}
	if l, ok := c.Tightest(); !ok || l.Path != "/a" {
		t.Errorf("Tightest() = %v, %v, want /a", l, ok)
	}
	c.Levels[1].Quota = Quota{200 * ms, 100 * ms}
	if l, _ := c.Tightest(); l.Path != "/a/b" {
		t.Errorf("Tightest() = %v, want /a/b: as tight as /a and nearer", l)
	}
	if l, ok := (CPUChain{Levels: c.Levels[:0]}).Tightest(); ok {
		t.Errorf("Tightest() of no level = %v", l)
	}
}

// v2:  /a  max 4 GiB, high 3 GiB, swap.max 1 GiB
//
//	└─ b  max max, high 2 GiB, swap.max max
func TestMemoryChainV2(t *testing.T) {
	const gib = 1 << 30
	c := MemoryChain{
		{Path: "/a/b", High: To(2 * gib)},
		{Path: "/a", Max: To(4 * gib), High: To(3 * gib), SwapMax: To(gib)},
	}
	if c.Max() != To(4*gib) || c.High() != To(2*gib) || c.SwapMax() != To(gib) {
		t.Errorf("effective max %v, high %v, swap %v", c.Max(), c.High(), c.SwapMax())
	}
	if e := (MemoryChain{}); e.Max() != None() || e.High() != None() || e.SwapMax() != None() {
		t.Error("an empty chain limits something")
	}
}

// v1:  /a  limit 4 GiB, memsw 5 GiB
//
//	└─ b  limit 1 GiB, memsw none
//
// b may hold 1 GiB of memory and, with swap, 5 GiB in all.
func TestMemoryChainV1(t *testing.T) {
	const gib = 1 << 30
	c := MemoryChain{
		{Path: "/a/b", Max: To(gib)},
		{Path: "/a", Max: To(4 * gib), SwapMax: To(gib), MemorySwapMax: To(5 * gib)},
	}
	if got := c.SwapMax(); got != To(4*gib) {
		t.Errorf("SwapMax() = %v, want 4 GiB", got)
	}
	c[1].Max = None()
	c[0].Max = None()
	if got := c.SwapMax(); got != To(5*gib) {
		t.Errorf("SwapMax() without a memory limit = %v, want the sum", got)
	}
}

func TestHugetlbChain(t *testing.T) {
	const mib = 1 << 20
	c := HugetlbChain{
		{Path: "/a/b", Sizes: []HugePages{{PageSize: 2 * mib, Max: To(8 * mib), Usage: 2 * mib}}},
		{Path: "/a", Sizes: []HugePages{{PageSize: 2 * mib, Max: To(10 * mib), Usage: 6 * mib}, {PageSize: 1024 * mib}}},
	}
	p, ok := c.Size(2 * mib)
	if !ok || p.Max != To(8*mib) || p.Usage != 2*mib || p.PageSize != 2*mib {
		t.Errorf("Size(2 MiB) = %+v, %v", p, ok)
	}
	if got := c.Free(2 * mib); got != To(4*mib) {
		t.Errorf("Free(2 MiB) = %v, want 4 MiB: the parent is the tighter", got)
	}
	if p, ok := c.Size(1024 * mib); !ok || p.Max != None() || p.Usage != 0 {
		t.Errorf("Size(1 GiB) = %+v, %v", p, ok)
	}
	if _, ok := c.Size(64 << 10); ok {
		t.Error("Size(64 KiB) is known")
	}
}

func TestLists(t *testing.T) {
	s := MemoryStat{InactiveAnon: 1, ActiveAnon: 2, InactiveFile: 4, ActiveFile: 8, Unevictable: 16, File: 1000}
	if got := s.Lists(); got != 31 {
		t.Errorf("Lists() = %d, want 31", got)
	}
}
