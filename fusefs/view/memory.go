// SPDX-License-Identifier: Apache-2.0

package view

import (
	"github.com/procfs-shim/procfs-shim/cgroupread/limits"
	"github.com/procfs-shim/procfs-shim/fusefs/procfile"
)

const (
	// kB is the unit of /proc/meminfo. Everything shown is rounded down to it
	// before it is added up, so that the sums in the file are exact.
	kB = 1024
	// page is the smallest page of Linux: what a limit of 0 is shown as.
	page = 4096
)

// hostMemory is what a view needs of the host's /proc/meminfo.
type hostMemory struct {
	total, available    uint64
	swapTotal, swapFree uint64
	hugePageSize        uint64 // of the default huge pages; 0 where there are none
	hugeTotal, hugeFree uint64 // pages of that size
	hugeReserved        uint64 // pages of that size
	hugetlb             uint64 // bytes of all huge pages of every size
}

func readHostMemory(m *procfile.Meminfo) (h hostMemory) {
	var free uint64
	haveAvailable, haveHugetlb := false, false
	for i := range m.Len() {
		v := m.Value(i)
		switch m.Name(i) {
		case "MemTotal":
			h.total = v
		case "MemFree":
			free = v
		case "MemAvailable":
			h.available, haveAvailable = v, true
		case "SwapTotal":
			h.swapTotal = v
		case "SwapFree":
			h.swapFree = v
		case "Hugepagesize":
			h.hugePageSize = v
		case "HugePages_Total":
			h.hugeTotal = v
		case "HugePages_Free":
			h.hugeFree = v
		case "HugePages_Rsvd":
			h.hugeReserved = v
		case "Hugetlb":
			h.hugetlb, haveHugetlb = v, true
		}
	}
	if !haveAvailable {
		h.available = free
	}
	if !haveHugetlb {
		h.hugetlb = mul(h.hugeTotal, h.hugePageSize)
	}
	return h
}

// memory holds the numbers of a container's /proc/meminfo in bytes, rounded to
// kB.
//
// The parts from anon to zswap are disjoint: the kernel charges each byte of them
// to the cgroup once. With free they are at most total.
type memory struct {
	total, free, available uint64

	anon, cache, shmem               uint64 // cache: file pages without shmem
	slabReclaimable, slabUnreclaim   uint64
	kernelStack, percpu, vmalloc     uint64
	pageTables, secPageTables, zswap uint64

	// The reclaim lists hold what anon, cache and shmem hold, sorted otherwise.
	activeAnon, inactiveAnon, activeFile, inactiveFile, unevictable uint64

	// Parts of the parts above.
	mapped, dirty, writeback          uint64
	anonHuge, cacheHuge, shmemHuge    uint64
	swapTotal, swapFree               uint64
	swapCached, zswapped              uint64
	committed, commitLimit            uint64
	huge                              bool // the hugetlb controller says something
	hugeTotal, hugeFree, hugeReserved uint64
	hugetlb                           uint64
}

// newMemory computes a container's numbers. chain is not empty.
func newMemory(h hostMemory, oc Overcommit, chain limits.MemoryChain, huge limits.HugetlbChain, p Policy) (m memory) {
	m.setTotals(&h, chain, p)
	m.setParts(&chain[0].Stat)
	m.setSwap(&h, chain, p)
	m.setHugetlb(&h, huge)
	m.commitLimit = add(oc.limit(m.total, m.hugetlb), m.swapTotal)
	m.committed = add(m.anon, m.shmem, floor(chain[0].SwapUsage, kB))
	return m
}

// setTotals sets total, free and available.
//
// A level without a limit, or with one above the host's memory, limits nothing:
// its usage may be page cache that others could have, and what the host has left
// is known from the host. Only the container's own level always counts, with
// total as its limit, for its own parts are shown beside free.
func (m *memory) setTotals(h *hostMemory, chain limits.MemoryChain, p Policy) {
	limit := chain.Max()
	if p.MemoryHigh {
		limit = limit.Min(chain.High())
	}
	m.total = max(page, floor(limit.AtMost(h.total), kB))
	free, available := limits.To(h.available), limits.To(h.available)
	for i := range chain {
		level := &chain[i]
		used := usage(level)
		reclaimable := min(used, add(level.Stat.InactiveFile, level.Stat.ActiveFile, level.Stat.SlabReclaimable))
		hard, soft := level.Max, level.Max.Min(level.High)
		if p.MemoryHigh {
			hard = soft
		}
		if i == 0 {
			hard, soft = hard.Min(limits.To(m.total)), soft.Min(limits.To(m.total))
		}
		free = free.Min(hard.Less(used))
		// Above a limit, what can be reclaimed only makes up for the excess: so
		// the limit is raised before usage is taken off.
		available = available.Min(soft.Plus(reclaimable).Less(used))
	}
	m.free = floor(free.AtMost(m.total), kB)
	m.available = floor(available.AtMost(m.total), kB)
}

