// SPDX-License-Identifier: Apache-2.0

package view

import (
	"math"
	"testing"

	"github.com/procfs-shim/procfs-shim/cgroupread/limits"
)

// The host has 4 GiB of swap, 3 GiB of them free.
func TestMeminfoSwap(t *testing.T) {
	v2 := func(most limits.Limit, used uint64) limits.Memory {
		return limits.Memory{SwapMax: most, SwapUsage: used, Stat: limits.MemoryStat{SwapCached: 8 * miB, Zswapped: 16 * miB, Zswap: miB}}
	}
	v1 := func(memory, swap limits.Limit, used uint64) limits.Memory {
		m := limits.Memory{Max: memory, SwapMax: swap, SwapUsage: used}
		if n, ok := swap.Value(); ok {
			m.MemorySwapMax = memory.Plus(n)
		}
		return m
	}
	for _, c := range []struct {
		name        string
		chain       limits.MemoryChain
		p           Policy
		total, free uint64
		more        []any
	}{
		{"no limit", limits.MemoryChain{v2(limits.None(), 0)}, Policy{}, 4 * giB, 3 * giB, nil},
		{"no limit, in use", limits.MemoryChain{v2(limits.None(), 2*giB)}, Policy{}, 4 * giB, 2 * giB, []any{"SwapCached", 8 * miB, "Zswapped", 16 * miB}},
		{"limit", limits.MemoryChain{v2(limits.To(giB), 256*miB)}, Policy{}, giB, giB - 256*miB, nil},
		{"limit 0", limits.MemoryChain{v2(limits.To(0), 0)}, Policy{}, 0, 0, []any{"SwapCached", 0, "Zswapped", 0}},
		{"less than is used", limits.MemoryChain{v2(limits.To(miB), 10*miB)}, Policy{}, 10 * miB, 0, []any{"SwapCached", 8 * miB, "Zswapped", 10 * miB}},
		{"above the host's", limits.MemoryChain{v2(limits.To(64*giB), giB)}, Policy{}, 4 * giB, 3 * giB, nil},
		{"the host's free swap is less", limits.MemoryChain{v2(limits.To(7*giB/2), 0)}, Policy{}, 7 * giB / 2, 3 * giB, nil},
		{"more used than the host has", limits.MemoryChain{v2(limits.None(), 9*giB)}, Policy{}, 4 * giB, 0, nil},
		// /pod   swap.max 1 GiB, 900 MiB used
		// └── c  no limit, 100 MiB used
		{"an ancestor's limit", limits.MemoryChain{v2(limits.None(), 100*miB), v2(limits.To(giB), 900*miB)}, Policy{}, giB, 124 * miB, nil},
		{
			"by policy none",
			limits.MemoryChain{v2(limits.To(giB), 256*miB)},
			Policy{Swap: SwapNone},
			0, 0,
			[]any{"SwapCached", 0, "Zswapped", 0, "Zswap", miB, "Committed_AS", 256 * miB},
		},
		// /pod   256 MiB, 1 GiB with swap
		{"v1", limits.MemoryChain{v1(limits.To(256*miB), limits.To(768*miB), 100*miB)}, Policy{}, 768 * miB, 668 * miB, nil},
		// /pod   memory 4 GiB, with swap 5 GiB
		// └── c  memory 2 GiB, with swap unlimited: 3 GiB of swap are left
		{"v1, the sum limits", limits.MemoryChain{
			v1(limits.To(2*giB), limits.None(), 0), v1(limits.To(4*giB), limits.To(giB), 0),
		}, Policy{}, 3 * giB, 3 * giB, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := Meminfo(plain(t), ratio50(), c.chain, nil, c.p)
			expect(t, got, "SwapTotal", c.total, "SwapFree", c.free)
			expect(t, got, c.more...)
		})
	}
}

