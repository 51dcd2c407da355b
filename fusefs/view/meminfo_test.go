// SPDX-License-Identifier: Apache-2.0

package view

import (
	"bytes"
	"math"
	"testing"

	"github.com/procfs-shim/procfs-shim/cgroupread/limits"
	"github.com/procfs-shim/procfs-shim/fusefs/procfile"
)

// level makes one level of a chain; most is in bytes, −1 being no limit.
func level(most int64, usage uint64, stat limits.MemoryStat) limits.Memory {
	m := limits.Memory{Usage: usage, Stat: stat}
	if most >= 0 {
		m.Max = limits.To(uint64(most))
	}
	return m
}

// plain is a host of 24 GiB that has run for long: 200 MiB are free, and most of
// the rest is page cache.
func plain(tb testing.TB) *procfile.Meminfo {
	tb.Helper()
	return makeHost(tb, "MemTotal", 24<<20, "MemFree", 200<<10, "MemAvailable", 20<<20, "Buffers", 1<<20,
		"Cached", 18<<20, "SwapCached", 7, "Active", 10<<20, "Inactive", 9<<20,
		"Active(anon)", 1<<20, "Inactive(anon)", 1<<20, "Active(file)", 9<<20, "Inactive(file)", 8<<20,
		"Unevictable", 9, "SwapTotal", 4<<20, "SwapFree", 3<<20, "Zswap", 5, "Zswapped", 6, "Dirty", 4, "Writeback", 4,
		"AnonPages", 2<<20, "Mapped", 5, "Shmem", 6, "KReclaimable", 7, "Slab", 9, "SReclaimable", 7, "SUnreclaim", 2,
		"KernelStack", 3, "PageTables", 3, "SecPageTables", 3, "CommitLimit", 1, "Committed_AS", 2,
		"VmallocUsed", 3, "Percpu", 3, "AnonHugePages", 2, "ShmemHugePages", 2, "FileHugePages", 2)
}

