// SPDX-License-Identifier: Apache-2.0

package view

import (
	"github.com/procfs-shim/procfs-shim/cgroupread/cpulist"
	"github.com/procfs-shim/procfs-shim/cgroupread/limits"
	"github.com/procfs-shim/procfs-shim/fusefs/procfile"
)

// A HostNode is one NUMA node as the host's files describe it.
type HostNode struct {
	ID      int
	CPUs    cpulist.Set           // nodeN/cpulist
	Meminfo *procfile.NodeMeminfo // nodeN/meminfo
}

// A NodeSplit parts a container's memory over the NUMA nodes that it is shown. The
// zero value is ready; one that is used again keeps its memory.
type NodeSplit struct {
	arena // for the slices below, which are in the order of hosts and in bytes, rounded to kB

	hosts []HostNode
	usage []limits.NodeMemory
	shown *procfile.Meminfo

	total, free, used []uint64

	// The same disjoint parts as of memory, as far as nodes have a row for them.
	anon, shmem, cache             []uint64
	slabReclaimable, slabUnreclaim []uint64
	kernelStack                    []uint64
	pageTables, secPageTables      []uint64

	activeAnon, inactiveAnon, activeFile, inactiveFile, unevictable []uint64
}

// MeminfoInto makes the meminfo of nodes[at], nodes being all those that the
// container is shown, by their numbers. shown is the container's /proc/meminfo,
// usage what its cgroup says of each node; both may lag the other.
//
//	MemTotal            of the container's, as much as the node has of the shown
//	                    nodes' memory, but at least what is used on it
//	MemFree             MemTotal − what is used on it
//	MemUsed             MemTotal − MemFree
//	FilePages           the node's part of Cached
//	Active, Slab …      the sums of their rows
//	AnonPages, …        parted as memory.numa_stat says, else as the host's memory
//	HugePages_…         parted as the host's are
//	others              parted as the host's are; what /proc/meminfo hasn't, the host's
//
// Over all nodes the rows that /proc/meminfo has too add up to it exactly; with one
// node they are equal. On each node no part is larger than its whole.
//
// dst, which is reused, must be none of the nodes'. For the root cgroup the caller
// shows the host's files unchanged instead.
func (s *NodeSplit) MeminfoInto(
	dst *procfile.NodeMeminfo, nodes []HostNode, at int, shown *procfile.Meminfo, usage []limits.NodeMemory,
) {
	s.hosts, s.shown, s.usage = nodes, shown, usage
	s.reset(len(nodes))
	s.partMemory()
	dst.CopyFrom(nodes[at].Meminfo)
	spare := s.spare
	for i := range dst.Len() {
		if value, ok := s.row(dst.Name(i), at); ok {
			dst.SetValue(i, value)
		}
		s.spare = spare // what the row took
	}
	s.hosts, s.shown, s.usage = nil, nil, nil
}

// value is a row of the container's /proc/meminfo.
func (s *NodeSplit) value(name string) uint64 {
	v, _ := s.shown.Get(name)
	return v
}

// hostRow is a row of each of the host's nodes.
func (s *NodeSplit) hostRow(name string) []uint64 {
	row := s.take()
	for k := range s.hosts {
		row[k], _ = s.hosts[k].Meminfo.Get(name)
	}
	return row
}

// weights is how much of a kind of memory each node has; v1 tells only some kinds,
// so where it is none anywhere, what others gives.
func (s *NodeSplit) weights(of, others func(limits.MemoryStat) uint64) []uint64 {
	weights := s.take()
	for _, of := range [...]func(limits.MemoryStat) uint64{of, others} {
		for k := range s.hosts {
			for i := range s.usage {
				if s.usage[i].Node == s.hosts[k].ID {
					weights[k] = of(s.usage[i].Stat)
				}
			}
		}
		if add(weights...) > 0 {
			break
		}
	}
	return weights
}