// usage is what a level uses. memory.current and memory.stat are read one after
// the other, and memory.stat itself is brought up to date now and then: the lists
// were seen 38 MB above the usage. The larger counts, else free and the parts
// would together be more than there is.
func usage(level *limits.Memory) uint64 {
	s := &level.Stat
	lists := add(s.InactiveAnon, s.ActiveAnon, s.InactiveFile, s.ActiveFile, s.Unevictable)
	parts := add(s.Anon, s.File, s.SlabReclaimable, s.SlabUnreclaimable, s.KernelStack,
		s.PageTables, s.SecPageTables, s.Percpu, s.Vmalloc, s.Zswap)
	return max(level.Usage, lists, parts)
}

// setParts sets what the container's memory is used for.
func (m *memory) setParts(s *limits.MemoryStat) {
	part := func(n uint64) uint64 { return floor(n, kB) }
	m.anon = part(s.Anon)
	m.shmem = part(min(s.Shmem, s.File))
	m.cache = sub(part(s.File), m.shmem)
	m.slabReclaimable, m.slabUnreclaim = part(s.SlabReclaimable), part(s.SlabUnreclaimable)
	m.kernelStack, m.percpu, m.vmalloc = part(s.KernelStack), part(s.Percpu), part(s.Vmalloc)
	m.pageTables, m.secPageTables, m.zswap = part(s.PageTables), part(s.SecPageTables), part(s.Zswap)
	m.activeAnon, m.inactiveAnon = part(s.ActiveAnon), part(s.InactiveAnon)
	m.activeFile, m.inactiveFile = part(s.ActiveFile), part(s.InactiveFile)
	m.unevictable = part(s.Unevictable)

	// Usage can be above total: memory.high as the limit, a limit that was just
	// lowered, a level that lags. Then the kernel is about to reclaim, and the
	// parts are shown as if it had, in the order in which it does.
	used := sub(m.total, m.free)
	fit(used, &m.cache, &m.slabReclaimable, &m.shmem, &m.anon, &m.zswap, &m.vmalloc, &m.percpu,
		&m.secPageTables, &m.pageTables, &m.kernelStack, &m.slabUnreclaim)
	fit(used, &m.inactiveFile, &m.activeFile, &m.inactiveAnon, &m.activeAnon, &m.unevictable)

	m.mapped = min(part(s.FileMapped), m.cached())
	m.dirty = min(part(s.FileDirty), m.cached())
	m.writeback = min(part(s.FileWriteback), used) // pages on their way to swap count, too
	m.anonHuge = min(part(s.AnonTHP), m.anon)
	m.cacheHuge = min(part(s.FileTHP), m.cache)
	m.shmemHuge = min(part(s.ShmemTHP), m.shmem)
	m.swapCached = min(part(s.SwapCached), sub(used, sub(m.parts(), m.anon)))
	m.zswapped = part(s.Zswapped)
}

// cached is the file's Cached.
func (m *memory) cached() uint64 { return m.cache + m.shmem }

// parts is the sum of the disjoint parts.
func (m *memory) parts() uint64 {
	return add(m.anon, m.cached(), m.slabReclaimable, m.slabUnreclaim, m.kernelStack, m.percpu,
		m.vmalloc, m.pageTables, m.secPageTables, m.zswap)
}

// fit cuts parts, the first one first, until their sum is at most whole.
func fit(whole uint64, parts ...*uint64) {
	for i := len(parts) - 1; i >= 0; i-- {
		*parts[i] = min(*parts[i], whole)
		whole -= *parts[i]
	}
}

// setSwap sets the swap that the container may use and has left, and cuts down
// what is said to be in it.
//
// v1 limits memory and swap together; what its levels leave for swap is counted
// by the chain (limits.MemoryChain.SwapMax), and a level bounds the free swap by
// the whole sum only.
func (m *memory) setSwap(h *hostMemory, chain limits.MemoryChain, p Policy) {
	if p.Swap == SwapNone {
		m.swapCached, m.zswapped = 0, 0
		return
	}
	used := min(chain[0].SwapUsage, h.swapTotal)
	total := max(used, chain.SwapMax().AtMost(h.swapTotal))
	free := min(total-used, h.swapFree)
	for i := range chain {
		level := &chain[i]
		limit := level.SwapMax
		if _, v1 := level.MemorySwapMax.Value(); v1 {
			limit = level.MemorySwapMax
		}
		free = limit.Less(level.SwapUsage).AtMost(free)
	}
	m.swapTotal, m.swapFree = floor(total, kB), floor(free, kB)
	shown := sub(m.swapTotal, m.swapFree)
	m.swapCached = min(m.swapCached, shown)
	m.zswapped = min(m.zswapped, shown)
}
