// SPDX-License-Identifier: Apache-2.0

package view

import (
	"bytes"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/procfs-shim/procfs-shim/cgroupread/limits"
	"github.com/procfs-shim/procfs-shim/fusefs/procfile"
)

// A world is one random input: consistent cgroups, lagging ones, and nonsense.
type world struct {
	host  *procfile.Meminfo
	oc    Overcommit
	chain limits.MemoryChain
	huge  limits.HugetlbChain
	p     Policy
}

// amount is a random number of bytes, most often below n, at times at or far
// above any sense.
func amount(rnd *rand.Rand, n uint64) uint64 {
	switch rnd.IntN(12) {
	case 0:
		return 0
	case 1:
		return n
	case 2:
		return rnd.Uint64()
	case 3:
		return math.MaxUint64 - rnd.Uint64N(3)
	case 4:
		return 1<<63 - rnd.Uint64N(2)
	default:
		return rnd.Uint64N(n + 1)
	}
}

func randomLimit(rnd *rand.Rand, n uint64) limits.Limit {
	if rnd.IntN(3) == 0 {
		return limits.None()
	}
	return limits.To(amount(rnd, n))
}

func randomStat(rnd *rand.Rand, n uint64) (s limits.MemoryStat) {
	for _, p := range []*uint64{
		&s.Anon, &s.File, &s.Shmem, &s.FileMapped, &s.FileDirty, &s.FileWriteback, &s.AnonTHP, &s.FileTHP, &s.ShmemTHP,
		&s.InactiveAnon, &s.ActiveAnon, &s.InactiveFile, &s.ActiveFile, &s.Unevictable, &s.Slab, &s.SlabReclaimable,
		&s.SlabUnreclaimable, &s.KernelStack, &s.PageTables, &s.SecPageTables, &s.Percpu, &s.Vmalloc, &s.Zswap,
		&s.Zswapped, &s.SwapCached,
	} {
		if rnd.IntN(4) > 0 { // v1 lacks keys
			*p = amount(rnd, n)
		}
	}
	return s
}

func randomWorld(tb testing.TB, rnd *rand.Rand) (w world) {
	tb.Helper()
	total := 1<<14 + rnd.Uint64N(1<<32) // kB
	swap := rnd.Uint64N(1 << 30)
	pages := rnd.Uint64N(1000)
	rows := []any{"MemTotal", total, "MemFree", rnd.Uint64N(total), "MemAvailable", rnd.Uint64N(total)}
	for _, name := range []string{
		"Buffers", "Cached", "SwapCached", "Active", "Inactive", "Active(anon)", "Inactive(anon)",
		"Active(file)", "Inactive(file)", "Unevictable", "Mlocked",
	} {
		rows = append(rows, name, rnd.Uint64N(total))
	}
	rows = append(rows, "SwapTotal", swap, "SwapFree", rnd.Uint64N(swap+1))
	for _, name := range []string{
		"Zswap", "Zswapped", "Dirty", "Writeback", "AnonPages", "Mapped", "Shmem", "KReclaimable",
		"Slab", "SReclaimable", "SUnreclaim", "KernelStack", "PageTables", "SecPageTables", "CommitLimit", "Committed_AS",
		"VmallocTotal", "VmallocUsed", "Percpu", "AnonHugePages", "ShmemHugePages", "FileHugePages", "Unaccepted",
	} {
		rows = append(rows, name, rnd.Uint64N(total))
	}
	rows = append(rows, "HugePages_Total", pages, "HugePages_Free", rnd.Uint64N(pages+1), "HugePages_Rsvd", rnd.Uint64N(pages+1),
		"HugePages_Surp", rnd.Uint64N(pages+1), "Hugepagesize", 2048, "Hugetlb", pages*2048+rnd.Uint64N(1<<20),
		"DirectMap1G", total)
	w.host = makeHost(tb, rows...)
	w.oc = Overcommit{Ratio: rnd.Uint64N(200), KBytes: rnd.Uint64N(2) * rnd.Uint64N(total)}
	w.p = Policy{MemoryHigh: rnd.IntN(2) == 0, Swap: Swap(rnd.IntN(2))}
	for range 1 + rnd.IntN(4) {
		scale := uint64(1) << (10 + rnd.IntN(34))
		v1 := limits.None()
		if rnd.IntN(3) == 0 {
			v1 = randomLimit(rnd, scale)
		}
		w.chain = append(w.chain, limits.Memory{
			Max: randomLimit(rnd, scale), High: randomLimit(rnd, scale), SwapMax: randomLimit(rnd, scale), MemorySwapMax: v1,
			Usage: amount(rnd, scale), SwapUsage: amount(rnd, swap*kB), Stat: randomStat(rnd, scale/8),
		})
		if rnd.IntN(2) == 0 {
			w.huge = append(w.huge, limits.Hugetlb{Sizes: []limits.HugePages{
				{PageSize: 2 * miB, Max: randomLimit(rnd, 1<<31), Usage: amount(rnd, 1<<31), ReservedUsage: amount(rnd, 1<<31)},
				{PageSize: giB, Max: randomLimit(rnd, 1<<31), Usage: amount(rnd, 1<<31)},
			}})
		}
	}
	return w
}

