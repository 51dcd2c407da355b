// SPDX-License-Identifier: Apache-2.0

package view

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/procfs-shim/procfs-shim/cgroupread/cpulist"
	"github.com/procfs-shim/procfs-shim/cgroupread/limits"
	"github.com/procfs-shim/procfs-shim/fusefs/procfile"
)

func set(tb testing.TB, list string) cpulist.Set {
	tb.Helper()
	s, err := cpulist.Parse(list)
	if err != nil {
		tb.Fatal(err)
	}
	return s
}

// chainOf makes a CPU chain from quotas in percent of a CPU, the container's
// first; 0 is none. cpuset "-" means that there is no cpuset controller.
func chainOf(tb testing.TB, cpuset string, percent ...int) (c limits.CPUChain) {
	tb.Helper()
	for _, p := range percent {
		const period = 100 * time.Millisecond
		c.Levels = append(c.Levels, limits.CPU{Quota: limits.Quota{Quota: period * time.Duration(p) / 100, Period: period}})
	}
	if cpuset != "-" {
		c.Effective, c.HaveEffective = set(tb, cpuset), true
	}
	return c
}

// The quotas are drawn as in
//
//	/pod             quota of the last level
//	└── container    quota of the first level, effective cpuset
func TestVisibleCPUs(t *testing.T) {
	for _, c := range []struct {
		name    string
		online  string
		cpuset  string
		percent []int
		policy  Policy
		want    string
	}{
		{"nothing limits", "0-7", "0-7", nil, Policy{}, "0-7"},
		{"no controllers", "0-7", "-", nil, Policy{}, "0-7"},
		{"no quota at any level", "0-7", "0-7", []int{0, 0}, Policy{}, "0-7"},
		{"quota of one CPU", "0-7", "0-7", []int{100}, Policy{}, "0"},
		{"quota rounds up", "0-7", "0-7", []int{101}, Policy{}, "0-1"},
		{"one and a half", "0-7", "0-7", []int{150}, Policy{}, "0-1"},
		{"less than a CPU", "0-7", "0-7", []int{1}, Policy{}, "0"},
		{"quota above the machine", "0-1", "0-1", []int{800}, Policy{}, "0-1"},
		{"the parent's quota is smaller", "0-7", "0-7", []int{400, 200}, Policy{}, "0-1"},
		{"the container's quota is smaller", "0-7", "0-7", []int{200, 0, 400}, Policy{}, "0-1"},
		{"cpuset", "0-7", "2-3,6", nil, Policy{}, "2-3,6"},
		{"quota of two within a cpuset", "0-7", "2,4,6", []int{200}, Policy{}, "2,4"},
		{"cpuset smaller than the quota", "0-7", "5", []int{400}, Policy{}, "5"},
		{"a CPU of the cpuset is offline", "0-2,4-7", "3-5", []int{200}, Policy{}, "4-5"},
		{"the whole cpuset is offline", "0-2", "3", []int{200}, Policy{}, "0-1"},
		{"empty effective cpuset", "0-2", "", []int{0}, Policy{}, "0-2"},
		{"cpuset without quota", "0-7", "2,4,6", []int{100}, Policy{CPUView: CPUViewCPUSet}, "2,4,6"},
		{"host", "0-7", "2", []int{100}, Policy{CPUView: CPUViewHost}, "0-7"},
		{"numbering changes no set", "0-7", "2,4,6", []int{200}, Policy{Numbering: NumberingContiguous}, "2,4"},
		{"large ids", "0-2047", "1023-1026,2000", []int{300}, Policy{}, "1023-1025"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := VisibleCPUs(set(t, c.online), chainOf(t, c.cpuset, c.percent...), c.policy)
			if got.String() != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
		})
	}
}