// partMemory parts what is used and free.
func (s *NodeSplit) partMemory() {
	size := s.hostRow("MemTotal")
	total, free := s.value("MemTotal"), s.value("MemFree")
	used := sub(total, free)

	room := s.copied(size) // no node is shown more in use than it has
	part := func(value uint64, of, others func(limits.MemoryStat) uint64) []uint64 {
		value = min(value, used)
		used -= value
		return split(s.take(), value, kB, s.weights(of, others), room)
	}
	s.anon = part(s.value("AnonPages"), anonOf, anonOf)
	s.shmem = part(s.value("Shmem"), shmemOf, anonOf) // which v1 counts as anon
	s.cache = part(sub(s.value("Cached"), s.value("Shmem")), cacheOf, cacheOf)
	s.slabReclaimable = part(s.value("SReclaimable"), slabReclaimableOf, cacheOf)
	s.slabUnreclaim = part(s.value("SUnreclaim"), slabUnreclaimableOf, anonOf)
	s.kernelStack = part(s.value("KernelStack"), kernelStackOf, anonOf)
	s.pageTables = part(s.value("PageTables"), pageTablesOf, anonOf)
	s.secPageTables = part(s.value("SecPageTables"), secPageTablesOf, anonOf)
	// What is left has no row: percpu memory, or what the host can't give.
	s.used = s.sum(split(s.take(), used, kB, room, room), s.parts())

	room = s.copied(s.used)
	list := func(name string, of, others func(limits.MemoryStat) uint64) []uint64 {
		return split(s.take(), s.value(name), kB, s.weights(of, others), room)
	}
	s.unevictable = list("Unevictable", unevictableOf, unevictableOf)
	s.activeAnon = list("Active(anon)", activeAnonOf, anonOf)
	s.inactiveAnon = list("Inactive(anon)", inactiveAnonOf, anonOf)
	s.activeFile = list("Active(file)", activeFileOf, cacheOf)
	s.inactiveFile = list("Inactive(file)", inactiveFileOf, cacheOf)

	// A node's share of the limit, where more than that is used the other nodes'.
	left := split(s.take(), total, kB, size, s.endless())
	for k := range left {
		left[k] = sub(left[k], s.used[k])
	}
	s.free = split(s.take(), free, kB, left, left)
	s.total = s.sum(s.used, s.free)
}

// sum adds slices up, node by node.
func (s *NodeSplit) sum(slices ...[]uint64) []uint64 {
	sum := s.take()
	for _, slice := range slices {
		for k := range sum {
			sum[k] += slice[k]
		}
	}
	return sum
}

// parts is the sum of the disjoint parts.
func (s *NodeSplit) parts() []uint64 {
	return s.sum(s.anon, s.shmem, s.cache, s.slabReclaimable, s.slabUnreclaim, s.kernelStack, s.pageTables, s.secPageTables)
}

// within parts a row that is a part of whole.
func (s *NodeSplit) within(whole []uint64, name string, of func(limits.MemoryStat) uint64) []uint64 {
	return split(s.take(), s.value(name), kB, s.weights(of, of), s.copied(whole))
}

// asHost parts a row as the host's nodes have it; where they have none, as their
// memory. ok is false where /proc/meminfo has no such row.
func (s *NodeSplit) asHost(name string, unit uint64, room []uint64) (parts []uint64, ok bool) {
	value, ok := s.shown.Get(name)
	weights := s.hostRow(name)
	if add(weights...) == 0 {
		weights = s.hostRow("MemTotal")
	}
	return split(s.take(), value, unit, weights, room), ok
}