func (w *world) meminfo() *procfile.Meminfo { return Meminfo(w.host, w.oc, w.chain, w.huge, w.p) }

func TestMeminfoInvariants(t *testing.T) {
	const seed = 20
	rnd := rand.New(rand.NewPCG(seed, 0))
	var reused procfile.Meminfo
	for i := range 5000 {
		w := randomWorld(t, rnd)
		got := w.meminfo()
		row := func(name string) uint64 { return get(t, got, name) }
		hosts := func(name string) uint64 { return get(t, w.host, name) }
		sum := func(names ...string) (n uint64) {
			for _, name := range names {
				n += row(name)
			}
			return n
		}
		check := func(ok bool, format string, args ...any) {
			t.Helper()
			if !ok {
				t.Fatalf("seed %d, case %d: %s\nchain %+v\npolicy %+v\n%s", seed, i, fmt.Sprintf(format, args...), w.chain, w.p, got.Append(nil))
			}
		}
		atMost := func(a, b uint64, what string) { t.Helper(); check(a <= b, "%s: %d > %d", what, a, b) }

		total := row("MemTotal")
		check(total > 0, "MemTotal is 0")
		atMost(total, hosts("MemTotal"), "MemTotal ≤ the host's")
		for _, name := range []string{"MemFree", "MemAvailable"} {
			atMost(row(name), total, name+" ≤ MemTotal")
			atMost(row(name), hosts("MemAvailable"), name+" ≤ the host's MemAvailable")
		}
		if high, limited := w.chain.High().Value(); limited {
			atMost(row("MemAvailable"), high, "MemAvailable ≤ memory.high")
		}
		// What free(1), htop and munin take off MemTotal.
		atMost(sum("MemFree", "Buffers", "Cached", "SReclaimable"), total, "free + buffers + cache")
		atMost(sum("MemFree", "Buffers", "Cached", "AnonPages", "Slab", "KernelStack", "PageTables", "SecPageTables", "Percpu",
			"VmallocUsed", "Zswap"), total, "free + all parts")
		atMost(sum("MemFree", "Buffers", "Cached", "Slab", "PageTables", "SwapCached", "VmallocUsed"), total, "munin's sum")
		atMost(sum("MemFree", "Active", "Inactive", "Unevictable"), total, "free + the lists")
		check(row("Active") == sum("Active(anon)", "Active(file)"), "Active")
		check(row("Inactive") == sum("Inactive(anon)", "Inactive(file)"), "Inactive")
		check(row("Slab") == sum("SReclaimable", "SUnreclaim"), "Slab")
		check(row("KReclaimable") == row("SReclaimable"), "KReclaimable")
		for part, whole := range map[string]string{
			"Shmem": "Cached", "Mapped": "Cached", "Dirty": "Cached", "Writeback": "MemTotal",
			"AnonHugePages": "AnonPages", "ShmemHugePages": "Shmem", "SwapFree": "SwapTotal", "HugePages_Free": "HugePages_Total",
		} {
			atMost(row(part), row(whole), part+" ≤ "+whole)
		}
		atMost(sum("FileHugePages", "Shmem"), row("Cached"), "FileHugePages + Shmem ≤ Cached")
		for _, name := range []string{"SwapTotal", "SwapFree", "HugePages_Total", "HugePages_Free", "Hugetlb"} {
			atMost(row(name), hosts(name), name+" ≤ the host's")
		}
		atMost(row("HugePages_Total")*2*miB, row("Hugetlb"), "HugePages_Total ≤ Hugetlb")
		if len(w.huge) > 0 {
			atMost(row("HugePages_Rsvd"), row("HugePages_Free"), "HugePages_Rsvd ≤ HugePages_Free")
		}
		swapUsed := row("SwapTotal") - row("SwapFree")
		atMost(sum("SwapCached"), swapUsed, "SwapCached ≤ swap used") // htop takes it off
		atMost(sum("Zswapped"), swapUsed, "Zswapped ≤ swap used")
		if w.p.Swap == SwapNone {
			check(row("SwapTotal") == 0, "swap is shown")
		} else {
			atMost(min(w.chain[0].SwapUsage, hosts("SwapTotal"))/kB*kB, row("SwapTotal"), "swap used ≤ SwapTotal")
		}
		atMost(row("CommitLimit"), mul(total, 2)+row("SwapTotal"), "CommitLimit")

		// Form: the host's rows in the host's order.
		check(got.Len() == w.host.Len(), "%d rows", got.Len())
		for j := range got.Len() {
			check(got.Name(j) == w.host.Name(j), "row %s became %s", w.host.Name(j), got.Name(j))
		}
		for _, name := range []string{"VmallocTotal", "Unaccepted", "Hugepagesize"} {
			check(row(name) == hosts(name), "%s is not the host's", name)
		}
		check(sum("Buffers", "Mlocked", "DirectMap1G") == 0, "a row of the host's is shown")

		MeminfoInto(&reused, w.host, w.oc, w.chain, w.huge, w.p)
		check(bytes.Equal(reused.Append(nil), got.Append(nil)), "a reused value differs:\n%s", reused.Append(nil))
	}
}