// The host has 100 pages of 2 MiB, 60 of them free, 8 reserved, and 1 GiB in
// pages of other sizes.
func TestMeminfoHugetlb(t *testing.T) {
	host := makeHost(t, "MemTotal", 24<<20, "HugePages_Total", 100, "HugePages_Free", 60, "HugePages_Rsvd", 8,
		"HugePages_Surp", 3, "Hugepagesize", 2048, "Hugetlb", (200+1024)<<10, "CommitLimit", 0)
	const page2M = 2 * miB
	huge := func(most limits.Limit, used, reserved uint64) limits.Hugetlb {
		return limits.Hugetlb{Sizes: []limits.HugePages{{PageSize: page2M, Max: most, Usage: used * page2M, ReservedUsage: reserved * page2M}}}
	}
	withOthers := func(h limits.Hugetlb, most limits.Limit) limits.Hugetlb {
		h.Sizes = append(h.Sizes, limits.HugePages{PageSize: giB, Max: most})
		return h
	}
	for _, c := range []struct {
		name                                 string
		chain                                limits.HugetlbChain
		total, free, reserved, surplus, sums uint64
	}{
		{"no controller", nil, 100, 60, 8, 3, 1224 * miB},
		{"no limit", limits.HugetlbChain{huge(limits.None(), 0, 0)}, 100, 60, 0, 0, 1224 * miB},
		{"limit", limits.HugetlbChain{huge(limits.To(20*page2M), 5, 9)}, 20, 15, 4, 0, (40 + 1024) * miB},
		{"limit 0, and of all sizes", limits.HugetlbChain{withOthers(huge(limits.To(0), 0, 0), limits.To(0))}, 0, 0, 0, 0, 0},
		{"limit of the other size", limits.HugetlbChain{withOthers(huge(limits.To(20*page2M), 0, 0), limits.To(512*miB))}, 20, 20, 0, 0, 40 * miB},
		{"more used than the limit", limits.HugetlbChain{huge(limits.To(page2M), 3, 3)}, 3, 0, 0, 0, (6 + 1024) * miB},
		{"limit no multiple of a page", limits.HugetlbChain{huge(limits.To(5*page2M-1), 0, 0)}, 4, 4, 0, 0, (8 + 1024) * miB},
		// /pod   20 pages, 18 used
		// └── c  no limit, 1 used
		{"an ancestor's limit", limits.HugetlbChain{huge(limits.None(), 1, 1), huge(limits.To(20*page2M), 18, 18)}, 20, 2, 0, 0, (40 + 1024) * miB},
		{"largest numbers", limits.HugetlbChain{withOthers(huge(limits.To(math.MaxUint64), math.MaxUint64/page2M, 0), limits.To(math.MaxUint64))}, 100, 0, 0, 0, 1224 * miB},
		{"another size only", limits.HugetlbChain{{Sizes: []limits.HugePages{{PageSize: giB}}}}, 100, 60, 8, 3, 1224 * miB},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := Meminfo(host, ratio50(), limits.MemoryChain{level(4*giB, 0, limits.MemoryStat{})}, c.chain, Policy{})
			expect(t, got, "HugePages_Total", c.total, "HugePages_Free", c.free, "HugePages_Rsvd", c.reserved,
				"HugePages_Surp", c.surplus, "Hugetlb", c.sums, "Hugepagesize", 2*miB, "CommitLimit", (4*giB-c.sums)/2)
		})
	}
}

func TestMeminfoCommitLimit(t *testing.T) {
	for _, c := range []struct {
		name string
		oc   Overcommit
		max  int64
		want uint64 // less the swap, 64 MiB
	}{
		{"half", Overcommit{Ratio: 50}, 256 * miB, 128 * miB},
		{"ratio 0", Overcommit{}, 256 * miB, 0},
		{"above 100", Overcommit{Ratio: 150}, 256 * miB, 384 * miB},
		{"whole pages, as the kernel counts", Overcommit{Ratio: 50}, 5 * page, 2 * page},
		{"kbytes", Overcommit{Ratio: 50, KBytes: 1024}, 256 * miB, miB},
		{"kbytes above the total", Overcommit{KBytes: math.MaxUint64}, 256 * miB, 256 * miB},
		{"largest ratio", Overcommit{Ratio: math.MaxUint64}, 256 * miB, math.MaxUint64/kB*kB - 64*miB},
	} {
		chain := limits.MemoryChain{{Max: limits.To(uint64(c.max)), SwapMax: limits.To(64 * miB)}}
		got := get(t, Meminfo(plain(t), c.oc, chain, nil, Policy{}), "CommitLimit")
		if got != c.want+64*miB {
			t.Errorf("%s: %d, want %d", c.name, got, c.want+64*miB)
		}
	}
}

// The kernel's own CommitLimit comes out of the host's numbers; its
// vm.overcommit_ratio was 50.
func TestCommitLimitIsTheKernels(t *testing.T) {
	host := hostMeminfo(t, "debian12-linux6.18-x86_64")
	want := get(t, host, "CommitLimit")
	got := Meminfo(host, ratio50(), limits.MemoryChain{level(-1, 0, limits.MemoryStat{})}, nil, Policy{})
	if v := get(t, got, "CommitLimit"); v != want {
		t.Errorf("%d, the kernel says %d", v, want)
	}
}