// row returns the value of a row of node k; ok is false for one that stays the
// host's.
func (s *NodeSplit) row(name string, k int) (value uint64, ok bool) {
	const page = 1 // what huge pages are counted in
	switch name {
	case "MemTotal":
		return s.total[k], true
	case "MemFree":
		return s.free[k], true
	case "MemUsed":
		return s.used[k], true
	case "Active":
		return s.activeAnon[k] + s.activeFile[k], true
	case "Inactive":
		return s.inactiveAnon[k] + s.inactiveFile[k], true
	case "Active(anon)":
		return s.activeAnon[k], true
	case "Inactive(anon)":
		return s.inactiveAnon[k], true
	case "Active(file)":
		return s.activeFile[k], true
	case "Inactive(file)":
		return s.inactiveFile[k], true
	case "Unevictable":
		return s.unevictable[k], true
	case "FilePages":
		return s.cache[k] + s.shmem[k], true
	case "AnonPages":
		return s.anon[k], true
	case "Shmem":
		return s.shmem[k], true
	case "KernelStack":
		return s.kernelStack[k], true
	case "PageTables":
		return s.pageTables[k], true
	case "SecPageTables":
		return s.secPageTables[k], true
	case "Slab":
		return s.slabReclaimable[k] + s.slabUnreclaim[k], true
	case "SReclaimable", "KReclaimable":
		return s.slabReclaimable[k], true
	case "SUnreclaim":
		return s.slabUnreclaim[k], true
	case "Mapped":
		return s.within(s.sum(s.cache, s.shmem), name, fileMappedOf)[k], true
	case "Dirty":
		return s.within(s.sum(s.cache, s.shmem), name, fileDirtyOf)[k], true
	case "Writeback":
		return s.within(s.used, name, fileWritebackOf)[k], true
	case "SwapCached":
		return s.within(s.used, name, swapCachedOf)[k], true
	case "AnonHugePages":
		return s.within(s.anon, name, anonTHPOf)[k], true
	case "ShmemHugePages":
		return s.within(s.shmem, name, shmemTHPOf)[k], true
	case "FileHugePages":
		return s.within(s.cache, name, fileTHPOf)[k], true
	case "HugePages_Free", "HugePages_Surp":
		total, _ := s.asHost("HugePages_Total", page, s.endless())
		parts, ok := s.asHost(name, page, total)
		return parts[k], ok
	case "HugePages_Total":
		parts, ok := s.asHost(name, page, s.endless())
		return parts[k], ok
	}
	parts, ok := s.asHost(name, kB, s.endless())
	return parts[k], ok
}

func anonOf(s limits.MemoryStat) uint64              { return s.Anon }
func shmemOf(s limits.MemoryStat) uint64             { return s.Shmem }
func cacheOf(s limits.MemoryStat) uint64             { return sub(s.File, s.Shmem) }
func slabReclaimableOf(s limits.MemoryStat) uint64   { return s.SlabReclaimable }
func slabUnreclaimableOf(s limits.MemoryStat) uint64 { return s.SlabUnreclaimable }
func kernelStackOf(s limits.MemoryStat) uint64       { return s.KernelStack }
func pageTablesOf(s limits.MemoryStat) uint64        { return s.PageTables }
func secPageTablesOf(s limits.MemoryStat) uint64     { return s.SecPageTables }
func activeAnonOf(s limits.MemoryStat) uint64        { return s.ActiveAnon }
func inactiveAnonOf(s limits.MemoryStat) uint64      { return s.InactiveAnon }
func activeFileOf(s limits.MemoryStat) uint64        { return s.ActiveFile }
func inactiveFileOf(s limits.MemoryStat) uint64      { return s.InactiveFile }
func unevictableOf(s limits.MemoryStat) uint64       { return s.Unevictable }
func fileMappedOf(s limits.MemoryStat) uint64        { return s.FileMapped }
func fileDirtyOf(s limits.MemoryStat) uint64         { return s.FileDirty }
func fileWritebackOf(s limits.MemoryStat) uint64     { return s.FileWriteback }
func swapCachedOf(s limits.MemoryStat) uint64        { return s.SwapCached }
func anonTHPOf(s limits.MemoryStat) uint64           { return s.AnonTHP }
func shmemTHPOf(s limits.MemoryStat) uint64          { return s.ShmemTHP }
func fileTHPOf(s limits.MemoryStat) uint64           { return s.FileTHP }
