// SPDX-License-Identifier: Apache-2.0

package view

import (
	"strings"

	"github.com/procfs-shim/procfs-shim/cgroupread/limits"
	"github.com/procfs-shim/procfs-shim/fusefs/procfile"
)

// Overcommit holds the host's sysctls that CommitLimit is made from
// (Documentation/mm/overcommit-accounting.rst).
type Overcommit struct {
	Ratio  uint64 // vm.overcommit_ratio, in percent
	KBytes uint64 // vm.overcommit_kbytes, in KiB; 0 means that Ratio counts
}

// limit is how much of total, of which hugetlb bytes are huge pages, the kernel
// would let be committed, without swap. Like vm_commit_limit (mm/util.c) it
// counts in pages.
func (oc Overcommit) limit(total, hugetlb uint64) uint64 {
	if oc.KBytes > 0 {
		return min(mul(oc.KBytes, kB), total)
	}
	const percent = 100
	return floor(mul(mulDiv(sub(total, hugetlb)/page, oc.Ratio, percent), page), kB)
}

// Meminfo returns the container's /proc/meminfo: the host's rows in their order,
// with the container's values. chain and huge are the container's levels of the
// memory and the hugetlb controller. The values:
//
//	MemTotal        the effective limit, at most the host's; a limit of 0 is a page
//	MemFree         the smallest limit − usage of the chain, at most the host's
//	                MemAvailable (its MemFree is small on any host that has run
//	                for a while)
//	MemAvailable    likewise, with what can be reclaimed, and below memory.high
//	Cached …        what memory.stat of the container's cgroup says
//	Swap…           the effective swap limit and what is left of it
//	HugePages_…     the hugetlb controller's, where it is on
//	Commit…         as the kernel would compute them from the values above
//	DirectMap… …    0 where the row only makes sense for the host
//	others          the host's
//
// Without any limit the host's MemTotal is the limit. An empty chain, the root
// cgroup's, gives the host's file unchanged. The result shares nothing with host.
func Meminfo(host *procfile.Meminfo, oc Overcommit, chain limits.MemoryChain, huge limits.HugetlbChain, p Policy) *procfile.Meminfo {
	dst := new(procfile.Meminfo)
	MeminfoInto(dst, host, oc, chain, huge, p)
	return dst
}

// MeminfoInto is [Meminfo] into a value that is reused. dst must not be host.
func MeminfoInto(dst, host *procfile.Meminfo, oc Overcommit, chain limits.MemoryChain, huge limits.HugetlbChain, p Policy) {
	dst.CopyFrom(host)
	if len(chain) == 0 {
		return
	}
	m := newMemory(readHostMemory(host), oc, chain, huge, p)
	for i := range dst.Len() {
		if value, ok := m.row(dst.Name(i)); ok {
			dst.SetValue(i, value)
		}
	}
}

// row returns the value of the row called name; ok is false for rows that stay
// the host's.
func (m *memory) row(name string) (value uint64, ok bool) {
	switch name {
	case "MemTotal":
		return m.total, true
	case "MemFree":
		return m.free, true
	case "MemAvailable":
		return m.available, true
	case "Cached":
		return m.cached(), true
	case "SwapCached":
		return m.swapCached, true
	case "Active":
		return m.activeAnon + m.activeFile, true
	case "Inactive":
		return m.inactiveAnon + m.inactiveFile, true
	case "Active(anon)":
		return m.activeAnon, true
	case "Inactive(anon)":
		return m.inactiveAnon, true
	case "Active(file)":
		return m.activeFile, true
	case "Inactive(file)":
		return m.inactiveFile, true
	case "Unevictable":
		return m.unevictable, true
	case "SwapTotal":
		return m.swapTotal, true
	case "SwapFree":
		return m.swapFree, true
	case "Zswap":
		return m.zswap, true
	case "Zswapped":
		return m.zswapped, true
	case "Dirty":
		return m.dirty, true
	case "Writeback":
		return m.writeback, true
	case "AnonPages":
		return m.anon, true
	case "Mapped":
		return m.mapped, true
	case "Shmem":
		return m.shmem, true
	case "Slab":
		return m.slabReclaimable + m.slabUnreclaim, true
	case "SReclaimable", "KReclaimable":
		return m.slabReclaimable, true
	case "SUnreclaim":
		return m.slabUnreclaim, true
	case "KernelStack":
		return m.kernelStack, true
	case "PageTables":
		return m.pageTables, true
	case "SecPageTables":
		return m.secPageTables, true
	case "Percpu":
		return m.percpu, true
	case "VmallocUsed":
		return m.vmalloc, true
	case "AnonHugePages":
		return m.anonHuge, true
	case "ShmemHugePages":
		return m.shmemHuge, true
	case "FileHugePages":
		return m.cacheHuge, true
	case "CommitLimit":
		return m.commitLimit, true
	case "Committed_AS":
		return m.committed, true
	case "HugePages_Total":
		return m.hugeTotal, m.huge
	case "HugePages_Free":
		return m.hugeFree, m.huge
	case "HugePages_Rsvd":
		return m.hugeReserved, m.huge
	case "HugePages_Surp":
		return 0, m.huge
	case "Hugetlb":
		return m.hugetlb, m.huge
	}
	return 0, onlyTheHosts(name)
}

// onlyTheHosts says that a row has no meaning for a container: it holds none of
// that memory, or, with DirectMap, the row would tell the host's size.
func onlyTheHosts(name string) bool {
	switch name {
	case "Buffers", "Mlocked", "Bounce", "WritebackTmp", "NFS_Unstable", "HardwareCorrupted":
		return true
	}
	return strings.HasPrefix(name, "DirectMap") || strings.HasPrefix(name, "Cma") ||
		strings.HasSuffix(name, "PmdMapped")
}
