// SPDX-License-Identifier: Apache-2.0

package limits

// MemoryStat is a cgroup's memory by kind, in bytes, descendants included.
// Fields are named after the keys of v2's memory.stat (kernel
// Documentation/admin-guide/cgroup-v2.rst). On v1 they come from the total_*
// keys; what v1 doesn't have is 0 (Documentation/admin-guide/cgroup-v1/memory.rst).
type MemoryStat struct {
	Anon          uint64 // anonymous memory in use; v1 total_rss
	File          uint64 // page cache, shmem and tmpfs included; v1 total_cache
	Shmem         uint64 // part of File
	FileMapped    uint64 // part of File that is mapped; v1 total_mapped_file
	FileDirty     uint64 // v1 total_dirty
	FileWriteback uint64 // v1 total_writeback

	AnonTHP  uint64 // part of Anon in transparent huge pages; v1 total_rss_huge
	FileTHP  uint64 // part of File in transparent huge pages
	ShmemTHP uint64 // part of Shmem in transparent huge pages

	// The reclaim lists. Anonymous lists hold shmem too, which Anon doesn't.
	InactiveAnon, ActiveAnon, InactiveFile, ActiveFile, Unevictable uint64

	Slab              uint64 // SlabReclaimable + SlabUnreclaimable
	SlabReclaimable   uint64
	SlabUnreclaimable uint64
	KernelStack       uint64
	PageTables        uint64
	SecPageTables     uint64
	Percpu            uint64
	Vmalloc           uint64

	Zswap      uint64 // memory that compressed swap takes
	Zswapped   uint64 // memory that was compressed into it
	SwapCached uint64 // in swap and in memory
}

// Lists is the sum of the reclaim lists in bytes. A cgroup's files lag one
// another: where Lists is above the usage read beside it, the usage is stale.
func (s MemoryStat) Lists() uint64 {
	return s.InactiveAnon + s.ActiveAnon + s.InactiveFile + s.ActiveFile + s.Unevictable
}

// Memory is one level of a memory chain: what its cgroup's files say.
type Memory struct {
	Path string // the cgroup, relative to its hierarchy's root

	Max  Limit // memory.max; v1 memory.limit_in_bytes
	High Limit // memory.high; v1 has none
	// SwapMax is memory.swap.max. v1 limits memory and swap together; here
	// stands what that leaves for swap beside Max (memsw limit − memory limit).
	SwapMax Limit
	// MemorySwapMax is v1's memory.memsw.limit_in_bytes, None on v2.
	MemorySwapMax Limit

	// Of an ancestor without a limit, what follows need not be known; it is 0 then.
	Usage     uint64 // bytes of memory: memory.current; v1 memory.usage_in_bytes
	SwapUsage uint64 // bytes of swap: memory.swap.current; v1 total_swap
	Stat      MemoryStat
}

// MemoryChain is the container's cgroup first, then its ancestors up to, not
// including, the root; empty for the root cgroup and where there is no memory
// controller.
type MemoryChain []Memory

// Max is the effective memory limit.
func (c MemoryChain) Max() Limit {
	return c.smallest(func(m *Memory) Limit { return m.Max })
}

// High is the effective memory.high: above it the kernel reclaims and throttles.
func (c MemoryChain) High() Limit {
	return c.smallest(func(m *Memory) Limit { return m.High })
}

// SwapMax is the effective swap limit. On v1, where a parent may limit the sum
// of memory and swap and a child only memory, it is the effective sum less the
// effective memory limit, so that memory and swap together show the sum.
func (c MemoryChain) SwapMax() Limit {
	sum := c.smallest(func(m *Memory) Limit { return m.MemorySwapMax })
	if _, v1 := sum.Value(); v1 {
		if most, limited := c.Max().Value(); limited {
			return sum.Less(most)
		}
		// The kernel keeps limit_in_bytes ≤ memsw.limit_in_bytes, so this is a
		// moment between two writes.
		return sum
	}
	return c.smallest(func(m *Memory) Limit { return m.SwapMax })
}

func (c MemoryChain) smallest(of func(*Memory) Limit) Limit {
	l := None()
	for i := range c {
		l = l.Min(of(&c[i]))
	}
	return l
}

// HugePages is what one cgroup may use and uses of huge pages of one size.
type HugePages struct {
	PageSize uint64 // bytes of one page, as in the file's name: hugetlb.2MB.max
	Max      Limit  // bytes: hugetlb.SIZE.max; v1 hugetlb.SIZE.limit_in_bytes
	Usage    uint64 // bytes: hugetlb.SIZE.current; v1 hugetlb.SIZE.usage_in_bytes
	// Reservations, counted when memory is mapped and not when it is touched:
	// hugetlb.SIZE.rsvd.*, kernel ≥ 5.7.
	ReservedMax   Limit
	ReservedUsage uint64
}

// Hugetlb is one level of a hugetlb chain.
type Hugetlb struct {
	Path  string // the cgroup, relative to its hierarchy's root
	Sizes []HugePages
}

// HugetlbChain is the container's cgroup first, then its ancestors up to, not
// including, the root; empty for the root cgroup and where there is no hugetlb
// controller.
type HugetlbChain []Hugetlb

// Size is what the chain says of huge pages of pageSize bytes: the smallest
// limits of all levels, the usage of the container's. ok is false if no level
// knows the size.
func (c HugetlbChain) Size(pageSize uint64) (pages HugePages, ok bool) {
	pages.PageSize = pageSize
	for i, level := range c {
		for _, s := range level.Sizes {
			if s.PageSize != pageSize {
				continue
			}
			ok = true
			pages.Max = pages.Max.Min(s.Max)
			pages.ReservedMax = pages.ReservedMax.Min(s.ReservedMax)
			if i == 0 {
				pages.Usage, pages.ReservedUsage = s.Usage, s.ReservedUsage
			}
		}
	}
	return pages, ok
}

// Free is how many bytes of huge pages of that size the container can still
// take: the smallest limit − usage over the chain.
func (c HugetlbChain) Free(pageSize uint64) Limit {
	free := None()
	for _, level := range c {
		for _, s := range level.Sizes {
			if s.PageSize == pageSize {
				free = free.Min(s.Max.Less(s.Usage))
			}
		}
	}
	return free
}