func TestMeminfoTotals(t *testing.T) {
	cache := func(n uint64) limits.MemoryStat {
		return limits.MemoryStat{File: n, InactiveFile: n / 2, ActiveFile: n / 2}
	}
	for _, c := range []struct {
		name  string
		host  []any // rows instead of the plain host's
		chain limits.MemoryChain
		p     Policy
		want  []any
	}{{
		// /c  max 256 MiB, nothing used; the host's 200 MiB of free memory don't
		// count, for its page cache can be had.
		name:  "idle container on a host full of page cache",
		chain: limits.MemoryChain{level(256*miB, 0, limits.MemoryStat{})},
		want:  []any{"MemTotal", 256 * miB, "MemFree", 256 * miB, "MemAvailable", 256 * miB, "Cached", 0},
	}, {
		// /c  max 256 MiB, 100 MiB used, 60 of them page cache
		name:  "its own use",
		chain: limits.MemoryChain{level(256*miB, 100*miB, cache(60*miB))},
		want:  []any{"MemTotal", 256 * miB, "MemFree", 156 * miB, "MemAvailable", 216 * miB, "Cached", 60 * miB},
	}, {
		// /pod   max 512 MiB, 500 MiB used, 100 MiB of them page cache
		// ├── c  max 256 MiB, 10 MiB used
		// └── sibling
		name: "a sibling uses what the parent has",
		chain: limits.MemoryChain{
			level(256*miB, 10*miB, limits.MemoryStat{Anon: 10 * miB, ActiveAnon: 10 * miB}),
			level(512*miB, 500*miB, cache(100*miB)),
		},
		want: []any{"MemTotal", 256 * miB, "MemFree", 12 * miB, "MemAvailable", 112 * miB, "AnonPages", 10 * miB},
	}, {
		// /a         max 128 MiB, 50 MiB used
		// └── b      no limit, 50 MiB used
		//     └── c  max 1 GiB, 40 MiB used
		name: "the grandparent's limit is the smallest",
		chain: limits.MemoryChain{
			level(giB, 40*miB, limits.MemoryStat{}),
			level(-1, 50*miB, limits.MemoryStat{}),
			level(128*miB, 50*miB, limits.MemoryStat{}),
		},
		want: []any{"MemTotal", 128 * miB, "MemFree", 78 * miB, "MemAvailable", 78 * miB},
	}, {
		// /docker  no limit, 23 GiB used, page cache of all containers
		// └── c    max 256 MiB
		name:  "an ancestor without limit limits nothing",
		chain: limits.MemoryChain{level(256*miB, 0, limits.MemoryStat{}), level(-1, 23*giB, cache(23*giB))},
		want:  []any{"MemTotal", 256 * miB, "MemFree", 256 * miB, "MemAvailable", 256 * miB},
	}, {
		// /docker  no limit
		// └── c    no limit, 3 GiB used, 2 GiB of them page cache
		name:  "no limit in the chain",
		chain: limits.MemoryChain{level(-1, 3*giB, cache(2*giB)), level(-1, 22*giB, cache(20*giB))},
		want:  []any{"MemTotal", 24 * giB, "MemFree", 20 * giB, "MemAvailable", 20 * giB, "Cached", 2 * giB},
	}, {
		name:  "no limit, and more page cache than MemAvailable leaves room for",
		chain: limits.MemoryChain{level(-1, 19*giB, cache(18*giB))},
		want:  []any{"MemTotal", 24 * giB, "MemFree", 5 * giB, "MemAvailable", 20 * giB, "Cached", 18 * giB},
	}, {
		name:  "limit above the host's memory",
		chain: limits.MemoryChain{level(1<<62, giB, limits.MemoryStat{}), level(math.MaxInt64, giB, limits.MemoryStat{})},
		want:  []any{"MemTotal", 24 * giB, "MemFree", 20 * giB, "MemAvailable", 20 * giB},
	}, {
		name:  "a host that runs out of memory",
		host:  []any{"MemTotal", 24 << 20, "MemFree", 60 << 10, "MemAvailable", 50 << 10, "Cached", 0},
		chain: limits.MemoryChain{level(256*miB, 16*miB, limits.MemoryStat{})},
		want:  []any{"MemTotal", 256 * miB, "MemFree", 50 * miB, "MemAvailable", 50 * miB},
	}, {
		name:  "a host without MemAvailable",
		host:  []any{"MemTotal", 24 << 20, "MemFree", 60 << 10, "Cached", 0},
		chain: limits.MemoryChain{level(256*miB, 16*miB, limits.MemoryStat{})},
		want:  []any{"MemTotal", 256 * miB, "MemFree", 60 * miB},
	}, {
		name:  "limit 0 is a page",
		chain: limits.MemoryChain{level(0, 3*miB, cache(3*miB))},
		want:  []any{"MemTotal", 4096, "MemFree", 0, "MemAvailable", 0, "Cached", 4096},
	}, {
		name:  "limit 0 of an ancestor",
		chain: limits.MemoryChain{level(giB, 0, limits.MemoryStat{}), level(0, 0, limits.MemoryStat{})},
		want:  []any{"MemTotal", 4096, "MemFree", 0, "MemAvailable", 0},
	}, {
		// The lists say 138 MiB, usage still 100.
		name: "usage lags the lists",
		chain: limits.MemoryChain{level(256*miB, 100*miB, limits.MemoryStat{
			Anon: 38 * miB, ActiveAnon: 38 * miB, File: 100 * miB, InactiveFile: 100 * miB,
		})},
		want: []any{"MemFree", 118 * miB, "MemAvailable", 218 * miB, "Cached", 100 * miB, "AnonPages", 38 * miB},
	}, {
		// Likewise with pages on a list that are no part of another row.
		name:  "usage lags the lists alone",
		chain: limits.MemoryChain{level(256*miB, 100*miB, limits.MemoryStat{ActiveAnon: 38 * miB, InactiveFile: 100 * miB})},
		want:  []any{"MemFree", 118 * miB, "MemAvailable", 218 * miB, "Active(anon)", 38 * miB, "Inactive(file)", 100 * miB},
	}, {
		// Likewise with parts that are on no list.
		name:  "usage lags what isn't on a list",
		chain: limits.MemoryChain{level(256*miB, 10*miB, limits.MemoryStat{SlabUnreclaimable: 20 * miB, PageTables: 10 * miB})},
		want:  []any{"MemFree", 226 * miB, "SUnreclaim", 20 * miB, "PageTables", 10 * miB},
	}, {
		// A parent's files lag, too: its lists say 500 MiB.
		name:  "a parent's usage lags its lists",
		chain: limits.MemoryChain{level(-1, 0, limits.MemoryStat{}), level(512*miB, 400*miB, cache(500*miB))},
		want:  []any{"MemTotal", 512 * miB, "MemFree", 12 * miB, "MemAvailable", 512 * miB},
	}, {
		// The page cache that exceeds the limit is on its way out, and isn't
		// available twice: 90 + 40 − 100.
		name:  "usage above the limit",
		chain: limits.MemoryChain{level(90*miB, 100*miB, limits.MemoryStat{Anon: 60 * miB, File: 40 * miB, InactiveFile: 40 * miB, ActiveAnon: 60 * miB})},
		want: []any{
			"MemTotal", 90 * miB, "MemFree", 0, "MemAvailable", 30 * miB, "AnonPages", 60 * miB,
			"Cached", 30 * miB, "Inactive(file)", 30 * miB, "Active(anon)", 60 * miB,
		},
	}, {
		name:  "memory.high counts for MemAvailable",
		chain: limits.MemoryChain{{Max: limits.To(256 * miB), High: limits.To(128 * miB), Usage: 28 * miB}},
		want:  []any{"MemTotal", 256 * miB, "MemFree", 228 * miB, "MemAvailable", 100 * miB},
	}, {
		name: "memory.high of an ancestor",
		chain: limits.MemoryChain{
			{Max: limits.To(256 * miB), Usage: 28 * miB},
			{High: limits.To(128 * miB), Usage: 100 * miB, Stat: cache(10 * miB)},
		},
		want: []any{"MemTotal", 256 * miB, "MemFree", 228 * miB, "MemAvailable", 38 * miB},
	}, {
		name:  "memory.high as a limit, by policy",
		chain: limits.MemoryChain{{Max: limits.To(256 * miB), High: limits.To(128 * miB), Usage: 28 * miB}},
		p:     Policy{MemoryHigh: true},
		want:  []any{"MemTotal", 128 * miB, "MemFree", 100 * miB, "MemAvailable", 100 * miB},
	}, {
		name:  "memory.high alone, by policy, and more is used",
		chain: limits.MemoryChain{{High: limits.To(128 * miB), Usage: 150 * miB, Stat: cache(150 * miB)}},
		p:     Policy{MemoryHigh: true},
		want:  []any{"MemTotal", 128 * miB, "MemFree", 0, "MemAvailable", 128 * miB, "Cached", 128 * miB},
	}, {
		name:  "memory.high above memory.max",
		chain: limits.MemoryChain{{Max: limits.To(256 * miB), High: limits.To(giB), Usage: 56 * miB}},
		want:  []any{"MemTotal", 256 * miB, "MemFree", 200 * miB, "MemAvailable", 200 * miB},
	}, {
		name:  "numbers are rounded down to kB",
		chain: limits.MemoryChain{level(256*miB+1023, 1, limits.MemoryStat{File: 5000})},
		want:  []any{"MemTotal", 256 * miB, "MemFree", 256*miB - 5*kB, "Cached", 4096},
	}} {
		t.Run(c.name, func(t *testing.T) {
			host := plain(t)
			if c.host != nil {
				host = makeHost(t, c.host...)
			}
			expect(t, Meminfo(host, ratio50(), c.chain, nil, c.p), c.want...)
		})
	}
}