func TestVisibleCPUsInvariants(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	randomSet := func() (s cpulist.Set) {
		for range rnd.IntN(12) {
			lo := rnd.IntN(130)
			s = s.Union(cpulist.Range(lo, lo+rnd.IntN(20)))
		}
		return s
	}
	for i := range 2000 {
		online := randomSet().Union(cpulist.Of(0))
		chain := limits.CPUChain{Effective: randomSet(), HaveEffective: rnd.IntN(4) > 0}
		for range rnd.IntN(4) {
			chain.Levels = append(chain.Levels, limits.CPU{Quota: limits.Quota{
				Quota: time.Duration(rnd.Int64N(int64(time.Second))), Period: time.Duration(rnd.Int64N(int64(time.Second))),
			}})
		}
		byQuota := VisibleCPUs(online, chain, Policy{})
		byCPUSet := VisibleCPUs(online, chain, Policy{CPUView: CPUViewCPUSet})
		in := fmt.Sprintf("case %d: online %s, chain %v", i, online, chain)
		if byQuota.IsEmpty() || byCPUSet.IsEmpty() {
			t.Fatalf("%s: no CPU is visible", in)
		}
		if !byQuota.Minus(byCPUSet).IsEmpty() || !byCPUSet.Minus(online).IsEmpty() {
			t.Fatalf("%s: %s isn't within %s", in, byQuota, byCPUSet)
		}
		if !byQuota.Equal(byCPUSet.First(byQuota.Len())) {
			t.Fatalf("%s: %s aren't the first of %s", in, byQuota, byCPUSet)
		}
		if usable := chain.Effective.Intersect(online); chain.HaveEffective && !usable.IsEmpty() && !usable.Equal(byCPUSet) {
			t.Fatalf("%s: %s, though %s are usable", in, byCPUSet, usable)
		}
		tighter := chain
		tighter.Levels = append(tighter.Levels[:len(tighter.Levels):len(tighter.Levels)],
			limits.CPU{Quota: limits.Quota{Quota: time.Duration(1 + rnd.Int64N(int64(time.Second))), Period: time.Second / 4}})
		if VisibleCPUs(online, tighter, Policy{}).Len() > byQuota.Len() {
			t.Fatalf("%s: one more limit shows more CPUs", in)
		}
	}
}

func TestCPUInfoGolden(t *testing.T) {
	for _, c := range []struct {
		name    string
		host    string
		visible string
		policy  Policy
	}{
		{"x86-one-of-two", "debian12-linux6.18-x86_64-2cpu", "1", Policy{}},
		{"x86-one-of-two-contiguous", "debian12-linux6.18-x86_64-2cpu", "1", Policy{Numbering: NumberingContiguous}},
		// CPUs 1, 2 and 10 are in package 0, and 2 and 10 are one core; of
		// package 1 all CPUs are visible, and it keeps the kernel's numbers.
		{"x86-packages", "synthetic-x86_64-2socket-smt-16cpu", "1-2,4-7,10,12-15", Policy{}},
		{"arm64-two-of-four", "synthetic-arm64-4cpu", "1,3", Policy{}},
		{"arm64-tail", "synthetic-arm64-tail-2cpu", "0", Policy{}},
		{"arm32-tail", "synthetic-arm32-4cpu", "0-1", Policy{}},
		{"arm32-head-and-tail", "synthetic-arm32-head-2cpu", "1", Policy{Numbering: NumberingContiguous}},
		{"s390x-three-of-four", "synthetic-s390x-4cpu", "1-3", Policy{}},
		{"s390x-contiguous", "synthetic-s390x-4cpu", "2-3", Policy{Numbering: NumberingContiguous}},
		{"s390x-old", "synthetic-s390x-old-2cpu", "1", Policy{}},
		{"ppc64-tail", "synthetic-ppc64-2cpu", "4", Policy{}},
		{"mips-head", "synthetic-mips-2cpu", "1", Policy{}},
		{"riscv", "synthetic-riscv64-4cpu", "0,2", Policy{Numbering: NumberingContiguous}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := CPUInfo(hostCPUInfo(t, c.host), set(t, c.visible), c.policy)
			golden(t, "cpuinfo-"+c.name+".txt", got.Append(nil))
		})
	}
}

func TestCPUInfoAllVisibleIsTheHosts(t *testing.T) {
	for _, name := range []string{
		"debian12-linux6.18-x86_64-2cpu", "synthetic-x86_64-2socket-smt-16cpu", "synthetic-x86_64-uniprocessor",
		"synthetic-arm64-4cpu", "synthetic-arm32-head-2cpu", "synthetic-s390x-4cpu", "synthetic-s390x-old-2cpu",
		"synthetic-mips-2cpu", "synthetic-riscv64-4cpu",
	} {
		host := hostCPUInfo(t, name)
		for _, p := range []Policy{{}, {Numbering: NumberingContiguous}} {
			got := CPUInfo(host, cpulist.Range(0, 63), p).Append(nil)
			if want := host.Append(nil); !bytes.Equal(got, want) {
				t.Errorf("%s: got\n%s", name, got)
			}
		}
	}
}

// Every CPU of a package that numbers its cores per die is visible: "cpu cores"
// stays 4, though there are only two distinct ids.
func TestCPUInfoKeepsTheKernelsNumbersOfWholePackages(t *testing.T) {
	var text strings.Builder
	for cpu := range 5 {
		siblings, cores := 4, 4
		if cpu == 4 {
			siblings, cores = 1, 1
		}
		fmt.Fprintf(&text, "processor\t: %d\nphysical id\t: %d\nsiblings\t: %d\ncore id\t\t: %d\ncpu cores\t: %d\n\n",
			cpu, cpu/4, siblings, cpu%2, cores)
	}
	host, err := procfile.ParseCPUInfo([]byte(text.String()))
	if err != nil {
		t.Fatal(err)
	}
	got := CPUInfo(host, cpulist.Range(0, 3), Policy{})
	want, _, _ := strings.Cut(text.String(), "processor\t: 4")
	if s := string(got.Append(nil)); s != want {
		t.Errorf("got\n%s", s)
	}
}