// Lowering a limit, or using more at any level, never shows more memory.
func TestMeminfoIsMonotonic(t *testing.T) {
	const seed = 21
	rnd := rand.New(rand.NewPCG(seed, 0))
	for i := range 3000 {
		w := randomWorld(t, rnd)
		before := w.meminfo()
		w.chain = slices.Clone(w.chain)
		level := &w.chain[rnd.IntN(len(w.chain))]
		lower := func(l limits.Limit) limits.Limit { return l.Min(limits.To(amount(rnd, 1<<34))) }
		rows := []string{"MemTotal", "MemFree", "MemAvailable"}
		switch rnd.IntN(4) {
		case 0:
			level.Max = lower(level.Max)
		case 1:
			level.High = lower(level.High)
		case 2:
			level.Usage = add(level.Usage, amount(rnd, 1<<30))
			rows = rows[:2] // more usage can be more that can be reclaimed
		case 3:
			if _, v1 := w.chain.SwapMax().Value(); v1 {
				continue
			}
			level.SwapMax = lower(level.SwapMax)
			rows = append(rows, "SwapFree")
		}
		after := w.meminfo()
		for _, name := range rows {
			if get(t, after, name) > get(t, before, name) {
				t.Fatalf("seed %d, case %d: %s grew from %d to %d\nchain now %+v", seed, i, name, get(t, before, name), get(t, after, name), w.chain)
			}
		}
	}
}

// The order of the ancestors doesn't matter.
func TestMeminfoOrderOfAncestors(t *testing.T) {
	const seed = 22
	rnd := rand.New(rand.NewPCG(seed, 0))
	for i := range 1000 {
		w := randomWorld(t, rnd)
		want := w.meminfo().Append(nil)
		w.chain = slices.Clone(w.chain)
		rest := w.chain[1:]
		rnd.Shuffle(len(rest), func(a, b int) { rest[a], rest[b] = rest[b], rest[a] })
		if got := w.meminfo().Append(nil); !bytes.Equal(got, want) {
			t.Fatalf("seed %d, case %d: got\n%s\nwant\n%s", seed, i, got, want)
		}
	}
}