// Every key of memory.stat has its rows. All numbers differ, and their sum fits.
func TestMeminfoRows(t *testing.T) {
	stat := limits.MemoryStat{
		Anon: 40 * miB, File: 50 * miB, Shmem: 11 * miB, FileMapped: 12 * miB, FileDirty: 3 * miB, FileWriteback: 2 * miB,
		AnonTHP: 14 * miB, FileTHP: 4 * miB, ShmemTHP: 6 * miB,
		InactiveAnon: 21 * miB, ActiveAnon: 30 * miB, InactiveFile: 22 * miB, ActiveFile: 16 * miB, Unevictable: miB,
		Slab: 17 * miB, SlabReclaimable: 10 * miB, SlabUnreclaimable: 7 * miB,
		KernelStack: 128 * kB, PageTables: 256 * kB, SecPageTables: 64 * kB, Percpu: 32 * kB, Vmalloc: 512 * kB,
		Zswap: 768 * kB, Zswapped: 1536 * kB, SwapCached: 384 * kB,
	}
	chain := limits.MemoryChain{{Max: limits.To(256 * miB), SwapMax: limits.To(64 * miB), Usage: 120 * miB, SwapUsage: 5 * miB, Stat: stat}}
	got := Meminfo(plain(t), ratio50(), chain, nil, Policy{})
	expect(t, got,
		"MemTotal", 256*miB, "MemFree", 136*miB, "MemAvailable", (136+22+16+10)*miB,
		"Buffers", 0, "Cached", 50*miB, "SwapCached", 384*kB,
		"Active", 46*miB, "Inactive", 43*miB, "Active(anon)", 30*miB, "Inactive(anon)", 21*miB,
		"Active(file)", 16*miB, "Inactive(file)", 22*miB, "Unevictable", miB,
		"SwapTotal", 64*miB, "SwapFree", 59*miB, "Zswap", 768*kB, "Zswapped", 1536*kB,
		"Dirty", 3*miB, "Writeback", 2*miB, "AnonPages", 40*miB, "Mapped", 12*miB, "Shmem", 11*miB,
		"KReclaimable", 10*miB, "Slab", 17*miB, "SReclaimable", 10*miB, "SUnreclaim", 7*miB,
		"KernelStack", 128*kB, "PageTables", 256*kB, "SecPageTables", 64*kB, "VmallocUsed", 512*kB, "Percpu", 32*kB,
		"AnonHugePages", 14*miB, "ShmemHugePages", 6*miB, "FileHugePages", 4*miB,
		"CommitLimit", (128+64)*miB, "Committed_AS", (40+11+5)*miB)
}