func TestCPUInfoIsNeverEmpty(t *testing.T) {
	for name, want := range map[string]int{
		"debian12-linux6.18-x86_64-2cpu": 2,
		"synthetic-arm64-4cpu":           3,
		"synthetic-s390x-4cpu":           6, // two blocks of three CPUs
	} {
		got := CPUInfo(hostCPUInfo(t, name), cpulist.Of(60, 61, 62), Policy{})
		if len(got.Blocks) != want {
			t.Errorf("%s: %d blocks, want %d", name, len(got.Blocks), want)
		}
		if got := CPUInfo(hostCPUInfo(t, name), cpulist.Set{}, Policy{}); len(got.Blocks) == 0 {
			t.Errorf("%s: no block for an empty set", name)
		}
	}
}

func TestCPUInfoInvariants(t *testing.T) {
	host := hostCPUInfo(t, "synthetic-x86_64-2socket-smt-16cpu")
	whole := string(host.Append(nil))
	rnd := rand.New(rand.NewPCG(3, 4))
	var reused procfile.CPUInfo
	for i := range 500 {
		var visible cpulist.Set
		for visible.IsEmpty() {
			visible = cpulist.Set{}
			for cpu := range 16 {
				if rnd.IntN(3) == 0 {
					visible = visible.Union(cpulist.Of(cpu))
				}
			}
		}
		p := Policy{Numbering: Numbering(rnd.IntN(2))}
		text := CPUInfo(host, visible, p).Append(nil)
		CPUInfoInto(&reused, host, visible, p)
		if again := reused.Append(nil); !bytes.Equal(text, again) {
			t.Fatalf("case %d: a reused value gives\n%s\nand a new one\n%s", i, again, text)
		}
		got, err := procfile.ParseCPUInfo(text)
		if err != nil {
			t.Fatal(err)
		}
		var ids []int
		members, cores := map[string]int{}, map[string]map[string]bool{}
		for j := range got.Blocks {
			b := &got.Blocks[j]
			ids = append(ids, b.CPU)
			pkg, _ := b.Get(procfile.PhysicalID)
			core, _ := b.Get(procfile.CoreID)
			members[pkg]++
			if cores[pkg] == nil {
				cores[pkg] = map[string]bool{}
			}
			cores[pkg][core] = true
		}
		want := visible
		if p.Numbering == NumberingContiguous {
			want = cpulist.Range(0, visible.Len()-1)
		}
		if fmt.Sprint(ids) != fmt.Sprint(want.IDs()) {
			t.Fatalf("case %d: CPUs %v, want %s", i, ids, want)
		}
		for j := range got.Blocks {
			b := &got.Blocks[j]
			pkg, _ := b.Get(procfile.PhysicalID)
			siblings, _ := b.Number(procfile.Siblings)
			n, _ := b.Number(procfile.CPUCores)
			if siblings != members[pkg] || n != len(cores[pkg]) {
				t.Fatalf("case %d, visible %s, CPU %d: siblings %d, cpu cores %d; shown are %d CPUs of %d cores",
					i, visible, b.CPU, siblings, n, members[pkg], len(cores[pkg]))
			}
		}
	}
	if string(host.Append(nil)) != whole {
		t.Error("the host's value was changed")
	}
}

func TestCPUInfoAllocatesNothingWarm(t *testing.T) {
	host := hostCPUInfo(t, "synthetic-x86_64-2socket-smt-16cpu")
	visible := cpulist.Of(1, 2, 10)
	var dst procfile.CPUInfo
	var buf []byte
	round := func() {
		CPUInfoInto(&dst, host, visible, Policy{Numbering: NumberingContiguous})
		buf = dst.Append(buf[:0])
	}
	round()
	if n := testing.AllocsPerRun(100, round); n != 0 {
		t.Errorf("%v allocations per view", n)
	}
}

func BenchmarkCPUInfo(b *testing.B) {
	var dst procfile.CPUInfo
	var buf []byte
	for _, name := range []string{"debian12-linux6.18-x86_64-2cpu", "synthetic-x86_64-2socket-smt-16cpu"} {
		host := hostCPUInfo(b, name)
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				CPUInfoInto(&dst, host, cpulist.Of(1), Policy{})
				buf = dst.Append(buf[:0])
			}
		})
	}
}