// What memory.stat doesn't have, as on v1, is 0 and never the host's.
func TestMeminfoMissingKeysAreZero(t *testing.T) {
	got := Meminfo(plain(t), ratio50(), limits.MemoryChain{level(256*miB, miB, limits.MemoryStat{})}, nil, Policy{})
	for i := range got.Len() {
		switch name := got.Name(i); name {
		case "MemTotal", "MemFree", "MemAvailable", "SwapTotal", "SwapFree", "CommitLimit":
		default:
			if got.Value(i) != 0 {
				t.Errorf("%s = %d", name, got.Value(i))
			}
		}
	}
}

func TestMeminfoOtherRows(t *testing.T) {
	host := makeHost(t, "MemTotal", 1<<20, "Mlocked", 1, "HighTotal", 2, "NFS_Unstable", 3, "Bounce", 4, "WritebackTmp", 5,
		"VmallocTotal", 6, "VmallocChunk", 7, "HardwareCorrupted", 8, "ShmemPmdMapped", 9, "FilePmdMapped", 10,
		"CmaTotal", 11, "CmaFree", 12, "Unaccepted", 13, "Balloon", 14, "HugePages_Total", 15, "Hugepagesize", 2048,
		"Hugetlb", 30720, "DirectMap4k", 16, "DirectMap2M", 17, "DirectMap1G", 18, "NewRow", 19)
	got := Meminfo(host, ratio50(), limits.MemoryChain{level(giB, 0, limits.MemoryStat{})}, nil, Policy{})
	expect(t, got, "Mlocked", 0, "NFS_Unstable", 0, "Bounce", 0, "WritebackTmp", 0, "HardwareCorrupted", 0,
		"ShmemPmdMapped", 0, "FilePmdMapped", 0, "CmaTotal", 0, "CmaFree", 0,
		"DirectMap4k", 0, "DirectMap2M", 0, "DirectMap1G", 0,
		"HighTotal", 2*kB, "VmallocTotal", 6*kB, "VmallocChunk", 7*kB, "Unaccepted", 13*kB, "Balloon", 14*kB,
		"HugePages_Total", 15, "Hugepagesize", 2*miB, "Hugetlb", 30*miB, "NewRow", 19*kB)
}

func TestMeminfoEmptyChainIsTheHosts(t *testing.T) {
	for _, name := range []string{"debian12-linux6.18-x86_64", "synthetic-x86_64-4tib-hugepages", "synthetic-unknown-rows"} {
		host := hostMeminfo(t, name)
		got := Meminfo(host, ratio50(), nil, nil, Policy{Swap: SwapNone, MemoryHigh: true})
		if !bytes.Equal(got.Append(nil), host.Append(nil)) {
			t.Errorf("%s: got\n%s", name, got.Append(nil))
		}
		got.Set("MemTotal", 0)
		if get(t, host, "MemTotal") == 0 {
			t.Errorf("%s: the view shares the host's rows", name)
		}
	}
}
